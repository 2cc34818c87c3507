"""Checksums of files, computed once while size and mtime stay the same; listings of folders, each read once."""

import contextlib
import functools
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from neuroluigi.provenance.contents import checksum
from neuroluigi.provenance.files import hash_file, is_young, only_regular, read_bytes

logger = logging.getLogger("luigi-interface")


class Checksums:
    """The sha256 of files, each read once while its size and mtime stay the same.

    They are kept in .checksums.jsonl of the folder `root`, one line each; the file may be deleted.
    """

    # After so long a warning says why files are read; the progress follows, each time after twice as long.
    _WARN_SECONDS = 2.0

    def __init__(self, root: Path):
        self._root = root
        self._read_bytes = 0
        self._last_message: float | None = None
        self._wait = self._WARN_SECONDS

    def of(self, path: str, ignore: Sequence[str] = ()) -> str:
        """Return the checksum of a file, or of a folder without what it ignores. Raises OSError."""
        return checksum(path, ignore, self._of_file)

    def _of_file(self, path: str) -> str:
        now_ns = time.time_ns()
        key = self._key(path)
        if key not in self._kept:
            self._kept[key] = hash_file(path, functools.partial(self._on_block, path))
            if not is_young(key[2], now_ns):
                # Without the cache the file is read again next time.
                with (
                    contextlib.suppress(OSError),
                    open(self._path(), "a", encoding="utf-8", opener=only_regular) as file,
                ):
                    file.write(json.dumps([*key, self._kept[key]], ensure_ascii=False) + "\n")
        return self._kept[key]

    def known(self, path: str) -> str | None:
        """Return the sha256 of a file if it was read before, else None. Raises OSError."""
        return self._kept.get(self._key(path))

    def _path(self) -> Path:
        return self._root / ".checksums.jsonl"

    def _key(self, path: str) -> tuple[str, int, int]:
        found = os.stat(path)
        return os.path.relpath(path, self._root), found.st_size, found.st_mtime_ns

    @functools.cached_property
    def _kept(self) -> dict[tuple[str, int, int], str]:
        return dict(self._load())

    def _load(self) -> Iterator[tuple[tuple[str, int, int], str]]:
        with contextlib.suppress(OSError):
            for line in read_bytes(self._path()).decode("utf-8", "replace").splitlines():
                # The last line of a run that was killed may be cut.
                with contextlib.suppress(ValueError, TypeError, RecursionError):
                    name, size, mtime_ns, sha256 = json.loads(line)
                    if isinstance(sha256, str):
                        yield (str(name), int(size), int(mtime_ns)), sha256

    def _on_block(self, path: str, size: int) -> None:
        now = time.monotonic()
        self._read_bytes += size
        if self._last_message is None:
            self._last_message = now
        elif now - self._last_message > self._wait:
            if self._wait == self._WARN_SECONDS:
                logger.warning("reading files again whose size or time is not as recorded, such as after a copy; once")
            self._last_message, self._wait = now, 2 * self._wait
            logger.warning("%.1f GB read, now %s", self._read_bytes / 1e9, path)


class FolderListings:
    """Whether files exist, each folder read once: a plan asks for many files that hardly ever exist."""

    # A step asks for a few files alone, in a folder that may have thousands.
    _ASKED = 4

    def __init__(self):
        self._names: dict[str, frozenset[str]] = {}
        self._asked: Counter[str] = Counter()

    def have(self, path: str) -> bool:
        """Whether the file exists."""
        folder, name = os.path.split(path)
        self._asked[folder] += 1
        if self._asked[folder] <= self._ASKED:
            return os.path.lexists(path)
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._names[folder] = frozenset()
        return name in self._names[folder]
