"""Stats: count, minimum, maximum, mean and standard deviation of each channel."""

from neuroluigi.ephys import targets
from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.signals import numpy_functions
from neuroluigi.steps.matlab import MatlabTask


class Stats(ReadyMade, MatlabTask):
    """Count, minimum, maximum, mean and standard deviation of each channel, in raw counts.

    Requires an Aggregate. Makes stats.json; see targets.Stats.
    """

    function = "computeStats"
    numpy_function = numpy_functions.compute_stats

    def output(self):
        return self.result("stats.json", targets.Stats)

    def arguments(self, out):
        return [self.input()["layout"].path, out]
