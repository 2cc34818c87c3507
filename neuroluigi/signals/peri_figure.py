"""The picture of events around moments: for each channel or unit a raster of the trials, and the histogram below it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.peri import Bins, Moments, rates_hz
from neuroluigi.signals.picture import COLOURS, MUTED, as_written, plain_axes, shortened, titled_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More rows than this are closer than the pixels.
MOST_TRIALS = 200
_COLUMNS = 4
# Inches
_PANEL_HEIGHT, _LEFT, _RIGHT, _BOTTOM, _GAP, _BETWEEN, _LEGEND = 3.4, 0.75, 0.25, 0.5, 0.75, 0.6, 0.35
_NS_PER_MS = 1_000_000
_FEW_TICKS = 4000


@dataclass(frozen=True)
class Panel:
    """What is drawn of a channel or a unit: `raster` has the moment (its position) and ns from it on of each event.

    `counts` and `trials` are (conditions, bins).
    """

    what: str
    name: str
    group: str
    raster: tuple[np.ndarray, np.ndarray]
    counts: np.ndarray
    trials: np.ndarray


def chosen_trials(moments: Moments) -> np.ndarray:
    """Return the positions of the moments that a raster has a row for, in order: all, or some, evenly spaced."""
    count = len(moments.times)
    return np.unique(np.linspace(0, count - 1, min(count, MOST_TRIALS)).round().astype(np.int64))


def peri_figure(
    title: str,
    summary: Sequence[str],
    panels: Sequence[Panel],
    bins: Bins,
    moments: Moments,
    trials: np.ndarray,
    values: Sequence[str],
    by: str,
    moment: str,
) -> "Figure":
    """Return the figure; `trials` are those of chosen_trials(), `values` the conditions, of the column `by`, and
    `moment` is what they are around, for people.
    """
    columns = min(_COLUMNS, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    shown = len(trials)
    lines = list(summary)
    if shown < len(moments.times):
        lines.append(f"rasters: {shown} of {len(moments.times)} trials, evenly spaced")
    head = _LEGEND if len(values) > 1 else 0.0
    figure, top = titled_figure(title, lines, rows * _PANEL_HEIGHT + (rows - 1) * _BETWEEN + _BOTTOM + head)
    width, height = figure.get_size_inches()
    # Of few panels, none is stretched over all of the width.
    each = min(5.0, (width - _LEFT - _RIGHT - (columns - 1) * _GAP) / columns)
    row_of = _rows_of_trials(moments, trials)
    for n, panel in enumerate(panels):
        row, column = divmod(n, columns)
        left, upper = _LEFT + column * (each + _GAP), height - top - head - row * (_PANEL_HEIGHT + _BETWEEN)
        raster_height, histogram_height = 0.6 * _PANEL_HEIGHT - 0.1, 0.4 * _PANEL_HEIGHT
        raster, histogram = (
            figure.add_axes((left / width, bottom / height, each / width, high / height))
            for bottom, high in (
                (upper - raster_height, raster_height),
                (upper - _PANEL_HEIGHT, histogram_height),
            )
        )
        _draw_raster(raster, panel, moments, row_of, shown)
        _draw_histogram(histogram, panel, bins)
        for ax in (raster, histogram):
            plain_axes(ax)
            ax.axvline(0, color=MUTED, linewidth=0.8, linestyle=":")
            ax.set_xlim(bins.first / _NS_PER_MS, bins.last / _NS_PER_MS)
        raster.tick_params(labelbottom=False)
        words = "  ".join(filter(None, (panel.what, shortened(panel.name))))
        as_written(raster.set_title("\n".join(filter(None, (panel.group, words))), fontsize=9, loc="left"))
        as_written(histogram.set_xlabel(f"ms from {moment}", fontsize=8))
        if column == 0:
            raster.set_ylabel(f"trial, by {by}" if by else "trial", fontsize=8)
            as_written(raster.yaxis.label)
            histogram.set_ylabel("events per second", fontsize=8)
    if len(values) > 1:
        _draw_legend(figure, values, by, 1 - (top + 0.02) / height)
    return figure


def _rows_of_trials(moments: Moments, trials: np.ndarray) -> np.ndarray:
    """Return the row in the raster of each moment, by its position: by condition, then in the order of time."""
    row_of = np.full(len(moments.times), -1)
    order = trials[np.argsort(moments.condition[trials], kind="stable")]
    row_of[order] = np.arange(len(order))
    return row_of


def _colour(condition: int) -> str:
    return COLOURS[condition % len(COLOURS)]


def _draw_raster(ax: "Axes", panel: Panel, moments: Moments, row_of: np.ndarray, rows: int) -> None:
    moment, offset = panel.raster
    condition = moments.condition[moment]
    for one in range(moments.conditions):
        x, y = offset[condition == one] / _NS_PER_MS, row_of[moment[condition == one]]
        ax.vlines(x, y - 0.45, y + 0.45, color=_colour(one), linewidth=1.1 if len(offset) < _FEW_TICKS else 0.5)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.locator_params(axis="y", integer=True, nbins=5)


def _draw_histogram(ax: "Axes", panel: Panel, bins: Bins) -> None:
    rates, highest = rates_hz(panel.counts, panel.trials, bins), 0.0
    for condition, one in enumerate(rates):
        ax.stairs(one, bins.edges_ms, baseline=None, color=_colour(condition), linewidth=1.3)
        if len(rates) == 1:
            ax.stairs(np.nan_to_num(one), bins.edges_ms, color=_colour(condition), fill=True, alpha=0.18, linewidth=0)
        highest = max(highest, float(np.nanmax(one)) if np.isfinite(one).any() else 0.0)
    ax.set_ylim(0, 1.08 * highest or 1)
    ax.yaxis.set_major_formatter("{x:.10g}")
    ax.locator_params(axis="y", nbins=4)


def _draw_legend(figure: "Figure", values: Sequence[str], by: str, y: float) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=_colour(n), linewidth=3) for n in range(len(values))]
    labels = [f"{by} {shortened(one) or '(blank)'}" for one in values]
    legend = figure.legend(
        lines, labels, loc="center left", bbox_to_anchor=(0.005, y), ncols=8, fontsize=8, frameon=False
    )
    for text in legend.get_texts():
        as_written(text)
