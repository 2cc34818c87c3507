"""Which channels of a group are shown."""

from itertools import pairwise

import numpy as np
import pytest

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.shown_channels import ACTIVE, bad_in_words, shown_channels
from tests.signals.aggregates import write_aggregate


@pytest.fixture
def numbers(tmp_path):
    """Return a function that gives the numbers of the shown channels, of those described or so many."""

    def of(channels):
        count = channels if isinstance(channels, int) else len(channels)
        path = write_aggregate(tmp_path, np.zeros((1, count), "int16"), channels=channels)
        return [one.number for one in shown_channels(read_aggregate(path))]

    return of


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (3, [0, 1, 2]),
        (8, list(range(8))),
        (9, list(range(8))),
        (16, list(range(8))),
        (17, [0, 2, 5, 7, 9, 11, 14, 16]),
        (385, [0, 55, 110, 165, 219, 274, 329, 384]),
    ],
)
def test_of_few_the_first_ones_and_of_many_some_of_all_over(numbers, channels, expected):
    assert numbers(channels) == expected


def test_what_is_not_used_or_digital_is_not_shown(numbers):
    assert numbers([{"used": False}, {"kind": "ap", "used": True}, {"kind": "digital"}, {"kind": "analog"}]) == [1, 3]


def test_of_a_probe_they_are_spread_along_it(numbers):
    # Numbered from its top downwards, two to a row: the uppermost and the lowest one are among them.
    probe = [{"kind": "ap", "x": 10.0 * (n % 2), "y": -20.0 * (n // 2), "shank": 0} for n in range(100)]
    found = numbers([*probe, {"kind": "digital"}])
    assert found[0] in (0, 1) and found[-1] in (98, 99) and len(found) == 8
    assert all(10 <= following - one <= 18 for one, following in pairwise(found))


def test_of_several_shanks_each_has_some(numbers):
    probe = [{"kind": "ap", "y": 1.0 * (n // 4), "shank": n % 4} for n in range(64)]
    assert sorted(n % 4 for n in numbers(probe)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_where_nothing_else_is_digital_and_unused_ones_are_shown(numbers):
    assert numbers([{"kind": "digital"}] * 3) == [0, 1, 2]
    assert numbers([{"kind": "digital"}, {"kind": "ap", "used": False}]) == [1]


@pytest.fixture
def chosen(tmp_path):
    """Return a function that gives the numbers of the channels that are chosen among those described."""

    def of(channels, *chosen, counts=None):
        path = write_aggregate(tmp_path, np.zeros((1, len(channels)), "int16"), channels=channels)
        return [one.number for one in shown_channels(read_aggregate(path), chosen, counts)]

    return of


AP = [{"name": f"AP{n}", "kind": "ap"} for n in range(12)]


def test_names_and_positions_are_in_the_order_of_the_channels(chosen):
    assert chosen(AP, "AP5", "3", "11") == [3, 5, 11] and chosen(AP, "AP5", "5") == [5]
    # A name that looks like a position is a name.
    assert chosen([{"name": "1"}, {"name": "0"}, {}], "0", "2") == [1, 2]
    assert chosen([*AP, {"kind": "digital", "used": False, "name": "SY"}], "SY") == [12]


@pytest.mark.parametrize("wrong", ["AP12", "12", "-1", "all", "spread"])
def test_what_is_no_channel_is_refused(chosen, wrong):
    with pytest.raises(ValueError, match=f"channels: '{wrong}' is neither the name of a channel"):
        chosen(AP, "AP1", wrong)


def test_more_than_eight_are_refused(chosen):
    with pytest.raises(ValueError, match="channels: 9 are named; a picture shows 8 at most"):
        chosen(AP, *(f"AP{n}" for n in range(9)))


def test_spread_are_from_the_first_to_the_last_also_of_few_more_than_eight(chosen):
    assert chosen(AP, "spread") == [0, 2, 3, 5, 6, 8, 9, 11] and chosen(AP) == list(range(8))
    assert chosen(AP[:3], "spread") == [0, 1, 2]


def test_active_are_those_with_most_events_in_their_order(chosen):
    counts = [0, 5, 1, 1, 9, None, 1, 1, 1, 1, 1, 7]
    assert chosen(AP, "active", counts=counts) == [1, 2, 3, 4, 6, 7, 8, 11]
    assert chosen(AP, "active", counts=[None] * 12) == chosen(AP, "active") == list(range(8))


def test_bad_and_unused_channels_are_not_among_them(chosen):
    channels = [*AP[:3], {"kind": "ap", "used": False}, {"kind": "digital"}]
    for how in ("active", "spread"):
        assert chosen(channels, how, counts=[1, None, 2, 3, 4]) == [0, 2]
    assert chosen(channels, counts=[1, None, 2, 3, 4]) == [0, 2]


def test_bad_channels_are_left_out_and_named(tmp_path):
    path = write_aggregate(tmp_path, np.zeros((1, 12), "int16"), channel_names=[f"c{n}" for n in range(12)])
    aggregate = read_aggregate(path, bad=[0, 3])
    assert [one.number for one in shown_channels(aggregate)] == [1, 2, 4, 5, 6, 7, 8, 9]
    assert [one.number for one in shown_channels(aggregate, ("3", "c0"))] == [0, 3]
    assert bad_in_words(aggregate) == ["bad, and left out: c0 (0), c3 (3)"]
    assert bad_in_words(read_aggregate(path, bad=range(12)))[0].endswith("c7 (7) and 4 more")
    assert bad_in_words(read_aggregate(path)) == []


def test_where_few_channels_have_events_some_others_of_all_over_are_shown_with_them(tmp_path):
    aggregate = read_aggregate(write_aggregate(tmp_path, np.zeros((1, 100), "int16")))
    counts = [0] * 100
    counts[50], counts[51] = 7, 9
    shown = [one.number for one in shown_channels(aggregate, (ACTIVE,), counts)]
    assert {50, 51, 0, 99} < set(shown) and len(shown) == 8
    counts = list(range(100))
    assert [one.number for one in shown_channels(aggregate, (ACTIVE,), counts)] == list(range(92, 100))
    assert len(shown_channels(aggregate, (ACTIVE,))) == 8
