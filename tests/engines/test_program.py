"""Programs under a supervisor: how they end, what they print, and the commands that luigi.cfg names."""

import os
import signal
import sys
from pathlib import Path

import pytest

from neuroluigi.engines.pool import close_pool
from neuroluigi.engines.program import ProgramTimeout, absolute_word, explain_exit, run_program, split_command
from tests.conftest import is_running
from tests.engines.lab import use_temporary_folder

needs_sh = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")


@needs_sh
def test_a_program_runs_in_the_current_folder_and_its_output_is_added_to_the_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "log"
    log.write_text("before\n")
    code, used = run_program(["sh", "-c", "pwd; cat; echo trouble >&2; touch made; exit 3"], log)
    assert code == 3
    assert log.read_text() == f"before\n{tmp_path}\ntrouble\n"
    assert (tmp_path / "made").exists()
    assert used["peak_memory_bytes"] > 100_000


@needs_sh
def test_the_temporary_folder_of_a_program_is_its_own_and_removed_with_it(tmp_path, monkeypatch):
    use_temporary_folder(tmp_path, monkeypatch)
    log = tmp_path / "log"
    assert run_program(["sh", "-c", 'echo x > "$TMPDIR/left" && ls "$TMPDIR" && echo "$TMPDIR"'], log)[0] == 0
    name, folder = log.read_text().splitlines()
    assert name == "left" and tmp_path in Path(folder).parents and not Path(folder).exists()


@needs_sh
def test_what_a_program_used_includes_its_children(tmp_path):
    busy = "while __import__('time').process_time() < 0.3: pass"
    code, used = run_program(["sh", "-c", f'"{sys.executable}" -c "{busy}"; exit 0'], tmp_path / "log")
    assert code == 0
    assert 0.3 <= used["cpu_seconds"] < 10


@needs_sh
@pytest.mark.parametrize(
    ("command", "code", "explained"),
    [
        (["sh", "-c", "kill -SEGV $$"], 128 + signal.SIGSEGV, "killed by signal 11"),
        (["sh", "-c", "kill -KILL $$"], 137, "killed by signal 9: out of memory?"),
        (["/nowhere/at all"], 127, "exit code 127: the program could not be started"),
        (["sh", "-c", "exit 128"], 128, "exit code 128"),
    ],
)
def test_exit_codes_are_those_of_a_shell(tmp_path, command, code, explained):
    assert run_program(command, tmp_path / "log")[0] == code
    assert explain_exit(code) == explained


def test_exit_codes_of_windows_are_no_signals():
    assert explain_exit(0xC0000005) == "exit code 3221225477"


@needs_sh
def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = "sleep 300 & echo $! > child.pid; echo started; wait"
    with pytest.raises(ProgramTimeout, match=r"^no end within 2 s$"):
        run_program(["sh", "-c", script], tmp_path / "log", seconds=2)
    assert (tmp_path / "log").read_text() == "started\n"
    assert not is_running(int((tmp_path / "child.pid").read_text()))


def test_no_folder_of_a_program_is_left(tmp_path, monkeypatch):
    use_temporary_folder(tmp_path / "tmp", monkeypatch)
    (tmp_path / "tmp").mkdir()
    assert run_program([sys.executable, "-c", ""], tmp_path / "log")[0] == 0
    # That of the run is empty.
    assert list((tmp_path / "tmp").glob("*/*")) == []
    close_pool()
    assert list((tmp_path / "tmp").iterdir()) == []


@needs_sh
def test_a_command_is_a_path_or_words(tmp_path):
    program = tmp_path / "my tools" / "matlab"
    program.parent.mkdir()
    program.touch()
    program.chmod(0o755)
    assert split_command(str(program)) == (str(program),)
    assert split_command("apptainer exec 'r 2022b.sif' matlab") == ("apptainer", "exec", "r 2022b.sif", "matlab")
    assert split_command("") == ("",)


def test_a_word_that_is_a_file_is_made_absolute(tmp_path, monkeypatch):
    (tmp_path / "image.sif").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute_word("image.sif") == str(tmp_path / "image.sif")
    assert [absolute_word(word) for word in ("exec", "folder", "-nojvm")] == ["exec", "folder", "-nojvm"]
