"""Arrays of events: which arrays are ones, and how they are read in blocks."""

import numpy as np
import pytest

from neuroluigi.results.event_array import EventArray


def opened(path, array):
    np.save(path / "a.npy", array)
    return EventArray((path / "a.npy").open("rb"))


@pytest.mark.parametrize(
    ("columns", "names"), [(2, ()), (4, ("bit", "value")), (5, ("end", "peak", "polarity"))], ids=str
)
def test_events_have_two_four_or_five_columns(tmp_path, columns, names):
    array = opened(tmp_path, np.zeros((3, columns), np.int64))
    with array.file:
        assert array.is_events and array.more_columns == names


@pytest.mark.parametrize(
    "other",
    [np.zeros((3, 3), np.int64), np.zeros((3, 5), np.int32), np.zeros((3, 5)), np.zeros(5, np.int64), np.int64(5)],
    ids=str,
)
def test_other_arrays_are_none(tmp_path, other):
    array = opened(tmp_path, other)
    with array.file:
        assert not array.is_events


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i8", ">i8"])
def test_blocks_are_the_rows_in_their_order(tmp_path, order, dtype):
    rows = np.arange(5 * 70_000).reshape(70_000, 5)
    array = opened(tmp_path, np.array(rows, dtype, order=order))
    with array.file:
        blocks = list(array.blocks())
    assert [len(one) for one in blocks] == [65_536, 4_464]
    assert np.concatenate(blocks).tolist() == rows.tolist() and blocks[0].dtype == np.int64


def test_blocks_of_one_column_are_flat(tmp_path):
    array = opened(tmp_path, np.arange(3) / 2)
    with array.file:
        assert [one.tolist() for one in array.blocks()] == [[0.0, 0.5, 1.0]]


def test_one_that_is_cut_short_is_none(tmp_path):
    opened(tmp_path, np.zeros((3, 5), np.int64)).file.close()
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-1])
    with (tmp_path / "a.npy").open("rb") as file, pytest.raises(ValueError, match="cut short: 247 of 248 bytes"):
        EventArray(file)
