"""When the samples of a group were taken, by the counters of its recordings: gaps of known length have that length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile

# Of a clock that bends at each pulse, by less than a sample, nothing is lost in a picture.
_KNOTS_PER_SECOND = 20


@dataclass(frozen=True)
class Clock:
    """A clock on which a group's samples are shown: that of the stream `name`.

    `seconds` returns the seconds of 0-based samples, int64 (n,), of the group; they increase.
    """

    name: str
    seconds: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TimeAxis:
    """Places of samples on an axis that counts missing samples too, from the group's first sample at 0.

    `gaps` (int64) are the 0-based samples before which samples are missing, in order, `missing` how many. `seams` are
    the samples at which something begins anew and nobody knows how many are missing, or none are. There are `per_x`
    places in a second; on a clock that is not the group's own, that of the stream `clock`, `knots` are places and their
    seconds, between which it goes on straight.
    """

    samples: int
    gaps: np.ndarray
    missing: np.ndarray
    seams: tuple[int, ...]
    per_x: float = 1
    clock: str = ""
    knots: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def length(self) -> int:
        """The samples that there are, and those that are known to be missing."""
        return self.samples + int(self.missing.sum())

    def places(self, samples: np.ndarray) -> np.ndarray:
        """Return the places, int64, of some samples."""
        passed = np.append(0, np.cumsum(self.missing))
        return np.asarray(samples) + passed[np.searchsorted(self.gaps, samples, side="right")]

    def x(self, places: np.ndarray | float) -> np.ndarray:
        """Return where some places, with fractions, are drawn: their seconds, or themselves where no rate is known."""
        if self.knots is None:
            return np.asarray(places / self.per_x)
        known, seconds = self.knots
        beyond = np.minimum(places - known[0], 0) + np.maximum(places - known[-1], 0)
        return np.interp(places, known, seconds) + beyond / self.per_x

    def place_at(self, x: float) -> float:
        """Return the place, with a fraction, that is drawn at x."""
        if self.knots is None:
            return x * self.per_x
        known, seconds = self.knots
        beyond = min(x - seconds[0], 0) + max(x - seconds[-1], 0)
        return float(np.interp(x, seconds, known)) + beyond * self.per_x

    def first_samples(self, places: np.ndarray) -> np.ndarray:
        """Return the first sample at or after each of some places; all `samples` after the last one."""
        ends = self.places(self.gaps)
        begins = ends - self.missing
        before = np.searchsorted(begins, places, side="right")
        passed = np.append(0, np.cumsum(self.missing))[before]
        # Inside a gap the first one is that behind it.
        last_end = np.append(0, ends)[before]
        return np.maximum(places, last_end) - passed


def stretches(axis: TimeAxis, first: int, last: int) -> list[tuple[int, int]]:
    """Return first and last sample, exclusive, of what lies from `first` up to `last`, cut at each gap and seam."""
    cuts = sorted({first, last, *(at for at in (*axis.gaps.tolist(), *axis.seams) if first < at < last)})
    return list(pairwise(cuts))


def time_axis(aggregate: AggregateFile, clock: Clock | None = None) -> TimeAxis:
    """Return the axis of a group by its aggregate.json, with a seam at each recording, and segment, that has no gap.

    Raises ValueError for a clock on which the group's samples have no place.
    """
    content: Mapping = aggregate.content
    known = [gap for gap in content.get("gaps", ()) if gap["missing"]]
    begins = {*aggregate.segments, *(recording["first_sample"] for recording in content["recordings"])}
    axis = TimeAxis(
        samples=aggregate.samples,
        gaps=np.array([gap["sample"] for gap in known], np.int64),
        missing=np.array([gap["missing"] for gap in known], np.int64),
        seams=tuple(sorted(begins - {0, *(gap["sample"] for gap in known)})),
        per_x=aggregate.sampling_rate_hz or 1,
    )
    return replace(axis, clock=clock.name, knots=_knots(axis, clock)) if clock else axis


def _knots(axis: TimeAxis, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """Return places and their seconds: both ends of each stretch, and in between so many a second.

    Raises ValueError for seconds that don't increase.
    """
    ends = [one for begin, end in stretches(axis, 0, axis.samples) for one in (begin, end - 1)]
    between = np.arange(0, axis.samples, max(1, round(axis.per_x / _KNOTS_PER_SECOND)))
    samples = np.union1d(between, ends).astype(np.int64)
    seconds = clock.seconds(samples)
    if not (np.diff(seconds) > 0).all() or not np.isfinite(seconds).all():
        raise ValueError(
            f"on the clock of {clock.name} the seconds of this group don't increase from sample to sample, or are not"
            " known, so that there is no axis of time"
        )
    return axis.places(samples), seconds
