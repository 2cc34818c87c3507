"""Runs at the same time on one folder of results: those whose settings agree go side by side, others wait.

A run leaves a file in results/.runs and holds a lock on it to its end, which the system frees however it ends; so what
a run that is gone left behind is known, on all machines that share the folder.
"""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import filelock

from neuroluigi import records

logger = logging.getLogger("luigi-interface")

_POLL_SECONDS = 0.5


@contextlib.contextmanager
def side_by_side(results: Path, settings: Mapping[str, str], command: str) -> Iterator[None]:
    """Keep away runs that would make the same files otherwise, for as long as the context lasts.

    `settings` are those that decide over what a result is, by name; two runs agree where each name that both have has
    the same value. Waits for the end of runs that don't.
    """
    folder, was_there = results / ".runs", results.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
    except OSError:
        # Where nothing can be written, nothing is made; whoever tries says so.
        yield
        return
    path = folder / f"{socket.gethostname()}-{os.getpid()}.json"
    mine, has_told = filelock.FileLock(path.with_suffix(".lock")), False
    while True:
        with filelock.FileLock(folder / ".lock"):
            other = _other(folder, path, settings)
            if not other:
                mine.acquire()
                records.write(path, {"command": command, "settings": dict(settings)})
                break
        if not has_told:
            has_told = True
            logger.warning("waiting for another run on these results, which has other settings: %s", other)
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        for one in (path, path.with_suffix(".lock")):
            with contextlib.suppress(OSError):
                one.unlink()
        mine.release()
        if not was_there and [one.name for one in results.iterdir()] == [folder.name]:
            # Nothing was made.
            with contextlib.suppress(OSError):
                (folder / ".lock").unlink()
                folder.rmdir()
                results.rmdir()


def running(results: Path) -> list[str]:
    """Return the runs that are at work on these results: command, host and process."""
    return [_described(path, run) for path, run in _alive(results / ".runs")]


def _other(folder: Path, own: Path, settings: Mapping[str, str]) -> str:
    """Return a run that is at work with other settings, and the settings; "" where there is none."""
    for path, run in _alive(folder):
        theirs = run.get("settings", {})
        differing = [name for name in settings.keys() & theirs.keys() if settings[name] != theirs[name]]
        if path != own and differing:
            values = (f"{name} {theirs[name]}, here {settings[name]}" for name in sorted(differing)[:3])
            return f"{_described(path, run)} ({'; '.join(values)})"
    return ""


def _alive(folder: Path) -> Iterator[tuple[Path, dict]]:
    for path in sorted(folder.glob("*.json")):
        lock = filelock.FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            yield path, records.read_json(path) or {}
        else:
            # What is left of a run that was killed.
            for one in (path, path.with_suffix(".lock")):
                one.unlink(missing_ok=True)
            lock.release()


def _described(path: Path, run: Mapping) -> str:
    host, _, pid = path.stem.rpartition("-")
    return f"{run.get('command', 'a run')}, process {pid} on {host}"
