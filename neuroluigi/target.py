"""Files of results: their temporary paths, their checks, and their commit together with the run record.

A commit of several files is all or none, whenever it is killed. The files are whole, under temporary names, before a
*pending* record names them; from then on the next look finishes what was begun: it renames what is left to rename, and
last the pending record itself. While a pending record is there, its step counts as not done.
"""

import itertools
import json
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import filelock
import luigi

from neuroluigi import records


class DamagedError(ValueError):
    """A file that is not what it should be; the message says which and why."""


def check_json(path: Path) -> None:
    """Raise DamagedError unless the file is JSON."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedError(f"{path} is not valid JSON: {error}") from error


def check_npy(path: Path) -> None:
    """Raise DamagedError unless the file is a .npy array of the size that its header says."""
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


CHECKS: Mapping[str, Callable[[Path], None]] = {".json": check_json, ".npy": check_npy, ".png": check_png}


class RecordingTarget(luigi.Target):
    """The file of a recording that is there already; never written to."""

    def __init__(self, path: str, header_bytes: int = 0, sha256: str = ""):
        self.path = path
        self.header_bytes = header_bytes
        self.sha256 = sha256

    def exists(self) -> bool:
        return os.path.isfile(self.path)  # noqa: PTH113

    def __str__(self) -> str:
        return self.path


class ResultTarget(luigi.Target):
    """One file that a step makes. A pipeline's own formats subclass this: `check` their content, `load` it."""

    header_bytes = 0

    def __init__(self, path: str | Path, record: str | Path):
        self.path = os.fspath(path)
        self.record = os.fspath(record)

    def exists(self) -> bool:
        """Whether the file is there; a commit that was interrupted first has to be finished."""
        # Not Path.is_file(): that raises where a folder can't be read, and complete() must not.
        return os.path.isfile(self.path) and not os.path.exists(pending_path(self.record))  # noqa: PTH110, PTH113

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


def pending_path(record: str | Path) -> Path:
    """Return where the record waits while its files are being renamed."""
    return Path(records.beside(record, ".pending.json"))


def lock(folder: Path) -> filelock.FileLock:
    """Return the lock that a step holds while it commits into `folder`; the system frees it when its holder dies."""
    return filelock.FileLock(folder / ".lock")


def commit(
    parts: Mapping[Path, Path],
    record_path: Path,
    record: dict,
    obsolete: Iterable[Path] = (),
    is_done: Callable[[], bool] = lambda: False,
) -> bool:
    """Rename all parts {temporary: final} and write the record, all or none; then remove `obsolete` files.

    Returns False, and leaves everything as it is, where `is_done` says that another run was faster: a file that others
    read already is not replaced by its equal.
    """
    folder = record_path.parent
    renames = []
    for part, final in parts.items():
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        renames.append(
            {"part": os.path.relpath(part, folder), "final": os.path.relpath(final, folder), **_identity(part)}
        )
    with lock(folder):
        _finish(record_path)
        if is_done():
            return False
        records.write(pending_path(record_path), {**record, "renames": renames})
        _finish(record_path)
        for path in obsolete:
            path.unlink(missing_ok=True)
    return True


def recover(record_path: Path, folder: Path) -> None:
    """Finish a commit that was killed, and remove the temporary files of processes of this host that are gone."""
    with lock(record_path.parent):
        _finish(record_path)
        for place in {folder, record_path.parent}:
            records.clear_away(place)


def put_aside(paths: Iterable[Path]) -> list[Path]:
    """Keep files that are damaged under another name, <name>.damaged or <name>.damaged-2; return those."""
    kept = []
    for path in paths:
        if path.exists():
            names = itertools.chain([".damaged"], (f".damaged-{number}" for number in itertools.count(2)))
            kept.append(next(aside for name in names if not (aside := path.with_name(path.name + name)).exists()))
            path.replace(kept[-1])
    return kept


def _identity(path: Path) -> dict:
    stat = path.stat()
    return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _is_copy(final: Path, record: Mapping, rename: Mapping) -> bool:
    """Whether a file is what the record describes, though copied or touched since."""
    outputs = record.get("outputs")
    if not outputs or final.stat().st_size != rename["bytes"]:
        return False
    named = [one["sha256"] for one in outputs if Path(one["path"]).name == final.name]
    # Of the log no checksum is known.
    return not named or records.hash_file(final) in named


def _names_renames(record: Mapping) -> bool:
    renames = record.get("renames")
    return isinstance(renames, list) and all(
        isinstance(one, dict) and {"part", "final"} <= one.keys() for one in renames
    )


def _finish(record_path: Path) -> None:
    """Carry out what a pending record says; needs the folder's lock."""
    pending = pending_path(record_path)
    record = records.read(pending)
    if not record or not _names_renames(record):
        # Whatever it is, no commit wrote it.
        pending.unlink(missing_ok=True)
        return
    folder = record_path.parent
    is_whole = True
    for rename in record.pop("renames"):
        part, final = folder / rename.pop("part"), folder / rename.pop("final")
        if part.exists():
            part.replace(final)
            records.sync_folder(final.parent)
        # Someone may have removed a part by hand: then the file under the final name is not the record's.
        is_whole &= final.is_file() and (_identity(final) == rename or _is_copy(final, record, rename))
    if is_whole:
        records.write(record_path, record)
    pending.unlink()
