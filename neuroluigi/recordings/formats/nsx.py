"""Blackrock's continuous samples (.ns1 to .ns9): specifications 2.1, 2.2, 2.3 and 3.0, in place, a part per packet.

Sources: Blackrock's "File formats" (LB-0023), neo.rawio.blackrockrawio. A pause of the recording begins a new packet;
the clock may also be set back, when two processors are synchronised. A file of 2.1 has no clock, and no scale. With the
clock of PTP each sample has a packet of its own, and the file is decoded.
"""

import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from neuroluigi.recordings.formats.binary import BinaryHeader, opened, text_field
from neuroluigi.recordings.formats.counters import clock_gaps
from neuroluigi.recordings.formats.decoding import blocks_of, read_whole
from neuroluigi.recordings.formats.one_file import recordings_by_name
from neuroluigi.recordings.formats.reader import (
    ANALOG,
    AP,
    LF,
    MOST_CHANNELS,
    UNKNOWN,
    Channel,
    Gap,
    Part,
    RecordedFile,
    Sync,
    needs_decoding,
)
from neuroluigi.recordings.formats.starts import later, start_of_numbers
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

FORMAT = "nsx"
GROUP_BY = ("session", "stream")

# The period between two samples is in so many parts of a second, whatever the clock's resolution.
_PERIODS_PER_SECOND = 30_000
_BYTES_PER_VALUE = 2
# Long sessions with pauses have some ten.
_MOST_PACKETS = 10_000
# At 30 kHz it would last a million years.
_NO_RECORDING = 10**18
# A processor runs for some weeks.
_MOST_SECONDS = 1e8


# What begins a packet by the major version: a flag, the clock, the number of samples.
_PACKETS = {2: "BII", 3: "BQI"}
# Electrodes that are sampled as fast as this show spikes.
_AP_RATE = 10_000


class _Header(NamedTuple):
    """What the header of a file says; `packet` is the layout of what begins a packet, "" where there are none.

    `origin` is when the clock was 0, in UTC; "" where the header does not say.
    """

    period: int
    clock_hz: int
    packet: str
    channels: tuple[Channel, ...]
    end: int
    origin: str = ""

    @property
    def bytes_per_sample(self) -> int:
        return _BYTES_PER_VALUE * len(self.channels)

    @property
    def rate(self) -> float:
        return _PERIODS_PER_SECOND / self.period

    def samples_of(self, ticks: int) -> int | None:
        """Return the samples in so many ticks of the clock, None where no recording can be so long."""
        samples = round(Fraction(ticks * _PERIODS_PER_SECOND, self.clock_hz * self.period))
        return samples if abs(samples) < _NO_RECORDING else None

    def started(self, clock: int) -> str:
        """Return when the clock was at this tick; "" where that is not known, as of one that counts from 1970 (PTP)."""
        seconds = clock / self.clock_hz
        return later(self.origin, seconds) if seconds < _MOST_SECONDS else ""


class _Packet(NamedTuple):
    """Samples without a gap: the clock at the first, the byte where they begin, how many there are and should be."""

    clock: int
    offset: int
    samples: int
    said: int


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files of this format."""
    return bool(_files(names))


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each file of a folder; each number of the extension is a stream."""
    return recordings_by_name(FORMAT, folder, _files(names), _describe, stream=_stream)


def _files(names: Sequence[str]) -> list[str]:
    return [name for name in names if re.fullmatch(r"\.ns[1-9]", _extension(name), re.ASCII)]


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _stream(name: str) -> str:
    return _extension(name)[1:]


def _describe(path: str, columns: Mapping[str, str]) -> RecordedFile:
    with opened(path) as file:
        source = BinaryHeader(path, file)
        header = _read_header(path, source)
        packets = list(islice(_packets(path, source, header), _MOST_PACKETS + 1))
    if len(packets) > 1 and all(packet.said == 1 for packet in packets):
        return _of_single_samples(path, columns, header, source.size)
    if len(packets) > _MOST_PACKETS:
        raise RecordingsError(needs_decoding(path, f"a Blackrock file of more than {_MOST_PACKETS} packets"))
    packets = [packet for packet in packets if packet.samples]
    if not packets:
        raise RecordingsError(f"{path} has no samples, only a header; copy it again if it was cut off")
    last, warnings = packets[-1], []
    if last.said != last.samples:
        warnings.append(
            f"{path} has {last.samples} samples in its last packet, {last.said} by what begins it; what is there is"
            " taken, copy it again if it was cut off"
        )
    if unscaled := [channel.name for channel in header.channels if channel.scale is None]:
        warnings.append(f"{path} says no scale of {len(unscaled)} channels ({', '.join(unscaled[:3])}, ...)")
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype="int16",
        sampling_rate_hz=header.rate,
        samples=sum(packet.samples for packet in packets),
        parts=tuple(Part(path, packet.offset, packet.samples) for packet in packets),
        channels=header.channels,
        start_sample=header.samples_of(packets[0].clock) if header.packet else None,
        clock=f"blackrock {columns['stream']}" if header.packet else "",
        gaps=tuple(_gaps(packets, header)),
        rest_bytes=source.size - last.offset - last.samples * header.bytes_per_sample,
        warnings=tuple(warnings),
        sync=_sync(columns, header, packets[0].clock) if header.packet else None,
        started=header.started(packets[0].clock),
    )


def _of_single_samples(path: str, columns: Mapping[str, str], header: _Header, size: int) -> RecordedFile:
    """Return the recording of a file with a packet per sample, which can be late by less than half a sample."""
    layout = _packet_layout(header)
    samples, rest = divmod(size - header.end, layout.itemsize)
    with opened(path) as file:
        first = _read_packets(path, file, header, 0, 1)["clock"].item()

        def clock(start: int, count: int) -> "np.ndarray":
            ticks = _read_packets(path, file, header, start, count)["clock"]
            # Of that of the first, as floats of years have no microseconds.
            return (ticks - ticks.dtype.type(first)).astype("i8") / header.clock_hz

        gaps = clock_gaps(path, clock, samples, header.rate)
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype="int16",
        sampling_rate_hz=header.rate,
        samples=samples,
        channels=header.channels,
        start_sample=header.samples_of(first),
        clock=f"blackrock {columns['stream']}",
        gaps=gaps,
        rest_bytes=rest,
        sync=_sync(columns, header, first),
        started=header.started(first),
        decode=partial(_decode, path, header, samples),
    )


def _sync(columns: Mapping[str, str], header: _Header, clock: int) -> Sync | None:
    """Return when the first sample was, by the clock that all streams of a session have in common."""
    count = header.samples_of(clock)
    if count is None:
        return None
    run, seconds = f"blackrock {columns['session']}", clock / header.clock_hz
    return Sync(run, count, seconds, uncertainty=1 / header.rate, is_on=False)


def _packet_layout(header: _Header) -> "np.dtype":
    """Return the layout of a packet with one sample."""
    import numpy as np

    clock = {"BII": "<u4", "BQI": "<u8"}[header.packet]
    values = ("values", "<i2", (len(header.channels),))
    return np.dtype([("flag", "u1"), ("clock", clock), ("samples", "<u4"), values])


def _read_packets(path: str, file: BinaryIO, header: _Header, first: int, count: int) -> "np.ndarray":
    import numpy as np

    layout = _packet_layout(header)
    file.seek(header.end + first * layout.itemsize)
    return np.frombuffer(read_whole(path, file, count * layout.itemsize), layout)


def _decode(path: str, header: _Header, samples: int) -> Iterator["np.ndarray"]:
    with opened(path) as file:
        for first, count in blocks_of(samples, _packet_layout(header).itemsize):
            packets = _read_packets(path, file, header, first, count)
            if not ((packets["flag"] == 1) & (packets["samples"] == 1)).all():
                raise RecordingsError(
                    f"{path} has packets of one sample and others from sample {first}; it is damaged: copy it again"
                    " from the rig"
                )
            yield packets["values"]


def _read_header(path: str, source: BinaryHeader) -> _Header:
    magic = source.read(8)
    if magic == b"NEURALSG":
        _, period, count = source.unpack("16sII")
        clock_hz, packet = _PERIODS_PER_SECOND, ""
        _check(path, period, clock_hz, count)
        channels = tuple(Channel(str(number)) for number in source.unpack(f"{count}I"))
        end, started = source.position, ""
    elif magic in (b"NEURALCD", b"BRSMPGRP"):
        major, minor, end, _, _, period, clock_hz, origin, count = source.unpack("BBI16s256sII16sI")
        if major not in _PACKETS:
            raise RecordingsError(needs_decoding(path, f"a Blackrock file of specification {major}.{minor}"))
        packet, started = _PACKETS[major], _origin(origin)
        _check(path, period, clock_hz, count)
        channels = tuple(_channel(source, _PERIODS_PER_SECOND / period) for _ in range(count))
    else:
        raise RecordingsError(f"{path} is no Blackrock file by its first bytes; rename it if it is of another format")
    if not source.position <= end <= source.size:
        raise RecordingsError(
            f"{path} says that its samples begin at byte {end}; its header has {source.position} bytes, the file"
            f" {source.size}: it was cut off or is damaged, copy it again from the rig"
        )
    return _Header(period, clock_hz, packet, channels, end, started)


def _origin(content: bytes) -> str:
    """Return when the clock was 0, in UTC: Windows' SYSTEMTIME, in which the third number is the day of the week."""
    year, month, _, day, hour, minute, second, milliseconds = struct.unpack("<8H", content)
    return start_of_numbers(year, month, day, hour, minute, second, 1000 * milliseconds, is_utc=True)


def _check(path: str, period: int, clock_hz: int, count: int) -> None:
    if not period or not clock_hz or not 0 < count <= MOST_CHANNELS:
        raise RecordingsError(
            f"{path} has an impossible header: {count} channels, a sample each {period}/{_PERIODS_PER_SECOND} s,"
            f" a clock of {clock_hz} Hz; copy it again from the rig"
        )


def _channel(source: BinaryHeader, rate: float) -> Channel:
    fields = source.unpack("2sH16s2B4h16s20s")
    name, unit = text_field(fields[2]) or str(fields[1]), text_field(fields[9]).replace("\u00b5", "u")
    digital_low, digital_high, low, high = fields[5:9]
    # Inputs of electrodes are in uV, the others, whatever their number, in mV.
    kind = {"uV": AP if rate >= _AP_RATE else LF, "mV": ANALOG, "V": ANALOG}.get(unit, UNKNOWN)
    if digital_high == digital_low or high == low:
        return Channel(name, kind)
    scale = (high - low) / (digital_high - digital_low)
    return Channel(name, kind, scale, low - digital_low * scale, unit)


def _packets(path: str, source: BinaryHeader, header: _Header) -> Iterator[_Packet]:
    """Yield the packets of a file, the last of which may have fewer samples than it should."""
    at, length = header.end, struct.calcsize("<" + header.packet)
    if not header.packet:
        samples = (source.size - at) // header.bytes_per_sample
        yield _Packet(0, at, samples, samples)
        return
    while at + length < source.size:
        flag, clock, said = _unpack_at(at, source, header)
        if flag != 1:
            raise RecordingsError(f"{path} has no packet at byte {at}; it is damaged: copy it again from the rig")
        at += length
        there = (source.size - at) // header.bytes_per_sample
        # The number is 0 until the recording is ended, but also of an empty packet, which another one follows.
        was_ended = said > 0 or _is_packet(at, length, source, header)
        samples = min(said, there) if was_ended else there
        yield _Packet(clock, at, samples, said)
        at = at + said * header.bytes_per_sample if was_ended else source.size


def _unpack_at(at: int, source: BinaryHeader, header: _Header) -> tuple[int, int, int]:
    source.go_to(at)
    flag, clock, samples = source.unpack(header.packet)
    return flag, clock, samples


def _is_packet(at: int, length: int, source: BinaryHeader, header: _Header) -> bool:
    """Return whether a whole packet of some samples begins at a byte."""
    if at + length > source.size:
        return False
    flag, _, samples = _unpack_at(at, source, header)
    return flag == 1 and samples > 0 and at + length + samples * header.bytes_per_sample <= source.size


def _gaps(packets: Sequence[_Packet], header: _Header) -> Iterator[Gap]:
    sample = 0
    for before, packet in pairwise(packets):
        sample += before.samples
        passed = header.samples_of(packet.clock - before.clock)
        if passed is None or passed < before.samples:
            yield Gap(sample)
        elif passed > before.samples:
            yield Gap(sample, passed - before.samples)
