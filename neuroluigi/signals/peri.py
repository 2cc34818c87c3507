"""Peri-event histograms: how many events there are in bins around moments, and in how many trials a bin was recorded.

All times are whole nanoseconds: seconds with fractions would leave it to their rounding on which side of an edge an
event is that lies exactly on it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Of pairs of an event and a moment that are looked at at once.
_PAIRS_AT_A_TIME = 1 << 20
_PER_MS, _PER_SECOND = 1_000_000, 1_000_000_000


def nanoseconds(seconds: np.ndarray) -> np.ndarray:
    """Return seconds as whole nanoseconds, int64, rounded half up; NaN is no time."""
    return np.floor(np.asarray(seconds, float) * _PER_SECOND + 0.5).astype(np.int64)


@dataclass(frozen=True)
class Bins:
    """Bins around a moment: `count` of them, `width` ns each, the first one from `first` on, from the moment.

    An event is in a bin from its begin on, and before its end. A bin begins at the moment itself.
    """

    first: int
    width: int
    count: int

    @classmethod
    def of(cls, before: float, after: float, width: float) -> "Bins":
        """Return the bins of a window in ms; ValueError where it is not a whole number of them on either side."""
        named = {"before": before, "after": after, "bin": width}
        for name, value in named.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} {value:g} is not a number of ms from 0 on")
        per_bin = round(width * _PER_MS)
        if per_bin < 1 or not math.isclose(per_bin, width * _PER_MS):
            raise ValueError(f"bin {width:.15g} is not a number of ms above 0 of whole nanoseconds")
        numbers = [round(named[name] * _PER_MS) / per_bin for name in ("before", "after")]
        for name, number in zip(named, numbers, strict=False):
            if not number.is_integer():
                raise ValueError(f"{name} {named[name]:.15g} ms is not a whole number of bins of {width:.15g} ms")
        if not sum(numbers):
            raise ValueError("before and after are both 0 ms: the window is empty")
        return cls(-int(numbers[0]) * per_bin, per_bin, int(sum(numbers)))

    @property
    def last(self) -> int:
        """The end of the last bin, in ns from the moment."""
        return self.first + self.width * self.count

    @property
    def edges_ms(self) -> np.ndarray:
        """The edges of all bins in ms, (count + 1,)."""
        return (self.first + self.width * np.arange(self.count + 1)) / _PER_MS

    @property
    def before_moment(self) -> int:
        """How many bins there are before the moment."""
        return -self.first // self.width


@dataclass(frozen=True)
class Stretches:
    """When a group was recorded: `begins` and `ends`, ns, in order.

    What passed between two stretches is known where they have the same number in `runs`.
    """

    begins: np.ndarray
    ends: np.ndarray
    runs: np.ndarray

    def run_at(self, times: np.ndarray) -> np.ndarray:
        """Return the run of each time: of those in front of all, or between runs, the one of the stretch before."""
        return self.runs[np.maximum(np.searchsorted(self.begins, times, side="right") - 1, 0)]


@dataclass(frozen=True)
class Moments:
    """Moments in ns, int64, in order, and the condition of each, a number from 0 up to `conditions`."""

    times: np.ndarray
    condition: np.ndarray
    conditions: int


@dataclass(frozen=True)
class Recorded:
    """How much of the windows around moments was recorded.

    `trials` (conditions, bins): the moments around which a bin was recorded whole; `bins` (moments,): how many were.
    """

    trials: np.ndarray
    bins: np.ndarray


def recorded_around(moments: Moments, stretches: Stretches, bins: Bins) -> Recorded:
    """Return in how many trials each bin lies within a stretch."""
    changes = np.zeros((moments.conditions, bins.count + 1), np.int64)
    whole = np.zeros(len(moments.times), np.int64)
    runs = stretches.run_at(moments.times) if len(stretches.begins) else whole
    for begin, end, run in zip(
        stretches.begins.tolist(), stretches.ends.tolist(), stretches.runs.tolist(), strict=True
    ):
        near = slice(*np.searchsorted(moments.times, (begin - bins.last, end - bins.first)))
        starts = moments.times[near] + bins.first
        first = np.clip(-((starts - begin) // bins.width), 0, bins.count)
        after = np.where(runs[near] == run, np.clip((end - starts) // bins.width, first, bins.count), first)
        np.add.at(changes, (moments.condition[near], first), 1)
        np.add.at(changes, (moments.condition[near], after), -1)
        whole[near] += after - first
    return Recorded(np.cumsum(changes, axis=1)[:, :-1], whole)


def counts_around(
    events: Iterable[tuple[np.ndarray, np.ndarray]], rows: int, moments: Moments, stretches: Stretches, bins: Bins
) -> np.ndarray:
    """Return the counts (rows, conditions, bins), int64, of events in those bins that were recorded whole.

    `events` are blocks of times in ns and of rows, 0-based, -1 for one that is not counted.
    """
    counts = np.zeros(rows * moments.conditions * bins.count, np.int64)
    for row, moment, offset in pairs_around(events, moments, stretches, bins):
        cell = row * moments.conditions + moments.condition[moment]
        counts += np.bincount(cell * bins.count + (offset - bins.first) // bins.width, minlength=len(counts))
    return counts.reshape(rows, moments.conditions, bins.count)


def pairs_around(
    events: Iterable[tuple[np.ndarray, np.ndarray]], moments: Moments, stretches: Stretches, bins: Bins
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield row, moment (its position) and ns from that on, for events in the bins that were recorded whole.

    Each time there are as many as fit into little memory.
    """
    runs = stretches.run_at(moments.times) if len(stretches.begins) else stretches.runs
    for times, rows in events:
        is_counted = rows >= 0
        times, rows = times[is_counted], rows[is_counted]
        if not len(times) or not len(stretches.begins):
            continue
        # A clock that was set back, or recordings that overlap.
        if (np.diff(times) < 0).any():
            order = np.argsort(times, kind="stable")
            times, rows = times[order], rows[order]
        stretch = np.maximum(np.searchsorted(stretches.begins, times, side="right") - 1, 0)
        near = range(*np.searchsorted(moments.times, (times[0] - bins.last, times[-1] - bins.first + 1)).tolist())
        at = moments.times[near.start : near.stop]
        firsts, ends = np.searchsorted(times, at + bins.first), np.searchsorted(times, at + bins.last)
        for some in _shares(ends - firsts):
            event, moment = _expanded(firsts[some], ends[some], near.start + some.start)
            offset = times[event] - moments.times[moment]
            begin = times[event] - (offset - bins.first) % bins.width
            of_event = stretch[event]
            is_whole = (begin >= stretches.begins[of_event]) & (begin + bins.width <= stretches.ends[of_event])
            is_whole &= stretches.runs[of_event] == runs[moment]
            yield rows[event[is_whole]], moment[is_whole], offset[is_whole]


def _shares(numbers: np.ndarray) -> Iterator[slice]:
    """Yield slices of moments with few pairs each, and at least one moment."""
    passed = np.append(0, np.cumsum(numbers))
    first = 0
    while first < len(numbers):
        end = int(np.searchsorted(passed, passed[first] + _PAIRS_AT_A_TIME, side="right")) - 1
        end = max(end, first + 1)
        yield slice(first, end)
        first = end


def _expanded(firsts: np.ndarray, ends: np.ndarray, moment: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an event and a moment for each pair; the first of the moments is number `moment`."""
    numbers = ends - firsts
    which = np.repeat(np.arange(len(firsts)), numbers)
    within = np.arange(len(which)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    return firsts[which] + within, which + moment


@dataclass(frozen=True)
class Response:
    """What is said of a histogram: mean rate before the moment, highest rate of a bin after it, and where that begins.

    Rates are per second; None where nothing was recorded there, or the window has no such part.
    """

    baseline_hz: float | None
    peak_hz: float | None
    peak_ms: float | None


def rates_hz(counts: np.ndarray, trials: np.ndarray, bins: Bins) -> np.ndarray:
    """Return events per second of a trial, for counts (..., bins); NaN where no trial was recorded."""
    return counts / np.where(trials > 0, trials, np.nan) / (bins.width / _PER_SECOND)


def response(counts: np.ndarray, trials: np.ndarray, bins: Bins) -> Response:
    """Return what is said of the histogram of a row and a condition, by its counts and trials, (bins,) each."""
    zero, rates = bins.before_moment, rates_hz(counts, trials, bins)
    baseline = None
    if trials[:zero].any():
        baseline = float(counts[:zero].sum() / (trials[:zero].sum() * bins.width / _PER_SECOND))
    after = rates[zero:]
    if not np.isfinite(after).any():
        return Response(baseline, None, None)
    peak = int(np.nanargmax(after))
    return Response(baseline, float(after[peak]), float(bins.edges_ms[zero + peak]))


def most_active(counts: np.ndarray, most: int) -> Sequence[int]:
    """Return the rows with most events, at most so many, in their order."""
    totals = counts.reshape(len(counts), -1).sum(axis=1)
    return sorted(np.argsort(-totals, kind="stable")[:most].tolist())
