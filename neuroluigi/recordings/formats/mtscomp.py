"""Samples that mtscomp has compressed: a .cbin of chunks, and a .ch beside it that says where each of them is.

Source: mtscomp 1.0 of the International Brain Laboratory. A chunk is compressed by zlib, after differences in time, and
between channels if so asked for, have taken the place of values.
"""

import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from neuroluigi.recordings.formats.binary import opened
from neuroluigi.recordings.formats.decoding import read_whole
from neuroluigi.recordings.formats.reader import MOST_CHANNELS, as_count, as_text, read_json, size_of
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

# One second of 385 channels has 23 MB.
_MOST_CHUNK_BYTES = 1 << 28
# What zlib makes of zeros, and nothing gets smaller.
_MOST_COMPRESSED = 1100


class Compressed(NamedTuple):
    """What a .ch says of a .cbin of int16: the first sample and the first byte of each chunk, and of what follows."""

    path: str
    channels: int
    first_samples: tuple[int, ...]
    offsets: tuple[int, ...]
    is_column_major: bool
    is_difference_in_time: bool
    is_difference_of_channels: bool

    @property
    def samples(self) -> int:
        """Samples of all channels."""
        return self.first_samples[-1]


def read_compressed(path: str, index_path: str) -> Compressed:
    """Return what a .ch says of a .cbin. Raises RecordingsError where it can't be so."""
    said, size = read_json(index_path), size_of(path)
    channels, dtype = as_count(said.get("n_channels")), said.get("dtype")
    first_samples, offsets = (_rising(said.get(name)) for name in ("chunk_bounds", "chunk_offsets"))
    if not channels or channels > MOST_CHANNELS or len(first_samples) != len(offsets) or len(offsets) < 2:
        raise RecordingsError(
            f"{index_path} has to say n_channels, and chunk_bounds and chunk_offsets of as many chunks; it was cut off"
            " or is damaged: copy it again from where it was compressed"
        )
    if (said.get("algorithm"), dtype) != ("zlib", "int16"):
        raise RecordingsError(
            f"{index_path} says algorithm={as_text(said.get('algorithm'))}, dtype={as_text(dtype)}; read is int16 by"
            " zlib: decompress it by mtscomp"
        )
    if offsets[-1] != size:
        raise RecordingsError(f"{path} has {size} bytes, {offsets[-1]} by {index_path}; copy it again, it was cut off")
    for (first, last), (start, end) in zip(pairwise(first_samples), pairwise(offsets), strict=True):
        unpacked = 2 * channels * (last - first)
        if unpacked > min(_MOST_CHUNK_BYTES, _MOST_COMPRESSED * (end - start)):
            raise RecordingsError(
                f"{index_path} says a chunk of {last - first} samples in {end - start} bytes, which can't be; copy it"
                " again from where it was compressed"
            )
    return Compressed(
        path,
        channels,
        first_samples,
        offsets,
        said.get("chunk_order", "F") == "F",
        said.get("do_time_diff", True) is True,
        said.get("do_spatial_diff", False) is True,
    )


def decode(compressed: Compressed) -> Iterator["np.ndarray"]:
    """Yield the samples of each chunk, int16 of (samples, channels)."""
    import numpy as np

    with opened(compressed.path) as file:
        file.seek(compressed.offsets[0])
        chunks = zip(pairwise(compressed.first_samples), pairwise(compressed.offsets), strict=True)
        for (first, last), (start, end) in chunks:
            shape = last - first, compressed.channels
            content = _unpacked(
                compressed.path, read_whole(compressed.path, file, end - start), 2 * shape[0] * shape[1]
            )
            values = np.frombuffer(content, "<i2").reshape(shape, order="F" if compressed.is_column_major else "C")
            # Sums of int16 wrap around as the differences did.
            if compressed.is_difference_of_channels:
                values = np.cumsum(values, axis=1, dtype=np.int16)
            if compressed.is_difference_in_time:
                values = np.cumsum(values, axis=0, dtype=np.int16)
            yield values


def _unpacked(path: str, content: bytes, size: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(content, size)
        is_whole = len(unpacked) == size and not unpacker.decompress(unpacker.unconsumed_tail, 1)
    except zlib.error as error:
        raise RecordingsError(f"{path} has a chunk that can't be decompressed: {error}; copy it again") from None
    if not is_whole:
        raise RecordingsError(f"{path} has a chunk that is not of {size} bytes; copy it again, it was damaged")
    return unpacked


def _rising(values: object) -> tuple[int, ...]:
    """Return whole numbers, each larger than the one before, the first of which is 0; () for anything else."""
    found = [as_count(value) for value in values] if isinstance(values, list) else []
    known = [value for value in found if value is not None]
    is_rising = len(known) == len(found) and known[:1] == [0] and all(a < b for a, b in pairwise(known))
    return tuple(known) if is_rising else ()
