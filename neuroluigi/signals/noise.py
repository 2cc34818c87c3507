"""The noise level of each channel: the median of what is left of its median, as a standard deviation.

Robust against events, which a standard deviation is not: Quiroga, Nadasdy and Ben-Shaul (2004).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from neuroluigi.signals.filtered import Signal, median
from neuroluigi.signals.medians import Windows, guess_windows

# The median of abs(x) of a standard normal distribution.
MEDIAN_OF_NORMAL = 0.6744897501960817
# All samples up to so many; beyond, so many stretches of so many seconds.
MOST_SAMPLES = 1 << 20
STRETCHES, SECONDS = 40, 0.5
# What is held at once.
_MOST_VALUES = 1 << 24
_MOST_PASSES = 12
# At so many places, or somewhat more, is it looked where the medians are.
_LOOKS = 80
# Windows in which the medians may be off by a share of the values have at most so many such shares, and some to spare.
_WIDTH = 9.0
# A guess is hardly ever off by more than that.
_SAFE_SHARE = 0.02


def noise_levels(signal: Signal, noise_from: str = "auto") -> tuple[np.ndarray, str]:
    """Return sigma of each channel, in counts, and in words of which samples.

    Exact; NaN is left out, and a channel without numbers has NaN. `noise_from` is "auto", of all samples where they are
    no more than 2^20 a channel, beyond that of 40 half-second stretches, evenly spaced, none across a seam; or "all".
    """
    rate, samples = signal.aggregate.sampling_rate_hz, signal.aggregate.samples
    length = math.floor(rate * SECONDS + 0.5) if rate else 0
    if noise_from == "all" or samples <= MOST_SAMPLES or not 0 < length < samples:
        return _levels(signal, [(0, samples)]), "all samples"
    ranges = list(_evenly_spaced(signal.stretches, samples, length))
    return _levels(signal, ranges), f"{STRETCHES} stretches of {SECONDS:g} s"


def _evenly_spaced(stretches: Sequence[tuple[int, int]], samples: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield 40 ranges of samples from the first to the last; one that a seam would cut is moved to a side of it."""
    for number in range(STRETCHES):
        first = number * (samples - length) // (STRETCHES - 1)
        middle = first + length // 2
        begin, end = next(one for one in stretches if middle < one[1])
        first = max(begin, min(first, end - length))
        yield first, min(first + length, end)


def _levels(signal: Signal, ranges: Sequence[tuple[int, int]]) -> np.ndarray:
    count, channels = max(1, sum(last - first for first, last in ranges)), len(signal.channels)
    if count * channels <= _MOST_VALUES:
        return _levels_of(signal, ranges)
    levels, left = np.full(channels, math.nan), np.arange(channels)
    may_hold = count * (1 + max(signal.labels, default=0)) <= _MOST_VALUES // 4
    share = _MOST_VALUES / (_WIDTH * count * channels)
    # Windows with more than can be held are narrowed; those that miss have to begin anew.
    low, high = guess_windows(_here_and_there(signal, ranges), share if may_hold else max(share, _SAFE_SHARE))
    passes = 0
    while len(left):
        passes += 1
        # Windows never come close about two values in the middle that lie far apart.
        may_hold = may_hold or passes == _MOST_PASSES
        windows, references = Windows(low, high, _MOST_VALUES), []
        for first, last in ranges:
            for _, piece, reference in signal.pieces_and_references(first, last):
                windows.add(piece)
                if may_hold:
                    references.append(reference)
        found, is_known = windows.deviations()
        levels[left], left = found[left] / MEDIAN_OF_NORMAL, left[~is_known[left]]
        if may_hold:
            _fill_in(levels, left, signal, ranges, np.concatenate(references, axis=1))
            break
        low, high, left = _next_windows(windows, left)
    return levels


def _here_and_there(signal: Signal, ranges: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return samples of all parts of ranges, (channels, n), by which it is guessed where the medians are."""
    quick = replace(signal, has_short_hops=True)
    begins = np.array([begin for begin, _ in signal.stretches])
    pieces = [np.empty((len(signal.channels), 0), np.float32)]
    for first, last in ranges:
        for place in range(first, last, max(1, (last - first) // max(1, _LOOKS // len(ranges)))):
            # Where a hop begins, as all of it is filtered.
            begin = int(begins[np.searchsorted(begins, place, side="right") - 1])
            hop = begin + -(-(place - begin) // quick.hop) * quick.hop
            # Neighbours tell much the same.
            pieces += [piece[:, ::3].astype(np.float32) for _, piece in quick.pieces(hop, min(hop + quick.hop, last))]
    return np.concatenate(pieces, axis=1)


def _next_windows(windows: Windows, left: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ends of the next windows, and of which channels they are: those of all others are empty."""
    low, high = np.full(windows.low.shape, math.inf), np.full(windows.low.shape, -math.inf)
    going = [(channel, found) for channel in left.tolist() if (found := windows.narrower(channel))]
    for channel, (begins, ends) in going:
        low[:, channel], high[:, channel] = begins, ends
    return low, high, np.array([channel for channel, _ in going], int)


def _fill_in(
    levels: np.ndarray, left: np.ndarray, signal: Signal, ranges: Sequence[tuple[int, int]], references: np.ndarray
) -> None:
    """Work out the levels of channels that the windows missed, with all of their values."""
    at_once = max(1, _MOST_VALUES // references.shape[1])
    labels = np.array(signal.labels or [0] * len(signal.channels))
    for first in range(0, len(left), at_once):
        some = left[first : first + at_once]
        part = replace(signal, channels=tuple(signal.channels[row] for row in some), labels=())
        levels[some] = _levels_of(part, ranges, [references[label] for label in labels[some]])


def _levels_of(signal: Signal, ranges: Sequence[tuple[int, int]], references: Sequence[np.ndarray] = ()) -> np.ndarray:
    values = np.empty((len(signal.channels), sum(last - first for first, last in ranges)))
    place = 0
    for first, last in ranges:
        for _, piece in signal.pieces(first, last):
            values[:, place : place + piece.shape[1]] = piece
            place += piece.shape[1]
    # In place: a copy of all would be as large.
    with np.errstate(invalid="ignore"):
        for row, reference in zip(values, references, strict=False):
            row -= reference
    return np.array([_level(row) for row in values])


def _level(values: np.ndarray) -> float:
    """Return sigma of some values, which are no longer the same afterwards."""
    # Infinity less infinity is no number.
    with np.errstate(invalid="ignore"):
        if np.isnan(values.sum()):
            values = values[~np.isnan(values)]
        if not len(values):
            return math.nan
        values -= median(values)
        np.abs(values, out=values)
        return float(median(values)) / MEDIAN_OF_NORMAL
