"""Peri: rasters and histograms of events, or of a sorter's units, around moments of a session, on one clock."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import luigi

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.ephys.session_lines import LineTask, SessionLine
from neuroluigi.ephys.signal_task import given_channels
from neuroluigi.ephys.trial_files import PeriSummary
from neuroluigi.recordings.formats.reader import AP, UNKNOWN
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.recordings.trial_table import START, is_time
from neuroluigi.steps.config import RunStopped, WordsParameter, recordings, setting
from neuroluigi.steps.describe import StepError

if TYPE_CHECKING:
    import numpy as np

    from neuroluigi.ephys.peri_counts import Chosen, Counted
    from neuroluigi.signals.peri import Bins

RISE, FALL = EDGES = ("rise", "fall")
# More are hardly conditions, but a value that is another one in each trial.
_MOST_CONDITIONS = 24


class Peri(LineTask):
    """How many events there are around a moment of each trial, or a change of a line, per channel or sorted unit.

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
        description="of events: names, positions from 0 (also 0-15), kinds; with a minus: without these; blank: all",
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
                f"luigi: [{self.task_family}] by = {self.by} is a column of the trials, and align = {self.align} a"
                " line; align to a column, such as start_time"
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
        from neuroluigi.ephys.peri_counts import Counted, write_table
        from neuroluigi.signals.picture import save_picture

        # Without seconds of the session nothing else is worth an answer.
        self.span()
        moments = self._moments()
        with_events = [key for key, one in self.input()["groups"].items() if {"events", "units"} & one.keys()]
        counted = []
        for done, key in enumerate(with_events):
            self.report_progress(done, len(with_events), key)
            counted.append(Counted(self, key, moments))
        write_table(out["table"], counted, moments.values)
        out["summary"].write_text(json.dumps(self._summary(counted, moments), indent=1) + "\n", encoding="utf-8")
        print("\n".join(one.in_words for one in counted))
        save_picture(out["picture"], lambda: self._figure(counted, moments))

    def _bins(self) -> "Bins":
        from neuroluigi.signals.peri import Bins

        return Bins.of(self.before, self.after, self.bin)

    def _moments(self) -> "Chosen":
        import numpy as np

        from neuroluigi.ephys.peri_counts import Chosen
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
                f"the line {line.text} never {self.edge}s within its samples"
                if line
                else f"the column {self.align} is blank throughout"
            )
            raise StepError(f"there is no moment to align to in the session {self.session}: {what}")
        which = np.zeros(len(seconds), np.int64) if conditions is None else conditions
        times, which = nanoseconds(seconds[is_known]), which[is_known]
        order = np.argsort(times, kind="stable")
        moments = Moments(times[order], which[order], len(values))
        return Chosen(self._bins(), moments, values, int(np.count_nonzero(~is_known)))

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
                f"[{self.task_family}] by = {self.by}: it has {len(values)} values in {self.session}; at most"
                f" {_MOST_CONDITIONS} can be told apart"
            )
        texts = [one if isinstance(one, str) else "" if one != one else f"{one:.10g}" for one in values.tolist()]
        return trials[self.align], which, texts

    def _summary(self, counted: Sequence["Counted"], moments: "Chosen") -> dict[str, Any]:
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

    def _figure(self, counted: Sequence["Counted"], moments: "Chosen") -> Any:
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
        to = f"the {self.edge} of {self.align}" if self.session_line else self.align
        title = f"{self.session}: {self.stem}, around {to}"
        return peri_figure(
            title, lines, panels, moments.bins, moments.moments, trials, moments.values, self.by or "", to
        )

    def _shown(self, counted: Sequence["Counted"]) -> Iterator[tuple["Counted", list[int]]]:
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
