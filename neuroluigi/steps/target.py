"""Targets: the files of recordings and of results, and the checks that a file is whole by its own format."""

import codecs
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import luigi

from neuroluigi.provenance.commit import pending_path


class DamagedError(ValueError):
    """A file that is not what its format demands; the message has its name and the reason."""


def check_json(path: Path) -> None:
    """Raise DamagedError unless the file is JSON."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedError(f"{path} is not valid JSON: {error}") from error


def check_npy(path: Path) -> None:
    """Raise DamagedError unless the file is a .npy array of the size in its header."""
    import numpy as np

    try:
        np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise DamagedError(f"{path} is not a whole .npy file: {error}") from error


def check_png(path: Path) -> None:
    """Raise DamagedError unless the file begins and ends as a PNG picture does."""
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(max(0, path.stat().st_size - 12))
        end = file.read()
    if start != b"\x89PNG\r\n\x1a\n" or end != struct.pack(">I4sI", 0, b"IEND", 0xAE426082):
        raise DamagedError(f"{path} is not a whole PNG picture")


def check_text(path: Path) -> None:
    """Raise DamagedError for a text file with zero bytes, which a power cut leaves; any encoding will do."""
    with path.open("rb") as file:
        is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        file.seek(0)
        if not is_utf16 and any(b"\0" in block for block in iter(lambda: file.read(_BLOCK), b"")):
            raise DamagedError(f"{path} is not text: it has zero bytes")


CHECKS: Mapping[str, Callable[[Path], None]] = {
    ".json": check_json,
    ".npy": check_npy,
    ".png": check_png,
    **dict.fromkeys((".csv", ".tsv", ".txt"), check_text),
}
_BLOCK = 1 << 20


class RecordingTarget(luigi.Target):
    """The file of an existing recording; never written to.

    The samples begin after `header_bytes`; `sha256` is that of the table, "" for none; `recording` is its session and
    index: "a/0".
    """

    def __init__(self, path: str, header_bytes: int = 0, sha256: str = "", recording: str = ""):
        self.path = path
        self.recording = recording
        self.header_bytes = header_bytes
        self.sha256 = sha256

    def exists(self) -> bool:
        return os.path.isfile(self.path)  # noqa: PTH113

    def __str__(self) -> str:
        return self.path


class ResultTarget(luigi.Target):
    """One file that a step makes. A pipeline's own formats subclass this: `check` their content, `load` it.

    A step gets it by self.result(NAME), with its run record. A script or notebook needs no record:
    targets.Edges("results/a-even/edges.npy").load().
    """

    header_bytes = 0

    def __init__(self, path: str | Path, record: str | Path = ""):
        self.path = os.fspath(path)
        self.record = os.fspath(record)

    def exists(self) -> bool:
        """Return whether the file is there; not while a commit of it that was interrupted is still to be finished."""
        # Not Path.is_file(): that raises where a folder can't be read, and complete() must not.
        is_pending = self.record and os.path.exists(pending_path(self.record))  # noqa: PTH110
        return os.path.isfile(self.path) and not is_pending  # noqa: PTH113

    @property
    def has_format(self) -> bool:
        """Whether check() knows the format, and so tells a file that was cut short from one that was edited."""
        return type(self).check is not ResultTarget.check or os.path.splitext(self.path)[1] in CHECKS  # noqa: PTH122

    def check(self, path: Path) -> None:
        """Raise DamagedError unless `path` holds what this target should: by default by its extension."""
        if path.is_dir():
            raise DamagedError(f"{path.name} is a folder; a result is a file")
        if not path.is_file():
            raise DamagedError(f"{path.name} was not written")
        if path.stat().st_size == 0:
            raise DamagedError(f"{path.name} is empty")
        if path.suffix in CHECKS:
            CHECKS[path.suffix](path)

    def __str__(self) -> str:
        return self.path
