"""Raw samples: a flat little-endian binary file, channels interleaved, after a header of known length."""

import hashlib
import os
import stat

from neuroluigi.recordings.recording import Recording, RecordingsError


def measure(
    recording: Recording, partial_sample: str, path: str = "", header_bytes: int | None = None, size: int | None = None
) -> tuple[int, int]:
    """Return (samples per channel, bytes of an incomplete last sample) of a recording's file.

    `path` and `header_bytes` name another file with the same samples, such as the result of a step per recording;
    `size` is its size in bytes if it is not made yet.
    Raises RecordingsError where the file is not there, has no samples, or ends in the middle of one and
    `partial_sample` is not "drop".
    """
    path = path or recording.path
    header_bytes = recording.header_bytes if header_bytes is None else header_bytes
    try:
        size = _size_of(path) if size is None else size
    except OSError as error:
        raise RecordingsError(
            f"{recording.origin}, column path: {recording.name!r} can't be read as a file ({path}: {error.strerror})"
        ) from error
    samples, rest = divmod(size - header_bytes, recording.bytes_per_sample)
    if samples <= 0:
        raise RecordingsError(
            f"{recording.origin}: {path} has no samples: {size} bytes, header {header_bytes} bytes,"
            f" {recording.bytes_per_sample} bytes per sample ({recording.dtype}, {recording.channels} channels)"
        )
    if rest and partial_sample != "drop":
        raise RecordingsError(
            f"{recording.origin}: {path} has {size} bytes, header {header_bytes} bytes; that is not a whole number of"
            f" samples of {recording.bytes_per_sample} bytes ({recording.dtype}, {recording.channels} channels),"
            f" {rest} bytes are left; check dtype and channels, or set [recordings] partial_sample = drop to drop them"
        )
    return samples, rest


def _size_of(path: str) -> int:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise OSError(0, "it is not there") from None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no regular file")
    return found.st_size


def fake_samples(session: str, index: int, size: int) -> bytes:
    """Return `size` pseudorandom bytes that depend on session and index alone, the same on every machine."""
    return hashlib.shake_256(f"{session}/{index}".encode()).digest(size)
