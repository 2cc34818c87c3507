"""What killed runs left: removed where both name and register say whose it was, and nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from neuroluigi.provenance import clearing, run_lock
from neuroluigi.provenance.clearing import clear_killed
from neuroluigi.provenance.commit import pending_path
from neuroluigi.provenance.contents import measure
from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.register import Lock, current, is_alive, noted_folders, registers

# Opens a register, leaves a file and a folder under temporary names, says where, and waits. Its words say what to do.
PROGRAM = """
import os, sys, time
from pathlib import Path
from neuroluigi.provenance.parts import part_path
from neuroluigi.provenance.run_lock import registered
results, words = Path(sys.argv[1]), sys.argv[2:]
with registered(results, "luigi A", [Path(word) for word in words if os.sep in word]):
    folder = Path(next((word for word in words if os.sep in word), results / "a"))
    folder.mkdir(parents=True, exist_ok=True)
    part, made = part_path(folder / "a.bin"), part_path(folder / "sorted")
    part.write_text("x")
    made.mkdir()
    (made / "b.txt").write_text("x")
    if "fork" in words and (child := os.fork()):
        print(part, made, child, flush=True)
        os._exit(0)
    if "fork" not in words:
        print(part, made, flush=True)
    time.sleep(600)
"""


class Killed:
    """A process that writes under a register of its own; `kill` ends it."""

    def __init__(self, results: Path, *words: str | Path):
        command = [sys.executable, "-c", PROGRAM, results, *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.part, self.made, *self.child = map(Path, self.process.stdout.readline().split())
        self.register = next(path for path, _ in registers(results))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def left(results: Path) -> list[str]:
    return sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if ".runs" not in path.parts)


def test_what_a_killed_run_left_is_removed_and_what_has_only_the_name_stays(results):
    killed = Killed(results)
    (run,) = registers(results)
    assert run[1]["pid"] == killed.process.pid and is_alive(run[0])
    # Nothing of the living.
    clear_killed(results, [results])
    assert killed.part.exists() and killed.made.is_dir()
    killed.kill()
    run_id, stranger = killed.register.stem, "fedcba9876543210"
    kept = {
        f"b/x.part-{run_id}-01234567.bin": "in a folder that the register does not name",
        f"a/x.part-{stranger}-01234567.bin": "of a run without a register",
        "a/x.part-host-4000000-1.bin": "of an earlier release",
        f"a/run.part-{run_id}-01234567/runs/Edges.json": "a group's folder",
        "a/mine.txt": "any other",
    }
    for name, text in kept.items():
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(text)
    (results / "a" / f"link.part-{run_id}-01234567").symlink_to(results / "b")
    with run_lock.registered(results, "luigi B"):
        assert not killed.part.exists() and not killed.made.exists() and not killed.register.exists()
    assert {name: (results / name).read_text() for name in kept} == kept and not (results / ".runs").exists()
    assert (results / "a" / f"link.part-{run_id}-01234567").is_symlink()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_child_of_a_killed_run_may_still_write_is_left_until_it_has_ended(results):
    killed = Killed(results, "fork")
    killed.process.wait()
    child = int(str(killed.child[0]))
    try:
        clear_killed(results, [results])
        assert killed.part.exists() and is_alive(killed.register)
    finally:
        os.kill(child, signal.SIGKILL)
    # Its end closes the pipe that it had from its parent.
    killed.process.communicate()
    clear_killed(results, [results])
    assert left(results) == ["a"]


def test_folders_outside_or_behind_a_link_are_refused(results, tmp_path):
    killed = Killed(results)
    killed.kill()
    outside = tmp_path / "outside"
    victims = [outside, results / "a" / "deep", tmp_path / "results-2"]
    for folder in victims:
        folder.mkdir()
        (folder / f"x.part-{killed.register.stem}-01234567.bin").write_text("mine")
    (results / "link").symlink_to(outside)
    (results / "b").mkdir()
    (results / "b" / "link").symlink_to(results / "a")
    odd = [
        '"../outside"',
        '"link"',
        f'"{outside}"',
        '"b/link/deep"',
        '"../results-2"',
        "7",
        "{",
        "[" * 99999,
        '"a\\u0000"',
    ]
    odd += ['"nothing/there"', '""', '"."', '"\\ud800"', "\xff", f'"{"a" * 300}"', f'"{"a/" * 5000}"']
    with killed.register.with_suffix(".folders").open("a", encoding="latin-1") as file:
        file.write("\n".join(odd))
    clear_killed(results, [results])
    assert not killed.register.exists() and not killed.part.exists()
    assert all(len(list(folder.glob("x.part-*"))) == 1 for folder in victims)


def test_a_folder_of_recordings_that_are_made_is_cleared_where_it_is_told(results, tmp_path):
    killed = Killed(results, tmp_path / "recordings" / "s")
    killed.kill()
    assert noted_folders(killed.register, results)[1:] == [tmp_path / "recordings" / "s"]
    clear_killed(results, [results, tmp_path / "recordings"])
    assert not killed.part.exists() and not killed.made.exists()


def test_a_copy_of_results_in_mid_run_is_cleared_and_nothing_beside_it(results, tmp_path):
    """As by cp -a: the copied lock is free, and the recordings are those of the run that lives."""
    recordings = tmp_path / "recordings"
    running = Killed(results, recordings / "s")
    inside = results / "a" / f"x.part-{running.register.stem}-01234567.bin"
    inside.parent.mkdir()
    inside.write_text("x")
    with running.register.with_suffix(".folders").open("a") as file:
        file.write('"a"\n')
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    with run_lock.registered(copy, "luigi B", [recordings]):
        assert running.part.exists() and running.made.exists() and inside.exists()
        assert not list(copy.glob("a/*"))
    running.kill()
    clear_killed(results, [results, recordings])
    assert not running.part.exists() and not inside.exists() and not list(results.glob(".runs"))


def test_a_commit_that_a_killed_run_began_is_finished_first(results):
    killed = Killed(results)
    killed.kill()
    record = results / "a" / "runs" / "Step.json"
    record.parent.mkdir()
    with killed.register.with_suffix(".folders").open("a") as file:
        file.write('\n"a/runs"\n')
    rename = {"part": f"../{killed.part.name}", "final": "../a.bin", **measure(killed.part).described()}
    write_json(pending_path(record), {"schema": 1, "is": "new", "renames": [rename]})
    clear_killed(results, [results])
    assert left(results) == ["a", "a/a.bin", "a/runs", "a/runs/.lock", "a/runs/Step.json"]


@pytest.mark.parametrize(
    "note", ["", "{", "[]", "{}", '{"command": 7}', '{"command": "x", "settings": 7}', "[" * 99999]
)
def test_a_register_of_odd_content_is_passed_over(results, note):
    folder = results / ".runs"
    folder.mkdir(parents=True)
    (results / "x.part-0123456789abcdef-01234567").write_text("mine")
    for suffix, text in ((".json", note), (".lock", ""), (".folders", '\n"."\n')):
        (folder / f"0123456789abcdef{suffix}").write_text(text)
    with run_lock.registered(results, "luigi B"):
        assert run_lock.running(results) == []
    assert left(results) == ["x.part-0123456789abcdef-01234567"] and len(list(folder.iterdir())) == 3


def test_a_lock_that_nobody_can_try_is_that_of_a_living_run(results):
    folder = results / ".runs"
    (folder / "0123456789abcdef.lock").mkdir(parents=True)
    (folder / "0123456789abcdef.json").write_text(
        json.dumps({"command": "luigi", "settings": {}, "host": "h", "pid": 1})
    )
    clear_killed(results, [results])
    assert run_lock.running(results) == ["luigi, process 1 on h"]


def test_where_a_lock_does_not_reach_other_machines_what_their_runs_left_stays(results, monkeypatch):
    killed = Killed(results)
    killed.kill()
    note = json.loads(killed.register.read_text())
    monkeypatch.setattr(clearing, "reach_other_machines", lambda folder: False)
    killed.register.write_text(json.dumps({**note, "host": "another"}))
    clear_killed(results, [results])
    assert killed.part.exists() and killed.register.exists()
    killed.register.write_text(json.dumps(note))
    clear_killed(results, [results])
    assert left(results) == ["a"]


def test_what_a_killed_child_left_goes_with_the_run(results):
    with run_lock.registered(results, "luigi A"):
        own = current(results)
        program = "import sys; from neuroluigi.provenance.parts import *; name_parts_by(sys.argv[1]);"
        program += "from pathlib import Path; part_path(Path(sys.argv[2])).touch()"
        own.note_folder(results / "a")
        (results / "a").mkdir()
        subprocess.run([sys.executable, "-c", program, own.id, results / "a" / "x"], check=True)
        assert len(left(results)) == 2
    assert left(results) == ["a"] and current(results) is None


def test_a_run_that_was_killed_before_it_had_a_note_leaves_nothing(results):
    folder = results / ".runs"
    folder.mkdir(parents=True)
    locks = [folder / f"{digit * 16}.lock" for digit in "0123"]
    for lock in locks:
        lock.touch()
    held = Lock.shared(locks[1])
    locks[2].with_suffix(".folders").write_text("mine")
    locks[3].with_suffix(".json").write_text("mine")
    clear_killed(results, [results])
    assert [lock.exists() for lock in locks] == [False, True, False, True]
    held.release()
    clear_killed(results, [results])
    assert [lock.exists() for lock in locks] == [False, False, False, True]
