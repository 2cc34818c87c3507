"""Seams by the counters: where samples are missing between and within recordings that are analysed as one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from neuroluigi.recordings.formats.reader import Gap, RecordedFile

# Where recordings of one run overlap, the head of the later one is what the end of the earlier one has, as CatGT takes
# it too; in any other format a counter that runs back has begun anew.
_MAY_OVERLAP = frozenset({"spikeglx"})


class Joined(NamedTuple):
    """Recordings in order as one: of each, `dropped` samples at its start are left out, `first_samples` is where it is.

    A stretch without a gap begins at each of the `segments`, 0 the first. `gaps` are in front of the others: how many
    samples are missing there, None where that is unknown. With `problems` they can't be joined.
    """

    first_samples: tuple[int, ...]
    dropped: tuple[int, ...]
    segments: tuple[int, ...]
    gaps: tuple[Gap, ...]
    problems: tuple[str, ...]

    @property
    def origins(self) -> tuple[int, ...]:
        """Where the first sample of each recording is, or would be if it was not dropped."""
        return tuple(first - dropped for first, dropped in zip(self.first_samples, self.dropped, strict=True))


def join(recordings: Sequence[RecordedFile], gap_tolerance: int = 0) -> Joined:
    """Join recordings without problems, at least one, by their counters.

    A gap of at most `gap_tolerance` samples is no seam. A recording without a counter, or with another one than that
    before it, begins a stretch of its own.
    """
    passed = [0, *(_passed(one, following) for one, following in pairwise(recordings))]
    dropped = [
        -samples if samples is not None and samples < 0 and one.format in _MAY_OVERLAP else 0
        for one, samples in zip(recordings, passed, strict=True)
    ]
    problems = tuple(
        f"{one.path} has {one.samples} samples, all of which are in {before.path} too; leave one of them out"
        for (before, one), overlap in zip(pairwise(recordings), dropped[1:], strict=True)
        if overlap >= one.samples
    )
    first_samples, gaps, end = [], [], 0
    for one, samples, overlap in zip(recordings, passed, dropped, strict=True):
        first_samples.append(end)
        missing = 0 if overlap else samples if samples is not None and samples >= 0 else None
        within = (Gap(end - overlap + gap.sample, gap.missing) for gap in one.gaps if gap.sample > overlap)
        found = (Gap(end, missing), *within)
        gaps += [gap for gap in found if gap.missing is None or gap.missing > gap_tolerance]
        end += one.samples - overlap
    return Joined(tuple(first_samples), tuple(dropped), (0, *(gap.sample for gap in gaps)), tuple(gaps), problems)


def _passed(one: RecordedFile, following: RecordedFile) -> int | None:
    """Return the samples that passed between two recordings, below 0 where they overlap; None where that is unknown."""
    if one.start_sample is None or following.start_sample is None or not one.clock or one.clock != following.clock:
        return None
    within = [gap.missing for gap in one.gaps]
    known = [missing for missing in within if missing is not None]
    if len(known) != len(within):
        return None
    return following.start_sample - one.start_sample - one.samples - sum(known)
