"""Rates by depth and time: of a probe, an image per shank, from its tip upwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.drawn_time import draw_gaps, label_gaps, label_recordings, summary, time_label
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.picture import NOT_LOOKED_AT, as_written, count_of, plain_axes, titled_figure
from neuroluigi.signals.rates import add_colour_bar, bins_in_words, highest_shown, rates_over_time
from neuroluigi.signals.shown_channels import described_channels
from neuroluigi.signals.time_axis import Clock, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

# Inches of one shank; of several, all share what is left.
_HEIGHT = 6.0
# Sites further apart than so many times the usual distance are of different parts of a shank.
_FAR = 3


@dataclass(frozen=True)
class Shank:
    """The rows of sites of a shank: depths in um (rows,), ascending, and the channels of each."""

    number: int
    depths: np.ndarray
    channels: Sequence[Sequence[int]]


def has_depths(depths: Iterable[float | None]) -> bool:
    """Whether these are known, and of more than one row of sites; None is one that is not known."""
    return len({*depths} - {None}) > 1


def shanks_of(channels: Sequence[Mapping[str, Any]]) -> list[Shank]:
    """Return the shanks of channels with known positions."""
    rows: dict[int, dict[float, list[int]]] = {}
    for number, one in enumerate(channels):
        if one.get("y") is not None:
            rows.setdefault(one.get("shank") or 0, {}).setdefault(one["y"], []).append(number)
    return [
        Shank(shank, np.array(sorted(of_shank)), [of_shank[y] for y in sorted(of_shank)])
        for shank, of_shank in sorted(rows.items())
    ]


def rates_by_depth(shank: Shank, rates: np.ndarray, is_looked_at: np.ndarray) -> np.ndarray:
    """Return the mean rate of the channels of each row (rows, bins), of those that were looked at; NaN for none.

    `rates` are (channels, bins), `is_looked_at` bool (channels,).
    """
    found = np.full((len(shank.channels), rates.shape[1]), np.nan)
    for row, channels in enumerate(shank.channels):
        if known := [n for n in channels if is_looked_at[n]]:
            found[row] = rates[known].mean(0)
    return found


def depth_figure(
    title: str, aggregate_file: str, events: FoundEvents, made_by: str, clock: Clock | None = None
) -> "Figure":
    """Return the figure of the rates of a group by depth, an image per shank; positions are known.

    Time is that of the `clock`, by default the group's own.
    """
    aggregate = read_aggregate(aggregate_file)
    axis, counts = time_axis(aggregate, clock), events.counts(aggregate)
    shanks, rates = shanks_of(described_channels(aggregate)), rates_over_time(events, aggregate, axis)
    of_channels, is_looked_at = rates.of(rates.counts), np.array([count is not None for count in counts])
    images = [rates_by_depth(shank, of_channels, is_looked_at) for shank in shanks]
    on_shanks = [n for shank in shanks for row in shank.channels for n in row]
    left_out = sum(not is_looked_at[n] for n in on_shanks)
    words = f"{bins_in_words(rates)}, mean of the channels at each depth"
    if left_out:
        words += f"; {count_of(left_out, 'channel')} not looked at (bad or unused), grey where no other has that depth"
    lines = summary(aggregate, axis, len(on_shanks) - left_out, [events.in_words], made_by, [words])
    heights = [max(2.2, _HEIGHT / len(shanks))] * len(shanks)
    figure, top = titled_figure(f"{title}: rates of {events.name} by depth", lines, sum(heights) + 0.6)
    axes = figure.subplots(len(shanks), 1, sharex=True, squeeze=False)[:, 0]
    width, height = figure.get_size_inches()
    figure.subplots_adjust(0.9 / width, 0.5 / height, 1 - 1.2 / width, 1 - top / height, hspace=0.12)
    highest = highest_shown(np.concatenate(images))
    for shank, values, ax in zip(shanks, images, axes, strict=True):
        mesh = _draw_shank(ax, shank, values, rates.times, highest)
        name = "depth [um]" if len(shanks) == 1 else f"shank {shank.number}\ndepth [um]"
        ax.set_ylabel(name, fontsize=8)
        draw_gaps(ax, axis)
    add_colour_bar(figure, axes[0], mesh, f"{rates.unit} and channel")
    as_written(axes[-1].set_xlabel(time_label(aggregate, axis), fontsize=9))
    axes[-1].xaxis.set_major_formatter("{x:.10g}")
    label_gaps(axes[0], axis, aggregate.sampling_rate_hz)
    label_recordings(axes[0], aggregate, axis)
    return figure


def _draw_shank(ax: "Axes", shank: Shank, values: np.ndarray, times: np.ndarray, highest: float) -> "QuadMesh":
    edges, values, is_site = _with_distances(shank.depths, values)
    for row in np.flatnonzero(is_site & np.isnan(values).all(1)):
        ax.axhspan(edges[row], edges[row + 1], color=NOT_LOOKED_AT, linewidth=0)
    # In a picture of lines, hundred thousands of them would be as many.
    mesh = ax.pcolormesh(times, edges, values, cmap="viridis", vmin=0, vmax=highest, rasterized=True)
    ax.set_xlim(times[0], times[-1])
    plain_axes(ax)
    return mesh


def _with_distances(depths: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the edges of rows around their depths, and the values, with a row of NaN where sites are far apart.

    And of each row whether it is one of sites.
    """
    if len(depths) == 1:
        return np.array([depths[0] - 10, depths[0] + 10]), values, np.ones(1, bool)
    apart = np.diff(depths)
    usual = float(np.median(apart))
    edges, rows, is_site = [depths[0] - usual / 2], [], []
    for row, depth in enumerate(depths):
        is_last = row + 1 == len(depths)
        is_far = not is_last and apart[row] > _FAR * usual
        rows.append(values[row])
        is_site.append(True)
        edges.append(depth + usual / 2 if is_last or is_far else (depth + depths[row + 1]) / 2)
        if is_far:
            rows.append(np.full(values.shape[1], np.nan))
            is_site.append(False)
            edges.append(depths[row + 1] - usual / 2)
    return np.array(edges), np.array(rows), np.array(is_site)
