"""Gaps by a counter of samples, such as time.dat or sample_numbers.npy, or a clock, found without reading all of it."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from neuroluigi.recordings.formats.binary import opened
from neuroluigi.recordings.formats.reader import Gap
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

# A counter that jumps more often counts no samples; each gap becomes a seam.
MOST_GAPS = 10_000
# So many values are read at once where something is missing.
_BLOCK = 1 << 16
# Nobody has counted longer.
_MOST_MISSING = 1e15


def read_counter(
    path: str, dtype: str, count: int, offset: int = 0, step: int = 1, stride: int = 0
) -> tuple[int, tuple[Gap, ...]]:
    """Return the first value of a counter and its gaps: the samples at which it does not go on by 1.

    The file has `count` values, at least one, from byte `offset`; after the largest value of its type the least one
    follows. There is one for each `step` samples, each `stride` bytes after the one before, where they don't follow
    each other. Where a stretch is as long as its ends say, it is not read: a jump on and another back by as many, both
    in one such stretch, are not seen. Raises RecordingsError where the file can't be read, ends before, or jumps more
    often than a counter does.
    """
    import numpy as np

    with opened(path) as file:
        counter = _Counter(path, file, np.dtype(dtype), offset, step, stride)
        return counter.read(0, 1).item(), not_too_many(path, counter.gaps(count))


def clock_gaps(path: str, read: Callable[[int, int], "np.ndarray"], count: int, rate: float) -> tuple[Gap, ...]:
    """Return the gaps of a clock: the samples that are half a period, or more, off where the one before lets expect it.

    `read(first, number)` returns values of the clock in seconds, (number,) float64, of the file `path`. What is read
    and raised is as for read_counter.
    """
    return not_too_many(path, _clock_gaps(read, count, rate))


def _clock_gaps(read: Callable[[int, int], "np.ndarray"], count: int, rate: float) -> Iterator[Gap]:
    import numpy as np

    def is_even(first: int, last: int) -> bool:
        return bool(abs((read(last, 1)[0] - read(first, 1)[0]) * rate - (last - first)) < 0.5)

    for first, last in _suspect_stretches(count, is_even, _BLOCK):
        passed = np.diff(read(first, last - first + 1)) * rate
        for at in np.flatnonzero(~(abs(passed - 1) < 0.5)):
            # Not of a number that is none.
            missing = round(float(passed[at])) - 1 if 1 < passed[at] < _MOST_MISSING else 0
            yield Gap(first + int(at) + 1, missing if missing > 0 else None)


def not_too_many(path: str, found: Iterator[Gap]) -> tuple[Gap, ...]:
    """Return the gaps of a file. Raises RecordingsError for more than MOST_GAPS."""
    gaps = tuple(islice(found, MOST_GAPS + 1))
    if len(gaps) > MOST_GAPS:
        raise RecordingsError(
            f"{path} jumps more than {MOST_GAPS} times, which no counter of samples does; it is damaged, or of another"
            " recording: copy it again from the rig"
        )
    return gaps


def _suspect_stretches(count: int, is_even: Callable[[int, int], bool], block: int) -> Iterator[tuple[int, int]]:
    """Yield first and last of stretches of up to `block` steps, in order, in which a value is not where it should be.

    `is_even(first, last)`: the ends of a stretch are as far apart as its length says.
    """
    # Those that are still to be looked at, the next one at the end.
    stretches = [(0, count - 1)]
    while stretches:
        first, last = stretches.pop()
        if is_even(first, last):
            continue
        if last - first <= block:
            yield first, last
        else:
            middle = (first + last) // 2
            stretches += [(middle, last), (first, middle)]


class _Counter:
    """The values of a counter, one per `step` samples, in a file: the next one is `stride` bytes further on."""

    def __init__(self, path: str, file: BinaryIO, dtype: "np.dtype", offset: int, step: int, stride: int):
        self._path, self._file, self._dtype, self._offset = path, file, dtype, offset
        self._step, self._stride = step, stride or dtype.itemsize

    def read(self, first: int, count: int) -> "np.ndarray":
        """Return `count` values from the `first`."""
        import numpy as np

        self._file.seek(self._offset + first * self._stride)
        size = (count - 1) * self._stride + self._dtype.itemsize
        content = self._file.read(size)
        if len(content) != size:
            raise RecordingsError(f"{self._path} ends before value {first + count}; copy it again from the rig")
        return np.ndarray((count,), self._dtype, content, 0, (self._stride,))

    def gaps(self, count: int) -> Iterator[Gap]:
        """Yield the gaps of the first `count` values, in order."""
        block = max(1, _BLOCK * self._dtype.itemsize // self._stride)
        for first, last in _suspect_stretches(count, self._is_even, block):
            yield from self._gaps_in(first, self.read(first, last - first + 1))

    def _is_even(self, first: int, last: int) -> bool:
        passed = self.read(last, 1).item() - self.read(first, 1).item()
        return (passed - (last - first) * self._step) % (1 << 8 * self._dtype.itemsize) == 0

    def _gaps_in(self, first: int, values: "np.ndarray") -> Iterator[Gap]:
        import numpy as np

        # Differences of numbers of this width wrap around as the counter does: one of 4 bytes after 20 hours at 30 kHz.
        steps = np.diff(values.astype(f"i{self._dtype.itemsize}"))
        for at in np.flatnonzero(steps != self._step):
            missing = int(steps[at]) - self._step
            yield Gap((first + int(at) + 1) * self._step, missing if missing > 0 else None)
