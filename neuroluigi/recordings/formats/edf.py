"""EDF, EDF+, BDF and BDF+: records of a stretch of each signal, decoded into a recording for each sampling rate.

Sources: the specifications of EDF (Kemp et al. 1992), EDF+ (2003) and BioSemi's BDF. Readers differ in the scale: here
it is (physical max - min) / (digital max - min), as the specification and EDFlib have it. Annotations are not read, but
for the time of each record of a file with pauses (EDF+D).
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from neuroluigi.recordings.formats.binary import BinaryHeader, opened, text_field
from neuroluigi.recordings.formats.counters import not_too_many
from neuroluigi.recordings.formats.decoding import blocks_of, int32_of, read_whole
from neuroluigi.recordings.formats.reader import (
    DIGITAL,
    MOST_CHANNELS,
    UNKNOWN,
    Channel,
    Gap,
    RecordedFile,
    as_count,
    as_number,
    described,
)
from neuroluigi.recordings.formats.starts import start_of_numbers
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

FORMAT = "edf"
GROUP_BY = ("session", "stream")

_EXTENSIONS = (".edf", ".bdf")
_VERSIONS = {b"0       ": 2, b"\xffBIOSEMI": 3}
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
_STATUS = "Status"
# Fields of a signal: their widths, in this order.
_WIDTHS = {
    "label": 16, "transducer": 80, "unit": 8, "low": 8, "high": 8, "digital_low": 8, "digital_high": 8, "filter": 80,
    "samples": 8, "reserved": 32,
}  # fmt: skip
_ONSET = re.compile(rb"([+-]\d{1,12}(?:\.\d{1,9})?)[\x14\x15]")
# Of the last century.
_FIRST_YEAR = 85
# A record has some KB.
_MOST_RECORD_BYTES = 1 << 27


class _Signal(NamedTuple):
    """A signal: its channel, and where its samples are in a record."""

    channel: Channel
    samples: int
    offset: int


class _Header(NamedTuple):
    """What a header says; `records` as many as there are in the file."""

    path: str
    value_bytes: int
    end: int
    record_bytes: int
    records: int
    seconds: float
    has_pauses: bool
    signals: tuple[_Signal, ...]
    annotations: tuple[_Signal, ...]
    warnings: tuple[str, ...]
    started: str


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files of this format."""
    return any(name.lower().endswith(_EXTENSIONS) for name in names)


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each sampling rate of each file of a folder."""
    recordings: list[RecordedFile] = []
    for name in names:
        if name.lower().endswith(_EXTENSIONS):
            path = os.path.join(os.path.abspath(folder), name)
            recordings += _recordings_in(path, {"session": os.path.splitext(name)[0], "index": "0"})
    return recordings


def _recordings_in(path: str, columns: Mapping[str, str]) -> list[RecordedFile]:
    try:
        header = _read_header(path)
    except RecordingsError as error:
        return [RecordedFile(FORMAT, path, columns, problems=(str(error),))]
    # In the order of their signals.
    numbers = dict.fromkeys(signal.samples for signal in header.signals)
    streams = {number: {**columns, "stream": f"{number / header.seconds:.6g} Hz"} for number in numbers}
    return [
        described(FORMAT, path, of_stream, partial(_describe, header, number, of_stream))
        for number, of_stream in streams.items()
    ]


def _describe(header: _Header, number: int, columns: Mapping[str, str]) -> RecordedFile:
    """Return the recording of the signals with this number of samples in a record."""
    signals = tuple(one for one in header.signals if one.samples == number)
    return RecordedFile(
        format=FORMAT,
        path=header.path,
        columns=columns,
        dtype="int16" if header.value_bytes == 2 else "int32",
        sampling_rate_hz=number / header.seconds,
        samples=header.records * number,
        channels=tuple(one.channel for one in signals),
        gaps=not_too_many(header.path, _gaps(header, number)) if header.has_pauses else (),
        warnings=header.warnings,
        started=header.started,
        decode=partial(_decode, header, signals),
    )


def _read_header(path: str) -> _Header:
    with opened(path) as file:
        source = BinaryHeader(path, file)
        value_bytes = _VERSIONS.get(source.read(8))
        if not value_bytes:
            raise RecordingsError(
                f"{path} is no EDF or BDF file by its first bytes; rename it if it is of another format"
            )
        source.read(160)
        started = _started(*(_field(source, 8) for _ in range(2)))
        end, variant = as_count(_field(source, 8)), _field(source, 44)
        said, seconds, count = (_field(source, width) for width in (8, 8, 4))
        duration, number = as_number(seconds), as_count(count)
        if not duration or duration < 0 or not number or number > MOST_CHANNELS or end != 256 * (1 + number):
            raise RecordingsError(
                f"{path} has an impossible header: {count} signals, a header of {end} bytes, {seconds} s per record; it"
                " was cut off or is damaged: copy it again from the rig"
            )
        fields = {name: [_field(source, width) for _ in range(number)] for name, width in _WIDTHS.items()}
        stored = tuple(_signals(path, fields, value_bytes))
        record_bytes = stored[-1].offset + stored[-1].samples * value_bytes
        size = source.size
    if record_bytes > _MOST_RECORD_BYTES:
        raise RecordingsError(f"{path} says {record_bytes} bytes per record, which is none; copy it again from the rig")
    # Without the plus, they are a signal as any other.
    annotations = tuple(one for one in stored if one.channel.name in _ANNOTATIONS and variant[3:4] == "+")
    signals = tuple(one for one in stored if one not in annotations)
    records, rest = divmod(max(0, size - end), record_bytes)
    if not records or not signals:
        raise RecordingsError(
            f"{path} has no samples: {size} bytes behind a header of {end}, {record_bytes} per record"
        )
    warnings = []
    if rest or as_count(said) not in (records, None):
        warnings.append(
            f"{path} has {records} whole records and {rest} bytes, {said} by its header; what is there is taken"
        )
    return _Header(
        path,
        value_bytes,
        end,
        record_bytes,
        records,
        duration,
        variant[:5] in ("EDF+D", "BDF+D"),
        signals,
        annotations,
        tuple(warnings),
        started,
    )


def _started(date: str, time: str) -> str:
    """Return when the recording began, by dd.mm.yy and hh.mm.ss; the years are 1985 to 2084."""
    numbers = [as_count(text) for text in (*date.split("."), *time.split("."))]
    known = [one for one in numbers if one is not None]
    if len(known) != 6 or len(numbers) != 6 or known[2] > 99:
        return ""
    day, month, year, *clock = known
    return start_of_numbers(year + (1900 if year >= _FIRST_YEAR else 2000), month, day, *clock)


def _field(source: BinaryHeader, width: int) -> str:
    return text_field(source.read(width))


def _signals(path: str, fields: Mapping[str, Sequence[str]], value_bytes: int) -> Iterator[_Signal]:
    offset = 0
    for label, unit, text, *limits in zip(
        *(fields[name] for name in ("label", "unit", "samples", "low", "high", "digital_low", "digital_high")),
        strict=True,
    ):
        samples = as_count(text)
        if not samples:
            raise RecordingsError(f"{path} says {text} samples per record of {label}; copy it again from the rig")
        if label == _STATUS and value_bytes == 3:
            channel = Channel(label, DIGITAL)
        else:
            scale, zero = _scale(*map(as_number, limits))
            channel = Channel(label, UNKNOWN, scale, zero, "" if scale is None else unit.replace("\u00b5", "u"))
        yield _Signal(channel, samples, offset)
        offset += samples * value_bytes


def _scale(
    low: float | None, high: float | None, digital_low: float | None, digital_high: float | None
) -> tuple[float | None, float | None]:
    """Return scale and offset by the physical and the digital limits of a signal; None where these are not said."""
    if low is None or high is None or digital_low is None or digital_high is None or low == high:
        return None, None
    if digital_low == digital_high:
        return None, None
    scale = (high - low) / (digital_high - digital_low)
    return scale, low - digital_low * scale


def _gaps(header: _Header, number: int) -> Iterator[Gap]:
    """Yield where a record does not begin when the one before has ended, by the time that is annotated first in it."""
    if not header.annotations:
        return
    rate = number / header.seconds
    before: float | None = None
    with opened(header.path) as file:
        for record in range(header.records):
            onset = _onset(file, header, header.annotations[0], record)
            missing = None if onset is None or before is None else round((onset - before - header.seconds) * rate)
            if record and missing != 0:
                yield Gap(record * number, missing if missing and missing > 0 else None)
            before = onset


def _onset(file: BinaryIO, header: _Header, signal: _Signal, record: int) -> float | None:
    file.seek(header.end + record * header.record_bytes + signal.offset)
    found = _ONSET.match(file.read(signal.samples * header.value_bytes))
    return float(found[1]) if found else None


def _decode(header: _Header, signals: Sequence[_Signal]) -> Iterator["np.ndarray"]:
    import numpy as np

    samples, size = signals[0].samples, header.record_bytes
    with opened(header.path) as file:
        file.seek(header.end)
        for _, count in blocks_of(header.records, size):
            records = np.frombuffer(read_whole(header.path, file, count * size), np.uint8).reshape(count, size)
            # (records, channels, samples)
            values = np.stack([_values(records, one, header.value_bytes) for one in signals], axis=1)
            yield values.transpose(0, 2, 1).reshape(count * samples, len(signals))


def _values(records: "np.ndarray", signal: _Signal, value_bytes: int) -> "np.ndarray":
    """Return the samples of a signal in some records: (records, samples)."""
    import numpy as np

    content = records[:, signal.offset : signal.offset + signal.samples * value_bytes].tobytes()
    values = np.frombuffer(content, "<i2") if value_bytes == 2 else int32_of(content)
    return values.reshape(len(records), signal.samples)
