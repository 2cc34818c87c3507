"""The code in the records of real runs: what counts, what ran, and what happens when it changes meanwhile."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuroluigi.provenance.files import hash_file
from tests.conftest import Pipeline, clean_environment, needs_octave
from tests.runner.test_run import START_METHOD

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


CODE_CHANGED = "Code changed, left as they are: 1 (1 Waiting: {} changed while it was made)."


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def wait_for_file(path: Path, process) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
        time.sleep(0.02)


def run_and_edit(pipeline: Pipeline, path: Path, old: str, new: str, *arguments: str) -> tuple[int, str]:
    """Start a run, edit a file when its step has begun, let it go on, and return its exit code and what it printed."""
    for name in ("begun", "go"):
        (pipeline.folder / name).unlink(missing_ok=True)
    process = pipeline.start("Waiting", "--group", "a-even", *arguments)
    wait_for_file(pipeline.folder / "begun", process)
    replace(path, old, new)
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=120)[0]
    return process.returncode, out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_python_that_is_changed_while_a_step_runs_is_code_changed(pipeline, workers):
    pipeline.add(WAITING)
    tasks = pipeline.folder / "tasks.py"
    code, out = run_and_edit(pipeline, tasks, '"old"', '"new"', "--workers", workers)
    assert code == 0 and CODE_CHANGED.format("tasks.py:value") in out
    assert (pipeline.results / "a-even" / "waiting.txt").read_text() == "old"
    assert CODE_CHANGED.format("tasks.py:value") in pipeline.run("Waiting", "--group", "a-even")
    pipeline.run("Waiting", "--group", "a-even", *RERUN)
    assert (pipeline.results / "a-even" / "waiting.txt").read_text() == "new"
    assert "Nothing to make: everything is there." in pipeline.run("Waiting", "--group", "a-even", *RERUN)


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
    wait_for_file(pipeline.folder / "begun", process)
    replace(pipeline.folder / "tasks.py", '"old"', '"new"')
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=120)[0]
    assert process.returncode != 0 and "changed since this run imported it: tasks.py:value; run again" in out
    assert (pipeline.results / "a-even" / "waiting.txt").exists()
    pipeline.run("After", "--group", "a-even")
    assert (pipeline.results / "a-even" / "after.txt").read_text() == "new"


HELPED = """
import time
from pathlib import Path

class Waiting(GroupTask):
    def output(self):
        return self.result("waiting.txt")

    def make(self, out):
        BEFORE
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.05)
        import helper
        out.write_text(helper.value())
"""


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("before", ["import helper", "pass"])
@pytest.mark.parametrize("is_undone", [False, True])
def test_a_module_that_make_imports_and_that_changes_meanwhile_is_code_changed(pipeline, workers, before, is_undone):
    helper = pipeline.folder / "helper.py"
    helper.write_text("def value():\n    return 'old'\n")
    pipeline.add(HELPED.replace("BEFORE", before))
    process = pipeline.start("Waiting", "--group", "a-even", "--workers", workers)
    wait_for_file(pipeline.folder / "begun", process)
    replace(helper, "old", "new")
    if is_undone:
        replace(helper, "new", "old")
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=60)[0]
    # Imported before the edit, or after it: what ran is not known where the module was imported meanwhile.
    assert process.returncode == 0 and "1 (1 Waiting: helper.py" in out and "changed while it was made)." in out, out
    pipeline.run("Waiting", "--group", "a-even", *RERUN)
    assert (pipeline.results / "a-even" / "waiting.txt").read_text() == ("old" if is_undone else "new")


def spawned(pipeline, *arguments):
    """Start a run whose processes import all anew."""
    code = START_METHOD.format(method="spawn", module="neuroluigi.runner.run", function="main")
    command = [sys.executable, "-c", code, "--module", "tasks", *arguments, "--local-scheduler", "--workers", "2"]
    options = {"cwd": pipeline.folder, "env": clean_environment(), "stdin": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(command, **options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_process_that_imports_anew_notices_what_the_run_did_not_import(pipeline):
    pipeline.add(WAITING.replace("out.write_text(value())", 'out.write_text("w")', 1))
    process = spawned(pipeline, "After", "--group", "a-even")
    wait_for_file(pipeline.folder / "begun", process)
    replace(pipeline.folder / "tasks.py", '"old"', '"new"')
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=60)[0]
    assert process.returncode != 0 and "changed since this run imported it: tasks.py:value; run again" in out, out
    assert not (pipeline.results / "a-even" / "runs" / "After.json").exists()


@pytest.mark.parametrize("start", [["1"], ["2"], None])
def test_the_settings_of_the_start_of_a_run_are_those_that_it_uses_and_records(pipeline, start):
    pipeline.add(WAITING)
    replace(
        pipeline.folder / "tasks.py",
        "class Waiting(GroupTask):",
        "class Waiting(GroupTask):\n    gain = luigi.IntParameter(1)\n",
    )
    words = "After", "--group", "a-even"
    process = pipeline.start(*words, "--workers", *start) if start else spawned(pipeline, *words)
    wait_for_file(pipeline.folder / "begun", process)
    with (pipeline.folder / "luigi.cfg").open("a") as config:
        config.write("\n[Waiting]\ngain = 2\n")
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=60)[0]
    record = pipeline.results / "a-even" / "runs" / "After.json"
    assert process.returncode == 0 and json.loads(record.read_text())["requires"][0]["parameters"]["gain"] == 1, out
    assert "Waiting: 1 made with gain 1, now 2" in pipeline.run(*words)


READING = """
import os
from pathlib import Path

class Reading(GroupTask):
    def requires(self):
        return [recording_task(one) for one in self.recordings]

    def output(self):
        return self.result("read.bin")

    def make(self, out):
        path = Path(self.input()[0].path)
        known = path.stat()
        other = path.with_name("other") if REPLACES else path
        other.write_bytes(b"NEW")
        os.utime(other, ns=(known.st_mtime_ns, known.st_mtime_ns))
        other.replace(path)
        out.write_bytes(path.read_bytes())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no time of a change")
@pytest.mark.parametrize("replaces", [True, False])
def test_a_recording_that_becomes_another_one_of_the_same_size_and_time_fails_the_step(pipeline, replaces):
    pipeline.add(READING.replace("REPLACES", str(replaces)))
    (pipeline.folder / "real" / "a").mkdir(parents=True)
    (pipeline.folder / "real" / "a" / "rec_0.bin").write_bytes(b"old")
    words = ["Reading", "--group", "a", "--recordings-root", "real"]
    assert "rec_0.bin was changed while it was being read; run again" in pipeline.run(*words, code=30)
    assert not (pipeline.results / "a" / "read.bin").exists()


def test_a_table_that_is_edited_meanwhile_counts_from_the_next_run_on(pipeline):
    pipeline.add(WAITING.replace("class Waiting(GroupTask):", READS))
    (pipeline.folder / "real").mkdir()
    for name in "ab":
        (pipeline.folder / "real" / name).write_bytes(name.encode())
    table = pipeline.folder / "real" / "recordings.csv"
    table.write_text("session,index,path,scale\ns,0,a,1\ns,1,b,1\n")
    words = "After", "--group", "s", "--recordings-root", "real"
    process = pipeline.start(*words)
    wait_for_file(pipeline.folder / "begun", process)
    table.write_text("session,index,path,scale\ns,0,b,2\n")
    (pipeline.folder / "go").touch()
    out = process.communicate(timeout=60)[0]
    record = json.loads((pipeline.results / "s" / "runs" / "Waiting.json").read_text())
    assert process.returncode == 0 and [one["path"] for one in record["inputs"]] == ["a", "b"], out
    assert [one["parameters"]["scale"] for one in record["requires"]] == [1, 1]
    assert "Made: 1 After, 1 Waiting" in pipeline.run(*words)


READS = """class Waiting(GroupTask):
    def requires(self):
        return [recording_task(one) for one in self.recordings]
"""


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
def test_an_m_file_that_is_changed_during_its_call_is_code_changed(pipeline, file):
    pipeline.add(MATLAB)
    (pipeline.folder / "matlab" / "awaitGo.m").write_text(WAIT_FOR)
    (pipeline.folder / "lib").mkdir()
    (pipeline.folder / "lib" / "gain.m").write_text("function g = gain()\n  g = 1; % '%d', g\nend\n")
    engine = ("--matlab-engine", "octave")
    noted = hash_file(pipeline.folder / file)
    code, out = run_and_edit(pipeline, pipeline.folder / file, "'%d', g", "'%d', 2 * g", *engine)
    assert code == 0 and CODE_CHANGED.format(file) in out
    record = json.loads((pipeline.results / "a-even" / "runs" / "Waiting.json").read_text())
    assert {one["path"]: one["sha256"] for one in record["sources"]}[file] == noted
    # What was changed and changed back may have been read in between.
    (pipeline.results / "a-even" / "waiting.txt").unlink()
    code, out = run_and_edit(pipeline, pipeline.folder / file, "'%d', 2 * g", "'%d', 2 * g", *engine)
    assert code == 0 and CODE_CHANGED.format(file) in out
    pipeline.run("Waiting", "--group", "a-even", *engine, *RERUN)
    record = json.loads((pipeline.results / "a-even" / "runs" / "Waiting.json").read_text())
    assert "changed_meanwhile" not in record
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
    anew = SCRIPT.replace(
        "    assert", "    import multiprocessing\n    multiprocessing.set_start_method('spawn')\n    assert"
    )
    for text in (SCRIPT, SCRIPT.replace("local_scheduler=True", "local_scheduler=True, log_level='INFO'"), anew):
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        script.write_text(text)
        subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, check=True, timeout=120)
    record = json.loads((tmp_path / "results" / "a-even" / "runs" / "Scripted.json").read_text())
    assert [one["path"] for one in record["sources"]] == ["pipeline.py:Scripted", "pipeline.py:value"]
