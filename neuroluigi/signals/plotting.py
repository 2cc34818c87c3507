"""Pictures of recordings: samples against time, with levels, edges, gaps and the seams between recordings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.drawn_time import shown_span, summary
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.picture import count_of, save_picture, shortened
from neuroluigi.signals.shown_channels import COUNTS, shown_channels
from neuroluigi.signals.time_axis import Clock, time_axis
from neuroluigi.signals.traces import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_group(
    path: Path,
    title: str,
    aggregate_file: str,
    edges: np.ndarray,
    levels: list[float],
    threshold: float | None,
    made_by: str,
    channels: Sequence[str] = (),
    window: str = "",
    bad: Iterable[int] = (),
    clock: Clock | None = None,
) -> None:
    """Save the picture of a group at `path`; the arguments are those of `group_figure`."""
    save_picture(
        path,
        lambda: group_figure(title, aggregate_file, edges, levels, threshold, made_by, channels, window, bad, clock),
    )


def group_figure(
    title: str,
    aggregate_file: str,
    edges: np.ndarray,
    levels: list[float],
    threshold: float | None,
    made_by: str,
    channels: Sequence[str] = (),
    window: str = "",
    bad: Iterable[int] = (),
    clock: Clock | None = None,
) -> "Figure":
    """Return the matplotlib Figure of a group, a row per channel (see shown_channels), over time.

    `aggregate_file` is an aggregate.json, `edges` int64 (edges, 2) 0-based sample and channel, `levels` raw counts
    per channel, `threshold` the fraction of the range that they are, or None where the level was given. For `window`
    see drawn_time.shown_span(); time is that of the `clock`, by default by the group's own counters.
    """
    aggregate = read_aggregate(aggregate_file, bad)
    axis, counts = time_axis(aggregate, clock), FoundEvents("edges", edges).counts(aggregate)
    shown = shown_channels(aggregate, channels, counts if channels else None)
    given = np.array([levels[one.number] * one.scale + one.offset for one in shown])
    middle = int(edges[len(edges) // 2, 0]) if len(edges) else None
    rows = Rows(aggregate, axis, shown, edges, given, shown_span(window, aggregate, axis, middle), middle, False)

    def notes(places: Sequence[str]) -> list[str]:
        return [
            _level_text(level, levels[one.number], one.unit, threshold, aggregate.dtype, place, counts[one.number] or 0)
            for one, level, place in zip(shown, given, places, strict=True)
        ]

    return rows.figure(title, summary(aggregate, axis, len(shown), [count_of(len(edges), "edge")], made_by), notes)


def _level_text(
    level: float, counts: float, unit: str, threshold: float | None, dtype: str, place: str, edges: int
) -> str:
    if np.isnan(level):
        return f"no level:\nno numbers\n{count_of(edges, 'edge')}"
    # A level that was worked out from float samples, or is in units, has digits that nobody asked for.
    is_counts = unit == COUNTS
    digits = 10 if is_counts and not (threshold is not None and dtype.startswith("float")) else 5
    lines = [f"level {level:.{digits}g} {shortened(unit)}"]
    if threshold is not None:
        lines.append(f"({threshold:g} of range)")
    elif not is_counts:
        lines.append(f"({counts:.10g} counts)")
    if place:
        lines.append(f"(far {place})")
    return "\n".join([*lines, count_of(edges, "edge")])
