"""The pipeline: recordings -> aggregate -> stats -> edges -> plot, for every group of recordings.

luigi --module tasks PlotAll --local-scheduler
"""

import luigi

# GroupTask and MatlabTask are for steps of your own, which you add below.
from neuroluigi import (  # noqa: F401
    ExistingRecording,
    GroupTask,
    MatlabTask,
    RecordingMaker,
    ReportTask,
    WrapperTask,
    ephys,
    fake_samples,
    groups,
    recording_task,
)


class Recording(ExistingRecording):
    """A recording that exists: [recordings] root and table declare where."""


class FakeRecording(RecordingMaker):
    """Pseudorandom bytes in place of a recording, the same on every machine."""

    bytes = luigi.IntParameter(default=100, description="length of each file")

    def make(self, out):
        out.write_bytes(fake_samples(self.session, self.index, self.bytes))


class Aggregate(ephys.Aggregate):
    """The group's recordings, one after the other, and what is where in them."""

    def requires(self):
        return [recording_task(recording) for recording in self.recordings]


class Flat(ephys.Flat):
    """A flat file of the group's samples, for programs that read nothing else; a copy only where there is none."""

    def requires(self):
        return Aggregate(self.group)


class Handover(ephys.Handover):
    """Files by which SpikeInterface, phy and Kilosort open the group's samples where they lie."""

    def requires(self):
        return {"aggregate": Aggregate(self.group), "flat": Flat(self.group)}


class Stats(ephys.Stats):
    """Count, minimum, maximum, mean and standard deviation of each channel."""

    def requires(self):
        return Aggregate(self.group)


class Edges(ephys.Edges):
    """The samples at which a channel rises through its level (threshold crossings)."""

    def requires(self):
        return {"aggregate": Aggregate(self.group), "stats": Stats(self.group)}


class Crossings(ephys.Crossings):
    """Threshold crossings of any kind: band, reference, polarity, level and durations are settings."""

    def requires(self):
        return Aggregate(self.group)


class Spikes(ephys.Spikes):
    """Threshold crossings of neurons: multi-unit activity, not sorted."""

    def requires(self):
        return Aggregate(self.group)


class Snippets(ephys.Snippets):
    """The signal around some of the Spikes of each channel, on the channel and its neighbours."""

    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Spikes(self.group)}


class Filtered(ephys.Filtered):
    """The group's samples band-passed and referenced, in a file."""

    def requires(self):
        return Aggregate(self.group)


class Downsampled(ephys.Downsampled):
    """The group's samples at a lower rate, such as local field potentials."""

    def requires(self):
        return Aggregate(self.group)


class Beats(ephys.Beats):
    """Heart beats of an electrocardiogram."""

    def requires(self):
        return Aggregate(self.group)


class Photodiode(ephys.Photodiode):
    """When a light on a screen goes on and off."""

    def requires(self):
        return Aggregate(self.group)


class Lines(ephys.Lines):
    """The rises and falls of digital lines, in words of bits or in the events that a rig wrote beside samples."""

    def requires(self):
        return Aggregate(self.group)


class Pulses(ephys.Pulses):
    """The pulses of an analog line by which streams are aligned."""

    def requires(self):
        return Aggregate(self.group)


class Aligned(ephys.Aligned):
    """All streams of a session on one clock, by the pulses that all of them get."""

    def requires(self):
        return {
            group: {
                "aggregate": Aggregate(group),
                "pulses": Pulses(group) if self.is_analog(group) else Lines(group),
            }
            for group in self.groups_with_pulses
        }


class Trials(ephys.Trials):
    """The trials of a session, by a table of the lab's or by a line, in seconds of its clock."""

    def requires(self):
        return {
            "groups": {group: {"aggregate": Aggregate(group)} for group in self.groups},
            "table": self.table_files,
            "moments": {
                group: Photodiode(group) if self.is_analog(group) else Lines(group) for group in self.groups_with_line
            },
            **({"aligned": Aligned(self.session)} if self.has_several_streams else {}),
        }


class Peri(ephys.Peri):
    """Rasters and histograms of spikes around a moment of each trial, or a line."""

    def requires(self):
        spikes = {group: {"events": Spikes(group)} for group in self.groups_with_spikes}
        return {
            "groups": {group: {"aggregate": Aggregate(group), **spikes.get(group, {})} for group in self.groups},
            "moments": {
                group: Photodiode(group) if self.is_analog(group) else Lines(group) for group in self.groups_with_line
            },
            **({"trials": Trials(self.session)} if self.needs_trials else {}),
            **({"aligned": Aligned(self.session)} if self.has_several_streams else {}),
        }


class NWB(ephys.NWB):
    """All of a session in one file of Neurodata Without Borders: docs/nwb.md."""

    def requires(self):
        steps = {"ap": Spikes, "digital": Lines}
        of_groups = {
            group: {
                "aggregate": Aggregate(group),
                "events": [steps[kind](group) for kind in self.kinds_of(group) if kind in steps],
            }
            for group in self.groups
        }
        return {
            "groups": of_groups,
            **({"trials": Trials(self.session)} if self.is_set(Trials, "table", "line") else {}),
            **({"aligned": Aligned(self.session)} if self.has_several_streams else {}),
        }


class NWBAll(ephys.NWBAll):
    """The NWB of every session: neuroluigi export nwb."""


class Traces(ephys.Traces):
    """The group's samples against time."""

    def requires(self):
        return {"aggregate": Aggregate(self.group)}


class SpikeTraces(ephys.Traces):
    """The group's samples against time, with spikes."""

    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Spikes(self.group)}


class SpikePlots(ephys.EventPlots):
    """Waveforms, intervals, rates and raster of spikes, and rates by depth."""

    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Spikes(self.group), "snippets": Snippets(self.group)}


class Spectrum(ephys.Spectrum):
    """The power of the group's samples by frequency."""

    def requires(self):
        return Aggregate(self.group)


class Plot(ephys.Plot):
    """The group's samples against time, with level and edges."""

    def requires(self):
        return {"aggregate": Aggregate(self.group), "stats": Stats(self.group), "edges": Edges(self.group)}


class PlotAll(ephys.PlotAll):
    """The plots of every group, and what they need, by the kinds of its channels: see [PlotAll] of luigi.cfg."""


class Report(ReportTask):
    """results/report.html: all of PlotAll on one page, whether it was run, failed, or is still to be run."""

    shows = PlotAll
