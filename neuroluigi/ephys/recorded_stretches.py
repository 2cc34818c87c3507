"""When a session was recorded in a group: the stretches between seams and gaps, in nanoseconds of its clock."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroluigi.signals.peri import Stretches, nanoseconds

if TYPE_CHECKING:
    from neuroluigi.recordings.sample_times import SampleTimes


def recorded_stretches(layout: Mapping[str, Any], times: "SampleTimes", session: str) -> Stretches:
    """Return when a session was recorded in a group: what lies between two seams, or gaps."""
    known = {gap["sample"] for gap in layout.get("gaps", ()) if gap["missing"] is not None}
    cuts = {*layout["segments"], *known}
    firsts, ends, is_new_run = list[int](), list[int](), list[bool]()
    for begin, end in times.ranges(session):
        at = sorted({begin, *(cut for cut in cuts if begin < cut < end)})
        # Where recordings follow each other without a seam, it goes on.
        if ends and begin == ends[-1] and begin not in cuts:
            ends.pop()
            ends += [*at[1:], end]
            at = at[1:]
        else:
            ends += [*at[1:], end]
        firsts += at
        is_new_run += [not (times.is_aligned or cut in known) for cut in at]
    begins, lasts = times.seconds(np.array(firsts)), times.seconds(np.array(ends) - 1)
    period = 1 / layout["sampling_rate_hz"]
    found = np.isfinite(begins) & np.isfinite(lasts)
    runs = np.cumsum(is_new_run)
    return Stretches(nanoseconds(begins[found]), nanoseconds(lasts[found] + period), runs[found])
