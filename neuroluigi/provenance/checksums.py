"""Checksums of files, each computed once while its size and mtime stay the same; which files a folder has."""

import contextlib
import functools
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from neuroluigi.provenance import state
from neuroluigi.provenance.files import hash_file

logger = logging.getLogger("luigi-interface")


class Checksums:
    """The sha256 of files, each read once while its size and mtime stand; kept in a file that may be deleted."""

    # Reading that takes longer is told of, from then on so often.
    _TELL_SECONDS = 2

    def __init__(self, root: Path):
        self._root = root
        self._path = root / ".checksums.jsonl"
        self._known: dict[tuple, str] | None = None
        self._read_bytes = 0
        self._told: float | None = None
        self._has_told = False

    def of(self, path: str) -> str:
        """Return the sha256 of a file. Raises OSError."""
        found = os.stat(path)
        key = (os.path.relpath(path, self._root), found.st_size, found.st_mtime_ns)
        if self._known is None:
            self._known = dict(self._load())
        if key not in self._known:
            self._known[key] = hash_file(path, functools.partial(self._tell, path))
            # A cache that can't be written is a cache less.
            with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([*key, self._known[key]], ensure_ascii=False) + "\n")
        return self._known[key]

    def _load(self) -> Iterator[tuple[tuple, str]]:
        with contextlib.suppress(OSError):
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                # The last line of a run that was killed may be cut.
                with contextlib.suppress(ValueError, TypeError, RecursionError):
                    name, size, mtime_ns, sha256 = json.loads(line)
                    if isinstance(sha256, str):
                        yield (str(name), int(size), int(mtime_ns)), sha256

    def _tell(self, path: str, size: int) -> None:
        now = time.monotonic()
        self._read_bytes += size
        if self._told is None:
            self._told = now
        elif now - self._told > self._TELL_SECONDS:
            if not self._has_told:
                state.logger.warning(
                    "reading files again whose size or time is not as recorded, such as after a copy; once"
                )
            self._told, self._has_told = now, True
            state.logger.warning("%.1f GB read, now %s", self._read_bytes / 1e9, path)


class FolderListings:
    """Which files there are, each folder read once: a look asks for many that hardly ever are."""

    def __init__(self):
        self._names: dict[str, frozenset[str]] = {}

    def have(self, path: str) -> bool:
        """Whether there is such a file."""
        folder, name = os.path.split(path)
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._names[folder] = frozenset()
        return name in self._names[folder]
