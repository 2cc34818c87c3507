"""Commit of several files: all or none, whichever system call it is killed at."""

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.provenance import commit as commit_module
from neuroluigi.provenance.clearing import clear_killed
from neuroluigi.provenance.commit import commit, pending_path, recover, rewrite
from neuroluigi.provenance.contents import describe, measure
from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.parts import part_path
from neuroluigi.provenance.register import Register
from neuroluigi.steps.target import DamagedError, ResultFolder, ResultTarget
from tests.killed import dying

# A process for each kill, without imports of its own where the system can fork one.
_METHODS = multiprocessing.get_all_start_methods()
PROCESSES = multiprocessing.get_context("forkserver" if "forkserver" in _METHODS else "spawn")
PROCESSES.set_forkserver_preload([__name__])


def write(folder: Path, content: str, path_of=lambda path: path) -> dict[Path, Path]:
    """Write two files, and a folder with two where there is to be one, each at `path_of` its path; return the paths."""
    paths = {path_of(folder / name): folder / name for name in ("a.bin", "b.json")}
    for path in paths:
        path.write_text(f'"{content}"')
    if folder.name.startswith("folder"):
        sorted_part = path_of(folder / "sorted")
        paths[sorted_part] = folder / "sorted"
        (sorted_part / "below").mkdir(parents=True)
        # Those of the old one have other names.
        for name in (f"{content}.txt", f"below/{content}.txt"):
            (sorted_part / name).write_text(content)
    return paths


def killed_commit(call: int, folder: Path) -> None:
    """Commit files and a record, and die right before that call of those that change the disk."""
    counted = dying(call)
    record = folder / "runs" / "Step.json"
    Register.open(folder, {"command": "killed"})
    parts = write(folder, "new", part_path)
    os.fsync = counted(os.fsync)
    os.rmdir, os.unlink = counted(os.rmdir), counted(os.unlink)
    Path.replace = counted(Path.replace)
    Path.unlink = counted(Path.unlink)
    commit(parts, record, {"schema": 1, "is": "new"}, obsolete=[folder / "runs" / "Step.failed.json"])


def make_old(folder: Path) -> None:
    (folder / "runs").mkdir(parents=True)
    write(folder, "old")
    write_json(folder / "runs" / "Step.json", {"schema": 1, "is": "old"})
    (folder / "runs" / "Step.failed.json").write_text("{}")


def kill_at(call: int, folder: Path) -> int:
    process = PROCESSES.Process(target=killed_commit, args=(call, folder))
    process.start()
    process.join()
    return process.exitcode


def state(folder: Path) -> tuple[str, ...]:
    files = [json.loads((folder / name).read_text()) for name in ("a.bin", "b.json")]
    for path in (folder / "sorted").rglob("*.txt"):
        files += [path.stem, path.read_text()]
    assert len(files) == (6 if folder.name.startswith("folder") else 2)
    return (*files, json.loads((folder / "runs" / "Step.json").read_text())["is"])


@pytest.mark.parametrize("kind", ["files", "folder"])
def test_commit_killed_at_every_call_leaves_old_or_new_and_the_next_look_finishes(tmp_path, kind):
    seen, call = [], 0
    while True:
        folder = tmp_path / f"{kind}-{call}"
        make_old(folder)
        code = kill_at(call, folder)
        record = folder / "runs" / "Step.json"
        targets = [ResultTarget(folder / name, record) for name in ("a.bin", "b.json")]
        targets += [ResultFolder(folder / "sorted", record)] if kind == "folder" else []
        if all(one.exists() for one in targets):
            assert len(set(state(folder))) == 1, f"killed at call {call}: counts as done, but is a mixture"
        # Another step that is made in that folder must not remove what the commit still needs.
        recover(folder / "runs" / "Another.json")
        clear_killed(folder, [folder])
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


@pytest.mark.parametrize("kind", ["files", "folder"])
def test_commit_killed_in_a_new_folder_counts_as_not_done_until_all_is_there(tmp_path, kind):
    outcomes, call = set(), 0
    while True:
        folder = tmp_path / f"{kind}-{call}"
        (folder / "runs").mkdir(parents=True)
        code = kill_at(call, folder)
        record = folder / "runs" / "Step.json"
        clear_killed(folder, [folder])
        there = sorted(path.name for path in folder.iterdir() if path.name != "runs")
        assert set(there) <= {"a.bin", "b.json", "sorted"}, f"killed at call {call}"
        # A file without a record would be taken as done; a record whose files are not all there is not.
        assert record.exists() or not there
        outcomes.add(len(there) == (3 if kind == "folder" else 2))
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
    recover(record)
    assert state(tmp_path) == ("old", "old", "old")


def pending_folder(folder: Path) -> tuple[Path, Path]:
    """Leave a commit of two folders that was killed while the old ones were put aside; return record and a part."""
    (folder / "runs").mkdir(parents=True)
    record, renames = folder / "runs" / "Step.json", []
    for name in ("one", "two"):
        part, aside = part_path(folder / name), part_path(folder / name)
        for path, content in ((folder / name, "old"), (part, "new")):
            path.mkdir()
            (path / "a.txt").write_text(content)
        renames.append({"part": f"../{part.name}", "final": f"../{name}", "aside": f"../{aside.name}"})
        renames[-1] |= measure(part).described()
    (folder / "one").rename(folder / renames[0]["aside"].removeprefix("../"))
    write_json(pending_path(record), {"schema": 1, "is": "new", "renames": renames})
    return record, part


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.glob("*/a.txt"))}


def test_an_old_folder_that_cant_be_put_aside_stays_with_all_others(tmp_path, monkeypatch):
    record, _ = pending_folder(tmp_path)
    rename = Path.replace

    def refuse(path, target):
        # As Windows does while a program has a file of it open.
        if path == tmp_path / "two":
            raise PermissionError(13, "The process cannot access the file")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match=r"two can't be replaced \(The process .*stays as it was; close the program"):
        recover(record)
    found = {name: text for name, text in contents(tmp_path).items() if ".part-" not in name}
    assert found == {"one/a.txt": "old", "two/a.txt": "old"} and not pending_path(record).exists()


def test_a_folder_that_appears_while_a_commit_is_interrupted_is_kept(tmp_path):
    record, _ = pending_folder(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.txt").write_text("by hand")
    recover(record)
    assert contents(tmp_path) == {"one/a.txt": "new", "one.damaged/a.txt": "by hand", "two/a.txt": "new"}


def test_an_old_folder_is_taken_back_where_the_new_one_was_removed_by_hand(tmp_path):
    record, part = pending_folder(tmp_path)
    shutil.rmtree(part)
    recover(record)
    found = {name: text for name, text in contents(tmp_path).items() if ".part-" not in name}
    assert found == {"one/a.txt": "old", "two/a.txt": "old"} and not record.exists()


def test_once_the_record_is_written_what_happens_to_the_files_is_not_undone(tmp_path, monkeypatch):
    record, _ = pending_folder(tmp_path)

    def die(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(commit_module, "remove_path", die)
        recover(record)
    assert record.exists() and pending_path(record).exists()
    # The user removes one result and edits the other, before the next run.
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "two" / "a.txt").write_text("edited since")
    recover(record)
    found = {name: text for name, text in contents(tmp_path).items() if ".part-" not in name}
    assert found == {"two/a.txt": "edited since"} and record.exists() and not pending_path(record).exists()


def test_a_json_file_is_written_anew_where_what_counts_is_the_same(tmp_path):
    path, record_path, roots = tmp_path / "x.json", tmp_path / "runs" / "Step.json", {"results": tmp_path}
    record_path.parent.mkdir()
    path.write_text('{"path": "a", "n": 1}')
    output = describe(path, roots, ignore=("path",))
    write_json(record_path, {"schema": 2, "outputs": [output]})
    rewrite(record_path, path, '{"path": "/b", "n": 2}', ("path",), roots)
    assert path.read_text() == '{"path": "a", "n": 1}'
    rewrite(record_path, path, '{"path": "/longer", "n": 1}', ("path",), roots)
    assert path.read_text() == '{"path": "/longer", "n": 1}'
    (after,) = json.loads(record_path.read_text())["outputs"]
    assert after["sha256"] == output["sha256"] and measure(path).matches(after)
    os.utime(path, (1, 1))
    rewrite(record_path, path, path.read_text(), ("path",), roots)
    (after,) = json.loads(record_path.read_text())["outputs"]
    assert measure(path).matches(after)
    # Of one that was edited, the record stays as it is.
    path.write_text('{"path": "a", "n": 3}')
    rewrite(record_path, path, '{"path": "/b", "n": 3}', ("path",), roots)
    assert path.read_text() == '{"path": "/b", "n": 3}'
    assert json.loads(record_path.read_text())["outputs"] == [after]


def test_a_link_in_place_of_a_folder_is_replaced_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "lab" / "runs").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("old")
    (tmp_path / "lab" / "one").symlink_to(outside, target_is_directory=True)
    part = part_path(tmp_path / "lab" / "one")
    part.mkdir()
    (part / "a.txt").write_text("new")
    (part / "link").symlink_to(outside / "a.txt")
    commit({part: tmp_path / "lab" / "one"}, tmp_path / "lab" / "runs" / "Step.json", {"schema": 1})
    assert contents(tmp_path / "lab") == {"one/a.txt": "new"} and contents(tmp_path)["outside/a.txt"] == "old"
    assert sorted(path.name for path in (tmp_path / "lab").iterdir()) == ["one", "runs"]


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
