"""Peri: rasters and histograms of events, or of a sorter's units, around moments of a session, on one clock."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi
from luigi.task import flatten

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.ephys.picture import events_of
from neuroluigi.ephys.session_lines import LineTask, SessionLine
from neuroluigi.ephys.signal_task import given_channels
from neuroluigi.ephys.trial_files import PeriSummary
from neuroluigi.recordings.concatenation import describe_channels
from neuroluigi.recordings.formats.reader import AP, UNKNOWN
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.recordings.trial_table import START, is_time
from neuroluigi.steps.config import RunStopped, WordsParameter, recordings, setting
from neuroluigi.steps.describe import StepError

if TYPE_CHECKING:
    import numpy as np

    from neuroluigi.recordings.sample_times import SampleTimes
    from neuroluigi.signals.peri import Bins, Moments, Recorded, Stretches

RISE, FALL = EDGES = ("rise", "fall")
_ALL = "all"
# More are hardly conditions, but a value that is another one in each trial.
_MOST_CONDITIONS = 24
_SPIKES_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Row:
    """A channel whose events are counted, or a unit of it; None for what it is not."""

    group: str
    channel: int | None
    unit: int | None
    name: str


class Peri(LineTask):
    """How many events there are around a moment of each trial, or changes of a line, per channel or per sorted unit.

    Requires {"groups": {group: {"aggregate": an Aggregate, "events": a step that makes a table of events, or "units":
    one that makes a sorter's folder}}, "trials": a Trials where needs_trials, "moments": {group: its Lines, or a
    Photodiode where is_analog(group)} for groups_with_line, "aligned": an Aligned where has_several_streams}. Makes,
    named after the step, peri.csv, a row per channel or unit, condition and bin, peri.json (see
    trial_files.PeriSummary) and peri.png.
    """

    align = luigi.Parameter(
        default=START,
        positional=False,
        description="the moments: start_time, stop_time or another column of the trials that ends in _time; or a line,"
        " such as nidq:8.0, camera or ttl.1",
    )
    edge = luigi.ChoiceParameter(
        default=RISE, choices=EDGES, positional=False, description="of a line: where it rises, or falls"
    )
    before = luigi.FloatParameter(default=500.0, positional=False, description="ms before the moment")
    after = luigi.FloatParameter(default=1000.0, positional=False, description="ms from the moment on")
    bin = luigi.FloatParameter(default=10.0, positional=False, description="ms of a bin of the histogram")
    by = luigi.OptionalStrParameter(
        default=None, positional=False, description="a column of the trials: a histogram for each of its values"
    )
    channels = WordsParameter(
        default=(),
        positional=False,
        description="of events: names, positions from 0 (also 0-15), kinds; with a minus: without these; blank: all that"
        " were looked at",
    )
    units = WordsParameter(
        default=("good",), positional=False, description="of a sorter: labels, such as good and mua, numbers, or all"
    )
    shown = WordsParameter(
        default=(),
        positional=False,
        description="channels, or numbers of units, in the picture, at most 8; blank: those with most events",
    )

    preload = ("matplotlib.figure",)

    def __init__(self, *arguments, **values):
        super().__init__(*arguments, **values)
        # Not for a class of this package, which has no parameters.
        if self.get_params():
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            self._bins()
        except ValueError as error:
            raise RunStopped(f"luigi: [{self.task_family}] {error}") from None
        if self.by and not self.needs_trials:
            raise RunStopped(
                f"luigi: [{self.task_family}] by = {self.by}: that is a column of the trials, and align = {self.align} a"
                " line; align to a column"
            )

    @property
    def stem(self) -> str:
        """The name of the files without their ends."""
        return "-".join((self.task_family.rpartition(".")[2].lower(), *self.filename_values()))

    @property
    def needs_trials(self) -> bool:
        """Whether the moments are in a column of the trials, and not changes of a line."""
        return is_time(self.align)

    @property
    def session_line(self) -> SessionLine | None:
        return None if self.needs_trials else SessionLine.parse(self.align)

    @property
    def groups_with_spikes(self) -> list[str]:
        """The groups of the session with channels of kind ap, or else of unknown ones: where Spikes looks for some."""
        of_kind = {kind: [key for key in self.groups if self._has_kind(key, kind)] for kind in (AP, UNKNOWN)}
        return of_kind[AP] or of_kind[UNKNOWN] or [*self.groups]

    def _has_kind(self, key: str, kind: str) -> bool:
        group = self.groups[key]
        if group.problems or not group.recordings:
            # The steps that it requires fail with the reason.
            return kind == UNKNOWN
        return bool(GroupChannels(group, setting(recordings).bad_channels).of_kinds(kind))

    def output(self):
        return {
            "table": self.result(f"{self.stem}.csv"),
            "summary": self.result(f"{self.stem}.json", PeriSummary),
            "picture": self.result(f"{self.stem}.png"),
        }

    def fingerprint(self):
        # What the recordings decide, beside the parameters.
        return {"bad_channels": list(bad)} if (bad := setting(recordings).bad_channels) else {}

    def make(self, out):
        from neuroluigi.signals.picture import save_picture

        self.span()
        moments = self._moments()
        with_events = [key for key, one in self.input()["groups"].items() if {"events", "units"} & one.keys()]
        counted = []
        for done, key in enumerate(with_events):
            self.report_progress(done, len(with_events), key)
            counted.append(_Counted(self, key, moments))
        _write_table(out["table"], counted, moments.values)
        out["summary"].write_text(json.dumps(self._summary(counted, moments), indent=1) + "\n", encoding="utf-8")
        print("\n".join(one.in_words for one in counted))
        save_picture(out["picture"], lambda: self._figure(counted, moments))

    def _bins(self) -> "Bins":
        from neuroluigi.signals.peri import Bins

        return Bins.of(self.before, self.after, self.bin)

    def _moments(self) -> "_Chosen":
        import numpy as np

        from neuroluigi.signals.peri import Moments, nanoseconds

        line = self.session_line
        if line:
            rises, falls = self.rises_and_falls(line)
            seconds, conditions, values = rises if self.edge == RISE else falls, None, [""]
        else:
            seconds, conditions, values = self._of_trials()
        is_known = np.isfinite(seconds)
        if not is_known.any():
            what = (
                f"the line {line.text} never {self.edge}s" if line else f"the column {self.align} is blank throughout"
            )
            raise StepError(f"there is no moment to align to in the session {self.session}: {what}")
        which = np.zeros(len(seconds), np.int64) if conditions is None else conditions
        times, which = nanoseconds(seconds[is_known]), which[is_known]
        order = np.argsort(times, kind="stable")
        moments = Moments(times[order], which[order], len(values))
        return _Chosen(self._bins(), moments, values, int(np.count_nonzero(~is_known)))

    def _of_trials(self) -> tuple["np.ndarray", "np.ndarray | None", list[str]]:
        """Return the moment of each trial in seconds, the number of its condition, and the conditions."""
        import numpy as np

        trials = self.input()["trials"].load()
        for setting_name, name in (("align", self.align), ("by", self.by)):
            if name and name not in trials:
                raise StepError(
                    f"[{self.task_family}] {setting_name} = {name}: the trials of {self.session} have no such column;"
                    f" they have {', '.join(trials)}"
                )
        if not self.by:
            return trials[self.align], None, [""]
        values, which = np.unique(trials[self.by], return_inverse=True)
        if len(values) > _MOST_CONDITIONS:
            raise StepError(
                f"[{self.task_family}] by = {self.by}: it has {len(values)} values in {self.session}, and conditions are"
                f" {_MOST_CONDITIONS} at most"
            )
        texts = [one if isinstance(one, str) else "" if one != one else f"{one:.10g}" for one in values.tolist()]
        return trials[self.align], which, texts

    def _summary(self, counted: Sequence["_Counted"], moments: "_Chosen") -> dict[str, Any]:
        per_condition = moments.per_condition()
        return {
            "session": self.session,
            "align": self.align,
            "edge": self.edge if self.session_line else None,
            "by": self.by,
            "window_ms": [-self.before, self.after],
            "bin_ms": self.bin,
            "trials": len(moments.moments.times),
            "blank": moments.blank,
            "conditions": [
                {"value": value, "trials": number} for value, number in zip(moments.values, per_condition, strict=True)
            ],
            "groups": [{"group": one.group, "what": one.what, **one.coverage} for one in counted],
            "rows": [row for one in counted for row in one.described()],
        }

    def _figure(self, counted: Sequence["_Counted"], moments: "_Chosen") -> Any:
        from neuroluigi.signals.peri_figure import Panel, chosen_trials, peri_figure

        panels = []
        trials = chosen_trials(moments.moments)
        for one, rows in self._shown(counted):
            rasters = one.rasters(rows, trials)
            for row in rows:
                name = one.rows[row].name
                unit, channel = one.rows[row].unit, one.rows[row].channel
                what = f"unit {unit}" if unit is not None else f"channel {channel}"
                group = one.group if len(counted) > 1 else ""
                panels.append(
                    Panel(what, name, group, rasters[row], one.counts[row], one.recorded.trials)
                )  # fmt: skip
        lines = [*moments.in_words(self), *(one.in_words for one in counted)]
        to = f"{self.align} {self.edge}s" if self.session_line else self.align
        title = f"{self.session}: {self.stem}, around {to}"
        return peri_figure(title, lines, panels, moments.bins, moments.moments, trials, moments.values, self.by or "")

    def _shown(self, counted: Sequence["_Counted"]) -> Iterator[tuple["_Counted", list[int]]]:
        """Yield what was counted of a group, and which of its rows are in the picture."""
        from neuroluigi.signals.shown_channels import MAX_CHANNELS

        known = [(one, n) for one in counted for n in range(len(one.rows))]
        if self.shown:
            known = [(one, n) for one, n in known if one.names(n) & {*self.shown}]
            missing = {*self.shown} - {name for one, n in known for name in one.names(n)}
            if missing or len(known) > MAX_CHANNELS:
                why = f"{min(missing)} was not counted" if missing else f"{len(known)} are named"
                raise StepError(f"[{self.task_family}] shown: {why}; a picture shows {MAX_CHANNELS} at most")
        else:
            known = sorted(known, key=lambda pair: -int(pair[0].counts[pair[1]].sum()))[:MAX_CHANNELS]
        for one in counted:
            if rows := sorted(n for other, n in known if other is one):
                yield one, rows

    def choose_channels(self, group: str, looked_at: Sequence[int]) -> list[int]:
        """Return the 0-based channels of a group whose events are counted. Raises RecordingsError."""
        of_group = given_channels(self.groups[group], self.input()["groups"][group])
        chosen = of_group.choose(self.channels, looked_at, f"[{self.task_family}] channels")
        if wrong := [one for one in chosen if one not in looked_at]:
            raise RecordingsError(
                f"[{self.task_family}] channels: events were not looked for on channel {wrong[0]} of {group}"
            )
        return chosen


@dataclass(frozen=True)
class _Chosen:
    """The moments, their bins, the values of their conditions, and how many trials have no moment."""

    bins: "Bins"
    moments: "Moments"
    values: list[str]
    blank: int

    def per_condition(self) -> list[int]:
        """Return how many moments each condition has."""
        import numpy as np

        return np.bincount(self.moments.condition, minlength=len(self.values)).tolist()

    def in_words(self, step: Peri) -> list[str]:
        """Return what is counted around what, for people."""
        from neuroluigi.signals.picture import count_of

        what = "trial" if step.needs_trials else step.edge
        parts = [count_of(len(self.moments.times), what), f"bins of {step.bin:g} ms"]
        parts += [f"{count_of(self.blank, 'trial')} without {step.align}"] if self.blank else []
        if step.by:
            numbers = zip(self.values, self.per_condition(), strict=True)
            parts.append(f"by {step.by}: " + ", ".join(f"{value or '(blank)'} {number}" for value, number in numbers))
        return ["  ·  ".join(parts)]


class _Counted:
    """The histograms of a group: its rows, and their counts (rows, conditions, bins)."""

    def __init__(self, step: Peri, group: str, chosen: _Chosen):
        from neuroluigi.signals.peri import counts_around, recorded_around

        self.group, self._step, self._chosen = group, step, chosen
        given = step.input()["groups"][group]
        self._layout: Mapping[str, Any] = given["aggregate"]["layout"].load()
        self._times = step.times(group)
        self._events: _Events = (_OfUnits if "units" in given else _OfChannels)(step, group, self._layout, self._times)
        self.rows, self.what, self.bins = self._events.rows, self._events.what, chosen.bins
        self._stretches = _stretches(self._layout, self._times, step.session)
        self.recorded: Recorded = recorded_around(chosen.moments, self._stretches, chosen.bins)
        self.counts: np.ndarray = counts_around(
            self._events.blocks(), len(self.rows), chosen.moments, self._stretches, chosen.bins
        )

    @cached_property
    def coverage(self) -> dict[str, int]:
        """How many trials were recorded whole, partly, and not at all."""
        bins, recorded = self._chosen.bins.count, self.recorded.bins
        whole, none = int((recorded == bins).sum()), int((recorded == 0).sum())
        return {"whole": whole, "partly": len(recorded) - whole - none, "none": none}

    @property
    def in_words(self) -> str:
        """What was counted, for people."""
        said = f"{self.group}: {self.what}, {int(self.counts.sum())} in the windows"
        missing = [f"{self.coverage[name]} {text}" for name, text in _MISSING.items() if self.coverage[name]]
        return f"{said}; {' and '.join(missing)} recorded: only whole bins count" if missing else said

    def names(self, row: int) -> set[str]:
        """Return by which words a row may be chosen for the picture."""
        one = self.rows[row]
        return {str(one.unit)} if one.unit is not None else {str(one.channel), one.name} - {""}

    def described(self) -> Iterator[dict[str, Any]]:
        """Yield what the summary says of each row."""
        from neuroluigi.signals.peri import response

        for one, counts in zip(self.rows, self.counts, strict=True):
            responses = []
            for value, of_condition, trials in zip(self._chosen.values, counts, self.recorded.trials, strict=True):
                found = response(of_condition, trials, self._chosen.bins)
                responses.append({"condition": value, "count": int(of_condition.sum()), **vars(found)})
            yield {**vars(one), "responses": responses}

    def rasters(self, rows: Sequence[int], trials: "np.ndarray") -> dict[int, tuple["np.ndarray", "np.ndarray"]]:
        """Return for some rows the events around some of the moments: position of the moment, and ns from it on."""
        import numpy as np

        from neuroluigi.signals.peri import Moments, pairs_around

        moments, wanted = self._chosen.moments, np.full(len(self.rows) + 1, -1)
        wanted[list(rows)] = list(rows)
        some = Moments(moments.times[trials], moments.condition[trials], moments.conditions)
        blocks = ((times, wanted[of_row]) for times, of_row in self._events.blocks())
        found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {row: [] for row in rows}
        for of_row, moment, offset in pairs_around(blocks, some, self._stretches, self._chosen.bins):
            for row in rows:
                found[row].append((trials[moment[of_row == row]], offset[of_row == row]))
        nothing = (np.zeros(0, np.int64), np.zeros(0, np.int64))
        joined = {row: [np.concatenate(one) for one in zip(nothing, *parts)] for row, parts in found.items()}
        return {row: (trial, offset) for row, (trial, offset) in joined.items()}


_MISSING = {"partly": "partly", "none": "not at all"}


class _Events:
    """Events of a group: rows, what they are, and their times, block by block."""

    rows: list[Row]
    what: str

    def blocks(self) -> Iterator[tuple["np.ndarray", "np.ndarray"]]:
        """Yield times in ns, and the row of each, -1 for none."""
        raise NotImplementedError


class _OfChannels(_Events):
    """Those of a step that finds events: a row per channel."""

    def __init__(self, step: Peri, group: str, layout: Mapping[str, Any], times: "SampleTimes"):
        import numpy as np

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


class _OfUnits(_Events):
    """Those of a sorter: a row per unit."""

    def __init__(self, step: Peri, group: str, layout: Mapping[str, Any], times: "SampleTimes"):
        import numpy as np

        from neuroluigi.signals.sorted_units import read_units

        task = step.requires()["groups"][group]["units"]
        folder = next(one.path for one in flatten(step.input()["groups"][group]["units"]))
        try:
            units = read_units(folder)
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
    samples: "np.ndarray", rows: "np.ndarray", times: "SampleTimes", ranges: Sequence[tuple[int, int]]
) -> tuple["np.ndarray", "np.ndarray"]:
    """Return times in ns and rows of the events that are of a session, at known times, and of a row."""
    import numpy as np

    from neuroluigi.signals.peri import nanoseconds

    is_ours = np.zeros(len(samples), bool)
    for first, end in ranges:
        is_ours |= (samples >= first) & (samples < end)
    is_ours &= rows >= 0
    seconds, rows = times.seconds(samples[is_ours]), rows[is_ours]
    is_known = np.isfinite(seconds)
    return nanoseconds(seconds[is_known]), rows[is_known]


def _stretches(layout: Mapping[str, Any], times: "SampleTimes", session: str) -> "Stretches":
    """Return when a session was recorded in a group: what lies between two seams, or gaps."""
    import numpy as np

    from neuroluigi.signals.peri import Stretches, nanoseconds

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


def _write_table(path: Path, counted: Sequence[_Counted], values: Sequence[str]) -> None:
    """Write a row per channel or unit, condition and bin."""
    from neuroluigi.signals.peri import rates_hz

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("group", "channel", "unit", "name", "condition", "bin_start_ms", "trials", "count", "rate_hz"))
        for one in counted:
            bins, trials = one.bins, one.recorded.trials
            starts, rates = bins.edges_ms[:-1].tolist(), rates_hz(one.counts, trials, bins).tolist()
            for row, counts, of_row in zip(one.rows, one.counts.tolist(), rates, strict=True):
                for value, *columns in zip(values, trials.tolist(), counts, of_row, strict=True):
                    head = row.group, row.channel, row.unit, row.name, value
                    for start, number, count, rate in zip(starts, *columns, strict=True):
                        writer.writerow((*head, f"{start:g}", number, count, "" if rate != rate else repr(rate)))
