"""What all steps that draw have in common: which channels, which part of the time, and in which format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import luigi
from luigi.task import flatten

from neuroluigi.ephys.clock_files import Clocks
from neuroluigi.ephys.ready_made import ReadyMade, ReadyMadeName
from neuroluigi.ephys.signal_task import given_channels
from neuroluigi.recordings.sample_times import SampleTimes
from neuroluigi.signals.drawn_time import parse_window
from neuroluigi.signals.found_events import FoundEvents, read_events
from neuroluigi.signals.picture import FORMATS
from neuroluigi.signals.time_axis import Clock
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import RunStopped, WordsParameter
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.target import ResultTarget

_FORMAT = FORMATS[0]
_AMPLITUDES = "_amplitudes"


class _OfAllPlots(luigi.Parameter[Any]):
    """Mixed into another parameter: where the section of a step says nothing, that of Plot does."""

    also_of = ("Plot",)

    def task_value(self, task_name, param_name):
        """Return the value for a kind of step; its default alone for no kind."""
        own = super().task_value(task_name, param_name)
        # That of a group is asked for only where it says something.
        is_default = task_name and ":" not in task_name and own == super().task_value("", param_name)
        return super().task_value("Plot", param_name) if is_default else own


class _Words(_OfAllPlots, WordsParameter):
    pass


class _Choice(_OfAllPlots, luigi.ChoiceParameter):
    pass


class Window(_OfAllPlots):
    """A part of the time: 10-12.5 in seconds, event, or blank."""

    def normalize(self, x):
        """Return the text; RunStopped where it is neither of these."""
        try:
            parse_window(x)
        except ValueError as error:
            raise RunStopped(f"luigi: {error}") from error
        return x


class WithPictures(ReadyMadeName, Step):
    """Mixed into a step that makes pictures, among other files: in which format."""

    format = _Choice(
        default=_FORMAT,
        choices=FORMATS,
        significant=False,
        positional=False,
        description="format of the pictures, and end of their names",
    )
    deciding_settings: tuple[str, ...] = ("format",)

    def picture(self, name: str) -> ResultTarget:
        """Return the target of a picture of that name, in the format of the settings."""
        return self.result(f"{name}.{self.format}")


class Picture(WithPictures, ReadyMade):
    """A step that draws a group; another format is another file, and leaves that of before where it is.

    With "aligned" in requires(), an Aligned of its session or a list of them, time is that of its clock.
    """

    # Not significant, so that a picture without them has the name that it always had; see fingerprint().
    channels = _Words(
        default=(),
        significant=False,
        positional=False,
        description="channels to show: names, positions from 0, spread (over the probe) or active (those with most"
        " events); at most 8",
    )
    window = Window(
        default="",
        significant=False,
        positional=False,
        description="what to show of the time: seconds, such as 10-12.5, event (around a typical one), or blank for"
        " all",
    )
    deciding_settings: tuple[str, ...] = ("channels", "window", "format")
    preload = ("matplotlib.figure",)

    def fingerprint(self):
        """Return the settings that are set: a picture of before there were any is the same as one without."""
        values = {name: getattr(self, name) for name in self.deciding_settings} | {"bad_channels": self.bad_channels()}
        return {name: value for name, value in values.items() if value not in ((), [], "", _FORMAT)}

    def bad_channels(self) -> list[int]:
        """Return the 0-based positions of the bad ones among the channels that are drawn. Raises RecordingsError."""
        return sorted(given_channels(self._group(), self.input()).bad)

    def clock(self) -> Clock | None:
        """Return the clock that "aligned" in requires() has made; None, for the group's own, where it is not there.

        Raises StepError for a group that has no time on it.
        """
        given = self.input()
        if not isinstance(given, Mapping) or "aligned" not in given:
            return None
        files = [one for one in flatten(given["aligned"]) if isinstance(one, Clocks)]
        maps = {key: clock for one in files for key, clock in one.maps().items()}
        layout = given["aggregate"]["layout"].load()
        times = SampleTimes(layout, maps)
        sessions = list(dict.fromkeys(row["session"] for row in layout["recordings"]))
        hint = 'or leave "aligned" out of requires()'
        if not times.is_aligned:
            raise StepError(
                f"{', '.join(one.path for one in files)} has no clock of all recordings of the group {self.group}: see"
                f" there why it is not aligned; [Aligned:STREAM] has the settings of a stream; {hint}"
            )
        if len(sessions) > 1:
            raise StepError(
                f"the group {self.group} has recordings of the sessions {', '.join(sessions)}, and seconds begin anew"
                f" in each: group by session ([recordings] group_by), {hint}"
            )
        streams = {one["clock"]: one["reference"] for file in files for one in file.load()["streams"]}
        return Clock(streams[layout["recordings"][0]["clock"]], times.seconds)


def events_name(target: Any) -> str:
    """Return the name of the files of an event step, such as spikes, by its output."""
    return files_of_events(target)[0].rpartition(".")[0]


def events_of(step: Any) -> FoundEvents:
    """Return the events that a step found, whose files are spikes.npy and, as far as there are, those beside it."""
    return read_events_of(step.output(), step.task_family)


def read_events_of(target: Any, name: str = "") -> FoundEvents:
    """Return the events in what a step made, by its output; called as `name`, or as its files."""
    table, files = files_of_events(target)
    stem = table.rpartition(".")[0]
    return read_events(
        name or stem, files[table], files.get(f"{stem}{_AMPLITUDES}.npy", ""), files.get(f"{stem}.json", "")
    )


def files_of_events(target: Any) -> tuple[str, dict[str, str]]:
    """Return the name of the table of events, and the path of each file of its step by its name."""
    files = {Path(one.path).name: one.path for one in flatten(target)}
    tables = [name for name in files if name.endswith(".npy") and not name.endswith(f"{_AMPLITUDES}.npy")]
    if len(tables) != 1:
        raise RunStopped(f"luigi: 'events' in requires() has to make one table of events, .npy; it makes {[*files]}")
    return tables[0], files
