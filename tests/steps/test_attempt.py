"""One attempt at a step: what a failure leaves, full disks, two runs at once."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import luigi
import psutil
import pytest

from neuroluigi import DamagedError, GroupTask, RunStopped, StudyTask
from neuroluigi.provenance import state
from neuroluigi.provenance.commit import folder_lock
from neuroluigi.steps.attempt import MADE, UNCHANGED
from neuroluigi.steps.base import StepError
from neuroluigi.steps.plan import status_of
from neuroluigi.steps.target import WritingError
from tests.conftest import Pipeline

STEP = """
from neuroluigi import GroupTask, ResultTarget

class Step(GroupTask):
    def output(self):
        return self.result("step.txt")

    def make(self, out):
        {body}
"""


@pytest.fixture
def lab(tmp_path):
    """A folder whose tasks.py has one step, with a body that the test sets."""
    pipeline = Pipeline(tmp_path / "lab")

    def write(body):
        (pipeline.folder / "tasks.py").write_text(STEP.format(body=body))
        return pipeline

    return write


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and FIFOs")
@pytest.mark.parametrize(
    "body, why",
    [
        (
            "import os; os.symlink(os.path.abspath('mine'), out)",
            "step.txt is a link, which is not followed: make() has",
        ),
        ("import os; os.mkfifo(out)", "step.txt is neither a file nor a folder: make() has"),
    ],
)
def test_what_is_written_as_a_link_or_no_file_fails_the_step(lab, body, why):
    pipeline = lab(body)
    (pipeline.folder / "mine").write_text("mine")
    assert why in pipeline.run("Step", "--group", "g", code=30)
    assert [path.name for path in (pipeline.results / "g").iterdir()] == ["runs"]
    assert (pipeline.folder / "mine").read_text() == "mine"


def test_a_failure_names_reason_and_log_and_keeps_the_log(lab):
    pipeline = lab("print('halfway'); out.write_text('half'); raise KeyError('spam')")
    out = pipeline.run("Step", "--group", "g", code=30)
    line = next(line for line in out.splitlines() if line.startswith("ERROR"))
    assert line.startswith("ERROR: Step(group=g): KeyError: 'spam' (tasks.py, line 9)")
    assert "see results/g/runs/Step.failed.log" in line and "Traceback" not in out
    runs = pipeline.results / "g" / "runs"
    assert sorted(p.name for p in runs.iterdir()) == ["Step.failed.json", "Step.failed.log"]
    log = (runs / "Step.failed.log").read_text()
    assert log.startswith("halfway\n") and "Traceback" in log and "KeyError" in log
    record = json.loads((runs / "Step.failed.json").read_text())
    assert "KeyError: 'spam'" in record["error"] and record["parameters"] == {"group": "g"}
    assert [p.name for p in (pipeline.results / "g").iterdir()] == ["runs"]

    lab("print('again'); out.write_text('whole')").run("Step", "--group", "g")
    assert sorted(p.name for p in runs.iterdir()) == [".lock", "Step.json", "Step.log"]
    assert (runs / "Step.log").read_text() == "again\n"


class AttemptStep(GroupTask):
    """A step whose make() is a function that the test sets."""

    body: Callable

    def output(self):
        return self.result("step.txt")

    def make(self, out):
        type(self).body(out)


@pytest.fixture
def run_step(declare, monkeypatch):
    """Return a function that runs the step in this process, with that body, and returns the outcome."""

    def run_step(body):
        monkeypatch.setattr(AttemptStep, "body", staticmethod(body), raising=False)
        step = AttemptStep("g")
        step.run()
        return step.run_outcome.what

    return run_step


def fail(error):
    def body(out):
        out.write_text("half")
        raise error

    return body


def write_to_final(out):
    Path(AttemptStep("g").output().path).write_text("written by make itself")


def write_to_final_and_fail(out):
    write_to_final(out)
    raise ValueError("no")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (write_to_final, r"make\(\) wrote to step.txt itself: write to the path in `out`"),
        (write_to_final_and_fail, "ValueError: no"),
    ],
)
@pytest.mark.parametrize("is_there", [False, True])
def test_what_make_writes_to_the_final_path_itself_is_put_aside_and_never_taken_as_done(
    run_step, tmp_path, body, reason, is_there
):
    folder = tmp_path / "results" / "g"
    if is_there:
        run_step(lambda out: out.write_text("right"))
        record = (folder / "runs" / "AttemptStep.json").read_text()
        (folder / "runs" / "AttemptStep.json").write_text(record.replace('"group": "g"', '"group": "another"'))
    with pytest.raises(StepError, match=reason):
        run_step(body)
    assert (folder / "step.txt.damaged").read_text() == "written by make itself"
    assert not (folder / "step.txt").exists() and not AttemptStep("g").complete()


class FirstOfTwo(GroupTask):
    """A step that another one shares a file with, which no run has both of."""

    def output(self):
        return self.result("shared.txt")

    def make(self, out):
        out.write_text(type(self).__name__)


class SecondOfTwo(FirstOfTwo):
    pass


class WithNumber(FirstOfTwo):
    number = luigi.IntParameter()
    filename_parameters = ("number",)

    def make(self, out):
        out.write_text(f"{self.number}")


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (FirstOfTwo("g"), SecondOfTwo("g"), "FirstOfTwo"),
        (WithNumber("g", 1), WithNumber("g", 2), "WithNumber-1"),
    ],
    ids=["another step", "other parameters"],
)
def test_a_file_that_another_result_has_made_is_not_taken_as_done(declare, first, second, name):
    first.run()
    status = status_of(second)
    assert (status.state, status.todo) == (state.STALE, state.MAKE)
    assert [one.text for one in status.reasons] == [f"shared.txt is a result of {name}"]
    second.run()
    assert second.run_outcome.what == MADE and second.complete() and not status_of(first).is_simply_done


def test_a_make_that_returns_what_would_yield_has_failed(run_step, monkeypatch):
    monkeypatch.setattr(AttemptStep, "make", lambda self, out: (out.write_text("x") for _ in range(3)))
    with pytest.raises(StepError, match="returned a generator, which nothing runs"):
        AttemptStep("g").run()


def test_a_step_is_made_once(run_step):
    assert run_step(lambda out: out.write_text("whole")) == MADE
    assert run_step(fail(ValueError("not called"))) == UNCHANGED
    assert Path(AttemptStep("g").output().path).read_text() == "whole"


def test_a_failure_leaves_an_older_result_of_another_file_of_the_step_alone(run_step):
    run_step(lambda out: out.write_text("old"))
    record = AttemptStep("g").record_path.read_bytes()
    Path(AttemptStep("g").output().path).unlink()
    with pytest.raises(StepError):
        run_step(fail(ValueError("no")))
    assert AttemptStep("g").record_path.read_bytes() == record


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda out: None, "was not written"),
        (lambda out: out.touch(), "is empty"),
        (lambda out: out.mkdir(), "is a folder; a result is a file"),
    ],
)
def test_success_without_a_result_is_a_failure(run_step, tmp_path, body, message):
    with pytest.raises(StepError, match=message):
        run_step(body)
    assert [path.name for path in (tmp_path / "results" / "g").iterdir()] == ["runs"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(0), r"AttemptStep\(group=g\): SystemExit: 0 \(test_attempt\.py, line \d+\); see"),
        (KeyError("spam"), r"AttemptStep\(group=g\): KeyError: 'spam' \(test_attempt\.py, line \d+\); see"),
        (OSError("no disk"), r"AttemptStep\(group=g\): no disk; see"),
        (RunStopped("luigi: no groups"), r"AttemptStep\(group=g\): luigi: no groups; see"),
        (DamagedError("step.txt is odd"), r"AttemptStep\(group=g\): step\.txt is odd; see"),
    ],
)
def test_whatever_a_step_raises_fails_the_step_with_its_reason(run_step, tmp_path, error, message):
    with pytest.raises(StepError, match=message):
        run_step(fail(error))
    runs = tmp_path / "results" / "g" / "runs"
    assert json.loads((runs / "AttemptStep.failed.json").read_text())["log"] == "AttemptStep.failed.log"
    assert "Traceback" in (runs / "AttemptStep.failed.log").read_text()
    assert run_step(lambda out: out.write_text("whole")) == MADE
    assert [path.name for path in runs.iterdir() if path.suffix] == ["AttemptStep.json"]


def test_what_its_target_writes_while_a_step_is_made_is_committed_or_lost_with_the_rest(run_step):
    target = AttemptStep("g").output()

    def write(text, error=None):
        def body(out):
            with AttemptStep("g").output().open("w") as file:
                file.write(text)
            assert out.read_text() == text and not target.exists()
            if error:
                raise error

        return body

    with pytest.raises(StepError, match="KeyError"):
        run_step(write("half", KeyError()))
    assert not target.exists()
    assert run_step(write("whole")) == MADE and target.load() == "whole"
    with pytest.raises(WritingError):
        target.open("w")


@pytest.mark.parametrize(
    "body",
    [
        lambda out: out.with_name(f"{out.name}/below").write_text("no such folder"),
        lambda out: fail(ValueError(f"no line in {out}"))(out),
        lambda out: fail(StepError(f"sort failed, the last it printed:\nno room for {out.name}\n{out}"))(out),
        lambda out: fail(DamagedError(f"{out.name} is odd"))(out),
        lambda out: out.mkdir(),
    ],
)
def test_errors_name_the_file_as_it_will_be_called(run_step, tmp_path, body):
    with pytest.raises(StepError, match=r"step\.txt") as failed:
        run_step(body)
    runs = tmp_path / "results" / "g" / "runs"
    note = json.loads((runs / "AttemptStep.failed.json").read_text())["error"]
    assert note in str(failed.value) and ".part-" not in f"{failed.value} {note}"


def test_no_temporary_name_is_shown_of_a_step_that_failed(pipeline):
    pipeline.add(
        """
import sys

class Program(StudyTask, CommandTask):
    command = sys.executable
    def output(self):
        return self.result("study.txt")
    def arguments(self, out):
        return ["-c", "import sys; sys.exit(f'can not write {sys.argv[1]}')", out]
"""
    )
    out = pipeline.run("Program", code=30)
    assert "can not write" in out and "study/study.txt" in out and ".part-" not in out
    assert ".part-" not in (pipeline.results / "run.log").read_text()
    assert ".part-" in (pipeline.results / "study" / "runs" / "Program.failed.log").read_text()


def test_what_prints_nothing_has_no_log_and_leaves_none_of_before(run_step, tmp_path):
    def loud(out):
        print("loud")
        out.write_text("whole")

    log = tmp_path / "results" / "g" / "runs" / "AttemptStep.log"
    run_step(loud)
    assert log.read_text() == "loud\n"
    Path(AttemptStep("g").output().path).unlink()
    run_step(lambda out: out.write_text("whole"))
    assert not log.exists() and AttemptStep("g").complete()


def test_the_log_grows_while_the_step_runs(lab):
    pipeline = lab("import time; print('first line'); time.sleep(300)")
    process = pipeline.start("Step", "--group", "g")
    deadline = time.monotonic() + 60
    while not any("first line" in p.read_text() for p in pipeline.results.glob("g/runs/Step*.log")):
        assert time.monotonic() < deadline, "the line is not in the log"
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=60)


def test_an_input_that_changes_while_it_is_read_fails_the_step(pipeline):
    tasks = pipeline.folder / "tasks.py"
    tasks.write_text(
        tasks.read_text()
        + """
from neuroluigi import GroupTask

class Meddling(GroupTask):
    def requires(self):
        return Stats(self.group)
    def output(self):
        return self.result("meddling.txt")
    def make(self, out):
        out.write_text("x")
        with open(self.input().path, "a") as file:
            file.write(" ")
"""
    )
    out = pipeline.run("Meddling", "--group", "a-even", "--matlab-engine", "numpy", code=30)
    assert "stats.json was changed while it was being read" in out


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not mount or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root on Linux alone")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("engine", ["numpy", "octave"])
def test_a_full_disk_fails_with_a_message_and_loses_nothing(pipeline, small_disk, engine):
    if engine == "octave" and not shutil.which("octave-cli"):
        pytest.skip("octave-cli is not installed")
    arguments = ["PlotAll", "--results-root", small_disk, "--matlab-engine", engine, "--FakeRecording-bytes", "20000"]
    out = pipeline.run(*arguments, code=30)
    assert "No space left on device" in out or "is the disk full?" in out
    assert "Traceback" not in out
    whole = {p for p in small_disk.rglob("*") if p.is_file() and "runs" not in p.parts}
    assert not [p for p in whole if ".part-" in p.name]
    assert all(p.stat().st_size == 40000 for p in whole if p.name == "aggregate.bin")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    pipeline.run(*arguments)
    assert len(list(small_disk.glob("*/plot.png"))) == 10


def test_a_disk_that_gets_full_in_the_middle_of_a_folder_loses_nothing(pipeline, small_disk):
    pipeline.add(
        """
class Folder(StudyTask):
    files = luigi.IntParameter(default=2)
    def output(self):
        return self.result_folder("folder")
    def make(self, out):
        for number in range(self.files):
            (out / f"{number}.bin").write_bytes(bytes(8192))
"""
    )
    arguments = ["Folder", "--results-root", small_disk]
    pipeline.run(*arguments)
    out = pipeline.run(*arguments, "--files", "20", code=30)
    assert "No space left on device" in out and "Traceback" not in out and ".part-" not in out
    assert sorted(path.name for path in (small_disk / "study").iterdir()) == ["folder", "runs"]
    assert len(list((small_disk / "study" / "folder").iterdir())) == 2
    assert "unchanged" not in pipeline.run(*arguments)


def test_two_runs_that_make_one_folder_both_end_well(pipeline):
    pipeline.add(
        """
class Folder(StudyTask):
    def output(self):
        return self.result_folder("folder")
    def make(self, out):
        import os, time
        (out / "a.txt").write_text("a")
        # Until both are here.
        (self.folder.parent / f"here-{os.getpid()}").touch()
        while len(list(self.folder.parent.glob("here-*"))) < 2:
            time.sleep(0.01)
"""
    )
    processes = [pipeline.start("Folder") for _ in range(2)]
    for process in processes:
        out = process.communicate(timeout=120)[0]
        assert process.returncode == 0, out
    study = pipeline.results / "study"
    assert sorted(path.name for path in study.iterdir()) == ["folder", "runs"]
    assert (study / "folder" / "a.txt").read_text() == "a"


class Held(StudyTask):
    while_it_is_made = None

    def output(self):
        return self.result("held.txt")

    def make(self, out):
        out.write_text("held")
        if self.while_it_is_made:
            self.while_it_is_made()


def test_a_commit_of_another_run_that_is_under_way_is_no_write_of_make(declare, tmp_path):
    declare("results", root=tmp_path / "results")
    step = Held()
    step.run()
    path, is_held, may_end = Path(step.output().path), Event(), Event()

    def commit():
        # It has written its record, and not renamed its file yet.
        with folder_lock(step.record_path.parent):
            path.rename(tmp_path / "part")
            is_held.set()
            # The step waits for it by the lock, and would else go on.
            may_end.wait(1)
            (tmp_path / "part").rename(path)

    other = Thread(target=commit)
    other.start()
    is_held.wait()
    step.while_it_is_made = lambda: (may_end.set(), other.join())
    step.run()
    assert step.run_outcome.what == UNCHANGED and sorted(one.name for one in path.parent.iterdir()) == [
        "held.txt",
        "runs",
    ]


def test_a_file_that_another_run_writes_before_its_record_is_no_write_of_make(declare, tmp_path):
    declare("results", root=tmp_path / "results")
    step = Held()
    step.run()
    path, is_written, may_end = Path(step.output().path), Event(), Event()
    path.unlink()

    def write():
        # As places in aggregate.json are written anew.
        with folder_lock(step.record_path.parent):
            path.write_text("held")
            is_written.set()
            may_end.wait(1)
            os.utime(step.record_path)

    other = Thread(target=write)
    step.while_it_is_made = lambda: (other.start(), is_written.wait())
    step.run()
    may_end.set()
    other.join()
    assert step.run_outcome.what and sorted(one.name for one in path.parent.iterdir()) == ["held.txt", "runs"]


def test_two_runs_at_the_same_time_both_end_well(pipeline):
    arguments = ["PlotAll", "--matlab-engine", "numpy", "--workers", "2", "--FakeRecording-sessions", "a,b"]
    processes = [pipeline.start(*arguments) for _ in range(2)]
    for process in processes:
        out = process.communicate(timeout=120)[0]
        assert process.returncode == 0, out
    together = pipeline.files()
    shutil.rmtree(pipeline.results)
    pipeline.run(*arguments)
    assert pipeline.files() == together


def test_a_worker_dies_with_luigi_even_while_it_computes(lab):
    """SIGKILL of luigi: a Python step in a forked worker ends as well."""
    body = "import os, time; print(os.getpid()); end = time.time() + 300\n        while time.time() < end: pass"
    pipeline = lab(body)
    process = pipeline.start("Step", "--group", "g", "--worker-force-multiprocessing")
    deadline = time.monotonic() + 60
    while not (pids := [p.read_text() for p in pipeline.results.glob("g/runs/Step*.log") if p.read_text()]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(pids[0])):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)
    process.communicate(timeout=60)
