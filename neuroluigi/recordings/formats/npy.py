"""Arrays of NumPy (.npy): samples, or samples by channels, in C order; read in place, and never unpickled.

Source: numpy.lib.format, versions 1 to 3. The file says no sampling rate, names or units.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neuroluigi.recordings.formats.binary import BinaryHeader, opened
from neuroluigi.recordings.formats.one_file import cut_warning, plain_channels, recordings_by_name
from neuroluigi.recordings.formats.reader import MOST_CHANNELS, Part, RecordedFile, as_count, size_of, split_bytes
from neuroluigi.recordings.recording import BYTES_PER_VALUE, RecordingsError

FORMAT = "npy"
GROUP_BY = ("session",)

_MAGIC = b"\x93NUMPY"
# NumPy itself reads no longer one without being asked to.
_MOST_BYTES = 10_000
_KINDS = {"i": "int", "u": "uint", "f": "float"}


class NpyHeader(NamedTuple):
    """What the header of a .npy file says: dtype ("int16"), shape, and the byte at which the values begin."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files of this format."""
    return bool(_files(names))


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each .npy file of a folder."""
    return recordings_by_name(FORMAT, folder, _files(names), _describe)


def _files(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.lower().endswith(".npy")]


def read_npy_header(path: str) -> NpyHeader:
    """Return the header of a .npy file. Raises RecordingsError for one that is none, or not of numbers in C order."""
    with opened(path) as file:
        header = BinaryHeader(path, file)
        if header.read(6) != _MAGIC:
            raise RecordingsError(f"{path} is no NumPy file by its first bytes; rename it if it is of another format")
        version, _ = header.unpack("BB")
        (length,) = header.unpack("H" if version == 1 else "I")
        if version not in (1, 2, 3) or length > _MOST_BYTES:
            raise RecordingsError(f"{path} has a header of NumPy that is not known here; save it again by numpy.save")
        content = header.read(length).decode("utf-8" if version == 3 else "latin-1", "replace")
        return NpyHeader(*_dtype_and_shape(path, content), header.position)


def _dtype_and_shape(path: str, content: str) -> tuple[str, tuple[int, ...]]:
    """Read the text of a header, which is a Python dictionary, without running it."""

    def value(key: str, pattern: str) -> str:
        found = re.findall(rf"""['"]{key}['"]\s*:\s*({pattern})\s*[,}}]""", content, re.ASCII)
        if len(found) != 1:
            raise RecordingsError(
                f"{path} has a header of NumPy without one {key} that can be read here; save a plain array of numbers"
                " by numpy.save"
            )
        return found[0]

    descr = value("descr", r"'[^'\\]*'").strip("'")
    sizes = [as_count(size) for size in value("shape", r"\([0-9, ]*\)").strip("()").split(",") if size.strip()]
    match = re.fullmatch(r"(?:<|\|(?=.1$))([iuf])(\d{1,2})", descr, re.ASCII)
    if value("fortran_order", "True|False") == "True":
        raise RecordingsError(
            f"{path} has an array in Fortran order, one channel after the other, which is not read in place; save it"
            " again by numpy.save(path, numpy.ascontiguousarray(array))"
        )
    if not match or None in sizes:
        raise RecordingsError(
            f"{path} has values of type {descr!r}; convert it to little-endian numbers of a type that samples can have"
            f" ({', '.join(BYTES_PER_VALUE)})"
        )
    return f"{_KINDS[match[1]]}{8 * int(match[2])}", tuple(size for size in sizes if size is not None)


def _describe(path: str, columns: Mapping[str, str]) -> RecordedFile:
    dtype, shape, offset = read_npy_header(path)
    if dtype not in BYTES_PER_VALUE:
        raise RecordingsError(f"{path} has values of {dtype}; convert it to one of {', '.join(BYTES_PER_VALUE)}")
    if len(shape) not in (1, 2) or not 0 < (*shape, 1)[1] <= MOST_CHANNELS:
        raise RecordingsError(
            f"{path} has an array of shape {shape}; samples are read of one of shape (samples,) or (samples, channels)"
        )
    channels = plain_channels(shape[1] if len(shape) == 2 else 1)
    size, end = size_of(path), offset + shape[0] * len(channels) * BYTES_PER_VALUE[dtype]
    samples, rest = split_bytes(path, min(size, end), offset, len(channels) * BYTES_PER_VALUE[dtype])
    warnings = [f"{path} says no sampling rate and no unit; set sampling_rate_hz, scale and unit where they are known"]
    if len(channels) > samples:
        warnings.append(
            f"{path} has {len(channels)} channels of {samples} samples; save its transpose if that is wrong"
        )
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype=dtype,
        samples=samples,
        parts=(Part(path, offset, samples),),
        channels=channels,
        rest_bytes=rest,
        warnings=(*warnings, *cut_warning(path, size, end)),
    )
