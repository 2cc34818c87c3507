"""The register of a run: what it is, whether it is alive, and in which folders its processes write temporary files.

It lies in results/.runs under a random id:

    ID.json      its note: command, settings, and who runs it, for people
    ID.lock      locked by all processes of the run as long as they live; the system frees it however they end
    ID.folders   each folder that has temporary files of it, a JSON string per line, before the first one is there

A run whose lock nobody holds was killed. The lock works over all machines that share the folder.
"""

import contextlib
import errno
import json
import multiprocessing
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from neuroluigi.provenance.files import only_regular, read_bytes, read_json, write_json
from neuroluigi.provenance.locks import whoever
from neuroluigi.provenance.parts import RUN_ID, is_part, name_parts_by, new_run_id

if sys.platform != "win32":
    import fcntl

# "PID ID RESULTS": the process that opened the register, for those that it spawns.
_VARIABLE = "NEUROLUIGI_RUN"
_TRIES = 10
# Where a disk knows no locks.
LOCK_ERRORS = (OSError, NotImplementedError)

_current: "Register | None" = None


def register_folder(results: Path) -> Path:
    """Return the folder of the registers of all runs on these results."""
    return results / ".runs"


class Register:
    """The register of a run on a folder of results. `note` is plain data; `write_note` after it was changed."""

    def __init__(self, results: Path, run_id: str, note: Mapping[str, Any]):
        self.results, self.id, self.note = results, run_id, dict(note)
        self.folder = register_folder(results)
        self.path = self.folder / f"{run_id}.json"
        self._lock: Lock | None = None
        self._before: Register | None = None
        self._noted: set[Path] = {self.folder}
        self._pid = os.getpid()

    @classmethod
    def open(cls, results: Path, note: Mapping[str, Any]) -> "Register":
        """Open a register, under which all temporary files of this process and its children are from now on.

        Raises one of LOCK_ERRORS where it can't be written, or not be locked.
        """
        for left in reversed(range(_TRIES)):
            register = cls(results, new_run_id(), {**note, **whoever()})
            try:
                if register.folder.is_symlink():
                    raise OSError(errno.ELOOP, "is a link, which is not followed", str(register.folder))
                _make_as_its_parent(register.folder)
                register._lock = Lock.shared(register.path.with_suffix(".lock"), os.O_CREAT | os.O_EXCL)
                register.note["lock"] = register.path.with_suffix(".lock").stat().st_ino
                register._use()
                register.write_note()
                break
            except BaseException as error:
                register.close()
                remove_register(register.path)
                # Another one, the only one so far, ended at this moment and removed the folder, or this new lock.
                if not (left and isinstance(error, (FileNotFoundError, FileExistsError))):
                    raise
        os.environ[_VARIABLE] = f"{register._pid} {register.id} {results}"
        return register

    def _use(self) -> None:
        global _current
        self._before, _current = _current, self
        name_parts_by(self.id, self.note_folder)

    def end(self) -> None:
        """Note that the run is at work no more, though a child of it may live on. Raises OSError."""
        if self.note.pop("settings", None) is not None:
            self.write_note()

    def write_note(self) -> None:
        """Write the note as it is now; a kill leaves the old or the new one. Raises OSError."""
        write_json(self.path, self.note, is_durable="boot" in self.note)

    def note_folder(self, folder: Path) -> None:
        """Note, once in each process, that there may be temporary files of this run in a folder. Raises OSError."""
        if folder in self._noted:
            return
        try:
            where = os.path.relpath(folder, self.results).replace(os.sep, "/")
        except ValueError:  # on another drive of Windows
            where = os.fspath(folder)
        # What an earlier process could not write to the end spoils no line after it.
        descriptor = only_regular(self.path.with_suffix(".folders"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"\n{json.dumps(where)}\n".encode())
        finally:
            os.close(descriptor)
        self._noted.add(folder)

    def close(self) -> None:
        """Be no register of this process any more; the lock is free once its children have ended too."""
        global _current
        if self._pid != os.getpid():
            return
        if _current is self:
            _current = self._before
            name_parts_by(*((_current.id, _current.note_folder) if _current else ()))
            os.environ.pop(_VARIABLE, None)
            if _current:
                os.environ[_VARIABLE] = f"{_current._pid} {_current.id} {_current.results}"
        if self._lock:
            self._lock.release()


def current(results: Path | None = None) -> Register | None:
    """Return the register that this process writes under, of these results or of any; None where there is none."""
    global _current
    if _current is None:
        pid, _, rest = os.environ.get(_VARIABLE, "").partition(" ")
        parent = multiprocessing.parent_process()
        if parent and pid == str(parent.pid):
            _join(*rest.split(" ", 1))
    return _current if _current and results in (None, _current.results) else None


def _make_as_its_parent(folder: Path) -> None:
    """Make a folder, where there is none, in which everybody may write who may write in the one above it.

    Or the runs of one user of results that several share would not know those of another one. Raises OSError.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return
    with contextlib.suppress(OSError):
        folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode))


def _join(run_id: str, results: str) -> None:
    """Write under the register of the parent, in a process that was spawned."""
    register = Register(Path(results), run_id, read_json(register_folder(Path(results)) / f"{run_id}.json") or {})
    # Windows locks for one process alone.
    with contextlib.suppress(*LOCK_ERRORS):
        if sys.platform != "win32":
            register._lock = Lock.shared(register.path.with_suffix(".lock"))
        register._use()


class Lock:
    """A lock on a file: shared by the processes of a run, forks included, or for one process alone."""

    def __init__(self, path: Path, descriptor: int | None, lock: filelock.BaseFileLock | None = None):
        self._path, self._descriptor, self._lock = path, descriptor, lock

    @classmethod
    def shared(cls, path: Path, flags: int = 0) -> "Lock":
        """Lock a file together with the other processes of a run. Raises one of LOCK_ERRORS."""
        lock = cls._locked(path, flags, is_alone=False)
        if lock is None or not path.exists():
            raise FileNotFoundError(path)
        return lock

    @classmethod
    def alone(cls, path: Path, flags: int = 0) -> "Lock | None":
        """Lock a file for this process alone; None where others have it. Raises one of LOCK_ERRORS."""
        return cls._locked(path, flags, is_alone=True)

    @classmethod
    def _locked(cls, path: Path, flags: int, is_alone: bool) -> "Lock | None":
        if sys.platform == "win32":
            lock = filelock.FileLock(path)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                return None
            return cls(path, None, lock)
        else:
            try:
                descriptor = only_regular(path, os.O_RDWR | flags)
            except PermissionError:
                # Another user's; to lock it on a local disk, it is enough to read it.
                descriptor = only_regular(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BaseException as error:
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    return None
                raise
            return cls(path, descriptor)

    def release(self) -> None:
        """Free the lock, as far as this process holds it."""
        if self._lock:
            self._lock.release()
        elif self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def registers(results: Path) -> Iterator[tuple[Path, dict]]:
    """Yield the notes of all registers, and their paths; those of earlier releases too, HOST-PID.json.

    What another program or person left there, or behind a link, is none.
    """
    for path in _files(register_folder(results), ".json"):
        if re.fullmatch(rf"{RUN_ID}|.+-\d+", path.stem, re.DOTALL) and not is_part(path):
            note = read_json(path) or {}
            if isinstance(note.get("command"), str) and isinstance(note.get("settings", {}), dict):
                yield path, note


def unfinished_registers(results: Path) -> list[Path]:
    """Return the paths of registers with a lock and no note: their runs are about to begin, or were killed then."""
    locks = [one for one in _files(register_folder(results), ".lock") if re.fullmatch(RUN_ID, one.stem)]
    return [path for path in (lock.with_suffix(".json") for lock in locks) if not os.path.lexists(path)]


def _files(folder: Path, suffix: str) -> list[Path]:
    """Return the files in a folder of registers, sorted: none where it is a link, or is removed at this moment."""
    try:
        names = [] if folder.is_symlink() else os.listdir(folder)
    except OSError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(suffix)]


def is_alive(path: Path) -> bool:
    """Whether any process of the run with this register lives; so it seems where the lock can't be tried."""
    try:
        lock = Lock.alone(path.with_suffix(".lock"))
    except FileNotFoundError:
        return False
    except LOCK_ERRORS:
        return True
    if lock:
        lock.release()
    return lock is None


def is_copy(path: Path, note: Mapping) -> bool:
    """Whether a register was copied with its results: that nobody holds its lock says nothing of the run."""
    try:
        return note.get("lock") != path.with_suffix(".lock").stat().st_ino
    except OSError:
        return True


def remove_register(path: Path) -> None:
    """Remove the register at `path`, and the folder of registers with the last one, as far as that is possible."""
    # The lock goes last: where there is nothing but that, nothing is left to do.
    for suffix in (".folders", ".unflushed", ".json", ".lock"):
        with contextlib.suppress(OSError):
            path.with_suffix(suffix).unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def noted_folders(path: Path, results: Path) -> list[Path]:
    """Return the absolute folders that a register names, each once; lines that are no text are passed over."""
    found = {path.parent: None}
    with contextlib.suppress(OSError):
        for line in read_bytes(path.with_suffix(".folders")).splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                if isinstance(where := json.loads(line), str) and b"\0" not in os.fsencode(where):
                    found[Path(os.path.normpath(results / where))] = None
    return list(found)
