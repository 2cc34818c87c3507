"""The judge of events against cases that were worked out by hand, and against real recordings."""

import numpy as np
import pytest

from tests.conftest import FORMATS, REAL_RECORDINGS, needs_formats, needs_real_recordings
from tests.signals.event_cases import at_limits, filtered, judge, noise_of, noise_stretches, planted, taps_of, walks

NAN = float("nan")
# Samples, options, and rows (sample, channel, end, peak, polarity).
BY_HAND = [
    ([0, 5, 9, 0, 9], {"level": 5}, [(1, 0, 3, 2, 1), (4, 0, 5, 4, 1)]),
    ([9, 0, 9, 9], {"level": 5}, [(2, 0, 4, 2, 1)]),
    ([0, 6, 4, 6, 2, 6], {"level": 5, "hysteresis": 3}, [(1, 0, 4, 1, 1), (5, 0, 6, 5, 1)]),
    ([0, 6, 0, 6, 6, 0, 6, 0, 0, 6, 6], {"level": 5, "settle": 2}, [(3, 0, 7, 3, 1), (9, 0, 11, 9, 1)]),
    ([0, -6, -7, 0], {"level": -5, "polarity": "falling"}, [(1, 0, 3, 2, -1)]),
    ([0, -6, 8, 0, 6, 0], {"level": 5, "polarity": "absolute"}, [(1, 0, 3, 2, -1), (4, 0, 5, 4, 1)]),
    ([0, 6, NAN, 6, 0, 6], {"level": 5}, [(1, 0, 2, 1, 1), (5, 0, 6, 5, 1)]),
    ([0, 6, 6, 0, 6, 0], {"level": 5, "width": 2, "width_tolerance": 0}, [(1, 0, 3, 1, 1)]),
    ([0, 6, 0, 6, 0, 6, 0], {"level": 5, "refractory": 4}, [(1, 0, 2, 1, 1), (5, 0, 6, 5, 1)]),
    ([0, 6, 6, 0, 9], {"level": 5, "peak_within": 4, "peak_past_end": True}, [(1, 0, 3, 4, 1), (4, 0, 5, 4, 1)]),
    ([0, 6, 7, 0, 6], {"level": 5, "ends": True}, [(1, 0, 3, 2, 1), (3, 0, 4, 3, -1), (4, 0, 5, 4, 1)]),
    ([2, 6, 10, 4, 6, 7], {"threshold": 0.5, "release": 0.5}, [(1, 0, 3, 2, 1), (4, 0, 6, 5, 1)]),
]


@pytest.mark.parametrize(("samples", "options", "rows"), BY_HAND)
def test_events_by_hand(samples, options, rows):
    found = judge(np.array(samples, float)[:, None], rate=1000, **options)
    assert [tuple(row) for row in found.rows.tolist()] == rows
    assert found.amplitudes.tolist() == [samples[row[3]] for row in rows]


def test_nothing_crosses_a_seam():
    found = judge(np.array([[0], [6], [6], [0], [6]]), segments=[0, 2], level=5)
    assert found.rows.tolist() == [[1, 0, 2, 1, 1], [4, 0, 5, 4, 1]]
    assert found.open == [0, 1]


def test_taps_and_the_ends_of_a_stretch():
    assert len(taps_of(300, 6000, 30000)) == 331
    assert abs(taps_of(300, None, 30000).sum()) < 1e-12 and abs(taps_of(None, 300, 30000).sum() - 1) < 1e-12
    ramp = np.arange(2000.0)[:, None]
    assert np.abs(filtered(ramp, 30000, low=300)).max() < 1e-9
    assert np.abs(filtered(ramp, 30000, high=300) - ramp).max() < 1e-9


def test_half_seconds_move_away_from_seams():
    found = noise_stretches(40_000, 1000, [0, 1100, 2400, 2500])
    assert [found[0], found[1], found[2], found[39]] == [(0, 500), (1100, 1600), (1900, 2400), (39_500, 40_000)]


def test_signals_are_what_they_are_named_for():
    assert planted(1000, 2, [100, 500]).min() < -300
    assert {-(1 << 15), (1 << 15) - 1} <= set(at_limits("int16", 1000, 1).ravel().tolist())
    assert np.isnan(at_limits("float32", 1000, 1)).any()
    assert set(walks(1000, 1).ravel().tolist()) == set(range(-6, 7))


@needs_formats
@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"level": -50}, 24),
        ({"level": -50, "hysteresis": 5}, 20),
        ({"level": -55}, 45),
        ({"level": -55, "refractory": 1}, 23),
        ({"level": -20}, 20),
    ],
)
def test_spikes_of_an_intracellular_recording(options, count):
    data = np.fromfile(FORMATS / "wav" / "920061fe_2_4.wav", "<f4", offset=44)[-200_000:, None]
    assert len(judge(data, 40_000, **options).rows) == count


@needs_real_recordings
def test_noise_of_locust():
    data = np.fromfile(REAL_RECORDINGS / "locust20010201" / "rec_0.bin", "<i2").reshape(-1, 4)[:20_000]
    assert noise_of(filtered(data, 15_000, low=300, high=6000)) == pytest.approx([55, 50, 61, 48], abs=3)
