"""The events that a step found, as pictures take them: table, amplitudes and what is said of each channel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile
from neuroluigi.signals.envelope import mapped_anew
from neuroluigi.signals.picture import count_of

# So many are looked at to find a typical one.
_MOST_AMPLITUDES = 1 << 20
_ROWS_AT_A_TIME = 1 << 18
# From this low end of the band on, in Hz, what crosses the level are spikes, of more than one neuron.
_SPIKE_BAND_HZ = 200
_SAMPLE, _CHANNEL, _PEAK = 0, 1, 3


@dataclass(frozen=True)
class FoundEvents:
    """Events in the order of their samples, int64 (events, 2 or more): onset, channel, and of five columns end, peak.

    `name` is that of the step. `amplitudes` are float64 (events,), in counts, and `summary` is the content of the JSON
    file beside the table, as far as there is one.
    """

    name: str
    table: np.ndarray
    amplitudes: np.ndarray | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """What they are, for people."""
        low = (self.summary.get("band") or [None])[0]
        return "threshold crossings" + (", multi-unit" if low and low >= _SPIKE_BAND_HZ else "")

    @property
    def in_words(self) -> str:
        """Whose events these are, how many, and what."""
        return f"{self.name}: {count_of(len(self.table), 'event')} ({self.what})"

    @property
    def is_of_samples(self) -> bool:
        """Whether the levels are in terms of the samples as they are, neither filtered nor referenced."""
        band, reference = self.summary.get("band"), self.summary.get("reference")
        return not (band and any(band)) and reference in (None, "none")

    def peaks(self, rows: slice) -> np.ndarray:
        """Return the samples of the peaks of some rows, of a table without them the onsets."""
        return np.asarray(self.table[rows, _PEAK if self.table.shape[1] > _PEAK else _SAMPLE])

    def onsets(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield onset and channel of all events, so many at a time that memory does not grow with their number."""
        table = self.table
        for first in range(0, len(table), _ROWS_AT_A_TIME):
            table = mapped_anew(table)
            rows = np.asarray(table[first : first + _ROWS_AT_A_TIME])
            yield rows[:, _SAMPLE], rows[:, _CHANNEL]

    def of_channel(self, name: str, channel: int) -> Any:
        """Return the value of a list of the summary for a channel; None where there is none."""
        values = self.summary.get(name)
        return values[channel] if values and channel < len(values) else None

    def not_looked_at(self, channel: int) -> str:
        """Return what is said in place of the number of events of a channel without one, and why as far as known."""
        flag = self.of_channel("flag", channel)
        return f"not looked at ({flag})" if flag else "not looked at"

    def counts(self, aggregate: AggregateFile) -> list[int | None]:
        """Return the number of events of each channel, None for one that was not looked at."""
        if "count" in self.summary:
            return list(self.summary["count"])
        counts, is_digital = self._counted(aggregate.channels), [kind == "digital" for kind in aggregate.kinds]
        # Edges are looked for in words too.
        return [None if skip and not one else one for one, skip in zip(counts, is_digital, strict=True)]

    def _counted(self, channels: int) -> list[int]:
        # All are of a single channel, and need not be read: hundreds of millions take a second.
        if channels == 1:
            return [len(self.table)]
        return sum((np.bincount(one, minlength=channels) for _, one in self.onsets()), np.zeros(channels, int)).tolist()

    def typical(self, channels: Sequence[int]) -> int | None:
        """Return the sample of a typical event of some channels: of median amplitude, of several the middle one.

        Without amplitudes it is the middle one; None without events. Of very many, some, evenly spaced, stand for all.
        """
        rows, sizes = self._rows_and_sizes(channels)
        if len(rows):
            distance = np.abs(sizes - np.median(sizes))
            rows = rows[distance == distance.min()]
        return int(self.peaks(slice(row := int(rows[len(rows) // 2]), row + 1))[0]) if len(rows) else None

    def _rows_and_sizes(self, channels: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of the events of some channels, evenly spaced, and how large they are, 0 without amplitudes."""
        step = -(-len(self.table) // _MOST_AMPLITUDES) or 1
        table, amplitudes = self.table, self.amplitudes
        rows, sizes = [np.zeros(0, np.int64)], [np.zeros(0)]
        for first in range(0, len(table), _ROWS_AT_A_TIME):
            table, amplitudes = mapped_anew(table), None if amplitudes is None else mapped_anew(amplitudes)
            # The first one in this part that is a multiple of the step.
            begin = first + -first % step
            some = slice(begin, first + _ROWS_AT_A_TIME, step)
            near = np.flatnonzero(np.isin(table[some, _CHANNEL], channels))
            rows.append(begin + step * near)
            sizes.append(np.zeros(len(near)) if amplitudes is None else np.abs(amplitudes[some][near]))
        return np.concatenate(rows), np.concatenate(sizes)


def read_events(name: str, table: str, amplitudes: str = "", summary: str = "") -> FoundEvents:
    """Return the events in some files, mapped into memory; those that are not given are not there."""
    return FoundEvents(
        name,
        np.load(table, mmap_mode="r"),
        np.load(amplitudes, mmap_mode="r") if amplitudes else None,
        json.loads(Path(summary).read_text(encoding="utf-8")) if summary else {},
    )
