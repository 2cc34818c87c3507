"""MatlabTask, from end to end: the real `luigi` command, M-files, Octave and the stand-in `matlab`."""

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.conftest import FAKE_MATLAB, clean_environment, needs_octave

FAKE_MATLAB = FAKE_MATLAB.parent

# Two groups are enough: each takes three calls.
FEW = ("--FakeRecording-sessions", "a")

NO_ENGINES = ("--matlab-command", "no-matlab", "--matlab-octave-command", "no-octave")

OWN_STEPS = """
import luigi
from neuroluigi import GroupTask, MatlabTask, RecordingMaker, groups


class FakeRecording(RecordingMaker):
    def make(self, out):
        out.write_bytes(bytes([1, 2, 3, 4]))


class Length(GroupTask, MatlabTask):
    function = "writeLength"

    def requires(self):
        return [FakeRecording(session=r.session, index=r.index) for r in self.recordings]

    def output(self):
        return self.result("length.txt")

    def arguments(self, out):
        return [[one.path for one in self.input()], out]
"""

WRITE_LENGTH = """
function writeLength(files, lengthFile)
  disp('counting');
  if ~isempty(getenv('LAB_FAILS'))
    countBytes(files, 'wrong');
  end
  fid = fopen(lengthFile, 'w');
  fprintf(fid, '%d', countBytes(files, 'right'));
  fclose(fid);
end
"""

COUNT_BYTES = """
function total = countBytes(files, how)
  total = 0;
  for k = 1:numel(files)
    entry = dir(files{k});
    total = total + entry.bytes;
  end
  if strcmp(how, 'wrong')
    error('countBytes:wrong', '%s', ['counted ' sprintf('%d', total) ' bytes']);
  end
end
"""


def with_matlab() -> dict[str, str]:
    return {"PATH": os.pathsep.join((str(FAKE_MATLAB), clean_environment()["PATH"]))}


def record(pipeline, group: str, step: str, kind: str = "json") -> dict:
    return json.loads((pipeline.results / group / "runs" / f"{step}.{kind}").read_text(encoding="utf-8"))


@pytest.fixture
def own_steps(pipeline):
    """A lab with one step of its own, whose function has no stand-in."""
    (pipeline.folder / "tasks.py").write_text(OWN_STEPS)
    (pipeline.folder / "matlab" / "writeLength.m").write_text(WRITE_LENGTH.lstrip())
    (pipeline.folder / "matlab" / "countBytes.m").write_text(COUNT_BYTES.lstrip())
    config = pipeline.folder / "luigi.cfg"
    # A setting that this FakeRecording does not have is refused.
    config.write_text(config.read_text(encoding="utf-8").replace("bytes = 100", ""), encoding="utf-8")
    return pipeline


@needs_octave
def test_matlab_and_octave_make_the_same_files(pipeline):
    out = pipeline.run("PlotAll", *FEW, "--matlab-engine", "matlab", env=with_matlab())
    assert out.count("M-functions run on") == 1
    assert f"M-functions run on matlab R2022b ({FAKE_MATLAB / 'matlab'})" in out
    by_matlab = pipeline.files()
    assert len(by_matlab) == 2 * len(("aggregate.bin", "aggregate.json", "stats.json", "edges.npy", "plot.png"))
    shutil.rmtree(pipeline.results)
    out = pipeline.run("PlotAll", *FEW, "--matlab-engine", "octave", env=with_matlab())
    assert "M-functions run on octave" in out
    by_octave = pipeline.files()
    for files in (by_matlab, by_octave):
        # A plot says which engine it was.
        for path in [path for path in files if path.endswith("plot.png")]:
            assert files.pop(path).startswith(b"\x89PNG")
    assert by_matlab == by_octave


@needs_octave
def test_auto_prefers_matlab_and_the_record_says_what_made_the_result(pipeline):
    out = pipeline.run("Stats", "--group", "a-even", env=with_matlab())
    assert "M-functions run on matlab R2022b" in out
    stats = record(pipeline, "a-even", "Stats")
    assert stats["tool"]["engine"] == "matlab"
    assert stats["tool"]["command"] == [str(FAKE_MATLAB / "matlab")]
    assert stats["tool"]["version"]
    assert stats["tool"]["used"]["cpu_seconds"] > 0
    sources = {one["path"]: one["sha256"] for one in stats["sources"]}
    for name in ("computeStats.m", "openFile.m", "closeFile.m"):
        content = (pipeline.folder / "matlab" / name).read_bytes()
        assert sources[f"matlab/{name}"] == hashlib.sha256(content).hexdigest()
    assert "matlab/concatenateFiles.m" not in sources
    log = (pipeline.results / "a-even" / "runs" / stats["log"]).read_text(encoding="utf-8")
    assert log.startswith(f"% matlab: computeStats('{pipeline.results / 'a-even' / 'aggregate.bin'}', '")


@needs_octave
def test_a_matlab_that_prints_asks_and_crashes_at_exit_makes_the_step(pipeline):
    env = {**with_matlab(), "FAKE_MATLAB": "banner prompt crash-after-answer"}
    out = pipeline.run("Stats", "--group", "a-even", env=env)
    assert "matlab ended badly after its last answer (killed by signal 11)" in out
    assert record(pipeline, "a-even", "Stats")["tool"]["engine"] == "matlab"


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("matlab", "luigi: engine matlab (looked for no-matlab on PATH) is not there; put matlab on PATH or"),
        ("octave", "luigi: engine octave (looked for no-octave on PATH) is not there; install GNU Octave"),
    ],
)
def test_an_engine_that_is_not_there_stops_the_run_before_anything_is_made(pipeline, engine, message):
    before = sorted(pipeline.folder.rglob("*"))
    out = pipeline.run("PlotAll", "--matlab-engine", engine, *NO_ENGINES, code=None)
    assert [line[: len(message)] for line in out.splitlines() if "engine" in line] == [message]
    assert "Traceback" not in out
    assert [p for p in sorted(pipeline.folder.rglob("*")) if "__pycache__" not in p.parts] == before


def test_a_step_without_a_stand_in_says_before_the_run_which_engines_it_can_use(own_steps):
    out = own_steps.run("Length", "--group", "a-even", "--matlab-engine", "numpy", code=None)
    message = (
        "luigi: Length has no NumPy stand-in for writeLength.m; the engines that it can use are matlab and octave:"
        " install one, or set [matlab] engine (--matlab-engine)"
    )
    assert message in out.splitlines()
    assert "Traceback" not in out
    assert not own_steps.results.exists()
    assert not (own_steps.folder / "recordings").exists()
    # The same where there is nothing else that auto could take.
    assert message in own_steps.run("Length", "--group", "a-even", *NO_ENGINES, code=None).splitlines()


@needs_octave
def test_an_m_file_that_is_not_there_is_named_before_the_run(own_steps):
    (own_steps.folder / "matlab" / "writeLength.m").unlink()
    out = own_steps.run("Length", "--group", "a-even", "--matlab-engine", "octave", code=None)
    place = own_steps.folder / "matlab"
    assert f"luigi: Length: there is no M-file writeLength.m in {place}; see [matlab] folder" in out.splitlines()
    assert not own_steps.results.exists()


@needs_octave
@pytest.mark.parametrize("engine", ["octave", "matlab"])
def test_a_failing_function_is_told_with_everything_one_needs(own_steps, engine):
    step = ("Length", "--group", "a-even", "--matlab-engine", engine)
    out = own_steps.run(*step, env={**with_matlab(), "LAB_FAILS": "yes"}, code=30)
    error = f"{engine}: writeLength failed: countBytes:wrong: counted 8 bytes (countBytes, line 8 of countBytes.m)"
    assert f"Length(group=a-even): {error}; see results/a-even/runs/Length.failed.log" in out
    assert "Traceback" not in out
    runs = own_steps.results / "a-even" / "runs"
    assert sorted(path.name for path in runs.glob("Length*")) == ["Length.failed.json", "Length.failed.log"]
    assert not (own_steps.results / "a-even" / "length.txt").exists()
    failed = record(own_steps, "a-even", "Length", "failed.json")
    assert failed["error"] == error
    assert failed["log"] == "Length.failed.log"
    assert failed["tool"]["engine"] == engine
    assert "matlab/countBytes.m" in {one["path"] for one in failed["sources"]}
    assert "counting\n" in (runs / "Length.failed.log").read_text(encoding="utf-8")

    own_steps.run(*step, env=with_matlab())
    assert sorted(path.name for path in runs.glob("Length*")) == ["Length.json", "Length.log"]
    assert (own_steps.results / "a-even" / "length.txt").read_text() == "8"
    assert {one["path"] for one in record(own_steps, "a-even", "Length")["sources"]} == {
        "tasks.py:Length",
        "matlab/countBytes.m",
        "matlab/writeLength.m",
    }


@needs_octave
def test_names_of_all_kinds_reach_the_function(own_steps, tmp_path):
    """Values of the user travel in files: here they would be expanded, or run, by the launcher."""
    odd = tmp_path / "it's $HOME `touch ran` %d 神"
    step = ("Length", "--group", "a-even", "--matlab-engine", "matlab", "--results-root", odd)
    own_steps.run(*step, env=with_matlab())
    assert (odd / "a-even" / "length.txt").read_text() == "8"
    assert not list(tmp_path.rglob("ran"))


# Which tool, which version, declared; seats; progress; time limits


def starts(path: Path) -> tuple[int, int]:
    """Return how often the stand-in was started, and how many at the most were running at the same time."""
    running = most = total = 0
    for word in path.read_text().split():
        running += 1 if word == "start" else -1
        total, most = total + (word == "start"), max(most, running)
    return total, most


@needs_octave
def test_each_step_runs_on_the_engine_and_release_that_luigi_cfg_declares(pipeline, tmp_path):
    older = tmp_path / "older" / "bin" / "matlab"
    shutil.copytree(FAKE_MATLAB.parent, older.parent.parent)
    version = older.parent.parent / "VersionInfo.xml"
    version.write_text(version.read_text().replace("R2022b", "R2019a"))
    config = pipeline.folder / "luigi.cfg"
    declared = (
        f"[Stats]\nmatlab_command = env LAB=1 {older}\n\n[Aggregate]\nengine = octave\n\n[Edges]\nengine = numpy\n"
    )
    config.write_text(config.read_text().replace("[Edges]\n", f"{declared}\n"))
    pipeline.run("Edges", "--group", "a-even", env=with_matlab())
    made = {step: record(pipeline, "a-even", step)["tool"] for step in ("Aggregate", "Stats", "Edges")}
    assert [one["engine"] for one in made.values()] == ["octave", "matlab", "numpy"]
    assert made["Stats"]["command"][-1] == str(older)
    # The ids of tasks, and so the results, are the same whatever the tool is.
    assert "Nothing to make" in pipeline.run("Edges", "--group", "a-even", "--Edges-engine", "octave")


@needs_octave
def test_a_release_that_is_not_the_declared_one_stops_the_run_naming_both(pipeline):
    out = pipeline.run("Stats", "--group", "a-even", "--Stats-matlab-release", "R2019a", env=with_matlab(), code=1)
    assert "Stats is declared to run on matlab R2019a, and matlab R2022b" in out and len(out.splitlines()) == 1
    assert not list(pipeline.results.glob("*"))
    octave = ["--matlab-engine", "octave", "--Stats-octave-version", "99"]
    assert "Stats is declared to run on octave 99, and octave" in pipeline.run(
        "Stats", "--group", "a-even", *octave, code=1
    )
    # A release that only the session itself tells, behind a wrapper script.
    wrapper = pipeline.folder / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {FAKE_MATLAB / "matlab"} "$@"\n')
    wrapper.chmod(0o755)
    command = ["--matlab-command", str(wrapper), "--Stats-matlab-release", "R2019a"]
    out = pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "matlab", *command, code=30)
    assert "was found where luigi.cfg declares R2019a" in out


@needs_octave
@pytest.mark.parametrize("workers, seats, most", [(1, 1, 1), (3, 2, 2), (2, 4, 2)])
def test_starts_are_as_many_as_workers_or_seats_not_calls(pipeline, tmp_path, workers, seats, most):
    log = tmp_path / "starts"
    pipeline.run(
        *("PlotAll", "--matlab-engine", "matlab", "--workers", workers, "--matlab-seats", seats, *FEW),
        env={**with_matlab(), "FAKE_MATLAB_STARTS": str(log), "FAKE_MATLAB": "slow=0.3"},
    )
    total, at_once = starts(log)
    assert at_once <= most and total <= most, log.read_text()
    assert len(list(pipeline.results.glob("*/plot.png"))) == 2


@needs_octave
def test_one_process_per_call_when_told(pipeline, tmp_path):
    log = tmp_path / "starts"
    env = {**with_matlab(), "FAKE_MATLAB_STARTS": str(log)}
    pipeline.run("Edges", "--group", "a-even", "--matlab-engine", "matlab", "--matlab-warm", "false", env=env)
    assert starts(log) == (3, 1)


@needs_octave
def test_steps_of_python_fill_the_workers_while_others_wait_for_a_seat(pipeline, tmp_path):
    (pipeline.folder / "tasks.py").write_text(
        """
import time
import luigi
from neuroluigi import MatlabTask, StudyTask, WrapperTask
class Slow(StudyTask, MatlabTask):
    n = luigi.IntParameter()
    filename_parameters = ("n",)
    function = "slow"
    def output(self): return self.result(f"slow-{self.n}.txt")
    def arguments(self, out): return [out]
class Quick(StudyTask):
    n = luigi.IntParameter()
    filename_parameters = ("n",)
    def output(self): return self.result(f"quick-{self.n}.txt")
    def make(self, out): out.write_text("x"); time.sleep(0.1)
class All(WrapperTask):
    def requires(self): return [*(Slow(n) for n in range(3)), *(Quick(n) for n in range(4))]
"""
    )
    (pipeline.folder / "matlab" / "slow.m").write_text(
        "function slow(file)\n  pause(1);\n  fid = fopen(file, 'w');\n  fprintf(fid, 'x');\n  fclose(fid);\nend\n"
    )
    config = pipeline.folder / "luigi.cfg"
    # Settings of steps that this pipeline has not are refused.
    config.write_text(re.sub(r"(?s)\[(FakeRecording|Edges)\].*?(?=\n\[)", "", config.read_text()))
    pipeline.run("All", "--workers", "2", "--matlab-engine", "matlab", env=with_matlab())
    ended = {path.stem: path.stat().st_mtime for path in (pipeline.results / "study").glob("*.txt")}
    slow = sorted(at for name, at in ended.items() if name.startswith("slow"))
    assert max(at for name, at in ended.items() if name.startswith("quick")) < slow[1]


@needs_octave
@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_that_takes_too_long_fails_its_step_alone(own_steps, workers):
    (own_steps.folder / "matlab" / "countBytes.m").write_text(
        "function total = countBytes(files, how)\n  total = numel(files);\n"
        "  if any(strfind(files{1}, 'a/rec_0'))\n    while true\n      pause(0.1);\n    end\n  end\nend\n"
    )
    tasks = own_steps.folder / "tasks.py"
    text = tasks.read_text().replace("MatlabTask,", "MatlabTask, WrapperTask,")
    tasks.write_text(
        text + "\n\nclass All(WrapperTask):\n    def requires(self):\n        return [Length(g) for g in groups()]\n"
    )
    few = ["--FakeRecording-sessions", "a", "--FakeRecording-count", "2", "--workers", workers]
    out = own_steps.run("All", "--Length-call-timeout", "1", *few, "--matlab-engine", "octave", code=30)
    assert "Length(group=a-even): octave: writeLength was ended: no answer within 1 s (call_timeout" in out
    assert (own_steps.results / "a-odd" / "length.txt").is_file()
    assert not (own_steps.results / "a-even" / "length.txt").exists()


@needs_octave
@pytest.mark.parametrize("workers", [1, 2])
def test_progress_reaches_the_scheduler_and_the_terminal(own_steps, workers):
    (own_steps.folder / "matlab" / "countBytes.m").write_text(
        "function total = countBytes(files, how)\n  total = numel(files);\n"
        "  reportProgress(1, 4, 'rec_0.bin');\n  pause(1.5);\n"
        "  reportProgress(3, 4, 'rec_2.bin');\n  pause(1.5);\nend\n"
    )
    # What the scheduler of the run is told goes to a file too.
    tasks = own_steps.folder / "tasks.py"
    tasks.write_text(
        tasks.read_text()
        + """
from luigi.scheduler import Scheduler
def told(method):
    tell = getattr(Scheduler, method)
    def noting(self, *args, **kwargs):
        print("told", os.getpid() == PARENT, method, args, kwargs, file=open("told.txt", "a"))
        return tell(self, *args, **kwargs)
    setattr(Scheduler, method, noting)
import os
PARENT = os.getpid()
told("set_task_progress_percentage")
told("set_task_status_message")
"""
    )
    out = own_steps.run(
        *("Length", "--group", "a-even", "--matlab-engine", "octave", "--workers", workers),
        *("--worker-force-multiprocessing",) * (workers == 2),
    )
    assert "Length(group=a-even): 1/4 rec_0.bin" in out
    told = [line for line in (own_steps.folder / "told.txt").read_text().splitlines() if "told True" in line]
    shares = [line for line in told if "percentage" in line and "None" not in line]
    assert ["25" in shares[0], "75" in shares[-1]] == [True, True]
    messages = [line for line in told if "message" in line]
    # Before, with the log that is written, and after, with the one that stays.
    assert re.search(r"3/4 rec_2.bin\\n\S+: \S+/Length.part-\S+.log", messages[-2])
    assert f"{own_steps.results}/a-even/runs/Length.log" in messages[-1]
    assert not list(own_steps.results.rglob("*.progress.json"))


@needs_octave
@pytest.mark.parametrize("warm", ["true", "false"])
def test_what_a_step_prints_is_in_its_log_while_it_runs(own_steps, warm):
    (own_steps.folder / "matlab" / "countBytes.m").write_text(
        "function total = countBytes(files, how)\n  total = numel(files);\n  printf('at %.3f\\n', time());\n"
        "  pause(5);\nend\n"
    )
    run = own_steps.start("Length", "--group", "a-even", "--matlab-engine", "octave", "--matlab-warm", warm)
    seen = None
    while run.poll() is None and not seen:
        # Until the step ends, its log has a temporary name.
        for log in own_steps.results.glob("a-even/runs/Length.part-*.log"):
            seen = re.search(r"at (\d+\.\d+)\n", log.read_text())
        found_at = time.time()
        time.sleep(0.02)
    assert seen, "not before the step ended"
    assert found_at - float(seen[1]) < 2
    out = run.communicate(timeout=60)[0]
    assert run.returncode == 0, out


@needs_octave
def test_start_up_files_and_shadowed_functions_of_the_user_change_no_result(pipeline, tmp_path):
    pipeline.run("Edges", "--group", "a-even", "--matlab-engine", "octave")
    right = pipeline.files()
    shutil.rmtree(pipeline.results)
    home = tmp_path / "home"
    home.mkdir()
    hostile = "error('hostile');\n"
    for name in (".octaverc", "startup.m"):
        (home / name).write_text("cd('/');\naddpath(getenv('HOME'));\n" + hostile)
        (pipeline.folder / name).write_text(hostile)
    for folder in (home, pipeline.folder):
        for name in ("min", "double", "fopen", "computeStats"):
            (folder / f"{name}.m").write_text(f"function varargout = {name}(varargin)\n  {hostile}end\n")
    env = {"HOME": str(home), "MATLABPATH": str(home), **with_matlab()}
    for engine in ("octave", "matlab"):
        pipeline.run("Edges", "--group", "a-even", "--matlab-engine", engine, env=env)
        assert pipeline.files() == right
        shutil.rmtree(pipeline.results)
