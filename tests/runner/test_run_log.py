"""results/run.json and results/run.log: what the last run leaves of itself."""

import json
import logging
import os
import signal
import subprocess
import sys

import psutil
import pytest

from neuroluigi.provenance import run_lock
from neuroluigi.provenance.record import describe_host, package_versions, read_record
from neuroluigi.provenance.run_record import git_state, read_run_record, run_log_path, run_record_path, was_killed
from neuroluigi.runner.run_log import RunLog
from tests.conftest import Pipeline, folders, is_running
from tests.runner.test_run import START_METHOD, run_code, wait_for

NUMPY = ("--matlab-engine", "numpy")


def left_by(lab):
    """Return what the files hold, and when they were written."""
    paths = (run_record_path(lab.results), run_log_path(lab.results))
    return [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]


def test_a_run_leaves_its_record_and_its_log_and_one_with_nothing_to_do_leaves_them_alone(pipeline):
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@lab"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "begin"]):
        subprocess.run([*git, *arguments], cwd=pipeline.folder, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=pipeline.folder, capture_output=True, text=True).stdout
    out = pipeline.run("Edges", "--group", "a-odd", "--threshold", "0.6", "--matlab-seats", "3", *NUMPY)
    record = read_run_record(pipeline.results)
    arguments = ["Edges", "--group", "a-odd", "--threshold", "0.6", "--matlab-seats", "3", *NUMPY]
    assert record["command"] == ["luigi", "--module", "tasks", *arguments, "--local-scheduler"]
    assert (record["folder"], record["root"], record["workers"]) == (str(pipeline.folder), "Edges", 1)
    assert record["git"] == {"commit": commit.strip(), "is_clean": True}
    assert record["made"] == {"Aggregate": 1, "Edges": 1, "FakeRecording": 2, "Stats": 1}
    assert (record["unchanged"], record["failed"], record["exit_code"], record["log"]) == ({}, [], 0, "run.log")
    assert record["host"] == describe_host() and record["versions"] == package_versions()
    of_step = read_record(pipeline.results / "a-odd" / "runs" / "Edges.json")
    assert record["started"] <= of_step["started"] <= of_step["ended"] <= record["ended"]
    settings = {one["name"]: (one["value"], one["source"]) for one in record["settings"]}
    assert settings["[Edges] threshold"] == ("0.6", "command line") and settings["[matlab] seats"][0] == "3"
    assert settings["[Edges] group"] == ("a-odd", "command line")
    assert settings["[recordings] dtype"] == ("uint8", "luigi.cfg") and settings["[Edges] level"] == ("", "luigi.cfg")
    # Each line of the log has a time, and then what the terminal saw.
    log = run_log_path(pipeline.results).read_text().splitlines()
    said = [line.split(" ", 2)[2] for line in log if " made in " in line]
    assert said == [line for line in out.splitlines() if " made in " in line] and len(said) == 5
    before = left_by(pipeline)
    pipeline.run("Edges", "--group", "a-odd", "--threshold", "0.6", *NUMPY)
    assert left_by(pipeline) == before
    # A result that is as it was is "unchanged"; a lab with a change of its own is not clean.
    (pipeline.results / "a-odd" / "stats.json").unlink()
    (pipeline.folder / "matlab" / "mine.m").write_text("% mine")
    pipeline.run("Edges", "--group", "a-odd", "--threshold", "0.6", *NUMPY)
    record = read_run_record(pipeline.results)
    assert (record["made"], record["unchanged"]) == ({"Stats": 1}, {"Edges": 1}) and not record["git"]["is_clean"]
    assert run_log_path(pipeline.results).read_text().count(" made in ") == 1


ONE = """
import os, time
from neuroluigi import StudyTask

class One(StudyTask):
    def output(self):
        return self.result("one.txt")
    def make(self, out):
        {make}
        out.write_text("1")
"""


@pytest.fixture
def lab(tmp_path):
    return Pipeline(tmp_path)


def give(lab, make):
    (lab.folder / "tasks.py").write_text(ONE.format(make=make))


def test_a_run_that_fails_says_so(lab):
    give(lab, "1 / 0")
    lab.run("One", code=30)
    record = read_run_record(lab.results)
    assert (record["made"], record["failed"], record["exit_code"]) == ({}, ["One()"], 30)
    assert record["seconds"] > 0 and "ERROR: One(): ZeroDivisionError" in run_log_path(lab.results).read_text()


def test_a_line_that_can_not_be_formatted_fails_no_step(lab):
    give(lab, "import logging; logging.getLogger('luigi-interface').info('%d samples', 'many')")
    assert "Made: 1 One." in lab.run("One")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_step_says_of_how_far_it_is_can_be_anything(lab, workers):
    """Numbers are told; what is none fails neither the step nor the run, and of none of it a file stays."""
    told = "(1, 10, 'one'), (float('nan'), 10, 'nan'), (None, 10, 'none'), ('x', 2, 3), (numpy.int64(3), 10, 4)"
    give(lab, f"import numpy; [(self.report_progress(*told), time.sleep(0.4)) for told in ({told})]")
    out = lab.run("One", "--workers", workers, *("--worker-force-multiprocessing",) * (workers == 2))
    assert "Made: 1 One." in out and "One(): 1/10 one" in out and "nan" not in out and "none" not in out
    assert [path.name for path in (lab.results / "study" / "runs").iterdir() if "progress" in path.name] == []


def test_secrets_are_not_written_down(lab):
    give(lab, "pass")
    tasks = lab.folder / "tasks.py"
    secret = (
        "    key = luigi.Parameter('', visibility=luigi.parameter.ParameterVisibility.PRIVATE, significant=False)\n"
    )
    tasks.write_text("import luigi\n" + tasks.read_text().replace("    def output", f"{secret}    def output", 1))
    for words in (["--One-key", "s3cret"], ["--key=s3cret"], ["--key", "s3cret"]):
        (lab.results / "study" / "one.txt").unlink(missing_ok=True)
        lab.run("One", *words)
        assert read_run_record(lab.results)["command"][4].endswith(("***", "-key", "--key"))
        assert not [path for path in lab.results.rglob("*") if path.is_file() and "s3cret" in path.read_text()]


def test_a_default_of_another_type_than_declared_ends_no_run(lab):
    give(lab, "pass")
    tasks = lab.folder / "tasks.py"
    mode = "class Mode(enum.Enum):\n    fast = 1\n"
    odd = "class Odd(StudyTask):\n    mode = luigi.EnumParameter(enum=Mode, default='fast')\n"
    tasks.write_text(f"import enum, luigi\n{tasks.read_text()}\n{mode}\n{odd}")
    assert "Made: 1 One." in lab.run("One")
    assert {"name": "[Odd] mode", "value": "fast", "source": "default"} in read_run_record(lab.results)["settings"]


def test_a_folder_whose_name_is_no_text(lab):
    give(lab, "pass")
    root = os.fsdecode(b"res\xff")
    assert "Made: 1 One." in lab.run("One", "--results-root", root)
    assert read_run_record(lab.folder / root)["command"][-2] == root
    assert "Nothing to make" in lab.run("One", "--results-root", root)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended(lab, number):
    give(lab, "self.report_progress(1, 2); time.sleep(600)")
    run = lab.start("One")
    wait_for(lambda: read_run_record(lab.results))
    record = read_run_record(lab.results)
    assert "ended" not in record and "exit_code" not in record and not was_killed(lab.results, record)
    run.send_signal(number)
    run.communicate(timeout=60)
    record = read_run_record(lab.results)
    assert was_killed(lab.results, record) == (number == signal.SIGKILL)
    assert number == signal.SIGKILL or (record["exit_code"] == 130 and record["ended"] > record["started"])
    # What a kill leaves is known for what it is.
    if number == signal.SIGKILL:
        (lab.results / f"run.part-{record['run']}-01234567.json").touch()
    give(lab, "pass")
    lab.run("One")
    assert {path.name for path in (lab.results / "study" / "runs").iterdir()} == {".lock", "One.json"}
    assert folders(lab.results) == ["study"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_whose_groups_are_told_on_the_command_line_is_interrupted(pipeline, workers):
    (pipeline.folder / "real" / "mine").mkdir(parents=True)
    (pipeline.folder / "real" / "mine" / "rec_0.bin").write_bytes(bytes(100))
    with (pipeline.folder / "tasks.py").open("a") as tasks:
        tasks.write("\nEdges.make = lambda self, out: __import__('time').sleep(600)\n")
    run = pipeline.start("PlotAll", "--recordings-root", "real", "--workers", workers, *NUMPY)
    wait_for(lambda: (pipeline.results / "mine" / "stats.json").exists())
    wait_for(lambda: list((pipeline.results / "mine" / "runs").glob("Edges.part-*")))
    run.send_signal(signal.SIGINT)
    out = run.communicate(timeout=60)[0]
    assert run.returncode == 130 and "interrupted; what is finished stays" in out and "no group" not in out, out
    record = read_run_record(pipeline.results)
    assert record["exit_code"] == 130 and record["made"] == {"Aggregate": 1, "Stats": 1}


# Where Python swallows the exception of a signal: while it collects an object.
SWALLOWING = """
import pathlib, time

class Swallows:
    def __del__(self):
        pathlib.Path("importing").touch()
        time.sleep(2)

Swallows()
"""


def test_an_interrupt_is_not_lost_while_the_run_imports_what_steps_will(lab):
    (lab.folder / "swallowing.py").write_text(SWALLOWING)
    give(lab, "time.sleep(600)")
    tasks = lab.folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace("    def output", "    preload = ('swallowing',)\n\n    def output"))
    run = lab.start("One", "--workers", "2", "--worker-force-multiprocessing")
    wait_for((lab.folder / "importing").exists)
    run.send_signal(signal.SIGINT)
    out = run.communicate(timeout=60)[0]
    assert run.returncode == 130 and "interrupted; what is finished stays" in out, out


def test_an_interrupt_that_was_lost_comes_again(lab):
    (lab.folder / "swallowing.py").write_text(SWALLOWING)
    give(lab, "import swallowing; time.sleep(600)")
    run = lab.start("One")
    wait_for((lab.folder / "importing").exists)
    run.send_signal(signal.SIGTERM)
    out = run.communicate(timeout=120)[0]
    assert run.returncode == 130 and "interrupted; what is finished stays" in out, out


def test_a_step_that_does_not_end_when_it_is_told_to_is_killed(lab):
    give(lab, "swallow()")
    with (lab.folder / "tasks.py").open("a") as tasks:
        tasks.write(
            "\ndef swallow():\n    while True:\n        try:\n            open('begun', 'w').close()\n"
            "            time.sleep(600)\n        except KeyboardInterrupt:\n            pass\n"
        )
    run = lab.start("One", "--workers", "2", "--worker-force-multiprocessing")
    wait_for((lab.folder / "begun").exists)
    (child,) = psutil.Process(run.pid).children()
    run.send_signal(signal.SIGINT)
    out = run.communicate(timeout=60)[0]
    assert run.returncode == 130 and "interrupted; what is finished stays" in out, out
    assert not is_running(child.pid)


def test_what_can_not_be_written_fails_no_run(lab):
    give(lab, "pass")
    # One that is no file, and one on a disk that is full.
    run_record_path(lab.results).mkdir(parents=True)
    run_log_path(lab.results).symlink_to("/dev/full")
    out = lab.run("One")
    assert "Made: 1 One." in out and "Traceback" not in out
    assert read_run_record(lab.results) is None and not list(lab.results.glob("*.part-*"))


def test_processes_that_are_spawned_write_to_the_log_too(lab):
    give(lab, "pass")
    code = START_METHOD.format(method="spawn", module="neuroluigi.runner.run", function="main")
    done = run_code(lab.folder, code, "One", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert run_log_path(lab.results).read_text().count("INFO: One() made in") == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": 1}', '{"schema": 99, "started": ""}', '{"schema": "1"}']
)
def test_a_foreign_record_is_not_known(tmp_path, content):
    run_record_path(tmp_path).write_text(content)
    assert read_run_record(tmp_path) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"started": "2026-11-26T11:00:00"},
        {"ended": 5},
        {"seconds": float("nan")},
        {"git": "a commit"},
        {"log": "\ud800"},
        {"log": 5},
        {"host": []},
    ],
)
def test_a_record_that_was_damaged_is_not_known(lab, changes):
    give(lab, "pass")
    lab.run("One")
    path = run_record_path(lab.results)
    assert read_run_record(lab.results)
    path.write_text(json.dumps({**read_run_record(lab.results), **changes}))
    assert read_run_record(lab.results) is None


def test_the_log_is_emptied_where_no_other_run_is_at_work(tmp_path):
    with run_lock.side_by_side(tmp_path, {}, "luigi A"):
        assert run_lock.others(tmp_path) == [] and len(run_lock.running(tmp_path)) == 1
        code = "import pathlib, sys; from neuroluigi.provenance.run_lock import others; "
        code += "print(others(pathlib.Path(sys.argv[1])))"
        assert "luigi A, process" in subprocess.check_output([sys.executable, "-c", code, tmp_path], text=True)
    path = run_log_path(tmp_path)
    path.write_text("of another run\n")
    for is_emptied, expected in ((False, ["of another run", "early", "late"]), (True, ["early", "late"])):
        log = RunLog()
        log.setFormatter(logging.Formatter("%(message)s"))
        log.emit(logging.makeLogRecord({"msg": "early"}))
        log.open(path, is_emptied=is_emptied)
        log.emit(logging.makeLogRecord({"msg": "late"}))
        log.close()
        assert path.read_text().splitlines() == expected


def test_git_is_asked_of_the_code_alone(tmp_path):
    assert git_state(tmp_path, []) == {}
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@lab"]
    for arguments in (["init", "-q"], ["commit", "-qm", "begin", "--allow-empty"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True)
    data = tmp_path / "re*sults [1]"
    for folder in (data, tmp_path / "sub" / "__pycache__"):
        folder.mkdir(parents=True)
        (folder / "new.bin").touch()
    assert git_state(tmp_path, [data, tmp_path / "elsewhere"])["is_clean"]
    assert not git_state(tmp_path, [])["is_clean"]
