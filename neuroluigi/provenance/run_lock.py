"""Runs at the same time on one folder of results: those whose settings agree run side by side, others wait.

A run has a file in results/.runs and holds a lock on it until it ends. The system frees the lock however it ends, so
that files which a killed run left are recognised, on all machines that share the folder.
"""

import contextlib
import logging
import os
import random
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import filelock
import psutil

from neuroluigi.provenance.files import read_json, write_json
from neuroluigi.provenance.secret_values import agree, without_seals

logger = logging.getLogger("luigi-interface")

_POLL_SECONDS = 0.5
_TRIES = 10


@contextlib.contextmanager
def side_by_side(results: Path, settings: Mapping[str, str], command: str) -> Iterator[None]:
    """Wait for the end of runs with other settings, and make such runs wait until the context ends.

    `settings` are those that determine the results, by name; two runs agree if each name that both have has the same
    value. `command` is what other runs print while they wait.
    """
    was_there, has_warned = results.is_dir(), False
    path = _path(results, socket.gethostname(), os.getpid())
    lock = filelock.FileLock(path.with_suffix(".lock"))
    while True:
        try:
            _enter(path, lock, {"command": command, "settings": dict(settings)})
        except OSError:
            # Where nothing can be written, nothing is made; the step that tries fails with the reason.
            yield
            return
        # Each run writes its file before it reads those of others, so of two at least one finds the other.
        other = _other(path, settings)
        if not other:
            break
        _leave(path, lock)
        if not has_warned:
            has_warned = True
            logger.warning("waiting for another run on these results, which has other settings: %s", other)
        time.sleep(_POLL_SECONDS * (0.5 + random.random()))
    try:
        yield
    finally:
        _leave(path, lock)
        if not was_there:
            with contextlib.suppress(OSError):
                results.rmdir()


def _enter(path: Path, lock: filelock.FileLock, run: Mapping) -> None:
    """Write the file of this run and lock it. Raises OSError where that is impossible."""
    for left in reversed(range(_TRIES)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _lock_current_file(lock)
            write_json(path, run)
        except FileNotFoundError:
            # Another run, the only one so far, ended at this moment and removed the folder.
            lock.release()
            if not left:
                raise
        else:
            return


def _lock_current_file(lock: filelock.FileLock) -> None:
    """Acquire a lock on the file that has its name now.

    Another run that found this one gone may have removed the file while this run waited for its lock; a lock on a
    removed file excludes nobody.
    """
    while True:
        lock.acquire()
        try:
            filelock.FileLock(lock.lock_file).acquire(timeout=0).lock.release()
        except filelock.Timeout:
            return
        lock.release()


def _leave(path: Path, lock: filelock.FileLock) -> None:
    _remove(path, lock)
    # Only the last one succeeds.
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _remove(path: Path, lock: filelock.FileLock) -> None:
    # First the file, as without it no one asks for the lock; then the lock's file, still locked, so that whoever waits
    # for it notices that it is gone. Windows removes no file that is open: there it goes last.
    lock_file = path.with_suffix(".lock")
    for one in (path, lock_file):
        with contextlib.suppress(OSError):
            one.unlink()
    lock.release()
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            lock_file.unlink()


def _path(results: Path, host: str, pid: int) -> Path:
    return results / ".runs" / f"{host}-{pid}.json"


def running(results: Path) -> list[str]:
    """Return a line for each run at work on these results: command, process and host."""
    return [_described(path, run) for path, run in _alive(results / ".runs")]


def others(results: Path) -> list[str]:
    """Return the lines of `running` without the run of this process."""
    own = _path(results, socket.gethostname(), os.getpid())
    return [_described(path, run) for path, run in _alive(own.parent) if path != own]


def is_running(results: Path, host: str, pid: int) -> bool:
    """Whether the run of that process, on that host, is at work on these results."""
    path = _path(results, host, pid)
    return any(one == path for one, _ in _alive(path.parent))


def _other(own: Path, settings: Mapping[str, str]) -> str:
    """Return a run at work with other settings, and up to three of these; "" where there is none."""
    for path, run in _alive(own.parent):
        theirs = run.get("settings", {})
        differing = [name for name in settings.keys() & theirs.keys() if not agree(theirs[name], settings[name])]
        if path != own and differing:
            values = (f"{name} {theirs[name]}, here {settings[name]}" for name in sorted(differing)[:3])
            return without_seals(f"{_described(path, run)} ({'; '.join(values)})")
    return ""


def _alive(folder: Path) -> Iterator[tuple[Path, dict]]:
    # What another program or person left there, or behind a link, is none of a run, and is not removed.
    there = [] if folder.is_symlink() else sorted(folder.glob("*.json"))
    for path in (path for path in there if "command" in (read_json(path) or {})):
        lock = filelock.FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except OSError as error:
            # A lock that can't be opened, such as another user's, may be held.
            if isinstance(error, filelock.Timeout) or not _has_ended(path):
                yield path, read_json(path) or {}
        else:
            # What is left of a run that was killed.
            _remove(path, lock)


def _has_ended(path: Path) -> bool:
    """Whether the run is one of this machine whose process does not exist."""
    host, _, pid = path.stem.rpartition("-")
    return host == socket.gethostname() and not (pid.isdecimal() and psutil.pid_exists(int(pid)))


def _described(path: Path, run: Mapping) -> str:
    host, _, pid = path.stem.rpartition("-")
    return f"{run.get('command', 'a run')}, process {pid} on {host}"
