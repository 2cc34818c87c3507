"""`neuroluigi doctor`: what a run would find, and what would keep it from starting."""

import json
import os
import shutil

import pytest

from neuroluigi.provenance import run_lock
from tests import commands
from tests.conftest import BIN, FAKE_MATLAB, HAS_OCTAVE, Pipeline, clean_environment, needs_octave


@pytest.fixture
def lab(tmp_path):
    return Pipeline(tmp_path / "lab")


def examine(lab, *arguments, env=None):
    """Return the exit code, and {what: (text, problem)}."""
    done = commands.run(
        [BIN / "neuroluigi", "doctor", "--json", *arguments],
        cwd=lab.folder,
        env={**clean_environment(), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {one["what"]: (one["text"], one["problem"]) for one in json.loads(done.stdout)}


def test_a_machine_on_which_a_run_can_start(lab):
    code, found = examine(lab, "--Edges-threshold", "0.6", "--FakeRecording-count", "2")
    assert code == 0 and not any(problem for _, problem in found.values())
    assert found["recordings"][0].endswith("10 in 10 groups") and "GB free" in found["results"][0]
    assert found["[Edges] threshold"][0] == "0.6 (command line)"
    assert found["[recordings] dtype"][0] == "uint8 (luigi.cfg)"
    assert "Stats" in found and "python" in found and "luigi" in found
    assert not lab.results.exists() and not (lab.folder / "recordings").exists()


@pytest.mark.skipif(os.name != "posix", reason="the environment is copied by links")
def test_luigis_own_script_in_place_of_ours_is_told_and_replaced(lab, tmp_path):
    """As pip install -U luigi leaves it."""
    environment = tmp_path / "venv"
    shutil.copytree(BIN, environment / "bin", symlinks=True)
    shutil.copy(BIN.parent / "pyvenv.cfg", environment)
    (environment / "lib").symlink_to(BIN.parent / "lib")
    script = environment / "bin" / "luigi"

    def doctor(*words):
        command = [environment / "bin" / "python", "-m", "neuroluigi", "doctor", *words]
        done = commands.run(command, cwd=lab.folder, env=clean_environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def luigi_command() -> tuple[str, str]:
        found = {one["what"]: one for one in json.loads(doctor("--json"))}["luigi command"]
        return found["text"], found["problem"]

    assert luigi_command() == (f"{script}, of neuroluigi", "")
    assert doctor("--fix") == "luigi and luigid are neuroluigi's.\n"
    script.write_text("from luigi.cmdline import luigi_run\nluigi_run()\n")
    text, problem = luigi_command()
    assert text == f"{script}, of luigi" and "is Luigi's own, not neuroluigi's" in problem
    assert "run neuroluigi doctor --fix" in problem
    # It needs neither settings nor tasks.
    (lab.folder / "luigi.cfg").write_text("no settings")
    (lab.folder / "tasks.py").unlink()
    assert doctor("--fix") == f"{script} is neuroluigi's now.\n"
    lab = Pipeline(tmp_path / "another lab")
    assert luigi_command() == (f"{script}, of neuroluigi", "")
    words = ["--module", "tasks", "FakeRecording", "--session", "a", "--index", "0", "--local-scheduler"]
    done = commands.run([script, *words], cwd=lab.folder, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "Made: 1 FakeRecording." in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="the environment is copied by links")
def test_a_folder_of_scripts_without_that_of_neuroluigi(lab, tmp_path):
    environment = tmp_path / "venv"
    shutil.copytree(BIN, environment / "bin", symlinks=True)
    shutil.copy(BIN.parent / "pyvenv.cfg", environment)
    (environment / "lib").symlink_to(BIN.parent / "lib")
    for name in ("neuroluigi", "luigi"):
        (environment / "bin" / name).unlink()
    command = [environment / "bin" / "python", "-m", "neuroluigi", "doctor", "--fix"]
    done = commands.run(command, cwd=lab.folder, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("neuroluigi: [Errno 2] ")
    assert "install it anew (pip install --force-reinstall --no-deps neuroluigi, in a checkout -e .)" in done.stderr


@needs_octave
def test_engines_are_started_and_timed(lab):
    code, found = examine(lab, "--matlab-command", str(FAKE_MATLAB), env={"FAKE_MATLAB": "slow=1"})
    assert code == 0
    text = found["matlab"][0]
    assert str(FAKE_MATLAB) in text and "version 7.3" in text
    assert float(text.split(" in ")[1].split()[0]) >= 1
    assert found["Stats"][0].startswith("runs on matlab R2022b")
    assert found["octave"][0].split(",")[0] == shutil.which("octave-cli")


@needs_octave
def test_an_engine_without_a_licence_is_told_with_what_it_said(lab, tmp_path):
    env = {"FAKE_MATLAB": "licence=-10,100", "FAKE_MATLAB_STARTS": str(tmp_path / "starts")}
    code, found = examine(lab, "--matlab-command", str(FAKE_MATLAB), "--matlab-engine", "matlab", env=env)
    assert code == 1 and "the licence has expired" in found["matlab"][1]


@pytest.mark.parametrize(
    ("arguments", "what", "problem"),
    [
        (["--matlab-engine", "matlab", "--matlab-command", "nowhere"], "Stats", "put matlab on PATH"),
        (["--Stats-matlab-release", "R1900a", "--matlab-command", str(FAKE_MATLAB)], "Stats", "declared to run on"),
        (["--recordings-root", "nowhere"], "recordings", "recordings folder nowhere is not there"),
    ],
)
def test_what_keeps_a_run_from_starting_is_told_with_its_cure(lab, arguments, what, problem):
    code, found = examine(lab, *arguments)
    assert code == 1 and problem in found[what][1]
    assert lab.run("PlotAll", *arguments, code=None)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written_to(lab):
    lab.folder.chmod(0o500)
    code, found = examine(lab)
    lab.folder.chmod(0o700)
    assert code == 1 and "can't be written to" in found["results"][1]


def test_runs_that_are_at_work_are_named(lab):
    lab.results.mkdir()
    with run_lock.side_by_side(lab.results, {}, "luigi A"):
        _, found = examine(lab)
    assert found["at work"][0].startswith("luigi A, process")


def test_plain_text_ends_with_what_is_wrong(lab):
    command = [BIN / "neuroluigi", "doctor", "--matlab-engine", "numpy"]
    done = commands.run(command, cwd=lab.folder, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("Nothing is wrong.\n")
    assert ("starts, answers and exits" in done.stdout) == HAS_OCTAVE
