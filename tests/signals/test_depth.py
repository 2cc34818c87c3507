"""Rates by depth, by hand."""

import numpy as np
import pytest

from neuroluigi.signals.depth import _with_distances, depth_figure, has_depths, rates_by_depth, shanks_of
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events
from tests.signals.group import words

# Two to a row; the second shank has one row, and a channel has no position.
CHANNELS = [
    {"kind": "ap", "x": 0.0, "y": 40.0, "shank": 0},
    {"kind": "ap", "x": 16.0, "y": 40.0, "shank": 0},
    {"kind": "ap", "x": 0.0, "y": 0.0, "shank": 0},
    {"kind": "ap", "x": 0.0, "y": 20.0, "shank": 0},
    {"kind": "ap", "x": 0.0, "y": 0.0, "shank": 1},
    {"kind": "digital"},
]


def test_shanks_have_rows_of_channels_from_the_tip_upwards():
    first, second = shanks_of(CHANNELS)
    assert (first.number, first.depths.tolist(), first.channels) == (0, [0, 20, 40], [[2], [3], [0, 1]])
    assert (second.number, second.depths.tolist(), second.channels) == (1, [0], [[4]])


@pytest.mark.parametrize(("depths", "expected"), [([], 0), ([None], 0), ([5.0, 5.0, None], 0), ([5.0, None, 6.0], 1)])
def test_depths_are_known_where_there_are_several(depths, expected):
    assert has_depths(depths) == bool(expected)


def test_a_row_has_the_mean_of_those_that_were_looked_at():
    rates = np.array([[1, 2], [3, 6], [5, np.nan], [7, 7], [9, 9], [0, 0]])
    first = shanks_of(CHANNELS)[0]
    looked_at = np.array([True, True, True, False, True, False])
    found = rates_by_depth(first, rates, looked_at)
    assert np.array_equal(found, [[5, np.nan], [np.nan, np.nan], [2, 4]], equal_nan=True)
    looked_at[0] = False
    assert rates_by_depth(first, rates, looked_at)[2].tolist() == [3, 6]


def test_where_sites_are_far_apart_there_is_nothing():
    edges, values, is_site = _with_distances(np.array([0.0, 20, 40, 400, 420]), np.arange(5.0).reshape(5, 1))
    assert is_site.tolist() == [True, True, True, False, True, True]
    assert edges.tolist() == [-10, 10, 30, 50, 390, 410, 430]
    assert np.array_equal(values[:, 0], [0, 1, 2, np.nan, 3, 4], equal_nan=True)
    assert _with_distances(np.array([7.0]), np.ones((1, 1)))[0].tolist() == [-3, 17]


def test_the_picture_has_an_image_per_shank_and_names_what_is_left_out(tmp_path):
    path = write_aggregate(tmp_path, np.zeros((60_000, 6), "int16"), channels=CHANNELS, sampling_rate_hz=1000.0)
    some = events([500, 1500], [0, 4], **as_crossings(count=[1, 0, 0, None, 1, None]))
    figure = depth_figure("g", path, some, "octave")
    first, second, bar = figure.axes
    assert first.get_ylabel() == "shank 0\ndepth [um]" and second.get_ylabel() == "shank 1\ndepth [um]"
    assert bar.get_ylabel() == "events per second and channel"
    values = first.collections[0].get_array().filled(np.nan).reshape(3, 60)
    assert values[2, 0] == 0.5 and np.isnan(values[1]).all() and values[0].sum() == 0
    # The row of channel 3, at 20 um, and nothing else is grey.
    greys = [patch.get_extents().transformed(first.transData.inverted()) for patch in first.patches]
    assert [(round(one.y0), round(one.y1)) for one in greys] == [(10, 30)]
    assert "1 channel not looked at (bad or unused), grey where" in words(figure)
