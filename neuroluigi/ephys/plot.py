"""Plot: the samples of a group against time, with level and edges."""

from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.signals import plotting


class Plot(ReadyMade):
    """The group's samples against time, with level and edges.

    Requires {"aggregate": an Aggregate, "stats": its Stats, "edges": its Edges}. Makes plot.png.
    """

    preload = ("matplotlib.figure",)

    def output(self):
        return self.result("plot.png")

    def make(self, out):
        aggregate, edges = self.input()["aggregate"], self.requires()["edges"]
        plotting.plot_group(
            out,
            title=self.group,
            aggregate_file=aggregate["layout"].path,
            edges=edges.output().load(),
            levels=edges.levels(),
            threshold=edges.threshold if edges.level is None else None,
            made_by=edges.made_by(),
        )
