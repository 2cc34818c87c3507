"""The filtered and referenced signal against the definition, however it is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals import blocks, filtered
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.filtered import Signal, median, median_over_channels
from neuroluigi.signals.noise import noise_levels
from tests.signals import event_cases
from tests.signals.aggregates import write_aggregate, write_parts

RATE = 2000.0


def signal_of(folder, data, segments=(0,), channels=None, **options) -> Signal:
    aggregate = read_aggregate(write_aggregate(folder, np.asarray(data), segments, sampling_rate_hz=RATE))
    channels = tuple(range(aggregate.channels)) if channels is None else channels
    return Signal(aggregate, channels, **{"labels": (0,) * len(channels), **options})


def whole(signal: Signal, *span: int) -> np.ndarray:
    """Return all of a signal, or from the first to the last sample, as (samples, channels)."""
    return np.concatenate([piece for _, piece in signal.pieces(*span)], axis=1).T


def noise(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((samples, channels)) * 100).round().astype("int16")


@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize("band", [(100.0, 500.0), (50.0, None), (None, 200.0), (None, None)])
@pytest.mark.parametrize("is_referenced", [False, True])
def test_it_is_that_of_the_definition(tmp_path, channels, band, is_referenced):
    data, segments = noise(9000, channels), [0, 4100, 4130, 8999]
    labels = tuple(number % 3 for number in range(channels)) if is_referenced else (0,) * channels
    signal = signal_of(tmp_path, data, segments, low=band[0], high=band[1], labels=labels)
    expected = event_cases.filtered(data, RATE, segments, *band, labels)
    np.testing.assert_allclose(whole(signal), expected, atol=1e-10)
    single = signal_of(tmp_path, data, segments, low=band[0], high=band[1], labels=labels, precision="single")
    np.testing.assert_allclose(whole(single), expected, atol=1e-6 * abs(data).max())


@pytest.mark.parametrize("size", [1, 7, 3900, 12000, 1 << 18])
def test_bits_depend_neither_on_blocks_nor_on_what_is_read(tmp_path, monkeypatch, size):
    data, segments = noise(40_000, 2), [0, 17_001, 39_990]
    options = {"low": 100.0, "high": 500.0, "labels": (1, 1)}
    expected = whole(signal_of(tmp_path, data, segments, **options))
    monkeypatch.setattr(blocks, "BLOCK_VALUES", size)
    monkeypatch.setattr(filtered, "BLOCK_VALUES", size)
    monkeypatch.setattr(filtered, "_CACHED_VALUES", size)
    signal = signal_of(tmp_path, data, segments, **options)
    assert np.array_equal(whole(signal), expected)
    for span in ((0, 1), (16_990, 17_010), (39_000, 40_000), (4000, 12_345)):
        assert np.array_equal(whole(signal, *span), expected[slice(*span)])


def test_channels_in_any_order_and_from_several_files(tmp_path):
    data = noise(5000, 5)
    file = write_parts(tmp_path, data, [100, 2222, 4999], files=2, sampling_rate_hz=RATE)
    signal = Signal(read_aggregate(file), (4, 0, 1), 100.0, 500.0, (0, 0, 0))
    np.testing.assert_allclose(
        whole(signal), event_cases.filtered(data, RATE, low=100, high=500)[:, [4, 0, 1]], atol=1e-10
    )


@settings(max_examples=60, deadline=None)
@given(samples=st.integers(1, 400), seed=st.integers(0, 99), seam=st.integers(0, 400))
def test_stretches_shorter_than_the_filter(tmp_path_factory, samples, seed, seam):
    data, segments = noise(samples, 2, seed), [0, seam] if 0 < seam < samples else [0]
    signal = signal_of(tmp_path_factory.mktemp("short"), data, segments, low=20.0, high=500.0)
    np.testing.assert_allclose(whole(signal), event_cases.filtered(data, RATE, segments, 20, 500), atol=1e-10)
    half = len(signal.taps) // 2
    lengths = np.diff([*segments, samples])
    assert signal.short_stretches() == sum(lengths <= half)


def test_what_is_no_number_is_lost_as_far_as_the_filter_reaches_and_no_farther(tmp_path):
    data = event_cases.with_holes(noise(9000, 4), share=0.001).astype("float32")
    data[50, 1], data[5000, 2], data[:, 3] = np.inf, -np.inf, np.nan
    for options in ({}, {"labels": (1, 1, 1, 1)}):
        signal = signal_of(tmp_path, data, [0, 4500], low=100.0, high=500.0, **options)
        expected = event_cases.filtered(data, RATE, [0, 4500], 100, 500, options.get("labels"))
        np.testing.assert_allclose(whole(signal), expected, atol=1e-9)
        assert np.isnan(expected).any() and not np.isnan(expected[:, 0]).all()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
def test_each_dtype_at_its_limits(tmp_path, dtype):
    if dtype.startswith("float"):
        data = (np.random.default_rng(1).standard_normal((6000, 2)) * 1e9).astype(dtype)
    else:
        data = event_cases.at_limits(dtype, 6000, 2)
    expected = event_cases.filtered(data, RATE, low=100, high=500)
    np.testing.assert_allclose(
        whole(signal_of(tmp_path, data, low=100.0, high=500.0)), expected, atol=1e-12 * abs(expected).max()
    )


@pytest.mark.parametrize("value", [1, 7, 512, -32768, 30_001])
@pytest.mark.parametrize("samples", [300, 5000, 20_000])
def test_what_is_constant_is_nothing_to_the_last_bit(tmp_path, value, samples):
    data = np.full((samples, 2), value, "int16")
    assert not whole(signal_of(tmp_path, data, low=100.0, high=500.0)).any()
    np.testing.assert_allclose(whole(signal_of(tmp_path, data, high=500.0)), value, rtol=1e-14)


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_what_is_constant_but_for_what_is_lost_is_nothing_too(tmp_path, lost):
    data = np.full((9000, 2), 0.1)
    data[[0, 4000, 8000], 0], data[:5000, 1] = lost, lost
    found = whole(signal_of(tmp_path, data, low=100.0, high=500.0))
    assert np.isnan(found[4000]).all() and not found[~np.isnan(found)].any() and not np.isnan(found[6000]).any()


@pytest.mark.parametrize("precision", ["double", "single"])
def test_a_channel_of_steps_is_nothing_between_them(tmp_path, precision):
    data = np.zeros((20_000, 3), "int16")
    data[np.arange(0, 20_000, 1500), 0], data[5000:, 1], data[:, 2] = 300, -32768, np.arange(20_000) // 5000
    found = whole(signal_of(tmp_path, data, low=100.0, high=500.0, precision=precision))
    reach = 34
    is_near = np.zeros(data.shape, bool)
    for sample, channel in np.argwhere(np.diff(data, axis=0, prepend=data[:1])):
        is_near[max(0, sample - reach) : sample + reach + 2, channel] = True
    is_near[:reach, 0] = True
    assert is_near.mean() < 0.1 and not found[~is_near].any() and found[is_near].any()
    assert noise_levels(signal_of(tmp_path, data, low=100.0, high=500.0, precision=precision))[0].tolist() == [0, 0, 0]


def test_the_reference_of_a_single_sample_leaves_its_channels_where_they_are(tmp_path):
    data = noise(5, 7)
    expected = data - np.median(data, axis=1)[:, None]
    for segments in ([0], [0, 1, 4], range(5)):
        assert np.array_equal(whole(signal_of(tmp_path, data, segments, labels=(1,) * 7)), expected)


def test_references_are_what_was_taken_off(tmp_path):
    data, options = noise(9000, 6), {"low": 100.0, "high": 500.0}
    signal = signal_of(tmp_path, data, [0, 5000], labels=(0, 1, 2, 2, 1, 1), **options)
    references = np.concatenate([one for _, _, one in signal.pieces_and_references(0, 9000)], axis=1)
    plain = whole(signal_of(tmp_path, data, [0, 5000], **options))
    assert np.array_equal(whole(signal), plain - references[[0, 1, 2, 2, 1, 1]].T)


def test_samples_as_they_are_keep_their_dtype(tmp_path):
    data = noise(100, 3)
    assert whole(signal_of(tmp_path, data)).dtype == np.dtype("int16") == signal_of(tmp_path, data).dtype
    assert np.array_equal(whole(signal_of(tmp_path, data, channels=(2, 0))), data[:, [2, 0]])


@settings(max_examples=100, deadline=None)
@given(count=st.integers(1, 40), seed=st.integers(0, 1000), holes=st.integers(0, 40))
def test_medians(count, seed, holes):
    random = np.random.default_rng(seed)
    values = random.integers(-3, 4, (count, 30)).astype(float)
    assert np.array_equal(median(values.T.copy()), np.median(values, axis=0))
    values[random.integers(0, count, holes), random.integers(0, 30, holes)] = np.nan
    with np.errstate(all="ignore"):
        expected = [np.median(one[~np.isnan(one)]) if (~np.isnan(one)).any() else np.nan for one in values.T]
    assert np.array_equal(median_over_channels(values), expected, equal_nan=True)
