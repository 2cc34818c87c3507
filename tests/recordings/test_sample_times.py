"""When samples were taken."""

import numpy as np
import pytest

from neuroluigi.recordings.sample_times import ClockMap, SampleTimes

ROWS = [
    {"session": "m", "index": 0, "first_sample": 0, "samples": 50, "start_sample": 50, "clock": "ni"},
    {"session": "m", "index": 1, "first_sample": 50, "samples": 50, "start_sample": 145, "dropped_samples": 5,
     "clock": "ni"},
    {"session": "n", "index": 0, "first_sample": 100, "samples": 20, "start_sample": 7, "clock": "ni"},
]  # fmt: skip
# 45 between the first two by their counters, 30 within the second; nobody knows how many between the sessions.
GAPS = [{"sample": 50, "missing": 45}, {"sample": 80, "missing": 30}, {"sample": 100, "missing": None}]
LAYOUT = {"sampling_rate_hz": 100.0, "recordings": ROWS, "gaps": GAPS}
MAP = ClockMap(np.array([100, 200]), np.array([10.0, 11.0]), 0.02, 0.01)


def seconds(samples, layout=LAYOUT, maps=None) -> list:
    return SampleTimes(layout, maps).seconds(np.array(samples)).tolist()


def test_seconds_are_since_the_first_sample_of_the_session_with_what_is_missing():
    assert seconds([-10, 0, 49, 50, 79, 80, 99, 100, 119]) == [-0.1, 0, 0.49, 0.95, 1.24, 1.55, 1.74, 0, 0.19]


def test_a_map_of_all_clocks_gives_those_of_the_reference():
    maps = {("m", "ni"): MAP, ("n", "ni"): ClockMap(np.array([0]), np.array([1.0]), 1.0, 1.0)}
    times = SampleTimes(LAYOUT, maps)
    assert times.is_aligned
    # Counts 40, 50, 99 and 150, 179, 210, 229; 7 and 26.
    expected = [8.8, 9.0, 9.98, 10.5, 10.79, 11.1, 11.29, 8.0, 27.0]
    assert times.seconds(np.array([-10, 0, 49, 50, 79, 80, 99, 100, 119])) == pytest.approx(expected, abs=1e-12)
    assert times.seconds_in_recording(np.array([49, 50, 80, 100])).tolist() == [0.49, 0.05, 0.65, 0]


@pytest.mark.parametrize("lacking", ["session", "counter"])
def test_where_one_recording_is_not_aligned_none_is(lacking):
    maps = {("m", "ni"): MAP, **({} if lacking == "session" else {("n", "ni"): MAP})}
    rows = [{**row, "start_sample": None} for row in ROWS] if lacking == "counter" else ROWS
    times = SampleTimes({**LAYOUT, "recordings": rows}, maps)
    assert not times.is_aligned
    assert times.seconds(np.array([80])).tolist() == [1.55]


def test_an_unknown_rate_or_gap_is_not_a_number():
    assert np.isnan(seconds([0, 5], {"recordings": ROWS})).all()
    unknown = {**LAYOUT, "gaps": [{"sample": 80, "missing": None}]}
    assert np.isnan(seconds([79, 80, 99, 100], unknown)).tolist() == [False, True, True, False]


def test_the_recordings_of_a_session():
    times = SampleTimes(LAYOUT)
    assert times.ranges("m") == [(0, 50), (50, 100)]
    assert times.ranges("n") == [(100, 120)]
    assert times.ranges("o") == []
    samples = np.array([-3, 0, 50, 119])
    assert times.recording_of(samples).tolist() == [0, 0, 1, 2]
    assert times.in_recording(samples).tolist() == [-3, 0, 0, 19]


def test_a_map_back_and_forth():
    counts = np.array([-50.0, 100, 133, 200, 900])
    assert MAP.to_counter(MAP.to_seconds(counts)) == pytest.approx(counts)
    stream = {"counters": [100, 200], "seconds": [10, 11], "before": 0.02, "after": 0.01, "stream": "ni"}
    assert ClockMap.of(stream).to_seconds(counts).tolist() == MAP.to_seconds(counts).tolist()
