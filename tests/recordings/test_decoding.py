"""Samples that have to be decoded: what a decoder yields is checked against the header, block by block."""

from itertools import pairwise

import numpy as np
import pytest

from neuroluigi.recordings.formats.decoding import BLOCK_BYTES, blocks_of, decoded_blocks, int32_of
from neuroluigi.recordings.formats.one_file import plain_channels
from neuroluigi.recordings.formats.reader import RecordedFile
from neuroluigi.recordings.recording import RecordingsError


def encoded(*blocks, samples=5, dtype="int16", channels=2) -> RecordedFile:
    columns = {"session": "s", "index": "0"}
    all_channels = plain_channels(channels)
    return RecordedFile("x", "/x", columns, dtype, samples=samples, channels=all_channels, decode=lambda: iter(blocks))


def test_blocks_are_little_endian_and_contiguous():
    columns = np.asfortranarray(np.arange(6).reshape(3, 2).astype(">i2"))
    one, two = decoded_blocks(encoded(columns, np.array([[-1, 2], [3, 4]], "<i2")))
    assert one.dtype == two.dtype == np.dtype("<i2") and one.flags["C_CONTIGUOUS"]
    assert bytes(one.data) == bytes([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0])
    assert two.tolist() == [[-1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([np.zeros((3, 2))], "has 3 samples, 5 by its header"),
        ([np.zeros((3, 2)), np.zeros((3, 2))], "up to sample 6, by its header 5 of 2 channels"),
        ([np.zeros((5, 3))], r"shape \(5, 3\) up to sample 5"),
        ([np.zeros(5)], "shape"),
    ],
)
def test_what_is_not_as_the_header_says_is_refused(blocks, words):
    with pytest.raises(RecordingsError, match=words):
        list(decoded_blocks(encoded(*blocks)))


def test_errors_of_disks_have_the_path():
    def broken():
        yield np.zeros((1, 2))
        raise OSError(5, "Input/output error")

    recorded = RecordedFile("x", "/x", {}, samples=5, channels=plain_channels(2), decode=broken)
    with pytest.raises(RecordingsError, match="/x can't be decoded: Input/output error"):
        list(decoded_blocks(recorded))
    with pytest.raises(RecordingsError, match="nothing to decode"):
        list(decoded_blocks(RecordedFile("x", "/x", {})))


def test_blocks_cover_all_samples_and_are_small():
    assert list(blocks_of(0, 4)) == []
    found = list(blocks_of(3_000_001, 770))
    assert found[0] == (0, BLOCK_BYTES // 770)
    assert all(first + count == following for (first, count), (following, _) in pairwise(found))
    assert sum(found[-1]) == 3_000_001
    assert list(blocks_of(2, 2 * BLOCK_BYTES)) == [(0, 1), (1, 1)]


def test_integers_of_24_bits():
    known = [0, 1, -1, 2**23 - 1, -(2**23), 65536]
    content = b"".join(one.to_bytes(3, "little", signed=True) for one in known)
    assert int32_of(content).tolist() == known
