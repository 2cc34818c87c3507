"""Steps from another folder than the current one: the luigi.cfg beside them is in force, or it is said which is."""

import subprocess
import sys

import pytest

from tests import commands
from tests.conftest import BIN, clean_environment

TASKS = """
import luigi
from neuroluigi import GroupTask, RecordingMaker, WrapperTask, groups, recording_task


class Noise(RecordingMaker):
    def make(self, out):
        out.write_bytes(b"0123")


class Sizes(GroupTask):
    unit = luigi.Parameter(default="bytes")

    def requires(self):
        return [recording_task(recording) for recording in self.recordings]

    def output(self):
        return self.result("sizes.txt")

    def make(self, out):
        out.write_text(f"{len(self.input())} {self.unit}")


class AllSizes(WrapperTask):
    def requires(self):
        return [Sizes(group) for group in groups()]
"""

SETTINGS = "[recordings]\nroot = real\n[Sizes]\nunit = files\n[neuroluigi]\ntask = AllSizes\n"

BUILD = "import neuroluigi, tasks; print(neuroluigi.build([tasks.AllSizes()]), *neuroluigi.groups())"


@pytest.fixture
def lab(tmp_path):
    """A lab with one recording of session x, in a folder with a per cent sign in its name."""
    folder = tmp_path / "100% lab"
    (folder / "real" / "x").mkdir(parents=True)
    (folder / "real" / "x" / "rec_0.bin").write_bytes(b"0123")
    (folder / "tasks.py").write_text(TASKS)
    (folder / "luigi.cfg").write_text(SETTINGS)
    return folder


@pytest.fixture
def elsewhere(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def python(code, folder, lab, **env):
    env = {**clean_environment(), "PYTHONPATH": str(lab), **env}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def test_a_notebook_in_another_folder_has_the_settings_and_results_of_the_lab(lab, elsewhere):
    for folder in (elsewhere, lab, lab.parent):
        done = python(BUILD, folder, lab)
        assert done.stdout == "True x\n" and "WARNING" not in done.stderr, done.stderr
        assert (lab / "results" / "x" / "sizes.txt").read_text() == "1 files"
        assert done.stderr.count(" made in ") == (1 if folder == elsewhere else 0)
    assert names(elsewhere) == [] and names(lab.parent) == ["100% lab", "elsewhere"]


def test_a_luigi_cfg_of_the_lab_may_leave_the_recordings_to_be_made(lab, elsewhere):
    (lab / "luigi.cfg").write_text("[Sizes]\nunit = files\n[Noise]\nsessions = s\n")
    assert python(BUILD, elsewhere, lab).stdout == "True s-even s-odd\n"
    assert "recordings" in names(lab) and names(elsewhere) == []


@pytest.mark.parametrize("start", ["-m neuroluigi run", "-m neuroluigi status", "-m luigi --module tasks AllSizes"])
def test_commands_in_another_folder(lab, elsewhere, start):
    assert python(BUILD, lab, lab).stdout == "True x\n"
    words = [*start.split(), *(["--local-scheduler"] if "luigi " in start and "neuro" not in start else [])]
    env = {**clean_environment(), "PYTHONPATH": str(lab)}
    done = subprocess.run([sys.executable, *words], cwd=elsewhere, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert names(elsewhere) == []


def test_what_is_given_on_the_command_line_counts_from_the_current_folder(lab, elsewhere):
    words = ["--module", "tasks", "AllSizes", "--local-scheduler", "--results-root", "here"]
    env = {**clean_environment(), "PYTHONPATH": str(lab)}
    done = subprocess.run([BIN / "luigi", *words], cwd=elsewhere, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "here" / "x" / "sizes.txt").read_text() == "1 files" and "results" not in names(lab)


def test_of_two_it_is_said_which_is_taken(lab, elsewhere):
    (elsewhere / "luigi.cfg").write_text("[Sizes]\nunit = here\n[Noise]\nsessions = s\n")
    taken, other = elsewhere / "luigi.cfg", elsewhere / "other.cfg"
    line = f"the settings are those of {taken}; {lab / 'luigi.cfg'}, where steps are defined, is not read"
    done = python(BUILD, elsewhere, lab)
    assert done.stdout == "True s-even s-odd\n" and done.stderr.count(line) == 1
    assert (elsewhere / "results" / "s-odd" / "sizes.txt").read_text() == "2 here"
    taken.rename(other)
    done = python(BUILD, elsewhere, lab, LUIGI_CONFIG_PATH=str(other))
    assert done.stdout == "True s-even s-odd\n" and f"those of {other}; " in done.stderr
    # That it is named is no reason to say anything.
    assert python(BUILD, elsewhere, lab, LUIGI_CONFIG_PATH=str(lab / "luigi.cfg")).stderr.count(" is not read") == 0


def test_without_any_it_is_said_that_the_recordings_are_fake(lab, elsewhere):
    (lab / "luigi.cfg").unlink()
    done = python(BUILD, elsewhere, lab)
    assert (
        done.stderr.count(
            f"there is no luigi.cfg in {elsewhere}, nor in {lab}: the recordings are fake ones, and the results go to"
            f" {elsewhere / 'results'}"
        )
        == 1
    )
    # In the folder of tasks.py that is how one begins.
    assert "there is no luigi.cfg" not in python(BUILD, lab, lab).stderr


def test_a_notebook_that_goes_to_the_lab_after_the_first_import(lab, elsewhere):
    code = f"import luigi, os; os.chdir({str(lab)!r}); {BUILD}"
    assert python(code, elsewhere, lab).stdout == "True x\n"
    assert (lab / "results" / "x" / "sizes.txt").read_text() == "1 files" and names(elsewhere) == []


def test_a_file_that_cant_be_read_is_an_error_of_the_whole(lab, elsewhere):
    (lab / "luigi.cfg").write_text("[core]\nworkers 2\n")
    done = python(
        "import neuroluigi\ntry: import tasks\nexcept neuroluigi.RunStopped as error: print(error)", elsewhere, lab
    )
    assert done.stdout == f"luigi: {lab / 'luigi.cfg'}, line 2: 'workers 2' is neither a [section] nor NAME = VALUE\n"


def test_the_current_folder_is_as_it_always_was(lab):
    done = commands.run(
        [BIN / "luigi", "--module", "tasks", "AllSizes", "--local-scheduler"],
        cwd=lab,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.endswith("\n1 result: results/x/sizes.txt\n")
    # Relative paths stay relative in what is printed and recorded.
    assert '"value": "real"' in (lab / "results" / "run.json").read_text()
