"""The noise level of each channel: the median of what is left of its median, as a standard deviation.

Robust against events, which a standard deviation is not: Quiroga, Nadasdy and Ben-Shaul (2004).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from neuroluigi.signals.filtered import Signal, median

# The median of abs(x) of a standard normal distribution.
MEDIAN_OF_NORMAL = 0.6744897501960817
# All samples up to so many; beyond, so many stretches of so many seconds.
MOST_SAMPLES = 1 << 20
STRETCHES, SECONDS = 40, 0.5
# What is held at once.
_MOST_VALUES = 1 << 24


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
    at_once = max(1, _MOST_VALUES // count)
    if at_once >= channels:
        return _levels_of(signal, ranges)
    # A group of channels after the other: the references, which need all of them, come first.
    references = np.concatenate([one for first, last in ranges for one in signal.references(first, last)], axis=1)
    levels = np.empty(channels)
    for row in range(0, channels, at_once):
        some = slice(row, row + at_once)
        part = replace(signal, channels=signal.channels[some], labels=())
        levels[some] = _levels_of(part, ranges, [references[label] for label in signal.labels[some]])
    return levels


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
