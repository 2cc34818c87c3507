"""WAV files of 8, 16 or 32 bits or of floats, in place, of 24 bits decoded: RIFF, and RF64 or BW64 above 4 GB.

Sources: Microsoft's Multimedia Programming Interface 1.0 (RIFF, chunks), mmreg.h (WAVE_FORMAT_EXTENSIBLE), EBU Tech
3306 (RF64). Values have no unit: what a full scale was in volts, no chunk says.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from neuroluigi.recordings.formats.binary import BinaryHeader, opened
from neuroluigi.recordings.formats.decoding import blocks_of, int32_of, read_whole
from neuroluigi.recordings.formats.one_file import cut_warning, plain_channels, recordings_by_name
from neuroluigi.recordings.formats.reader import Part, RecordedFile, needs_decoding, split_bytes
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

FORMAT = "wav"
GROUP_BY = ("session",)

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Samples of 8 bits have no sign, by the format's definition.
_DTYPES = {
    (_PCM, 8): "uint8",
    (_PCM, 16): "int16",
    (_PCM, 24): "int32",
    (_PCM, 32): "int32",
    (_FLOAT, 32): "float32",
    (_FLOAT, 64): "float64",
}
# Real files have some ten chunks before the data.
_MOST_CHUNKS = 1000
_UNKNOWN_SIZE = 0xFFFFFFFF


class _Layout(NamedTuple):
    """The chunk "fmt " of a file."""

    tag: int
    channels: int
    rate: int
    bytes_per_sample: int
    bits: int


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files of this format."""
    return bool(_files(names))


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each .wav file of a folder."""
    return recordings_by_name(FORMAT, folder, _files(names), _describe)


def _files(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.lower().endswith(".wav")]


def _describe(path: str, columns: Mapping[str, str]) -> RecordedFile:
    with opened(path) as file:
        header = BinaryHeader(path, file)
        layout, offset, end = _layout_and_data(path, header)
    dtype, is_encoded = _dtype(path, layout), layout.bits == 24
    warnings = [f"{path} says no unit; set scale and unit where they are known"]
    if end is None:
        warnings.append(f"{path} was not ended, its header says no length; all up to its end is taken as samples")
        end = header.size
    samples, rest = split_bytes(path, min(header.size, end), offset, layout.bytes_per_sample)
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype=dtype,
        sampling_rate_hz=float(layout.rate),
        samples=samples,
        parts=() if is_encoded else (Part(path, offset, samples),),
        channels=plain_channels(layout.channels),
        rest_bytes=rest,
        warnings=(*warnings, *cut_warning(path, header.size, end)),
        decode=partial(_decode_24_bits, path, offset, samples, layout.channels) if is_encoded else None,
    )


def _decode_24_bits(path: str, offset: int, samples: int, channels: int) -> Iterator["np.ndarray"]:
    with opened(path) as file:
        file.seek(offset)
        for _, count in blocks_of(samples, 3 * channels):
            yield int32_of(read_whole(path, file, 3 * channels * count)).reshape(-1, channels)


def _layout_and_data(path: str, header: BinaryHeader) -> tuple[_Layout, int, int | None]:
    """Return the layout of the samples, and at which byte they begin and end by the header; None: it does not say."""
    riff, riff_size, wave = header.unpack("4sI4s")
    if riff not in (b"RIFF", b"RF64", b"BW64") or wave != b"WAVE":
        raise RecordingsError(
            f"{path} is no WAV file that is read in place, by its first bytes ({riff!r}); convert it to RIFF or RF64"
        )
    layout, long_size = None, 0
    for _ in range(_MOST_CHUNKS):
        name, size = header.unpack("4sI")
        start = header.position
        if name == b"ds64":
            _, long_size = header.unpack("QQ")
        elif name == b"fmt ":
            layout = _layout(header, size)
        elif name == b"data":
            break
        # A chunk of odd length is followed by a byte that its size does not count.
        header.go_to(start + size + size % 2)
    else:
        raise RecordingsError(f"{path} has no samples among its first {_MOST_CHUNKS} chunks; it is damaged")
    if layout is None:
        raise RecordingsError(f"{path} does not say how its samples are stored (chunk fmt); it is damaged")
    if size == _UNKNOWN_SIZE and long_size:
        size = long_size
    # A recorder that was not ended, or that wrote into a pipe, could not write the size afterwards.
    elif size == _UNKNOWN_SIZE or (size == 0 and riff_size + 8 < header.size):
        return layout, start, None
    return layout, start, start + size


def _layout(header: BinaryHeader, size: int) -> _Layout:
    tag, channels, rate, _, bytes_per_sample, bits = header.unpack("HHIIHH")
    if tag == _EXTENSIBLE and size >= 26:
        # The first two bytes of its GUID are the tag of the samples.
        *_, tag = header.unpack("HHIH")
    return _Layout(tag, channels, rate, bytes_per_sample, bits)


def _dtype(path: str, layout: _Layout) -> str:
    dtype = _DTYPES.get((layout.tag, layout.bits))
    if dtype is None:
        kind = {_PCM: "integers", _FLOAT: "floats"}.get(layout.tag, f"coding {layout.tag}")
        raise RecordingsError(needs_decoding(path, f"a WAV file of {layout.bits}-bit {kind}"))
    if not layout.channels or not layout.rate or layout.bytes_per_sample != layout.channels * layout.bits // 8:
        raise RecordingsError(
            f"{path} has a header that contradicts itself: {layout.channels} channels of {layout.bits} bits,"
            f" {layout.rate} Hz, {layout.bytes_per_sample} bytes per sample of all channels; write it again"
        )
    return dtype
