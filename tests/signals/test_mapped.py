"""Bytes that are mapped are those of the file, and errors are raised, never signals."""

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.signals import mapped
from neuroluigi.signals.mapped import MappedFiles

is_linux = pytest.mark.skipif(sys.platform != "linux", reason="files are mapped on Linux alone")


@pytest.fixture
def file(tmp_path) -> str:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 64)
    return str(tmp_path / "a.bin")


@is_linux
def test_a_view_has_the_bytes_without_a_copy(file):
    with MappedFiles() as files:
        for offset, size in ((0, 16), (4094, 8), (16_000, 384), (8, 0)):
            data = files.view(file, offset, size, alignment=2)
            assert data.dtype == np.uint8 and not data.flags.owndata and not data.flags.writeable
            assert data.tolist() == [place % 256 for place in range(offset, offset + size)]
            assert data.ctypes.data % 2 == 0
        assert files.view(file, 3, 4, alignment=2) is None
        kept = files.view(file, 0, 4, alignment=1)
    # It stays, when the file is closed.
    assert kept.tolist() == [0, 1, 2, 3]


def test_bytes_are_read_wherever_they_lie(file, tmp_path):
    (tmp_path / "b.bin").write_bytes(b"xyz")
    data = np.empty(4, np.uint8)
    with MappedFiles() as files:
        assert files.read_into(data, file, 4095) and data.tolist() == [255, 0, 1, 2]
        assert files.read_into(data[:2], str(tmp_path / "b.bin"), 1) and data.tolist() == [*b"yz", 1, 2]
        assert files.read_into(data, file, 0) and data.tolist() == [0, 1, 2, 3]
        assert not files.read_into(data, file, 256 * 64 - 3)
        assert not files.read_into(data, file, 10**9)


def test_an_empty_file_and_none(tmp_path):
    (tmp_path / "empty").touch()
    with MappedFiles() as files:
        assert files.view(str(tmp_path / "empty"), 0, 1, alignment=1) is None
        assert not files.read_into(np.empty(1, np.uint8), str(tmp_path / "empty"), 0)
        with pytest.raises(FileNotFoundError, match="none"):
            files.view(str(tmp_path / "none"), 0, 1, alignment=1)


def test_one_file_is_open_at_a_time_and_none_at_the_end(file, tmp_path):
    (tmp_path / "b.bin").write_bytes(b"xyz")
    with contextlib.suppress(ZeroDivisionError), MappedFiles() as files:
        for name in (file, str(tmp_path / "b.bin"), file):
            files.read_into(np.empty(1, np.uint8), name, 0)
        opened = files._file
        assert not opened.closed
        1 / 0  # noqa: B018 (an error within)
    assert opened.closed


@is_linux
def test_a_file_that_is_cut_is_an_answer_and_no_signal(file):
    with MappedFiles() as files:
        assert files.view(file, 12_288, 4, alignment=1) is not None
        os.truncate(file, 8192)
        assert files.view(file, 12_288, 4, alignment=1) is None
        assert not files.read_into(np.empty(4, np.uint8), file, 12_288)
        assert files.view(file, 0, 8192, alignment=1) is not None
        os.truncate(file, 8191)
        assert files.view(file, 0, 8192, alignment=1) is None


@is_linux
def test_a_system_that_can_not_read_pages_first_has_no_views(file, monkeypatch):
    monkeypatch.setattr(mapped, "_POPULATE_READ", 9999)  # which Linux refuses
    with MappedFiles() as files:
        assert files.view(file, 0, 4, alignment=1) is None


def mapped_bytes() -> int:
    """Return how much of files is in the memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssFile", "RssShmem")))


@is_linux
def test_what_was_mapped_is_given_back(tmp_path, monkeypatch):
    most, step = 1 << 23, 1 << 19
    monkeypatch.setattr(mapped, "_MOST_MAPPED_BYTES", most)
    (tmp_path / "large").write_bytes(bytes(8 * most))
    before, grown = mapped_bytes(), []
    with MappedFiles() as files:
        for offset in range(0, 8 * most, step):
            assert files.view(str(tmp_path / "large"), offset, step, alignment=1)[-1] == 0
            grown.append(mapped_bytes() - before)
    assert most / 2 < max(grown) < 2 * most
