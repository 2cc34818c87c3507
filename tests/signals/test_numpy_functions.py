"""The NumPy functions against values worked out by hand and against NumPy's and Python's own functions."""

import errno
import functools
import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroluigi.signals import blocks, numpy_functions
from neuroluigi.signals.blocks import BLOCK_VALUES
from neuroluigi.signals.events import find_rising_edges
from tests.signals.aggregates import write_aggregate, write_parts

DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def random_samples(dtype: str, samples: int, channels: int, seed: int = 0) -> np.ndarray:
    """Return (samples, channels) of the whole range of an integer dtype, and of large and small numbers of a float."""
    random = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return (random.standard_normal((samples, channels)) * 1000 + 37).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, (samples, channels), dtype=dtype, endpoint=True)


def stats_of(folder, samples, dtype: str | None = None, **known) -> dict:
    """Return what compute_stats writes of an array (samples, channels)."""
    samples = np.asarray(samples, dtype=dtype)
    aggregate = write_aggregate(folder, samples.reshape(len(samples), -1), **known)
    numpy_functions.compute_stats(aggregate, str(folder / "stats.json"))
    return json.loads((folder / "stats.json").read_text())


def edges_of(folder, samples, level, segments=(0,), dtype: str | None = None) -> list[list[int]]:
    """Return the [sample, channel] that find_rising_edges writes of an array (samples, channels)."""
    samples = np.asarray(samples, dtype=dtype)
    file = folder / "edges.npy"
    aggregate = write_aggregate(folder, samples.reshape(len(samples), -1), segments)
    find_rising_edges(aggregate, str(file), level)
    edges = np.load(file, mmap_mode="r")
    assert edges.dtype == np.dtype("<i8") and edges.ndim == 2 and edges.shape[1] == 2
    assert edges.flags.c_contiguous
    assert file.stat().st_size == 128 + 16 * len(edges)
    return edges.tolist()


def assert_close(values: list, expected, limit: float = 1e-12) -> None:
    for value, wanted in zip(values, expected, strict=True):
        assert value == pytest.approx(wanted, rel=limit, abs=0)


# Aggregates


def test_data_after_the_headers_is_copied_in_order(tmp_path):
    (tmp_path / "a").write_bytes(b"HHabc")
    (tmp_path / "b").write_bytes(b"defgTT")
    files = [str(tmp_path / "b"), str(tmp_path / "a")]
    numpy_functions.concatenate_files(files, str(tmp_path / "out"), [0, 2], [4, 3])
    assert (tmp_path / "out").read_bytes() == b"defgabc"


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 2**21 + 5])
def test_files_around_the_size_of_a_block(tmp_path, size):
    content = np.random.default_rng(size).bytes(size)
    (tmp_path / "in").write_bytes(b"header" + content)
    numpy_functions.concatenate_files([str(tmp_path / "in")] * 2, str(tmp_path / "out"), [6, 6], [size, size - 1])
    assert (tmp_path / "out").read_bytes() == content + content[:-1]


needs_system_copy = pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="this system copies nothing itself")


def system_copies(monkeypatch, answers) -> list[int]:
    """Have the system copy at most so many bytes per call, of each of `answers` in turn; return what it copied.

    An answer that is an error is raised; when there are no more, nothing is copied.
    """
    copy, copied, left = os.copy_file_range, [], iter(answers)

    def copy_file_range(source: int, target: int, count: int) -> int:
        answer = next(left, 0)
        if isinstance(answer, OSError):
            raise answer
        copied.append(copy(source, target, min(answer, count)))
        return copied[-1]

    monkeypatch.setattr(os, "copy_file_range", copy_file_range)
    return copied


@needs_system_copy
def test_the_system_copies_all_where_it_can(tmp_path, monkeypatch):
    content = np.random.default_rng(1).bytes(2**20 + 7)
    (tmp_path / "in").write_bytes(b"header" + content + b"more")
    monkeypatch.setattr(numpy_functions, "_copy_by_blocks", lambda file, output, size: pytest.fail() if size else 0)
    inputs = [str(tmp_path / "in")] * 2
    numpy_functions.concatenate_files(inputs, str(tmp_path / "out"), [6, 7], [len(content), len(content)])
    assert (tmp_path / "out").read_bytes() == content + content[1:] + b"m"


@needs_system_copy
@pytest.mark.parametrize("copied_before", [[], [1], [3, 5, 4096]])
@pytest.mark.parametrize("number", [None, errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM])
def test_what_the_system_does_not_copy_is_read_and_written(tmp_path, monkeypatch, number, copied_before):
    """Files on two file systems, of a network disk, of /proc; a call that a sandbox refuses: in the middle too."""
    content = np.random.default_rng(2).bytes(2**20 + 9)
    (tmp_path / "in").write_bytes(b"header" + content + b"more")
    refused = [0] if number is None else [OSError(number, os.strerror(number))]
    copied = system_copies(monkeypatch, [*copied_before, *refused] * 2)
    inputs = [str(tmp_path / "in")] * 2
    numpy_functions.concatenate_files(inputs, str(tmp_path / "out"), [6, 6], [len(content), len(content) - 1])
    assert (tmp_path / "out").read_bytes() == content + content[:-1]
    assert sum(copied) == 2 * sum(copied_before)


@needs_system_copy
def test_a_disk_that_is_full_while_the_system_copies(tmp_path, monkeypatch):
    (tmp_path / "in").write_bytes(b"abc")
    system_copies(monkeypatch, [OSError(errno.ENOSPC, "No space left on device")])
    with pytest.raises(OSError, match="No space left") as raised:
        numpy_functions.concatenate_files([str(tmp_path / "in")], "/dev/full", [0], [3])
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="no files of unknown size")
def test_a_file_whose_size_the_system_does_not_know(tmp_path):
    content = Path("/proc/version").read_bytes()
    numpy_functions.concatenate_files(["/proc/version"] * 2, str(tmp_path / "out"), [0, 3], [len(content), 5])
    assert (tmp_path / "out").read_bytes() == content + content[3:8]


def test_an_input_shorter_than_it_was_said_to_be(tmp_path):
    (tmp_path / "in").write_bytes(b"abc")
    with pytest.raises(ValueError, match=r"in ended after 2 of 3 bytes of data"):
        numpy_functions.concatenate_files([str(tmp_path / "in")], str(tmp_path / "out"), [1], [3])


def test_an_input_shorter_than_its_header(tmp_path):
    (tmp_path / "in").write_bytes(b"abc")
    with pytest.raises(ValueError, match=r"in ended after 0 of 3 bytes of data"):
        numpy_functions.concatenate_files([str(tmp_path / "in")], str(tmp_path / "out"), [10], [3])


def test_a_missing_input(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        numpy_functions.concatenate_files([str(tmp_path / "nothing-here")], str(tmp_path / "out"), [0], [1])


# Stats


def test_stats_worked_out_by_hand(tmp_path):
    # mean 5, squared deviations 9 1 1 1 0 0 4 16, their sum 32
    assert stats_of(tmp_path, [2, 4, 4, 4, 5, 5, 7, 9], "uint8") == {
        "count": 8,
        "min": [2],
        "max": [9],
        "mean": [5],
        "std": [pytest.approx(math.sqrt(32 / 7), rel=1e-15)],
    }


def test_a_stats_file_to_the_byte(tmp_path):
    stats_of(tmp_path, [[1, -3], [2, 0]], "int16")
    assert (tmp_path / "stats.json").read_text() == (
        '{"count": 2, "min": [1, -3], "max": [2, 0], "mean": [1.5, -1.5],'
        ' "std": [0.70710678118654757, 2.1213203435596424]}\n'
    )


def check_stats(stats: dict, data: np.ndarray) -> None:
    """Compare with NumPy, and the mean with the exactly rounded sum of Python."""
    assert stats["count"] == len(data)
    assert stats["min"] == data.min(axis=0).tolist()
    assert stats["max"] == data.max(axis=0).tolist()
    columns = data.astype(float).T
    assert_close(stats["mean"], [math.fsum(column) / len(column) for column in columns])
    assert_close(stats["std"], np.std(columns, axis=1, ddof=1))


@every_dtype
@pytest.mark.parametrize("channels", [1, 2, 3, 139])
def test_stats_of_every_dtype(tmp_path, dtype, channels):
    data = random_samples(dtype, 1001, channels)
    check_stats(stats_of(tmp_path, data), data)


@every_dtype
def test_stats_over_several_blocks(tmp_path, dtype):
    data = random_samples(dtype, 200_000, 3)
    assert data.size > 2 * BLOCK_VALUES
    check_stats(stats_of(tmp_path, data), data)


@pytest.mark.parametrize("block_values", [1, 2, 3, 7, 64])
def test_stats_do_not_depend_on_the_blocks(tmp_path, monkeypatch, block_values):
    data = random_samples("int16", 50, 3)
    monkeypatch.setattr(blocks, "BLOCK_VALUES", block_values)
    check_stats(stats_of(tmp_path, data), data)


def test_more_channels_than_a_block_has_values(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 4)
    assert edges_of(tmp_path, np.tile([[0], [9]], 6), 5, dtype="uint8") == [[1, c] for c in range(6)]


def test_a_small_deviation_on_a_large_offset(tmp_path):
    # The sum of squares minus the square of the sum would have no digit left.
    data = 1e9 + np.tile([4.0, 7, 13, 16], 100_000)
    stats = stats_of(tmp_path, data, "float64")
    assert_close(stats["mean"], [1e9 + 10])
    assert_close(stats["std"], [math.sqrt(22.5 * 400_000 / 399_999)])


def test_nan_samples_are_left_out(tmp_path):
    data = random_samples("float64", 1000, 3)
    data[::7, 0] = np.nan
    data[:500, 2] = np.nan
    stats = stats_of(tmp_path, data)
    columns = [column[~np.isnan(column)] for column in data.T]
    assert stats["count"] == 1000
    assert stats["min"] == [c.min() for c in columns] and stats["max"] == [c.max() for c in columns]
    assert_close(stats["mean"], [math.fsum(c) / len(c) for c in columns])
    assert_close(stats["std"], [np.std(c, ddof=1) for c in columns])


@pytest.mark.parametrize("block_values", [1, 3, 8, 1000])
def test_blocks_of_nan_alone_change_nothing(tmp_path, monkeypatch, block_values):
    monkeypatch.setattr(blocks, "BLOCK_VALUES", block_values)
    nans = [math.nan] * 10
    stats = stats_of(tmp_path, [*nans, 3, *nans, 5, 10, *nans], "float32")
    assert stats == {"count": 33, "min": [3], "max": [10], "mean": [6], "std": [pytest.approx(math.sqrt(13))]}


def test_a_channel_of_nan_alone_has_no_numbers(tmp_path):
    stats = stats_of(tmp_path, [[math.nan, 1], [math.nan, 3]], "float32")
    assert stats["min"] == [None, 1] and stats["max"] == [None, 3]
    assert stats["mean"] == [None, 2] and stats["std"] == [None, pytest.approx(math.sqrt(2))]


def test_one_number_has_no_deviation(tmp_path):
    assert stats_of(tmp_path, [7], "int8") == {"count": 1, "min": [7], "max": [7], "mean": [7], "std": [None]}
    assert stats_of(tmp_path, [math.nan, 7], "float64")["std"] == [None]


def test_infinite_samples(tmp_path):
    inf = math.inf
    stats = stats_of(tmp_path, [[1, 1, 1], [inf, -inf, inf], [2, 2, -inf]], "float64")
    assert stats["min"] == [1, "-Infinity", "-Infinity"]
    assert stats["max"] == ["Infinity", 2, "Infinity"]
    assert stats["mean"] == ["Infinity", "-Infinity", None]
    assert stats["std"] == [None, None, None]


@every_dtype
def test_a_constant_deviates_by_exactly_nothing(tmp_path, dtype):
    data = np.full((300_001, 1), 0.1 if dtype.startswith("float") else 100, dtype)
    stats = stats_of(tmp_path, data)
    assert stats["min"] == stats["max"] == [float(data[0, 0])]
    assert_close(stats["mean"], [float(data[0, 0])])
    assert stats["std"][0] == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("data", [[0.0, -0.0], [-0.0, 0.0], [-0.0], [-0.0] * 9 + [0.0] * 9, [0.0] * 9 + [-0.0] * 9])
def test_zero_has_no_sign(tmp_path, data):
    stats_of(tmp_path, data, "float64")
    assert '"min": [0], "max": [0], "mean": [0]' in (tmp_path / "stats.json").read_text()


def test_limits_of_int32(tmp_path):
    stats = stats_of(tmp_path, [-(2**31), 2**31 - 1], "int32")
    assert (stats["min"], stats["max"], stats["mean"]) == ([-2147483648], [2147483647], [-0.5])


def test_no_samples(tmp_path):
    aggregate = write_aggregate(tmp_path, np.zeros((0, 3), "int16"))
    with pytest.raises(ValueError, match=r"aggregate.json has no samples"):
        numpy_functions.compute_stats(aggregate, str(tmp_path / "stats.json"))
    find_rising_edges(aggregate, str(tmp_path / "edges.npy"), 1)
    assert np.load(tmp_path / "edges.npy").shape == (0, 2)


def test_words_of_bits_are_not_averaged(tmp_path):
    channels = [{"name": "AP0", "kind": "ap"}, {"name": "SY0", "kind": "digital"}, {"name": "XA0", "kind": "analog"}]
    stats = stats_of(tmp_path, [[1, 64, 5], [3, 0, 5]], "int16", channels=channels)
    assert stats["count"] == 2 and stats["min"] == [1, 0, 5] and stats["max"] == [3, 64, 5]
    assert stats["mean"] == [2, None, 5] and stats["std"] == [pytest.approx(math.sqrt(2)), None, 0]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("files", [1, 4])
def test_results_do_not_depend_on_where_the_samples_lie(tmp_path, dtype, files):
    data = random_samples(dtype, 200_000, 3)
    cuts = sorted(np.random.default_rng(1).integers(0, len(data), 300).tolist())
    segments = [0, 100_000]
    found = {}
    for name, write in (("one", write_aggregate), ("parts", functools.partial(write_parts, cuts=cuts, files=files))):
        (folder := tmp_path / name).mkdir()
        aggregate = write(folder, data, segments=segments)
        numpy_functions.compute_stats(aggregate, str(folder / "stats.json"))
        find_rising_edges(aggregate, str(folder / "edges.npy"), [40, 41.5, 42])
        found[name] = [(folder / file).read_bytes() for file in ("stats.json", "edges.npy")]
    assert found["one"] == found["parts"] and len(np.load(tmp_path / "one" / "edges.npy")) > 100_000


# Edges


@pytest.mark.parametrize(
    ("samples", "level", "expected"),
    [
        ([0, 5, 9, 0, 9], 5, [1, 4]),
        ([0, 5, 5, 5], 5, [1]),  # at the level is above it
        ([4, 4, 4], 5, []),
        ([5, 5, 5], 5, []),  # constant
        ([9, 9, 0], 5, []),  # high from the first sample on
        ([9, 0, 9], 5, [2]),
        ([9], 5, []),
        ([0, 9], 5, [1]),
        ([0, 1, 0, 1], 0.5, [1, 3]),
        ([0, 1, 0, 1], 0, []),  # nothing is below it
        ([0, 255, 0, 255], 1e9, []),
        ([0, 255, 0, 255], -1e9, []),
        ([0, 255, 0, 255], math.nan, []),
        ([0, 255, 0, 255], math.inf, []),
    ],
)
def test_edges_worked_out_by_hand(tmp_path, samples, level, expected):
    assert edges_of(tmp_path, samples, level, dtype="uint8") == [[sample, 0] for sample in expected]


def test_nan_is_neither_above_a_level_nor_below_it(tmp_path):
    nan = math.nan
    assert edges_of(tmp_path, [0, nan, 9, nan, 0, 9, nan, nan], 5, dtype="float32") == [[5, 0]]
    assert edges_of(tmp_path, [nan] * 5, 0, dtype="float64") == []


def test_infinite_samples_rise(tmp_path):
    assert edges_of(tmp_path, [-math.inf, math.inf, 0, math.inf], 5, dtype="float32") == [[1, 0], [3, 0]]


def test_a_level_for_each_channel(tmp_path):
    data = [[0, 0, 0, 0], [5, 5, 5, 5], [10, 10, 10, 10]]
    assert edges_of(tmp_path, data, [5, 6, math.nan, 11], dtype="int8") == [[1, 0], [2, 1]]


def test_edges_go_by_sample_then_channel(tmp_path):
    data = [[0, 0, 9], [9, 0, 0], [0, 9, 9], [9, 0, 0]]
    assert edges_of(tmp_path, data, 5, dtype="int16") == [[1, 0], [2, 1], [2, 2], [3, 0]]


def test_a_seam_makes_no_edge(tmp_path):
    data = [0, 9, 0, 9, 0, 9]
    assert edges_of(tmp_path, data, 5, [0, 3], dtype="int32") == [[1, 0], [5, 0]]
    assert edges_of(tmp_path, data, 5, [0], dtype="int32") == [[1, 0], [3, 0], [5, 0]]
    assert edges_of(tmp_path, data, 5, [0, 1, 3, 5], dtype="int32") == []


@pytest.mark.parametrize("block_values", [1, 2, 3, 4, 5, 6])
def test_seams_anywhere_in_a_block(tmp_path, monkeypatch, block_values):
    monkeypatch.setattr(blocks, "BLOCK_VALUES", block_values)
    data = np.tile([0, 9], 12)
    for seam in range(1, 24):
        expected = [[sample, 0] for sample in range(1, 24, 2) if sample != seam]
        assert edges_of(tmp_path, data, 5, [0, seam], dtype="uint8") == expected


@every_dtype
@pytest.mark.parametrize("channels", [1, 3, 139])
def test_edges_of_every_dtype_over_several_blocks(tmp_path, dtype, channels):
    data = random_samples(dtype, 2 * BLOCK_VALUES // channels + 1000, channels)
    level, segments = 40.5, [0, 1000, 50_000 // channels]
    is_edge = np.zeros(data.shape, dtype=bool)
    is_edge[1:] = (data[1:] >= level) & (data[:-1] < level)
    is_edge[segments] = False
    assert edges_of(tmp_path, data, level, segments) == np.argwhere(is_edge).tolist()


def test_the_file_of_no_edges(tmp_path):
    assert edges_of(tmp_path, [1, 1, 1], 5, dtype="uint8") == []
    assert np.load(tmp_path / "edges.npy").shape == (0, 2)
    assert edges_of(tmp_path, [0, 9], 5, dtype="uint8") == [[1, 0]]
    assert np.load(tmp_path / "edges.npy").shape == (1, 2)


def test_the_file_of_edges_is_what_numpy_would_write(tmp_path):
    edges_of(tmp_path, np.tile([0, 9], 700), 5, dtype="uint8")
    np.save(tmp_path / "numpy.npy", np.load(tmp_path / "edges.npy"))
    assert (tmp_path / "edges.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


@settings(max_examples=150, deadline=None)
@given(
    data=hnp.arrays("int8", hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-2, 2)),
    level=st.sampled_from([-2, -0.5, 0, 1, 1.5, 3, math.nan]),
    gaps=st.lists(st.integers(1, 12), max_size=4),
    block_values=st.integers(1, 30),
)
def test_edges_by_their_definition(tmp_path_factory, data, level, gaps, block_values):
    segments = sorted({0, *gaps})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_VALUES", block_values)
        edges = edges_of(tmp_path_factory.mktemp("edges"), data, level, segments)
    samples, channels = data.shape
    places = itertools.product(set(range(1, samples)) - set(segments), range(channels))
    assert edges == sorted([s, c] for s, c in places if data[s, c] >= level and data[s - 1, c] < level)


@settings(max_examples=100, deadline=None)
@given(
    data=hnp.arrays("float64", hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
                    elements=st.floats(-1e6, 1e6, width=32)),
    block_values=st.integers(1, 30),
)  # fmt: skip
def test_stats_by_their_definition(tmp_path_factory, data, block_values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_VALUES", block_values)
        stats = stats_of(tmp_path_factory.mktemp("stats"), data)
    assert stats["count"] == len(data)
    assert stats["min"] == data.min(axis=0).tolist() and stats["max"] == data.max(axis=0).tolist()
    # Where numbers cancel, the error is one of their size.
    scale = np.abs(data).max(axis=0)
    assert (np.abs(stats["mean"] - data.mean(axis=0)) <= 1e-12 * scale).all()
    assert (np.abs(stats["std"] - data.std(axis=0, ddof=1)) <= 1e-12 * scale).all()
