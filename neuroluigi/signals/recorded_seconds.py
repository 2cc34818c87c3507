"""The seconds that a rig wrote beside samples, and beside changes of lines: at single counts, and as straight lines.

They may go on unevenly: a rig corrects them as it goes. What it is sure of, and when, nobody knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Seconds, by which lines through a few points may be off the seconds in the file: far less than a sample.
LARGEST_ERROR = 1e-6
# Of as many samples one is a corner at most: seconds that jump more often are those of no clock.
_SAMPLES_PER_CORNER = 100
# So many are read at once.
_BLOCK = 1 << 18
_AGAIN = "copy it again from where it was recorded"


@dataclass(frozen=True)
class SecondsOfSamples:
    """The file with a second for each of the samples of a recording, which begins at count `start` of its clock.

    `gaps` are the 0-based samples before which some are missing, and how many.
    """

    file: str
    samples: int
    start: int
    gaps: tuple[tuple[int, int], ...] = ()

    def load(self) -> np.ndarray:
        """Return the seconds, mapped into memory. Raises ValueError with what is wrong with the file."""
        found = _loaded(self.file)
        if found.shape != (self.samples,):
            raise ValueError(f"{self.file} has seconds of shape {found.shape} for {self.samples} samples; {_AGAIN}")
        return found

    def counts(self, samples: np.ndarray) -> np.ndarray:
        """Return the counts of some 0-based samples."""
        places, passed = self._gaps()
        return self.start + samples + passed[np.searchsorted(places, samples, side="right")]

    def at(self, counts: np.ndarray) -> np.ndarray:
        """Return the seconds at some counts, NaN at those that are none of a sample."""
        places, passed = self._gaps()
        begins = np.append(0, places)
        ends = np.append(places, self.samples)
        which = np.searchsorted(self.counts(begins), counts, side="right") - 1
        samples = np.asarray(counts) - self.start - passed[which]
        is_there = (which >= 0) & (samples < ends[which])
        found = np.full(len(samples), np.nan)
        found[is_there] = self.load()[samples[is_there]]
        return found

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Return counts and seconds between which these go on straight, but for LARGEST_ERROR.

        Raises ValueError for seconds that are no numbers or don't increase, and for those without straight lines.
        """
        seconds, found = self.load(), list[np.ndarray]()
        cuts = sorted({*range(0, self.samples, _BLOCK), *(sample for sample, _ in self.gaps), self.samples})
        before = -np.inf
        for first, end in pairwise(cuts):
            block = np.asarray(seconds[first:end])
            _check_increasing(self.file, np.append(before, block), first - 1)
            before = block[-1]
            most = 2 + len(block) // _SAMPLES_PER_CORNER
            corners = straight_corners(np.arange(len(block)), block, most)
            if len(corners) > most:
                raise ValueError(
                    f"{self.file} has seconds that go on unevenly at more than one of {_SAMPLES_PER_CORNER} samples"
                    f" from sample {first} on: they are those of no clock; use method = pulses"
                )
            found.append(first + corners)
        samples = np.concatenate(found)
        return self.counts(samples), seconds[samples]

    def _gaps(self) -> tuple[np.ndarray, np.ndarray]:
        places = np.array([sample for sample, _ in self.gaps], np.int64)
        return places, np.append(0, np.cumsum([missing for _, missing in self.gaps], dtype=np.int64))


@dataclass(frozen=True)
class SecondsOfLines:
    """The files with count and second of each change of digital lines."""

    counts_file: str
    file: str

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Return counts, in order, each once, and seconds. Raises ValueError with what is wrong with the files."""
        counts, seconds = np.load(self.counts_file, mmap_mode="r"), _loaded(self.file)
        if counts.shape != seconds.shape:
            raise ValueError(f"{self.file} has {len(seconds)} seconds of {len(counts)} changes; {_AGAIN}")
        found, which = np.unique(counts, return_index=True)
        return found, seconds[which]

    def at(self, counts: np.ndarray) -> np.ndarray:
        """Return the seconds at some counts, NaN where no line changed."""
        known, seconds = self.load()
        if not len(known):
            return np.full(len(counts), np.nan)
        which = np.minimum(np.searchsorted(known, counts), len(known) - 1)
        return np.where(known[which] == counts, seconds[which], np.nan)


@dataclass(frozen=True)
class RecordedSeconds:
    """All that a rig wrote of the seconds of a stream; lines may change before and after its samples."""

    samples: Sequence[SecondsOfSamples]
    lines: Sequence[SecondsOfLines]

    def at(self, counts: np.ndarray) -> np.ndarray:
        """Return the seconds at some counts, NaN where the rig wrote none."""
        found = np.full(len(counts), np.nan)
        known: list[SecondsOfSamples | SecondsOfLines] = [*self.samples, *self.lines]
        for one in known:
            found = np.where(np.isfinite(found), found, one.at(counts))
        return found

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Return counts and seconds, both increasing, between which these go on straight; see SecondsOfSamples."""
        of_samples = [one.corners() for one in self.samples]
        first, last = of_samples[0][0][0], of_samples[-1][0][-1]
        of_lines = [one.load() for one in self.lines]
        masks = [(counts < first) | (counts > last) for counts, _ in of_lines]
        outside = [(counts[mask], seconds[mask]) for (counts, seconds), mask in zip(of_lines, masks, strict=True)]
        counts, seconds = (np.concatenate(parts) for parts in zip(*of_samples, *outside, strict=True))
        order = np.argsort(counts, kind="stable")
        counts, seconds = counts[order], seconds[order]
        files = {one.file for one in self.samples} | {one.file for one in self.lines}
        _check_increasing(" and ".join(sorted(files)), seconds, 0)
        return counts, seconds


def straight_corners(x: np.ndarray, y: np.ndarray, most: int) -> np.ndarray:
    """Return the positions of the points between which all others are within LARGEST_ERROR (in y) of a straight line.

    Where they are more than `most`, some more than that, but not all of them.
    """
    corners = {0, len(x) - 1}
    waiting = [(0, len(x) - 1)]
    while waiting and len(corners) <= most:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        slope = (y[last] - y[first]) / (x[last] - x[first])
        apart = abs(y[first : last + 1] - y[first] - slope * (x[first : last + 1] - x[first]))
        if apart.max() > LARGEST_ERROR:
            middle = first + int(apart.argmax())
            corners.add(middle)
            waiting += [(first, middle), (middle, last)]
    return np.array(sorted(corners), np.int64)


def _loaded(file: str) -> np.ndarray:
    try:
        found = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} can't be read ({error}); {_AGAIN}") from error
    if found.dtype != np.dtype("<f8") or found.ndim != 1:
        raise ValueError(f"{file} has {found.dtype} of shape {found.shape}, and not one second (float64) each")
    return found


def _check_increasing(file: str, seconds: np.ndarray, first: int) -> None:
    """Raise ValueError where seconds are no numbers, or don't increase; `first` is the position of the first one."""
    wrong = np.flatnonzero(~(np.diff(seconds) > 0))
    if len(wrong):
        at = wrong[0] + 1
        raise ValueError(
            f"{file} has {seconds[at]:.9g} at {first + at} after {seconds[at - 1]:.9g}: seconds have to increase;"
            f" {_AGAIN}, or use method = pulses"
        )
