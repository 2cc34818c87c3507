"""Gaps by a counter of samples, such as time.dat or sample_numbers.npy, found without reading all of it."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from neuroluigi.recordings.formats.binary import opened
from neuroluigi.recordings.formats.reader import Gap
from neuroluigi.recordings.recording import RecordingsError

# A counter that jumps more often counts no samples; each gap becomes a seam.
MOST_GAPS = 10_000
# So many values are read at once where something is missing.
_BLOCK = 1 << 16


def read_counter(path: str, dtype: str, count: int, offset: int = 0) -> tuple[int, tuple[Gap, ...]]:
    """Return the first value of a counter and its gaps: the samples at which it does not go on by 1.

    The file has `count` values, at least one, from byte `offset`; after the largest value of its type the least one
    follows. Where a stretch is as long as its ends say, it is not read: a jump on and another back by as many, both in
    one such stretch, are not seen. Raises RecordingsError where the file can't be read, ends before, or jumps more
    often than a counter does.
    """
    with opened(path) as file:
        counter = _Counter(path, file, np.dtype(dtype), offset)
        gaps = []
        for gap in counter.gaps(0, count - 1):
            gaps.append(gap)
            if len(gaps) > MOST_GAPS:
                raise RecordingsError(
                    f"{path} jumps more than {MOST_GAPS} times, which no counter of samples does; it is damaged, or of"
                    " another recording: copy it again from the rig"
                )
        return counter.read(0, 1).item(), tuple(gaps)


class _Counter:
    """The values of a counter, one per sample, in a file."""

    def __init__(self, path: str, file: BinaryIO, dtype: np.dtype, offset: int):
        self._path, self._file, self._dtype, self._offset = path, file, dtype, offset

    def read(self, first: int, count: int) -> np.ndarray:
        """Return `count` values from the `first`."""
        self._file.seek(self._offset + first * self._dtype.itemsize)
        content = self._file.read(count * self._dtype.itemsize)
        if len(content) != count * self._dtype.itemsize:
            raise RecordingsError(f"{self._path} ends before value {first + count}; copy it again from the rig")
        return np.frombuffer(content, self._dtype)

    def gaps(self, first: int, last: int) -> Iterator[Gap]:
        """Yield the gaps after sample `first` up to `last`, in order."""
        # Stretches that are still to be looked at, the next one at the end.
        stretches = [(first, last)]
        while stretches:
            first, last = stretches.pop()
            passed = self.read(last, 1).item() - self.read(first, 1).item()
            if (passed - (last - first)) % (1 << 8 * self._dtype.itemsize) == 0:
                continue
            if last - first < _BLOCK:
                yield from self._gaps_in(first, self.read(first, last - first + 1))
            else:
                middle = (first + last) // 2
                stretches += [(middle, last), (first, middle)]

    def _gaps_in(self, first: int, values: np.ndarray) -> Iterator[Gap]:
        # Differences of numbers of this width wrap around as the counter does: one of 4 bytes after 20 hours at 30 kHz.
        steps = np.diff(values.astype(f"i{self._dtype.itemsize}"))
        for at in np.flatnonzero(steps != 1):
            step = int(steps[at])
            yield Gap(first + int(at) + 1, step - 1 if step > 1 else None)
