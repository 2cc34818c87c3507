"""Changes of digital lines, from the runs of equal values in words, and the file that they are written to in order.

What an event is does not depend on the block that is read: of a run that goes on, no more is said than is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np

# Pulses may be so much longer or shorter than the width that is asked for.
WIDTH_TOLERANCE = 0.2

_HEADER_BYTES = 128


class Line:
    """A bit of a word, or several next to each other as one value, whose runs are told in order, stretch by stretch.

    `settle`: a new value counts from the first of so many samples that have it. `width`: only high phases of so many
    samples, give or take WIDTH_TOLERANCE, count, with their rise and their fall; None for all.
    """

    def __init__(self, channel: int, bit: int, bits: int, settle: int, width: int | None):
        self.channel, self.bit, self.bits, self._settle, self._width = channel, bit, bits, settle, width
        # Its bits in a word.
        self.mask = ((1 << bits) - 1) << bit
        self.rises = self.falls = 0
        # At the first sample of all; None where that is not known.
        self.initial: int | None = None
        self._has_begun = False
        self._since = self._value = self._state = 0
        # The rise of a pulse that has not ended yet, if there is one.
        self._open = np.empty(0, np.int64)

    def of(self, words: np.ndarray) -> np.ndarray:
        """Return the values of the line in unsigned words, as int64."""
        return ((words & words.dtype.type(self.mask)) >> words.dtype.type(self.bit)).astype(np.int64)

    def begin(self, sample: int, value: int, is_known: bool = True) -> None:
        """Begin a stretch, before which nothing is known: what was not certain by now never happened."""
        if not self._has_begun:
            self._has_begun, self.initial = True, value if is_known else None
        self._since, self._value, self._state = sample, value, value
        self._open = self._open[:0]

    @property
    def value(self) -> int:
        """The value of the last run, settled or not."""
        return self._value

    @property
    def is_settled(self) -> bool:
        """Whether the last run has been long enough, or is no change."""
        return self._value == self._state

    def advance(self, samples: np.ndarray, values: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Take the runs that begin at `samples` with `values`, each another one than that of the run before.

        Returns samples and values of the events that are certain where the signal is known up to `end`.
        """
        if self._settle > 1:
            samples, values = self._settled(samples, values, end)
        elif len(values):
            self._value = int(values[-1])
        if len(values):
            self._state = int(values[-1])
        if self._width is not None:
            samples, values = self._pulses(samples, values, self._width)
        self.rises += int(np.count_nonzero(values))
        self.falls += int(np.count_nonzero(values == 0))
        return samples, values

    def _settled(self, samples: np.ndarray, values: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Return those changes that last, the last run being known up to `end`."""
        samples, values = np.append(self._since, samples), np.append(self._value, values)
        self._since, self._value = int(samples[-1]), int(values[-1])
        is_long = np.diff(samples, append=end) >= self._settle
        samples, values = samples[is_long], values[is_long]
        is_change = values != np.append(self._state, values)[:-1]
        return samples[is_change], values[is_change]

    def _pulses(self, samples: np.ndarray, values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rises and falls of the pulses of that width that have ended."""
        if len(values) and not values[0] and not len(self._open):
            # The end of one that was high when the stretch began.
            samples = samples[1:]
        samples = np.append(self._open, samples)
        ended = len(samples) // 2 * 2
        pulses, self._open = samples[:ended].reshape(-1, 2), samples[ended:]
        fits = np.abs(pulses[:, 1] - pulses[:, 0] - width) <= WIDTH_TOLERANCE * width
        return pulses[fits].ravel(), np.tile([1, 0], np.count_nonzero(fits))

    def undecided(self, end: int) -> int:
        """Return the sample before which no more events will come, where the signal is known up to `end`."""
        first = end if self.is_settled else self._since
        if self._width is not None and len(self._open):
            shortest = (self._since if self._value == 0 else end) - int(self._open[0])
            if shortest - self._width <= WIDTH_TOLERANCE * self._width:
                first = min(first, int(self._open[0]))
        return first


class OrderedRows:
    """The events of several lines on their way into a .npy file of int64, (events, 4), sorted by sample, channel, bit.

    `place`, where there is one, is given the samples of rows as they are written, and the number of rows before them,
    and returns what is written in their place.
    """

    place: Callable[[np.ndarray, int], np.ndarray] | None = None

    def __init__(self, file: BinaryIO):
        self._file, self.count = file, 0
        self._waiting: list[np.ndarray] = []
        self._write_header()

    def add(self, line: Line, samples: np.ndarray, values: np.ndarray) -> None:
        """Add events of a line."""
        if len(samples):
            rows = np.empty((len(samples), 4), "<i8")
            rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = samples, line.channel, line.bit, values
            self._waiting.append(rows)

    def write(self, lines: Sequence[Line], end: int) -> None:
        """Write the events before which no more will come, where the signal is known up to `end`."""
        if self._waiting:
            self._write_before(min(line.undecided(end) for line in lines))

    def write_all(self) -> None:
        """Write what there is: nothing that comes later belongs between."""
        if self._waiting:
            self._write_before(None)

    def close(self) -> None:
        """Write what there is, and the number of rows, which is known only now."""
        self.write_all()
        self._file.seek(0)
        self._write_header()

    def _write_before(self, sample: int | None) -> None:
        rows = np.concatenate(self._waiting)
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
        ready = len(rows) if sample is None else int(np.searchsorted(rows[:, 0], sample))
        self._waiting = [rows[ready:]] if ready < len(rows) else []
        rows = rows[:ready]
        if self.place:
            rows[:, 0] = self.place(rows[:, 0], self.count)
        self._file.write(rows.tobytes())
        self.count += ready

    def _write_header(self) -> None:
        # Of the same length whatever the number.
        text = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({self.count}, 4), }}"
        self._file.write(b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little"))
        self._file.write(text.ljust(_HEADER_BYTES - 11).encode() + b"\n")
