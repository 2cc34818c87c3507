"""The register of a run: opened and closed, forked and spawned, on disks that know no locks."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuroluigi.provenance import register as module
from neuroluigi.provenance.parts import part_path, run_of_part
from neuroluigi.provenance.register import Register, current, is_alive, noted_folders, registers, remove_register
from neuroluigi.provenance.run_lock import registered


def run_of(path: Path) -> str:
    return run_of_part(part_path(path).name)


def answer(results: Path, queue) -> None:
    """Say under which run a child of this process writes, in `registered` too."""
    with registered(results, "a child"):
        queue.put((run_of(results / "a" / "x"), current(results).id))


def test_the_note_says_who_runs_what_and_can_be_rewritten(tmp_path):
    register = Register.open(tmp_path, {"command": "luigi A"})
    assert json.loads(register.path.read_text()) == register.note
    assert register.note["pid"] == os.getpid() and {"host", "user", "command"} <= register.note.keys()
    register.note["more"] = [1]
    register.write_note()
    assert [note["more"] for _, note in registers(tmp_path)] == [[1]] and is_alive(register.path)
    register.close()
    assert not is_alive(register.path)
    remove_register(register.path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_noted_before_its_first_temporary_file_and_once(tmp_path):
    with registered(tmp_path, "luigi A"):
        own = current(tmp_path)
        for path in (tmp_path / "a" / "x", tmp_path / "a" / "y", tmp_path / "x", tmp_path.parent / "elsewhere" / "x"):
            assert run_of(path) == own.id
        folders = [own.folder, tmp_path / "a", tmp_path, tmp_path.parent / "elsewhere"]
        assert noted_folders(own.path, tmp_path) == folders
        lines = own.path.with_suffix(".folders").read_text().split()
        assert lines == ['"a"', '"."', '"../elsewhere"']
    assert run_of(tmp_path / "x") != own.id


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_register_reaches_all_processes_of_the_run(tmp_path, method):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    with registered(tmp_path, "luigi A"):
        own = current(tmp_path)
        process = context.Process(target=answer, args=(tmp_path, queue))
        process.start()
        if method == "forkserver":
            # Its parent is the server, not the run.
            assert queue.get()[1]
        else:
            assert queue.get() == (own.id, own.id)
        process.join()
        assert current(tmp_path) is own and own.path.exists()


def test_a_program_that_a_step_starts_is_a_run_of_its_own(tmp_path):
    program = "import sys, pathlib; from neuroluigi.provenance.register import current; print(current())"
    with registered(tmp_path, "luigi A"):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_registers_within_each_other(tmp_path):
    with registered(tmp_path / "one", "luigi A"):
        outer = current()
        with registered(tmp_path / "one", "luigi A"):
            assert current() is outer
        with registered(tmp_path / "two", "luigi B"):
            assert current(tmp_path / "one") is None and run_of(tmp_path / "two" / "x") == current().id != outer.id
        assert current() is outer and run_of(tmp_path / "one" / "x") == outer.id
        assert os.environ[module._VARIABLE].split()[1] == outer.id
    assert current() is None and module._VARIABLE not in os.environ
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError("no flock")])
@pytest.mark.skipif(os.name == "nt", reason="locks by another call")
def test_on_a_disk_that_knows_no_locks_there_is_no_register_and_all_seem_alive(tmp_path, monkeypatch, error):
    register = Register.open(tmp_path, {"command": "luigi A"})
    register.close()

    def refuse(*args):
        raise error

    monkeypatch.setattr(module.fcntl, "flock", refuse)
    assert is_alive(register.path)
    with registered(tmp_path, "luigi B"):
        assert current() is None and run_of(tmp_path / "x")
    assert [path for path, _ in registers(tmp_path)] == [register.path] and len(list(register.folder.iterdir())) == 2


def test_many_open_and_close_at_once(tmp_path):
    """The last one removes the folder; who comes at that moment makes it again."""
    program = """
import sys, pathlib
from neuroluigi.provenance.register import current
from neuroluigi.provenance.run_lock import registered
results = pathlib.Path(sys.argv[1])
for _ in range(100):
    with registered(results, "luigi"):
        assert current(results).path.exists()
"""
    command = [sys.executable, "-c", program, tmp_path / "results"]
    several = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [one.communicate(timeout=120)[1] for one in several]
    assert errors == [""] * 4 and not (tmp_path / "results" / ".runs").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o775, 0o1777, 0o2770, 0o755])
def test_who_may_write_results_may_have_a_register_there(tmp_path, mode):
    before = os.umask(0o077)
    try:
        tmp_path.chmod(mode)
        register = Register.open(tmp_path, {})
    finally:
        os.umask(before)
    assert register.folder.stat().st_mode & 0o7777 == mode
    register.close()
