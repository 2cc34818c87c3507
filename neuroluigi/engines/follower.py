"""Copies what an engine prints to the log of the step that calls it."""

import os
import shutil
from pathlib import Path


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
        """Copy what was added since the last time."""
        with self._target.open("ab") as target:
            shutil.copyfileobj(self._source, target, 1 << 20)
