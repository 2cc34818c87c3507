"""The `luigi` command: whose tasks.py it takes, what it refuses, how it ends."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests import commands
from tests.conftest import BIN, REPOSITORY, Pipeline, clean_environment, folders

TINY = """
import luigi
from neuroluigi import RecordingMaker, WrapperTask, groups

class FakeRecording(RecordingMaker):
    bytes = luigi.IntParameter(default=100)
    def make(self, out):
        out.write_text("made in {name}")

class PlotAll(WrapperTask):
    def requires(self):
        return [FakeRecording(r.session, r.index) for g in groups().values() for r in g.recordings]
"""


def luigi(folder, *arguments, env=None):
    return commands.run(
        [BIN / "luigi", *arguments],
        cwd=folder,
        env={**clean_environment(), **(env or {})},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def refusal(done: subprocess.CompletedProcess) -> str:
    """Return the one line of a refused run."""
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_the_command_is_this_projects():
    assert "neuroluigi.runner.run" in (BIN / "luigi").read_text()


def test_it_takes_the_tasks_of_the_folder_it_is_run_in(tmp_path):
    second_clone = tmp_path / "second clone"
    shutil.copytree(
        REPOSITORY, second_clone, ignore=shutil.ignore_patterns(".venv", ".git", "results", "recordings", ".*_cache")
    )
    (second_clone / "tasks.py").write_text(TINY.format(name="second clone"))
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "tasks.py").write_text(TINY.format(name="lab"))
    first_clone = Pipeline(tmp_path / "first clone").folder
    for folder, content in ((second_clone, b"made in second clone"), (lab, b"made in lab"), (first_clone, None)):
        words = ["--matlab-engine", "numpy", "--FakeRecording-sessions", "a", "--FakeRecording-count", "1"]
        done = luigi(folder, "--module", "tasks", "PlotAll", "--local-scheduler", *words)
        assert done.returncode == 0, done.stderr
        made = (folder / "recordings" / "a" / "rec_0.bin").read_bytes()
        assert made == content if content else len(made) == 100


def test_a_parameter_may_be_named_as_options_of_others_begin(tmp_path):
    """Luigi's parser takes --n for a short --no-lock, and does not know which one --m is short for."""
    names = ("n", "m", "work", "local")
    lines = "".join(f"    {name} = luigi.IntParameter()\n" for name in names)
    (tmp_path / "tasks.py").write_text(
        f"import luigi\nclass Odd(luigi.Task):\n{lines}"
        "    def complete(self):\n        print('with', self.param_kwargs)\n        return True\n"
    )
    words = [word for number, name in enumerate(names) for word in (f"--{name}", str(number))]
    done = luigi(tmp_path, "--module", "tasks", "Odd", *words, "--local-scheduler")
    assert done.returncode == 0 and f"with {dict(zip(names, range(4), strict=True))}" in done.stdout, done.stderr


def test_a_step_without_files_is_refused(tmp_path):
    folder = Pipeline(tmp_path / "lab").folder
    # A section of a step that is elsewhere is no error.
    config = folder / "luigi.cfg"
    config.write_text(config.read_text() + "\n[Video]\nthreshold = 0.5\n")
    tasks = folder / "tasks.py"
    step = "from neuroluigi import GroupTask\n\nclass NoFile(GroupTask):\n    def make(self, out):\n        pass\n"
    tasks.write_text(f"{tasks.read_text()}\n{step}")
    words = ["NoFile", "--group", "a-even", "--local-scheduler", "--matlab-engine", "numpy"]
    line = refusal(luigi(folder, "--module", "tasks", *words)).split("luigi: ")[-1]
    assert line == "NoFile.output() names no file; a step's files are self.result(NAME)"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_task_that_can_not_say_whether_it_is_done_fails_alone(tmp_path, workers):
    (tmp_path / "tasks.py").write_text(
        "import luigi\nfrom neuroluigi import StudyTask, WrapperTask\n"
        "class Good(StudyTask):\n"
        "    def output(self):\n        return self.result('good.txt')\n"
        "    def make(self, out):\n        out.write_text('x')\n"
        "class Bad(luigi.Task):\n"
        "    def complete(self):\n        raise ValueError('who knows')\n"
        "class All(WrapperTask):\n    def requires(self):\n        return [Bad(), Good()]\n"
    )
    done = luigi(tmp_path, "--module", "tasks", "All", "--local-scheduler", "--workers", workers)
    assert "Made: 1 Good." in done.stdout and "Failed: Bad()." in done.stdout and done.returncode not in (0, 40)
    assert (tmp_path / "results" / "study" / "good.txt").exists()


def test_without_a_word_it_says_what_is_missing(tmp_path):
    assert refusal(luigi(tmp_path)) == "No task specified"


def test_without_a_module_it_says_where_it_looked(tmp_path):
    line = refusal(luigi(tmp_path, "--module", "tasks", "PlotAll", "--local-scheduler"))
    assert f"no tasks.py in {tmp_path}" in line and "--module" in line


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["Stats", "--group", "zz"], "there is no group 'zz'; the groups are: a-even"),
        (["PlotAll", "--recordings-select", "colour=red"], "colour"),
        (["PlotAll", "--matlab-engine", "matlab", "--matlab-command", "no-such-matlab"], "no-such-matlab"),
    ],
)
def test_what_can_not_be_understood_is_refused_in_one_line(pipeline, arguments, expected):
    done = luigi(pipeline.folder, "--module", "tasks", *arguments, "--local-scheduler")
    assert expected in refusal(done)
    assert not pipeline.results.exists() and not (pipeline.folder / "recordings").exists()


def test_a_misspelt_option_is_an_error(pipeline):
    done = luigi(pipeline.folder, "--module", "tasks", "PlotAll", "--recordings-rout", "/x", "--local-scheduler")
    assert refusal(done) == "luigi: there is no option --recordings-rout; did you mean --recordings-root?"


def test_a_threshold_out_of_range_is_refused_even_when_all_is_done(pipeline):
    pipeline.run("PlotAll", "--matlab-engine", "numpy")
    done = luigi(pipeline.folder, "--module", "tasks", "PlotAll", "--local-scheduler", "--Edges-threshold", "1130")
    line = refusal(done)
    assert "threshold is a fraction of the channel's range" in line
    assert "for raw counts use --Edges-level 1130" in line


def test_a_failed_step_ends_the_run_with_an_exit_code_and_names_it(pipeline):
    (pipeline.folder / "recordings" / "s").mkdir(parents=True)
    (pipeline.folder / "recordings" / "s" / "rec_0.bin").write_bytes(b"")
    (pipeline.folder / "recordings" / "t").mkdir()
    (pipeline.folder / "recordings" / "t" / "rec_0.bin").write_bytes(b"0123456789")
    out = pipeline.run("PlotAll", "--recordings-root", "recordings", "--matlab-engine", "numpy", code=30)
    assert "Failed: Aggregate(group=s)." in out and "Traceback" not in out
    assert out.splitlines()[-1] == "1 plot: results/t/plot.png"


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


SLOW = """
import time
from neuroluigi import GroupTask, WrapperTask

class Slow(GroupTask):
    def output(self):
        return self.result("slow.txt")
    def make(self, out):
        out.write_text("half")
        (self.folder / "begun").touch()
        time.sleep(600)

class PlotAll(WrapperTask):
    def requires(self):
        return [Slow(group) for group in ("a-even", "b-even")]
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_at_once_and_leaves_nothing_half_made(tmp_path, workers, number):
    lab = Pipeline(tmp_path)
    (tmp_path / "tasks.py").write_text(SLOW)
    process = lab.start("PlotAll", "--workers", workers)
    wait_for(lambda: len(list(lab.results.glob("*/begun"))) == workers)
    process.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert out.splitlines()[-1].startswith("luigi: interrupted") and "Traceback" not in out
    assert not list(lab.results.rglob("slow*"))


START_METHOD = """
import multiprocessing, sys
multiprocessing.set_start_method({method!r})
sys.argv = ["luigi", *sys.argv[1:]]
from {module} import {function}
{function}()
"""


def run_code(folder, code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, "--module", "tasks", *arguments, "--local-scheduler"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", [("neuroluigi.runner.run", "main"), ("luigi.cmdline", "luigi_run")])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_settings_reach_children_however_they_are_started(pipeline, method, command):
    code = START_METHOD.format(method=method, module=command[0], function=command[1])
    settings = ["--results-root", "X", "--matlab-engine", "numpy", "--Edges-threshold", "0.6"]
    fakes = ["--FakeRecording-sessions", "q", "--FakeRecording-count", "2", "--FakeRecording-bytes", "50"]
    fakes += ["--recordings-group-by", "session"]
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("dtype = uint8", "dtype = int8"))
    done = run_code(pipeline.folder, code, "PlotAll", "--workers", "2", *settings, *fakes)
    assert done.returncode == 0, done.stderr
    results = pipeline.folder / "X"
    assert folders(results) == ["q"] and (results / "q" / "plot.png").is_file()
    assert '"threshold": 0.6' in (results / "q" / "runs" / "Edges.json").read_text()
    assert '"dtype": "int8"' in (results / "q" / "aggregate.json").read_text()
    assert (results / "q" / "aggregate.bin").stat().st_size == 100
    assert not pipeline.results.exists()


def test_results_and_names_with_a_percent_sign_survive_spawn(pipeline):
    code = START_METHOD.format(method="spawn", module="neuroluigi.runner.run", function="main")
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("root = results", "root = 100%% sure"))
    done = run_code(pipeline.folder, code, "Stats", "--group", "a-even", "--workers", "2", "--matlab-engine", "numpy")
    assert done.returncode == 0, done.stderr
    assert folders(pipeline.folder / "100% sure") == ["a-even"]


BARE = """
from neuroluigi import RecordingMaker, GroupTask
import datetime, luigi, sys

class Noise(RecordingMaker):
    def make(self, out):
        out.write_bytes(b"12345")

class Step(GroupTask):
    day = luigi.DateParameter(default=datetime.date(2026, 1, 2))
    def requires(self):
        return [Noise(r.session, r.index) for r in self.recordings]
    def output(self):
        return self.result("deep/er/step.txt")
    def make(self, out):
        {body}
"""


def test_a_folder_without_luigi_cfg_has_the_same_exit_codes(tmp_path):
    (tmp_path / "tasks.py").write_text(BARE.format(body="sys.exit('no good')"))
    done = luigi(tmp_path, "--module", "tasks", "Step", "--group", "a-even", "--local-scheduler")
    assert done.returncode == 30 and "SystemExit: no good (tasks.py, line" in done.stderr
    assert "Failed: Step(group=a-even" in done.stdout and "Nothing to make" not in done.stdout
    assert (tmp_path / "results" / "a-even" / "runs" / "Step.failed.json").is_file()


def test_a_folder_without_luigi_cfg_carries_the_command_line_to_spawned_children(tmp_path):
    (tmp_path / "tasks.py").write_text(BARE.format(body="out.write_text('whole')"))
    code = START_METHOD.format(method="spawn", module="neuroluigi.runner.run", function="main")
    done = run_code(tmp_path, code, "Step", "--group", "a-even", "--workers", "2", "--results-root", "X")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "X" / "a-even" / "deep" / "er" / "step.txt").read_text() == "whole"
    assert '"day": "2026-01-02"' in (tmp_path / "X" / "a-even" / "runs" / "Step.json").read_text()
    assert not (tmp_path / "results").exists()


def test_a_run_that_could_not_start_does_not_say_that_everything_is_there(pipeline):
    done = luigi(pipeline.folder, "--module", "tasks", "PlotAll", "--scheduler-port", "1")
    line = refusal(done)
    assert "no luigid answers at http://localhost:1" in line and "--local-scheduler" in line
    assert not done.stdout and not pipeline.results.exists()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["FakeRecording", "--session", "../../x", "--index", "1"], "can't name a folder"),
        (["FakeRecording", "--session", "s", "--index", "1", "--recordings-root", "real"], "among real recordings"),
        (["Plot", "--group", "../x"], "can't name a folder"),
        (["PlotAll", "--recordings-root", "real", "--results-root", "real"], "among the recordings"),
        (["PlotAll", "--recordings-root", "real", "--results-root", "real/s"], "among the recordings"),
    ],
)
def test_nothing_is_written_among_recordings_or_elsewhere(pipeline, arguments, expected):
    (pipeline.folder / "real" / "s").mkdir(parents=True)
    (pipeline.folder / "real" / "s" / "rec_0.bin").write_bytes(b"12345")
    assert expected in refusal(luigi(pipeline.folder, "--module", "tasks", *arguments, "--local-scheduler"))
    assert sorted(p.name for p in (pipeline.folder / "real").rglob("*")) == ["rec_0.bin", "s"]


def test_names_that_the_terminal_has_no_letters_for_are_written_with_escapes(pipeline):
    encoding = {"PYTHONIOENCODING": "cp1252"}
    arguments = ["PlotAll", "--results-root", "结果", "--matlab-engine", "numpy", "--FakeRecording-sessions", "猫"]
    done = luigi(pipeline.folder, "--module", "tasks", *arguments, "--local-scheduler", env=encoding)
    assert done.returncode == 0 and "\\u7ed3" in done.stdout and "Traceback" not in done.stderr


def test_a_closed_standard_output_does_not_fail_a_run(pipeline):
    process = commands.start(
        [BIN / "luigi", "--module", "tasks", "FakeRecording", "--session", "s", "--index", "1", "--local-scheduler"],
        cwd=pipeline.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 0, errors


FORKING = """
import os, signal
from neuroluigi import StudyTask, WrapperTask
import luigi

class Step(StudyTask):
    n = luigi.IntParameter()
    filename_parameters = ("n",)

    def output(self):
        return self.result(f"{self.n}.txt")

    def make(self, out):
        out.write_text("made")

class All(WrapperTask):
    def requires(self):
        return [Step(n) for n in range(50)]

# In the moment of the first fork of a step, in the parent, among the handlers that the system runs around it.
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGNUMBER))
"""


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="no fork here")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_in_the_moment_of_a_fork_is_not_lost(tmp_path, number):
    pipeline = Pipeline(tmp_path / "lab")
    (pipeline.folder / "tasks.py").write_text(FORKING.replace("SIGNUMBER", number))
    out = pipeline.run("All", "--workers", "2", code=130)
    assert "interrupted" in out and len(list(pipeline.results.rglob("*.txt"))) < 50


def test_a_command_ends_without_a_look_at_all_that_is_left(tmp_path):
    code = (
        "import atexit, gc\n"
        "from neuroluigi.runner.run import prepare_process\n"
        # What is registered first is called last.
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000))\n"
        "prepare_process()\n"
    )
    done = commands.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr


AT_ITS_END = """
import atexit, sys
from neuroluigi.provenance import modules
from neuroluigi.runner.run import main
parsed, parse = [], modules._statements
modules._statements = lambda code: parsed.append(code) or parse(code)
atexit.register(lambda: print(len(parsed), [name for name in ("numpy", "matplotlib") if name in sys.modules]))
main()
"""


def test_with_nothing_to_make_neither_code_is_parsed_nor_numpy_imported(pipeline):
    words = ["PlotAll", "--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]
    pipeline.run(*words)
    done = commands.run(
        [sys.executable, "-c", AT_ITS_END, "--module", "tasks", *words, "--local-scheduler", "--log-level", "WARNING"],
        cwd=pipeline.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and done.stdout.startswith("Nothing to make"), done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "0 []"
