"""Aligned: all streams of a session on the clock of a reference stream, by the pulses that all of them get."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi.task import flatten

from neuroluigi.ephys.clock_files import Clocks
from neuroluigi.ephys.lines import LineEvents
from neuroluigi.ephys.ready_made import ReadyMadeName
from neuroluigi.ephys.streams import HEADER, NONE, PULSES, RECORDED, Stream, streams_of
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.tasks import SessionTask

if TYPE_CHECKING:
    from neuroluigi.signals.alignment import Alignment, FirstOffset, Pulses

# Among what is required, beside the groups: no group has such a key.
_EVENTS = "/events"
# In periods: what a person who sets an offset knows it to.
_SET_OFFSET = 0.4


class Aligned(ReadyMadeName, SessionTask):
    """All streams of a session on the clock of the first one with channels of kind ap, or else of the first one.

    Requires {group: {"aggregate": an Aggregate, "pulses": its Lines, or Crossings where the pulses are analog}} for the
    groups with pulses (groups_with_pulses), and by itself the files of events (TTL) that a rig wrote. Makes
    aligned.json ("clocks"; see clock_files.Clocks) and aligned.png, how far each pulse is from a line. A stream has
    settings in a section of its own, such as [Aligned:nidq]: line, period, offset, and method: pulses; recorded, by the
    seconds that the rig wrote; header, by its counters alone, as where no pulses were on; or none. Where it is not
    certain which pulses are the same, it fails.
    """

    preload = ("matplotlib.figure",)

    def __init_subclass__(cls, **kwargs):
        if declared := vars(cls).get("requires"):
            cls.requires = _with_events(declared)
        super().__init_subclass__(**kwargs)

    @property
    def groups_with_pulses(self) -> list[str]:
        """The keys of the session's groups in which there are pulses, as far as headers and settings say."""
        streams, _ = self._streams()
        return list(dict.fromkeys(group for one in streams if one.line for group in one.groups))

    def is_analog(self, group: str) -> bool:
        """Return whether the pulses of a group are those of an analog channel."""
        streams, _ = self._streams()
        return any(one.line.isdecimal() for one in streams if group in one.groups)

    def output(self):
        return {"clocks": self.result("aligned.json", Clocks), "picture": self.result("aligned.png")}

    def fingerprint(self):
        streams, unaligned = self._streams()
        said = [
            {
                "clock": one.clock,
                "groups": one.groups,
                "rate": one.rate,
                "sync": asdict(one.sync) if one.sync else None,
                "settings": asdict(one.settings),
                "starts": [recording.recorded.start_sample for _, recording in one.recordings if recording.recorded],
            }
            for one in streams
        ]
        return {"streams": said, "unaligned": unaligned}

    def make(self, out):
        from neuroluigi.signals.alignment_plot import residuals_figure
        from neuroluigi.signals.picture import save_picture

        streams, unaligned = self._streams()
        if not streams:
            raise StepError(
                f"no header says how the clock of any stream of the session {self.session} goes with others"
            )
        described: list[dict[str, Any]] = []
        alignments: dict[str, Alignment] = {}
        for run in dict.fromkeys(one.sync.run for one in streams if one.sync):
            of_run = [one for one in streams if one.sync and one.sync.run == run]
            one_clock = _Run(of_run, self.input())
            for stream in of_run:
                if stream.method == NONE or (stream.method == PULSES and not stream.line):
                    why = "left out by its settings" if stream.method == NONE else _NO_LINE
                    if stream is not one_clock.reference:
                        unaligned.append({"stream": stream.name, "groups": stream.groups, "why": why})
                        continue
                found, alignment = one_clock.describe(stream)
                described.append(found)
                if alignment:
                    # Each experiment of Open Ephys has clocks of its own for the same streams.
                    label = stream.clock if stream.name in alignments else stream.name
                    alignments[label] = alignment
        lines = [_in_words(one) for one in described]
        print("\n".join([*lines, *(f"{one['stream']}: not aligned: {one['why']}" for one in unaligned)]))
        content = {"session": self.session, "streams": described, "unaligned": unaligned}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        out["clocks"].write_text(text, encoding="utf-8")
        save_picture(out["picture"], lambda: residuals_figure(self.session, lines, alignments))

    def _streams(self) -> tuple[list[Stream], list[dict[str, Any]]]:
        return streams_of(self.groups, self.session)


_NO_LINE = "no header says which line has the pulses; set line"


def _with_events(declared: Any) -> Any:
    """Return a requires() with the files of events beside what is declared."""

    def requires(aligned: Aligned) -> dict[str, Any]:
        streams, _ = aligned._streams()
        events = [
            LineEvents(*recording.identity)
            for stream in streams
            if stream.line.startswith("ttl")
            for _, recording in stream.recordings
        ]
        given = declared(aligned)
        return {**given, _EVENTS: events} if events else given

    return requires


class _Run:
    """The streams that share a clock, with a reference among them; raises StepError where that is not certain."""

    def __init__(self, streams: list[Stream], inputs: Mapping[str, Any]):
        self.reference = next((one for one in streams if one.is_ap), streams[0])
        self._inputs = inputs
        self._layouts = {
            group: inputs[group]["aggregate"]["layout"].load()
            for one in streams
            for group in one.groups
            if group in inputs
        }
        self._zero = self._first_count(self.reference)

    def describe(self, stream: Stream) -> tuple[dict[str, Any], "Alignment | None"]:
        """Return what aligned.json says of a stream, and how its pulses were matched, None for another method."""
        known: dict[str, Any] = {
            "stream": stream.name,
            "groups": stream.groups,
            "clock": stream.clock,
            "sampling_rate_hz": stream.rate,
            "reference": self.reference.name,
        }
        if stream is self.reference:
            slope = 1 / stream.rate
            line = {"counters": [self._zero], "seconds": [0.0], "before": slope, "after": slope}
            return {**known, "method": "reference", **line}, None
        alignment = None
        try:
            if stream.method == RECORDED:
                found = self._recorded(stream)
            elif stream.method == HEADER:
                found = self._by_header(stream)
            else:
                found, alignment = self._by_pulses(stream)
        except ValueError as error:
            hint = f"; its settings are those of [Aligned:{stream.name}]"
            raise StepError(f"{stream.name} is not aligned with {self.reference.name}: {error}{hint}") from error
        return {**known, "method": stream.method, **found}, alignment

    def _by_pulses(self, stream: Stream) -> tuple[dict[str, Any], "Alignment"]:
        import numpy as np

        from neuroluigi.recordings.sample_times import ClockMap
        from neuroluigi.signals.alignment import align

        pulses = self._pulses(self.reference), self._pulses(stream)
        period, period_from = self._period(stream, pulses[0])
        first = self._first_offset(stream, period)
        found = align(*pulses, period, first)
        clock = ClockMap(**found.breakpoints(self._zero))
        residuals = found.residuals
        return {
            "counters": clock.counters.tolist(),
            "seconds": clock.seconds.tolist(),
            "before": clock.before,
            "after": clock.after,
            "ppm": found.ppm,
            "residuals": {"largest": float(abs(residuals).max()), "rms": float(np.sqrt(np.mean(residuals**2)))},
            "line": stream.line,
            "period": period,
            "period_from": period_from,
            "offset": float(clock.to_seconds(np.array(0))),
            "uncertainty": first.uncertainty,
            "offset_from": "header" if stream.settings.offset is None else "setting",
            "unmatched": found.unmatched_stream.tolist(),
            "unmatched_reference": found.unmatched_reference.tolist(),
            "missing": found.missing,
            "stops": found.stops,
            "recorded_difference": self._recorded_difference(stream, clock),
        }, found

    def _pulses(self, stream: Stream) -> "Pulses":
        import numpy as np

        from neuroluigi.signals.alignment import Pulses
        from neuroluigi.signals.stream_counts import counts_at, rises_in, ttl_counts

        sync, counts = stream.sync, list[np.ndarray]()
        if sync is None or not stream.line:
            raise ValueError(f"of {stream.name} {_NO_LINE}")
        if sync.channel is None:
            files = [one.recorded.line_files for _, one in stream.recordings if one.recorded]
            counts = [ttl_counts(one.states, one.counters, sync.bit or 0) for one in files if one]
        else:
            for group in stream.groups:
                events = np.load(_table_of(self._inputs[group]["pulses"]), mmap_mode="r")
                counts.append(counts_at(rises_in(events, sync.channel, sync.bit), self._layouts[group], stream.clock))
        return Pulses(np.concatenate([np.empty(0, np.int64), *counts]), stream.rate)

    def _period(self, stream: Stream, pulses: "Pulses") -> tuple[float, str]:
        """Return the seconds from pulse to pulse, and who says so."""
        import numpy as np

        if said := stream.settings.period or self.reference.settings.period:
            return said, "setting"
        for one in (stream, self.reference):
            if one.sync and one.sync.period:
                return one.sync.period, "header"
        if len(pulses.counters) < 3:
            raise ValueError(f"{self.reference.name} has {len(pulses.counters)} pulses, too few to align anything by")
        return float(np.median(np.diff(pulses.counters))) / pulses.rate, "pulses"

    def _first_offset(self, stream: Stream, period: float) -> "FirstOffset":
        from neuroluigi.signals.alignment import FirstOffset

        sync, other, rate = stream.sync, self.reference.sync, self.reference.rate
        if stream.settings.offset is not None:
            count = self._zero + rate * stream.settings.offset
            return FirstOffset(self._first_count(stream), count, _SET_OFFSET * period)
        if sync is None or other is None:
            raise ValueError("no header says when its clock began; set offset")
        later = sync.seconds - other.seconds
        return FirstOffset(sync.count, other.count + rate * later, max(sync.uncertainty, other.uncertainty))

    def _first_count(self, stream: Stream) -> int:
        from neuroluigi.signals.stream_counts import first_count

        rows = [row for group in stream.groups if group in self._layouts for row in self._layouts[group]["recordings"]]
        known = [first_count(row) for row in rows if row.get("clock") == stream.clock]
        # Of a group that needs no aggregate for its pulses.
        starts = (one.recorded.start_sample for _, one in stream.recordings if one.recorded)
        return min(known or [one for one in starts if one is not None])

    def _by_header(self, stream: Stream) -> dict[str, Any]:
        """Return the line by which both clocks count as their headers say."""
        first, slope = self._first_offset(stream, period=0.0), 1 / stream.rate
        seconds = (first.reference - self._zero) / self.reference.rate
        line = {"counters": [first.stream], "seconds": [seconds], "before": slope, "after": slope}
        return {**line, "offset": seconds - first.stream * slope, "uncertainty": first.uncertainty}

    def _recorded(self, stream: Stream) -> dict[str, Any]:
        """Return the line through the seconds that the rig wrote. Raises StepError where it wrote none."""
        sync, other = stream.sync, self.reference.sync
        if not (sync and other and sync.end and other.end):
            raise StepError(
                f"[Aligned:{stream.name}] method = recorded: the rig wrote no seconds beside the samples of"
                f" {stream.name} and {self.reference.name}"
            )
        zero = _recorded_seconds(other, self._zero)
        slope = (sync.end[1] - sync.seconds) / (sync.end[0] - sync.count)
        ends = [sync.count, sync.end[0]], [sync.seconds - zero, sync.end[1] - zero]
        return {"counters": ends[0], "seconds": ends[1], "before": slope, "after": slope}

    def _recorded_difference(self, stream: Stream, clock: Any) -> float | None:
        import numpy as np

        sync, other = stream.sync, self.reference.sync
        if not (sync and other and sync.end and other.end):
            return None
        recorded = np.array([sync.seconds, sync.end[1]]) - _recorded_seconds(other, self._zero)
        return float(abs(clock.to_seconds(np.array([sync.count, sync.end[0]])) - recorded).max())


def _recorded_seconds(sync: Any, count: int) -> float:
    """Return the seconds that the rig wrote at a count, by those at the first and the last sample."""
    slope = (sync.end[1] - sync.seconds) / (sync.end[0] - sync.count)
    return sync.seconds + slope * (count - sync.count)


def _table_of(targets: Any) -> str:
    """Return the path of the table of events among the files of a step."""
    paths = [one.path for one in flatten(targets)]
    tables = [one for one in paths if Path(one).suffix == ".npy" and not one.endswith("_amplitudes.npy")]
    if len(tables) != 1:
        raise StepError(f"'pulses' in requires() has to make one table of events, .npy; it makes {paths}")
    return tables[0]


def _in_words(one: Mapping[str, Any]) -> str:
    """Return a line on a stream of aligned.json."""
    if one["method"] == "reference":
        return f"{one['stream']}: the reference"
    if one["method"] == RECORDED:
        return f"{one['stream']} to {one['reference']}: by the seconds that the rig wrote"
    if one["method"] == HEADER:
        return (
            f"{one['stream']} to {one['reference']}: by the counters of their headers alone, without pulses: to"
            f" {one['uncertainty']:g} s, and as far as both clocks keep their rates"
        )
    numbers = len(one["counters"]), len(one["unmatched"]), len(one["unmatched_reference"])
    text = (
        f"{one['stream']} to {one['reference']}: {one['ppm']:+.2f} ppm, largest residual"
        f" {one['residuals']['largest']:.3f} samples, {numbers[0]} pulses, without a partner {numbers[1]} of it and"
        f" {numbers[2]} of {one['reference']}"
    )
    difference = one["recorded_difference"]
    return text if difference is None else f"{text}; the seconds of the rig differ by {1e6 * difference:.0f} us"
