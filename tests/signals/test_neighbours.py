"""Neighbours of channels, by their positions and by their order."""

import math

import numpy as np
import pytest

from neuroluigi.signals.neighbours import neighbours


def probe(*places, **known) -> list[dict]:
    return [{"name": str(number), "x": x, "y": y, **known} for number, (x, y) in enumerate(places)]


def test_those_no_farther_than_asked_for_the_channel_first_and_the_others_in_order():
    channels = probe((0, 0), (60, 80), (61, 80), (0, 100), (0, -100), (0, 0))
    assert neighbours(channels, range(6)) == {
        0: [0, 1, 3, 4, 5],
        1: [1, 0, 2, 3, 5],
        2: [2, 1, 3],
        3: [3, 0, 1, 2, 5],
        4: [4, 0, 5],
        5: [5, 0, 1, 3, 4],
    }
    assert neighbours(channels, range(6), within_um=0)[0] == [0, 5]


def test_only_chosen_channels_in_their_order():
    channels = probe(*((0, 20 * k) for k in range(8)))
    assert neighbours(channels, [6, 1, 3], within_um=60) == {6: [6, 3], 1: [1, 3], 3: [3, 6, 1]}


def test_other_shanks_are_no_neighbours():
    channels = [*probe((0, 0), (0, 20), shank=0), *probe((0, 0), (0, 20), shank=1)]
    assert neighbours(channels, range(4)) == {0: [0, 1], 1: [1, 0], 2: [2, 3], 3: [3, 2]}


def test_without_positions_those_beside():
    assert neighbours([{}] * 12, range(12))[5] == [5, 1, 2, 3, 4, 6, 7, 8, 9]
    assert neighbours([{}] * 12, [0, 2, 4, 11], beside=1) == {0: [0, 2], 2: [2, 0, 4], 4: [4, 2, 11], 11: [11, 4]}
    assert neighbours([{}] * 3, [2, 0], beside=0) == {2: [2], 0: [0]}


@pytest.mark.parametrize("unknown", [{}, {"x": 0}, {"x": None, "y": None}, {"y": 20}])
def test_a_channel_whose_position_is_not_known_has_those_beside(unknown):
    channels = [*probe((0, 0), (0, 20)), unknown, *probe((0, 500), (0, 30))]
    assert neighbours(channels, range(5), beside=1) == {0: [0, 1, 4], 1: [1, 0, 4], 2: [2, 1, 3], 3: [3], 4: [4, 0, 1]}


def test_none_of_none():
    assert neighbours([{}], []) == {}


def test_each_pair_by_its_distance():
    random = np.random.default_rng(1)
    places = (random.random((90, 2)) * 400).tolist()
    channels = [{**one, "shank": k % 3} for k, one in enumerate(probe(*places))]
    found = neighbours(channels, range(90), within_um=70)
    for one in range(90):
        near = {other for other in range(90) if math.dist(places[one], places[other]) <= 70 and one % 3 == other % 3}
        assert found[one][0] == one and {*found[one]} == near and sorted(found[one][1:]) == found[one][1:]
