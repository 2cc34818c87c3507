"""Raw samples: a flat little-endian binary file, channels interleaved, after a header of known length."""

import hashlib
import os
import stat
from dataclasses import replace

from neuroluigi.recordings.formats.reader import Part, RecordedFile
from neuroluigi.recordings.formats.signatures import START_BYTES, format_of
from neuroluigi.recordings.recording import RAW, Recording, RecordingsError


def measure(recording: Recording, partial_sample: str, path: str = "", size: int | None = None) -> RecordedFile:
    """Return where the samples of a recording lie, and what is known of them; its files are there and can be read.

    `path` is another file with the same samples, such as the result of a step per recording: flat, without a header. It
    keeps the recording's counter where it has as many samples. `size` is its number of bytes where it is not there: it
    was dropped.
    Raises RecordingsError where a file is not there or can't be read, has no samples, ends in the middle of one and
    `partial_sample` is not "drop", or is of another format and no header is declared.
    """
    if path in ("", recording.path):
        if recording.recorded:
            return _measure_by_header(recording, recording.recorded, partial_sample)
        return _measure_flat(recording, partial_sample, recording.path, recording.header_bytes)
    if size is None:
        found = _measure_flat(recording, partial_sample, path, 0)
    else:
        found = _flat(recording, partial_sample, path, 0, size)
    recorded = recording.recorded
    if recorded and recorded.samples == found.samples:
        return replace(recorded, parts=found.parts, rest_bytes=found.rest_bytes)
    return found


def _measure_flat(recording: Recording, partial_sample: str, path: str, header_bytes: int) -> RecordedFile:
    """Return a recording that is all of a file behind a header."""
    try:
        # What a step of the pipeline makes as a recording is raw samples by its own declaration.
        found, start = (_stat(path), b"") if recording.made and path == recording.path else _stat_and_start(path)
    except OSError as error:
        raise RecordingsError(
            f"{recording.origin}, column path: {recording.name!r} can't be read as a file ({path}: {error.strerror})"
        ) from error
    size = found.st_size
    if not header_bytes:
        if what := format_of(path, start):
            raise RecordingsError(
                f"{recording.origin}: {path} is {what}, not raw samples; convert it, or declare header_bytes where"
                " its samples lie raw behind a header"
            )
        checked[path] = _identity(found)
    return _flat(recording, partial_sample, path, header_bytes, size)


def _flat(recording: Recording, partial_sample: str, path: str, header_bytes: int, size: int) -> RecordedFile:
    """Return a recording that is all of a file of so many bytes behind a header."""
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
    parts = (Part(path, header_bytes, samples),)
    return RecordedFile(RAW, path, {}, recording.dtype, samples=samples, parts=parts, rest_bytes=rest)


def _measure_by_header(recording: Recording, recorded: RecordedFile, partial_sample: str) -> RecordedFile:
    """Return what the header of a recording says, having seen that its files are there and can be read."""
    parts = recorded.parts or (recorded.first_file,)
    for path in dict.fromkeys(part.path for part in parts):
        try:
            checked[path] = _identity(_stat_and_start(path)[0])
        except OSError as error:
            raise RecordingsError(f"{recording.origin}: {path} can't be read: {error.strerror}") from error
    if recorded.rest_bytes and partial_sample != "drop":
        raise RecordingsError(
            f"{recording.origin}: {parts[-1].path} ends in the middle of a sample of"
            f" {recorded.bytes_per_sample} bytes, {recorded.rest_bytes} bytes after the last whole one; copy it again"
            " from where it was recorded, or set [recordings] partial_sample = drop to drop them"
        )
    return recorded


# The files that this process has opened and found right, with size and time: a plan measures each a second time.
checked: dict[str, tuple[int, int]] = {}


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _stat(path: str) -> os.stat_result:
    """Return os.stat of a regular file; OSError with the reason for anything else."""
    try:
        return _regular(os.stat(path))
    except FileNotFoundError:
        raise OSError(0, _why_missing(path)) from None


def _regular(found: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no regular file")
    return found


def _stat_and_start(path: str) -> tuple[os.stat_result, bytes]:
    """Return os.stat and the first bytes of a regular file, none of one that was checked before.

    Raises OSError with the reason for anything else.
    """
    if path in checked and _identity(found := _stat(path)) == checked[path]:
        return found, b""
    try:
        # Without waiting for whoever writes into a pipe. An opened file can be read, which stat() does not say.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise OSError(0, _why_missing(path)) from None
    try:
        return _regular(os.fstat(descriptor)), os.read(descriptor, START_BYTES)
    finally:
        os.close(descriptor)


def _why_missing(path: str) -> str:
    if os.path.islink(path):
        return f"it is a link to {os.readlink(path)}, which is not there; with git-annex or DataLad, get it first"
    return "it is not there"


def fake_samples(session: str, index: int, size: int) -> bytes:
    """Return `size` pseudorandom bytes that depend on session and index alone, the same on every machine."""
    return hashlib.shake_256(f"{session}/{index}".encode()).digest(size)
