"""The index of states: which results a look found done, so that the next one need not read their run records.

An entry is believed while the record, the files of the result and those of its inputs that no step makes have the size
and the time that they had, and while all that is expected of the result is the same, to its digest. So it says nothing
that the records do not say. It lies in .states of the folder of results (see kept_lines.py).
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neuroluigi.provenance.contents import Measure, measure
from neuroluigi.provenance.expected import Expected
from neuroluigi.provenance.files import is_young
from neuroluigi.provenance.kept_lines import KeptLines, line_of, name_of

INDEX_FILE = ".states"

# To read the records of fewer results takes no time that anybody feels.
_WORTH_KEEPING = 1_000

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


class StateIndex:
    """The index of the results in the folder `root`."""

    def __init__(self, root: Path):
        self._lines = KeptLines(root / INDEX_FILE, "states 1")
        # The lines, by name, of what was found done and is not in the file so.
        self.found: dict[str, bytes] = {}

    def find(self, expected: Expected) -> Known | None:
        """Return what is known of a result that is done; None where something differs, or nothing is known."""
        entry = self._lines.value(_name_of(expected))
        if entry is None or (known := _known_of(entry)) is None or len(known.checksums) != len(expected.outputs):
            return None
        stamps = _stamps_of_today(expected)
        return known if stamps and entry[:2] == [stamps, expected.digest(known.engine)] else None

    def note(self, expected: Expected, stamps: list[Stamp] | None, known: Known) -> None:
        """Note a result that is done, with the stamps that its files had before it was looked at."""
        now_ns = time.time_ns()
        if stamps and not any(is_young(mtime_ns or now_ns, now_ns) for _, mtime_ns, *_ in stamps):
            name = _name_of(expected)
            self.found[name] = line_of(name, [stamps, expected.digest(known.engine), known])

    def save(self) -> None:
        """Write what was found where that is worth it; where it can't be written, the records are read again."""
        if len(self.found) >= max(_WORTH_KEEPING, len(self._lines) // 10) and self._lines.save(self.found):
            self.found.clear()


def stamps_of(record: os.stat_result, measures: Sequence[Measure | None]) -> list[Stamp] | None:
    """Return the stamps of a run record and of other files, by what the disk says of them; None where one is gone."""
    if None in measures:
        return None
    # Each write of a record makes another file, whatever the grain of the disk's times.
    return [[record.st_size, record.st_mtime_ns, record.st_ino], *(list(one) for one in measures if one)]


def _stamps_of_today(expected: Expected) -> list[Stamp] | None:
    """Return the stamps of all files on which a state rests that no other state is about; None where one is gone."""
    try:
        record = os.stat(expected.record)
    except OSError:
        return None
    of_others = (one.path for one in expected.inputs if one.sha256 is None)
    return stamps_of(
        record, [measure(path, expected.folders.get(path, ())) for path in (*expected.outputs, *of_others)]
    )


def _name_of(expected: Expected) -> str:
    return name_of(expected.record.encode("utf-8", "surrogatepass"))


def _known_of(entry: Any) -> Known | None:
    """Return what an entry knows; None for one that is none of ours."""
    try:
        _, _, known = entry
        found = Known(*known)
        texts = (found.engine, found.made_by, *found.checksums, found.inputs or "")
    except (ValueError, TypeError):
        return None
    return found if all(isinstance(one, str) for one in texts) else None
