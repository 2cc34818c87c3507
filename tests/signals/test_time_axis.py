"""When samples were taken, by hand."""

import numpy as np

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.time_axis import TimeAxis, stretches, time_axis
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
