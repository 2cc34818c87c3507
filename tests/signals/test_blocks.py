"""Blocks of samples against whole arrays, and sums and extremes in the order that the M-functions keep."""

import numpy as np
import pytest

from neuroluigi.signals import blocks as module
from neuroluigi.signals.blocks import blocks, by_halves, extreme


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_blocks_are_the_samples_in_order(tmp_path, monkeypatch, dtype, channels):
    monkeypatch.setattr(module, "BLOCK_VALUES", 10)
    data = np.arange(25 * channels).reshape(25, channels).astype(dtype)
    data.astype(data.dtype.newbyteorder("<")).tofile(tmp_path / "data.bin")
    found = list(blocks(str(tmp_path / "data.bin"), dtype, channels))
    # As many whole samples as have 10 values, and what is left.
    samples = 10 // channels
    assert [len(block) for block in found] == [samples] * (25 // samples) + [25 % samples] * (25 % samples > 0)
    assert all(block.dtype == np.dtype(dtype) for block in found)
    assert np.array_equal(np.concatenate(found), data)


def test_values_are_little_endian(tmp_path):
    (tmp_path / "data.bin").write_bytes(bytes([1, 0, 0, 1, 255, 255]))
    (block,) = blocks(str(tmp_path / "data.bin"), "int16", 1)
    assert block.tolist() == [[1], [256], [-1]]


def test_a_block_has_one_sample_at_least(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_VALUES", 2)
    (tmp_path / "data.bin").write_bytes(bytes(range(6)))
    assert [block.tolist() for block in blocks(str(tmp_path / "data.bin"), "uint8", 3)] == [[[0, 1, 2]], [[3, 4, 5]]]


def test_an_empty_file_has_no_block(tmp_path):
    (tmp_path / "data.bin").touch()
    assert list(blocks(str(tmp_path / "data.bin"), "int16", 2)) == []


def test_a_file_that_ends_in_the_middle_of_a_sample_is_refused_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_VALUES", 2)
    (tmp_path / "data.bin").write_bytes(bytes(11))
    found = blocks(str(tmp_path / "data.bin"), "int16", 2)
    assert [len(next(found)), len(next(found))] == [1, 1]
    with pytest.raises(ValueError, match=r"data\.bin ends in the middle of a sample of 2 channels"):
        next(found)


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 7, 8, 33])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_halves_combine_each_sample_once(samples, channels):
    x = np.random.default_rng(samples).integers(-1000, 1000, (samples, channels))
    assert by_halves(np.add, x).tolist() == x.sum(axis=0).tolist()
    assert extreme(np.fmin, x).tolist() == x.min(axis=0).tolist()
    assert extreme(np.fmax, x).tolist() == x.max(axis=0).tolist()


def test_the_order_of_a_sum_is_the_second_half_with_the_first():
    # (1 + -1e16) + (1e16 + 1) and, of an odd number, the last one with the first: each rounds in its own way.
    x = np.array([[1.0], [1e16], [-1e16], [1.0]])
    assert by_halves(np.add, x).tolist() == [(1.0 + -1e16) + (1e16 + 1.0)]
    odd = np.array([[1.0], [1e16], [-1e16]])
    assert by_halves(np.add, odd).tolist() == [(1.0 + 1e16) + -1e16]


def test_extremes_leave_out_nan_and_the_samples_are_not_changed():
    x = np.array([[np.nan, np.nan], [2.0, np.nan], [-1.0, np.nan]])
    before = x.copy()
    assert extreme(np.fmin, x)[0] == -1 and extreme(np.fmax, x)[0] == 2
    assert np.isnan(extreme(np.fmin, x)[1])
    assert np.array_equal(x, before, equal_nan=True)
