"""Lines that are kept to be quick: what comes out is what was put in, or nothing, whatever becomes of the file."""

import random
import shutil
import zlib

import pytest

from neuroluigi.provenance import kept_lines
from neuroluigi.provenance.kept_lines import KeptLines, line_of, name_of
from neuroluigi.provenance.parts import part_of_looks
from tests.provenance import odd_files

VALUES = {name_of(b"%d" % number): {"number": number, "text": "é\n" * number} for number in range(50)}


@pytest.fixture
def path(tmp_path):
    lines = KeptLines(tmp_path / ".kept", "numbers 1")
    assert lines.save({name: line_of(name, value) for name, value in VALUES.items()})
    return tmp_path / ".kept"


def kept(path, kind="numbers 1"):
    lines = KeptLines(path, kind)
    return {name: value for name in VALUES if (value := lines.value(name)) is not None}


def test_what_is_saved_is_there_again_until_it_is_deleted(path):
    assert kept(path) == VALUES and len(KeptLines(path, "numbers 1")) == 50
    assert kept(path, "numbers 2") == {} == kept(None)
    path.unlink()
    assert kept(path) == {}


def test_what_is_saved_comes_before_what_was_there_and_replaces_it(path):
    lines, (first, second, *_) = KeptLines(path, "numbers 1"), VALUES
    assert lines.save({second: line_of(second, "new")}, most=2)
    assert kept(path) == {first: VALUES[first], second: "new"} == {one: lines.value(one) for one in (first, second)}


@pytest.mark.parametrize("seed", range(10))
def test_of_a_file_that_was_damaged_at_random_each_value_is_right_or_none(path, seed):
    whole, pick, lost = path.read_bytes(), random.Random(seed), 0
    for _ in range(100):
        content = bytearray(whole)
        for _ in range(pick.choice([1, 1, 3, 50])):
            place, part = pick.randrange(len(content)), pick.randrange(len(content))
            match pick.randrange(5):
                case 0:
                    content[place] ^= 1 << pick.randrange(8)
                case 1:
                    del content[place : place + pick.randrange(200)]
                case 2:
                    content[place:place] = pick.randbytes(pick.randrange(100))
                case 3:
                    content[place:place] = content[part : part + pick.randrange(500)]
                case 4:
                    content[place : place + 40] = bytes(len(content[place : place + 40]))
            content = content or bytearray(b"\n")
        path.write_bytes(content)
        found = kept(path)
        assert all(found[name] == VALUES[name] for name in found)
        lost += found != VALUES
    assert lost > 50


def test_a_line_of_another_name_and_json_without_end_count_as_none(path):
    first, second, third, *_ = VALUES
    deep = b"[" * 100_000
    lines = [
        line_of(first, 1).replace(first.encode(), second.encode()),
        b"%b%08x%b" % (third.encode(), zlib.crc32(third.encode() + deep), deep),
    ]
    path.write_bytes(b"neuroluigi numbers 1\n" + b"".join(b"%b\n" % one for one in lines))
    assert kept(path) == {}


@pytest.mark.parametrize("kind", odd_files.KINDS)
def test_what_is_no_file_of_ours_is_no_error(path, kind):
    path.unlink()
    odd_files.put(path, kind)
    lines, (name, *_) = KeptLines(path, "numbers 1"), VALUES
    assert lines.value(name) is None
    assert lines.save({name: line_of(name, 1)}) == (kind != "folder")
    assert kept(path) == ({} if kind == "folder" else {name: 1})


def test_what_can_not_be_written_is_not_kept(tmp_path, path):
    name, *_ = VALUES
    assert not KeptLines(tmp_path / "absent" / ".kept", "numbers 1").save({name: line_of(name, 1)})
    # Where its temporary file would lie is a link of somebody else's.
    part_of_looks(path).symlink_to(tmp_path / "theirs")
    assert not KeptLines(path, "numbers 1").save({name: line_of(name, 1)})
    assert kept(path) == VALUES and not (tmp_path / "theirs").exists()


def test_the_last_of_a_disk_is_left_to_what_can_not_be_done_without(path, monkeypatch):
    free = shutil.disk_usage(path)._replace(free=100_000_000)
    monkeypatch.setattr(kept_lines.shutil, "disk_usage", lambda folder: free)
    name, *_ = VALUES
    before = path.read_bytes()
    assert not KeptLines(path, "numbers 1").save({name: line_of(name, "new")})
    assert path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == [".kept"]


def test_of_what_could_not_be_written_to_its_end_nothing_is_left(path, monkeypatch):
    def refuse(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", refuse)
    name, *_ = VALUES
    assert not KeptLines(path, "numbers 1").save({name: line_of(name, "new")})
    assert kept(path) == VALUES and [one.name for one in path.parent.iterdir()] == [".kept"]
