"""Trials: a table of the trials of a session, on its clock: from a table of a lab's, or from a line."""

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import luigi

from neuroluigi.ephys.session_lines import LineTask, SessionLine
from neuroluigi.ephys.trial_files import Trials as TrialsTarget
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.recordings.trial_table import (
    START,
    STOP,
    TrialTable,
    as_seconds,
    check_order,
    outside,
    overlapping,
    read_trials,
)
from neuroluigi.steps.config import RunStopped, recordings_root
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.target import RecordingTarget

SECONDS, MS, SAMPLES = UNITS = ("s", "ms", "samples")
_FAIL, _DROP = "fail", "drop"
# Labs write times to the ms; and a recording lasts a sample longer than to its last one.
_TOLERANCE = 0.001
_FIELD = re.compile(r"\{(\w+)\}")


class TrialFile(CarriesSettings, luigi.ExternalTask):
    """A table of trials as a lab wrote it."""

    table = luigi.Parameter(description="path below [recordings] root")

    def output(self):
        path = os.path.join(recordings_root(), self.table)  # noqa: PTH118 (targets hold text)
        return RecordingTarget(path, recording=self.table)


class Trials(LineTask):
    """The trials of a session, in seconds of its clock; from a table of the lab's, or a line that is high in a trial.

    Requires {"groups": {group: {"aggregate": an Aggregate}}, "table": table_files, "moments": {group: its Lines, or a
    Photodiode where is_analog(group)} for groups_with_line, "aligned": an Aligned where has_several_streams}. Makes
    trials.csv; see trial_files.Trials.
    """

    table = luigi.OptionalStrParameter(
        default=None,
        positional=False,
        description="the lab's table of the trials of a session, .csv, .tsv or .mat: a path below [recordings] root, in"
        " which {session} and other columns of the recordings are replaced",
    )
    line = luigi.OptionalStrParameter(
        default=None,
        positional=False,
        description="in place of a table: a line, such as nidq:8.0, camera or ttl.1: it rises where a trial starts and"
        " falls where it stops; of an analog one, its channel",
    )
    unit = luigi.ChoiceParameter(
        default=SECONDS,
        choices=UNITS,
        positional=False,
        description="of the times in the table: s, ms, or samples of a stream",
    )
    stream = luigi.OptionalStrParameter(
        default=None, positional=False, description="the stream, or group, whose samples the table counts, from 0"
    )
    outside = luigi.ChoiceParameter(
        default=_FAIL,
        choices=(_FAIL, _DROP),
        positional=False,
        description="a trial with a time before or after the recordings of the session: fail, or drop (leave it out)",
    )

    def __init__(self, *arguments, **values):
        super().__init__(*arguments, **values)
        # Not for a class of this package, which has no parameters.
        if self.get_params() and bool(self.table) == bool(self.line):
            which = "are set; one of them says" if self.table else "are blank; one of them has to say"
            raise RunStopped(f"luigi: [{self.task_family}] table and line {which} where the trials are")

    @property
    def session_line(self) -> SessionLine | None:
        return SessionLine.parse(self.line) if self.line else None

    @property
    def table_files(self) -> list[luigi.Task]:
        """The tasks for the lab's table, for requires(); none where a line says it, or where its name is not known."""
        try:
            return [TrialFile(self._table_path())] if self.table else []
        except RecordingsError:
            # Then the step fails with it, and other sessions go on.
            self.lacks_recordings = True
            return []

    def recordings_problem(self) -> str:
        if problem := super().recordings_problem():
            return problem
        try:
            self._table_path()
        except RecordingsError as error:
            return str(error)
        return ""

    def _table_path(self) -> str:
        """Return the path of the table below the root. Raises RecordingsError where a column does not say it."""
        return _FIELD.sub(self._value_of, self.table or "")

    def _value_of(self, field: re.Match[str]) -> str:
        """Return what the session's recordings have in a column, which is the same in all."""
        recordings = (one for group in self.groups.values() for one in group.recordings if one.session == self.session)
        values = {one.columns.get(field[1], "") for one in recordings}
        if len(values) != 1 or "" in values:
            has = f"several values, {', '.join(sorted(values))}" if len(values) > 1 else "no value"
            raise RecordingsError(
                f"[{self.task_family}] table {self.table}: the column {field[1]} of the recordings has {has} in the"
                f" session {self.session}"
            )
        return values.pop()

    def output(self):
        return self.result("trials.csv", TrialsTarget)

    def make(self, out):
        span = self.span()
        line = self.session_line
        table = self._of_line(line) if line else self._of_table()
        table = self._within(table, span)
        starts = table.columns[START]
        in_order = sorted(range(len(starts)), key=lambda n: float(starts[n] or 0))
        table = table.taken(in_order)
        said = [f"{len(starts)} trials"]
        said += [] if in_order == list(range(len(starts))) else ["put into the order of their starts"]
        said += [f"{count} start before another one has stopped"] if (count := overlapping(table)) else []
        print("; ".join(said))
        _write(out, table)

    def _of_line(self, line: SessionLine) -> TrialTable:
        import numpy as np

        rises, falls = self.rises_and_falls(line)
        if not len(rises):
            raise StepError(
                f"the line {line.text} never rises within the samples of the session {self.session}: it has no trials"
            )
        after = np.searchsorted(falls, rises, side="right")
        ends = np.append(falls, np.inf)[after]
        # One whose fall was lost in a gap stops at no known time.
        stops = np.where(ends <= np.append(rises[1:], np.inf), ends, np.nan).tolist()
        columns = {START: rises.tolist(), STOP: [None if not np.isfinite(one) else one for one in stops]}
        return TrialTable(columns, [f"{line.text}, rise {n}" for n in range(1, len(rises) + 1)])

    def _of_table(self) -> TrialTable:
        path = Path(self.input()["table"][0].path)
        table = as_seconds(read_trials(path, self.session), self._seconds_of())
        check_order(table)
        return table

    def _seconds_of(self) -> Callable[[list[float]], list[float]]:
        if self.unit != SAMPLES:
            per_second = 1000 if self.unit == MS else 1
            return lambda times: [one / per_second for one in times]
        group = self._counted_group()
        times = self.times(group)
        ranges = times.ranges(self.session)

        def seconds(counts: list[float]) -> list[float]:
            import numpy as np

            passed = np.cumsum([0, *(end - first for first, end in ranges)])
            wrong = [one for one in counts if one != int(one) or not 0 <= one < passed[-1]]
            if wrong:
                raise RecordingsError(
                    f"[{self.task_family}] unit = samples: {wrong[0]:.15g} is no sample of {group}, which are 0 to"
                    f" {passed[-1] - 1} in the session {self.session}"
                )
            which = np.searchsorted(passed, counts, side="right") - 1
            firsts = np.array([first for first, _ in ranges])
            return times.seconds(firsts[which] + np.array(counts, np.int64) - passed[which]).tolist()

        return seconds

    def _counted_group(self) -> str:
        """Return the group whose samples the table counts."""
        streams = {
            key: next((one.columns.get("stream") for one in group.recordings if one.session == self.session), "")
            for key, group in self.groups.items()
        }
        found = [key for key, stream in streams.items() if self.stream in (None, "", key, stream)]
        if len(found) != 1:
            raise StepError(
                f"[{self.task_family}] unit = samples: set stream to the one whose samples the table counts, one of"
                f" {', '.join(stream or key for key, stream in streams.items())}; where a stream has several groups, to"
                " the group"
            )
        return found[0]

    def _within(self, table: TrialTable, span: tuple[float, float]) -> TrialTable:
        """Return the trials within the session's seconds. RecordingsError for others, unless they are dropped."""
        wrong = outside(table, (span[0] - _TOLERANCE, span[1] + _TOLERANCE))
        if not wrong:
            return table
        first = next(iter(wrong.values()))
        session = f"the session {self.session}, which is from {span[0]:.10g} to {span[1]:.10g} s"
        if self.outside == _FAIL or len(wrong) == len(table.rows):
            more = f", and {len(wrong) - 1} more trials" if len(wrong) > 1 else ""
            raise RecordingsError(
                f"{first} is outside {session}{more}; correct table or unit, or leave such trials out with"
                f" [{self.task_family}] outside = drop"
            )
        print(f"{len(wrong)} trials are left out, with times outside {session}; the first one: {first}")
        return table.taken([n for n in range(len(table.rows)) if n not in wrong])


def _write(path: Path, table: TrialTable) -> None:
    names = [START, STOP, *(name for name in table.columns if name not in (START, STOP))]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        texts = (["" if one is None else one if isinstance(one, str) else repr(one) for one in table.columns[name]]
                 for name in names)  # fmt: skip
        writer.writerows(zip(*texts, strict=True))
