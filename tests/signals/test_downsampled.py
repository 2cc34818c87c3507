"""Downsampled files against the definition: filter, then every so many samples of each stretch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals import blocks, filtered
from neuroluigi.signals.downsampled import factor_of, kept_samples, write_downsampled
from tests.signals import event_cases
from tests.signals.aggregates import write_aggregate

RATE = 2000.0


def written(folder, data, segments=(0,), **options) -> np.ndarray:
    """Return what write_downsampled writes, (samples, channels), of all channels."""
    file = write_aggregate(folder, data, segments, sampling_rate_hz=RATE)
    path = folder / "downsampled.bin"
    write_downsampled(file, str(path), *(one for pair in options.items() for one in pair))
    kind = {"int16": "<i2"}.get(options.get("dtype"), "<f4")
    return np.fromfile(path, kind).reshape(-1, len(options.get("channels", data[0])))


def noise(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((samples, channels)) * 1000 + 300).round().astype("int16")


def judged(data, segments, factor) -> np.ndarray:
    y = event_cases.filtered(data, RATE, segments, high=0.4 * RATE / factor)
    return np.concatenate([y[first:last:factor] for first, last in event_cases.stretches(len(y), segments)])


@pytest.mark.parametrize("factor", [2, 5, 12, 30, 100])
def test_every_so_many_samples_of_the_low_passed_signal(tmp_path, factor):
    data, segments = noise(20_000, 3), [0, 7001, 7002, 19_990]
    ours, expected = written(tmp_path, data, segments, factor=factor), judged(data, segments, factor)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-4)
    ours = written(tmp_path, data, segments, factor=factor, dtype="int16", channels=[3, 1])
    assert np.array_equal(ours, np.floor(expected[:, [2, 0]] + 0.5))
    assert kept_samples(len(data), segments, factor)[-1] == (len(data), len(ours))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.lists(st.integers(1, 299), max_size=6), st.integers(2, 40))
def test_any_seams(tmp_path_factory, samples, seams, factor):
    segments = [0, *sorted({one for one in seams if one < samples})]
    data = noise(samples, 2)
    ours = written(tmp_path_factory.mktemp("seams"), data, segments, factor=factor)
    np.testing.assert_allclose(ours, judged(data, segments, factor), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("size", [1, 4000, 1 << 18])
def test_bytes_do_not_depend_on_blocks(tmp_path, monkeypatch, size):
    data, segments = noise(30_000, 2), [0, 12_345]
    expected = written(tmp_path, data, segments, factor=7)
    for module in (blocks, filtered):
        monkeypatch.setattr(module, "BLOCK_VALUES", size)
    assert np.array_equal(written(tmp_path, data, segments, factor=7), expected)


def test_a_tone_in_the_band_stays_and_one_that_would_be_taken_for_another_does_not(tmp_path):
    factor, seconds = 10, np.arange(20_000) / RATE
    for tone, least, most in ((10, 0.99, 1.01), (80, 0.45, 0.55), (125, 0, 0.004), (195, 0, 0.004), (205, 0, 0.004)):
        data = (10_000 * np.cos(2 * np.pi * tone * seconds))[:, None].astype("float32")
        ours = written(tmp_path, data, factor=factor)[100:-100, 0]
        assert least <= np.sqrt(2) * ours.std() / 10_000 <= most, tone


def test_what_is_constant_stays(tmp_path):
    assert np.array_equal(
        written(tmp_path, np.full((999, 2), 512, "int16"), factor=10, dtype="int16"), [[512, 512]] * 100
    )


@pytest.mark.parametrize(
    ("rate", "wanted", "factor"), [(30_000, 1000, 30), (30_000, 2500, 12), (29999.97, 999.999, 30)]
)
def test_a_rate_as_a_factor(rate, wanted, factor):
    assert factor_of(rate, wanted) == factor


@pytest.mark.parametrize(
    ("rate", "wanted", "message"),
    [
        (
            30_000.27,
            1000,
            r"30000.27 Hz is not a whole number of times 1000 Hz; give factor = 30 \(1000.009 Hz\) or 31",
        ),
        (30_000, 20_000, "20000 Hz is not above 0 and at most half of 30000 Hz"),
        (30_000, 0, "is not above 0"),
        (None, 100, "needs the sampling rate"),
    ],
)
def test_a_rate_that_can_not_be(rate, wanted, message):
    with pytest.raises(ValueError, match=message):
        factor_of(rate, wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "factor 0 is not"),
        ({"factor": 1}, "factor 1 is not a whole number from 2 on"),
        ({"factor": 2.5}, "factor 2.5"),
        ({"factor": 2, "high": 100.0}, "are no options"),
        ({"factor": 2, "dtype": "int8"}, "dtype 'int8'"),
    ],
)
def test_options_that_are_wrong(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path, noise(50, 2), **options)


def test_the_rate_has_to_be_known(tmp_path):
    with pytest.raises(ValueError, match="needs the sampling rate"):
        write_downsampled(write_aggregate(tmp_path, noise(9, 1)), str(tmp_path / "x"), "factor", 2)
