"""The index of states: which results a look found done, so that the next one need not read their run records.

An entry is believed while the record, the files of the result and those of its inputs that no step makes have the size
and the time that they had, and while all that is expected of the result is the same, to its digest. So it says nothing
that the records do not say; it lies in .states of the folder of results, and may be deleted at any time. A line of it
that is not whole counts as none.
"""

import contextlib
import functools
import hashlib
import json
import os
import time
import zlib
from pathlib import Path
from typing import NamedTuple

from neuroluigi.provenance.contents import measure
from neuroluigi.provenance.expected import Expected
from neuroluigi.provenance.files import is_young, only_regular, read_bytes

INDEX_FILE = ".states"

# To read the records of fewer results takes no time that anybody feels.
_WORTH_KEEPING = 1_000

# A line is the name of its entry, its checksum, and the entry as JSON.
_FIRST_LINE = b"neuroluigi states 1\n"
_NAME, _CHECKSUM = 16, 8

# Of a file, or a folder: its bytes, its time, and more.
Stamp = list[int | None]


class Known(NamedTuple):
    """What is known of a result that is done: engine and version that made it, checksums of its files, of its inputs.

    `checksums` are the sha256 of its outputs, in order, `inputs` the digest of those of its inputs.
    """

    engine: str
    made_by: str
    checksums: list[str]
    inputs: str | None


class _Entry(NamedTuple):
    name: int
    stamps: list[Stamp]
    expected: str
    known: Known


class StateIndex:
    """The index of the results in the folder `root`."""

    def __init__(self, root: Path):
        self._path = root / INDEX_FILE
        # The lines, by name, of what was found done and is not in the file so.
        self.found: dict[int, bytes] = {}

    def find(self, expected: Expected) -> Known | None:
        """Return what is known of a result that is done; None where something differs, or nothing is known."""
        content, places = self._kept
        begin = places.get(name := _name_of(expected))
        if begin is None:
            return None
        entry = _entry_of(content[begin : content.find(b"\n", begin)])
        if entry is None or entry.name != name or len(entry.known.checksums) != len(expected.outputs):
            return None
        stamps = stamps_of(expected)
        is_same = stamps and stamps == entry.stamps and entry.expected == expected.digest(entry.known.engine)
        return entry.known if is_same else None

    def note(self, expected: Expected, stamps: list[Stamp] | None, known: Known) -> None:
        """Note a result that is done, with the stamps that its files had before it was looked at."""
        now_ns = time.time_ns()
        if stamps and not any(is_young(mtime_ns or now_ns, now_ns) for _, mtime_ns, *_ in stamps):
            name = _name_of(expected)
            self.found[name] = _line_of(_Entry(name, stamps, expected.digest(known.engine), known))

    def save(self) -> None:
        """Write what was found where that is worth it; where it can't be written, the records are read again."""
        content, places = self._kept
        if len(self.found) < max(_WORTH_KEEPING, len(places) // 10):
            return
        kept = (content[at : content.find(b"\n", at)] for name, at in places.items() if name not in self.found)
        # Of two looks that write at once, each line is whole, or is none.
        part = self._path.with_name(f"{INDEX_FILE}.new")
        with contextlib.suppress(OSError):
            with open(part, "wb", opener=only_regular) as file:
                file.write(_FIRST_LINE)
                file.writelines(b"%b\n" % one for one in (*kept, *self.found.values()))
            part.replace(self._path)
            self.found.clear()
            del self._kept

    @functools.cached_property
    def _kept(self) -> tuple[bytes, dict[int, int]]:
        """The content of the file, and where in it the line of each name begins."""
        try:
            found = os.stat(self._path)
        except OSError:
            return b"", {}
        return _read(self._path, found.st_size, found.st_mtime_ns, found.st_ino)


# Without a command line each plan has an index of its own.
@functools.lru_cache(maxsize=1)
def _read(path: Path, *stamp: int) -> tuple[bytes, dict[int, int]]:
    """Return the content of a file that has this stamp, and where in it the line of each name begins."""
    try:
        content = read_bytes(path)
    except OSError:
        return b"", {}
    places, begin = {}, len(_FIRST_LINE)
    while content.startswith(_FIRST_LINE) and (end := content.find(b"\n", begin)) > 0:
        # What is no line of ours has another checksum.
        with contextlib.suppress(ValueError):
            places[int(content[begin : begin + _NAME], 16)] = begin
        begin = end + 1
    return content, places


def stamps_of(expected: Expected) -> list[Stamp] | None:
    """Return the stamps of all files on which a state rests that no other state is about; None where one is gone."""
    try:
        record = os.stat(expected.record)
    except OSError:
        return None
    # Each write of a record makes another file, whatever the grain of the disk's times.
    stamps: list[Stamp] = [[record.st_size, record.st_mtime_ns, record.st_ino]]
    of_others = (one.path for one in expected.inputs if one.sha256 is None)
    for path in (*expected.outputs, *of_others):
        found = measure(path, expected.folders.get(path, ()))
        if found is None:
            return None
        stamps.append(list(found))
    return stamps


def _name_of(expected: Expected) -> int:
    digest = hashlib.blake2b(expected.record.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def _line_of(entry: _Entry) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode("ascii")
    return b"%016x%08x%b" % (entry.name, zlib.crc32(text), text)


def _entry_of(line: bytes) -> _Entry | None:
    """Return the entry of a line; None for one that is not whole, or none of ours."""
    text = line[_NAME + _CHECKSUM :]
    if b"%08x" % zlib.crc32(text) != line[_NAME : _NAME + _CHECKSUM]:
        return None
    try:
        name, stamps, expected, known = json.loads(text)
        entry = _Entry(name, stamps, expected, Known(*known))
        texts = (entry.known.engine, entry.known.made_by, *entry.known.checksums, entry.known.inputs or "")
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if all(isinstance(one, str) for one in texts) else None
