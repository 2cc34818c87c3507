"""Onsets alone: the same as those of the detector of events, in any blocks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuroluigi.signals.crossings import Detector
from neuroluigi.signals.event_rule import Rule
from neuroluigi.signals.events import POLARITIES
from neuroluigi.signals.onsets import Onsets

numbers = st.integers(-4, 4)
levels = st.one_of(st.integers(-4, 4).map(float), st.sampled_from([0.5, -1.5, np.nan, 200.0, -200.0]))


def rule(polarity, levels, **more):
    of_channels = np.array(levels, float)
    return Rule(polarity, of_channels, of_channels, **{"has_peaks": False, **more})


def found(detector, blocks):
    """Return (rows, the places of open ones) of all blocks, (samples, channels, begins, ends) each."""
    rows, opened, first = {}, set(), 0
    for block, begins, ends in blocks:
        for one in detector.feed(first, block.T, begins, ends):
            rows.update(zip(one.places.tolist(), map(tuple, one.rows[:, :2].tolist()), strict=True))
            opened.update(one.places[one.is_open].tolist())
        first += len(block)
    assert detector.rows == len(rows)
    return rows, opened


@given(st.data())
def test_they_are_those_of_the_detector(data):
    channels = data.draw(st.integers(1, 3))
    of_channels = data.draw(st.lists(levels, min_size=channels, max_size=channels))
    asked = rule(data.draw(st.sampled_from(POLARITIES)), of_channels)
    blocks, begins = [], True
    for length in data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)):
        samples = data.draw(st.lists(numbers, min_size=length * channels, max_size=length * channels))
        ends = data.draw(st.booleans())
        blocks.append((np.array(samples, np.int8).reshape(length, channels), begins, ends))
        begins = ends
    dtype = np.dtype("int8")
    assert Onsets.suffice(asked, dtype, range(channels))
    assert found(Onsets(asked, dtype), blocks) == found(Detector(asked, dtype), blocks)


def test_by_hand():
    blocks = [
        # On at the start, which is no rise; then both rise, and the second one stays.
        (np.array([[5, 0], [0, 0], [5, 5], [0, 5]], np.int16), True, False),
        (np.array([[0, 5], [5, 5]], np.int16), False, True),
        # Behind a seam both are beyond their level from the start.
        (np.array([[5, 5], [5, 0]], np.int16), True, False),
    ]
    rows, opened = found(Onsets(rule("rising", [5, 5]), np.dtype("int16")), blocks)
    assert rows == {0: (2, 0), 1: (2, 1), 2: (5, 0)} and opened == {1, 2}


def test_what_they_do_not_suffice_for():
    plain, dtype = rule("rising", [1, 2]), np.dtype("int16")
    assert Onsets.suffice(plain, dtype, [3, 5])
    assert not Onsets.suffice(plain, dtype, [5, 3]) and not Onsets.suffice(plain, np.dtype("float32"), [3, 5])
    for more in ({"settle": 2}, {"widths": (1, 2)}, {"refractory": 3}, {"ends": True}, {"has_peaks": True}):
        assert not Onsets.suffice(rule("rising", [1, 2], **more), dtype, [3, 5])
    with_release = Rule("rising", plain.levels, np.zeros(2), has_peaks=False)
    assert not Onsets.suffice(with_release, dtype, [3, 5])
