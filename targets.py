"""This pipeline's files: what is in them, how to read and check them; for scripts and notebooks, and for own steps.

    import targets
    edges = targets.Edges("results/a-even/edges.npy").load()

A format of the lab's own is a subclass of ResultTarget: `check` its content, `load` it.
"""

from neuroluigi.ephys.line_files import Lines, LineSummary
from neuroluigi.ephys.targets import Concatenation, Edges, Events, EventSummary, Snippets, Stats, levels
from neuroluigi.ephys.trial_files import PeriSummary, Trials

__all__ = [
    "Concatenation",
    "Edges",
    "EventSummary",
    "Events",
    "LineSummary",
    "Lines",
    "PeriSummary",
    "Snippets",
    "Stats",
    "Trials",
    "levels",
]
