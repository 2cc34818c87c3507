"""Channels that a step of events takes for bad: their noise is far from that of their neighbours.

They are named, and left out by nobody but the user: a channel may be quiet, or loud, for a good reason.
"""

from collections.abc import Iterable, Mapping, Sequence

from neuroluigi.results.alike import some
from neuroluigi.results.output import Cell
from neuroluigi.results.table import Table

# The text that such a channel has in the list `flag` of the summary of events.
CANDIDATE = "candidate"


def find_candidates(table: Table, rows: Iterable[Mapping[str, Cell]]) -> dict[str, list[str]]:
    """Return the channels of each group, and variant, that one of its steps takes for bad, by rows of the table.

    A group without such a channel is not among them.
    """
    results = (name for name in table.columns if name not in table.described)
    flags = [name for name in results if name == "flag" or name.endswith(".flag")]
    found: dict[str, list[str]] = {}
    for row in rows:
        if any(row.get(name) == CANDIDATE for name in flags):
            found.setdefault(table.key_of(row), []).append(str(row["channel"]))
    return found


def candidates_line(candidates: Mapping[str, Sequence[str]]) -> str:
    """Return a sentence that names them, and how to leave them out; "" where there are none."""
    named = [f"{key} {some(channels)}" for key, channels in candidates.items()]
    return (
        f"Channels whose noise is far from that of their neighbours: {some(named, '; ')}. To leave them out of events"
        " and references, name them in [recordings] bad_channels, or in a column bad_channels of the table."
        if named
        else ""
    )
