"""Raw samples, a block at a time: memory does not depend on the length of a file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, too_short
from neuroluigi.signals.mapped import MappedFiles

BLOCK_VALUES = 1 << 18
# To ask for what is mapped takes a tenth of what the quickest work on a block takes, so it is asked for many at once.
_BYTES_AT_ONCE = 1 << 23


def blocks(aggregate: AggregateFile, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
    """Yield the samples from `first` up to `last`, by default all, in blocks of (samples, channels).

    A block has as many samples as fit BLOCK_VALUES values, whatever parts they lie in, and the last one what is left.
    The arrays are read-only, little-endian, of the aggregate's dtype. Raises ValueError for a part whose file has
    become too short, and OSError.
    """
    last = aggregate.samples if last is None else min(last, aggregate.samples)
    kind, size = np.dtype(aggregate.dtype).newbyteorder("<"), aggregate.bytes_per_sample
    length = max(1, BLOCK_VALUES // aggregate.channels)
    at_once = length * max(1, _BYTES_AT_ONCE // (length * size))
    with MappedFiles() as files:
        for begin in range(first, last, at_once):
            end = min(begin + at_once, last)
            view = _view(files, aggregate, begin, end)
            for place in range(begin, end, length):
                stop = min(place + length, end)
                if view is None:
                    block = _read(files, aggregate, place, stop)
                else:
                    block = view[(place - begin) * size : (stop - begin) * size]
                yield block.view(kind).reshape(-1, aggregate.channels)


def _view(files: MappedFiles, aggregate: AggregateFile, first: int, last: int) -> np.ndarray | None:
    """Return the bytes, uint8, of the samples from `first` up to `last`; None where they have to be copied."""
    pieces = list(_pieces(aggregate, first, last))
    return files.view(*pieces[0], alignment=np.dtype(aggregate.dtype).itemsize) if len(pieces) == 1 else None


def _read(files: MappedFiles, aggregate: AggregateFile, first: int, last: int) -> np.ndarray:
    """Return a copy of the bytes, uint8, of the samples from `first` up to `last`."""
    data, filled = np.empty((last - first) * aggregate.bytes_per_sample, np.uint8), 0
    for file, offset, size in _pieces(aggregate, first, last):
        if not files.read_into(data[filled : filled + size], file, offset):
            raise too_short(file, aggregate.path)
        filled += size
    data.flags.writeable = False
    return data


def _pieces(aggregate: AggregateFile, first: int, last: int) -> Iterator[tuple[str, int, int]]:
    """Yield file, offset and bytes of the samples from `first` up to `last`, as they lie in the parts."""
    place, size = bisect_right(aggregate.parts, first, key=attrgetter("first_sample")) - 1, aggregate.bytes_per_sample
    while first < last:
        part = aggregate.parts[place]
        end = min(last, part.first_sample + part.samples)
        yield part.file, part.offset + (first - part.first_sample) * size, (end - first) * size
        first, place = end, place + 1


def extreme(combine: np.ufunc, x: np.ndarray) -> np.ndarray:
    """Return the smallest (np.fmin) or largest (np.fmax) sample of each channel: (samples, channels) -> (channels,)."""
    return combine.reduce(x) if x.shape[1] == 1 else by_halves(combine, x)


def by_halves(combine: np.ufunc, x: np.ndarray) -> np.ndarray:
    """Combine all samples of each channel, halves with each other until one is left.

    (samples, channels) -> (channels,). For few channels many times faster than `combine.reduce`, and in an order that
    an M-function can keep.
    """
    while len(x) > 1:
        half = len(x) // 2
        combined = combine(x[:half], x[half : 2 * half])
        if len(x) % 2:
            combined[0] = combine(combined[0], x[-1])
        x = combined
    return x[0]
