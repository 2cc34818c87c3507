"""The commit of result files together with their run record: all or none, whenever it is killed.

The files are whole, under temporary names, before a *pending* record names them. If a commit is killed after that, the
next run finishes it: it renames the files that are left, and last the pending record itself. While there is a pending
record, its step counts as not done.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import filelock

from neuroluigi.provenance.files import (
    describe_file,
    hash_file,
    read_json,
    remove_abandoned,
    sync_folder,
    with_known_time,
    write_json,
)
from neuroluigi.provenance.record import read_record, sibling_path


def pending_path(record: str | Path) -> Path:
    """Return the path of the pending record: that of a record while its files are renamed."""
    return Path(sibling_path(record, ".pending.json"))


def folder_lock(folder: Path) -> filelock.FileLock:
    """Return the lock that a step holds while it commits into `folder`; the system frees it when its process ends."""
    return filelock.FileLock(folder / ".lock")


def commit(
    parts: Mapping[Path, Path],
    record_path: Path,
    record: dict,
    obsolete: Iterable[Path] = (),
    is_done: Callable[[], bool] = lambda: False,
) -> bool:
    """Rename all parts {temporary: final} and write the record, all or none; then remove `obsolete` files.

    Returns False, and changes nothing, if `is_done()` under the lock: another run was faster, and a file that others
    read already is not replaced by its equal. Raises OSError.
    """
    folder = record_path.parent
    renames = []
    for part, final in parts.items():
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        renames.append(
            {"part": os.path.relpath(part, folder), "final": os.path.relpath(final, folder), **_identity(part)}
        )
    with folder_lock(folder):
        _finish(record_path)
        if is_done():
            return False
        write_json(pending_path(record_path), {**record, "renames": renames})
        _finish(record_path)
        for path in obsolete:
            path.unlink(missing_ok=True)
    return True


def recover(record_path: Path, folder: Path) -> None:
    """Finish a commit that was killed, and remove the temporary files of processes of this host that have ended."""
    with folder_lock(record_path.parent):
        _finish(record_path)
        for one in {folder, record_path.parent}:
            remove_abandoned(one)


def follow_moved(record_path: Path, moved: Mapping[int, str], roots: Mapping[str, Path]) -> None:
    """Record where the inputs lie now that were moved or renamed, by their position in the record. Raises OSError."""
    with folder_lock(record_path.parent):
        # As it is, whatever its schema.
        record = read_json(record_path) or {}
        inputs = record.get("inputs", [])
        for position, path in moved.items():
            described = describe_file(Path(path), roots, inputs[position]["sha256"])
            kept = {name: value for name, value in inputs[position].items() if name != "root"}
            inputs[position] = {**kept, **with_known_time(described, time.time_ns())}
        write_json(record_path, record)


def put_aside(paths: Iterable[Path]) -> list[Path]:
    """Rename damaged files to <name>.damaged, or <name>.damaged-2 and so on; return the new paths."""
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
    # The record has no checksum of the log.
    return not named or hash_file(final) in named


def _names_renames(record: Mapping) -> bool:
    renames = record.get("renames")
    return isinstance(renames, list) and all(
        isinstance(one, dict) and {"part", "final"} <= one.keys() for one in renames
    )


def _finish(record_path: Path) -> None:
    """Carry out the renames of a pending record, if there is one; the caller holds the folder's lock."""
    pending = pending_path(record_path)
    record = read_record(pending)
    if not record or not _names_renames(record):
        # Another file of that name, which no commit wrote.
        pending.unlink(missing_ok=True)
        return
    folder = record_path.parent
    is_whole = True
    for rename in record.pop("renames"):
        part, final = folder / rename.pop("part"), folder / rename.pop("final")
        if part.exists():
            part.replace(final)
            sync_folder(final.parent)
        # If a part was removed by hand, the file under the final name is not the one that the record describes.
        is_whole &= final.is_file() and (_identity(final) == rename or _is_copy(final, record, rename))
    if is_whole:
        write_json(record_path, record)
    pending.unlink()
