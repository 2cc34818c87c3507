"""The pipeline: recordings -> aggregate -> stats -> edges -> plot, for every group of recordings.

luigi --module tasks PlotAll --local-scheduler
"""

import luigi

import targets
from neuroluigi import (
    ExistingRecording,
    GroupTask,
    MatlabTask,
    RecordingMaker,
    ReportTask,
    RunStopped,
    WrapperTask,
    data_bytes,
    fake_samples,
    groups,
    plotting,
    standins,
)


class Recording(ExistingRecording):
    """A recording that is there already: [recordings] root and table say where."""


class FakeRecording(RecordingMaker):
    """Pseudorandom bytes in place of a recording, the same on every machine."""

    bytes = luigi.IntParameter(default=100, description="length of each file")

    def make(self, out):
        out.write_bytes(fake_samples(self.session, self.index, self.bytes))


def recording_task(recording):
    """Return the task that provides a recording."""
    return FakeRecording(recording.session, recording.index) if recording.made else Recording(*recording.identity)


class Aggregate(GroupTask, MatlabTask):
    """The group's recordings, one after the other in one file, and what is where in it."""

    function = "concatenateFiles"
    numpy_function = standins.concatenate_files

    def requires(self):
        return [recording_task(recording) for recording in self.recordings]

    def output(self):
        return {
            "data": self.result("aggregate.bin"),
            "layout": self.result("aggregate.json", targets.Layout),
        }

    def arguments(self, out):
        files = self.input()
        headers = [file.header_bytes for file in files]
        return [[file.path for file in files], out["data"], headers, data_bytes(self.layout())]

    def make(self, out):
        super().make(out)
        targets.Layout.save(out["layout"], self.layout())

    def fingerprint(self):
        return {"layout": self.layout()}


class Stats(GroupTask, MatlabTask):
    """Count, minimum, maximum, mean and standard deviation of each channel."""

    function = "computeStats"
    numpy_function = standins.compute_stats

    def requires(self):
        return Aggregate(self.group)

    def output(self):
        return self.result("stats.json", targets.Stats)

    def arguments(self, out):
        aggregate = self.input()
        layout = aggregate["layout"].load()
        return [aggregate["data"].path, out, layout["dtype"], layout["channels"]]


class Fraction(luigi.FloatParameter):
    """A threshold from 0 to 1."""

    def normalize(self, x):
        if not 0 <= x <= 1:
            raise RunStopped(
                f"luigi: threshold {x:.15g}: threshold is a fraction of the channel's range, from 0 to 1;"
                f" for raw counts use --Edges-level {x:.15g}"
            )
        return x


class Edges(GroupTask, MatlabTask):
    """The samples at which a channel rises through its level (threshold crossings)."""

    threshold = Fraction(default=0.75, description="level as a fraction of the channel's range, from 0 to 1")
    level = luigi.OptionalFloatParameter(default=None, description="level in raw counts, instead of threshold")
    function = "findRisingEdges"
    numpy_function = standins.find_rising_edges

    def requires(self):
        return {"aggregate": Aggregate(self.group), "stats": Stats(self.group)}

    def output(self):
        return self.result("edges.npy", targets.Edges)

    def arguments(self, out):
        aggregate = self.input()["aggregate"]
        layout = aggregate["layout"].load()
        data = [aggregate["data"].path, out, layout["dtype"], layout["channels"]]
        return [*data, self.levels(), layout["segments"]]

    def levels(self):
        """Return the level of each channel, in raw counts."""
        return targets.levels(self.input()["stats"].load(), self.threshold, self.level)


class Plot(GroupTask):
    """The group's samples against time, with level and edges."""

    preload = ("matplotlib.figure",)

    def requires(self):
        return {"aggregate": Aggregate(self.group), "stats": Stats(self.group), "edges": Edges(self.group)}

    def output(self):
        return self.result("plot.png")

    def make(self, out):
        aggregate, edges = self.input()["aggregate"], self.requires()["edges"]
        plotting.plot_group(
            out,
            title=self.group,
            data_file=aggregate["data"].path,
            layout=aggregate["layout"].load(),
            edges=edges.output().load(),
            levels=edges.levels(),
            threshold=edges.threshold if edges.level is None else None,
            made_by=edges.made_by(),
        )


class PlotAll(WrapperTask):
    """A plot of every group."""

    def requires(self):
        return [Plot(group) for group in groups()]


class Report(ReportTask):
    """results/report.html: all of PlotAll on one page, whether it was run, failed, or is still to be run."""

    shows = PlotAll
