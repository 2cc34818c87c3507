"""Changes of digital lines that a rig wrote as events, such as the TTL folders of Open Ephys, in the form of lines.

There each change has the line and the counter of the recording; here it has a sample of the group. What is in memory
does not depend on how many there are, but for those outside the samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neuroluigi.signals.line_changes import Line, OrderedRows
from neuroluigi.signals.lines import LineOptions, high_at, summary_text

# In the place of a channel: there is none.
NO_CHANNEL = -1

_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class TtlRecording:
    """The files of a recording with the changes of lines, and where its samples are in its group.

    `states`, `counters` and `words` are paths of .npy files: the line of each change, from 1, negative where it fell;
    the counter at it; and the state of all lines after it, "" where there is no such file. The recording has `samples`
    from sample `first_sample` of the group on, the first of them at count `start`; in front of those in `gaps`, from 0
    in the recording, so many are missing.
    """

    states: str
    counters: str
    words: str
    start: int
    first_sample: int
    samples: int
    gaps: Sequence[tuple[int, int]] = ()


class _Changes(NamedTuple):
    """Some changes in order: samples since the start of the recording, missing ones included; bits; new values."""

    samples: np.ndarray
    bits: np.ndarray
    values: np.ndarray


def find_ttl_lines(
    recordings: Sequence[TtlRecording],
    lines_file: str,
    summary_file: str,
    asked: LineOptions,
    names: Mapping[int, str],
    rate: float | None,
) -> None:
    """Write the changes of lines of a group's recordings, in order, as find_lines writes those of words.

    Bit n - 1 is line n; the channel is NO_CHANNEL. `asked.bits` are by default those that change or are high, `names`
    those of bits. A line is high at the start if its first change is a fall, or a word says so. What says again what a
    line is already is no change, and counted in the summary (`repeated`). A change outside the samples of its recording
    is kept, and its row is in the summary (`outside`): before and after them its sample counts on, where samples are
    missing it is the first one after. Rows are in the order of time: by recording, then sample, then bit.

    Raises ValueError for files that are not of this kind, or run back; OSError.
    """
    sources = [_Source(one) for one in recordings]
    highs = [source.high_at_start() for source in sources]
    bits = {bit for source in sources for bit in source.bits} | {bit for high in highs for bit in high}
    width = asked.width_in_samples(rate, recordings[0].states if recordings else lines_file)
    fields = asked.fields(bits)
    lines = [Line(NO_CHANNEL, *one, int(asked.settle), width) for one in fields]
    initial, outside, repeated = list[dict[str, Any]](), list[int](), 0
    with Path(lines_file).open("wb") as output:
        rows = OrderedRows(output)
        for source, high in zip(sources, highs, strict=True):
            rows.place = _Placement(source.recording, outside)
            following = [_Following(line, high, source.bits) for line in lines]
            if lines:
                initial += high_at(source.recording.first_sample, NO_CHANNEL, lines)
            for changes, end in source.blocks():
                for one in following:
                    one.take(changes, end, rows)
                rows.write(lines, end)
            for one in following:
                one.end(source.end, rows)
            rows.write_all()
            repeated += sum(one.repeated for one in following)
        rows.close()
    said = LineOptions(asked.words, asked.bits, asked.settle, asked.width, asked.field, _names(names, fields))
    text = summary_text("ttl", lines, said, width, initial, outside, repeated)
    Path(summary_file).write_bytes(text.encode())


def _names(names: Mapping[int, str], fields: Sequence[tuple[int, int]]) -> list[str]:
    return [names.get(bit, "") for bit, _ in fields]


class _Following:
    """A line of one recording, as the changes of its bits tell it."""

    def __init__(self, line: Line, high: set[int], known: set[int]):
        self._line, self.repeated = line, 0
        self._bits = {bit: int(bit in high) for bit in range(line.bit, line.bit + line.bits)}
        value = sum(value << bit - line.bit for bit, value in self._bits.items())
        # Of a line of which there is nothing, nothing is known.
        line.begin(-(1 << 62), value, is_known=bool(known.union(high) & self._bits.keys()))

    def take(self, changes: _Changes, end: int, rows: OrderedRows) -> None:
        """Take changes in order, of which there are no more before sample `end`."""
        every, values = np.arange(len(changes.bits)), np.zeros(len(changes.bits), np.int64)
        for bit, before in self._bits.items():
            at = np.flatnonzero(changes.bits == bit)
            told = np.append(before, changes.values[at])
            self.repeated += int(np.count_nonzero(told[1:] == told[:-1]))
            # Each goes on until it is told anew.
            values |= told[np.searchsorted(at, every, side="right")] << bit - self._line.bit
            self._bits[bit] = int(told[-1])
        samples = changes.samples
        if self._line.bits > 1:
            # Of bits that change at once, the value is the one that they have then.
            is_last = np.diff(samples, append=end) != 0
            samples, values = samples[is_last], values[is_last]
        is_change = values != np.append(self._line.value, values)[:-1]
        if is_change.any() or not self._line.is_settled:
            rows.add(self._line, *self._line.advance(samples[is_change], values[is_change], end))

    def end(self, end: int, rows: OrderedRows) -> None:
        """Take it that nothing changes up to sample `end`, of which there may be no more."""
        nothing = np.empty(0, np.int64)
        rows.add(self._line, *self._line.advance(nothing, nothing, end))


class _Placement:
    """Which samples of the group changes are at; adds the rows of those that are at none to `outside`."""

    def __init__(self, recording: TtlRecording, outside: list[int]):
        self._outside = outside
        begins = [0, *(sample for sample, _ in recording.gaps)]
        missing = [0, *(count for _, count in recording.gaps)]
        self._begins = np.array(begins) + recording.first_sample
        self._ends = np.append(self._begins[1:], recording.first_sample + recording.samples)
        # The same in samples since the start, missing ones included.
        self._counts = np.array(begins) + np.cumsum(missing)

    def __call__(self, samples: np.ndarray, first_row: int) -> np.ndarray:
        """Return the samples in the group of changes that are written from row `first_row` on."""
        which = np.maximum(np.searchsorted(self._counts, samples, side="right") - 1, 0)
        placed = self._begins[which] + samples - self._counts[which]
        is_outside = (placed < self._begins[0]) | (placed >= self._ends[which])
        self._outside += (np.flatnonzero(is_outside) + first_row).tolist()
        return np.where(which < len(self._ends) - 1, np.minimum(placed, self._ends[which]), placed)


class _Source:
    """The changes of a recording; which bits change is known after high_at_start()."""

    def __init__(self, recording: TtlRecording):
        self.recording, self.bits = recording, set[int]()
        self._states, self._counters = _Array(recording.states), _Array(recording.counters)
        if self._states.shape != self._counters.shape or len(self._states.shape) != 1:
            raise ValueError(
                f"{recording.states} has {self._states.shape} values and {recording.counters} {self._counters.shape}:"
                " which belong together is unknown; copy them again from the rig"
            )
        for one in (self._states, self._counters):
            if one.dtype.kind not in "iu":
                raise ValueError(f"{one.path} has values of {one.dtype}, not whole numbers; it has no changes")
        # What the samples tell of, or the last change if that is later.
        self.end = recording.samples + sum(count for _, count in recording.gaps)

    def high_at_start(self) -> set[int]:
        """Return the bits that are high before the first change, by reading through all changes."""
        high: set[int] = set()
        for states in self._states.blocks():
            lines, firsts = np.unique(np.abs(states.astype(np.int64)), return_index=True)
            if len(lines) and not lines[0]:
                raise ValueError(f"{self.recording.states} has a change of line 0; lines are counted from 1")
            for line, first in zip(lines.tolist(), firsts.tolist(), strict=True):
                if line - 1 not in self.bits and states[first] < 0:
                    high.add(line - 1)
                self.bits.add(line - 1)
        words = self._first_word()
        return high | {bit for bit in range(words.bit_length()) if words >> bit & 1 and bit not in self.bits}

    def _first_word(self) -> int:
        """Return the states of all lines after the first change, 0 where no file has them."""
        if not self.recording.words or not self.bits:
            return 0
        words = _Array(self.recording.words)
        # A number, or as many bytes as it takes, per change.
        if words.dtype.kind not in "iu" or words.shape[:1] != self._states.shape:
            return 0
        return int.from_bytes(words.first(), "little")

    def blocks(self) -> Iterator[tuple[_Changes, int]]:
        """Yield changes in order, and the sample before which there are no more; all of one sample together."""
        left = _Changes(*np.empty((3, 0), np.int64))
        for states, counters in zip(self._states.blocks(), self._counters.blocks(), strict=True):
            states, samples = states.astype(np.int64), counters.astype(np.int64) - self.recording.start
            new = _Changes(samples, np.abs(states) - 1, (states > 0).astype(np.int64))
            left = _Changes(*(np.append(one, other) for one, other in zip(left, new, strict=True)))
            if (np.diff(left.samples) < 0).any():
                raise ValueError(
                    f"{self.recording.counters} runs back: which samples its changes are at is unknown; copy it again"
                    " from the rig"
                )
            self.end = max(self.end, int(left.samples[-1]) + 1)
            ready = int(np.searchsorted(left.samples, left.samples[-1]))
            yield _Changes(*(one[:ready] for one in left)), int(left.samples[-1])
            left = _Changes(*(one[ready:] for one in left))
        if len(left.samples):
            yield left, int(left.samples[-1]) + 1


class _Array:
    """A .npy file that is read a block at a time. Raises ValueError for another one, or one that is cut short."""

    def __init__(self, path: str):
        self.path = path
        with Path(path).open("rb") as file:
            try:
                major, _ = np.lib.format.read_magic(file)
                read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                self.shape, _, self.dtype = read_header(file)
            except ValueError as error:
                raise ValueError(f"{path} is no NumPy file ({error}); copy it again from the rig") from error
            self._start = file.tell()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the values of an array of one dimension."""
        with Path(self.path).open("rb") as file:
            file.seek(self._start)
            for first in range(0, self.shape[0], _BLOCK_ROWS):
                count = min(_BLOCK_ROWS, self.shape[0] - first)
                values = np.fromfile(file, self.dtype, count)
                if len(values) < count:
                    raise ValueError(f"{self.path} is cut short; copy it again from the rig")
                yield values

    def first(self) -> bytes:
        """Return the bytes of the first row."""
        with Path(self.path).open("rb") as file:
            file.seek(self._start)
            return file.read(self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=int)))
