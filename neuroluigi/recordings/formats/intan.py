"""Intan's RHD and RHS systems with a file per signal type: info.rhd or info.rhs, amplifier.dat and those beside it.

Sources: Intan's application notes "Data file formats" of RHD2000, RHS2000 and RHX; neo.rawio.intanrawio. All files have
the rate of the amplifiers: a value that was sampled less often (auxiliary inputs: each fourth sample, supply: once per
block) is repeated in its file.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

from neuroluigi.recordings.formats.binary import BinaryHeader, opened
from neuroluigi.recordings.formats.counters import read_counter
from neuroluigi.recordings.formats.one_file import recordings_by_name
from neuroluigi.recordings.formats.reader import (
    ANALOG,
    AP,
    AUX,
    DIGITAL,
    LF,
    MOST_CHANNELS,
    Channel,
    Gap,
    Part,
    RecordedFile,
    as_text,
    described,
    needs_decoding,
    size_of,
    split_bytes,
)
from neuroluigi.recordings.recording import RecordingsError

FORMAT = "intan"
GROUP_BY = ("session", "stream")

_RHD, _RHS = 0xC6912702, 0xD69127AC
_HEADERS = ("info.rhd", "info.rhs")
_COUNTER = "time.dat"
# Files of filtered signals of the amplifiers; the header does not say their rate.
_FILTERED = ("lowpass.dat", "highpass.dat")
# What the names of files begin with where each channel has its own.
_OF_ONE_CHANNEL = ("amp-", "aux-", "vdd-", "board-", "dc-", "stim-")
_BYTES_PER_VALUE = 2
# A length in front of a text that says that there is none.
_NO_TEXT = 0xFFFFFFFF
_MOST_HZ = 1e9


class _Signal(NamedTuple):
    """What a file has: the type of its channels in the header, their kind, and what a value is.

    `suffix` is added to the names of channels that another file has too; `is_word`: all lines are bits of one value.
    """

    type: int
    kind: str
    dtype: str
    scale: float | None
    offset: float | None
    unit: str
    suffix: str = ""
    is_word: bool = False


_WORD: dict[str, Any] = {"kind": DIGITAL, "dtype": "uint16", "scale": None, "offset": None, "unit": ""}
_AMPLIFIER = _Signal(0, AP, "int16", 0.195, 0.0, "uV")
_RHD_SIGNALS = {
    "amplifier": _AMPLIFIER,
    "auxiliary": _Signal(1, AUX, "uint16", 0.0000374, 0.0, "V"),
    "supply": _Signal(2, AUX, "uint16", 0.0000748, 0.0, "V"),
    "analogin": _Signal(3, ANALOG, "uint16", None, None, "V"),
    "digitalin": _Signal(4, **_WORD, is_word=True),
    "digitalout": _Signal(5, **_WORD, is_word=True),
}
# Volts per count of an input of the board, and the count at 0 V, by the board's mode; others are not documented.
_RHD_BOARDS = {0: (0.000050354, 0), 1: (0.00015259, 32768), 13: (0.0003125, 32768)}
_RHS_ANALOG: dict[str, Any] = {
    "kind": ANALOG,
    "dtype": "uint16",
    "scale": 0.0003125,
    "offset": -32768 * 0.0003125,
    "unit": "V",
}
_RHS_SIGNALS = {
    "amplifier": _AMPLIFIER,
    "dcamplifier": _Signal(0, LF, "uint16", 19.23, -512 * 19.23, "mV", suffix="_DC"),
    # Size, sign and flags of the current are bits of a value.
    "stim": _Signal(0, **_WORD, suffix="_STIM"),
    "analogin": _Signal(3, **_RHS_ANALOG),
    "analogout": _Signal(4, **_RHS_ANALOG),
    "digitalin": _Signal(5, **_WORD, is_word=True),
    "digitalout": _Signal(6, **_WORD, is_word=True),
}


class _Header(NamedTuple):
    """What info.rhd or info.rhs says; `channels` are the names of those that are on, by their type."""

    rate: float
    signals: Mapping[str, _Signal]
    channels: Mapping[int, Sequence[str]]
    counter_dtype: str


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files of this format."""
    return any(_is_header(name) for name in names)


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each file of signals; for a format that has to be decoded one with that problem."""
    folder = os.path.abspath(folder)
    whole = [name for name in names if _is_header(name) and name.lower() not in _HEADERS]
    recordings = recordings_by_name(FORMAT, folder, whole, _refuse_whole)
    for name in sorted(names):
        if name.lower() in _HEADERS:
            recordings += _Folder(folder, name, names).recordings()
    return recordings


def _is_header(name: str) -> bool:
    return name.lower().endswith((".rhd", ".rhs"))


def _refuse_whole(path: str, columns: Mapping[str, str]) -> RecordedFile:
    raise RecordingsError(needs_decoding(path, "an Intan file with header and all signals in one"))


class _Folder:
    """A folder with a header and the files of signals beside it."""

    def __init__(self, folder: str, header: str, names: Sequence[str]):
        self._folder, self._names = folder, names
        self._path = os.path.join(folder, header)
        signals = _RHS_SIGNALS if header.lower().endswith(".rhs") else _RHD_SIGNALS
        self._streams = [stream for stream in signals if f"{stream}.dat" in names]
        if not self._streams or self._lacks_amplifiers():
            self._streams.insert(0, "amplifier")

    def _lacks_amplifiers(self) -> bool:
        """Whether the file of the amplifiers should be there and is not, nor one that may be saved instead."""
        try:
            should_be = bool(self._header.channels.get(_AMPLIFIER.type))
        except RecordingsError:
            return False
        return should_be and not {"amplifier.dat", "dcamplifier.dat", *_FILTERED} & set(self._names)

    def recordings(self) -> list[RecordedFile]:
        """Return a recording for each file."""
        columns = {"session": os.path.basename(self._folder), "index": "0"}
        if any(name.startswith(_OF_ONE_CHANNEL) and name.endswith(".dat") for name in self._names):
            problem = needs_decoding(self._path, "the header of an Intan recording with a file per channel")
            return [RecordedFile(FORMAT, self._path, columns, problems=(problem,))]
        return [
            described(
                FORMAT,
                self._of(stream),
                {**columns, "stream": stream},
                partial(self._describe, stream, {**columns, "stream": stream}),
            )
            for stream in self._streams
        ]

    def _of(self, stream: str) -> str:
        return os.path.join(self._folder, f"{stream}.dat")

    @cached_property
    def _header(self) -> _Header:
        return _read_header(self._path)

    @cached_property
    def _counter(self) -> tuple[int | None, tuple[Gap, ...], int]:
        """The first sample by time.dat, the gaps, and the number of samples; None and 0 where it is not there."""
        path = self._of("time")
        count = size_of(path) // 4 if _COUNTER in self._names else 0
        return (*read_counter(path, self._header.counter_dtype, count), count) if count else (None, (), 0)

    def _describe(self, stream: str, columns: Mapping[str, str]) -> RecordedFile:
        path, header = self._of(stream), self._header
        size = size_of(path)
        signal, warnings = header.signals[stream], []
        channels = _channels(stream, signal, header.channels.get(signal.type, ()))
        if not channels:
            raise RecordingsError(f"{path} has no channels by {self._path}; take it away if it is of another recording")
        samples, rest = split_bytes(path, size, 0, _BYTES_PER_VALUE * len(channels))
        start, gaps, count = self._counter
        if not count:
            warnings.append(f"{self._of('time')} is not there, or empty; whether samples are missing is not known")
        elif count != samples:
            warnings.append(f"{path} has {samples} samples, {count} by {self._of('time')}; what is there is taken")
        if signal.unit and signal.scale is None:
            warnings.append(f"{self._path} is of a board whose scale for {path} is not known; its values have no unit")
        warnings += [
            f"{os.path.join(self._folder, name)} is not read, {self._path} says no rate of it; describe it in a table"
            for name in _FILTERED
            if name in self._names
        ]
        return RecordedFile(
            format=FORMAT,
            path=path,
            columns=columns,
            dtype=signal.dtype,
            sampling_rate_hz=header.rate,
            samples=samples,
            parts=(Part(path, 0, samples),),
            channels=channels,
            start_sample=start,
            # It begins anew with each recording, and all files of one have it in common.
            clock=f"intan {columns['session']}" if count else "",
            gaps=tuple(gap for gap in gaps if gap.sample < samples),
            rest_bytes=rest,
            sidecars=(self._path, *([self._of("time")] if count else [])),
            warnings=tuple(warnings),
        )


def _channels(stream: str, signal: _Signal, names: Sequence[str]) -> tuple[Channel, ...]:
    if signal.is_word:
        return (Channel(stream, signal.kind),)
    unit = "" if signal.scale is None else signal.unit
    return tuple(Channel(name + signal.suffix, signal.kind, signal.scale, signal.offset, unit) for name in names)


def _read_header(path: str) -> _Header:
    """Read the header that all of Intan's formats have in common. Raises RecordingsError."""
    with opened(path) as file:
        source = BinaryHeader(path, file)
        magic, *version = source.unpack("Ihh")
        is_rhs = path.lower().endswith(".rhs")
        if magic != (_RHS if is_rhs else _RHD):
            raise RecordingsError(f"{path} is no header of Intan by its first bytes; copy it again from the rig")
        rate, signals = (_read_rhs(source), _RHS_SIGNALS) if is_rhs else _read_rhd(source, version)
        of_channel = "11h2f" if is_rhs else "10h2f"
        channels: dict[int, list[str]] = defaultdict(list)
        for name, type in _enabled(source, of_channel):
            channels[type].append(name)
            if len(channels[type]) > MOST_CHANNELS:
                raise RecordingsError(f"{path} has more than {MOST_CHANNELS} channels; it is damaged, copy it again")
    if not 0 < rate < _MOST_HZ:
        raise RecordingsError(f"{path} says a sampling rate of {rate} Hz; it is damaged, copy it again from the rig")
    is_old = not is_rhs and version < [1, 2]
    return _Header(rate, signals, channels, "<u4" if is_old else "<i4")


def _read_rhd(source: BinaryHeader, version: list[int]) -> tuple[float, Mapping[str, _Signal]]:
    """Read what stands before the channels in info.rhd; return the rate, and the signals with its board's scale."""
    # The rate, filters, and tests of impedances.
    rate = source.unpack("fh6fh2f")[0]
    _skip_texts(source, 3)
    if version >= [1, 1]:
        source.unpack("h")
    board = source.unpack("h")[0] if version >= [1, 3] else 0
    if version >= [2, 0]:
        _skip_texts(source, 1)
    if board not in _RHD_BOARDS:
        return rate, _RHD_SIGNALS
    scale, zero = _RHD_BOARDS[board]
    return rate, {**_RHD_SIGNALS, "analogin": _RHD_SIGNALS["analogin"]._replace(scale=scale, offset=-zero * scale)}


def _read_rhs(source: BinaryHeader) -> float:
    """Read what stands before the channels in info.rhs; return the rate."""
    # The rate, filters, tests of impedances, and the stimulator.
    rate = source.unpack("fh8fh2f2h3f")[0]
    _skip_texts(source, 3)
    source.unpack("2h")
    _skip_texts(source, 1)
    return rate


def _enabled(source: BinaryHeader, of_channel: str) -> Iterator[tuple[str, int]]:
    """Yield name and type of each channel that is on; by its own name where it was given one."""
    (groups,) = source.unpack("h")
    for _ in range(groups):
        _skip_texts(source, 2)
        is_on, count, _ = source.unpack("3h")
        for _ in range(count if is_on else 0):
            native, custom = _text(source), _text(source)
            _, _, type, is_on_too, *_ = source.unpack(of_channel)
            if is_on_too:
                yield custom or native, type


def _skip_texts(source: BinaryHeader, count: int) -> None:
    for _ in range(count):
        _text(source)


def _text(source: BinaryHeader) -> str:
    """Read a text of Qt: its length in bytes, then UTF-16."""
    (length,) = source.unpack("I")
    return "" if length == _NO_TEXT else as_text(source.read(length).decode("utf-16-le", "replace").strip("\0"))
