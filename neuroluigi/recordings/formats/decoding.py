"""Samples that don't lie in their files as they are, block by block: memory does not depend on their number."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from neuroluigi.recordings.formats.reader import RecordedFile
from neuroluigi.recordings.recording import RecordingsError

if TYPE_CHECKING:
    import numpy as np

# What one block has of a file, at most where the format leaves a choice.
BLOCK_BYTES = 1 << 22


def decoded_blocks(recorded: RecordedFile) -> Iterator["np.ndarray"]:
    """Yield the samples of an encoded recording in blocks: C-contiguous, (samples, channels), little-endian `dtype`.

    Raises RecordingsError where its files can't be decoded, or don't have what their header says.
    """
    import numpy as np

    if recorded.decode is None:
        raise RecordingsError(f"{recorded.path} lies in its files as it is: there is nothing to decode")
    dtype, found = np.dtype(recorded.dtype).newbyteorder("<"), 0
    try:
        for block in recorded.decode():
            found += len(block)
            if block.ndim != 2 or block.shape[1] != len(recorded.channels) or found > recorded.samples:
                raise RecordingsError(
                    f"{recorded.path} has samples of shape {block.shape} up to sample {found}, by its header"
                    f" {recorded.samples} of {len(recorded.channels)} channels; it was changed, or is damaged"
                )
            yield np.ascontiguousarray(block, dtype)
    except OSError as error:
        raise RecordingsError(f"{recorded.path} can't be decoded: {error.strerror or error}") from error
    if found != recorded.samples:
        raise RecordingsError(
            f"{recorded.path} has {found} samples, {recorded.samples} by its header; it was changed or is damaged: copy"
            " it again from where it was recorded"
        )


def blocks_of(samples: int, bytes_per_sample: int) -> Iterator[tuple[int, int]]:
    """Yield the first sample of each block of about BLOCK_BYTES, and how many it has."""
    count = max(1, BLOCK_BYTES // bytes_per_sample)
    for first in range(0, samples, count):
        yield first, min(count, samples - first)


def read_whole(path: str, file: BinaryIO, count: int) -> bytes:
    """Return the next bytes of a file. Raises RecordingsError where it ends before."""
    content = file.read(count)
    if len(content) != count:
        raise RecordingsError(f"{path} ends too early, at byte {file.tell()}; it was changed, or is damaged")
    return content


def int32_of(content: bytes) -> "np.ndarray":
    """Return the integers of 24 bits in `content`, little-endian, as int32: (n,)."""
    import numpy as np

    values = np.zeros((len(content) // 3, 4), np.uint8)
    values[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
    # Down again, the shift repeats the sign.
    return values.view("<i4")[:, 0] >> 8
