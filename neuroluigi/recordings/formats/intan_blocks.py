"""Intan's files with header and all signals in one (.rhd, .rhs): blocks of samples, a recording for each signal.

Sources: see intan. A block has 60 or 128 values of the counter, then as many samples of each amplifier, one after the
other, then what other signals have of its time: a quarter of that of auxiliary inputs, one of supply and thermometers.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from neuroluigi.recordings.formats.binary import opened
from neuroluigi.recordings.formats.counters import read_counter
from neuroluigi.recordings.formats.decoding import blocks_of, read_whole
from neuroluigi.recordings.formats.intan_header import AMPLIFIER, FORMAT, Header, read_header, sync_of
from neuroluigi.recordings.formats.reader import Gap, RecordedFile, described, size_of
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

_COUNTER_BYTES, _VALUE_BYTES = 4, 2
# How many samples of the amplifiers there are for one of these.
_LESS_OFTEN = {"auxiliary": 4}
_ONCE_PER_BLOCK = frozenset({"supply", "temperature"})
# It has the same bits in one file as in amplifier.dat, but for the highest one: there is no sign.
_AMPLIFIER_OFFSET = -32768 * 0.195


class _Field(NamedTuple):
    """What a block has of one signal: at a byte, the `samples` of each of its channels, one after the other."""

    offset: int
    channels: int
    samples: int


def recordings_in_one(path: str, columns: Mapping[str, str]) -> list[RecordedFile]:
    """Return a recording for each signal of a file; one with a problem where it can't be read."""
    try:
        file = _OneFile(path, read_header(path))
        if not file.blocks:
            raise RecordingsError(f"{path} has no samples, only a header; copy it again if it was cut off")
    except RecordingsError as error:
        return [RecordedFile(FORMAT, path, columns, problems=(str(error),))]
    streams = [{**columns, "stream": name} for name in file.fields if name in file.header.signals]
    return [described(FORMAT, path, of_stream, partial(file.describe, of_stream)) for of_stream in streams]


class _OneFile:
    """A file by its header: where its blocks begin, how many there are, and what is where in each."""

    def __init__(self, path: str, header: Header):
        self.path, self.header = path, header
        self.fields: dict[str, _Field] = {}
        end = header.block_samples * _COUNTER_BYTES
        for name, channels in self._signals():
            samples = 1 if name in _ONCE_PER_BLOCK else header.block_samples // _LESS_OFTEN.get(name, 1)
            self.fields[name] = _Field(end, channels, samples)
            end += channels * samples * _VALUE_BYTES
        self.block_bytes = end
        self.blocks, self._rest = divmod(max(0, size_of(path) - header.end), end)

    def _signals(self) -> Iterator[tuple[str, int]]:
        """Yield name and number of channels of each signal, in the order of a block."""
        for name, signal in self.header.signals.items():
            count = len(self.header.channels.get(signal.type, ()))
            if count and (name != "dcamplifier" or self.header.has_dc):
                yield name, 1 if signal.is_word else count
            if name == "supply" and self.header.thermometers:
                yield "temperature", self.header.thermometers

    @cached_property
    def _counter(self) -> tuple[int, tuple[Gap, ...]]:
        header = self.header
        return read_counter(
            self.path, header.counter_dtype, self.blocks, header.end, header.block_samples, self.block_bytes
        )

    def describe(self, columns: Mapping[str, str]) -> RecordedFile:
        """Return the recording of the stream in `columns`. Raises RecordingsError."""
        stream = columns["stream"]
        signal, field = self.header.signals[stream], self.fields[stream]
        if signal is AMPLIFIER:
            signal = signal._replace(dtype="uint16", offset=_AMPLIFIER_OFFSET)
        every = self.header.block_samples // field.samples
        start, gaps = self._counter
        warnings = []
        if self._rest:
            warnings.append(f"{self.path} ends within a block, {self._rest} bytes after the last whole one")
        if signal.unit and signal.scale is None:
            warnings.append(f"{self.path} is of a board whose scale for {stream} is not known; its values have no unit")
        return RecordedFile(
            format=FORMAT,
            path=self.path,
            columns=columns,
            dtype=signal.dtype,
            sampling_rate_hz=self.header.rate / every,
            samples=self.blocks * field.samples,
            channels=self.header.channels_of(stream, signal),
            # It begins anew with each recording, and goes on in the next file of one that was split by minutes.
            start_sample=None if start % every else start // every,
            clock="" if start % every else f"intan {columns['session']} {stream}",
            sync=None if start % every else sync_of(columns["session"], start // every, self.header.rate / every),
            gaps=tuple(_every(every, gap) for gap in gaps),
            warnings=tuple(warnings),
            decode=partial(_decode, self.path, self.header.end, self.blocks, self.block_bytes, field),
        )


def _every(every: int, gap: Gap) -> Gap:
    """Return a gap of the amplifiers as one of a signal that has a sample for each `every` of theirs."""
    is_whole = gap.missing is not None and gap.missing % every == 0
    return Gap(gap.sample // every, gap.missing // every if gap.missing is not None and is_whole else None)


def _decode(path: str, start: int, blocks: int, block_bytes: int, field: _Field) -> Iterator["np.ndarray"]:
    import numpy as np

    shape = field.channels, field.samples
    with opened(path) as file:
        file.seek(start)
        for _, count in blocks_of(blocks, block_bytes):
            content = read_whole(path, file, count * block_bytes)
            # (blocks, channels, samples of a block)
            strides = block_bytes, field.samples * _VALUE_BYTES, _VALUE_BYTES
            values: np.ndarray = np.ndarray((count, *shape), "<u2", content, field.offset, strides)
            yield values.transpose(0, 2, 1).reshape(-1, field.channels)
