"""Progress of a running step: the file for the display, the scheduler, the log."""

import json
import logging
import socket
from queue import Queue

import pytest

from neuroluigi import StudyTask
from neuroluigi.steps import progress_report
from neuroluigi.steps.progress_report import ProgressReporter, percentage, status_message


@pytest.mark.parametrize(
    ("k", "n", "percent"), [(0, 4, 0), (1, 4, 25), (2, 3, 67), (4, 4, 100), (5, 4, None), (-1, 4, None), (1, 0, None)]
)
def test_a_percentage_is_from_0_to_100_or_none(k, n, percent):
    assert percentage({"k": k, "n": n}) == percent


def test_a_message_has_progress_host_and_log():
    host = socket.gethostname()
    assert status_message({"log": "a.log"}) == f"{host}: a.log" and status_message({}) == ""
    assert status_message({"k": 1.5, "n": 4.0, "message": "x", "log": "a.log"}) == f"1.5/4 x\n{host}: a.log"


class ReportingStep(StudyTask):
    pass


@pytest.fixture
def step(tmp_path, monkeypatch):
    """A step as Luigi runs it in its own process, with what it sends to the scheduler in `sent`."""
    step = ReportingStep()
    step.log, step.progress_path, step.sent = tmp_path / "step.log", tmp_path / "progress.json", []
    step.set_status_message = step.sent.append
    step.set_progress_percentage = step.sent.append
    step.now = 100.0
    monkeypatch.setattr(progress_report.time, "monotonic", lambda: step.now)
    return step


def test_progress_goes_to_the_file_at_once_and_to_the_scheduler_now_and_then(step):
    reporter = ProgressReporter(step)
    with reporter.running():
        # Where it runs in the process of the scheduler, nobody reads that from a file.
        assert not step.progress_path.exists() and step.sent[0].endswith(str(step.log))
        # The first progress is sent although the log has just been.
        reporter.report(1, 4, "one")
        assert len(step.sent) == 4 and step.sent[2].startswith("1/4 one\n") and step.sent[3] == 25
        step.now += 0.1
        reporter.report(2, 4, "two")
        assert len(step.sent) == 4 and json.loads(step.progress_path.read_text())["k"] == 2
        step.now += 0.1001
        reporter.report(3, 4, "three")
        assert len(step.sent) == 6 and step.sent[5] == 75


def test_the_latest_progress_is_sent_although_the_step_reports_no_more(step, monkeypatch):
    monkeypatch.setattr(progress_report, "_SCHEDULER_SECONDS", 0.05)
    percent = Queue()
    step.set_progress_percentage = percent.put
    reporter = ProgressReporter(step)
    with reporter.running():
        assert percent.get_nowait() is None
        for k in range(1, 4):
            reporter.report(k, 4, "")
        assert [percent.get(timeout=60) for _ in range(2)] == [25, 75]
    # What waits when the step ends is not sent: the worker has told by then how it ended.
    step.now += 1
    with reporter.running():
        reporter.report(1, 4, "")
        reporter.report(2, 4, "")
        timer = reporter._timer
    timer.join()
    assert [percent.get_nowait() for _ in range(2)] == [None, 25] and percent.empty()


@pytest.mark.parametrize(("k", "n"), [("many", 4), (None, 4), (float("nan"), 4), (1, float("inf"))])
def test_what_is_no_number_is_ignored(step, k, n):
    ProgressReporter(step).report(k, n, "")
    assert not step.sent and not step.progress_path.exists()


def test_the_log_of_the_run_has_progress_every_five_seconds(step, caplog):
    caplog.set_level(logging.INFO, logger="luigi-interface")
    reporter = ProgressReporter(step)
    for k in range(1, 8):
        reporter.report(k, 7, "m")
        step.now += 2
    assert [record.getMessage() for record in caplog.records] == [f"ReportingStep(): {k}/7 m" for k in (1, 4, 7)]


def test_a_display_that_is_gone_fails_no_step(step, tmp_path):
    step.progress_path = tmp_path / "removed" / "progress.json"
    ProgressReporter(step).report(1, 2, "")
    assert step.sent[-1] == 50
