"""Rates of events over time: counted in bins, in which gaps don't count, per channel and of all."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.drawn_time import draw_gaps, label_gaps, label_recordings, summary, time_label
from neuroluigi.signals.envelope import SAMPLE_OF, mapped_anew
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.picture import (
    COLOURS,
    MUTED,
    NOT_LOOKED_AT,
    as_written,
    count_of,
    duration,
    inches,
    plain_axes,
    shortened,
    titled_figure,
)
from neuroluigi.signals.shown_channels import ACTIVE, MAX_CHANNELS, ShownChannel, shown_channels
from neuroluigi.signals.time_axis import Clock, TimeAxis, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_MOST_BINS, _FEWEST_BINS = 300, 20
# Of a recording without a rate, in which there are no seconds.
_SAMPLES_AT_LEAST = 1000
# Widths that people count in: seconds up to 10, then minutes and hours.
_LONG_WIDTHS = (10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
# Inches
_TOTAL_HEIGHT, _ROW_HEIGHT, _IMAGE_HEIGHT = 1.2, 0.8, 3.2


@dataclass(frozen=True)
class Rates:
    """Events of a group in bins of time: `counts` are int64 (channels, bins).

    `edges` are the places between which the bins are, (bins + 1,), `times` where these are drawn, and `recorded` how
    many samples each has. A rate is per second, or per 1000 samples where no sampling rate is known; NaN in a bin
    without samples.
    """

    edges: np.ndarray
    times: np.ndarray
    recorded: np.ndarray
    counts: np.ndarray
    sampling_rate_hz: float | None

    @property
    def unit(self) -> str:
        """What a rate is, for people."""
        return "events per second" if self.sampling_rate_hz else "events per 1000 samples"

    def of(self, counts: np.ndarray) -> np.ndarray:
        """Return the rates of some counts (..., bins)."""
        lasting = self.recorded / (self.sampling_rate_hz or _SAMPLES_AT_LEAST)
        return counts / np.where(lasting > 0, lasting, np.nan)


def rates_over_time(events: FoundEvents, aggregate: AggregateFile, axis: TimeAxis) -> Rates:
    """Return the rates of all channels, in at most some hundred bins; the last one may be shorter."""
    rate = aggregate.sampling_rate_hz
    width = bin_width(axis.length / (rate or 1), 1 if rate else _SAMPLES_AT_LEAST)
    # A bin of less than a sample has none.
    in_samples = max(1.0, width * (rate or 1))
    edges = np.append(np.round(np.arange(0, axis.length, in_samples)).astype(np.int64), axis.length)
    firsts = axis.first_samples(edges)
    counts = counts_between(events.table, firsts, aggregate.channels)
    return Rates(edges, axis.x(edges - 0.5), np.diff(firsts), counts, rate)


def bin_width(length: float, wanted: float) -> float:
    """Return a width for bins of a length: a round number near what is wanted, for neither few bins nor very many."""
    least = max(length / _MOST_BINS, min(wanted, length / _FEWEST_BINS))
    power = 10.0 ** np.floor(np.log10(least))
    round_ones = [factor * power for factor in (1, 2, 5, 10)]
    return next(one for one in sorted({*round_ones, *_LONG_WIDTHS}) if one >= least * (1 - 1e-9))


def counts_between(table: np.ndarray, firsts: Sequence[int] | np.ndarray, channels: int) -> np.ndarray:
    """Return how many events begin from each of some samples up to the next one, int64 (channels, samples - 1)."""
    counts = np.zeros((channels, len(firsts) - 1), np.int64)
    begin = bisect_left(table, firsts[0], key=SAMPLE_OF)
    for column, (_, next_first) in enumerate(pairwise(firsts)):
        table = mapped_anew(table)
        end = bisect_left(table, next_first, lo=begin, key=SAMPLE_OF)
        counts[:, column] = np.bincount(np.asarray(table[begin:end, 1]), minlength=channels)
        begin = end
    return counts


def rates_figure(
    title: str,
    aggregate_file: str,
    events: FoundEvents,
    made_by: str,
    channels: Sequence[str] = (),
    clock: Clock | None = None,
) -> "Figure":
    """Return the figure of the rate of all channels together, of some of them, and where there are more an image.

    `channels` are those of shown_channels(), by default the most active ones; time is that of the `clock`, by default
    the group's own.
    """
    aggregate = read_aggregate(aggregate_file)
    axis, counts = time_axis(aggregate, clock), events.counts(aggregate)
    shown = shown_channels(aggregate, channels or (ACTIVE,), counts)
    rates = rates_over_time(events, aggregate, axis)
    has_image = aggregate.channels > MAX_CHANNELS
    lines = summary(aggregate, axis, len(shown), [events.in_words], made_by, [bins_in_words(rates)])
    looked_at = [n for n, count in enumerate(counts) if count is not None]
    has_total = len(looked_at) != 1
    heights = [*[_TOTAL_HEIGHT] * has_total, *[_ROW_HEIGHT] * len(shown), *[_IMAGE_HEIGHT] * has_image]
    figure, top = titled_figure(f"{title}: rates of {events.name} over time", lines, sum(heights) + 0.6)
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    width, height = figure.get_size_inches()
    left, right = 0.8 + inches(line for one in shown for line in row_label(one).split("\n")), 1.2 if has_image else 0.3
    figure.subplots_adjust(left / width, 0.5 / height, 1 - right / width, 1 - top / height, hspace=0.2)
    if has_total:
        _draw_rate(axes[0], rates, rates.counts[looked_at].sum(0), "#333333")
        together = f"{count_of(len(looked_at), 'channel')}\ntogether\n[{rates.unit.removeprefix('events ')}]"
        axes[0].set_ylabel(together, fontsize=8)
    for row, (channel, ax) in enumerate(zip(shown, axes[has_total:], strict=False)):
        as_written(ax.set_ylabel(row_label(channel), fontsize=8, rotation=0, ha="right", va="center", labelpad=8))
        if counts[channel.number] is None:
            why = events.not_looked_at(channel.number)
            ax.text(0.01, 0.5, why, va="center", transform=ax.transAxes, fontsize=8, color=MUTED, zorder=5)
            ax.set_yticks([])
            plain_axes(ax)
        else:
            _draw_rate(ax, rates, rates.counts[channel.number], COLOURS[row % len(COLOURS)])
    axes[0].set_xlim(rates.times[0], rates.times[-1])
    if has_image:
        image = draw_image(axes[-1], rates.of(rates.counts), counts, rates.times, is_even=axis.knots is None)
        axes[-1].set_ylabel("channel", fontsize=8)
        add_colour_bar(figure, axes[-1], image, rates.unit)
    for ax in axes:
        draw_gaps(ax, axis)
    as_written(axes[-1].set_xlabel(time_label(aggregate, axis), fontsize=9))
    axes[-1].xaxis.set_major_formatter("{x:.10g}")
    label_gaps(axes[0], axis, aggregate.sampling_rate_hz)
    label_recordings(axes[0], aggregate, axis)
    return figure


def bins_in_words(rates: Rates) -> str:
    """Return how wide the bins are."""
    width = int(rates.edges[1] - rates.edges[0])
    rate = rates.sampling_rate_hz
    return f"{rates.unit}, in bins of {duration(width / rate) if rate else count_of(width, 'sample')}"


def row_label(channel: ShownChannel) -> str:
    """Return number and name of a channel, for a low row."""
    return "\n".join(filter(None, (f"channel {channel.number}", shortened(channel.name))))


def draw_image(
    ax: "Axes", values: np.ndarray, counts: Sequence[int | None], times: np.ndarray, is_even: bool
) -> "AxesImage | QuadMesh":
    """Draw values (channels, bins) as an image, channel 0 lowest; grey is what was not looked at or recorded.

    `is_even` says whether the bins, from one of `times` to the next, are all as wide.
    """
    from matplotlib import colormaps

    values = np.where([[count is None] for count in counts], np.nan, values)
    ax.set_facecolor(NOT_LOOKED_AT)
    if not is_even:
        rows = np.arange(len(values) + 1) - 0.5
        mesh = ax.pcolormesh(times, rows, values, cmap="viridis", vmin=0, vmax=highest_shown(values), rasterized=True)
        plain_axes(ax)
        return mesh
    image = ax.imshow(
        values, aspect="auto", origin="lower", interpolation="nearest", cmap=colormaps["viridis"],
        vmin=0, vmax=highest_shown(values), extent=(times[0], times[-1], -0.5, len(values) - 0.5),
    )  # fmt: skip
    plain_axes(ax)
    return image


def highest_shown(values: np.ndarray) -> float:
    """Return the value of the brightest colour, that 0.5 % of them exceed: single ones would leave all others dark."""
    known = values[np.isfinite(values)]
    highest = float(np.quantile(known, 0.995)) if known.size else 0.0
    return highest or (float(known.max()) if known.size else 0.0) or 1.0


def add_colour_bar(figure: "Figure", ax: "Axes", image: "ScalarMappable", unit: str) -> "Axes":
    """Draw the colour bar of an image, in the margin at its right; return its axes."""
    place, width = ax.get_position(), figure.get_figwidth()
    bar = figure.colorbar(image, cax=figure.add_axes((place.x1 + 0.2 / width, place.y0, 0.15 / width, place.height)))
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return bar.ax


def _draw_rate(ax: "Axes", rates: Rates, counts: np.ndarray, colour: str) -> None:
    values = rates.of(counts)
    ax.stairs(values, rates.times, color=colour, linewidth=1.2)
    ax.stairs(np.nan_to_num(values), rates.times, color=colour, fill=True, alpha=0.18, linewidth=0)
    highest = np.nanmax(values) if np.isfinite(values).any() else 0
    ax.set_ylim(0, 1.12 * highest or 1)
    ax.locator_params(axis="y", nbins=3)
    ax.yaxis.set_major_formatter("{x:.10g}")
    plain_axes(ax)
