"""Where engines are found, how they are called, and which version they say they are."""

import re
import shutil
from pathlib import Path

import pytest

from neuroluigi.engines import engine
from neuroluigi.engines.engine import Engine, EngineError, find_engine
from tests.conftest import FAKE_MATLAB, needs_octave

COMMANDS = {"matlab": ("matlab",), "octave": ("octave-cli",)}


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """A folder that is the whole PATH; and no Matlab where installers put it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(engine, "_MATLAB_INSTALLATIONS", {})
    return folder


def test_auto_takes_matlab_then_octave_then_numpy(bin_folder):
    matlab, octave = program(bin_folder / "matlab"), program(bin_folder / "octave-cli")
    assert find_engine("auto", COMMANDS, may_use_numpy=True) == Engine("matlab", (str(matlab),))
    matlab.unlink()
    assert find_engine("auto", COMMANDS, may_use_numpy=True) == Engine("octave", (str(octave),))
    octave.unlink()
    assert find_engine("auto", COMMANDS, may_use_numpy=True) == Engine("numpy")


def test_a_named_engine_is_taken_whatever_else_is_there(bin_folder):
    program(bin_folder / "matlab")
    octave = program(bin_folder / "octave-cli")
    assert find_engine("octave", COMMANDS, may_use_numpy=False) == Engine("octave", (str(octave),))
    assert find_engine("numpy", COMMANDS, may_use_numpy=False) == Engine("numpy")


def test_octave_without_its_cli_is_octave_too(bin_folder):
    octave = program(bin_folder / "octave")
    assert find_engine("octave", COMMANDS, may_use_numpy=False).command == (str(octave),)


def test_matlab_is_found_where_installers_put_it_the_newest_first(bin_folder, tmp_path, monkeypatch):
    for release in ("R2021a", "R2023b", "R2022b"):
        program(tmp_path / "MATLAB" / release / "bin" / "matlab")
    monkeypatch.setattr(engine, "_MATLAB_INSTALLATIONS", {engine.sys.platform: (f"{tmp_path}/MATLAB/R*/bin/matlab",)})
    newest = tmp_path / "MATLAB" / "R2023b" / "bin" / "matlab"
    assert find_engine("auto", COMMANDS, may_use_numpy=True).command == (str(newest),)
    # A command of one's own is the only one that counts.
    with pytest.raises(EngineError, match="looked for matlab_2020 on PATH"):
        find_engine("matlab", {**COMMANDS, "matlab": ("matlab_2020",)}, may_use_numpy=True)


def test_a_command_keeps_its_words_and_loses_its_relative_path(bin_folder, tmp_path, monkeypatch):
    """The engine is started in another folder."""
    matlab = program(tmp_path / "tools" / "my matlab")
    monkeypatch.chdir(tmp_path)
    commands = {**COMMANDS, "matlab": ("tools/my matlab", "-nojvm", "-singleCompThread")}
    engine = find_engine("auto", commands, may_use_numpy=True)
    assert engine.command == (str(matlab), "-nojvm", "-singleCompThread")


def test_an_engine_that_is_not_there_is_named_with_its_cure(bin_folder):
    with pytest.raises(EngineError) as error:
        find_engine("octave", COMMANDS, may_use_numpy=True)
    assert str(error.value) == (
        "engine octave (looked for octave-cli, octave on PATH) is not there; install GNU Octave (Debian: apt-get"
        " install octave; conda: conda install -c conda-forge octave) or set [matlab] octave_command in luigi.cfg, or"
        " choose another engine with [matlab] engine (--matlab-engine)"
    )
    with pytest.raises(EngineError) as error:
        find_engine("matlab", COMMANDS, may_use_numpy=True)
    assert str(error.value) == (
        "engine matlab (looked for matlab on PATH) is not there; put matlab on PATH or set [matlab] command in"
        " luigi.cfg, or choose another engine with [matlab] engine (--matlab-engine)"
    )


def test_real_recordings_are_not_left_to_numpy_unasked(bin_folder):
    with pytest.raises(EngineError) as error:
        find_engine("auto", COMMANDS, may_use_numpy=False)
    message = str(error.value)
    assert "neither matlab (looked for matlab on PATH) nor octave (looked for octave-cli, octave on PATH)" in message
    assert "[matlab] octave_command" in message
    assert "--matlab-engine numpy" in message


def test_command_lines_are_fixed_ascii_without_any_value_of_the_user(monkeypatch):
    monkeypatch.setattr(engine.sys, "platform", "linux")
    octave = Engine("octave", ("/usr/bin/octave-cli",)).session_command()
    assert octave == [
        "/usr/bin/octave-cli",
        "--norc",
        "--no-history",
        "--quiet",
        "--no-window-system",
        "--no-line-editing",
        "--eval",
        "cd(getenv('NEUROLUIGI_SESSION'));neuroluigiServe",
    ]
    matlab = Engine("matlab", ("/opt/matlab", "-nojvm")).session_command()
    statement = "restoredefaultpath;cd(getenv('NEUROLUIGI_SESSION'));neuroluigiServe"
    assert matlab == ["/opt/matlab", "-nojvm", "-batch", statement]
    # What Matlab's launcher, a shell script, leaves alone.
    assert re.fullmatch(r"[A-Za-z0-9_ ./,;:()'=-]+", statement)


def test_matlab_on_windows_is_waited_for(monkeypatch):
    monkeypatch.setattr(engine.sys, "platform", "win32")
    assert Engine("matlab", ("matlab.exe",)).session_command()[:3] == ["matlab.exe", "-wait", "-batch"]


def test_the_release_of_matlab_is_read_without_starting_it(tmp_path):
    assert Engine("matlab", (str(FAKE_MATLAB),)).version() == "R2022b"
    link = tmp_path / "matlab"
    link.symlink_to(FAKE_MATLAB)
    engine = Engine("matlab", (str(link),))
    assert engine.version() == "R2022b"
    assert str(engine) == f"matlab R2022b ({link})"


@pytest.mark.parametrize("content", [None, "", "<broken", "<MathWorks_version_info/>"])
def test_a_release_that_can_not_be_read_is_unknown(tmp_path, content):
    matlab = program(tmp_path / "root" / "bin" / "matlab")
    if content is not None:
        (tmp_path / "root" / "VersionInfo.xml").write_text(content)
    engine = Engine("matlab", (str(matlab),))
    assert engine.version() == ""
    assert str(engine) == f"matlab ({matlab})"


@needs_octave
def test_octave_says_its_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", Engine("octave", (shutil.which("octave-cli"),)).version())


@pytest.mark.parametrize("text", ["exit 3", "exec /nowhere"])
def test_an_octave_that_does_not_work_has_no_version(tmp_path, text):
    octave = program(tmp_path / "octave-cli")
    octave.write_text(f"#!/bin/sh\n{text}\n")
    assert Engine("octave", (str(octave),)).version() == ""
    assert Engine("octave", (str(tmp_path / "gone"),)).version() == ""


def test_numpy_have_the_version_of_numpy():
    import numpy as np

    assert str(Engine("numpy")) == f"numpy {np.__version__}"
