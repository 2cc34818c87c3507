"""Counts around moments: by hand, at edges and gaps, and against a loop over all events and moments."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroluigi.signals import peri
from neuroluigi.signals.peri import (
    Bins,
    Moments,
    Stretches,
    counts_around,
    most_active,
    nanoseconds,
    pairs_around,
    rates_hz,
    recorded_around,
    response,
)

MS = 1_000_000


def moments_of(times, condition=None, conditions=1) -> Moments:
    which = np.zeros(len(times), np.int64) if condition is None else np.array(condition, np.int64)
    return Moments(np.array(times, np.int64), which, conditions)


def stretches_of(*spans, runs=None) -> Stretches:
    begins, ends = np.array(spans, np.int64).reshape(-1, 2).T
    return Stretches(begins, ends, np.zeros(len(begins), np.int64) if runs is None else np.array(runs))


def test_counts_by_hand():
    bins = Bins.of(2, 3, 1)
    assert (bins.count, bins.before_moment, bins.edges_ms.tolist()) == (5, 2, [-2, -1, 0, 1, 2, 3])
    times = np.array([98, 99, 100, 101, 102, 103, 199, 200, 201]) * MS
    rows = np.array([0, 0, 0, 1, 0, 0, 1, -1, 0])
    moments = moments_of([100 * MS, 200 * MS], [0, 1], 2)
    counts = counts_around([(times, rows)], 2, moments, stretches_of((0, 1000 * MS)), bins)
    # The one at 103 ms is at the end of the last bin, and in none.
    assert counts.tolist() == [[[1, 1, 1, 0, 1], [0, 0, 0, 1, 0]], [[0, 0, 0, 1, 0], [0, 1, 0, 0, 0]]]
    assert most_active(counts, 1) == [0] and most_active(counts, 8) == [0, 1]


@pytest.mark.parametrize("rate", [30000, 32768, 25000, 1000, 24414.0625])
def test_an_event_on_an_edge_is_in_the_bin_that_begins_there(rate):
    # So many samples apart, which is exactly 5 ms where the rate allows that.
    apart = Fraction(5, 1000) * Fraction(rate)
    samples = np.arange(0, 4_000_000, 9973)
    at = nanoseconds(samples / rate)
    later = nanoseconds((samples + int(apart)) / rate)
    bins = Bins.of(5, 10, 5)
    got = counts_around([(later, np.zeros(len(later), np.int64))], 1, moments_of(at), stretches_of((0, 10**15)), bins)
    is_exact = apart.denominator == 1
    assert got.tolist() == [[[0, 0, len(samples)]]] if is_exact else [[[0, len(samples), 0]]]


def test_only_bins_that_were_recorded_whole_count():
    bins = Bins.of(2, 3, 1)
    spans = stretches_of((0, 101_500_000), (102 * MS, 200 * MS))
    moments = moments_of([1 * MS, 100 * MS, 199 * MS, 500 * MS])
    found = recorded_around(moments, spans, bins)
    # Of the second one, the bin from 101 to 102 ms was not recorded to its end.
    assert found.bins.tolist() == [4, 4, 3, 0]
    assert found.trials.tolist() == [[2, 3, 3, 1, 2]]
    times = np.array([0, 101_200_000, 102 * MS, 199 * MS])
    counts = counts_around([(times, np.zeros(4, np.int64))], 1, moments, spans, bins)
    assert counts.tolist() == [[[0, 1, 1, 0, 1]]]
    assert rates_hz(counts, found.trials, bins).round(1).tolist() == [[[0, 333.3, 333.3, 0, 500]]]


def test_what_is_behind_a_seam_of_unknown_length_is_of_other_moments():
    bins, spans = Bins.of(5, 10, 5), [(0, 100 * MS), (100 * MS, 200 * MS)]
    moments = moments_of([98 * MS, 106 * MS])
    events = [(np.array([97, 99, 103, 107]) * MS, np.zeros(4, np.int64))]
    apart, known = stretches_of(*spans, runs=[0, 1]), stretches_of(*spans)
    # From 98 to 103 ms nothing is whole; the bin after that is behind the seam, and counts where that has a length.
    assert recorded_around(moments, apart, bins).trials.tolist() == [[2, 1, 1]]
    assert counts_around(events, 1, moments, apart, bins).tolist() == [[[2, 1, 0]]]
    assert recorded_around(moments, known, bins).trials.tolist() == [[2, 1, 2]]
    assert counts_around(events, 1, moments, known, bins).tolist() == [[[2, 1, 2]]]


def test_baseline_and_peak():
    bins = Bins.of(4, 4, 2)
    got = response(np.array([2, 4, 1, 9]), np.array([2, 4, 1, 3]), bins)
    assert (got.baseline_hz, got.peak_hz, got.peak_ms) == (500, 1500, 2)
    nothing = response(np.zeros(4), np.zeros(4), bins)
    assert (nothing.baseline_hz, nothing.peak_hz, nothing.peak_ms) == (None, None, None)


@pytest.mark.parametrize(
    "window, words",
    [
        ((1, 1, 0), "bin 0 is not"),
        ((1.5, 1, 1), "before 1.5 ms is not a whole number of bins"),
        ((1, float("nan"), 1), "after nan"),
        ((0, 0, 1), "empty"),
        ((-1, 1, 1), "before -1"),
    ],
)
def test_windows_that_are_none(window, words):
    with pytest.raises(ValueError, match=words):
        Bins.of(*window)


def test_windows_of_a_tenth_of_a_ms():
    assert Bins.of(0.3, 0.7, 0.1).count == 10


TIMES = st.lists(st.integers(0, 300), max_size=40).map(sorted)


@settings(max_examples=30, deadline=None)
@given(TIMES, TIMES, st.data())
def test_like_a_loop_over_all_events_and_moments(events, moments, data):
    bins = Bins(-7 * 3, 3, data.draw(st.integers(7, 20)))
    cuts = sorted({0, 301, *data.draw(st.lists(st.integers(1, 300), max_size=4))})
    spans = [(a, b - data.draw(st.integers(0, min(5, b - a - 1)))) for a, b in pairwise(cuts)]
    runs = np.cumsum([0, *(data.draw(st.integers(0, 1)) for _ in spans[1:])]).tolist()
    events = [one for one in events if any(a <= one < b for a, b in spans)]
    rows = [data.draw(st.integers(-1, 2)) for _ in events]
    condition = [data.draw(st.integers(0, 1)) for _ in moments]

    def run_of(time: int) -> int:
        return next((run for (a, _), run in reversed([*zip(spans, runs, strict=True)]) if a <= time), runs[0])

    def is_recorded(moment: int, k: int) -> bool:
        begin = moment + bins.first + k * 3
        return any(
            a <= begin and begin + 3 <= b and run == run_of(moment) for (a, b), run in zip(spans, runs, strict=True)
        )

    counts, trials = np.zeros((3, 2, bins.count), int), np.zeros((2, bins.count), int)
    for moment, which in zip(moments, condition, strict=True):
        for k in range(bins.count):
            if is_recorded(moment, k):
                trials[which, k] += 1
                for event, row in zip(events, rows, strict=True):
                    if row >= 0 and bins.first + k * 3 <= event - moment < bins.first + (k + 1) * 3:
                        counts[row, which, k] += 1
    given_moments, stretches = moments_of(moments, condition, 2), stretches_of(*spans, runs=runs)
    middle = len(events) // 2
    blocks = [
        (np.array(events[part], np.int64), np.array(rows[part], np.int64))
        for part in (slice(middle), slice(middle, None))
    ]
    assert counts_around(blocks, 3, given_moments, stretches, bins).tolist() == counts.tolist()
    assert recorded_around(given_moments, stretches, bins).trials.tolist() == trials.tolist()


def test_little_at_a_time(monkeypatch):
    times = np.sort(np.random.default_rng(0).integers(0, 1000, 2000)) * MS
    moments, spans, bins = moments_of(np.arange(50, 950, 7) * MS), stretches_of((0, 1000 * MS)), Bins.of(50, 50, 5)
    block = times, np.arange(2000) % 3
    whole = counts_around([block], 3, moments, spans, bins)
    monkeypatch.setattr(peri, "_PAIRS_AT_A_TIME", 300)
    parts = list(pairs_around([block], moments, spans, bins))
    assert len(parts) > 50 and max(len(row) for row, _, _ in parts) <= 600
    assert counts_around([block], 3, moments, spans, bins).tolist() == whole.tolist()
    # The order within a block does not matter.
    backwards = block[0][::-1], block[1][::-1]
    assert counts_around([backwards], 3, moments, spans, bins).tolist() == whole.tolist()
