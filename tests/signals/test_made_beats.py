"""Heart beats at the settings of Beats in electrocardiograms that are made: shapes, rates, noise and ectopic beats."""

import numpy as np
import pytest

from tests.signals.aggregates import write_aggregate
from tests.signals.test_events import BEATS, Found

# Waves of a beat: seconds from its middle, their width (a standard deviation) in seconds, and mV.
SHAPES = {
    "normal": [(-0.2, 0.025, 0.15), (-0.03, 0.008, -0.1), (0, 0.01, 1.2), (0.03, 0.009, -0.25), (0.28, 0.05, 0.3)],
    "deep S": [(-0.2, 0.025, 0.1), (-0.01, 0.009, 0.25), (0.02, 0.013, -1.3), (0.28, 0.05, 0.25)],
    "low": [(-0.2, 0.025, 0.08), (0, 0.01, 0.35), (0.03, 0.009, -0.1), (0.28, 0.05, 0.1)],
    "high T": [(-0.2, 0.025, 0.1), (-0.03, 0.008, -0.1), (0, 0.01, 1), (0.03, 0.009, -0.3), (0.25, 0.03, 0.9)],
    "high P": [(-0.16, 0.018, 0.35), (0, 0.01, 0.9), (0.03, 0.009, -0.3), (0.28, 0.05, 0.2)],
    "Q": [(-0.03, 0.012, -0.6), (0, 0.01, 0.6), (0.28, 0.05, 0.2)],
    "paced": [(-0.06, 0.002, 1.5), (0, 0.03, 0.9), (0.3, 0.06, -0.4)],
}
ECTOPIC = [(0, 0.035, 1.6), (0.06, 0.03, -0.5), (0.3, 0.07, -0.6)]
SECONDS = 120


def made(rate: float, shape="normal", per_minute=72, ectopic=0.0, noise=0.03, wander=0.3, variation=0.05, seed=0):
    """Return mV and the seconds of the beats; ectopic ones come early, and a pause follows them."""
    random, time = np.random.default_rng(seed), np.arange(int(rate * SECONDS)) / rate
    signal, beats, place = np.zeros(len(time)), [], 1.0
    while place < SECONDS - 1:
        is_ectopic = random.random() < ectopic
        if is_ectopic:
            place -= 0.3 * 60 / per_minute
        near = slice(int(max(0, place - 0.5) * rate), int((place + 0.7) * rate))
        for center, width, height in ECTOPIC if is_ectopic else SHAPES[shape]:
            signal[near] += height * np.exp(-(((time[near] - place - center) / width) ** 2) / 2)
        beats.append(place)
        interval = 60 / per_minute * (1 + variation * random.uniform(-1.5, 1.5))
        place += interval * (1.35 if is_ectopic else 1)
    signal += wander * np.sin(2 * np.pi * 0.25 * time) + noise * np.sqrt(rate / 360) * random.standard_normal(len(time))
    return signal, np.array(beats)


def assert_found(folder, signal: np.ndarray, beats: np.ndarray, rate: float) -> None:
    """Assert that 97 % of the beats have a peak within 150 ms, and 96 % of the peaks a beat, one to one in order."""
    found = Found(folder, write_aggregate(folder, signal[:, None], sampling_rate_hz=rate), **BEATS)
    peaks = np.sort(found.rows[:, 3]) / rate
    matched, place = 0, 0
    for beat in beats:
        while place < len(peaks) and peaks[place] < beat - 0.15:
            place += 1
        if place < len(peaks) and peaks[place] <= beat + 0.15:
            matched, place = matched + 1, place + 1
    assert matched >= 0.97 * len(beats) and matched >= 0.96 * len(peaks)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_shapes(tmp_path, shape, sign):
    signal, beats = made(360, shape)
    assert_found(tmp_path, (sign * signal * 200).round().astype("int16"), beats, 360)


@pytest.mark.parametrize("rate", [128, 200, 250, 257.5, 500, 1000])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_rates(tmp_path, rate, dtype):
    signal, beats = made(rate, ectopic=0.1)
    assert_found(tmp_path, (signal * 200).astype(dtype), beats, rate)


@pytest.mark.parametrize(
    "options",
    [
        {"noise": 0.15},
        {"wander": 3},
        {"ectopic": 0.3},
        {"per_minute": 35},
        {"per_minute": 150},
        {"per_minute": 90, "variation": 0.3},
    ],
    ids=str,
)
def test_noise_and_rhythms(tmp_path, options):
    signal, beats = made(250, **options)
    assert_found(tmp_path, (signal * 200).round().astype("int16"), beats, 250)
