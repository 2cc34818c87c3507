"""Waveforms: what the samples look like around the events of a channel, up to a hundred of them, and their mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.drawn_time import summary
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.picture import COLOURS, MUTED, as_written, channel_panels, count_of, panel_name, shortened
from neuroluigi.signals.shown_channels import ACTIVE, ShownChannel, shown_channels
from neuroluigi.signals.time_axis import time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_DRAWN = 100


def own_waveforms(snippets: np.ndarray, described: Mapping[str, Any], channel: int) -> np.ndarray:
    """Return the waveforms (events, samples) of a channel around its own events, in counts; at most MOST_DRAWN.

    `snippets` are (rows, samples), and `described` says of each channel in "rows" which are its: of each event one per
    channel nearby ("neighbours"), the channel itself the first.
    """
    for one in described["rows"]:
        if one["channel"] == channel:
            near, first = len(one["neighbours"]), one["first"]
            own = one["neighbours"].index(channel)
            return np.asarray(snippets[first + own : first + one["count"] * near : near][:MOST_DRAWN])
    return np.zeros((0, snippets.shape[1] if snippets.ndim > 1 else 0), np.float32)


def read_snippets(array: str, described: str) -> dict[str, Any]:
    """Return `snippets`, mapped into memory, and what is `described` of them, from two files."""
    return {
        "snippets": np.load(array, mmap_mode="r"),
        "described": json.loads(Path(described).read_text(encoding="utf-8")),
    }


def waveforms_figure(
    title: str,
    aggregate_file: str,
    events: FoundEvents,
    snippets: np.ndarray,
    described: Mapping[str, Any],
    made_by: str,
    channels: Sequence[str] = (),
) -> "Figure":
    """Return the waveforms of a group, a panel per channel, by default the most active ones; see own_waveforms()."""
    aggregate = read_aggregate(aggregate_file)
    axis, counts = time_axis(aggregate), events.counts(aggregate)
    shown = shown_channels(aggregate, channels or (ACTIVE,), counts)
    is_raw = bool(described.get("raw"))
    what = "of the samples as they are" if is_raw else "of the filtered signal"
    words = f"Waveforms {what} around the peaks: the mean, and at most {MOST_DRAWN} of each channel"
    lines = summary(aggregate, axis, len(shown), [events.in_words], made_by, [words])
    figure, axes = channel_panels(f"{title}: waveforms of {events.name}", lines, len(shown))
    rate = described.get("sampling_rate_hz") or aggregate.sampling_rate_hz
    for row, (channel, ax) in enumerate(zip(shown, axes, strict=True)):
        waveforms = own_waveforms(snippets, described, channel.number)
        x = np.arange(waveforms.shape[1]) - described["before_samples"]
        _draw_waveforms(
            ax, x / (rate / 1000 if rate else 1), _in_unit(waveforms, channel, is_raw), COLOURS[row % len(COLOURS)]
        )
        name = panel_name(channel.number, channel.name)
        count = counts[channel.number]
        said = events.not_looked_at(channel.number)
        if count is not None:
            said = f"{len(waveforms)} of {count_of(count, 'event')}"
        as_written(ax.set_title(f"{name}\n{said}", fontsize=8, loc="left", color="#333333"))
        as_written(ax.set_ylabel(f"[{shortened(channel.unit)}]", fontsize=8))
        ax.set_xlabel("time from the peak [ms]" if rate else "samples from the peak", fontsize=8)
    return figure


def _in_unit(waveforms: np.ndarray, channel: ShownChannel, is_raw: bool) -> np.ndarray:
    """Return waveforms in the unit of their channel; what is filtered has no offset."""
    return waveforms.astype(float) * channel.scale + (channel.offset if is_raw else 0)


def _draw_waveforms(ax: "Axes", x: np.ndarray, waveforms: np.ndarray, colour: str) -> None:
    ax.axvline(0, color=MUTED, linewidth=0.6, linestyle=":")
    if not len(waveforms):
        ax.set_yticks([])
        ax.set_xlim(-1, 1)
        return
    ax.plot(x, waveforms.T, color=colour, linewidth=0.5, alpha=0.25)
    ax.plot(x, waveforms.mean(0), color="white", linewidth=3.6)
    # Of a heart beat at a low rate there may be a sample or two.
    ax.plot(x, waveforms.mean(0), color=colour, linewidth=2.2, marker="o" if len(x) < 10 else "")
    ax.margins(x=0)
    ax.locator_params(nbins=6)
    ax.yaxis.set_major_formatter("{x:.10g}")
