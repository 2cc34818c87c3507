"""Alignment of two clocks by the pulses of one generator that both recorded, and the map from one to the other.

Pulses that come at even intervals look the same when they are shifted by one: only what is known of the first offset
tells which belongs to which. Whatever leaves that open is an error, never a guess.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

# Below that share of the pulses that both could see, something else is wrong than a few lost ones.
_LEAST_MATCHED = 0.8
# In periods: how far an interval may be from a whole number of them, and a pulse from where it is expected.
_TOLERANCE = 0.2
# In periods: offsets, and intervals, that differ by less are alike.
_ALIKE = 0.01
# A pulse that stands out farther from those around it is another one: samples, and medians of how far they are.
_OUTLIER_SAMPLES, _OUTLIER_MEDIANS = 4, 10
# The same for an interval and the median of all.
_USUAL_SAMPLES, _USUAL_MEDIANS = 2, 3
# What the ratio of two clocks, measured over a recording, may change within it: quartz does not wander as far.
WANDER = 20e-6
# The first pulses, by which the offset is found.
_FIRST_PULSES = 32
# An expectation is the median of so many offsets before it, so that one wrong pulse does not move it.
_REMEMBERED = 5
# A pulse is in step with so many before it, and so many after it, or not.
_NEAREST = 5
# The slopes at the ends are of so many pulses: one interval is not known better than to a sample.
_PULSES_OF_SLOPE = 60


@dataclass(frozen=True)
class Pulses:
    """The rising edges of the pulses in a stream, as counts of its clock, and the counts per second by its header.

    `begins` are the counts at which its recordings begin: what lies between two of them was not recorded.
    """

    counters: np.ndarray
    rate: float
    begins: tuple[int, ...] = ()


@dataclass(frozen=True)
class FirstOffset:
    """Two counts, of a stream and of the reference, that are of one moment, give or take `uncertainty` seconds."""

    stream: float
    reference: float
    uncertainty: float


@dataclass(frozen=True)
class Alignment:
    """Pulses of a stream and of the reference: `stream[n]` and `reference[n]` are counts of the same one, in order.

    The other counts are those of pulses without a partner; `missing` and `stops` are those of the stream, within its
    recordings: how many pulses are lacking in intervals of a whole number of periods, and how many longer intervals are
    of no whole number.
    """

    stream: np.ndarray
    reference: np.ndarray
    unmatched_stream: np.ndarray
    unmatched_reference: np.ndarray
    missing: int
    stops: int
    rates: tuple[float, float]

    @property
    def ppm(self) -> float:
        """By how many millionths the stream has more counts in a second of the reference than its header says."""
        slope, _ = self._line()
        return 1e6 * (slope - 1)

    @property
    def residuals(self) -> np.ndarray:
        """How far each count of the stream is from the straight line through all of them, in counts."""
        return self._line()[1]

    def breakpoints(self, zero: float) -> dict[str, Any]:
        """Return the map to seconds of the reference since its count `zero`.

        It is a line from each pulse to the next: their `counters` in the stream and `seconds`, and the slopes `before`
        and `after` them, in seconds per count.
        """
        seconds = (self.reference - zero) / self.rates[1]
        firsts, lasts = slice(0, _PULSES_OF_SLOPE), slice(-_PULSES_OF_SLOPE, None)
        before, after = (_slope(self.stream[which], seconds[which]) for which in (firsts, lasts))
        return {"counters": self.stream, "seconds": seconds, "before": before, "after": after}

    def _line(self) -> tuple[float, np.ndarray]:
        """Return the slope, which is 1 for two clocks that do as their headers say, and the residuals."""
        expected = (self.reference - self.reference[0]) * (self.rates[0] / self.rates[1])
        counted = (self.stream - self.stream[0]).astype(float)
        slope = _slope(expected, counted)
        residuals = counted - slope * expected
        return slope, residuals - residuals.mean()


def align(reference: Pulses, stream: Pulses, period: float, first: FirstOffset) -> Alignment:
    """Return which pulses of a stream and of the reference are the same; they come every `period` seconds.

    Raises ValueError with what is wrong where that is not certain: where the first offset is not known to less than
    half a period, where pulses do not come as said, or where less than 80 % of those that both streams could see are
    alike.
    """
    # Seconds since the moment of the first offset, by what the headers say of the rates.
    times = _seconds(reference, first.reference), _seconds(stream, first.stream)
    sample = 1 / min(reference.rate, stream.rate)
    (of_reference, _, _), (of_stream, missing, stops) = (
        _regular(one, _are_within(pulses), period, sample, name)
        for one, pulses, name in zip(times, (reference, stream), ("the reference", "the stream"), strict=True)
    )
    ratio = of_reference / of_stream
    known_to = 2 * sample / (period * min(map(len, times))) + WANDER
    all_expected = times[1] * ratio
    # What comes out of step, such as noise on a line that nobody drives, would meet pulses by chance.
    kept = [np.flatnonzero(_are_in_step(one, of_reference)) for one in (times[0], all_expected)]
    regular, expected = times[0][kept[0]], all_expected[kept[1]]
    start = _first_common(regular, expected, period)
    uncertainty = first.uncertainty + known_to * abs(float(expected[start]))
    if not uncertainty < period / 2:
        raise ValueError(
            f"the first offset is known to {uncertainty:.3g} s only, at pulses that come every {period:g} s: which of"
            " them are the same is unknown; set offset"
        )
    offset = _offset(regular, expected[start:], period)
    if abs(offset) > uncertainty + _ALIKE * period:
        raise ValueError(
            f"the first pulses are {abs(offset):.3g} s from where they are expected, which was to be known to"
            f" {uncertainty:.3g} s: which of them are the same is unknown; set offset"
        )
    pairs = _matched(regular, expected, start, offset, period, known_to)
    pairs = _without_outliers(regular, expected, pairs, sample)
    pairs = np.stack([which[of] for which, of in zip(kept, pairs.T, strict=True)], axis=1)
    _check(times[0], all_expected, pairs, offset, period)
    others = [np.setdiff1d(np.arange(len(one)), which) for one, which in zip(times, pairs.T, strict=True)]
    counters = _counts(reference), _counts(stream)
    return Alignment(
        stream=counters[1][pairs[:, 1]],
        reference=counters[0][pairs[:, 0]],
        unmatched_stream=counters[1][others[1]],
        unmatched_reference=counters[0][others[0]],
        missing=missing,
        stops=stops,
        rates=(stream.rate, reference.rate),
    )


def shifts_of_stops(reference: Pulses, stream: Pulses, period: float, found: Alignment) -> list[int]:
    """Return by how many periods the stream would have to be shifted so that both see the same stops; 0: by none.

    A stop of the generator is of no whole number of periods, and so of a length of its own: one that is as long in both
    streams is the same one. [] where there is none.
    """
    times = _seconds(reference, 0), _seconds(stream, 0)
    line = found.breakpoints(0)
    at = np.interp(_counts(stream), line["counters"], line["seconds"])
    # As long as on the reference: the clocks count at rates of their own.
    ours = _stops(times[0], _are_within(reference), period)
    theirs = _stops(times[1] / (1 + found.ppm / 1e6), _are_within(stream), period)
    tolerance = 4 / min(reference.rate, stream.rate)
    shifts = []
    for place, length in ours:
        for other, of_stream in theirs:
            reach = tolerance + WANDER * length
            shift = (times[0][place] - at[other]) / period
            if abs(length - of_stream) < reach < _TOLERANCE * period and abs(shift - round(shift)) < _TOLERANCE:
                shifts.append(round(shift))
    return sorted(set(shifts), key=abs)


def _stops(times: np.ndarray, is_within: np.ndarray, period: float) -> list[tuple[int, float]]:
    """Return the positions of the pulses before a stop, and how many seconds it is to the next one."""
    intervals = np.diff(times)
    places = np.flatnonzero(_are_stops(intervals, period) & is_within)
    return [(place, float(intervals[place])) for place in places.tolist()]


def _are_within(pulses: Pulses) -> np.ndarray:
    """Return which of the intervals between pulses lie within a recording."""
    recording = np.searchsorted(np.sort(pulses.begins), _counts(pulses), side="right")
    return np.diff(recording) == 0


def _are_stops(intervals: np.ndarray, period: float) -> np.ndarray:
    """Return which intervals are longer than a period, and of no whole number of them."""
    periods = intervals / period
    return (abs(periods - np.rint(periods)) >= _TOLERANCE) & (periods > 1.5)


def _counts(pulses: Pulses) -> np.ndarray:
    return np.unique(np.asarray(pulses.counters, np.int64))


def _seconds(pulses: Pulses, zero: float) -> np.ndarray:
    return (_counts(pulses) - zero) / pulses.rate


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / (x @ x))


def _regular(
    times: np.ndarray, is_within: np.ndarray, period: float, sample: float, name: str
) -> tuple[float, int, int]:
    """Return the mean period of pulses, and within recordings how many of them are missing, and the number of stops."""
    if len(times) < 3:
        raise ValueError(f"{name} has {len(times)} pulses, too few to align anything by them")
    intervals = np.diff(times)
    middle = float(np.median(intervals))
    if not abs(middle / period - 1) < _TOLERANCE:
        raise ValueError(f"the pulses of {name} come every {middle:.4g} s, and not every {period:g} s; correct period")
    periods = np.rint(intervals / period)
    is_whole = abs(intervals / period - periods) < _TOLERANCE
    single = intervals[(periods == 1) & is_whole]
    if not len(single):
        raise ValueError(f"no two pulses of {name} are {period:g} s apart; check line, threshold and period")
    # Pulses that are out of time would change the mean.
    apart = abs(single - np.median(single))
    usual = single[apart <= _USUAL_SAMPLES * sample + _USUAL_MEDIANS * np.median(apart)]
    are_longer = is_whole & is_within & (periods > 1)
    missing = int(periods[are_longer].sum() - np.count_nonzero(are_longer))
    stops = int(np.count_nonzero(_are_stops(intervals, period) & is_within))
    return float(usual.mean()), missing, stops


def _are_in_step(times: np.ndarray, period: float) -> np.ndarray:
    """Return which pulses are whole periods away from a third of the nearest ones before and after them."""
    alike, others = np.zeros(len(times), np.int64), np.zeros(len(times), np.int64)
    for places in range(1, min(_NEAREST, len(times) - 1) + 1):
        apart = times[places:] - times[:-places]
        periods = np.rint(apart / period)
        is_whole = (abs(apart - periods * period) < _ALIKE * period + WANDER * apart) & (periods > 0)
        for side in (slice(places, None), slice(None, -places)):
            alike[side] += is_whole
            others[side] += 1
    return 3 * alike >= others


def _candidates(reference: np.ndarray, expected: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which pulses of the reference are within half a period of each expected one: from, and up to."""
    half = period / 2
    return np.searchsorted(reference, expected - half), np.searchsorted(reference, expected + half, side="right")


def _first_common(reference: np.ndarray, expected: np.ndarray, period: float) -> int:
    """Return which expected pulse is the first that has candidates."""
    begins, ends = _candidates(reference, expected, period)
    common = np.flatnonzero(ends > begins)
    if not len(common):
        raise ValueError("no pulses of the stream are at the time of any of the reference; check line and offset")
    return int(common[0])


def _offset(reference: np.ndarray, expected: np.ndarray, period: float) -> float:
    """Return the offset by which most of the first expected pulses become those of the reference."""
    begins, ends = _candidates(reference, expected, period)
    which = np.flatnonzero(ends > begins)[:_FIRST_PULSES]
    differences = np.sort(np.concatenate([reference[begins[at] : ends[at]] - expected[at] for at in which]))
    width = 2 * _ALIKE * period
    numbers = np.searchsorted(differences, differences + width, side="right") - np.arange(len(differences))
    best = int(np.argmax(numbers))
    alike = differences[best : best + numbers[best]]
    is_other = (differences < alike[0] - width) | (differences > alike[-1])
    if len(alike) < 2 or len(alike) < len(which) / 2 or (numbers[is_other] > len(alike) / 2).any():
        raise ValueError(
            f"the first pulses of stream and reference do not fit each other by one offset ({len(alike)} of"
            f" {len(which)} fit best); check line and period, and set offset"
        )
    return float(np.median(alike))


def _matched(
    reference: np.ndarray, expected: np.ndarray, start: int, offset: float, period: float, known_to: float
) -> np.ndarray:
    """Return pairs of positions (pairs, 2), in the reference and in the expected pulses, of those that are the same."""
    pairs: list[tuple[int, int]] = []
    before = deque([offset] * _REMEMBERED, _REMEMBERED)
    one, other, last = 0, start, float(expected[start])
    ours, theirs = reference.tolist(), expected.tolist()
    while one < len(ours) and other < len(theirs):
        carried = median(before)
        difference = theirs[other] + carried - ours[one]
        reach = _TOLERANCE * period + known_to * (theirs[other] - last)
        if reach >= period / 2:
            raise ValueError(
                f"there are no pulses alike for {theirs[other] - last:.4g} s, in which the clocks go apart by half"
                " a period or more: which are the same after that is unknown"
            )
        if difference < -reach or _is_nearer(difference, theirs, other, 1):
            other += 1
        elif difference > reach or _is_nearer(difference, ours, one, -1):
            one += 1
        else:
            pairs.append((one, other))
            before.append(ours[one] - theirs[other])
            last = theirs[other]
            one, other = one + 1, other + 1
    return np.array(pairs, np.int64).reshape(-1, 2)


def _is_nearer(difference: float, times: list[float], at: int, sign: int) -> bool:
    """Whether the pulse after this one is nearer to that of the other stream."""
    return at + 1 < len(times) and abs(difference + sign * (times[at + 1] - times[at])) < abs(difference)


def _without_outliers(reference: np.ndarray, expected: np.ndarray, pairs: np.ndarray, sample: float) -> np.ndarray:
    """Return the pairs but for those that stand out from the ones around them; `sample` is the longest, in seconds."""
    if len(pairs) < _REMEMBERED:
        return pairs
    offsets = reference[pairs[:, 0]] - expected[pairs[:, 1]]
    medians = np.median(np.lib.stride_tricks.sliding_window_view(offsets, _REMEMBERED), axis=1)
    # Where samples were lost, a pulse is among most of those around it on either side.
    around = np.pad(medians, _REMEMBERED // 2, mode="edge")
    apart = abs(offsets - around)
    return pairs[apart <= _OUTLIER_SAMPLES * sample + _OUTLIER_MEDIANS * float(np.median(apart))]


def _check(reference: np.ndarray, expected: np.ndarray, pairs: np.ndarray, offset: float, period: float) -> None:
    """Raise ValueError where too few pulses are matched, or where the match has slipped."""
    begin = max(reference[0], expected[0] + offset) - period / 2
    end = min(reference[-1], expected[-1] + offset) + period / 2
    common = max(int(np.count_nonzero((one >= begin) & (one <= end))) for one in (reference, expected + offset))
    if len(pairs) < max(3, _LEAST_MATCHED * common):
        raise ValueError(
            f"only {len(pairs)} of {common} pulses are the same in the stream and in the reference, less than"
            f" {100 * _LEAST_MATCHED:g} %; check line, threshold, period and offset"
        )
    # Both clocks are measured in periods already, so what is left is no drift.
    apart = abs(reference[pairs[:, 0]] - expected[pairs[:, 1]] - offset).max()
    if apart >= period / 2:
        raise ValueError(
            f"stream and reference go apart by {apart:.3g} s beyond their drift, half a period or more: samples of one"
            " of them are lost, or pulses are matched wrongly"
        )
