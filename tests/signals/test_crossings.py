"""Runs of samples, and parts of them, on which the detector of crossings rests; test_events.py has the rest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuroluigi.signals.crossings import _in_parts, _runs


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 9), st.booleans())
def test_runs(flags, length, is_last):
    count = len(flags) if is_last else max(0, len(flags) - length + 1)
    found = _runs(np.array([flags], bool), length, count)
    assert found[0].tolist() == [flags[i : i + length] == [True] * length for i in range(count)]


@given(st.lists(st.integers(0, 3 << 19), max_size=20))
def test_parts_have_a_bounded_number_of_samples(lengths):
    parts = [lengths[one] for one in _in_parts(np.array(lengths, np.int64))]
    assert [one for part in parts for one in part] == lengths
    assert all(sum(part) <= (1 << 20) + max(part) for part in parts)
