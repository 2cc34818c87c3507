"""Locks that are waited for: whoever waits long is told who holds the lock."""

import contextlib
import functools
import getpass
import json
import logging
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from neuroluigi.provenance.files import only_regular, read_json

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger("luigi-interface")

# Options of NFS and Lustre: a lock is known to the machine alone that holds it.
_LOCAL = {"nolock", "local_lock=all", "local_lock=flock", "localflock"}
# A commit takes milliseconds; a process that was stopped holds its locks for as long as it is.
TOLD_SECONDS = 10.0


@contextlib.contextmanager
def waited_lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock on a file while the context lasts, after any time; the system frees it when the process ends.

    After TOLD_SECONDS a warning says that this waits for the lock of `what`, and who holds it. Raises OSError.
    """
    release = _taken_at_once(path) or _waited_for(path, what)
    try:
        yield
    finally:
        release()


def _taken_at_once(path: Path) -> Callable[[], None] | None:
    """Take a lock that nobody holds, and return what frees it; a commit waits for no other, and has no time to lose."""
    if sys.platform != "win32":
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_holder(descriptor)
            return functools.partial(os.close, descriptor)
        except BaseException as error:
            os.close(descriptor)
            if not isinstance(error, OSError):
                raise
    return None


def _write_holder(descriptor: int) -> None:
    """Write into the file of a lock who holds it, for people: without that the lock is as good."""
    holder = json.dumps(whoever()).encode()
    with contextlib.suppress(OSError):
        # It hardly ever changes hands, and a write to the disk takes longer than a look.
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.read(descriptor, len(holder) + 1) != holder:
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, holder)
            os.ftruncate(descriptor, len(holder))


def _waited_for(path: Path, what: str) -> Callable[[], None]:
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=TOLD_SECONDS)
    except filelock.Timeout:
        logger.warning("waiting for the lock of %s, %s: %s", what, path, _holder(path))
        lock.acquire()
    # Nobody else can read it on Windows, where a lock has no name.
    with contextlib.suppress(OSError):
        descriptor = only_regular(path, os.O_RDWR)
        try:
            _write_holder(descriptor)
        finally:
            os.close(descriptor)
    return lock.release


def _holder(path: Path) -> str:
    found = read_json(path) or {}
    if not {"host", "pid", "user"} <= found.keys():
        return "who holds it is not known"
    return f"it is held by process {found['pid']} of {found['user'] or 'a user without a name'} on {found['host']}"


def reach_other_machines(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether a lock in a folder is seen on other machines that share it, as far as Linux tells how it is mounted."""
    real, depth, options = Path(os.path.realpath(folder)), 0, ""
    with contextlib.suppress(OSError, IndexError):
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            fields = line.split(" ")
            point = Path(fields[4].replace("\\040", " "))
            # Of two mounts on one folder, the later one hides the other.
            if real.is_relative_to(point) and len(point.parts) >= depth:
                depth, options = len(point.parts), f"{fields[5]},{fields[-1]}"
    return _LOCAL.isdisjoint(options.split(","))


def whoever() -> dict[str, Any]:
    """Return host, process id and user of this process, for people."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "user": user_name()}


@functools.cache
def user_name() -> str:
    """Return the name of the user of this process, "" where there is none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # Windows; a container without an entry for this user
        return ""
