"""Snippets: the signal around some events of each channel, on the channel and its neighbours."""

from collections.abc import Mapping
from typing import Any

import luigi

from neuroluigi.ephys import targets
from neuroluigi.ephys.crossings import Crossings
from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.ephys.signal_task import switch
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.signals.snippets import SnippetOptions, cut_snippets
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.matlab import MatlabTask


class Snippets(ReadyMade, MatlabTask):
    """The signal around the peaks of some events of each channel, on the channel and its neighbours.

    Requires {"aggregate": an Aggregate, "events": a Crossings of it, such as Spikes}, and has the band, the channels
    and the reference of the events. Makes, named after the step, snippets.npy (see targets.Snippets) and snippets.json,
    which says which rows of it are whose.
    """

    before = luigi.FloatParameter(default=1.0, positional=False, description="ms before the peak")
    after = luigi.FloatParameter(default=2.0, positional=False, description="ms from the peak on")
    most = luigi.IntParameter(
        default=100, positional=False, description="snippets of a channel, evenly spaced over its events"
    )
    within = luigi.FloatParameter(
        default=100.0, positional=False, description="um: neighbours of a channel whose position is known"
    )
    beside = luigi.IntParameter(default=4, positional=False, description="neighbours on either side of any other")
    raw = switch("samples as they are, neither filtered nor referenced")

    function = "cutSnippets"
    numpy_function = cut_snippets

    def __init__(self, *arguments, **values):
        super().__init__(*arguments, **values)
        # Not for a class of this package, which has no parameters.
        if self.get_params():
            try:
                SnippetOptions(**self._own_options()).check(1.0)
            except ValueError as error:
                raise RunStopped(f"luigi: {self.task_family}: {error}") from None

    @property
    def stem(self) -> str:
        """The name of the files without their ends."""
        return "-".join((self.task_family.rpartition(".")[2].lower(), *self.filename_values()))

    def output(self):
        return {
            "snippets": self.result(f"{self.stem}.npy", targets.Snippets),
            "summary": self.result(f"{self.stem}.json"),
        }

    def arguments(self, out):
        given, events = self.input(), self._events()
        layout = given["aggregate"]["layout"].path
        if layout != events.layout_file():
            raise RecordingsError(
                f"{self.task_family} requires samples in {layout}, and events of those in {events.layout_file()}; its"
                " aggregate has to be that of its events"
            )
        found = given["events"]["events"] if isinstance(given["events"], Mapping) else given["events"]
        return [layout, found.path, *out.values(), *(one for pair in self.options().items() for one in pair)]

    def fingerprint(self):
        # What the recordings decide, beside the parameters.
        return {"options": self.options()}

    def options(self) -> dict[str, Any]:
        """Return the options of cutSnippets for this group, without those that are its defaults.

        Raises RecordingsError for what the group does not have.
        """
        events = self._events()
        if events.sampling_rate_hz() is None:
            raise RecordingsError(
                f"group {self.group}, {self.task_family}: before and after in ms need the sampling rate, which is not"
                " known; set sampling_rate_hz"
            )
        return {**events.signal_options(), **self._own_options()}

    def _events(self) -> Crossings:
        """Return the task of the events."""
        events = self.requires()["events"]
        if not isinstance(events, Crossings):
            raise TypeError(f"{self.task_family} requires {events} as its events, and that is no Crossings")
        return events

    def _own_options(self) -> dict[str, Any]:
        defaults = SnippetOptions()
        names = ("before", "after", "most", "within", "beside", "raw")
        return {name: value for name in names if (value := getattr(self, name)) != getattr(defaults, name)}
