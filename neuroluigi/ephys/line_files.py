"""The files of Lines: what is in them, how to read and check them; samples and channels are counted from 0."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from neuroluigi.steps.target import DamagedError, ResultTarget


class Lines(ResultTarget):
    """lines.npy: int64 of shape (changes, 4), sample, channel, bit and value, in the order of time.

    value is 1 where the bit rises, and 0 where it falls; of a field, bit is the first one, and value the new value.
    channel is -1 of changes that a rig wrote as events (TTL), and not as words in a channel. Of these, some may lie
    outside the samples, before, between or after them: lines.json has their rows.
    """

    def load(self) -> np.ndarray:
        """Return the changes as a read-only memory map."""
        return np.load(self.path, mmap_mode="r")

    def check(self, path: Path) -> None:
        super().check(path)
        changes = np.load(path, mmap_mode="r")
        if changes.dtype != np.dtype("<i8") or changes.ndim != 2 or changes.shape[1] != 4:
            raise DamagedError(f"{path.name} is not int64 of shape (changes, 4) but {changes.dtype} {changes.shape}")


class LineSummary(ResultTarget):
    """lines.json: what there is to say of the lines.

    `source` is words, or ttl. `lines` has channel, bit, name, rises and falls of each (of a field bits, its number of
    bits, and changes), and `initial`, its value at the first sample, null where nothing tells. `initial` has the bits
    that are high at the first sample of each stretch, or the value of a field. `outside` are the rows of lines.npy
    that lie outside the samples, `repeated` is how many events told what a line was already. `parameters` has what was
    looked for, the width in samples.
    """

    NAMES = frozenset({"source", "lines", "initial", "outside", "repeated", "parameters"})

    def check(self, path: Path) -> None:
        super().check(path)
        found = json.loads(path.read_text(encoding="utf-8"))
        missing = self.NAMES - found.keys() if isinstance(found, dict) else self.NAMES
        if missing:
            raise DamagedError(f"{path.name} does not have {', '.join(sorted(missing))}")
