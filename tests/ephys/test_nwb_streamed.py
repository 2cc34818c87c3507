"""Datasets that are written a piece at a time: shapes of chunks, and what is asked for."""

import itertools

import numpy as np
import pytest

from neuroluigi.ephys.nwb_streamed import chunk_shape, dataset


@pytest.mark.parametrize(
    ("shape", "itemsize", "chunks"),
    [
        # 385 channels are seven times 55: no chunk is padded.
        ((10**6, 385), 2, (9532, 55)),
        ((10**6, 384), 2, (8192, 64)),
        ((10**7,), 8, (131072,)),
        ((100, 4), 2, (100, 4)),
    ],
)
def test_chunks(shape, itemsize, chunks):
    assert chunk_shape(shape, itemsize) == chunks


def test_a_small_one_is_an_array():
    found = dataset((3,), "int32", np.arange)
    assert isinstance(found, np.ndarray) and found.dtype == np.int32 and found.tolist() == [0, 1, 2]


def test_pieces_of_a_large_one_cover_it_once():
    asked = []

    def read(first: int, end: int) -> np.ndarray:
        asked.append((first, end))
        return np.arange(first, end)

    found = dataset((5_000_000,), "int64", read)
    pieces = [(piece.selection[0].start, piece.selection[0].stop, piece.data) for piece in found.data]
    assert pieces[0][0] == 0 and pieces[-1][1] == 5_000_000
    assert all(before[1] == after[0] for before, after in itertools.pairwise(pieces))
    assert all((data == np.arange(first, end)).all() for first, end, data in pieces)
    assert max(end - first for first, end in asked) * 8 <= 1 << 24
