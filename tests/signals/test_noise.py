"""The noise level against the definition, in memory or in groups of channels, of all samples or of 40 half-seconds."""

import numpy as np
import pytest

from neuroluigi.signals import noise
from neuroluigi.signals.noise import noise_levels
from tests.signals import event_cases
from tests.signals.test_filtered import RATE, signal_of
from tests.signals.test_filtered import noise as white

BAND = {"low": 100.0, "high": 500.0}


@pytest.mark.parametrize("labels", [(0, 0, 0, 0, 0), (1, 1, 1, 2, 2), (0, 1, 1, 1, 0)])
@pytest.mark.parametrize("most_values", [1 << 24, 9000 * 2, 500, 1])
def test_of_all_samples(tmp_path, monkeypatch, labels, most_values):
    data = white(9000, 5)
    monkeypatch.setattr(noise, "_MOST_VALUES", most_values)
    found, words = noise_levels(signal_of(tmp_path, data, [0, 4001], **BAND, labels=labels))
    expected = event_cases.noise_of(event_cases.filtered(data, RATE, [0, 4001], 100, 500, labels))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert words == "all samples"


@pytest.mark.parametrize("most_values", [9000 * 20 - 1, 9000 * 8, 9000])
@pytest.mark.parametrize("is_misled", [False, True])
def test_bits_do_not_depend_on_what_is_held(tmp_path, monkeypatch, most_values, is_misled):
    data = white(9000, 20) + np.arange(20, dtype="int16") * 100
    signal = signal_of(tmp_path, data, [0, 4001], **BAND, labels=(1,) * 19 + (0,))
    expected, _ = noise_levels(signal)
    monkeypatch.setattr(noise, "_MOST_VALUES", most_values)
    if is_misled:
        monkeypatch.setattr(noise, "_here_and_there", lambda signal, ranges: np.full((20, 3), 1e4))
    assert np.array_equal(noise_levels(signal)[0], expected)


def test_two_middle_values_far_apart_are_found_though_windows_fail(tmp_path, monkeypatch):
    data = np.random.default_rng(0).standard_normal((6000, 2)) + np.repeat([0, 1e9], 3000)[:, None]
    signal = signal_of(tmp_path, data)
    expected, _ = noise_levels(signal)
    monkeypatch.setattr(noise, "_MOST_VALUES", 1)
    assert np.array_equal(noise_levels(signal)[0], expected)


@pytest.mark.parametrize("segments", [[0], [0, 21_000, 21_100, 43_999], [0, *range(10_500, 30_000, 700)]])
def test_of_40_half_seconds(tmp_path, monkeypatch, segments):
    data = white(60_000, 2) * np.linspace(1, 3, 60_000)[:, None]
    data = data.astype("int16")
    monkeypatch.setattr(noise, "MOST_SAMPLES", 59_999)
    signal = signal_of(tmp_path, data, segments, **BAND)
    found, words = noise_levels(signal)
    spans = event_cases.noise_stretches(60_000, RATE, segments)
    filtered = event_cases.filtered(data, RATE, segments, 100, 500)
    expected = event_cases.noise_of(np.concatenate([filtered[first:last] for first, last in spans]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert words == "40 stretches of 0.5 s"
    of_all, words = noise_levels(signal, "all")
    np.testing.assert_allclose(of_all, event_cases.noise_of(filtered), rtol=1e-12)
    assert words == "all samples"


@pytest.mark.parametrize("rate", [0.5, 50_000.0])
def test_of_all_samples_where_half_a_second_is_none_or_more_than_all(tmp_path, monkeypatch, rate):
    monkeypatch.setattr(noise, "MOST_SAMPLES", 100)
    monkeypatch.setattr("tests.signals.test_filtered.RATE", rate)
    data = white(9000, 2)
    found, words = noise_levels(signal_of(tmp_path, data))
    assert words == "all samples" and np.array_equal(found, event_cases.noise_of(data))


def test_of_raw_samples_and_of_constant_and_missing_ones(tmp_path):
    data = np.stack([np.full(500, 7.0), np.full(500, np.nan), np.arange(500) % 5 * 2.0], axis=1)
    data[3, 2] = np.nan
    found, _ = noise_levels(signal_of(tmp_path, data))
    assert found[0] == 0 and np.isnan(found[1])
    assert found[2] == pytest.approx(2 / 0.6744897501960817)


def test_of_gaussian_noise_it_is_the_standard_deviation(tmp_path):
    data = np.random.default_rng(2).standard_normal((200_000, 1)) * 50
    assert noise_levels(signal_of(tmp_path, data))[0][0] == pytest.approx(50, rel=0.01)
