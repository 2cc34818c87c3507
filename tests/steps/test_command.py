"""Steps that run a program, in the version that luigi.cfg declares."""

import json
import time

import pytest

from neuroluigi.provenance.record import is_version
from tests import commands
from tests.conftest import BIN, Pipeline, is_running

TASKS = """
import luigi
from neuroluigi import CommandTask, StudyTask, WrapperTask
class First(StudyTask, CommandTask):
    command = "counter"
    def output(self): return self.result("first.txt")
    def arguments(self, out): return ["count it's", 3, out]
class Second(StudyTask, CommandTask):
    command = "counter"
    def requires(self): return First()
    def output(self): return self.result("second.txt")
    def arguments(self, out): return ["$HOME", 8.5, out]
class All(WrapperTask):
    def requires(self): return Second()
"""

COUNTER = """#!/bin/sh
if [ "$1" = --version ]; then echo "counter, version {version} (a tool)"; exit; fi
echo "working"; echo "aside" >&2
{body}
printf '%s|%s|%s' {version} "$1" "$2" > "$3"
"""


@pytest.fixture
def lab(tmp_path):
    """A lab with two versions of one tool."""
    lab = Pipeline(tmp_path / "lab")
    (lab.folder / "tasks.py").write_text(TASKS)
    for version in ("1.2.3", "8.4.0"):
        tool(lab, version)
    return lab


def tool(lab, version, body=""):
    path = lab.folder / f"tools {version[0]}" / "counter"
    path.parent.mkdir(exist_ok=True)
    path.write_text(COUNTER.format(version=version, body=body))
    path.chmod(0o755)
    return path


def declare(lab, first="1", second="8.4", **more):
    sections = {"First": ("1.2.3", first), "Second": ("8.4.0", second)}
    text = "".join(
        f"[{name}]\nprogram = {lab.folder}/tools {version[0]}/counter\nversion = {declared}\n"
        + "".join(f"{key} = {value}\n" for key, value in more.items())
        for name, (version, declared) in sections.items()
    )
    (lab.folder / "luigi.cfg").write_text(text)


def record(lab, name):
    return json.loads((lab.results / "study" / "runs" / f"{name}.json").read_text())


def test_each_step_runs_with_its_version_which_is_in_the_record(lab):
    declare(lab)
    lab.run("All")
    assert (lab.results / "study" / "first.txt").read_text() == "1.2.3|count it's|3"
    assert (lab.results / "study" / "second.txt").read_text() == "8.4.0|$HOME|8.5"
    assert [record(lab, name)["tool"]["version"] for name in ("First", "Second")] == ["1.2.3", "8.4.0"]
    assert (
        record(lab, "First")["tool"]["engine"] == "counter"
        and "peak_memory_bytes" in record(lab, "First")["tool"]["used"]
    )
    log = (lab.results / "study" / "runs" / "First.log").read_text()
    assert "working\naside\n" in log and "count it's" in log
    assert "Nothing to make" in lab.run("All")


def test_another_version_than_declared_fails_before_it_runs(lab):
    declare(lab, first="2")
    out = lab.run("All", code=30)
    assert "counter 1.2.3 was found where luigi.cfg declares 2; see [First] program and version" in out
    assert not (lab.results / "study" / "first.txt").exists()


def test_a_newly_declared_version_is_reported_and_remade_where_rerun_on_has_tools(lab):
    declare(lab)
    lab.run("All")
    tool(lab, "1.2.3").write_text(COUNTER.format(version="1.9", body=""))
    assert "Nothing to make" in lab.run("All")  # 1 is 1.9 too
    declare(lab, first="1.9")
    assert "First: version 1.2.3, now 1.9" in lab.run("All")
    assert "Made: 1 First, 1 Second." in lab.run("All", "--results-rerun-on", "tools,inputs")


def test_a_program_that_fails_is_reported_with_its_last_output(lab):
    declare(lab)
    tool(lab, "1.2.3", "exit 3")
    out = lab.run("All", code=30)
    assert "counter failed (exit code 3); the last it printed:" in out and "working" in out
    tool(lab, "1.2.3", "kill -9 $$")
    assert "killed by signal 9" in lab.run("All", code=30)


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(lab):
    declare(lab, call_timeout=2)
    pid = lab.folder / "pid"
    tool(lab, "1.2.3", f"sh -c 'echo $$ > {pid}; exec sleep 300' & wait")
    began = time.monotonic()
    out = lab.run("All", code=30)
    assert "counter was ended: no end within 2 s ([First] call_timeout)" in out and time.monotonic() - began < 150
    assert not is_running(int(pid.read_text()))


def test_a_program_that_is_not_there_is_named(lab):
    (lab.folder / "luigi.cfg").write_text("")
    out = lab.run("All", code=30)
    assert "counter failed (exit code 127: the program could not be started)" in out


def test_status_warns_of_results_of_more_than_one_version(tmp_path):
    lab = Pipeline(tmp_path / "lab")
    settings = ["--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]
    lab.run("PlotAll", *settings)
    path = lab.results / "s-odd" / "runs" / "Stats.json"
    content = json.loads(path.read_text())
    content["tool"] = {"engine": "octave", "version": "7.3.0"}
    path.write_text(json.dumps(content))
    asked = commands.run([BIN / "neuroluigi", "status", *settings], cwd=lab.folder, capture_output=True, text=True)
    assert "Stats: results of more than one tool: 1 by numpy" in asked.stdout
    assert "1 by octave 7.3.0" in asked.stdout and "Edges: results" not in asked.stdout


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        ("8.4.0", "8", True),
        ("8.4.0", "8.4", True),
        ("8.4.0", "8.4.0", True),
        ("8.40", "8.4", False),
        ("83", "8", False),
        ("R2022b", "R2022b", True),
        ("R2022b", "R2022", False),
        ("", "8", False),
    ],
)
def test_a_version_is_the_wanted_one_or_below_it(found, wanted, fits):
    assert is_version(found, wanted) is fits
