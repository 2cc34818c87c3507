"""Edges: the samples at which a channel rises through its level (threshold crossings)."""

import luigi

from neuroluigi.ephys import targets
from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.signals import numpy_functions
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.matlab import MatlabTask


class Fraction(luigi.FloatParameter):
    """A threshold from 0 to 1."""

    def normalize(self, x):
        """Return the fraction; RunStopped where it is none."""
        if not 0 <= x <= 1:
            raise RunStopped(
                f"luigi: threshold {x:.15g}: threshold is a fraction of the channel's range, from 0 to 1;"
                f" for raw counts use --Edges-level {x:.15g}"
            )
        return x


class Edges(ReadyMade, MatlabTask):
    """The samples at which a channel rises through its level: at or above it, after a sample below it.

    Requires {"aggregate": an Aggregate, "stats": its Stats}. Makes edges.npy; see targets.Edges.
    """

    threshold = Fraction(default=0.75, description="level as a fraction of the channel's range, from 0 to 1")
    level = luigi.OptionalFloatParameter(default=None, description="level in raw counts, instead of threshold")
    function = "findRisingEdges"
    numpy_function = numpy_functions.find_rising_edges

    def output(self):
        return self.result("edges.npy", targets.Edges)

    def arguments(self, out):
        return [self.input()["aggregate"]["layout"].path, out, self.levels()]

    def levels(self) -> list[float]:
        """Return the level of each channel, in raw counts."""
        return targets.levels(self.input()["stats"].load(), self.threshold, self.level)
