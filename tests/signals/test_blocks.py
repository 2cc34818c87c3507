"""Blocks of samples against whole arrays, and sums and extremes in the order that the M-functions keep."""

import os
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.signals import blocks as module
from neuroluigi.signals import mapped
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.blocks import blocks, by_halves, extreme
from tests.signals.aggregates import write_aggregate, write_parts


def numbered(samples: int, channels: int, dtype: str = "int16") -> np.ndarray:
    """Return samples (samples, channels) of which no two are the same."""
    return np.arange(samples * channels).reshape(samples, channels).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_blocks_are_the_samples_in_order(tmp_path, monkeypatch, dtype, channels):
    monkeypatch.setattr(module, "BLOCK_VALUES", 10)
    data = numbered(25, channels, dtype)
    found = list(blocks(read_aggregate(write_aggregate(tmp_path, data))))
    # As many whole samples as have 10 values, and what is left.
    samples = 10 // channels
    assert [len(block) for block in found] == [samples] * (25 // samples) + [25 % samples] * (25 % samples > 0)
    assert all(block.dtype == np.dtype(dtype) and not block.flags.writeable for block in found)
    assert np.array_equal(np.concatenate(found), data)


# Of 25 samples in blocks of 5.
CUTS = [[1], [4], [5], [6], [5, 10], [1, 2, 3], [4, 6, 9, 11], [0, 25], [7, 7, 7], list(range(1, 25))]


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize("files", [1, 2, 4])
@pytest.mark.parametrize(("is_mapped", "at_once"), [(True, 1), (True, 45), (False, 45)])
def test_blocks_do_not_depend_on_the_parts(tmp_path, monkeypatch, cuts, files, is_mapped, at_once):
    monkeypatch.setattr(module, "BLOCK_VALUES", 10)
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", at_once)
    if not is_mapped:
        monkeypatch.setattr(mapped.sys, "platform", "other")
    data = numbered(25, 2)
    aggregate = read_aggregate(write_parts(tmp_path, data, cuts, files))
    found = list(blocks(aggregate))
    assert [len(block) for block in found] == [5] * 5 and np.array_equal(np.concatenate(found), data)


@pytest.mark.parametrize("seed", range(20))
def test_any_samples_of_any_parts(tmp_path, seed):
    random = np.random.default_rng(seed)
    samples, channels = int(random.integers(1, 200)), int(random.integers(1, 5))
    data = random.integers(-1000, 1000, (samples, channels)).astype(random.choice(["int16", "int32", "float64"]))
    cuts = sorted(random.integers(0, samples + 1, random.integers(0, 12)).tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_VALUES", int(random.integers(1, 100)))
        patch.setattr(module, "_BYTES_AT_ONCE", int(random.integers(1, 1000)))
        aggregate = read_aggregate(write_parts(tmp_path, data, cuts, int(random.integers(1, 5))))
        assert np.array_equal(np.concatenate(list(blocks(aggregate))), data)
        for first, last in random.integers(0, samples + 1, (10, 2)).tolist():
            found = [np.zeros((0, channels)), *blocks(aggregate, first, last)]
            assert np.array_equal(np.concatenate(found), data[first:last])
        assert np.array_equal(np.concatenate(list(blocks(aggregate, samples - 1, samples + 10))), data[-1:])


def test_blocks_of_full_size(tmp_path):
    samples = module.BLOCK_VALUES // 3
    data = numbered(2 * samples + 5, 3, "int32")
    cuts = [1, samples - 1, samples, samples + 1, 2 * samples]
    found = list(blocks(read_aggregate(write_parts(tmp_path, data, cuts, 4))))
    assert [len(block) for block in found] == [samples, samples, 5] and np.array_equal(np.concatenate(found), data)


def test_values_are_little_endian(tmp_path):
    path = write_aggregate(tmp_path, np.zeros((3, 1), "int16"))
    (tmp_path / "aggregate.bin").write_bytes(bytes([1, 0, 0, 1, 255, 255]))
    (block,) = blocks(read_aggregate(path))
    assert block.tolist() == [[1], [256], [-1]]


def test_a_block_has_one_sample_at_least(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_VALUES", 2)
    aggregate = read_aggregate(write_aggregate(tmp_path, numbered(2, 3)))
    assert [block.tolist() for block in blocks(aggregate)] == [[[0, 1, 2]], [[3, 4, 5]]]


def test_no_samples_are_no_block(tmp_path):
    assert list(blocks(read_aggregate(write_aggregate(tmp_path, np.zeros((0, 2), "int16"))))) == []
    assert list(blocks(read_aggregate(write_parts(tmp_path, np.zeros((0, 2), "int16"), [])))) == []


@pytest.mark.parametrize("cuts", [[], [9]], ids=["one part", "parts"])
def test_a_file_that_is_cut_meanwhile_is_an_error_there(tmp_path, monkeypatch, cuts):
    monkeypatch.setattr(module, "BLOCK_VALUES", 4)
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", 4 * 4 * 2)  # of four blocks
    path = write_parts(tmp_path, numbered(12, 2), cuts)
    aggregate = read_aggregate(path)
    found = blocks(aggregate)
    assert len(next(found)) == 2
    part = aggregate.parts[0]
    os.truncate(part.file, part.offset + 9 * 4 - 1)
    # What is there already, and no more.
    assert [len(next(found)) for _ in range(3)] == [2, 2, 2]
    with pytest.raises(ValueError, match=r"part 0\.bin ends before the samples that .*aggregate\.json names"):
        next(found)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
def test_files_are_closed_when_nobody_reads_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_VALUES", 4)
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", 1)
    path = write_parts(tmp_path, numbered(12, 2), [3, 5, 7], 4)

    def opened() -> set[str]:
        links = [one for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
        return {file for link in links if "/part " in (file := str(link.readlink()))}

    found = blocks(read_aggregate(path))
    next(found)
    assert len(opened()) == 1
    found.close()
    assert opened() == set()


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
