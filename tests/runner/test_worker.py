"""The worker of a run: what it counts, and what becomes of a step whose process dies."""

import os
import signal
from pathlib import Path

import luigi
import luigi.scheduler
import pytest

from neuroluigi.runner.worker import Worker
from neuroluigi.steps.tasks import StudyTask


class Counted(StudyTask):
    """A step that another one may require, with a log of the processes that ran it."""

    what = luigi.Parameter()
    filename_parameters = ("what",)

    def requires(self):
        return Counted("good") if self.what == "after" else []

    def output(self):
        return self.result(f"{self.what}.txt")

    def make(self, out):
        if self.what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "bad":
            raise ValueError("no such number")
        out.write_text("same" if self.what == "good" else f"{os.getpid()}")


class Noting(Worker):
    """A worker that notes what it is called for."""

    def __init__(self, **options):
        super().__init__(**options)
        self.noted = []

    def on_started(self, task):
        self.noted.append(("started", task.what))

    def on_finished(self, task, status, explanation):
        super().on_finished(task, status, explanation)
        self.noted.append((status, task.what))


def run(*tasks, **options) -> Noting:
    with Noting(scheduler=luigi.scheduler.Scheduler(), **options) as worker:
        for task in tasks:
            worker.add(task)
        worker.run()
    return worker


@pytest.mark.parametrize("workers", [1, 2])
def test_outcomes_seconds_and_failures_are_counted(declare, workers):
    worker = run(Counted("after"), Counted("bad"), worker_processes=workers)
    assert worker.outcomes == {"made": {"Counted": 2}, "unchanged": {}}
    assert worker.seconds.keys() == {"Counted(what=good)", "Counted(what=after)"}
    assert worker.failed == ["Counted(what=bad)"] and worker.root == Counted("after")
    assert {str(one) for one in worker.scheduled_tasks} == {f"Counted(what={w})" for w in ("after", "good", "bad")}
    assert sorted(worker.noted) == sorted(
        [("started", w) for w in ("good", "after", "bad")] + [("DONE", "good"), ("DONE", "after"), ("FAILED", "bad")]
    )
    assert worker.noted.index(("DONE", "good")) < worker.noted.index(("started", "after"))
    # Made again with the same bytes, so that what is made from it stays as it is.
    Path(Counted("good").output().path).unlink()
    worker = run(Counted("after"), worker_processes=workers)
    assert worker.outcomes == {"made": {"Counted": 1}, "unchanged": {"Counted": 1}}


@pytest.mark.skipif(os.name != "posix", reason="processes are killed by signals")
def test_a_step_whose_process_is_killed_has_failed_and_the_others_go_on(declare):
    worker = run(Counted("killed"), Counted("one"), Counted("two"), worker_processes=2)
    assert worker.failed == ["Counted(what=killed)"] and worker.outcomes["made"] == {"Counted": 2}
    pids = {Path(Counted(what).output().path).read_text() for what in ("one", "two")}
    assert len(pids) == 2 and str(os.getpid()) not in pids


def test_a_task_that_is_no_step_is_run_and_not_counted(declare, tmp_path):
    class PlainTask(luigi.Task):
        what = "plain"

        def output(self):
            return luigi.LocalTarget(tmp_path / "plain.txt")

        def run(self):
            with self.output().open("w") as file:
                file.write("x")

    worker = run(PlainTask())
    assert worker.noted == [("started", "plain"), ("DONE", "plain")]
    assert (
        worker.outcomes == {"made": {}, "unchanged": {}} and worker.failed == [] and (tmp_path / "plain.txt").exists()
    )
