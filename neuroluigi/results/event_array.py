"""Arrays of events: a .npy file, read in blocks, so that memory does not grow with the number of events."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

_BLOCK_ROWS = 1 << 16

# Columns of the arrays of events: sample and channel, and those after them.
EDGES, LINES, SPIKES = (), ("bit", "value"), ("end", "peak", "polarity")
_MORE_COLUMNS = {2 + len(names): names for names in (EDGES, LINES, SPIKES)}


class EventArray:
    """A .npy file of one or two dimensions, open for reading, block by block. Raises ValueError."""

    def __init__(self, file: BinaryIO):
        major, _ = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        self.shape, self.is_fortran, self.dtype = read_header(file)
        self.file, self.start = file, file.tell()
        size, whole = os.fstat(file.fileno()).st_size, self.start + math.prod(self.shape) * self.dtype.itemsize
        if size < whole:
            raise ValueError(f"it is cut short: {size} of {whole} bytes")

    @property
    def is_events(self) -> bool:
        """Whether it is int64 of shape (events, 2), (events, 4) of digital lines, or (events, 5)."""
        is_table = len(self.shape) == 2 and self.shape[1] in _MORE_COLUMNS
        return is_table and self.dtype.kind == "i" and self.dtype.itemsize == 8

    @property
    def more_columns(self) -> tuple[str, ...]:
        """The names of the columns of events after sample and channel."""
        return _MORE_COLUMNS[self.shape[1]]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield arrays of up to 65,536 rows."""
        events, columns = self.shape[0], math.prod(self.shape[1:])
        for first in range(0, events, _BLOCK_ROWS):
            rows = min(_BLOCK_ROWS, events - first)
            # Read, not mapped, so that what was read leaves memory.
            if self.is_fortran:
                yield np.stack([self._values(events * n + first, rows) for n in range(columns)], axis=1)
            else:
                yield self._values(columns * first, columns * rows).reshape(rows, *self.shape[1:])

    def _values(self, first: int, count: int) -> np.ndarray:
        self.file.seek(self.start + first * self.dtype.itemsize)
        return np.fromfile(self.file, self.dtype, count).astype(self.dtype.newbyteorder("="), copy=False)
