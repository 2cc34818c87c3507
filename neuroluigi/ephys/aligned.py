"""Aligned: all streams of a session on the clock of a reference stream, by the pulses that all of them get."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi.task import flatten

from neuroluigi.ephys.clock_files import Clocks
from neuroluigi.ephys.lines import LineEvents
from neuroluigi.ephys.picture import WithPictures
from neuroluigi.ephys.ready_made import ReadyMadeName
from neuroluigi.ephys.recorded_clock import SecondsFiles, recorded_difference, recorded_map
from neuroluigi.ephys.streams import HEADER, NONE, PULSES, RECORDED, TTL, Stream, settings_of, streams_of
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.tasks import SessionTask

if TYPE_CHECKING:
    from neuroluigi.recordings.sample_times import ClockMap
    from neuroluigi.signals.alignment import Alignment, FirstOffset, Pulses

# Among what is required, beside the groups: no group has such a key.
_FILES = "/files"
# In periods: what a person who sets an offset knows it to.
_SET_OFFSET = 0.4


class Aligned(WithPictures, ReadyMadeName, SessionTask):
    """All streams of a session on the clock of the first one with channels of kind ap, or else of the first one.

    Requires {group: {"aggregate": an Aggregate, "pulses": its Lines, or Pulses where these are analog}} for the groups
    with pulses (groups_with_pulses), and by itself the files of events (TTL) and of seconds that a rig wrote. Makes
    aligned.json ("clocks"; see clock_files.Clocks) and aligned.png, how far each pulse is from a line. A stream has
    settings in a section of its own, such as [Aligned:nidq]: line, threshold of an analog one, period, offset, and
    method: pulses; recorded, by the seconds that the rig wrote; header, by its counters alone, as where no pulses were
    on; or none. Where it is not certain which pulses are the same, it fails.
    """

    preload = ("matplotlib.figure",)
    reads_own_sections = True

    def __init_subclass__(cls, **kwargs):
        if declared := vars(cls).get("requires"):
            cls.requires = _with_files(declared)
        super().__init_subclass__(**kwargs)

    @property
    def groups_with_pulses(self) -> list[str]:
        """The keys of the session's groups in which there are pulses, as far as headers and settings say."""
        streams, _ = self._streams()
        return list(dict.fromkeys(group for one in streams if one.line for group in one.groups))

    def is_analog(self, group: str) -> bool:
        """Return whether the pulses of a group are those of an analog channel."""
        streams, _ = self._streams()
        return any(one.analog_line for one in streams if group in one.groups)

    def output(self):
        return {"clocks": self.result("aligned.json", Clocks), "picture": self.picture("aligned")}

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
        for one in unaligned:
            if settings_of(one["stream"]).method == RECORDED:
                raise StepError(f"[Aligned:{one['stream']}] method = {RECORDED}: {one['why']}")
        described: list[dict[str, Any]] = []
        alignments: dict[str, Alignment] = {}
        runs = list(dict.fromkeys(one.sync.run for one in streams if one.sync))
        for run in runs:
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
        if len(runs) > 1:
            print(f"These are {len(runs)} runs, each with a zero of its own: seconds of one are not those of another.")
        content = {"session": self.session, "streams": described, "unaligned": unaligned}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        out["clocks"].write_text(text, encoding="utf-8")
        save_picture(out["picture"], lambda: residuals_figure(self.session, lines, alignments))

    def _streams(self) -> tuple[list[Stream], list[dict[str, Any]]]:
        return streams_of(self.groups, self.session)


_NO_LINE = "no header says which line has the pulses; set line"


def _with_files(declared: Any) -> Any:
    """Return a requires() with the files that a rig wrote beside what is declared."""

    def requires(aligned: Aligned) -> dict[str, Any]:
        streams, _ = aligned._streams()
        looked_at = [one for one in streams if one.method in (PULSES, RECORDED)]
        with_seconds = [recording for one in looked_at if one.has_seconds for _, recording in one.recordings]
        with_lines = [recording for one in looked_at if one.line.startswith(TTL) for _, recording in one.recordings]
        # The seconds of lines are beside their counters.
        with_lines += [one for one in with_seconds if SecondsFiles(*one.identity).of_lines]
        files = dict.fromkeys([
            *(LineEvents(*one.identity) for one in with_lines),
            *(SecondsFiles(*one.identity) for one in with_seconds),
        ])  # fmt: skip
        given = declared(aligned)
        return {**given, _FILES: [*files]} if files else given

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
                found = recorded_map(stream, self.reference, self._zero)
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
        from neuroluigi.signals.alignment import align, shifts_of_stops

        pulses = self._pulses(self.reference), self._pulses(stream)
        period, period_from = self._period(stream, pulses[0])
        first = self._first_offset(stream, period)
        found = align(*pulses, period, first)
        clock = ClockMap(**found.breakpoints(self._zero))
        if stream.settings.offset is not None:
            self._check_offset(stream, clock, period, shifts_of_stops(*pulses, period, found))
        residuals = found.residuals
        return {
            "counters": clock.counters.tolist(),
            "seconds": clock.seconds.tolist(),
            "before": clock.before,
            "after": clock.after,
            "ppm": found.ppm,
            "residuals": {"largest": float(abs(residuals).max()), "rms": float(np.sqrt(np.mean(residuals**2)))},
            "line": stream.line,
            **self._level(stream),
            "period": period,
            "period_from": period_from,
            "offset": float(clock.to_seconds(np.array(0))),
            "uncertainty": first.uncertainty,
            "offset_from": "header" if stream.settings.offset is None else "setting",
            "unmatched": found.unmatched_stream.tolist(),
            "unmatched_reference": found.unmatched_reference.tolist(),
            "missing": found.missing,
            "stops": found.stops,
            "recorded_difference": recorded_difference(stream, self.reference, found.stream, found.reference),
        }, found

    def _pulses(self, stream: Stream) -> "Pulses":
        import numpy as np

        from neuroluigi.signals.alignment import Pulses
        from neuroluigi.signals.stream_counts import counts_at, first_count, rises_in, ttl_counts

        sync, counts, begins = stream.sync, list[np.ndarray](), list[int]()
        if sync is None or not stream.line:
            raise ValueError(f"of {stream.name} {_NO_LINE}")
        if sync.channel is None:
            recorded = [one.recorded for _, one in stream.recordings if one.recorded]
            files = [one.line_files for one in recorded]
            begins = [one.start_sample for one in recorded if one.start_sample is not None]
            counts = [ttl_counts(one.states, one.counters, sync.bit or 0) for one in files if one]
        else:
            for group in stream.groups:
                events = np.load(_table_of(self._inputs[group]["pulses"]), mmap_mode="r")
                layout = self._layouts[group]
                begins += [first_count(row) for row in layout["recordings"] if row.get("clock") == stream.clock]
                counts.append(counts_at(rises_in(events, sync.channel, sync.bit), layout, stream.clock))
        return Pulses(np.concatenate([np.empty(0, np.int64), *counts]), stream.rate, tuple(begins))

    def _level(self, stream: Stream) -> dict[str, Any]:
        line = stream.analog_line
        return {"threshold": line.level, "threshold_from": line.level_from} if line else {}

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

        if stream.settings.offset is not None:
            count = self._zero + self.reference.rate * stream.settings.offset
            return FirstOffset(self._first_count(stream), count, _SET_OFFSET * period)
        header = self._offset_of_header(stream)
        if header is None:
            raise ValueError("no header says when its clock began; set offset")
        return header

    def _offset_of_header(self, stream: Stream) -> "FirstOffset | None":
        from neuroluigi.signals.alignment import FirstOffset

        sync, other = stream.sync, self.reference.sync
        if sync is None or other is None:
            return None
        later = self.reference.rate * (sync.seconds - other.seconds)
        return FirstOffset(sync.count, other.count + later, max(sync.uncertainty, other.uncertainty))

    def _check_offset(self, stream: Stream, clock: "ClockMap", period: float, shifts: Sequence[int]) -> None:
        """Raise ValueError where a set offset is off by whole periods, by the header or by when the pulses stopped."""
        import numpy as np

        from neuroluigi.signals.alignment import WANDER

        header = self._offset_of_header(stream)
        count, zero = (header.stream, (header.reference - self._zero) / self.reference.rate) if header else (0, 0.0)
        # From the nearest pulse to there, the clocks may have gone apart.
        apart = max(clock.counters[0] - count, count - clock.counters[-1], 0) / stream.rate
        if header and header.uncertainty + WANDER * apart < period / 2:
            difference = float(clock.to_seconds(np.array(count))) - zero
            if abs(difference) >= period / 2:
                right = float(stream.settings.offset or 0) - difference
                raise ValueError(
                    f"offset is {stream.settings.offset:g} s, and by the headers {right:.4g} s, known to"
                    f" {header.uncertainty:g} s, at pulses that come every {period:g} s; correct offset, or remove it"
                )
        elif shifts and 0 not in shifts:
            right = float(stream.settings.offset or 0) + shifts[0] * period
            raise ValueError(
                f"offset is {stream.settings.offset:g} s, but the pulses stop at the same time in both streams if it is"
                f" about {right:.4g} s; correct offset"
            )

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
        return (
            f"{one['stream']} to {one['reference']}: by the seconds that the rig wrote, as straight lines between"
            f" {len(one['counters'])} points, to {1e6 * one['largest_error']:g} us"
        )
    if one["method"] == HEADER:
        return (
            f"{one['stream']} to {one['reference']}: by the counters of their headers alone, without pulses: to"
            f" {one['uncertainty']:g} s, and as far as both clocks keep their rates"
        )
    numbers = len(one["counters"]), len(one["unmatched"]), len(one["unmatched_reference"])
    level = f", analog pulses at {_level_in_words(one)}" if "threshold" in one else ""
    text = (
        f"{one['stream']} to {one['reference']}: {one['ppm']:+.2f} ppm, largest residual"
        f" {one['residuals']['largest']:.3f} samples, {numbers[0]} pulses, without a partner {numbers[1]} of it and"
        f" {numbers[2]} of {one['reference']}{level}"
    )
    difference = one["recorded_difference"]
    return (
        text
        if difference is None
        else f"{text}; the seconds that the rig wrote differ by {1e6 * difference:.0f} us at most"
    )


def _level_in_words(one: Mapping[str, Any]) -> str:
    level = one["threshold"]
    return f"{level} ({one['threshold_from']})" if isinstance(level, str) else f"{level:g} of the channel's range"
