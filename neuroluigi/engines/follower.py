"""Copies what an engine prints to the log of the step that calls it."""

import contextlib
import os
from pathlib import Path

# How much an engine may have printed before it is left to the log of the step alone.
MOST_BYTES = 50_000_000
_BLOCK_BYTES = 1 << 20


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
        """Copy what was added since the last time, and empty the first file where it is long: it has been copied.

        Of more than MOST_BYTES only the end is copied: whoever prints that fast would never be caught up with.
        """
        offset, size = self._source.tell(), os.fstat(self._source.fileno()).st_size
        with self._target.open("ab") as target:
            if (skipped := size - offset - MOST_BYTES) > 0:
                target.write(b"\n%% %d bytes are left out here: too much was printed at once\n" % skipped)
                self._source.seek(size - MOST_BYTES)
            while block := self._source.read(min(_BLOCK_BYTES, max(0, size - self._source.tell()))):
                target.write(block)
        if size > MOST_BYTES:
            with contextlib.suppress(OSError):
                os.truncate(self._source.name, 0)
                self._source.seek(0)
