"""The files of the ready-made steps: what is in them, how to read and check them.

Little-endian throughout; samples and channels are counted from 0.
"""

from __future__ import annotations

import json
import math
import os
import types
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from neuroluigi.recordings.concatenation import count_channels, data_bytes
from neuroluigi.recordings.recording import BYTES_PER_VALUE
from neuroluigi.steps.target import FILTERED, MEAN, SAMPLE, SPREAD, DamagedError, ResultTarget


class Concatenation(ResultTarget):
    """aggregate.json: dtype, channels and sampling_rate_hz, and which samples are where.

    `channels` is a list with name, kind, scale, offset, unit, x, y, shank and used of each, as far as they are known,
    where a header describes them; else their number, and scale, offset, unit and channel_names of all are beside it.
    `recordings` has session, index, path, first_sample and samples of each; `segments` the samples that have no
    predecessor; `gaps` how many are missing there; `excluded` what was left out and why. `parts` has the files in which
    the samples lie, in order; without it, they are in aggregate.bin beside.

    `beside` are the targets of files that lie where they were recorded: inputs of each step that is given this one.
    Where they lie may change, and does not count.
    """

    def __init__(self, path: str | Path, record: str | Path = "", format: Any = None, beside: Sequence[Any] = ()):
        super().__init__(path, record, format)
        self.beside = beside
        self.ignore = ("roots", "root", "path") if beside else ()

    def load(self) -> dict:
        """Return the content."""
        return json.loads(Path(self._path_to_read()).read_text(encoding="utf-8"))

    def parts(self) -> list[tuple[str, int, int]]:
        """Return path, byte offset and bytes of each part of the samples, in order."""
        content, folder = self.load(), Path(self.path).parent
        size = count_channels(content) * BYTES_PER_VALUE[content["dtype"]]
        if "parts" not in content:
            return [(os.fspath(folder / "aggregate.bin"), 0, sum(data_bytes(content)))]
        roots = content["roots"]
        return [
            (
                os.path.normpath(folder / roots.get(part.get("root", ""), "") / part["path"]),
                part["offset"],
                part["samples"] * size,
            )
            for part in content["parts"]
        ]

    @staticmethod
    def as_text(content: Mapping) -> str:
        """Return the content of the file as it is written."""
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def save(path: Path, content: Mapping) -> None:
        """Write the content to `path`."""
        path.write_text(Concatenation.as_text(content), encoding="utf-8")


class Stats(ResultTarget):
    """stats.json: count (samples per channel), and min, max, mean, std (n - 1) as lists with a value per channel.

    They are in counts; `neuroluigi results` shows them in the unit of the channel.

    What JSON has no number for: null where there is none (a channel of NaN alone; mean and std of a digital channel,
    whose values are words of bits), "Infinity", "-Infinity".
    """

    LISTS = ("min", "max", "mean", "std")
    in_counts = types.MappingProxyType({"min": SAMPLE, "max": SAMPLE, "mean": MEAN, "std": SPREAD})

    def load(self) -> dict:
        """Return count, and each list as float64 of shape (channels,), null as NaN."""
        return self._read(Path(self.path))

    def check(self, path: Path) -> None:
        super().check(path)
        stats = self._read(path)
        if stats["count"] < 1 or len({len(stats[name]) for name in self.LISTS}) != 1:
            raise DamagedError(f"{path.name} does not have count and one value per channel in {', '.join(self.LISTS)}")

    def _read(self, path: Path) -> dict:
        stats = json.loads(path.read_text(encoding="utf-8"))
        lists = {n: np.array([np.nan if v is None else float(v) for v in stats[n]]) for n in self.LISTS}
        return {"count": stats["count"], **lists}


class Edges(ResultTarget):
    """edges.npy: int64 of shape (edges, 2), sample and channel, sorted by sample, then channel."""

    def load(self) -> np.ndarray:
        """Return the edges as a read-only memory map."""
        return np.load(self.path, mmap_mode="r")

    def check(self, path: Path) -> None:
        super().check(path)
        edges = np.load(path, mmap_mode="r")
        if edges.dtype != np.dtype("<i8") or edges.ndim != 2 or edges.shape[1] != 2:
            raise DamagedError(f"{path.name} is not int64 of shape (edges, 2) but {edges.dtype} {edges.shape}")


class Events(ResultTarget):
    """spikes.npy, beats.npy and the like: int64 of shape (events, 5), sorted by sample, then channel.

    The columns are COLUMNS: `sample` is the onset, `end` the first sample after the event, `peak` that of its extremum,
    `polarity` 1 for a rise and -1 for a fall. Beside it, spikes_amplitudes.npy has the value at each peak, in counts,
    and spikes.json what there is to say of each channel; see EventSummary.
    """

    COLUMNS = ("sample", "channel", "end", "peak", "polarity")

    def load(self) -> np.ndarray:
        """Return the events as a read-only memory map."""
        return np.load(self.path, mmap_mode="r")

    def check(self, path: Path) -> None:
        super().check(path)
        events, columns = np.load(path, mmap_mode="r"), len(self.COLUMNS)
        if events.dtype != np.dtype("<i8") or events.ndim != 2 or events.shape[1] != columns:
            raise DamagedError(
                f"{path.name} is not int64 of shape (events, {columns}) but {events.dtype} {events.shape}"
            )


class EventSummary(ResultTarget):
    """spikes.json, beats.json and the like: how the events of a step were found, and how many there are.

    LISTS have a value per channel of the group, null for a channel that was not looked at: `count`, `rate_hz`, `noise`
    (sigma of the filtered signal), `level` and `release`, in counts, and `flag`, why a channel has no events or is to
    be looked at. `band` has low and high in Hz, null for none; `parameters` are those of the step. What else there is:
    taps, reference, noise_from, rejected, open, short_stretches.
    """

    LISTS = ("count", "rate_hz", "noise", "level", "release", "flag")
    # The counts are those of the events beside it.
    shown = ("rate_hz", "noise", "level", "flag")
    in_counts = types.MappingProxyType({"noise": SPREAD, "level": FILTERED, "release": FILTERED})

    def load(self) -> dict:
        """Return the content; of LISTS, all but count and flag are float64 of shape (channels,), null as NaN."""
        summary = self._read(Path(self._path_to_read()))
        numbers = {n: [np.nan if one is None else one for one in summary[n]] for n in self.LISTS[1:-1]}
        return {**summary, **{name: np.array(values, float) for name, values in numbers.items()}}

    def check(self, path: Path) -> None:
        super().check(path)
        summary = self._read(path)
        lists = [summary.get(name) for name in self.LISTS] if isinstance(summary, dict) else []
        lengths = {len(one) if isinstance(one, list) else None for one in lists}
        if len(lengths) != 1 or None in lengths:
            raise DamagedError(f"{path.name} does not have one value per channel in {', '.join(self.LISTS)}")

    def _read(self, path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))


class Snippets(ResultTarget):
    """snippets.npy: float32 of shape (rows, samples), in counts; snippets.json beside it says which rows are whose.

    Of each channel that has snippets, that has `channel`, `neighbours` (itself first), `first` and `count` in a list
    `rows`: its rows are from the first on, `count` times as many as it has neighbours, a snippet after the other.
    """

    def load(self) -> np.ndarray:
        """Return the rows as a read-only memory map."""
        return np.load(self.path, mmap_mode="r")

    def check(self, path: Path) -> None:
        super().check(path)
        rows = np.load(path, mmap_mode="r")
        if rows.dtype != np.dtype("<f4") or rows.ndim != 2:
            raise DamagedError(f"{path.name} is not float32 of shape (rows, samples) but {rows.dtype} {rows.shape}")


def levels(stats: dict, threshold: float | Sequence[float | Fraction], level: float | None = None) -> list[float]:
    """Return the level of each channel in raw counts: `level`, or min + threshold * (max - min) of the channel.

    `threshold` is that of all channels, or has one for each.

    That is worked out exactly, with the threshold as it is written (0.1 is a tenth), and rounded once: at threshold 1
    it is the maximum itself, which a sum of rounded terms may miss. NaN, through which nothing rises, for a channel
    without numbers. Raises ValueError for a level that is not finite, and for a channel with infinite samples, whose
    range has no fractions.
    """
    if level is not None:
        if not math.isfinite(level):
            raise ValueError(f"--Edges-level {level} is not a number of raw counts")
        return [level] * len(stats["min"])
    infinite = np.flatnonzero(np.isinf(stats["min"]) | np.isinf(stats["max"]))
    if infinite.size:
        raise ValueError(
            f"channel {infinite[0]} has infinite samples, so a fraction of its range is no level; give one in raw"
            " counts with --Edges-level"
        )
    parts = threshold if isinstance(threshold, Sequence) else [threshold] * len(stats["min"])
    fractions = (one if isinstance(one, Fraction) else Fraction(repr(one)) for one in parts)
    return [_between(*one) for one in zip(stats["min"], stats["max"], fractions, strict=True)]


def _between(low: float, high: float, fraction: Fraction) -> float:
    """Return low + fraction * (high - low), rounded to the nearest double; NaN where either is."""
    if math.isnan(low) or math.isnan(high):
        return math.nan
    least = Fraction(float(low))
    return float(least + fraction * (Fraction(float(high)) - least))
