"""What steps over a session have in common whose times are seconds of one clock, over all its streams."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroluigi.ephys.ready_made import ReadyMadeName
from neuroluigi.ephys.streams import streams_of
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.tasks import SessionTask

if TYPE_CHECKING:
    from neuroluigi.recordings.sample_times import SampleTimes

# Of the groups of a session the first ones are named in a message.
_MOST_NAMED = 5


class ClockedTask(ReadyMadeName, SessionTask):
    """A step over a session whose times are seconds since its first kept sample, on the clock of one stream.

    Requires {"groups": {group: {"aggregate": an Aggregate, ...}}, "aligned": an Aligned of the session}, the latter
    where has_several_streams.
    """

    @property
    def has_several_streams(self) -> bool:
        """Whether the session has several streams with clocks, or one in several groups: its times need an Aligned."""
        streams, _ = streams_of(self.groups, self.session)
        return len(streams) > 1 or (len(streams) == 1 and len(self.groups) > 1)

    def times(self, group: str) -> "SampleTimes":
        """Return when the samples of a group were taken. Raises StepError where its clock is not that of the others.

        Without an Aligned a session of several groups has no common clock.
        """
        from neuroluigi.recordings.sample_times import SampleTimes

        given = self.input()
        maps = given["aligned"]["clocks"].maps() if "aligned" in given else {}
        if maps:
            self._check_one_zero(given["aligned"]["clocks"].load()["streams"])
        found = SampleTimes(given["groups"][group]["aggregate"]["layout"].load(), maps)
        if not found.is_aligned and len(self.groups) > 1:
            others = [key for key in self.groups if key != group]
            more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
            raise StepError(
                f"nothing says how the clock of the group {group} goes with that of"
                f" {', '.join(others[:_MOST_NAMED])}{more}, of the same"
                f" session {self.session}: {self._cure(maps)}"
            )
        return found

    def _check_one_zero(self, streams: Sequence[Mapping[str, Any]]) -> None:
        """Raise StepError for a session of several runs, such as experiments of Open Ephys, each with its own zero."""
        zeros = [one["clock"] for one in streams if one["method"] == "reference"]
        if len(zeros) > 1:
            raise StepError(
                f"the session {self.session} has {len(zeros)} runs, each with a clock of its own"
                f" ({', '.join(zeros)}), and nothing says how long one was after the other; make each a session: edit"
                " the column session of a table (neuroluigi recordings --csv > recordings.csv)"
            )

    def _cure(self, maps: object) -> str:
        if maps:
            return "aligned.json says why it is not aligned; the settings of a stream are those of [Aligned:STREAM]"
        if self.has_several_streams:
            return 'add "aligned": Aligned(self.session) to requires()'
        return (
            "if their recordings follow each other, make them one group ([recordings] group_by = session), or else take"
            " one of them alone ([recordings] select)"
        )

    def span(self) -> tuple[float, float]:
        """Return the seconds of the first sample of the session over the groups that are given, and of the last one."""
        import numpy as np

        ends: list[float] = []
        for group in self.input()["groups"]:
            times = self.times(group)
            samples = [one for first, end in times.ranges(self.session) for one in (first, end - 1) if end > first]
            ends += times.seconds(np.array(samples, np.int64)).tolist()
        known = [one for one in ends if math.isfinite(one)]
        if not known:
            raise StepError(
                f"the seconds of the session {self.session} are not known: set [recordings] sampling_rate_hz, or a"
                " column of that name"
            )
        return min(known), max(known)
