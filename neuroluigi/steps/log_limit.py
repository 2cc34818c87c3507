"""The log of a step keeps its beginning and its end, however much is printed: no step fills the disk with it."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

# How long a log may become, and what is kept then of its beginning and its end.
MOST_BYTES = 100_000_000
_BEGINNING, _END = 0.5, 0.25

_LOOK_SECONDS = 0.2


@contextlib.contextmanager
def kept_short(log: Path) -> Iterator[None]:
    """Keep a log short, to which any process adds, until the end of the block."""
    done, left_out = threading.Event(), 0

    def watch():
        nonlocal left_out
        while not done.wait(_LOOK_SECONDS):
            left_out = _shorten(log, left_out)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        _shorten(log, left_out)


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
