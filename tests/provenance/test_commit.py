"""Commit of several files: all or none, whichever system call it is killed at."""

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.provenance.commit import commit, pending_path, recover
from neuroluigi.provenance.files import part_path, write_json
from neuroluigi.steps.target import DamagedError, ResultTarget

# A process for each kill, without imports of its own where the system can fork one.
_METHODS = multiprocessing.get_all_start_methods()
PROCESSES = multiprocessing.get_context("forkserver" if "forkserver" in _METHODS else "spawn")
PROCESSES.set_forkserver_preload([__name__])


def killed_commit(call: int, folder: Path) -> None:
    """Commit two files and a record, and die right before that call of those that change the disk."""
    left = itertools.count(call, -1)

    def counted(function):
        def counting(*args, **kwargs):
            if next(left) == 0:
                os._exit(9)
            return function(*args, **kwargs)

        return counting

    record = folder / "runs" / "Step.json"
    parts = {}
    for name in ("a.bin", "b.json"):
        part = part_path(folder / name)
        part.write_text('"new"')
        parts[part] = folder / name
    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)
    Path.unlink = counted(Path.unlink)
    commit(parts, record, {"schema": 1, "is": "new"}, obsolete=[folder / "runs" / "Step.failed.json"])


def make_old(folder: Path) -> None:
    (folder / "runs").mkdir(parents=True)
    for name in ("a.bin", "b.json"):
        (folder / name).write_text('"old"')
    write_json(folder / "runs" / "Step.json", {"schema": 1, "is": "old"})
    (folder / "runs" / "Step.failed.json").write_text("{}")


def kill_at(call: int, folder: Path) -> int:
    process = PROCESSES.Process(target=killed_commit, args=(call, folder))
    process.start()
    process.join()
    return process.exitcode


def state(folder: Path) -> tuple[str, str, str]:
    files = [json.loads((folder / name).read_text()) for name in ("a.bin", "b.json")]
    return (*files, json.loads((folder / "runs" / "Step.json").read_text())["is"])


def test_commit_killed_at_every_call_leaves_old_or_new_and_the_next_look_finishes(tmp_path):
    seen, call = [], 0
    while True:
        folder = tmp_path / str(call)
        make_old(folder)
        code = kill_at(call, folder)
        record = folder / "runs" / "Step.json"
        targets = [ResultTarget(folder / name, record) for name in ("a.bin", "b.json")]
        if all(one.exists() for one in targets):
            assert len(set(state(folder))) == 1, f"killed at call {call}: counts as done, but is a mixture"
        recover(record, folder)
        assert len(set(state(folder))) == 1, f"killed at call {call}: still a mixture after a look"
        assert all(one.exists() for one in targets)
        assert not list(folder.rglob("*.part-*")), "temporary files stay behind"
        assert not pending_path(record).exists()
        seen.append(state(folder)[0])
        if code == 0:
            break
        assert code == 9
        call += 1
    assert seen[0] == "old" and seen[-1] == "new"
    assert seen == sorted(seen, key=["old", "new"].index), "once new, never old again"
    assert call > 8, "the commit makes more calls than that; were they counted?"
    assert not (folder / "runs" / "Step.failed.json").exists()


def test_commit_killed_in_a_new_folder_counts_as_not_done_until_it_is_finished(tmp_path):
    outcomes, call = set(), 0
    while True:
        folder = tmp_path / str(call)
        (folder / "runs").mkdir(parents=True)
        code = kill_at(call, folder)
        record = folder / "runs" / "Step.json"
        recover(record, folder)
        there = [name for name in ("a.bin", "b.json") if (folder / name).exists()]
        assert there in ([], ["a.bin", "b.json"]), f"killed at call {call}"
        assert record.exists() == bool(there)
        outcomes.add(bool(there))
        if code == 0:
            break
        call += 1
    assert outcomes == {False, True}


def test_a_part_removed_by_hand_leaves_no_record_of_another_file(tmp_path):
    make_old(tmp_path)
    record = tmp_path / "runs" / "Step.json"
    pending = {
        "schema": 1,
        "is": "new",
        "renames": [{"part": "../a.part-x-1-1.bin", "final": "../a.bin", "bytes": 5, "mtime_ns": 1}],
    }
    write_json(pending_path(record), pending)
    assert not ResultTarget(tmp_path / "a.bin", record).exists()
    recover(record, tmp_path)
    assert state(tmp_path) == ("old", "old", "old")


def test_recover_spares_the_temporary_files_of_the_living(tmp_path):
    (tmp_path / "runs").mkdir()
    alive = part_path(tmp_path / "a.bin")
    alive.write_text("being written")
    elsewhere = tmp_path / "a.part-another-host-1-0.bin"
    elsewhere.write_text("being written elsewhere")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = tmp_path / alive.name.replace(f"-{os.getpid()}-", f"-{int(ended.stdout)}-")
    dead.write_text("left behind")
    recover(tmp_path / "runs" / "Step.json", tmp_path)
    assert alive.exists() and elsewhere.exists() and not dead.exists()


def test_a_temporary_path_keeps_folder_and_extension(tmp_path):
    one, two = (part_path(tmp_path / "aggregate.bin") for _ in range(2))
    assert one != two and one.parent == tmp_path and one.suffix == ".bin"


@pytest.mark.parametrize(
    "name, content",
    [
        ("x.json", b'{"count": 1'),
        ("x.json", b"\xff\xfe"),
        ("x.npy", b"\x93NUMPY\x01\x00"),
        ("x.png", b"\x89PNG\r\n\x1a\n cut short"),
        ("x.bin", b""),
    ],
)
def test_check_refuses_a_file_that_is_not_whole(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"x\."):
        ResultTarget(path, tmp_path / "runs" / "Step.json").check(path)


def test_check_refuses_an_array_that_is_shorter_than_its_header_says(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((100, 2)))
    ResultTarget(path, tmp_path / "r.json").check(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedError, match=r"not a whole \.npy"):
        ResultTarget(path, tmp_path / "r.json").check(path)


def test_check_refuses_what_was_not_written(tmp_path):
    with pytest.raises(DamagedError, match="was not written"):
        ResultTarget(tmp_path / "x.bin", tmp_path / "r.json").check(tmp_path / "x.bin")
