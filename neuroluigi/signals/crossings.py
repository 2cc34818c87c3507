"""Where channels cross their level: a state machine per channel, for all channels of a block at once.

A channel is armed on the near side of its level. An event begins, while it is armed, at the first of `settle` samples
at or beyond the level, and ends at the first of `settle` samples that are near again, past the release; there the
channel is armed anew. NaN is a seam of its channel. Schmitt (1938) for the hysteresis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from neuroluigi.signals.event_rule import Bounds, Rule

# What a candidate is: the start of samples beyond the level, of near ones, or of NaN.
_ON, _OFF, _BREAK = 0, 1, 2
# Values of events that are looked at together for their peaks.
_VALUES_AT_ONCE = 1 << 20


# Events that are not done with, a record each: `end` is -1 while it goes on, `row` is -1 until it is in the file,
# `kept` is -1 until that is known; `value` is the largest of what peaks are judged by, of the samples before `seen`.
_EVENT = [
    *((name, "int64") for name in ("channel", "onset", "end", "peak", "polarity", "row", "seen")),
    *((name, "float64") for name in ("value", "amplitude")),
    ("kept", "int8"),
    ("is_open", "bool"),
]


class Found(NamedTuple):
    """Rows of a file of events, int64 (n, 5), channels counted from 0 among those looked at, and what goes with them.

    `places` are their 0-based rows in the file, where they are to be written, again or for the first time.
    """

    places: np.ndarray
    rows: np.ndarray
    amplitudes: np.ndarray
    is_open: np.ndarray


class Detector:
    """Finds the events of some channels in blocks that follow each other.

    Those at the same sample are in the order of the `numbers`, by default that of the channels in the blocks.
    `rejected_width` and `rejected_refractory` count what was dropped.
    """

    def __init__(self, rule: Rule, dtype: np.dtype, numbers: Sequence[int] | None = None):
        channels = len(rule.levels)
        self._numbers = np.arange(channels) if numbers is None else np.array(numbers, np.int64)
        self.rejected_width = self.rejected_refractory = self.rows = 0
        self._rule, self._bounds = rule, Bounds(rule, dtype)
        self._may_miss = dtype.kind == "f"
        self._live = np.empty(0, _EVENT)
        # Of the sample before the next one to judge; what was read of those behind it.
        self._was_on, self._was_off, self._was_missing = np.zeros((3, channels, 1), bool)
        self._last_code = np.empty(channels, np.int8)
        self._last_kept = np.empty(channels)
        self._tail = np.empty((channels, 0), dtype)

    def feed(self, first: int, block: np.ndarray, begins: bool, ends: bool) -> list[Found]:
        """Return what is found with one more block, (channels, samples) from sample `first` on.

        `begins` and `ends` say whether it is the first, or the last, of a stretch. First come rows that change, which
        are in the file already, then new ones.
        """
        window = np.concatenate([self._tail, block], axis=1) if self._tail.shape[1] else block
        first -= self._tail.shape[1]
        beyond = self._bounds.beyond(window)
        missing = self._missing(window)
        near = self._bounds.near(window, beyond, missing) if self._needs_near(missing) else None
        if begins:
            self._begin(beyond[:, 0] if missing is None else beyond[:, 0] | missing[:, 0])
        judged = max(0, window.shape[1] - (0 if ends else self._rule.settle - 1))
        horizon = first + judged
        channel, sample, code = self._candidates(beyond, near, missing, judged)
        self._tail = window[:, judged:].copy()
        ended = self._follow(window, channel, sample, code, first, ends)
        if self._rule.has_peaks:
            self._look_for_peaks(window, first, horizon, ends)
        self._decide(horizon, ends)
        return self._hand_over(window, first, horizon, ended, ends)

    def _missing(self, window: np.ndarray) -> np.ndarray | None:
        if not self._may_miss:
            return None
        found = np.isnan(window)
        return found if found.any() or self._was_missing.any() else None

    def _needs_near(self, missing: np.ndarray | None) -> bool:
        return (
            self._rule.settle > 1 or missing is not None or not self._bounds.is_simple or bool(self._was_missing.any())
        )

    def _begin(self, is_unarmed: np.ndarray) -> None:
        self._was_on[:] = self._was_off[:] = self._was_missing[:] = False
        self._last_code[:] = np.where(is_unarmed, _ON, _OFF)
        self._last_kept[:] = -math.inf

    def _candidates(
        self, beyond: np.ndarray, near: np.ndarray | None, missing: np.ndarray | None, judged: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return channel, sample in the window and code of each candidate, in the order of channel, then sample."""
        if near is None:
            # Near is what is not beyond: each change is one.
            channel, sample = _where(beyond ^ _before(beyond, self._was_on))
            self._was_on, self._was_off = beyond[:, -1:].copy(), ~beyond[:, -1:]
            return channel, sample, np.where(beyond[channel, sample], _ON, _OFF).astype(np.int8)
        settle = self._rule.settle
        on, off = _runs(beyond, settle, judged), _runs(near, settle, judged)
        breaks = np.zeros_like(on) if missing is None else missing[:, :judged]
        before = zip((on, off, breaks), (self._was_on, self._was_off, self._was_missing), strict=True)
        starts = [one & ~_before(one, was) for one, was in before]
        channel, sample = _where(starts[0] | starts[1] | starts[2])
        if judged:
            self._was_on, self._was_off, self._was_missing = (one[:, -1:].copy() for one in (on, off, breaks))
        codes = np.select([starts[0][channel, sample], starts[1][channel, sample]], [_ON, _OFF], _BREAK)
        return channel, sample, codes.astype(np.int8)

    def _follow(
        self, window: np.ndarray, channel: np.ndarray, sample: np.ndarray, code: np.ndarray, first: int, ends: bool
    ) -> np.ndarray:
        """Have events begin and end at the candidates; return which live events have ended now."""
        count = len(channel)
        is_first = np.ones(count, bool)
        is_first[1:] = channel[1:] != channel[:-1]
        previous = np.empty(count, np.int8)
        previous[1:] = code[:-1]
        previous[is_first] = self._last_code[channel[is_first]]
        # The next candidate that is no start of samples beyond the level; `count` where there is none.
        numbers = np.where(code != _ON, np.arange(count), count)
        following = np.minimum.accumulate(numbers[::-1])[::-1]
        is_last = np.append(is_first[1:], True) if count else is_first
        self._last_code[channel[is_last]] = code[is_last]

        onset = np.flatnonzero((code == _ON) & (previous == _OFF))
        born = np.zeros(len(onset), _EVENT)
        born["channel"], born["onset"], born["seen"] = channel[onset], first + sample[onset], first + sample[onset]
        born["end"] = born["row"] = born["kept"] = -1
        born["value"], born["polarity"] = -math.inf, self._polarity(window, channel[onset], sample[onset])
        going = np.flatnonzero(self._live["end"] < 0)
        begin = np.searchsorted(channel, self._live["channel"][going])
        self._live = np.concatenate([self._live, born])
        which = np.append(going, np.arange(len(self._live) - len(born), len(self._live)))
        padded = np.append(following, count)
        end = padded[np.append(begin, onset)]
        has_end = np.append(channel, -1)[end] == self._live["channel"][which]
        which, end = which[has_end], end[has_end]
        self._live["end"][which] = first + sample[end]
        self._live["is_open"][which] = code[end] == _BREAK
        if ends:
            still = self._live["end"] < 0
            self._live["end"][still], self._live["is_open"][still] = first + window.shape[1], True
        return which

    def _polarity(self, window: np.ndarray, channel: np.ndarray, sample: np.ndarray) -> "int | np.ndarray":
        if self._rule.polarity == "absolute":
            return np.where(window[channel, sample] > 0, 1, -1)
        return 1 if self._rule.polarity == "rising" else -1

    def _look_for_peaks(self, window: np.ndarray, first: int, horizon: int, ends: bool) -> None:
        """Have the peaks of live events be the extremes so far."""
        live, last = self._live, first + window.shape[1]
        begin, stop = live["seen"], np.minimum(self._last_of_peak(horizon), last)
        which = np.flatnonzero((stop > begin) & (live["kept"] != 0))
        channel, begin, stop = live["channel"][which], begin[which] - first, stop[which] - first
        for some in _in_parts(stop - begin):
            value, sample = self._extremes(window, channel[some], begin[some], stop[some])
            is_larger = value > live["value"][which[some]]
            better, sample = which[some][is_larger], sample[is_larger]
            live["value"][better], live["peak"][better] = value[is_larger], first + sample
            live["amplitude"][better] = window[channel[some][is_larger], sample]
        live["seen"][which] = stop + first

    def _last_of_peak(self, horizon: int) -> np.ndarray:
        """Return the sample after the last one of which it is known that an event's peak may be there."""
        live, within = self._live, self._rule.peak_within
        end = np.where(live["end"] < 0, horizon, live["end"])
        if within is None:
            return end
        return live["onset"] + within if self._rule.peak_past_end else np.minimum(live["onset"] + within, end)

    def _extremes(
        self, window: np.ndarray, channel: np.ndarray, begin: np.ndarray, stop: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the extreme of each range of samples, by which it is the largest, and the first sample that has it."""
        lengths = stop - begin
        offsets = np.cumsum(lengths) - lengths
        sample = np.arange(lengths.sum()) + np.repeat(begin - offsets, lengths)
        values = window[np.repeat(channel, lengths), sample].astype(float)
        if self._rule.polarity == "absolute":
            values = np.abs(values)
        elif self._rule.polarity == "falling":
            values = -values
        values[np.isnan(values)] = -math.inf
        largest = np.maximum.reduceat(values, offsets)
        places = np.flatnonzero(values == np.repeat(largest, lengths))
        return largest, sample[places[np.searchsorted(places, offsets)]]

    def _decide(self, horizon: int, ends: bool) -> None:
        """Decide which events are kept, by their widths and by the refractory period."""
        live, rule = self._live, self._rule
        is_undecided = live["kept"] < 0
        if rule.widths:
            least, most = rule.widths
            has_ended = live["end"] >= 0
            width = np.where(has_ended, live["end"], horizon) - live["onset"]
            is_wrong = is_undecided & ((width > most) | (has_ended & (width < least)))
            live["kept"][is_wrong] = 0
            self.rejected_width += int(is_wrong.sum())
            is_undecided &= has_ended & ~is_wrong
        which = np.flatnonzero(is_undecided)
        live["kept"][which] = 1
        if rule.refractory and len(which):
            which = which[np.lexsort((live["onset"][which], live["channel"][which]))]
            dropped = which[self._too_soon(live["channel"][which], live["onset"][which])]
            live["kept"][dropped] = 0
            self.rejected_refractory += len(dropped)

    def _too_soon(self, channel: np.ndarray, onset: np.ndarray) -> np.ndarray:
        """Return the places of onsets that follow the last accepted one of their channel too soon; they are sorted."""
        is_first = np.append(True, channel[1:] != channel[:-1])
        previous = np.append(0, onset[:-1]).astype(float)
        previous[is_first] = self._last_kept[channel[is_first]]
        doubtful = np.flatnonzero(onset - previous < self._rule.refractory)
        is_dropped = np.zeros(len(onset), bool)
        last, before = -math.inf, -2
        for place, time, earlier in zip(
            doubtful.tolist(), onset[doubtful].tolist(), previous[doubtful].tolist(), strict=True
        ):
            # The one before was accepted, unless it was doubtful too.
            if place != before + 1 or is_first[place]:
                last = earlier
            if time - last < self._rule.refractory:
                is_dropped[place] = True
            else:
                last = time
            before = place
        kept = np.flatnonzero(~is_dropped)
        # The last one of each channel wins.
        self._last_kept[channel[kept]] = onset[kept]
        return np.flatnonzero(is_dropped)

    def _hand_over(self, window: np.ndarray, first: int, horizon: int, ended: np.ndarray, ends: bool) -> list[Found]:
        """Return the rows that change, and new ones; forget the events that are done with."""
        if self._rule.ends:
            self._live = np.concatenate([self._live, self._releases(window, first, ended)])
        live = self._live
        undecided = live["onset"][live["kept"] < 0]
        until = live["onset"].max(initial=0) + 1 if ends else min(horizon, undecided.min(initial=horizon))
        was_written = live["row"] >= 0
        new = np.flatnonzero((live["kept"] == 1) & ~was_written & (live["onset"] < until))
        new = new[np.lexsort((self._numbers[live["channel"][new]], live["onset"][new]))]
        live["row"][new] = np.arange(self.rows, self.rows + len(new))
        self.rows += len(new)
        is_done = live["end"] >= 0
        if self._rule.has_peaks and not ends:
            is_done &= live["seen"] >= self._last_of_peak(horizon)
        is_done |= live["kept"] == 0
        changed = np.flatnonzero(was_written & is_done)
        self._live = live[~(is_done & ((live["row"] >= 0) | (live["kept"] == 0)))]
        return [_found(live[some]) for some in (changed, new) if len(some)]

    def _releases(self, window: np.ndarray, first: int, ended: np.ndarray) -> np.ndarray:
        """Return the ends of accepted events as events of their own."""
        sources = self._live[ended]
        sources = sources[(sources["kept"] == 1) & ~sources["is_open"]]
        found = np.zeros(len(sources), _EVENT)
        found["channel"], found["onset"], found["peak"] = sources["channel"], sources["end"], sources["end"]
        found["end"], found["seen"] = sources["end"] + 1, np.iinfo(np.int64).max
        found["polarity"], found["kept"], found["row"] = -sources["polarity"], 1, -1
        found["amplitude"] = window[sources["channel"], sources["end"] - first]
        return found


def _found(events: np.ndarray) -> Found:
    names = ("onset", "channel", "end", "peak", "polarity")
    rows = np.stack([events[name] for name in names], axis=1)
    return Found(events["row"], rows, events["amplitude"], events["is_open"])


def _before(flags: np.ndarray, was: np.ndarray) -> np.ndarray:
    """Return what was true one sample earlier; `was` (channels, 1) before the first one."""
    moved = np.empty_like(flags)
    moved[:, 1:] = flags[:, :-1]
    moved[:, :1] = was
    return moved


def _where(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return channel and sample of each that is true, in the order of channel, then sample."""
    if flags.flags.c_contiguous:
        channel, sample = np.divmod(np.flatnonzero(flags), max(1, flags.shape[1]))
        return channel, sample
    sample, channel = np.nonzero(flags.T)
    order = np.argsort(channel, kind="stable")
    return channel[order], sample[order]


def _runs(flags: np.ndarray, length: int, count: int) -> np.ndarray:
    """Return of the first `count` samples from which on so many in a row are true; behind the last one none are."""
    missing = count + length - 1 - flags.shape[1]
    found = np.concatenate([flags, np.zeros((len(flags), missing), bool)], axis=1) if missing > 0 else flags
    reached = 1
    while reached < length:
        step = min(reached, length - reached)
        found = found[:, : found.shape[1] - step] & found[:, step:]
        reached += step
    return found[:, :count]


def _in_parts(lengths: np.ndarray) -> Iterator[slice]:
    """Yield slices of ranges of samples that have a bounded number of samples in all."""
    part = np.cumsum(lengths) // _VALUES_AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(lengths)]
    yield from (slice(first, last) for first, last in pairwise(cuts) if first < last)
