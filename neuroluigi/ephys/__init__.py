"""Ready-made steps of electrophysiology, with everything but their requires().

A pipeline subclasses them, under the same names, and declares what each requires:

    class Stats(ephys.Stats):
        def requires(self):
            return Aggregate(self.group)

Steps of a lab's own read the samples of a group a block at a time:

    for block in ephys.blocks(ephys.read_aggregate(self.input()["layout"].path)):
        ...
"""

from contextlib import ExitStack

from neuroluigi.steps.late_imports import imported_when_used

# It takes as long to import as all of the package, and nothing that is there needs it. Not `with`: what defines a name
# within a statement is code that counts, and this would be made of all the steps.
_while_importing = ExitStack()
_while_importing.enter_context(imported_when_used("numpy"))

# isort: split
from neuroluigi.ephys.aggregate import Aggregate
from neuroluigi.ephys.aligned import Aligned
from neuroluigi.ephys.by_kind import PlotAll
from neuroluigi.ephys.crossings import Beats, Crossings, Photodiode, Spikes
from neuroluigi.ephys.curated import Curated
from neuroluigi.ephys.decoded import Decoded
from neuroluigi.ephys.downsampled import Downsampled
from neuroluigi.ephys.edges import Edges
from neuroluigi.ephys.event_plots import EventPlots
from neuroluigi.ephys.filtered import Filtered
from neuroluigi.ephys.flat import Flat
from neuroluigi.ephys.handover import Handover
from neuroluigi.ephys.lines import Lines
from neuroluigi.ephys.nwb import NWB, NWBAll
from neuroluigi.ephys.peri import Peri
from neuroluigi.ephys.plot import Plot
from neuroluigi.ephys.pulses import Pulses
from neuroluigi.ephys.snippets import Snippets
from neuroluigi.ephys.spectrum import Spectrum
from neuroluigi.ephys.stats import Stats
from neuroluigi.ephys.traces import Traces
from neuroluigi.ephys.trials import Trials
from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.blocks import blocks

# isort: split
_while_importing.close()

__all__ = [
    "NWB",
    "Aggregate",
    "AggregateFile",
    "Aligned",
    "Beats",
    "Crossings",
    "Curated",
    "Decoded",
    "Downsampled",
    "Edges",
    "EventPlots",
    "Filtered",
    "Flat",
    "Handover",
    "Lines",
    "NWBAll",
    "Peri",
    "Photodiode",
    "Plot",
    "PlotAll",
    "Pulses",
    "Snippets",
    "Spectrum",
    "Spikes",
    "Stats",
    "Traces",
    "Trials",
    "blocks",
    "read_aggregate",
]
