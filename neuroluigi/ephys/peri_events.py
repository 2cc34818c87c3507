"""What Peri counts: the events of a step per channel, or the spikes of a sorter per unit, with their times."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from luigi.task import flatten

from neuroluigi.ephys.picture import events_of
from neuroluigi.recordings.concatenation import describe_channels
from neuroluigi.signals.peri import nanoseconds
from neuroluigi.signals.sorted_units import read_units
from neuroluigi.steps.describe import StepError

if TYPE_CHECKING:
    from neuroluigi.ephys.peri import Peri
    from neuroluigi.recordings.sample_times import SampleTimes

_ALL = "all"
_SPIKES_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Row:
    """A channel whose events are counted, or a unit of it; None for what it is not."""

    group: str
    channel: int | None
    unit: int | None
    name: str


class Events:
    """Events of a group: rows, what they are, and their times, block by block."""

    rows: list[Row]
    what: str
    # What one of them is called.
    noun = "event"

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield times in ns, and the row of each, -1 for none."""
        raise NotImplementedError


class OfChannels(Events):
    """Those of a step that finds events: a row per channel."""

    def __init__(self, step: "Peri", group: str, layout: Mapping[str, Any], times: "SampleTimes"):
        self._found = events_of(step.requires()["groups"][group]["events"])
        channels = describe_channels(layout)
        counts = self._found.summary.get("count", [0] * len(channels))
        chosen = step.choose_channels(group, [n for n, count in enumerate(counts) if count is not None])
        self.rows = [Row(group, n, None, channels[n].get("name") or "") for n in chosen]
        self.what = f"{self._found.name}, {self._found.what}, not sorted"
        self._row_of = np.full(len(channels), -1)
        self._row_of[chosen] = np.arange(len(chosen))
        self._times, self._ranges = times, times.ranges(step.session)

    def blocks(self):
        for sample, channel in self._found.onsets():
            yield _in_session(sample, self._row_of[channel], self._times, self._ranges)


class OfUnits(Events):
    """Those of a sorter: a row per unit."""

    noun = "spike"

    def __init__(self, step: "Peri", group: str, layout: Mapping[str, Any], times: "SampleTimes"):
        task = step.requires()["groups"][group]["units"]
        folder = next(one.path for one in flatten(step.input()["groups"][group]["units"]))
        try:
            units = read_units(folder, sum(row["samples"] for row in layout["recordings"]))
        except ValueError as error:
            raise StepError(f"{task.task_family} of {group} is no sorter's folder: {error}") from error
        wanted = {*step.units}
        chosen = [one for one in units if _ALL in wanted or {one.label, str(one.id)} & wanted]
        if not chosen:
            has = ", ".join(sorted({one.label or "without a label" for one in units})) or "none"
            raise StepError(
                f"[{step.task_family}] units = {', '.join(step.units)}: {group} has no such units; it has {len(units)},"
                f" of labels: {has}; all takes all"
            )
        names = [one.get("name") or "" for one in describe_channels(layout)]
        self.rows = [
            Row(group, one.channel, one.id, "" if one.channel is None else names[one.channel]) for one in chosen
        ]
        self.what = f"{task.task_family}, {len(chosen)} of {len(units)} units ({', '.join(step.units)})"
        samples = np.concatenate([one.samples for one in chosen])
        row = np.repeat(np.arange(len(chosen)), [len(one.samples) for one in chosen])
        order = np.argsort(samples, kind="stable")
        self._samples, self._row = samples[order], row[order]
        self._times, self._ranges = times, times.ranges(step.session)

    def blocks(self):
        for first in range(0, len(self._samples), _SPIKES_AT_A_TIME):
            some = slice(first, first + _SPIKES_AT_A_TIME)
            yield _in_session(self._samples[some], self._row[some], self._times, self._ranges)


def _in_session(
    samples: np.ndarray, rows: np.ndarray, times: "SampleTimes", ranges: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return times in ns and rows of the events that are of a session, at known times, and of a row."""
    is_ours = np.zeros(len(samples), bool)
    for first, end in ranges:
        is_ours |= (samples >= first) & (samples < end)
    is_ours &= rows >= 0
    seconds, rows = times.seconds(samples[is_ours]), rows[is_ours]
    is_known = np.isfinite(seconds)
    return nanoseconds(seconds[is_known]), rows[is_known]
