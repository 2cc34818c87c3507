"""What a run has written and not flushed yet: named in its register before, so that a power cut can cost no truth.

A run on a local disk does not wait at each step until the files are safe. Before its first step it notes, and flushes,
the results that it may make; after a minute, and at its end, it flushes the disk, and notes what is left:

    results/.runs/ID.json        "durable": "run", and the machine and its start in which the run was at work
    results/.runs/ID.unflushed   {run record: [its outputs]}; all paths from the folder of results, or of the step

What is not named there is flushed by each commit.
"""

import contextlib
import functools
import json
import logging
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from neuroluigi.provenance.disks import Disk, boot_id, machine_id
from neuroluigi.provenance.files import flushed, read_json, sync_folder, write_text
from neuroluigi.provenance.register import Register, current

logger = logging.getLogger("luigi-interface")

_SECONDS = 60.0


class Unflushed:
    """Flushes what a run writes: regularly, in a thread, and at its end. `error` is the first that this met."""

    def __init__(self, register: Register, results: Mapping[Path, Sequence[Path]]):
        """Name the results that the run may make: {run record: outputs}. Raises OSError where that can't be noted."""
        self._register, self._path = register, _path_of(register.path)
        self._left = dict(_named_alike(register.results, results))
        self._done: set[str] = set()
        self._has_ended = threading.Event()
        self.error: OSError | None = None
        self._disk = Disk(register.results)
        try:
            self._begin()
        except OSError:
            self._disk.close()
            with contextlib.suppress(OSError):
                remove_unflushed(register.path)
            raise
        # Forks know it from here; what was asked before was asked of an empty list.
        _names_of.cache_clear()
        _names_of(register.path)
        self._thread = threading.Thread(target=self._flush_regularly, daemon=True)
        self._thread.start()

    def _begin(self) -> None:
        register = self._register
        self._write_left()
        register.note.update(durable="run", machine=machine_id(), boot=boot_id())
        register.write_note()
        _sync_folders_above(register.folder)

    def note_done(self, record_path: Path) -> None:
        """Note that a result is made, or needs not be: it is safe after the next flush."""
        self._done.add(_name_of(record_path, self._register.results))

    def end(self) -> None:
        """Flush, for the last time, what the run wrote."""
        self._has_ended.set()
        self._thread.join()
        self._flush()
        self._disk.close()

    def _flush_regularly(self) -> None:
        while not self._has_ended.wait(_SECONDS):
            if self._done:
                self._flush()

    def _flush(self) -> None:
        done = set(self._done)
        # The system tells of an error once, and calls the rest safe after that: nothing is, any more.
        if self.error is None:
            try:
                self._disk.flush()
                self._left = {name: outputs for name, outputs in self._left.items() if name not in done}
                self._done -= done
                self._write_left()
            except OSError as error:
                self._note_error(error)

    def _write_left(self) -> None:
        write_text(self._path, json.dumps(self._left))

    def _note_error(self, error: OSError) -> None:
        self.error = error
        logger.error(
            "what this run wrote can't be flushed to the disk of %s (%s): look at the disk, and run again",
            self._register.results,
            error.strerror or error,
        )
        self._register.note["boot"] = ""
        with contextlib.suppress(OSError):
            self._register.write_note()


def flushed_later(record_path: Path) -> contextlib.AbstractContextManager[None]:
    """Return the context in which a result is committed: without a flush where the run has named it."""
    register = current()
    is_named = register is not None and _name_of(record_path, register.results) in _names_of(register.path)
    return flushed(at_once=not is_named)


@functools.lru_cache(maxsize=1)
def _names_of(register_path: Path) -> frozenset[str]:
    """Return the run records that are named in a register; those of a run that is at work grow fewer, not more."""
    return frozenset(read_unflushed(register_path))


def read_unflushed(register_path: Path) -> dict[str, list[str]]:
    """Return what a register names as not flushed; what leads out of the folder of results is passed over."""
    found: dict[str, Any] = read_json(_path_of(register_path)) or {}
    return {name: outputs for name, outputs in found.items() if _is_result(name, outputs)}


def unflushed_folders(register_path: Path, results: Path) -> list[Path]:
    """Return the folders of the files that a register names as not flushed; it may have lost its other list."""
    records = [results / name for name in read_unflushed(register_path)]
    folders = dict.fromkeys(folder for one in records for folder in (one.parent, one.parent.parent))
    return [results, *folders] if records else []


def remove_unflushed(register_path: Path) -> None:
    """Remove the list of a register. Raises OSError."""
    _path_of(register_path).unlink(missing_ok=True)


def _path_of(register_path: Path) -> Path:
    return register_path.with_suffix(".unflushed")


def _is_result(record: str, outputs: Any) -> bool:
    path = PurePosixPath(record)
    is_record = _is_within(record) and path.suffix == ".json" and path.parent.name == "runs"
    return is_record and isinstance(outputs, list) and all(map(_is_within, outputs))


def _is_within(name: Any) -> bool:
    if not isinstance(name, str) or "\0" in name:
        return False
    # A run asks for each file twice.
    return not name.startswith("/") and ".." not in name.split("/") and "\\" not in name and name not in ("", ".")


def _name_of(path: Path, above: Path) -> str:
    """Return the path from a folder above; "" where it is not there."""
    text, top = os.fspath(path), os.fspath(above) + os.sep
    return text[len(top) :].replace(os.sep, "/") if text.startswith(top) else ""


def _named_alike(top: Path, results: Mapping[Path, Sequence[Path]]) -> Iterator[tuple[str, list[str]]]:
    """Yield the results on the disk of `top`, with no link on the way; what is elsewhere is flushed at once."""
    device = top.stat().st_dev

    @functools.cache
    def is_plain(folder: Path) -> bool:
        if folder == top:
            return True
        try:
            found = folder.lstat()
        except FileNotFoundError:
            return is_plain(folder.parent)
        return stat.S_ISDIR(found.st_mode) and found.st_dev == device and is_plain(folder.parent)

    for record_path, outputs in results.items():
        names = [_name_of(record_path, top), *(_name_of(one, record_path.parent.parent) for one in outputs)]
        if all(map(_is_within, names)) and all(is_plain(one.parent) for one in (record_path, *outputs)):
            yield names[0], names[1:]


def _sync_folders_above(folder: Path) -> None:
    """Flush a folder and those above it, of which each may be new, as far as they may be read."""
    for one in (folder, *folder.parents):
        with contextlib.suppress(PermissionError):
            sync_folder(one)


def records_of(names: Iterable[str], results: Path) -> frozenset[str]:
    """Return the paths of the run records with these names."""
    return frozenset(os.path.join(results, *name.split("/")) for name in names)
