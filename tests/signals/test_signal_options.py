"""Options of the functions that work on a filtered signal."""

import json

import numpy as np
import pytest

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.signal_options import SignalOptions, options_of, plain, samples_of
from tests.signals.aggregates import write_aggregate


def signal(folder, *options, kinds=("ap", "digital", "lf"), **known):
    channels = [{"name": str(k), "kind": kind} for k, kind in enumerate(kinds)]
    file = write_aggregate(
        folder, np.zeros((9, 3), "int16"), channels=channels, **{"sampling_rate_hz": 1000.0, **known}
    )
    return options_of(SignalOptions, options)[0].signal(read_aggregate(file))


def test_all_but_digital_channels_without_a_reference(tmp_path):
    found = signal(tmp_path)
    assert found.channels == (0, 2) and found.labels == (0, 0) and found.is_raw


def test_what_is_given(tmp_path):
    found = signal(tmp_path, "channels", [3, 1], "reference", "median", "low", 10.0, "high", 100, "precision", "single")
    assert found.channels == (2, 0) and found.labels == (1, 1) and found.precision == "single"
    assert (found.low, found.high) == (10, 100)
    assert signal(tmp_path, "reference", np.array([0.0, 2.0])).labels == (0, 2)
    assert signal(tmp_path, "channels", 2, "reference", 1).channels == (1,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("channels", [4]), "no channel 4 among 1 to 3"),
        (("channels", [0]), "no channel 0"),
        (("channels", [1, 1]), "named twice"),
        (("reference", "mean"), "'mean' is neither"),
        (("reference", [1]), "1 labels for 2 channels"),
        (("low", 500.0), "low = 500 Hz"),
        (("precision", "half"), "precision 'half' is neither"),
        (("colour", 1), "no option colour"),
    ],
)
def test_what_is_wrong(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        signal(tmp_path, *options)


def test_a_band_needs_a_rate(tmp_path):
    with pytest.raises(ValueError, match="needs the sampling rate"):
        signal(tmp_path, "low", 10.0, sampling_rate_hz=None)


@pytest.mark.parametrize(
    ("duration", "rate", "samples"),
    [(1, 30_000, 30), (0.05, 30_000, 2), (0.001, 30_000, 1), (0, 30_000, 0), (1, None, 0), (0.5, 1000, 1)],
)
def test_durations_are_rounded_half_up_and_at_least_a_sample(duration, rate, samples):
    assert samples_of(duration, rate) == samples


def test_options_as_json():
    assert json.dumps([np.array([1, 2]), np.float64(0.5), np.bool_(True), range(2)], default=plain) == (
        "[[1, 2], 0.5, true, [0, 1]]"
    )
