"""The scheduler of luigid, in memory."""

import logging
import pickle
import time

import pytest
from luigi.scheduler import DONE, FAILED, PENDING, RUNNING

from neuroluigi.runner.luigid import Scheduler, _identity


def test_a_folder_whose_identity_was_half_written_gets_one(tmp_path):
    (tmp_path / ".luigid").touch()
    first = _identity(tmp_path)
    assert len(first) == 16 and _identity(tmp_path) == first


def scheduler_with_two_runs() -> Scheduler:
    """Return a scheduler with runs X and Y, both of which want c, which rests on b, which rests on a."""
    scheduler = Scheduler(worker_disconnect_delay=10, retry_delay=-1, prune_on_get_work=True)
    for run in "XY":
        scheduler.add_worker(run, [("workers", 1)])
        for name, deps in (("a", []), ("b", ["a"]), ("c", ["b"])):
            scheduler.add_task(task_id=name, deps=deps, worker=run, family=name)
    return scheduler


def ask(scheduler: Scheduler, run: str) -> tuple:
    """Return the step that a run is given, how many (with it) it may wait for, how many run, whether it is known."""
    reply = scheduler.get_work(worker=run)
    return reply["task_id"], reply["n_pending_tasks"], len(reply["running_tasks"]), reply["is_known"]


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = time.time()

    monkeypatch.setattr(time, "time", lambda: Clock.now)
    return Clock


def test_a_step_of_a_run_that_is_silent_goes_to_another_one(clock):
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X") == ("a", 3, 0, True)
    assert ask(scheduler, "Y") == (None, 2, 1, True)
    clock.now += 9
    assert ask(scheduler, "Y") == (None, 2, 1, True)
    clock.now += 2
    assert ask(scheduler, "Y") == ("a", 3, 0, True)
    # It comes back: it is told to tell of itself again, and what it says meanwhile does no harm.
    scheduler.add_task(task_id="a", status=FAILED, worker="X")
    assert ask(scheduler, "X")[3] is False
    assert scheduler.task_list()["a"]["status"] == RUNNING


def test_a_step_of_a_run_that_leaves_goes_to_another_one_at_once():
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X")[0] == "a"
    scheduler.ping(worker="X", is_leaving=True)
    assert [one["name"] for one in scheduler.worker_list()] == ["Y"]
    assert ask(scheduler, "Y") == ("a", 3, 0, True)


def test_nobody_waits_for_what_a_failed_step_or_a_missing_input_bars():
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X")[0] == "a"
    scheduler.add_task(task_id="a", status=FAILED, worker="X", runnable=None)
    assert ask(scheduler, "Y") == (None, 0, 0, True)
    # The next run tries it again, and those that are still there help.
    scheduler.add_worker("Z", [("workers", 1)])
    for name, deps in (("a", []), ("b", ["a"]), ("c", ["b"])):
        scheduler.add_task(task_id=name, deps=deps, worker="Z", family=name)
    assert ask(scheduler, "Y") == ("a", 3, 0, True)
    scheduler.add_task(task_id="a", status=DONE, worker="Y", runnable=None)
    # A task that no run can run, such as an external one.
    scheduler.add_task(task_id="c", deps=["b", "file"], worker="Z", family="c")
    scheduler.add_task(task_id="file", status=PENDING, runnable=False, worker="Z", family="file")
    assert ask(scheduler, "Z") == ("b", 1, 0, True)


def test_what_is_saved_is_what_was_known(tmp_path, clock):
    scheduler = scheduler_with_two_runs()
    assert ask(scheduler, "X")[0] == "a"
    scheduler._state._state_path = str(tmp_path / "state")
    scheduler.dump()
    assert pickle.loads((tmp_path / "state").read_bytes())
    clock.now += 1000
    other = Scheduler(state_path=str(tmp_path / "state"), worker_disconnect_delay=10, retry_delay=-1)
    other.load()
    assert ask(other, "Y") == (None, 2, 1, True)
    other.add_task(task_id="a", status=DONE, worker="X", runnable=None)
    assert ask(other, "Y") == ("b", 2, 0, True)


@pytest.mark.parametrize(
    ("saved", "why"),
    [
        # A task of the release before, whose modules were elsewhere.
        (b"cneuroluigi.scheduling\nTask\n.", "No module named 'neuroluigi.scheduling'"),
        (b"\x80\x04half", ""),
        (b"", "Ran out of input"),
    ],
)
def test_what_can_not_be_read_is_refused_in_one_line_and_the_runs_register_again(tmp_path, caplog, saved, why):
    (tmp_path / "state").write_bytes(saved)
    scheduler = Scheduler(state_path=str(tmp_path / "state"))
    with caplog.at_level(logging.WARNING, "luigi.scheduler"):
        scheduler.load()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{tmp_path / 'state'} is not used: it is damaged or of another release ({why}")
    assert line.endswith("); the runs register again") and "\n" not in line and not scheduler.task_list()
    scheduler.add_task(task_id="a", worker="X", family="a")
    scheduler.dump()
    scheduler.load()
    assert list(scheduler.task_list()) == ["a"]


def test_where_nothing_was_saved_nothing_is_said(tmp_path, caplog):
    Scheduler(state_path=str(tmp_path / "state")).load()
    assert not caplog.records
