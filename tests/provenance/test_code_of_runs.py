"""The code in the records of real runs: what counts, what ran, and what happens when it changes meanwhile."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Pipeline, needs_octave

RERUN = ("--results-rerun-on", "inputs,parameters,code")

# A step that waits, while it is made, until the file `go` is there.
WAITING = """
import time
from pathlib import Path

def value():
    return "old"

class Waiting(GroupTask):
    def output(self):
        return self.result("waiting.txt")

    def make(self, out):
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.05)
        out.write_text(value())

class After(GroupTask):
    def requires(self):
        return Waiting(self.group)

    def output(self):
        return self.result("after.txt")

    def make(self, out):
        out.write_text(value())
"""


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def run_and_edit(pipeline: Pipeline, path: Path, old: str, new: str, *arguments: str) -> tuple[int, str]:
    """Start a run, edit a file when its step has begun, let it go on, and return its exit code and what it printed."""
    for name in ("begun", "go"):
        (pipeline.folder / name).unlink(missing_ok=True)
    process = pipeline.start("Waiting", "--group", "a-even", *arguments)
    end = time.monotonic() + 60
    while not (pipeline.folder / "begun").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    replace(path, old, new)
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=120)[0]
    return process.returncode, out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_python_that_is_changed_while_a_step_runs_fails_it(pipeline, workers):
    pipeline.add(WAITING)
    tasks = pipeline.folder / "tasks.py"
    code, out = run_and_edit(pipeline, tasks, '"old"', '"new"', "--workers", workers)
    assert code != 0 and "changed while the step ran: tasks.py:value; run again" in out
    assert not (pipeline.results / "a-even" / "waiting.txt").exists()
    pipeline.run("Waiting", "--group", "a-even")
    assert (pipeline.results / "a-even" / "waiting.txt").read_text() == "new"


def test_an_edit_that_changes_nothing_of_a_step_fails_nothing(pipeline):
    pipeline.add(WAITING)
    tasks = pipeline.folder / "tasks.py"
    edited = '"old"  # as ever\n\ndef unused():\n    return 1\n'
    code, out = run_and_edit(pipeline, tasks, '"old"\n', edited)
    assert code == 0, out
    before = pipeline.files()
    pipeline.run("Waiting", "--group", "a-even", *RERUN)
    assert pipeline.files() == before


def test_a_step_that_begins_after_an_edit_is_not_made_from_the_code_of_before(pipeline):
    pipeline.add(WAITING.replace("out.write_text(value())", 'out.write_text("w")', 1))
    process = pipeline.start("After", "--group", "a-even")
    end = time.monotonic() + 60
    while not (pipeline.folder / "begun").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    replace(pipeline.folder / "tasks.py", '"old"', '"new"')
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=120)[0]
    assert process.returncode != 0 and "changed since this run imported it: tasks.py:value; run again" in out
    assert (pipeline.results / "a-even" / "waiting.txt").exists()
    pipeline.run("After", "--group", "a-even")
    assert (pipeline.results / "a-even" / "after.txt").read_text() == "new"


MATLAB = """
class Waiting(GroupTask, MatlabTask):
    function = "awaitGo"

    def output(self):
        return self.result("waiting.txt")

    def arguments(self, out):
        return [str(Path.cwd()), out]

from pathlib import Path
"""
WAIT_FOR = """function awaitGo(folder, file)
  addpath(fullfile(fileparts(mfilename('fullpath')), '..', 'lib'));
  fclose(fopen(fullfile(folder, 'begun'), 'w'));
  while exist(fullfile(folder, 'go'), 'file') == 0
    pause(0.05);
  end
  id = fopen(file, 'w');
  fprintf(id, '%d', gain());
  fclose(id);
end
"""


@needs_octave
@pytest.mark.parametrize("file", ["matlab/awaitGo.m", "lib/gain.m"])
def test_an_m_file_that_is_changed_during_its_call_fails_the_step(pipeline, file):
    pipeline.add(MATLAB)
    (pipeline.folder / "matlab" / "awaitGo.m").write_text(WAIT_FOR)
    (pipeline.folder / "lib").mkdir()
    (pipeline.folder / "lib" / "gain.m").write_text("function g = gain()\n  g = 1; % '%d', g\nend\n")
    engine = ("--matlab-engine", "octave")
    code, out = run_and_edit(pipeline, pipeline.folder / file, "'%d', g", "'%d', 2 * g", *engine)
    assert code != 0 and f"changed while the step ran: {file}; run again" in out
    # What was changed and changed back may have been read in between.
    code, out = run_and_edit(pipeline, pipeline.folder / file, "'%d', 2 * g", "'%d', 2 * g", *engine)
    assert code != 0 and f"changed while the step ran: {file}; run again" in out
    pipeline.run("Waiting", "--group", "a-even", *engine)
    record = json.loads((pipeline.results / "a-even" / "runs" / "Waiting.json").read_text())
    assert [one["path"] for one in record["sources"]] == ["tasks.py:Waiting", "lib/gain.m", "matlab/awaitGo.m"]


@needs_octave
def test_an_added_m_file_that_changes_between_two_calls_is_read_again(pipeline):
    """By a warm engine, which keeps what it has read."""
    pipeline.add(
        MATLAB
        + """
class Twice(GroupTask, MatlabTask):
    function = "awaitGo"

    def requires(self):
        return Waiting(self.group)

    def output(self):
        return self.result("twice.txt")

    def arguments(self, out):
        (Path.cwd() / "lib" / "gain.m").write_text("function g = gain()\\n  g = 2;\\nend\\n")
        return [str(Path.cwd()), out]
"""
    )
    (pipeline.folder / "matlab" / "awaitGo.m").write_text(WAIT_FOR)
    (pipeline.folder / "lib").mkdir()
    (pipeline.folder / "lib" / "gain.m").write_text("function g = gain()\n  g = 1;\nend\n")
    (pipeline.folder / "go").touch()
    pipeline.run("Twice", "--group", "a-even", "--matlab-engine", "octave")
    folder = pipeline.results / "a-even"
    assert ((folder / "waiting.txt").read_text(), (folder / "twice.txt").read_text()) == ("1", "2")


def test_versions_are_those_of_what_the_code_imports(pipeline):
    pipeline.add("""
class Plain(GroupTask):
    def output(self):
        return self.result("plain.txt")

    def make(self, out):
        import rich
        out.write_text(rich.__name__)
""")
    pipeline.run("Plain", "--group", "a-even")
    pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "numpy", "--FakeRecording-sessions", "a")
    runs = pipeline.results / "a-even" / "runs"
    versions = {name: json.loads((runs / f"{name}.json").read_text())["versions"] for name in ("Plain", "Stats")}
    assert versions["Plain"].keys() == {"python", "neuroluigi", "luigi", "rich"}
    assert versions["Stats"].keys() == {"python", "neuroluigi", "luigi", "numpy"}


SCRIPT = """
import luigi
from neuroluigi import GroupTask

def value():
    return 1

class Scripted(GroupTask):
    def output(self):
        return self.result("scripted.txt")

    def make(self, out):
        out.write_text(str(value()))

if __name__ == "__main__":
    assert luigi.build([Scripted("a-even")], local_scheduler=True, workers=2)
"""


def test_a_script_that_builds_its_own_steps(tmp_path):
    script = tmp_path / "pipeline.py"
    for text in (SCRIPT, SCRIPT.replace("local_scheduler=True", "local_scheduler=True, log_level='INFO'")):
        script.write_text(text)
        subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, check=True, timeout=120)
    record = json.loads((tmp_path / "results" / "a-even" / "runs" / "Scripted.json").read_text())
    assert [one["path"] for one in record["sources"]] == ["pipeline.py:Scripted", "pipeline.py:value"]
