"""When a session was recorded: cut at seams and gaps, and what is known of the time between."""

import numpy as np
import pytest

from neuroluigi.ephys.recorded_stretches import recorded_stretches
from neuroluigi.recordings.sample_times import ClockMap, SampleTimes

MS = 1_000_000


def rows(*recordings: tuple[str, int, int], **more) -> list[dict]:
    return [{"session": s, "first_sample": first, "samples": n, **more} for s, first, n in recordings]


@pytest.mark.parametrize(
    "recordings, segments, gaps, expected",
    [
        # Raw files, one after the other: nobody knows what passed between them.
        ([("s", 0, 10), ("s", 10, 5)], [0, 10], [], [(0, 10, 1), (10, 15, 2)]),
        ([("s", 0, 10), ("s", 10, 5)], [0], [], [(0, 15, 1)]),
        # A gap of known length, and one of another.
        ([("s", 0, 10)], [0, 4], [{"sample": 4, "missing": 3}], [(0, 4, 1), (7, 13, 1)]),
        ([("s", 0, 10)], [0, 4], [{"sample": 4, "missing": None}], [(0, 4, 1)]),
        # Another session before it, and between.
        ([("t", 0, 6), ("s", 6, 4), ("t", 10, 2), ("s", 12, 3)], [0, 6, 10, 12], [], [(0, 4, 1), (6, 9, 2)]),
    ],
)
def test_stretches(recordings, segments, gaps, expected):
    layout = {"recordings": rows(*recordings), "sampling_rate_hz": 1000, "segments": segments, "gaps": gaps}
    found = recorded_stretches(layout, SampleTimes(layout), "s")
    got = zip(*((one // MS).tolist() for one in (found.begins, found.ends)), found.runs.tolist(), strict=True)
    assert [*got] == expected


def test_on_one_clock_what_passes_between_recordings_is_known():
    of_clock = {"clock": "c", "dropped_samples": 0}
    layout = {
        "recordings": [
            {"session": "s", "first_sample": 0, "samples": 10, "start_sample": 100, **of_clock},
            {"session": "s", "first_sample": 10, "samples": 5, "start_sample": 200, **of_clock},
        ],
        "sampling_rate_hz": 1000, "segments": [0, 10], "gaps": [{"sample": 10, "missing": None}],
    }  # fmt: skip
    clock = ClockMap(np.array([100.0]), np.array([0.0]), 0.001, 0.001)
    found = recorded_stretches(layout, SampleTimes(layout, {("s", "c"): clock}), "s")
    assert found.begins.tolist() == [0, 100 * MS] and found.ends.tolist() == [10 * MS, 105 * MS]
    assert len({*found.runs.tolist()}) == 1
