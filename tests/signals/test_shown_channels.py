"""Which channels of a group are shown."""

from itertools import pairwise

import numpy as np
import pytest

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.shown_channels import shown_channels
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
