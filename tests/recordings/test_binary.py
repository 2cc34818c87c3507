"""Fields of binary headers: little-endian, in order, and never beyond the file or the longest header."""

import errno

import pytest

from neuroluigi.recordings.formats.binary import BinaryHeader, opened, text_field
from neuroluigi.recordings.formats.reader import MOST_HEADER_BYTES
from neuroluigi.recordings.recording import RecordingsError


def test_fields_are_read_in_order(tmp_path):
    path = tmp_path / "a.rhd"
    path.write_bytes(b"\1\0\2\0\0\0abcde\3")
    with opened(str(path)) as file:
        header = BinaryHeader(str(path), file)
        assert (header.size, header.position) == (12, 0)
        assert header.unpack("HI") == (1, 2)
        assert header.read(2) == b"ab"
        header.go_to(11)
        assert (header.position, header.unpack("B")) == (11, (3,))


@pytest.mark.parametrize("count", [13, -1, MOST_HEADER_BYTES + 1, 1 << 62])
def test_a_header_that_ends_too_early(tmp_path, count):
    path = tmp_path / "a.rhd"
    path.write_bytes(bytes(12))
    with opened(str(path)) as file, pytest.raises(RecordingsError, match=r"a\.rhd has no whole header in its 12 bytes"):
        BinaryHeader(str(path), file).read(count)


def test_no_more_is_read_than_the_longest_header_has(tmp_path):
    path = tmp_path / "a.rhd"
    with path.open("wb") as file:
        file.truncate(1 << 33)
    with opened(str(path)) as file:
        header = BinaryHeader(str(path), file)
        for _ in range(4):
            header.read(MOST_HEADER_BYTES // 4)
        with pytest.raises(RecordingsError, match="no whole header"):
            header.read(1)


def test_what_the_system_refuses_names_the_file(tmp_path):
    with (
        pytest.raises(RecordingsError, match=r"a\.rhd can't be read: it is not there"),
        opened(str(tmp_path / "a.rhd")),
    ):
        pass
    (tmp_path / "a.rhd").touch()
    with pytest.raises(RecordingsError, match="input/output"), opened(str(tmp_path / "a.rhd")):
        raise OSError(errno.EIO, "Input/output error")


def test_texts_of_fixed_width():
    assert text_field(b"elec1\0rest\0") == "elec1"
    assert text_field(b"\xb5V\0") == "µV"
    assert text_field(b" all of it ") == "all of it"
