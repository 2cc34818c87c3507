"""A group of a lab in Python: its samples, times, events and pictures."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroluigi.notebook.frame import frame, html_table
from neuroluigi.provenance.files import read_json
from neuroluigi.recordings.recording import Recording
from neuroluigi.steps.config import results_root
from neuroluigi.steps.discovery import groups

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from neuroluigi.notebook.lab import Lab
    from neuroluigi.signals.aggregate import AggregateFile


@dataclass(frozen=True)
class Waveforms:
    """The signal around events of one channel: `samples`, float64 of shape (snippets, neighbours, samples), in `unit`.

    `neighbours` are 0-based channels, the own one first; `times_ms` are those of the samples, 0 at the peak.
    """

    channel: int
    neighbours: list[int]
    unit: str
    times_ms: "np.ndarray"
    samples: "np.ndarray"


class LabGroup:
    """A group: `key`, and what there is of its recordings and results.

    Samples are those that its Aggregate has kept, counted from 0 over all of its recordings.
    """

    def __init__(self, lab: "Lab", key: str):
        self._lab, self.key = lab, key

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """The group's recordings, in order."""
        with self._lab._looking():
            return groups()[self.key].recordings

    @property
    def channels(self) -> Any:
        """A table of the channels: position, name, kind, unit, and whether somebody said that it is bad."""
        from neuroluigi.signals.kept_samples import units_of
        from neuroluigi.signals.shown_channels import described_channels

        aggregate = self._aggregate()
        return frame(
            {
                "channel": list(range(aggregate.channels)),
                "name": [one.get("name", "") for one in described_channels(aggregate)],
                "kind": list(aggregate.kinds),
                "unit": [unit for _, _, unit in units_of(aggregate)],
                "is_bad": [one in aggregate.bad for one in range(aggregate.channels)],
            }
        )

    @property
    def sampling_rate_hz(self) -> float | None:
        """The sampling rate, None where it is not known."""
        return self._aggregate().sampling_rate_hz

    @property
    def stats(self) -> dict[str, Any]:
        """What Stats found, in counts: `count`, and min, max, mean and std, float64 of shape (channels,)."""
        from neuroluigi.ephys.targets import Stats

        return Stats(self._file("stats.json", "Stats")).load()

    def samples(
        self,
        start: int = 0,
        stop: int | None = None,
        channels: Sequence[int | str] | None = None,
        physical: bool = True,
    ) -> "np.ndarray":
        """Return samples from `start` up to `stop`, (samples, channels): float64 in the unit of each channel.

        `channels` are 0-based positions or names, by default all. Where no unit is known, and of all where not
        `physical`, they are counts, in the second case in the dtype of the files. Memory is that of what is returned.
        """
        from neuroluigi.signals.kept_samples import checked_span, named_channels, read_samples

        aggregate = self._aggregate()
        span = checked_span(aggregate, start, stop)
        return read_samples(aggregate, *span, named_channels(aggregate, channels), physical)

    def times(self, start: int = 0, stop: int | None = None) -> "np.ndarray":
        """Return the seconds of samples, as `neuroluigi events` has them: on the reference's clock where aligned.

        NaN where the sampling rate, or how many samples are missing, is not known.
        """
        import numpy as np

        from neuroluigi.recordings.sample_times import SampleTimes
        from neuroluigi.results.clocks import clock_maps
        from neuroluigi.signals.kept_samples import checked_span

        aggregate = self._aggregate()
        first, last = checked_span(aggregate, start, stop)
        with self._lab._looking():
            maps = clock_maps(aggregate.content, results_root())
        return SampleTimes(aggregate.content, maps).seconds(np.arange(first, last))

    def events(self, name: str = "", where: str | Sequence[str] = (), variant: str = "", counts: bool = False) -> Any:
        """Return the events of this group in a table; see Lab.events()."""
        return self._lab.events(self.key, name, where, variant, counts)

    def waveforms(self, name: str = "snippets", physical: bool = True) -> list[Waveforms]:
        """Return the snippets that a step has cut, of each channel that has some; in counts where not `physical`.

        They have no offset where they were band-passed. `name` is that of their files.
        """
        import numpy as np

        from neuroluigi.ephys.targets import Snippets
        from neuroluigi.signals.kept_samples import units_of
        from neuroluigi.signals.shown_channels import COUNTS

        rows, said = Snippets(self._file(f"{name}.npy", "Snippets")).load(), self._read(f"{name}.json")
        known = units_of(self._aggregate())
        length, rate = rows.shape[1], said["sampling_rate_hz"]
        times = (np.arange(length) - said["before_samples"]) / rate * 1000
        found = []
        for one in said["rows"]:
            near = one["neighbours"]
            block = rows[one["first"] : one["first"] + one["count"] * len(near)]
            samples = np.asarray(block, np.float64).reshape(one["count"], len(near), length)
            scales = np.array([known[n][0] if physical else 1.0 for n in near])
            offsets = np.array([known[n][1] if physical and said["raw"] else 0.0 for n in near])
            unit = known[near[0]][2] if physical else COUNTS
            found.append(Waveforms(one["channel"], near, unit, times, samples * scales[:, None] + offsets[:, None]))
        return found

    def plot(
        self,
        window: str | tuple[float, float] = "",
        channels: Sequence[int | str] = (),
        events: str = "",
    ) -> "Figure":
        """Return a figure of the samples against time, of at most eight channels.

        `window` is (10, 12.5) or "10-12.5", in seconds, "event", around a typical one, or "" for all. `events` is the
        name of an array of events, such as "spikes", that are to be marked.
        """
        from neuroluigi.notebook.shown_figure import shown
        from neuroluigi.signals.found_events import read_events
        from neuroluigi.signals.traces import traces_figure

        aggregate = self._aggregate()
        found = None
        if events:
            beside = [
                Path(self._file(f"{events}.npy")).with_name(f"{events}{end}") for end in ("_amplitudes.npy", ".json")
            ]
            found = read_events(
                events, self._file(f"{events}.npy"), *(str(one) if one.is_file() else "" for one in beside)
            )
        text = window if isinstance(window, str) else f"{window[0]:.15g}-{window[1]:.15g}"
        chosen = [str(one) for one in channels]
        return shown(traces_figure(self.key, aggregate.path, found, "", chosen, text, aggregate.bad))

    def recording(self) -> Any:
        """Return a SpikeInterface recording of the samples, which reads them when they are asked for.

        It has their scale in uV where the unit is one of voltage, names and kinds of channels, and the probe where
        positions are known. Needs SpikeInterface.
        """
        from neuroluigi.notebook.spikeinterface import recording_of

        return recording_of(self._aggregate(), self.key)

    def _aggregate(self) -> "AggregateFile":
        from neuroluigi.ephys.channels import GroupChannels
        from neuroluigi.signals.aggregate import read_aggregate
        from neuroluigi.steps.group_settings import bad_channels

        path = self._file("aggregate.json", "Aggregate")
        with self._lab._looking():
            bad = GroupChannels(groups()[self.key], *bad_channels(self.key)).bad
        return read_aggregate(path, bad)

    def _file(self, name: str, step: str = "") -> str:
        with self._lab._looking():
            path = results_root() / self.key / name
        if not path.is_file():
            raise ValueError(f"there is no {path} (yet){f': lab.run({step!r}) makes it' if step else ''}")
        return str(path)

    def _read(self, name: str) -> dict[str, Any]:
        if (found := read_json(Path(path := self._file(name)))) is None:
            raise ValueError(f"{path} can't be read; make it again")
        return found

    def __repr__(self) -> str:
        return f"<group {self.key} of {self._lab!r}>"

    def _repr_html_(self) -> str:
        rows = [(one.session, one.index, one.name) for one in self.recordings]
        return f"<p>group {html.escape(self.key)}</p>" + html_table(("session", "index", "file"), rows)
