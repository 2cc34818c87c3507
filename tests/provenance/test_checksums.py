"""Checksums of files, each computed once; listings of folders, each read once."""

import hashlib
import json
import os
import time

import pytest

from neuroluigi.provenance import checksums
from neuroluigi.provenance.checksums import Checksums, FolderListings

# FIPS 180-2, appendix B.1
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ä" / "x.bin"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    age(path)
    return path


def age(path, seconds: float = 3.1):
    """Give a file a time of some seconds ago, that is no whole second."""
    then_ns = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(then_ns, then_ns - then_ns % 1000 + 1))


def unreadable(path, on_block):
    raise AssertionError(f"{path} was read")


def test_a_file_is_read_once_by_all_that_share_the_folder(tmp_path, file, monkeypatch):
    assert Checksums(tmp_path).of(str(file)) == ABC
    (line,) = (tmp_path / ".checksums.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == ["ä/x.bin".replace("/", os.sep), 3, file.stat().st_mtime_ns, ABC]
    monkeypatch.setattr(checksums, "hash_file", unreadable)
    assert Checksums(tmp_path).of(str(file)) == ABC


def test_a_file_is_read_again_when_its_time_or_size_changes(tmp_path, file):
    known = Checksums(tmp_path)
    before = known.of(str(file))
    os.utime(file, (1, 1))
    same_time = file.stat().st_mtime_ns
    assert known.of(str(file)) == before
    file.write_bytes(b"abcd")
    os.utime(file, ns=(same_time, same_time))
    assert known.of(str(file)) != before
    assert len((tmp_path / ".checksums.jsonl").read_text().splitlines()) == 3


def test_a_file_is_known_once_it_was_read(tmp_path, file):
    assert Checksums(tmp_path).known(str(file)) is None
    Checksums(tmp_path).of(str(file))
    assert Checksums(tmp_path).known(str(file)) == ABC


@pytest.mark.parametrize("step_ns", [1, 1_000_000_000, 2_000_000_000])
def test_a_change_of_the_same_size_within_the_grain_of_the_times_is_seen(tmp_path, file, step_ns):
    """A disk that keeps whole seconds, or every second one, gives both writes one time."""
    now_ns = time.time_ns()
    same_time = now_ns - now_ns % step_ns
    os.utime(file, ns=(same_time, same_time))
    assert Checksums(tmp_path).of(str(file)) == ABC
    file.write_bytes(b"xyz")
    os.utime(file, ns=(same_time, same_time))
    assert Checksums(tmp_path).of(str(file)) == hashlib.sha256(b"xyz").hexdigest()


def test_malformed_lines_of_the_cache_are_ignored(tmp_path, file, monkeypatch):
    Checksums(tmp_path).of(str(file))
    cache = tmp_path / ".checksums.jsonl"
    lines = ["5", '[["a"], 1, 2, "x"]', '["a", 1, 2]', '["a", "b", 2, 3]', "null", '["a", 1, 2, 3]', "[" * 100_000]
    cache.write_text("\n".join([*lines, cache.read_text(encoding="utf-8"), '["ä/x.bin", 3, 17']), encoding="utf-8")
    monkeypatch.setattr(checksums, "hash_file", unreadable)
    assert Checksums(tmp_path).of(str(file)) == ABC


def test_a_cache_that_can_not_be_written_is_no_error(tmp_path, file):
    (tmp_path / ".checksums.jsonl").mkdir()
    assert Checksums(tmp_path).of(str(file)) == ABC


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="gone"):
        Checksums(tmp_path).of(str(tmp_path / "gone"))


def test_long_reading_is_explained_once_and_its_progress_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Checksums, "_WARN_SECONDS", -1)
    for name in "ab":
        (tmp_path / name).write_bytes(bytes(3 << 20))
    known = Checksums(tmp_path)
    with caplog.at_level("WARNING", "luigi-interface"):
        for name in "aba":
            known.of(str(tmp_path / name))
    assert caplog.text.count("whose size or time is not as recorded") == 1
    assert [line.split("WARNING")[1].split()[1] for line in caplog.text.splitlines()[1:]] == ["0.0"] * 5


def test_a_folder_of_which_much_is_asked_is_listed_once(tmp_path, monkeypatch):
    (tmp_path / "x").touch()
    folders = FolderListings()
    assert folders.have(str(tmp_path / "x")) and not folders.have(str(tmp_path / "y"))
    for number in range(10):
        assert not folders.have(str(tmp_path / str(number)))
    (tmp_path / "y").touch()
    assert not folders.have(str(tmp_path / "y"))
    assert FolderListings().have(str(tmp_path / "y"))
    assert not folders.have(str(tmp_path / "no such folder" / "x"))
