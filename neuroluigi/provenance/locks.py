"""Locks that are waited for: whoever waits long is told who holds the lock."""

import contextlib
import functools
import getpass
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from neuroluigi.provenance.files import only_regular, read_json

logger = logging.getLogger("luigi-interface")

# A commit takes milliseconds; a process that was stopped holds its locks for as long as it is.
TOLD_SECONDS = 10.0


@contextlib.contextmanager
def waited_lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock on a file while the context lasts, after any time; the system frees it when the process ends.

    After TOLD_SECONDS a warning says that this waits for the lock of `what`, and who holds it. Raises OSError.
    """
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=TOLD_SECONDS)
    except filelock.Timeout:
        logger.warning("waiting for the lock of %s, %s: %s", what, path, _holder(path))
        lock.acquire()
    try:
        # For people: without it the lock is as good. A lock has no name on Windows, where nobody else can read it.
        with contextlib.suppress(OSError), open(path, "r+", encoding="utf-8", opener=only_regular) as file:
            json.dump(whoever(), file)
            file.truncate()
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    found = read_json(path) or {}
    if not {"host", "pid", "user"} <= found.keys():
        return "who holds it is not known"
    return f"it is held by process {found['pid']} of {found['user'] or 'a user without a name'} on {found['host']}"


def whoever() -> dict[str, Any]:
    """Return host, process id and user of this process, for people."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "user": _user()}


@functools.cache
def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # Windows; a container without an entry for this user
        return ""
