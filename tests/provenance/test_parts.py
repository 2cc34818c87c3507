"""Temporary names."""

import re

import pytest

from neuroluigi.provenance import parts
from neuroluigi.provenance.parts import is_part, name_parts_by, new_run_id, part_path, run_of_part, with_final_names


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
