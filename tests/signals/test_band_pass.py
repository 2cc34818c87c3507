"""Band-passes against the definition, and against SciPy's windowed sincs."""

import math

import numpy as np
import pytest
from scipy import signal

from neuroluigi.signals.band_pass import check_band, taps_of
from tests.signals import event_cases


@pytest.mark.parametrize("rate", [360.0, 15000.0, 30000.0, 30000.06109, 2500.0])
@pytest.mark.parametrize(("low", "high"), [(0.01, 0.2), (0.01, None), (None, 0.2), (0.02, 0.45)])
def test_taps_are_those_of_the_definition(rate, low, high):
    corners = [one and one * rate for one in (low, high)]
    found = taps_of(*corners, rate)
    assert len(found) % 2 and np.array_equal(found, found[::-1])
    np.testing.assert_allclose(found, event_cases.taps_of(*corners, rate), atol=1e-15)


def test_a_low_pass_is_the_windowed_sinc_of_scipy():
    np.testing.assert_allclose(
        taps_of(None, 300, 30000), signal.firwin(331, 300, fs=30000, window="hamming"), atol=1e-15
    )


def test_length_and_gain_of_the_band_of_spikes():
    taps = taps_of(300, 6000, 30000)
    assert len(taps) == 331
    _, gains = signal.freqz(taps, worN=[50, 100, 300, 1500, 6000], fs=30000)
    decibels = 20 * np.log10(abs(gains))
    assert decibels[2] == pytest.approx(-6, abs=0.1) and decibels[4] == pytest.approx(-6, abs=0.1)
    assert decibels[0] < -55 and decibels[1] < -55 and abs(decibels[3]) < 0.05


def test_no_corner_is_no_filter():
    assert taps_of(None, None, 100).tolist() == [1]


@pytest.mark.parametrize(
    ("low", "high", "rate", "words"),
    [
        (300, 200, 30000, "low = 300 Hz is not below high = 200 Hz"),
        (300, 300, 30000, "not below"),
        (300, 16000, 30000, "high = 16000 Hz is not between 0 and 15000 Hz, half the sampling rate"),
        (15000, None, 30000, "low = 15000 Hz is not between"),
        (0, None, 30000, "low = 0 Hz is not between"),
        (math.nan, None, 30000, "low = nan Hz is not between"),
        (None, 100, None, "needs the sampling rate"),
    ],
)
def test_a_band_that_no_filter_has(low, high, rate, words):
    with pytest.raises(ValueError, match=words):
        check_band(low, high, rate)
