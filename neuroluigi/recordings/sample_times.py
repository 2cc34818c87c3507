"""When the samples of a group were taken, in seconds: by the counters of its recordings, on one clock if there is one.

All that shows or writes times has them from here, so that they are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ClockMap:
    """Seconds of a reference by the counts of a stream: a line from each breakpoint to the next.

    `counters` and `seconds` are the breakpoints, increasing; `before` and `after` the slopes in front of the first one
    and behind the last, seconds per count.
    """

    counters: np.ndarray
    seconds: np.ndarray
    before: float
    after: float

    @classmethod
    def of(cls, stream: Mapping[str, Any]) -> "ClockMap":
        """Return the map of a stream, as aligned.json describes it."""
        counters, seconds = (np.array(stream[name], float) for name in ("counters", "seconds"))
        return cls(counters, seconds, stream["before"], stream["after"])

    def to_seconds(self, counter: np.ndarray) -> np.ndarray:
        """Return the seconds at counts of the stream."""
        counter, first, last = np.asarray(counter), self.counters[0], self.counters[-1]
        within = np.interp(counter, self.counters, self.seconds)
        return within + self.before * np.minimum(counter - first, 0) + self.after * np.maximum(counter - last, 0)

    def to_counter(self, seconds: np.ndarray) -> np.ndarray:
        """Return the counts of the stream at seconds, with fractions."""
        seconds, first, last = np.asarray(seconds), self.seconds[0], self.seconds[-1]
        within = np.interp(seconds, self.seconds, self.counters)
        return within + np.minimum(seconds - first, 0) / self.before + np.maximum(seconds - last, 0) / self.after


class SampleTimes:
    """The recording and the second of each kept sample of a group, by what its aggregate.json says (`layout`).

    `maps` are those of aligned.json, by session and clock. Where they have those of all recordings, seconds are since
    the session's first kept sample on the reference; else since its first one in this group.
    """

    def __init__(self, layout: Mapping[str, Any], maps: Mapping[tuple[str, str], ClockMap] | None = None):
        rows = layout["recordings"]
        self._rate = layout.get("sampling_rate_hz")
        self._sessions: list[str] = [row["session"] for row in rows]
        self._firsts = np.array([row["first_sample"] for row in rows], np.int64)
        self._ends = [*self._firsts[1:].tolist(), rows[-1]["first_sample"] + rows[-1].get("samples", 0)]
        self._dropped = np.array([row.get("dropped_samples") or 0 for row in rows], np.int64)
        self._starts = np.array([row.get("start_sample") or 0 for row in rows], np.int64)
        self._missing = _Missing(layout.get("gaps", ()))
        # At which sample the seconds of each recording are 0.
        firsts = dict(zip(reversed(self._sessions), reversed(self._firsts.tolist()), strict=True))
        self._zeros = np.array([firsts[session] for session in self._sessions])
        known = [(maps or {}).get((row["session"], row.get("clock", ""))) for row in rows]
        has_counters = all(row.get("start_sample") is not None for row in rows)
        self._clocks = [one for one in known if one] if all(known) and has_counters else []

    @property
    def is_aligned(self) -> bool:
        """Whether the seconds are those of the reference."""
        return bool(self._clocks)

    def ranges(self, session: str) -> list[tuple[int, int]]:
        """Return first sample and end, exclusive, of each recording of a session, in order."""
        return [
            (first, end)
            for of, first, end in zip(self._sessions, self._firsts.tolist(), self._ends, strict=True)
            if of == session
        ]

    def recording_of(self, samples: np.ndarray) -> np.ndarray:
        """Return the position of the recording of each sample; the first one's for those in front of it."""
        return np.maximum(np.searchsorted(self._firsts, samples, side="right") - 1, 0)

    def in_recording(self, samples: np.ndarray) -> np.ndarray:
        """Return the samples, counted from the first kept one of their recordings."""
        return samples - self._firsts[self.recording_of(samples)]

    def seconds(self, samples: np.ndarray) -> np.ndarray:
        """Return the seconds of samples; NaN where the rate, or how many samples are missing, is not known."""
        samples = np.asarray(samples)
        which = self.recording_of(samples)
        if not self._clocks:
            zeros = self._zeros[which]
            return self._in_seconds(samples - zeros + self._missing.between(zeros, samples))
        counts, seconds = self._starts[which] + self._counted(samples, which), np.empty(len(samples))
        for one in np.unique(which).tolist():
            seconds[which == one] = self._clocks[one].to_seconds(counts[which == one])
        return seconds

    def seconds_in_recording(self, samples: np.ndarray) -> np.ndarray:
        """Return the seconds of samples since their recordings began, by the rate of the header; NaN as above."""
        return self._in_seconds(self._counted(samples, self.recording_of(samples)))

    def _counted(self, samples: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return the counts since the first one of the recordings, with those that were left out, or are missing."""
        firsts = self._firsts[which]
        return samples - firsts + self._dropped[which] + self._missing.between(firsts, samples)

    def _in_seconds(self, counts: np.ndarray) -> np.ndarray:
        return counts / self._rate if self._rate else np.full(len(counts), np.nan)


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
