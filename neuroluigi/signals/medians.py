"""Exact medians of more values than are held, and the medians of the distances from them, for channels at once.

About where they are to be expected lie three windows of each channel: about the median, and on either side of it at the
median distance. Of the values, those in the windows are held, the others counted. A channel whose windows miss is known
to, and gets others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

# Each window is cut into so many where the values in it are too many to be held.
_BINS = 2048
_BEGINS, _ENDS = slice(0, -1), slice(1, None)
_BELOW, _MIDDLE, _ABOVE = range(3)
# So many values of each channel are held at any rate.
_LEAST = 64
# Relative to a bound: what arithmetic with bounds may be off by.
_ROUNDING = 1e-13

_Ranks = tuple[int, int]
if TYPE_CHECKING:
    _Held = tuple[np.ndarray, np.ndarray | None, np.ndarray]


class Windows:
    """The values of channels, as add() is given them, as far as the windows tell medians.

    `low`, `high`: (3, channels), the least and the largest value in the windows below, in the middle and above; a
    window whose low end is above its high end is empty. At most about `most` values are held.
    """

    def __init__(self, low: np.ndarray, high: np.ndarray, most: int):
        channels = low.shape[1]
        self.low, self.high, self._most = low, high, max(most, _LEAST * channels)
        self._count, self._to_below, self._under_middle, self._under_above = np.zeros((4, channels), np.int64)
        self._lowest, self._highest = np.full((2, channels), math.nan)
        self._held: list[_Held] = []
        self._waiting = 0
        self._binned: np.ndarray | None = None

    def add(self, piece: np.ndarray) -> None:
        """Take some more values, (channels, n), NaN for none."""
        missing = np.isnan(piece.sum(axis=1, dtype=float))
        self._count += piece.shape[1]
        self._count[missing] -= _counts(np.isnan(piece[missing]))
        # They are quicker than those that leave NaN out.
        least, most = (np.fmin, np.fmax) if missing.any() else (np.minimum, np.maximum)
        self._lowest = np.fmin(self._lowest, least.reduce(piece, axis=1))
        self._highest = np.fmax(self._highest, most.reduce(piece, axis=1))
        is_near = np.zeros(piece.shape, bool)
        for window, (low, high) in enumerate(zip(self.low[:, :, None], self.high[:, :, None], strict=True)):
            is_under, is_upto = piece < low, piece <= high
            if window == _BELOW:
                self._to_below += _counts(is_upto)
            else:
                (self._under_middle if window == _MIDDLE else self._under_above)[:] += _counts(is_under)
            is_near |= is_upto & ~is_under
        ends = np.cumsum(_counts(is_near))
        self._hold((piece[is_near].astype(float), None, ends))

    def deviations(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the median distance from each median, NaN where there are no values, and which are known."""
        found, is_known = np.full((2, len(self._count)), math.nan)
        for channel, count in enumerate(self._count.tolist()):
            is_known[channel] = count == 0
            if count and self._binned is None:
                found[channel] = self._deviation(channel, ((count - 1) // 2, count // 2))
                is_known[channel] = not math.isnan(found[channel])
        return found, is_known.astype(bool)

    def narrower(self, channel: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return ends of the windows, (3,) each, in which the medians of a channel must be; None where that is nothing.

        Where the windows miss, they are all from the least value to the largest one, once.
        """
        ranks = ((int(self._count[channel]) - 1) // 2, int(self._count[channel]) // 2)
        if self._binned is not None and (found := self._bins_of_medians(channel, ranks)):
            return windows_about(*found)
        # A part of what a float can be: the difference of two is a number, too.
        limit = np.finfo(float).max / 8
        lowest, highest = np.clip((self._lowest[channel], self._highest[channel]), -limit, limit)
        # Wider than that, as distances from the median are rounded.
        low, high = np.full(3, lowest - (highest - lowest)), np.full(3, highest + (highest - lowest))
        is_all = np.array_equal(self.low[:, channel], low) and np.array_equal(self.high[:, channel], high)
        return None if is_all else (low, high)

    def _hold(self, held: _Held) -> None:
        if self._binned is not None:
            self._count_in_bins(held)
            return
        self._held.append(held)
        self._waiting += len(held[0])
        if self._waiting > self._most:
            # Equal values may be that many.
            self._held = [self._merged()]
            self._waiting = len(self._held[0][0])
            if self._waiting > self._most // 2:
                self._binned = np.zeros((3, len(self._count), _BINS), np.int64)
                self._count_in_bins(self._held.pop())
                self._waiting = 0

    def _merged(self) -> _Held:
        """Return what is held as one, equal values with how many they are; held pieces are dropped on the way."""
        merged = [self._values_of(channel) for channel in range(len(self._count))]
        values, counts = (np.concatenate(some) for some in zip(*merged, strict=True))
        return values, counts, np.cumsum([len(one) for one, _ in merged])

    def _values_of(self, channel: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the different values that are held of a channel, sorted, and how many there are of each."""
        values, counts = [], []
        for held, times, ends in self._held:
            some = slice(int(ends[channel - 1]) if channel else 0, int(ends[channel]))
            values.append(held[some])
            counts.append(np.ones(len(values[-1]), np.int64) if times is None else times[some])
        return _unique(np.concatenate([np.empty(0), *values]), np.concatenate([np.empty(0, np.int64), *counts]))

    def _deviation(self, channel: int, ranks: _Ranks) -> float:
        """Return the median distance from the median; NaN where the windows miss it."""
        (below, middle, above), (to_below, to_middle, to_above) = self.low[:, channel], self.high[:, channel]
        values, counts = self._values_of(channel)
        some = slice(*np.searchsorted(values, (middle, np.nextafter(to_middle, math.inf))))
        center = _at(values[some], counts[some], ranks, self._under_middle[channel])
        if not math.isfinite(center):
            return math.nan
        is_far = ((values >= below) & (values <= to_below)) | ((values >= above) & (values <= to_above))
        distances, counts = _unique(np.abs(values[is_far] - center), counts[is_far])
        inside = max(0, int(self._under_above[channel] - self._to_below[channel]))
        found = _at(distances, counts, ranks, inside)
        # A difference is rounded in the order of what it is of: what is between the windows is no farther than this,
        nearest = max(center - to_below, above - center)
        # and what is outside no nearer than that.
        farthest = min(center - below, to_above - center)
        chosen = _both(distances, counts, ranks, inside)
        return found if len(chosen) and nearest <= chosen[0] and chosen[-1] <= farthest else math.nan

    def _count_in_bins(self, held: _Held) -> None:
        assert self._binned is not None
        values, times, ends = held
        channels = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        for window in range(3):
            low, high = self.low[window][channels], self.high[window][channels]
            is_inside = (values >= low) & (values <= high)
            if window == _ABOVE:
                # Where both reach over the middle, a value counts once.
                is_inside &= values > self.high[_BELOW][channels]
            inside = np.flatnonzero(is_inside)
            low, width = low[inside], (high - low)[inside]
            share = np.divide(values[inside] - low, width, out=np.zeros(len(inside)), where=width > 0)
            place = np.minimum((share * _BINS).astype(np.int64), _BINS - 1) + channels[inside] * _BINS
            weights = None if times is None else times[inside].astype(float)
            found = np.bincount(place, weights, minlength=self._binned[window].size).astype(np.int64)
            self._binned[window] += found.reshape(-1, _BINS)

    def _bins_of_medians(self, channel: int, ranks: _Ranks) -> tuple[float, float, float, float] | None:
        """Return between which bounds the median is, and its distance; None where the windows miss it."""
        assert self._binned is not None
        binned, edges = self._binned[:, channel], np.linspace(self.low[:, channel], self.high[:, channel], _BINS + 1).T
        total = np.cumsum(binned[_MIDDLE]) + self._under_middle[channel]
        if not self._under_middle[channel] <= ranks[0] or not ranks[1] < total[-1]:
            return None
        first, last = np.searchsorted(total, ranks, side="right")
        low, high = float(edges[_MIDDLE, first]), float(edges[_MIDDLE, last + 1])
        counts = np.concatenate([binned[_BELOW], binned[_ABOVE]])
        # How near and how far the values of a bin may be to the median, and from it.
        begins, ends = (np.concatenate([edges[_BELOW, some], edges[_ABOVE, some]]) for some in (_BEGINS, _ENDS))
        nearest = np.maximum(0, np.maximum(low - ends, begins - high))
        farthest = np.maximum(high - begins, ends - low)
        inside = max(0, int(self._under_above[channel] - self._to_below[channel]))
        found = []
        for distances, rank in ((nearest, ranks[0]), (farthest, ranks[1])):
            order = np.argsort(distances)
            place = int(np.searchsorted(np.cumsum(counts[order]) + inside, rank, side="right"))
            if rank < inside or place == len(order):
                return None
            found.append(float(distances[order[place]]))
        return low, high, found[0], found[1]


def windows_about(low: float, high: float, nearest: float, farthest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of windows, (3,) each, for a median from `low` to `high` at distances of so much or so much."""
    ends = np.array([low - farthest, low, low + nearest]), np.array([high - nearest, high, high + farthest])
    slack = _ROUNDING * (max(abs(low), abs(high)) + farthest)
    return ends[0] - slack, ends[1] + slack


def guess_windows(values: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of windows, (3, channels) each, by some values of each channel, (channels, n), NaN for none.

    A median may be off by a share of the values.
    """
    low, high = np.full((3, len(values)), math.inf), np.full((3, len(values)), -math.inf)
    for channel, some in enumerate(values):
        known = np.sort(some[np.isfinite(some)])
        if len(known):
            middle = known[len(known) // 2]
            distances = np.sort(np.abs(known - middle))
            low[:, channel], high[:, channel] = windows_about(*_about(known, share), *_about(distances, share))
    return low, high


def _about(ordered: np.ndarray, share: float) -> Iterator[float]:
    middle, reach = len(ordered) // 2, math.ceil(share * len(ordered)) + 1
    yield float(ordered[max(0, middle - reach)])
    yield float(ordered[min(len(ordered) - 1, middle + reach)])


def _counts(flags: np.ndarray) -> np.ndarray:
    """Return how many of each row are true: many times faster than a sum along an axis."""
    return np.array([np.count_nonzero(row) for row in flags], np.int64)


def _unique(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values, sorted, and how many there are of each."""
    order = np.argsort(values)
    values, total = values[order], np.cumsum(counts[order])
    is_last = np.append(values[1:] != values[:-1], np.ones(min(1, len(values)), bool))
    return values[is_last], np.diff(total[is_last], prepend=0)


def _both(values: np.ndarray, counts: np.ndarray, ranks: _Ranks, before: int) -> np.ndarray:
    """Return the values at two ranks, of which so many come before the first value; empty where one is not there."""
    total = np.cumsum(counts) + before
    if not len(total) or ranks[0] < before or ranks[1] >= total[-1]:
        return np.empty(0)
    return values[np.searchsorted(total, ranks, side="right")]


def _at(values: np.ndarray, counts: np.ndarray, ranks: _Ranks, before: int) -> float:
    """Return the mean of the values at two ranks; NaN where one is not there."""
    found = _both(values, counts, ranks, before)
    return float(found[0] + found[1]) / 2 if len(found) else math.nan
