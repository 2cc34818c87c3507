"""Ready-made steps of electrophysiology, with everything but their requires().

A pipeline subclasses them, under the same names, and declares what each requires:

    class Stats(ephys.Stats):
        def requires(self):
            return Aggregate(self.group)
"""

from neuroluigi.ephys.aggregate import Aggregate
from neuroluigi.ephys.decoded import Decoded
from neuroluigi.ephys.edges import Edges
from neuroluigi.ephys.plot import Plot
from neuroluigi.ephys.stats import Stats

__all__ = ["Aggregate", "Decoded", "Edges", "Plot", "Stats"]
