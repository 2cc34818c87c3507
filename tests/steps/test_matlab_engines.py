"""Which engine and version runs a MatlabTask, how many, what is shown while it runs, and how long it may take."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import needs_octave
from tests.engines.lab import wait_for
from tests.steps.matlab_lab import (
    FEW,
    MATLAB_FOLDER,
    record,
    with_matlab,
    with_own_step,
)


@pytest.fixture
def own_steps(pipeline):
    return with_own_step(pipeline)


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
    shutil.copytree(MATLAB_FOLDER.parent, older.parent.parent)
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
    wrapper.write_text(f'#!/bin/sh\nexec {MATLAB_FOLDER / "matlab"} "$@"\n')
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
    def make(self, out): out.write_text("x")
class All(WrapperTask):
    def requires(self): return [*(Slow(n) for n in range(3)), *(Quick(n) for n in range(4))]
"""
    )
    (pipeline.folder / "matlab" / "slow.m").write_text(
        "function slow(file)\n  last = now() + 60 / 86400;\n"
        "  while numel(dir(fullfile(fileparts(file), 'quick-?.txt'))) < 4\n"
        "    if now() > last, error('slow:alone', 'nobody makes the others'); end\n    pause(0.05);\n  end\n"
        "  fid = fopen(file, 'w');\n  fprintf(fid, 'x');\n  fclose(fid);\nend\n"
    )
    config = pipeline.folder / "luigi.cfg"
    # Settings of steps that this pipeline has not are refused.
    config.write_text(re.sub(r"(?s)\[(FakeRecording|Edges)\].*?(?=\n\[)", "", config.read_text()))
    pipeline.run("All", "--workers", "2", "--matlab-engine", "matlab", env=with_matlab())
    ended = {path.stem: path.stat().st_mtime for path in (pipeline.results / "study").glob("*.txt")}
    slow = sorted(at for name, at in ended.items() if name.startswith("slow"))
    assert len(ended) == 7 and max(at for name, at in ended.items() if name.startswith("quick")) <= slow[0]


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
    out = own_steps.run("All", "--Length-call-timeout", "3", *few, "--matlab-engine", "octave", code=30)
    assert "Length(group=a-even): octave: writeLength was ended: no answer within 3 s (call_timeout" in out
    assert (own_steps.results / "a-odd" / "length.txt").is_file()
    assert not (own_steps.results / "a-even" / "length.txt").exists()


@needs_octave
@pytest.mark.parametrize("workers", [1, 2])
def test_progress_reaches_the_scheduler_and_the_terminal(own_steps, workers):
    (own_steps.folder / "matlab" / "countBytes.m").write_text(
        "function total = countBytes(files, how)\n  total = numel(files);\n"
        "  reportProgress(1, 4, 'rec_0.bin');\n  waitFor('1/4 rec_0.bin');\n"
        "  reportProgress(3, 4, 'rec_2.bin');\n  waitFor('3/4 rec_2.bin');\nend\n"
        "function waitFor(message)\n  last = now() + 60 / 86400;\n"
        f"  while isempty(strfind(fileread('{own_steps.folder / 'told.txt'}'), message)) && now() < last\n"
        # Longer than the scheduler is told nothing more.
        "    pause(0.3);\n  end\nend\n"
    )
    (own_steps.folder / "told.txt").touch()
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
        "function total = countBytes(files, how)\n  total = numel(files);\n  printf('printed\\n');\n"
        f"  while ~exist('{own_steps.folder / 'go'}', 'file')\n    pause(0.05);\n  end\nend\n"
    )
    run = own_steps.start("Length", "--group", "a-even", "--matlab-engine", "octave", "--matlab-warm", warm)
    # Until the step ends, its log has a temporary name.
    logs = own_steps.results / "a-even" / "runs"
    wait_for(lambda: any("printed\n" in log.read_text() for log in logs.glob("Length.part-*.log")))
    (own_steps.folder / "go").touch()
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
