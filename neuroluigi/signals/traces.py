"""Traces: samples of some channels against time, a row each, with levels and events, and a part of it in detail.

Where there are more samples than pixels, each pixel column shows the smallest and the largest sample that fall into it,
which is what drawing every sample would show.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.blocks import blocks
from neuroluigi.signals.drawn_time import (
    DETAIL_SAMPLES,
    detail,
    draw_gaps,
    label_gaps,
    label_recordings,
    shown_span,
    summary,
    time_label,
)
from neuroluigi.signals.envelope import SAMPLE_OF, column_starts, edge_marks, envelope
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.picture import (
    EVENT,
    LEVEL,
    SAMPLES,
    as_written,
    count_of,
    inches,
    plain_axes,
    save_picture,
    shortened,
    titled_figure,
)
from neuroluigi.signals.shown_channels import ACTIVE, ShownChannel, shown_channels
from neuroluigi.signals.time_axis import Clock, TimeAxis, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    # A channel's own mark at each of some samples: the samples, and how high they are, None for a tick above all.
    _Marks = tuple[np.ndarray, np.ndarray | None]

# Inches: of a channel, and of one of words, which need no more.
_ROW_HEIGHT, _STRIP_HEIGHT = 1.55, 0.9
_DETAIL = "#f2c94c"


@dataclass(frozen=True)
class Rows:
    """What the rows of a picture show: channels, in a span of places, with events and levels in each one's unit.

    Events are marked at their peaks where `at_peaks`, else on the level. `middle` is the sample around which there is a
    detail, None for the middle of the first stretch.
    """

    aggregate: AggregateFile
    axis: TimeAxis
    shown: Sequence[ShownChannel]
    events: np.ndarray
    levels: np.ndarray
    span: tuple[int, int]
    middle: int | None
    at_peaks: bool

    def figure(self, title: str, lines: Sequence[str], notes: Callable[[Sequence[str]], list[str]]) -> "Figure":
        """Return the figure; `notes` returns what is written beside the rows, by where their levels are.

        See place_of_level().
        """
        # A part of a group has all its pixels for itself.
        is_long = self.span == (0, self.axis.length) and self.axis.length > 8 * DETAIL_SAMPLES
        heights = sum(_STRIP_HEIGHT if one.is_digital else _ROW_HEIGHT for one in self.shown)
        figure, top = titled_figure(title, lines, 0.6 + heights)
        axes = figure.subplots(
            len(self.shown), 1 + is_long, sharex="col", sharey="row", squeeze=False, width_ratios=(3, 1)[: 1 + is_long]
        )
        whole = axes[:, 0]
        x, y = envelope(self.aggregate, self.axis, self._numbers, self.span)
        y = self._in_units(y)
        places = [place_of_level(level, y[:, row]) for row, level in enumerate(self.levels)]
        drawn = [math.nan if place else level for level, place in zip(self.levels, places, strict=True)]
        marks = self._marks_of_span(drawn, is_long)
        _draw_rows(whole, self.axis.x(x), y, drawn, marks, self.axis, ticks=10)
        if is_long:
            first, last = detail(self.axis, self.middle)
            x = self.axis.x(self.axis.places(np.arange(first, last)))
            y = self._samples(first, last)
            _draw_rows(axes[:, 1], x, y, drawn, self._marks_between(first, last, drawn, y), self.axis, ticks=3)
            for ax in whole:
                ax.axvspan(x[0], x[-1], color=_DETAIL, alpha=0.5, linewidth=1.5)
            axes[0, 1].set_title(f"{count_of(last - first, 'sample')} of it", fontsize=9, color="#333333", pad=4)
        for channel, ax in zip(self.shown, whole, strict=True):
            draw_gaps(ax, self.axis)
            if channel.is_digital:
                ax.locator_params(axis="y", nbins=4, integer=True)
            as_written(ax.set_ylabel(channel_label(channel), fontsize=8))
        texts = notes(places)
        for ax, text in zip(axes[:, -1], texts, strict=True):
            as_written(ax.annotate(text, (1, 0.5), (8, 0), xycoords="axes fraction", textcoords="offset points",
                                   fontsize=8, va="center", color=LEVEL))  # fmt: skip
        begin, end = self.span
        whole[0].set_xlim(self.axis.x(begin - 0.5), self.axis.x(end - 0.5))
        for ax in axes[-1]:
            as_written(ax.set_xlabel(time_label(self.aggregate, self.axis), fontsize=9))
        _make_room(figure, axes, top, texts)
        label_gaps(whole[0], self.axis, self.aggregate.sampling_rate_hz)
        label_recordings(whole[0], self.aggregate, self.axis)
        return figure

    @property
    def _numbers(self) -> list[int]:
        return [one.number for one in self.shown]

    def _in_units(self, counts: np.ndarray) -> np.ndarray:
        scale, offset = (np.array([getattr(one, name) for one in self.shown]) for name in ("scale", "offset"))
        return counts * scale + offset

    def _samples(self, first: int, last: int) -> np.ndarray:
        parts = [block[:, self._numbers] for block in blocks(self.aggregate, first, last)]
        return self._in_units(np.concatenate(parts))

    def _marks_of_span(self, levels: Sequence[float], is_long: bool) -> list[_Marks]:
        begin, end = self.axis.first_samples(np.array(self.span)).tolist()
        is_short = end - begin <= 8 * DETAIL_SAMPLES
        if self.at_peaks and is_short:
            return self._marks_between(begin, end, levels, self._samples(begin, end))
        last = len(self.events) if end == self.axis.samples else bisect_left(self.events, end, key=SAMPLE_OF)
        events = self.events if last == len(self.events) else self.events[:last]
        starts = column_starts(self.axis, self.span)
        marks = edge_marks(events, starts, self._numbers, self.aggregate.channels)
        # Above the samples, where thousands of them hide nothing.
        on_level = is_short and not self.at_peaks and not is_long
        return [(one, np.full(len(one), level) if on_level else None) for one, level in zip(marks, levels, strict=True)]

    def _marks_between(self, first: int, last: int, levels: Sequence[float], y: np.ndarray) -> list[_Marks]:
        """Return the marks of the events from `first` up to `last`, of which the samples are `y`, per shown channel."""
        begin, end = (bisect_left(self.events, sample, key=SAMPLE_OF) for sample in (first, last))
        events = FoundEvents("", self.events)
        channel, peak = np.asarray(self.events[begin:end, 1]), events.peaks(slice(begin, end))
        if not self.at_peaks:
            near = [peak[channel == number] for number in self._numbers]
            return [(one, np.full(len(one), level)) for one, level in zip(near, levels, strict=True)]
        near = [peak[(channel == number) & (peak < last)] for number in self._numbers]
        return [(one, y[one - first, row]) for row, one in enumerate(near)]


def plot_traces(
    path: Path,
    title: str,
    aggregate_file: str,
    events: FoundEvents | None,
    made_by: str,
    channels: Sequence[str] = (),
    window: str = "",
    bad: Iterable[int] = (),
    clock: Clock | None = None,
) -> None:
    """Save the traces of a group at `path`; the arguments are those of `traces_figure`."""
    save_picture(path, lambda: traces_figure(title, aggregate_file, events, made_by, channels, window, bad, clock))


def traces_figure(
    title: str,
    aggregate_file: str,
    events: FoundEvents | None,
    made_by: str,
    channels: Sequence[str] = (),
    window: str = "",
    bad: Iterable[int] = (),
    clock: Clock | None = None,
) -> "Figure":
    """Return the figure of a group's samples with events at their peaks.

    `channels` are those of shown_channels(), by default the most active ones where there are events; for `window` see
    drawn_time.shown_span(); time is that of the `clock`, by default the group's own.
    """
    aggregate = read_aggregate(aggregate_file, bad)
    axis, counts = time_axis(aggregate, clock), events.counts(aggregate) if events else None
    shown = shown_channels(aggregate, channels or ((ACTIVE,) if events and len(events.table) else ()), counts)
    numbers = [one.number for one in shown]
    middle = events.typical(numbers) if events else None
    levels = np.array([_level_of(one, events) for one in shown])
    table = events.table if events else np.zeros((0, 5), np.int64)
    rows = Rows(aggregate, axis, shown, table, levels, shown_span(window, aggregate, axis, middle), middle, True)
    counted = [f"{events.name}: {count_of(len(table), 'event')} ({events.what})"] if events else []
    lines = summary(aggregate, axis, len(shown), counted, made_by)
    return rows.figure(title, lines, lambda places: [event_note(one, events, aggregate, counts) for one in shown])


def _level_of(channel: ShownChannel, events: FoundEvents | None) -> float:
    """Return the level in the unit of the channel, NaN for one that is not in terms of the samples as they are."""
    level = events.of_channel("level", channel.number) if events and events.is_of_samples else None
    return math.nan if level is None else level * channel.scale + channel.offset


def event_note(
    channel: ShownChannel,
    events: FoundEvents | None,
    aggregate: AggregateFile,
    counts: Sequence[int | None] | None,
) -> str:
    """Return what is to be said of the events of a channel: how many, how often, at which level, and what is wrong."""
    if events is None or counts is None:
        return ""
    flag, count = events.of_channel("flag", channel.number), counts[channel.number]
    if count is None:
        return events.not_looked_at(channel.number).replace(" (", "\n(")
    lines = [count_of(count, "event")]
    rate = events.of_channel("rate_hz", channel.number)
    if rate is None and aggregate.sampling_rate_hz:
        rate = count * aggregate.sampling_rate_hz / aggregate.samples
    if rate is not None:
        lines.append(f"{rate:.3g} per second")
    level = events.of_channel("level", channel.number)
    if level is not None:
        offset = channel.offset if events.is_of_samples else 0
        lines.append(f"level {level * channel.scale + offset:.4g} {shortened(channel.unit)}")
        lines += [] if events.is_of_samples else ["(after the filter)"]
    return "\n".join([*lines, f"flag: {flag}"] if flag else lines)


def channel_label(channel: ShownChannel) -> str:
    """Return number, name and unit of a channel, one below the other."""
    name, unit = shortened(channel.name), "words" if channel.is_digital else shortened(channel.unit)
    return "\n".join(filter(None, (f"channel {channel.number}", name, f"[{unit}]")))


def place_of_level(level: float, y: np.ndarray) -> str:
    """Return "above" or "below" for a level so far from the samples that they would be a flat line beside it."""
    y = y[np.isfinite(y)]
    if np.isnan(level) or not len(y):
        return ""
    lowest, highest = y.min(), y.max()
    extent = highest - lowest or max(abs(highest), 1)
    return "above" if level > highest + extent else "below" if level < lowest - extent else ""


def _draw_rows(
    axes: Iterable["Axes"],
    x: np.ndarray,
    y: np.ndarray,
    levels: Sequence[float],
    marks: Sequence[_Marks],
    axis: TimeAxis,
    ticks: int,
) -> None:
    """Draw a channel in each of `axes`: y (n, channels) against x, the level, and its marks."""
    for channel, ax in enumerate(axes):
        ax.plot(x, y[:, channel], color=SAMPLES, linewidth=0.7, marker="." if len(x) < 300 else "")
        level, (samples, heights) = levels[channel], marks[channel]
        if np.isfinite(level):
            # axhline would round it, which shows where all samples are the same.
            ax.plot(x[[0, -1]], [level, level], color=LEVEL, linewidth=0.9, linestyle=(0, (6, 3)))
        where = axis.x(axis.places(samples))
        if heights is not None:
            ax.plot(where, heights, "^", color=EVENT, markersize=5, markeredgecolor="white",
                    markeredgewidth=0.3)  # fmt: skip
        else:
            ax.plot(where, np.full(len(where), 0.97), "|", color=EVENT, markersize=6, markeredgewidth=0.5,
                    transform=ax.get_xaxis_transform())  # fmt: skip
        ax.margins(x=0.005, y=0.12)
        ax.locator_params(axis="y", nbins=5)
        ax.locator_params(axis="x", nbins=ticks)
        # In full: a common factor would stand apart, above the axes.
        ax.xaxis.set_major_formatter("{x:.10g}")
        ax.yaxis.set_major_formatter("{x:.10g}")
        plain_axes(ax)


def _make_room(figure: "Figure", axes: np.ndarray, top: float, texts: Sequence[str]) -> None:
    """Move the axes (rows, columns) below `top` inches of text, and apart by what their labels need."""
    width, height = figure.get_size_inches()
    left = 0.7 + inches(f"{tick:.10g}" for ax in axes[:, 0] for tick in ax.get_yticks())
    between = 0.1 + inches(f"{tick:.10g}" for ax in axes[-1] for tick in ax.get_xticks())
    right = width - 0.2 - inches(line for text in texts for line in text.split("\n"))
    figure.subplots_adjust(
        left=left / width,
        right=right / width,
        bottom=0.5 / height,
        top=1 - top / height,
        wspace=between / ((right - left - between) / 2),
        hspace=0.1,
    )
