"""EventPlots: pictures of the events that a step found: waveforms, intervals, rates, raster, rates by depth."""

from typing import Any

from luigi.task import flatten

from neuroluigi.ephys.picture import Picture, events_name, events_of
from neuroluigi.signals import depth, intervals, picture, raster, rates, waveforms


class EventPlots(Picture):
    """Pictures of the events of a group, which are threshold crossings.

    Requires {"aggregate": an Aggregate, "events": a step that makes a table of events}, "snippets": a step that makes
    their waveforms, and "aligned": an Aligned of its session, for time on the clock of that. Makes, for events in
    spikes.npy, spikes_intervals.png, spikes_rates.png, spikes_raster.png, with snippets spikes_waveforms.png, and where
    positions of the channels are known spikes_depth.png. The window is that of the raster.
    """

    def output(self):
        required = self.requires()
        name = events_name(required["events"].output())
        kinds = ["intervals", "rates", "raster"]
        kinds += ["waveforms"] if "snippets" in required else []
        kinds += ["depth"] if self.has_depths() else []
        return {kind: self.picture(f"{name}_{kind}") for kind in kinds}

    def has_depths(self) -> bool:
        """Return whether the positions of the group's channels are known, before there is an aggregate."""
        group = self._group()
        recorded = None if group.problems else group.recordings[0].recorded
        return recorded is not None and depth.has_depths(one.y for one in recorded.channels)

    def make(self, out):
        step = self.requires()["events"]
        known: dict[str, Any] = {
            "title": self.group,
            "aggregate_file": self.input()["aggregate"]["layout"].path,
            "events": events_of(step),
            "made_by": step.made_by(),
        }
        chosen, clock = {**known, "channels": self.channels}, self.clock()
        drawn = {
            "intervals": lambda: intervals.intervals_figure(**chosen),
            "rates": lambda: rates.rates_figure(**chosen, clock=clock),
            "raster": lambda: raster.raster_figure(**known, window=self.window, clock=clock),
            "waveforms": lambda: waveforms.waveforms_figure(**chosen, **self._snippets()),
            "depth": lambda: depth.depth_figure(**known, clock=clock),
        }
        for done, (kind, path) in enumerate(out.items(), start=1):
            picture.save_picture(path, drawn[kind])
            self.report_progress(done, len(out), "pictures")

    def _snippets(self) -> dict[str, Any]:
        """Return the waveforms, mapped into memory, and what is said of them."""
        paths = [one.path for one in flatten(self.input()["snippets"])]
        (array,) = (path for path in paths if path.endswith(".npy"))
        (described,) = (path for path in paths if path.endswith(".json"))
        return waveforms.read_snippets(array, described)
