"""Intervals between events, by hand and by brute force."""

import numpy as np
import pytest

from neuroluigi.signals import found_events
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.intervals import intervals_figure, intervals_of
from neuroluigi.signals.time_axis import time_axis
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events
from tests.signals.group import words


def read(tmp_path, samples=100_000, channels=1, segments=(0,), rate=1000.0, **known):
    path = write_aggregate(
        tmp_path, np.zeros((samples, channels), "int16"), segments, sampling_rate_hz=rate, **known
    )  # fmt: skip
    return read_aggregate(path)


def found_in(aggregate, some):
    return intervals_of(some, aggregate, time_axis(aggregate))


def bins(found, channel=0) -> dict[tuple[int, int], int]:
    """Return the bins that have intervals: from, up to, how many."""
    columns = np.flatnonzero(found.counts[channel])
    return {
        (int(found.edges[c]), int(found.edges[c + 1])): int(found.counts[channel, c]) for c in columns
    }  # fmt: skip


def test_intervals_are_counted_between_whole_samples(tmp_path):
    found = found_in(read(tmp_path), events([10, 11, 13, 113, 213]))
    # 1, 2, 100, 100
    assert bins(found) == {(1, 2): 1, (2, 3): 1, (100, 126): 2}
    assert np.array_equal(found.edges, np.unique(found.edges)) and found.edges[0] == 1


@pytest.mark.parametrize(("rate", "short"), [(1000.0, 1), (500.0, 0), (30_000.0, 3), (1001.0, 2)])
def test_what_is_exactly_2_ms_is_not_below_it(tmp_path, rate, short):
    # Intervals of 1, 2, 50 and 100 samples.
    found = found_in(read(tmp_path, rate=rate), events([10, 11, 13, 63, 163]))
    assert found.short.tolist() == [short] and found.share_of_short(0) == short / 4


@pytest.mark.parametrize("known", [{}, {"gaps": [{"sample": 100, "missing": 7}]}, {"recordings": "two"}])
def test_nothing_crosses_a_seam_a_gap_or_a_recording(tmp_path, known):
    if known.get("recordings"):
        rows = [{"session": "s", "index": n, "path": "p", "first_sample": 100 * n, "samples": 100} for n in range(2)]
        known = {"recordings": rows}
    segments = [0] if known.get("recordings") else [0, 100]
    found = found_in(read(tmp_path, 200, segments=segments, **known), events([95, 99, 100, 105]))
    assert bins(found) == {(4, 6): 2} or sum(bins(found).values()) == 2
    assert found.counts.sum() == 2 and found.short.tolist() == [0]


def test_without_a_rate_nothing_is_short(tmp_path):
    aggregate = read(tmp_path, rate=None)
    found = found_in(aggregate, events([1, 2]))
    assert found.short is None and np.isnan(found.share_of_short(0)) and found.counts.sum() == 1
    said = words(intervals_figure("g", aggregate.path, events([1, 2]), ""))
    assert "interval [samples]" in said and "below" not in said


@pytest.mark.parametrize("rows", [1, 7, 64, 10_000])
def test_in_one_pass_as_by_brute_force(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(found_events, "_ROWS_AT_A_TIME", rows)
    random = np.random.default_rng(5)
    onsets = random.choice(20_000, 400, replace=False)
    channel = random.integers(0, 5, 400)
    some, cuts = events(onsets, channel), [0, 7_000, 7_010, 15_000]
    found = found_in(read(tmp_path, 20_000, 6, cuts), some)
    expected = [
        np.concatenate([np.diff(np.sort(onsets[(channel == c) & (onsets >= a) & (onsets < b)]))
                        for a, b in zip(cuts, [*cuts[1:], 20_000], strict=True)])
        for c in range(6)
    ]  # fmt: skip
    for c, lengths in enumerate(expected):
        assert np.array_equal(np.histogram(lengths, found.edges)[0], found.counts[c])
        assert found.short[c] == (lengths < 2).sum()


def test_the_picture_says_how_many_are_short_and_what_is_by_construction(tmp_path):
    aggregate = read(tmp_path, channels=3)
    # Of 1, 10, 10 and 10 ms.
    some = events([10, 11, 21, 31, 41], 0, **as_crossings(count=[5, None, 0], flag=["", "bad", ""]))
    figure = intervals_figure("g", aggregate.path, some, "octave", ["0", "1", "2"])
    titles = [ax.get_title(loc="left").replace("\u202f", " ") for ax in figure.axes]
    assert titles == [
        "channel 0\n4 intervals, 25 % below 2 ms",
        "channel 1\nnot looked at (bad)",
        "channel 2\nno intervals",
    ]
    said = words(figure)
    assert "none is below the refractory period of 1 ms by construction" in said and "interval [ms]" in said
    assert {ax.get_xscale() for ax in figure.axes} == {"log"} and len({ax.get_xlim() for ax in figure.axes}) == 1
