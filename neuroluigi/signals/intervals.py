"""Inter-event intervals: from onset to onset on the same channel, none across a gap or a seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.drawn_time import summary
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.picture import COLOURS, as_written, channel_panels, count_of, panel_name
from neuroluigi.signals.shown_channels import ACTIVE, shown_channels
from neuroluigi.signals.time_axis import TimeAxis, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Intervals below this are shorter than a neuron's refractory period: events of several neurons, or noise.
SHORT_MS = 2.0
_PER_DECADE = 10
# Samples: from one up to more than a day at 30 kHz.
_LARGEST_POWER = 10


@dataclass(frozen=True)
class Intervals:
    """How long the intervals between the events of each channel are, in samples.

    `counts` are int64 (channels, bins), of intervals from each of the `edges` (bins + 1,), whole samples, up to the
    next one; `short` are int64 (channels,), of those below SHORT_MS, None where no sampling rate is known.
    """

    edges: np.ndarray
    counts: np.ndarray
    short: np.ndarray | None

    def share_of_short(self, channel: int) -> float:
        """Return which share of the intervals of a channel is below SHORT_MS; NaN without intervals, or a rate."""
        total = int(self.counts[channel].sum())
        return self.short[channel] / total if self.short is not None and total else np.nan


def intervals_of(events: FoundEvents, aggregate: AggregateFile, axis: TimeAxis) -> Intervals:
    """Return the intervals of all channels, in one pass over the events."""
    channels, rate = aggregate.channels, aggregate.sampling_rate_hz
    edges = np.unique(np.ceil(10 ** (np.arange(_LARGEST_POWER * _PER_DECADE + 1) / _PER_DECADE)).astype(np.int64))
    begins = np.array(sorted({*aggregate.segments, *axis.gaps.tolist(), *axis.seams}), np.int64)
    counts, short = np.zeros((channels, len(edges) - 1), np.int64), np.zeros(channels, np.int64)
    last_onset = np.full(channels, -1)
    for sample, channel in events.onsets():
        order = np.argsort(channel, kind="stable")
        sample, channel = sample[order], channel[order]
        # In front of those of each channel, its last one of before.
        firsts = np.flatnonzero(np.diff(channel, prepend=-1))
        before = np.append(0, sample[:-1])
        before[firsts] = last_onset[channel[firsts]]
        last_onset[channel[np.append(firsts[1:], len(channel)) - 1]] = sample[np.append(firsts[1:], len(sample)) - 1]
        stretch, its = (np.searchsorted(begins, one, side="right") for one in (sample, before))
        is_within = (before >= 0) & (stretch == its) & (sample > before)
        length, its_channel = (sample - before)[is_within], channel[is_within]
        column = np.minimum(np.searchsorted(edges, length, side="right") - 1, len(edges) - 2)
        flat = np.bincount(its_channel * (len(edges) - 1) + column, minlength=counts.size)
        counts += flat.reshape(counts.shape)
        if rate:
            short += np.bincount(its_channel[length < SHORT_MS * rate / 1000], minlength=channels)
    return Intervals(edges, counts, short if rate else None)


def intervals_figure(
    title: str, aggregate_file: str, events: FoundEvents, made_by: str, channels: Sequence[str] = ()
) -> "Figure":
    """Return histograms of the intervals between events, a panel per channel, by default the most active ones."""
    aggregate = read_aggregate(aggregate_file)
    axis, counts = time_axis(aggregate), events.counts(aggregate)
    shown = shown_channels(aggregate, channels or (ACTIVE,), counts)
    found = intervals_of(events, aggregate, axis)
    lines = summary(aggregate, axis, len(shown), [events.in_words], made_by, [_in_words(events)])
    figure, axes = channel_panels(f"{title}: intervals between {events.name}", lines, len(shown))
    numbers = [one.number for one in shown]
    per_x = aggregate.sampling_rate_hz / 1000 if aggregate.sampling_rate_hz else 1
    limits = _limits(found, numbers, per_x)
    for row, (channel, ax) in enumerate(zip(shown, axes, strict=True)):
        _draw_intervals(ax, found, channel.number, per_x, COLOURS[row % len(COLOURS)])
        ax.set_xscale("log")
        ax.set_xlim(*limits)
        ax.xaxis.set_major_formatter("{x:.10g}")
        ax.xaxis.set_minor_formatter("")
        if found.short is not None:
            ax.axvspan(limits[0], SHORT_MS, color="#fde0dd", zorder=0)
        name = panel_name(channel.number, channel.name)
        is_looked_at = counts[channel.number] is not None
        words = _words_of(found, channel.number) if is_looked_at else events.not_looked_at(channel.number)
        as_written(ax.set_title(f"{name}\n{words}", fontsize=8, loc="left", color="#333333"))
        ax.set_xlabel("interval [ms]" if found.short is not None else "interval [samples]", fontsize=8)
    axes[0].set_ylabel(f"intervals, {_PER_DECADE} bins per decade", fontsize=8)
    return figure


def _in_words(events: FoundEvents) -> str:
    words = "Inter-event intervals from onset to onset on the same channel, none across a gap or a seam"
    refractory = (events.summary.get("parameters") or {}).get("refractory")
    if refractory:
        words += f"; none is below the refractory period of {refractory:g} ms by construction"
    return words


def _words_of(found: Intervals, channel: int) -> str:
    total = int(found.counts[channel].sum())
    if found.short is None or not total:
        return count_of(total, "interval") if total else "no intervals"
    return f"{count_of(total, 'interval')}, {100 * found.share_of_short(channel):.3g} % below {SHORT_MS:g} ms"


def _limits(found: Intervals, channels: Sequence[int], per_x: float) -> tuple[float, float]:
    """Return the ends of the axis, whole decades or near, the same for all channels."""
    columns = np.flatnonzero(found.counts[channels].sum(0))
    lowest, highest = (found.edges[columns[0]], found.edges[columns[-1] + 1]) if len(columns) else (1, 1000)
    lowest, highest = lowest / per_x, highest / per_x
    return min(lowest / 1.3, 1.0), max(highest * 1.3, 10 * min(lowest, 1.0), 100.0)


def _draw_intervals(ax: "Axes", found: Intervals, channel: int, per_x: float, colour: str) -> None:
    # The shortest bins are of whole samples, and so wider or narrower than a tenth of a decade.
    of_decade = np.log10(found.edges[1:] / found.edges[:-1]) * _PER_DECADE
    heights = found.counts[channel] / of_decade
    ax.stairs(heights, found.edges / per_x, color=colour, fill=True, alpha=0.35)
    ax.stairs(heights, found.edges / per_x, color=colour, linewidth=1)
    ax.set_ylim(0, 1.1 * heights.max() or 1)
    ax.locator_params(axis="y", nbins=5)
