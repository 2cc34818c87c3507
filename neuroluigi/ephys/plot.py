"""Plot: the samples of a group against time, with level and edges."""

from neuroluigi.ephys.picture import Picture
from neuroluigi.signals import plotting


class Plot(Picture):
    """The group's samples against time, with level and edges.

    Requires {"aggregate": an Aggregate, "stats": its Stats, "edges": its Edges}, and for time on the clock of a session
    "aligned": its Aligned. Makes plot.png, or .svg or .pdf.
    """

    def output(self):
        return self.picture("plot")

    def make(self, out):
        aggregate, edges = self.input()["aggregate"], self.requires()["edges"]
        plotting.plot_group(
            out,
            title=self.group,
            aggregate_file=aggregate["layout"].path,
            edges=edges.output().load(),
            levels=edges.levels(),
            # One for each channel is not said.
            threshold=edges.threshold if edges.level is None and isinstance(edges.threshold, float) else None,
            made_by=edges.made_by(),
            channels=self.channels,
            window=self.window,
            bad=self.bad_channels(),
            clock=self.clock(),
        )
