"""Copies what an engine prints to the log of the step that calls it."""

import contextlib
import os
import shutil
from pathlib import Path

# How much an engine may have printed before it is left to the log of the step alone.
MOST_BYTES = 50_000_000


class Follower:
    """Copies what is added to one file, from its start or from now on, to the end of another."""

    def __init__(self, source: Path, from_start: bool, target: Path):
        self._source, self._target = source.open("rb"), target
        if not from_start:
            self._source.seek(0, os.SEEK_END)

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *error: object) -> None:
        self._source.close()

    def copy(self) -> None:
        """Copy what was added since the last time, and empty the first file where it is long: it has been copied."""
        with self._target.open("ab") as target:
            shutil.copyfileobj(self._source, target, 1 << 20)
        if self._source.tell() > MOST_BYTES:
            with contextlib.suppress(OSError):
                os.truncate(self._source.name, 0)
                self._source.seek(0)
