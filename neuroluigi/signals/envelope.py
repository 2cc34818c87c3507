"""What a picture of very many samples draws of them: the extremes in each column of pixels, and the first edge there.

It costs one pass over the data and no more memory than a block of it, however long the recording.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Literal

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile
from neuroluigi.signals.blocks import blocks, extreme
from neuroluigi.signals.time_axis import TimeAxis

COLUMNS = 1100  # about the pixels of an axes' width
_COLUMNS_AT_A_TIME = 50
SAMPLE_OF = itemgetter(0)  # of an edge
# What is mapped of a file that has no more bytes than this may all stay in memory: to map it takes a third of a ms.
_FEW_BYTES = 1 << 24


def envelope(
    aggregate: AggregateFile, axis: TimeAxis, shown: Sequence[int], span: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what to draw of the `shown` channels: places on the axis (n,) and raw counts (n, channels shown).

    Those within `span`, from one place up to another, in which there are some; by default all. Every sample where they
    are few, with a gap (NaN) between segments; otherwise smallest and largest of each column, NaN where a column has
    none.
    """
    picked = columns_of(shown)
    begin, samples = axis.first_samples(np.array(span or (0, axis.length))).tolist()
    if samples - begin <= 2 * COLUMNS:
        y = np.concatenate([block[:, picked] for block in blocks(aggregate, begin, samples)]).astype(float)
        x = axis.places(np.arange(begin, samples)).astype(float)
        gaps = [segment - begin for segment in aggregate.segments if begin < segment < samples]
        return np.insert(x, gaps, x[gaps]), np.insert(y, gaps, np.nan, axis=0)
    starts = column_starts(axis, span)
    lowest, highest = np.full((2, COLUMNS, len(shown)), np.nan)
    first = begin
    for block in blocks(aggregate, begin, samples):
        from_column = int(np.searchsorted(starts, first, side="right")) - 1
        to_column = np.searchsorted(starts, first + len(block), side="left")
        cuts = [*np.maximum(starts[from_column:to_column] - first, 0), len(block)]
        for column, (begin, end) in enumerate(pairwise(cuts), start=from_column):
            if begin < end:
                part = block[begin:end, picked]
                lowest[column] = np.fmin(lowest[column], extreme(np.fmin, part))
                highest[column] = np.fmax(highest[column], extreme(np.fmax, part))
        first += len(block)
    last_ones = np.maximum(np.append(starts[1:], samples) - 1, starts)
    centers = (axis.places(starts) + axis.places(last_ones)) / 2
    return np.repeat(centers, 2), np.stack([lowest, highest], axis=1).reshape(2 * COLUMNS, len(shown))


def columns_of(channels: Sequence[int]) -> slice | list[int]:
    """Return what takes some channels out of a block: a slice, which copies nothing, where they are the first ones."""
    return slice(len(channels)) if list(channels) == list(range(len(channels))) else list(channels)


def column_starts(axis: TimeAxis, span: tuple[int, int] | None = None) -> np.ndarray:
    """Return the first sample of each pixel column of a span, that of the next one where it has none."""
    begin, end = span or (0, axis.length)
    return axis.first_samples(begin - (-np.arange(COLUMNS) * (end - begin) // COLUMNS))


def edge_marks(edges: np.ndarray, starts: np.ndarray, shown: Sequence[int], channels: int) -> list[np.ndarray]:
    """Return per shown channel the samples to mark, int64 (n,): that of its first edge in each pixel column.

    `starts` are the first samples of the columns, `channels` how many there are.
    """
    marks: list[list[int]] = [[] for _ in shown]
    for first in range(0, COLUMNS, _COLUMNS_AT_A_TIME):
        edges = mapped_anew(edges)
        # A map takes ten times as long as an array to give one of its rows, of which thousands are asked for.
        rows = np.asarray(edges)
        bounds = [bisect_left(rows, start, key=SAMPLE_OF) for start in starts[first : first + _COLUMNS_AT_A_TIME + 1]]
        if first + _COLUMNS_AT_A_TIME >= COLUMNS:
            bounds.append(len(rows))
        for begin, end in pairwise(bounds):
            if begin == end:
                continue
            # Of a single channel there is nothing to look for.
            channel = rows[begin:end, 1] if channels > 1 else np.zeros(1, dtype=np.int64)
            for marked, number in zip(marks, shown, strict=True):
                row = int(np.argmax(channel == number))
                if channel[row] == number:
                    marked.append(int(rows[begin + row, 0]))
    return [np.array(some, dtype=np.int64) for some in marks]


def mapped_anew(edges: np.ndarray) -> np.ndarray:
    """Return the same edges, or events; of a large file that is mapped, what was read no longer counts as memory."""
    # A part of a map is one too, and says of itself what holds for the whole.
    base: object = edges.base
    if not (isinstance(edges, np.memmap) and isinstance(base, mmap.mmap) and edges.filename):
        return edges
    if len(base) <= _FEW_BYTES:
        return edges
    order: Literal["C", "F"] = "C" if edges.flags.c_contiguous else "F"
    return np.memmap(edges.filename, edges.dtype, "r", edges.offset, edges.shape, order)
