"""When samples were taken, by hand."""

import numpy as np
import pytest

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.time_axis import Clock, TimeAxis, stretches, time_axis
from tests.signals.aggregates import write_aggregate

# 0 1 2 . . . 3 4 . 5
AXIS = TimeAxis(6, np.array([3, 5]), np.array([3, 1]), ())


def test_samples_after_a_gap_are_as_much_later():
    assert AXIS.length == 10
    assert AXIS.places(np.arange(6)).tolist() == [0, 1, 2, 6, 7, 9]


def test_the_first_sample_at_or_after_a_place():
    assert AXIS.first_samples(np.arange(11)).tolist() == [0, 1, 2, 3, 3, 3, 3, 4, 5, 5, 6]


def test_without_a_gap_places_are_samples():
    axis = TimeAxis(4, np.array([], int), np.array([], int), ())
    assert axis.length == 4 and axis.places(np.arange(4)).tolist() == axis.first_samples(np.arange(4)).tolist()


def test_gaps_are_those_of_known_length_and_seams_all_else_that_begins_anew(tmp_path):
    recordings = [{"first_sample": first, "samples": count} for first, count in ((0, 4), (4, 4), (8, 1))]
    gaps = [{"sample": 2, "missing": None}, {"sample": 4, "missing": 7}]
    path = write_aggregate(tmp_path, np.zeros((9, 1), "int16"), [0, 2, 4], recordings=recordings, gaps=gaps)
    content = read_aggregate(path)
    axis = time_axis(content)
    assert (axis.gaps.tolist(), axis.missing.tolist(), axis.seams) == ([4], [7], (2, 8))


def test_of_what_earlier_releases_wrote_no_gap_is_known(tmp_path):
    aggregate = read_aggregate(write_aggregate(tmp_path, np.zeros((9, 1), "int16"), [0, 5]))
    axis = time_axis(aggregate)
    assert (axis.length, axis.gaps.tolist(), axis.seams) == (9, [], (5,))


def test_stretches_end_at_gaps_and_seams():
    axis = TimeAxis(10, np.array([3, 5]), np.array([3, 1]), (8,))
    assert stretches(axis, 0, 10) == [(0, 3), (3, 5), (5, 8), (8, 10)]
    assert stretches(axis, 3, 7) == [(3, 5), (5, 7)] and stretches(axis, 6, 7) == [(6, 7)]


def on_a_clock(tmp_path, seconds):
    """An axis of two recordings of 100 samples at 100 Hz, 300 missing between them, on a clock of its own."""
    recordings = [{"first_sample": first, "samples": 100} for first in (0, 100)]
    gaps = [{"sample": 100, "missing": 300}]
    path = write_aggregate(
        tmp_path, np.zeros((200, 1), "int16"), [0, 100], recordings=recordings, gaps=gaps, sampling_rate_hz=100.0
    )
    return time_axis(read_aggregate(path), Clock("probe", seconds))


def test_without_a_clock_x_is_places_by_the_rate(tmp_path):
    axis = TimeAxis(4, np.array([], int), np.array([], int), (), per_x=100)
    assert axis.x(np.array([-0.5, 0, 3])).tolist() == [-0.005, 0, 0.03] and axis.place_at(0.03) == 3


def test_on_a_clock_x_is_its_seconds_and_a_gap_as_long_as_by_it(tmp_path):
    # It runs at half the speed in the second recording, which begins at 20 s.
    axis = on_a_clock(tmp_path, lambda samples: np.where(samples < 100, 7 + samples / 100, 20 + (samples - 100) / 50))
    places = axis.places(np.array([0, 50, 99, 100, 150, 199]))
    assert axis.x(places) == pytest.approx([7, 7.5, 7.99, 20, 21, 21.98])
    # In the middle of the gap, and in front of the first sample and behind the last one by the rate.
    assert axis.x(np.array([249.5, -1, 500])) == pytest.approx([(7.99 + 20) / 2, 6.99, 21.99])
    assert [axis.place_at(float(x)) for x in axis.x(places)] == pytest.approx(places.tolist())
    assert axis.place_at(6.0) == pytest.approx(-100)


@pytest.mark.parametrize("second", [5.0, np.nan])
def test_a_clock_that_goes_back_or_is_unknown_has_no_axis(tmp_path, second):
    with pytest.raises(ValueError, match="on the clock of probe the seconds of this group don't increase"):
        on_a_clock(tmp_path, lambda samples: np.where(samples < 100, 7 + samples / 100, second))
