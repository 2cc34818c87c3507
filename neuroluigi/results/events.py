"""The events of a group, read in blocks: arrays of sample and channel, with recording and seconds of each."""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from neuroluigi.provenance.files import read_json
from neuroluigi.recordings.concatenation import is_concatenation
from neuroluigi.results.output import Cell
from neuroluigi.results.query import QueryError
from neuroluigi.results.recorded import recorded_results

EVENT_COLUMNS = ("session", "index", "sample", "recording_sample", "channel", "seconds", "recording_seconds")

_BLOCK_ROWS = 1 << 16


class EventArray:
    """A .npy file, open for reading: whether it has events, and those, block by block. Raises ValueError."""

    def __init__(self, file: BinaryIO):
        major, _ = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        self.shape, self.is_fortran, self.dtype = read_header(file)
        self.file, self.start = file, file.tell()
        size, whole = os.fstat(file.fileno()).st_size, self.start + math.prod(self.shape) * self.dtype.itemsize
        if size < whole:
            raise ValueError(f"it is cut short: {size} of {whole} bytes")

    @property
    def is_events(self) -> bool:
        """Whether it is int64 of shape (events, 2)."""
        return len(self.shape) == 2 and self.shape[1] == 2 and self.dtype.kind == "i" and self.dtype.itemsize == 8

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield arrays (up to 65,536, 2) of sample and channel."""
        events = self.shape[0]
        for first in range(0, events, _BLOCK_ROWS):
            rows = min(_BLOCK_ROWS, events - first)
            # Read, not mapped, so that what was read leaves memory.
            if self.is_fortran:
                yield np.stack([self._values(first, rows), self._values(events + first, rows)], axis=1)
            else:
                yield self._values(2 * first, 2 * rows).reshape(rows, 2)

    def _values(self, first: int, count: int) -> np.ndarray:
        self.file.seek(self.start + first * self.dtype.itemsize)
        return np.fromfile(self.file, self.dtype, count).astype(np.int64, copy=False)


def read_events(folder: Path, files: Sequence[Path], name: str) -> Iterator[list[tuple[Cell, ...]]]:
    """Return blocks of rows as EVENT_COLUMNS of the events in <folder>/<name>.npy, in the order of the file.

    `files` are those of the results in the folder, there or not; others are not looked at. `name` is "" for the only
    array of events among them. Samples are counted from 0, `sample` and `seconds` from the beginning of the
    concatenation; seconds have the samples that are missing by a counter, and those that were left out as repeated, and
    are None where the sampling rate, or how many are missing, is not known. Raises QueryError at once where there is no
    such file, or no description of where each recording begins.
    """
    there = [one for one in files if one.is_file()]
    arrays = [one.stem for one in there if one.suffix == ".npy"]
    path = folder / f"{name or _only_events(folder, arrays)}.npy"
    if path not in there:
        raise QueryError(f"{path} does not exist (yet); arrays of this group: {', '.join(arrays) or 'none'}")
    layout = _find_layout(folder, there)
    file = path.open("rb")
    try:
        array = EventArray(file)
        if not array.is_events:
            raise ValueError(f"it is {array.dtype} of shape {array.shape}, not int64 of shape (events, 2)")
    except ValueError as error:
        file.close()
        raise QueryError(f"{path} has no events: {error}") from error
    return _event_rows(array, layout)


def _only_events(folder: Path, arrays: Sequence[str]) -> str:
    """Return the name of the only array of events among these; QueryError where there is none, or several."""
    found = []
    for name in arrays:
        with contextlib.suppress(OSError, ValueError), (folder / f"{name}.npy").open("rb") as file:
            if EventArray(file).is_events:
                found.append(name)
    if len(found) != 1:
        raise QueryError(
            f"which events of {folder.name}? Choose with --name one of: {', '.join(found)}"
            if found
            else f"there are no events in {folder} (yet)"
        )
    return found[0]


def _find_layout(folder: Path, files: Sequence[Path]) -> dict:
    """Return the layout of the concatenation (see recordings.lay_out), from the file or the run record that has one."""
    contents: list[dict | None] = [read_json(path) for path in files if path.suffix == ".json"]
    # The file of one that is dropped is gone, its record stays.
    for one in recorded_results(folder):
        contents += (one.record or {}).get("fingerprint", {}).values()
    for content in contents:
        if content is not None and is_concatenation(content):
            return content
    raise QueryError(f"no JSON file in {folder} describes where each recording begins")


def _event_rows(array: EventArray, layout: Mapping) -> Iterator[list[tuple[Cell, ...]]]:
    recordings, rate = layout["recordings"], layout.get("sampling_rate_hz")
    first_samples = np.array([row["first_sample"] for row in recordings])
    dropped = np.array([row.get("dropped_samples") or 0 for row in recordings])
    sessions = np.array([row["session"] for row in recordings], object)
    indices = np.array([row["index"] for row in recordings], object)
    missing = _Missing(layout.get("gaps", ()))
    with array.file:
        for block in array.blocks():
            sample, channel = block.T
            which = np.searchsorted(first_samples, sample, side="right") - 1
            within = sample - first_samples[which]
            since = missing.between(first_samples[which], sample)
            times = (sample + missing.between(first_samples[:1], sample), within + dropped[which] + since)
            seconds = [_known(one / rate) if rate else [None] * len(block) for one in times]
            columns = (sessions[which], indices[which], sample, within, channel)
            yield list(zip(*(column.tolist() for column in columns), *seconds, strict=True))


class _Missing:
    """How many samples are missing at the gaps of a concatenation, each {"sample": the first after it, "missing"}."""

    def __init__(self, gaps: Sequence[Mapping]):
        counts = np.array([np.nan if gap["missing"] is None else gap["missing"] for gap in gaps], float)
        self._samples = np.array([gap["sample"] for gap in gaps], int)
        self._counts = np.append(0, np.cumsum(np.nan_to_num(counts)))
        self._unknown = np.append(0, np.cumsum(np.isnan(counts)))

    def between(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Return how many are missing behind the samples `first`, up to `last`; NaN where it is not known."""
        before, after = (np.searchsorted(self._samples, one, side="right") for one in (first, last))
        is_known = self._unknown[after] == self._unknown[before]
        return np.where(is_known, self._counts[after] - self._counts[before], np.nan)


def _known(seconds: np.ndarray) -> list[float | None]:
    return [None if one != one else one for one in seconds.tolist()]
