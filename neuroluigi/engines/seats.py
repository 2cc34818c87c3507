"""Seats of Matlab: how many may be open at the same time over all runs on the same results, counted by file locks."""

import contextlib
import json
from pathlib import Path

import filelock

from neuroluigi.engines import supervisor


def is_seat_free(folder: str, count: int) -> bool:
    """Whether any of `count` seats is free, whose locks are in a folder (made where it is not there)."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        lock = filelock.FileLock(Path(folder, f"seat-{number}.lock"))
        with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
            return True
    return False


def seat_holders(folder: str) -> list[str]:
    """Return who holds the seats whose locks are in a folder, such as "ada on node7 (process 4711)"."""
    holders = []
    for path in sorted(Path(folder).glob("seat-*.json")):
        lock = filelock.FileLock(path.with_suffix(".lock"))
        try:
            # The file of a holder stays when the holder is gone.
            lock.acquire(timeout=0)
            lock.release()
        except filelock.Timeout:
            with contextlib.suppress(OSError, ValueError, KeyError):
                one = json.loads(path.read_text(encoding="utf-8"))
                holders.append(f"{one['user']} on {one['host']} (process {one['pid']})")
    return holders


def request_seat(folder: str) -> None:
    """Ask the holders of the seats for one: the first that is idle gives its seat up."""
    Path(folder, supervisor.REQUEST).touch()
