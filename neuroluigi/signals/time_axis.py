"""When the samples of a group were taken, by the counters of its recordings: gaps of known length have that length."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile


@dataclass(frozen=True)
class TimeAxis:
    """Places of samples on an axis that counts missing samples too, from the group's first sample at 0.

    `gaps` (int64) are the 0-based samples before which samples are missing, in order, `missing` how many. `seams` are
    the samples at which something begins anew and nobody knows how many are missing, or none are.
    """

    samples: int
    gaps: np.ndarray
    missing: np.ndarray
    seams: tuple[int, ...]

    @property
    def length(self) -> int:
        """The samples that there are, and those that are known to be missing."""
        return self.samples + int(self.missing.sum())

    def places(self, samples: np.ndarray) -> np.ndarray:
        """Return the places, int64, of some samples."""
        passed = np.append(0, np.cumsum(self.missing))
        return np.asarray(samples) + passed[np.searchsorted(self.gaps, samples, side="right")]

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


def time_axis(aggregate: AggregateFile) -> TimeAxis:
    """Return the axis of a group by its aggregate.json, with a seam at each recording, and segment, that has no gap."""
    content: Mapping = aggregate.content
    known = [gap for gap in content.get("gaps", ()) if gap["missing"]]
    begins = {*aggregate.segments, *(recording["first_sample"] for recording in content["recordings"])}
    return TimeAxis(
        samples=aggregate.samples,
        gaps=np.array([gap["sample"] for gap in known], np.int64),
        missing=np.array([gap["missing"] for gap in known], np.int64),
        seams=tuple(sorted(begins - {0, *(gap["sample"] for gap in known)})),
    )
