"""Raster: when there were events on which channel, single ones as ticks, and very many counted in pixel columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.drawn_time import (
    EVENT_WINDOW,
    draw_gaps,
    label_gaps,
    label_recordings,
    shown_span,
    summary,
    time_label,
)
from neuroluigi.signals.envelope import COLUMNS, SAMPLE_OF
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.picture import SAMPLES, as_written, count_of, inches, plain_axes, shortened, titled_figure
from neuroluigi.signals.rates import add_colour_bar, counts_between, draw_image
from neuroluigi.signals.shown_channels import described_channels
from neuroluigi.signals.time_axis import Clock, TimeAxis, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# So many are still told apart.
_MOST_TICKS, _MOST_ROWS = 20_000, 64


def raster_figure(
    title: str,
    aggregate_file: str,
    events: FoundEvents,
    made_by: str,
    window: str = "",
    clock: Clock | None = None,
) -> "Figure":
    """Return the raster of all channels of a group; for `window` see drawn_time.shown_span().

    Time is that of the `clock`, by default the group's own.
    """
    aggregate = read_aggregate(aggregate_file)
    axis, counts = time_axis(aggregate, clock), events.counts(aggregate)
    looked_at = [n for n, count in enumerate(counts) if count is not None]
    middle = events.typical(looked_at) if window == EVENT_WINDOW else None
    span = shown_span(window, aggregate, axis, middle)
    first, last = axis.first_samples(np.array(span)).tolist()
    begin, end = (bisect_left(events.table, sample, key=SAMPLE_OF) for sample in (first, last))
    is_binned = end - begin > _MOST_TICKS
    image, unit = None, ""
    counted = [events.in_words]
    counted += [] if end - begin == len(events.table) else [f"{count_of(end - begin, 'event')} in the window"]
    rows = aggregate.channels if is_binned else len(looked_at)
    lines = summary(aggregate, axis, len(looked_at), counted, made_by)
    figure, top = titled_figure(f"{title}: raster of {events.name}", lines, 0.6 + min(7.0, max(1.5, 0.32 * rows)))
    ax = figure.subplots()
    width, height = figure.get_size_inches()
    times = axis.x(np.array(span) - 0.5)
    if is_binned:
        image, unit = _draw_binned(ax, events, counts, aggregate, axis, span)
    else:
        sample, channel = np.asarray(events.table[begin:end, :2]).T
        _draw_ticks(ax, axis.x(axis.places(sample)), np.searchsorted(looked_at, channel), rows)
        _name_rows(ax, aggregate, looked_at)
    ax.set_xlim(*times)
    ax.xaxis.set_major_formatter("{x:.10g}")
    as_written(ax.set_xlabel(time_label(aggregate, axis), fontsize=9))
    ax.set_ylabel("channel", fontsize=8)
    plain_axes(ax)
    left = 0.6 + inches(label.get_text() for label in ax.get_yticklabels())
    right = 1.3 if is_binned else 0.3
    figure.subplots_adjust(left / width, 0.5 / height, 1 - right / width, 1 - top / height)
    if image:
        bar = add_colour_bar(figure, ax, image, unit)
        bar.locator_params(axis="y", integer=True)
    draw_gaps(ax, axis)
    label_gaps(ax, axis, aggregate.sampling_rate_hz)
    label_recordings(ax, aggregate, axis)
    return figure


def _draw_ticks(ax: "Axes", x: np.ndarray, row: np.ndarray, rows: int) -> None:
    # Of hundreds of rows, each is hardly a pixel high.
    half = max(0.38, rows / 250)
    ax.vlines(x, row - half, row + half, color=SAMPLES, linewidth=0.6 if len(x) > 2000 else 1)
    ax.set_ylim(-0.7, max(rows, 1) - 0.3)


def _name_rows(ax: "Axes", aggregate: AggregateFile, looked_at: Sequence[int]) -> None:
    """Write number and name of each row, or of as many as there is room for."""
    described = described_channels(aggregate)
    if len(looked_at) > _MOST_ROWS:
        shown = np.unique(np.linspace(0, len(looked_at) - 1, 9).round().astype(int)).tolist()
        ax.set_yticks(shown, [str(looked_at[row]) for row in shown])
        return
    step = -(-len(looked_at) // 32) or 1
    names = [f"{n}  {shortened(described[n].get('name') or '')}".strip() for n in looked_at[::step]]
    ax.set_yticks(range(0, len(looked_at), step), names)
    for label in ax.get_yticklabels():
        as_written(label)


def _draw_binned(
    ax: "Axes",
    events: FoundEvents,
    counts: Sequence[int | None],
    aggregate: AggregateFile,
    axis: TimeAxis,
    span: tuple[int, int],
) -> tuple["AxesImage | QuadMesh", str]:
    """Draw how many events there are in each pixel column; return the image, and what its colours are."""
    begin, end = span
    edges = np.unique(np.linspace(begin, end, COLUMNS + 1).round().astype(np.int64))
    firsts = axis.first_samples(edges)
    found = counts_between(events.table, firsts, aggregate.channels).astype(float)
    found[:, np.diff(firsts) == 0] = np.nan
    image = draw_image(ax, found, counts, axis.x(edges - 0.5), is_even=axis.knots is None)
    image.set_cmap("Greys")
    width = (end - begin) / (len(edges) - 1) / axis.per_x
    unit = f"{width * 1000:.3g} ms" if aggregate.sampling_rate_hz else f"{width:.3g} samples"
    return image, f"events in {unit}"
