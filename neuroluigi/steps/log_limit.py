"""The log of a step keeps its beginning and its end, however much is printed: no step fills the disk with it."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from neuroluigi.provenance.files import only_regular

# How long a log may become, and what is kept then of its beginning and its end.
MOST_BYTES = 100_000_000
_BEGINNING, _END = 0.5, 0.25

_LOOK_SECONDS = 0.2


# The logs that are kept short now, with how many bytes were left out of each; one thread of the process looks at all.
_logs: dict[Path, int] = {}
_lock = threading.Lock()
_watcher: threading.Thread | None = None


@contextlib.contextmanager
def kept_short(log: Path) -> Iterator[None]:
    """Keep a log short, to which any process adds, until the end of the block; make it, if that is not soon."""
    global _watcher
    with _lock:
        _logs[log] = 0
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(target=_watch, daemon=True)
            _watcher.start()
    try:
        yield
    finally:
        with _lock:
            _shorten(log, _logs.pop(log, 0))


def _watch() -> None:
    # To start a thread for each step would take a tenth of what a short one takes.
    while True:
        time.sleep(_LOOK_SECONDS)
        with _lock:
            for log, left_out in _logs.items():
                _make(log)
                _logs[log] = _shorten(log, left_out)


def _make(log: Path) -> None:
    """Make a log that is not there yet: somebody may want to follow it."""
    with contextlib.suppress(OSError):
        os.close(only_regular(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT))


def _forget() -> None:
    """Begin anew in a process that was forked: the thread is not there, and may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _logs.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _shorten(log: Path, left_out: int) -> int:
    """Leave out the middle of a log that is too long; return how many bytes were left out of it in all."""
    with contextlib.suppress(OSError):
        if (size := log.stat().st_size) > MOST_BYTES:
            beginning, end = int(MOST_BYTES * _BEGINNING), int(MOST_BYTES * _END)
            with log.open("r+b") as file:
                file.seek(-end, os.SEEK_END)
                kept = file.read(end)
                file.truncate(beginning)
            left_out += size - beginning - end - len(_notice(left_out))
            # As all who print to it, at its end.
            with log.open("ab") as file:
                file.write(_notice(left_out) + kept)
    return left_out


def _notice(left_out: int) -> bytes:
    return b"\n%% %d bytes are left out here: the log was too long\n" % left_out if left_out else b""
