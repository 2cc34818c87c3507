"""The header that all of Intan's formats begin with, info.rhd or info.rhs: rate, and the channels of each signal type.

Sources: see intan.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from neuroluigi.recordings.formats.binary import BinaryHeader, opened
from neuroluigi.recordings.formats.reader import ANALOG, AP, AUX, DIGITAL, LF, MOST_CHANNELS, Channel, Sync, as_text
from neuroluigi.recordings.recording import RecordingsError

FORMAT = "intan"

_RHD, _RHS = 0xC6912702, 0xD69127AC
# A length in front of a text that says that there is none.
_NO_TEXT = 0xFFFFFFFF
_MOST_HZ = 1e9
_WORD_BITS = 16


class Signal(NamedTuple):
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
AMPLIFIER = Signal(0, AP, "int16", 0.195, 0.0, "uV")
RHD_SIGNALS = {
    "amplifier": AMPLIFIER,
    "auxiliary": Signal(1, AUX, "uint16", 0.0000374, 0.0, "V"),
    "supply": Signal(2, AUX, "uint16", 0.0000748, 0.0, "V"),
    "analogin": Signal(3, ANALOG, "uint16", None, None, "V"),
    "digitalin": Signal(4, **_WORD, is_word=True),
    "digitalout": Signal(5, **_WORD, is_word=True),
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
RHS_SIGNALS = {
    "amplifier": AMPLIFIER,
    "dcamplifier": Signal(0, LF, "uint16", 19.23, -512 * 19.23, "mV", suffix="_DC"),
    # Size, sign and flags of the current are bits of a value.
    "stim": Signal(0, **_WORD, suffix="_STIM"),
    "analogin": Signal(3, **_RHS_ANALOG),
    "analogout": Signal(4, **_RHS_ANALOG),
    "digitalin": Signal(5, **_WORD, is_word=True),
    "digitalout": Signal(6, **_WORD, is_word=True),
}


class Header(NamedTuple):
    """What a header says; `channels` are the names of those that are on, by their type, `lines` their places there.

    Where samples follow in the same file, they begin at byte `end`, in blocks of `block_samples`, which have these
    signals: RHD with values of so many `thermometers`, RHS without those of DC where they were not saved (`has_dc`).
    """

    rate: float
    signals: Mapping[str, Signal]
    channels: Mapping[int, Sequence[str]]
    counter_dtype: str
    end: int
    block_samples: int
    thermometers: int = 0
    has_dc: bool = True
    lines: Mapping[int, Sequence[int]] = MappingProxyType({})

    def channels_of(self, stream: str, signal: Signal) -> tuple[Channel, ...]:
        """Return the channels of a signal type; where lines are bits of a value, that is one."""
        names = self.channels.get(signal.type, ())
        if signal.is_word:
            return (Channel(stream, signal.kind, bits=_names_of_bits(names, self.lines.get(signal.type, ()))),)
        unit = "" if signal.scale is None else signal.unit
        return tuple(Channel(name + signal.suffix, signal.kind, signal.scale, signal.offset, unit) for name in names)


def _names_of_bits(names: Sequence[str], lines: Sequence[int]) -> tuple[str, ...] | None:
    """Return the names of the bits of a word, from 0, by the lines that are on; None where none has its bit."""
    named = {line: name for name, line in zip(names, lines, strict=False) if 0 <= line < _WORD_BITS}
    return tuple(named.get(bit, "") for bit in range(max(named) + 1)) if named else None


def read_header(path: str) -> Header:
    """Read the header that all of Intan's formats have in common. Raises RecordingsError."""
    with opened(path) as file:
        source = BinaryHeader(path, file)
        magic, *version = source.unpack("Ihh")
        is_rhs = path.lower().endswith(".rhs")
        if magic != (_RHS if is_rhs else _RHD):
            raise RecordingsError(f"{path} is no header of Intan by its first bytes; copy it again from the rig")
        header = _read_rhs(source) if is_rhs else _read_rhd(source, version)
        of_channel = "11h2f" if is_rhs else "10h2f"
        channels: dict[int, list[str]] = defaultdict(list)
        lines: dict[int, list[int]] = defaultdict(list)
        for name, type, line in _enabled(source, of_channel):
            channels[type].append(name)
            lines[type].append(line)
            if len(channels[type]) > MOST_CHANNELS:
                raise RecordingsError(f"{path} has more than {MOST_CHANNELS} channels; it is damaged, copy it again")
        end = source.position
    if not 0 < header.rate < _MOST_HZ or header.thermometers < 0:
        raise RecordingsError(
            f"{path} says a sampling rate of {header.rate} Hz, and {header.thermometers} thermometers; it is damaged,"
            " copy it again from the rig"
        )
    return header._replace(channels=channels, lines=lines, end=end)


def _read_rhd(source: BinaryHeader, version: list[int]) -> Header:
    """Read what stands before the channels in info.rhd; the signals have the scale of its board."""
    # The rate, filters, and tests of impedances.
    rate = source.unpack("fh6fh2f")[0]
    _skip_texts(source, 3)
    thermometers = source.unpack("h")[0] if version >= [1, 1] else 0
    board = source.unpack("h")[0] if version >= [1, 3] else 0
    if version >= [2, 0]:
        _skip_texts(source, 1)
    signals = RHD_SIGNALS
    if board in _RHD_BOARDS:
        scale, zero = _RHD_BOARDS[board]
        signals = {**signals, "analogin": signals["analogin"]._replace(scale=scale, offset=-zero * scale)}
    counter_dtype = "<u4" if version < [1, 2] else "<i4"
    return Header(rate, signals, {}, counter_dtype, 0, 60 if version < [2, 0] else 128, thermometers)


def _read_rhs(source: BinaryHeader) -> Header:
    """Read what stands before the channels in info.rhs."""
    # The rate, filters, tests of impedances, and the stimulator.
    rate = source.unpack("fh8fh2f2h3f")[0]
    _skip_texts(source, 3)
    has_dc, _ = source.unpack("2h")
    _skip_texts(source, 1)
    return Header(rate, RHS_SIGNALS, {}, "<i4", 0, 128, has_dc=bool(has_dc))


def _enabled(source: BinaryHeader, of_channel: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, type, and place among those of its type, of each channel that is on; the name is its own, if any."""
    (groups,) = source.unpack("h")
    for _ in range(groups):
        _skip_texts(source, 2)
        is_on, count, _ = source.unpack("3h")
        for _ in range(count if is_on else 0):
            native, custom = _text(source), _text(source)
            line, _, type, is_on_too, *_ = source.unpack(of_channel)
            if is_on_too:
                yield custom or native, type, line


def _skip_texts(source: BinaryHeader, count: int) -> None:
    for _ in range(count):
        _text(source)


def _text(source: BinaryHeader) -> str:
    """Read a text of Qt: its length in bytes, then UTF-16."""
    (length,) = source.unpack("I")
    return "" if length == _NO_TEXT else as_text(source.read(length).decode("utf-16-le", "replace").strip("\0"))


def sync_of(session: str, count: int, rate: float) -> Sync:
    """Return when the first sample of a signal was: all signals of a recording are counted by one clock, from 0."""
    return Sync(f"{FORMAT} {session}", count, count / rate, uncertainty=1 / rate, is_on=False)
