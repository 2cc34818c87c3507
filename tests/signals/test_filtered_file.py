"""Files of a filtered signal against the definition, in both dtypes."""

import numpy as np
import pytest

from neuroluigi.signals import blocks, filtered
from neuroluigi.signals.filtered_file import sample_bytes, write_filtered
from tests.signals import event_cases
from tests.signals.aggregates import write_aggregate, write_parts

RATE = 2000.0


def written(folder, aggregate: str, width: int, **options) -> np.ndarray:
    """Return what write_filtered writes, (samples, channels)."""
    write_filtered(aggregate, str(folder / "filtered.bin"), *(one for pair in options.items() for one in pair))
    kind = {"int16": "<i2"}.get(options.get("dtype"), "<f4")
    return np.fromfile(folder / "filtered.bin", kind).reshape(-1, width)


def noise(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((samples, channels)) * 1000).round().astype("int16")


def test_the_signal_of_the_definition(tmp_path):
    data, segments, labels = noise(9000, 5), [0, 4000, 4020], [1, 1, 0, 1]
    file = write_parts(tmp_path, data, [100, 5000], files=2, segments=segments, sampling_rate_hz=RATE)
    options = {"low": 100.0, "high": 500.0, "reference": labels, "channels": [5, 1, 2, 3]}
    expected = event_cases.filtered(data[:, [4, 0, 1, 2]], RATE, segments, 100, 500, labels)
    np.testing.assert_allclose(written(tmp_path, file, 4, **options), expected, rtol=1e-6, atol=1e-4)
    rounded = written(tmp_path, file, 4, dtype="int16", **options)
    assert rounded.dtype == np.int16 and np.array_equal(rounded, np.floor(expected + 0.5))


@pytest.mark.parametrize("size", [1, 4000, 1 << 18])
def test_bytes_do_not_depend_on_blocks(tmp_path, monkeypatch, size):
    data = noise(30_000, 2)
    file = write_aggregate(tmp_path, data, [0, 12_345], sampling_rate_hz=RATE)
    expected = written(tmp_path, file, 2, low=100.0, reference="median")
    for module in (blocks, filtered):
        monkeypatch.setattr(module, "BLOCK_VALUES", size)
    assert np.array_equal(written(tmp_path, file, 2, low=100.0, reference="median"), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
def test_what_does_not_fit_is_clipped(tmp_path, dtype):
    data = event_cases.at_limits(dtype, 500, 2)
    file = write_aggregate(tmp_path, data)
    with np.errstate(over="ignore"):
        assert np.array_equal(written(tmp_path, file, 2), data.astype("<f4"), equal_nan=True)
    expected = np.clip(np.nan_to_num(data.astype(float)), -32768, 32767)
    assert np.array_equal(written(tmp_path, file, 2, dtype="int16"), expected)


def test_int16_is_rounded_half_up_and_0_for_no_number():
    values = np.array([[0.5, -0.5, 1.5, -1.5, 0.49, 32767.4, 32767.5, -32768.6, np.nan, np.inf, -np.inf]])
    expected = [1, 0, 2, -1, 0, 32767, 32767, -32768, 0, 32767, -32768]
    assert np.frombuffer(sample_bytes(values, "int16"), "<i2").tolist() == expected


def test_a_dtype_that_there_is_not(tmp_path):
    with pytest.raises(ValueError, match="dtype 'int32' is neither float32 nor int16"):
        written(tmp_path, write_aggregate(tmp_path, noise(9, 1)), 1, dtype="int32")
