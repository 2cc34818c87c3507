"""Temporary names."""

import os
import re
from pathlib import Path

import pytest

from neuroluigi.provenance import parts
from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.kept_lines import KeptLines
from neuroluigi.provenance.own_file import write_own
from neuroluigi.provenance.parts import (
    final_name,
    is_part,
    name_parts_by,
    new_run_id,
    part_of_looks,
    part_path,
    run_of_part,
    with_final_names,
)


@pytest.fixture
def noted():
    """Name temporary files by a run for the length of a test; return the folders that it is told."""
    folders = []
    name_parts_by("0123456789abcdef", folders.append)
    yield folders
    name_parts_by()


def test_a_name_has_the_run_and_what_nobody_can_guess(tmp_path, noted):
    one, two = (part_path(tmp_path / "a.b.json") for _ in range(2))
    assert one != two and one.parent == tmp_path and noted == [tmp_path] * 2
    assert re.fullmatch(r"a\.b\.part-0123456789abcdef-[0-9a-f]{8}\.json", one.name)
    assert run_of_part(one.name) == "0123456789abcdef" and is_part(one)
    # Of one that is temporary already.
    assert run_of_part(part_path(one).name) and len(part_path(one).name) == len(one.name) and part_path(one) != one
    # Two processes without a run have two ids.
    name_parts_by()
    assert run_of_part(part_path(tmp_path / "x").name) not in ("", "0123456789abcdef", new_run_id())


def test_a_name_that_is_taken_is_not_given_even_to_what_a_link_leads_nowhere(tmp_path, monkeypatch):
    tokens = ["00000000", "00000000", "11111111"]
    monkeypatch.setattr(parts.secrets, "token_hex", lambda size: tokens.pop(0))
    first = part_path(tmp_path / "a.bin")
    first.symlink_to(tmp_path / "nowhere")
    assert part_path(tmp_path / "a.bin").name.endswith("-11111111.bin")


@pytest.mark.parametrize(
    "name, run",
    [
        ("a.part-0123456789abcdef-01234567.bin", "0123456789abcdef"),
        ("a.part-0123456789abcdef-01234567", "0123456789abcdef"),
        ("zeile\n2.part-0123456789abcdef-01234567.n v", "0123456789abcdef"),
        ("a.part-0123456789ABCDEF-01234567.bin", ""),
        ("a.part-0123456789abcdef-0123456.bin", ""),
        ("a.part-0123456789abcdef-01234567.bin.damaged", ""),
        ("a.part-0123456789abcdef-01234567.bin\n", "0123456789abcdef"),
        ("part-0123456789abcdef-01234567.bin", ""),
    ],
)
def test_whose_a_name_is(tmp_path, name, run):
    assert run_of_part(name) == run and is_part(tmp_path / name) == bool(run)


def test_names_of_earlier_releases_are_temporary_and_of_no_run(tmp_path):
    for name in ("a.part-node-7-4711-0.bin", "run.part-here-1-1", "a.part-else where-1-12-3.log"):
        assert is_part(tmp_path / name) and not run_of_part(name)
    assert not is_part(tmp_path / "a.bin") and not is_part(tmp_path / "a.part-1.bin")


def test_messages_have_final_names_for_what_this_run_writes(tmp_path, noted):
    part, other = part_path(tmp_path / "a.bin"), "x.part-fedcba9876543210-01234567.bin"
    assert with_final_names(f"no {part}, no {other}") == f"no {tmp_path / 'a.bin'}, no {other}"


def kill_before_its_last_call(write, path):
    if (pid := os.fork()) == 0:
        try:
            for name in ("replace", "hardlink_to"):
                setattr(Path, name, lambda *arguments: os._exit(7))
            write(path)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that dies at one line")


@needs_fork
@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_json(path, {"a": 1}),
        lambda path: write_own(path, b"mine"),
        lambda path: write_own(path, b"mine", is_new=True),
        lambda path: KeptLines(path, "numbers 1").save({}),
    ],
    ids=["a record", "what nobody else reads", "what is new", "what is kept to be quick"],
)
def test_what_a_killed_write_leaves_has_a_temporary_name_of_its_run(tmp_path, noted, write):
    kill_before_its_last_call(write, tmp_path / ".a.json")
    (left,) = [path.name for path in tmp_path.iterdir()]
    assert final_name(left) == ".a.json" and run_of_part(left) == "0123456789abcdef" and noted == []
    write(tmp_path / ".a.json")
    assert noted == [tmp_path] and {path.name for path in tmp_path.iterdir()} == {left, ".a.json"}


@needs_fork
def test_looks_that_are_killed_leave_one_file_which_the_next_one_takes(tmp_path):
    path, lines = tmp_path / ".a", KeptLines(tmp_path / ".a", "numbers 1")
    for _ in range(2):
        kill_before_its_last_call(lambda path: lines.save({}), path)
        assert list(tmp_path.iterdir()) == [part_of_looks(path)] and is_part(part_of_looks(path))
    assert lines.save({}) and list(tmp_path.iterdir()) == [path]
