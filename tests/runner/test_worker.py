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

    def on_finished(self, task, is_done, outcome):
        super().on_finished(task, is_done, outcome)
        self.noted.append(("done" if is_done else outcome.failure, task.what))


def run(*tasks, **options) -> Noting:
    with Noting(scheduler=luigi.scheduler.Scheduler(), **options) as worker:
        for task in tasks:
            worker.add(task)
        worker.run()
    return worker


class Speaking(Counted):
    """A step that has something of its own to say of its success and of its failure."""

    def on_success(self):
        return {"outcome": "unchanged", "seconds": "ages"}

    def on_failure(self, exception):
        return None


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", [Counted, Speaking])
def test_outcomes_are_counted_whatever_on_success_and_on_failure_return(declare, workers, kind):
    worker = run(kind("one"), kind("bad"), worker_processes=workers)
    name = kind.__name__
    assert worker.outcomes == {"made": {name: 1}, "unchanged": {}} and worker.failed == [f"{name}(what=bad)"]
    assert list(worker.seconds) == [f"{name}(what=one)"] and worker.seconds[f"{name}(what=one)"] >= 0
    (why,) = (event for event, what in worker.noted if what == "bad" and event != "started")
    assert "ValueError: no such number" in why


@pytest.mark.parametrize("workers", [1, 2])
def test_outcomes_seconds_and_failures_are_counted(declare, workers):
    worker = run(Counted("after"), Counted("bad"), worker_processes=workers)
    assert worker.outcomes == {"made": {"Counted": 2}, "unchanged": {}}
    assert worker.seconds.keys() == {"Counted(what=good)", "Counted(what=after)"}
    assert worker.failed == ["Counted(what=bad)"] and worker.root == Counted("after")
    assert {str(one) for one in worker.scheduled_tasks} == {f"Counted(what={w})" for w in ("after", "good", "bad")}
    assert sorted(what for event, what in worker.noted if event == "started") == ["after", "bad", "good"]
    assert {(event, what) for event, what in worker.noted if event == "done"} == {("done", "good"), ("done", "after")}
    assert worker.noted.index(("done", "good")) < worker.noted.index(("started", "after"))
    (why,) = (event for event, what in worker.noted if what == "bad" and event != "started")
    assert why.startswith("Counted(what=bad): ValueError: no such number (test_worker.py, line ")
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


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_of_luigis_own_that_ran_are_counted(declare, tmp_path, workers):
    class PlainTask(luigi.Task):
        what = luigi.Parameter(default="plain")
        # A name that a lab may have for anything.
        run_outcome = luigi.Parameter(default="correct")

        def output(self):
            return luigi.LocalTarget(tmp_path / f"{self.what}.txt")

        def run(self):
            if self.what == "bad":
                raise ValueError("no such number")
            with self.output().open("w") as file:
                file.write("x")

    class Both(luigi.WrapperTask):
        what = "both"

        def requires(self):
            return PlainTask(), PlainTask("other")

    worker = run(Both(), PlainTask("bad"), worker_processes=workers)
    assert worker.outcomes == {"made": {"PlainTask": 2}, "unchanged": {}} and worker.seconds == {}
    assert worker.failed == ["PlainTask(what=bad)"]
    assert run(Both(), worker_processes=workers).outcomes == {"made": {}, "unchanged": {}}
