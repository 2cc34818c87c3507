"""A file of what is kept to be quick: JSON by name, in lines that have a checksum each.

Such a file may be deleted at any time. A line that is not whole counts as none, whatever became of the file.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from neuroluigi.provenance.files import only_regular, read_bytes
from neuroluigi.provenance.parts import part_of_looks

# A line is the name, the checksum of name and text, and the text, which is JSON.
_NAME, _CHECKSUM = 32, 8

# So much of a disk is left to what can't be done without.
_SPARE = 1 << 27


def name_of(text: bytes) -> str:
    """Return the name under which something about a text is kept."""
    return hashlib.blake2b(text, digest_size=_NAME // 2).hexdigest()


def line_of(name: str, value: Any) -> bytes:
    """Return the line that keeps a value under a name."""
    text = json.dumps(value, separators=(",", ":")).encode("ascii")
    return b"%b%08x%b" % (name.encode("ascii"), zlib.crc32(name.encode("ascii") + text), text)


class KeptLines:
    """The lines at a path, whose first one says what they are, `kind`; without a path there are none."""

    def __init__(self, path: Path | None, kind: str):
        self._path, self._first_line = path, f"neuroluigi {kind}\n".encode("ascii")

    def __len__(self) -> int:
        return len(self._kept[1])

    def value(self, name: str) -> Any:
        """Return the value under a name; None for none, and where its line is not whole."""
        content, places = self._kept
        if (begin := places.get(int(name, 16))) is None:
            return None
        line = content[begin : content.find(b"\n", begin)]
        text = line[_NAME + _CHECKSUM :]
        if b"%b%08x" % (name.encode("ascii"), zlib.crc32(line[:_NAME] + text)) != line[: _NAME + _CHECKSUM]:
            return None
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
        return None

    def save(self, lines: Mapping[str, bytes], most: int | None = None) -> bool:
        """Write these lines by name, and behind them the others that are there, up to `most`; False where it can't be.

        Of two that write at once, each line is whole, or is none.
        """
        if self._path is None or not _has_room(self._path.parent):
            return False
        kept = itertools.islice(itertools.chain(lines.values(), self._others(lines)), most)
        try:
            self._replace(self._path, kept)
        except OSError:
            return False
        self.__dict__.pop("_kept", None)
        return True

    def _replace(self, path: Path, lines: Iterable[bytes]) -> None:
        part = part_of_looks(path)
        try:
            with open(part, "wb", opener=only_regular) as file:
                file.write(self._first_line)
                file.writelines(b"%b\n" % line for line in lines)
            part.replace(path)
        except OSError:
            # What others need more, where the disk is full.
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise

    def _others(self, lines: Mapping[str, bytes]) -> Iterator[bytes]:
        content, places = self._kept
        replaced = {int(name, 16) for name in lines}
        return (content[begin : content.find(b"\n", begin)] for name, begin in places.items() if name not in replaced)

    @functools.cached_property
    def _kept(self) -> tuple[bytes, dict[int, int]]:
        """The content of the file, and where in it the line of each name begins."""
        try:
            found = os.stat(self._path) if self._path else None
        except OSError:
            found = None
        if self._path is None or found is None:
            return b"", {}
        return _read(self._path, self._first_line, found.st_size, found.st_mtime_ns, found.st_ino)


def _has_room(folder: Path) -> bool:
    """Whether a disk has room for what can be done without."""
    try:
        return shutil.disk_usage(folder).free > _SPARE
    except OSError:
        return False


# Without a command line each plan asks anew.
@functools.lru_cache(maxsize=2)
def _read(path: Path, first_line: bytes, *stamp: int) -> tuple[bytes, dict[int, int]]:
    """Return the content of a file that has this stamp, and where in it the line of each name begins."""
    try:
        content = read_bytes(path)
    except OSError:
        return b"", {}
    places, begin = {}, len(first_line)
    while content.startswith(first_line) and (end := content.find(b"\n", begin)) > 0:
        # What is no line of ours has another checksum.
        with contextlib.suppress(ValueError):
            places[int(content[begin : begin + _NAME], 16)] = begin
        begin = end + 1
    return content, places
