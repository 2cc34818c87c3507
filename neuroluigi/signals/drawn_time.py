"""Time in pictures: which part of a group is shown, gaps as gaps, seams and recordings, and the group in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile
from neuroluigi.signals.picture import MUTED, as_written, count_of, duration, shortened
from neuroluigi.signals.shown_channels import bad_in_words
from neuroluigi.signals.time_axis import TimeAxis, stretches

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_EXCLUDED = 4
DETAIL_SAMPLES = 1000
# As a window: one around a typical event.
EVENT_WINDOW = "event"
_GAP = "#f3f3f3"


def parse_window(text: str) -> tuple[float, float] | None:
    """Return begin and end of "10-12.5", in seconds; None for "event" and "". Raises ValueError for any other text."""
    if text in ("", EVENT_WINDOW):
        return None
    begin, dash, end = text.partition("-")
    try:
        window = float(begin), float(end)
    except ValueError:
        window = (0.0, 0.0)
    if not (dash and 0 <= window[0] < window[1] < np.inf):
        raise ValueError(
            f"window {text!r} is not from one second to a later one, such as 10-12.5, nor {EVENT_WINDOW}, nor blank"
        )
    return window


def shown_span(window: str, aggregate: AggregateFile, axis: TimeAxis, middle: int | None) -> tuple[int, int]:
    """Return begin and end, places on the axis, of a window: blank for all, in seconds, or around `middle`, a sample.

    Without a sampling rate, its numbers are samples. Raises ValueError for a window in which there is nothing.
    """
    if window == EVENT_WINDOW:
        first, last = detail(axis, middle)
        begin, end = axis.places(np.array([first, last - 1])).tolist()
        return begin, end + 1
    seconds = parse_window(window)
    if seconds is None:
        return 0, axis.length
    begin, end = (round(axis.place_at(one)) for one in seconds)
    begin, end = max(begin, 0), min(end, axis.length)
    first, last = axis.first_samples(np.array([begin, end]))
    if begin >= end or first >= last:
        raise ValueError(f"window {window} has no samples: the group has {_extent(aggregate, axis)}, with gaps")
    return begin, end


def _extent(aggregate: AggregateFile, axis: TimeAxis) -> str:
    if axis.clock:
        first, last = (float(axis.x(place)) for place in (0, axis.length))
        return f"seconds {first:.10g} to {last:.10g} on the clock of {axis.clock}"
    return f"{float(axis.x(axis.length)):.10g} {'s' if aggregate.sampling_rate_hz else 'samples'}"


def detail(axis: TimeAxis, middle: int | None) -> tuple[int, int]:
    """Return the samples to show singly, of one stretch: around `middle`, else in the middle of the first one."""
    apart = stretches(axis, 0, axis.samples)
    middle = apart[0][1] // 2 if middle is None else middle
    begin, end = next(one for one in apart if one[0] <= middle < one[1])
    first = max(begin, min(middle - DETAIL_SAMPLES // 2, end - DETAIL_SAMPLES))
    return first, min(first + DETAIL_SAMPLES, end)


def time_label(aggregate: AggregateFile, axis: TimeAxis) -> str:
    """Return what is along an axis of time."""
    if axis.clock:
        return f"time on the clock of {shortened(axis.clock)} [s]"
    return "time [s]" if aggregate.sampling_rate_hz else "sample"


def draw_gaps(ax: "Axes", axis: TimeAxis) -> None:
    """Shade the gaps of known length, and mark the other seams."""
    # What older versions of matplotlib take for data, from 0 to 1, is the height of the axes.
    ax.set_ylim(ax.get_ylim())
    ends = axis.places(axis.gaps) - 0.5
    for begin, end in zip(ends - axis.missing, ends, strict=True):
        ax.axvspan(float(axis.x(begin)), float(axis.x(end)), color=_GAP, linewidth=0, zorder=3)  # over the level
    seams = axis.x(axis.places(np.array(axis.seams, dtype=int)) - 0.5)
    ax.vlines(seams, 0, 1, transform=ax.get_xaxis_transform(), color=MUTED, linestyles=":",
              linewidth=0.8 if len(seams) < 100 else 0.3)  # fmt: skip


def label_gaps(ax: "Axes", axis: TimeAxis, rate: float | None) -> None:
    """Write the length of each gap at its foot, where there is room."""
    left, right = ax.get_xlim()
    pixels = ax.bbox.width / (right - left)
    for end, missing in zip(axis.places(axis.gaps) - 0.5, axis.missing.tolist(), strict=True):
        begin, end = max(left, float(axis.x(end - missing))), min(right, float(axis.x(end)))
        text = f"gap of {duration(missing / rate) if rate else count_of(missing, 'sample')}"
        if (end - begin) * pixels > 6.5 * len(text) + 8:
            ax.annotate(text, ((begin + end) / 2, 0), (0, 3), xycoords=("data", "axes fraction"),
                        textcoords="offset points", ha="center", fontsize=8, color=MUTED, zorder=4)  # fmt: skip


def label_recordings(ax: "Axes", aggregate: AggregateFile, axis: TimeAxis) -> None:
    """Write the index of each recording where its seam is; not where the one before is too near."""
    recordings = aggregate.content["recordings"]
    x = axis.x(axis.places(np.array([one["first_sample"] for one in recordings], dtype=int)) - 0.5)
    left, right = ax.get_xlim()
    free = 0.0  # pixels from the left
    for position, recording in enumerate(recordings):
        is_first, is_last = position == 0, position + 1 == len(recordings)
        # Of a part of a group, the one that goes on is named too.
        if x[position] >= right or (not is_last and x[position + 1] <= left):
            continue
        begin = max(x[position], left)
        name = f"{'recording ' if is_first or begin > x[position] else ''}{recording['index']}"
        pixel = (begin - left) / (right - left) * ax.bbox.width
        if pixel < free:
            continue
        as_written(ax.annotate(name, (begin, 1), (2, 2), xycoords=("data", "axes fraction"),
                               textcoords="offset points", fontsize=7, color=MUTED, annotation_clip=False))  # fmt: skip
        free = pixel + 6.5 * len(name) + 8


def summary(
    aggregate: AggregateFile,
    axis: TimeAxis,
    shown: int,
    counted: Sequence[str],
    made_by: str,
    extra: Sequence[str] = (),
) -> list[str]:
    """Return the lines below the title: what the group is, how much was `counted`, more lines, and what is left out."""
    samples, rate, channels = aggregate.samples, aggregate.sampling_rate_hz, count_of(aggregate.channels, "channel")
    extent = f"{count_of(samples, 'sample')}"
    if rate:
        extent += f" ({duration(samples / rate)} at {rate:.7g} Hz)"
    recordings = count_of(len(aggregate.content["recordings"]), "recording")
    if shown < aggregate.channels:
        channels = f"{shown} of {channels} shown"
    parts = [recordings, channels, extent, *_gaps_in_words(axis, rate), *counted]
    lines = ["  ·  ".join([*parts, made_by] if made_by else parts), *extra, *bad_in_words(aggregate)]
    excluded = aggregate.content["excluded"]
    for e in excluded[:MAX_EXCLUDED]:
        reason = f" ({e['reason']})" if e["reason"] else ""
        lines.append(f"left out: {e['session']}/{e['index']}{reason}")
    if len(excluded) > MAX_EXCLUDED:
        lines.append(f"left out: {len(excluded) - MAX_EXCLUDED} more")
    return lines


def _gaps_in_words(axis: TimeAxis, rate: float | None) -> list[str]:
    missing = int(axis.missing.sum())
    if not missing:
        return []
    length = duration(missing / rate) if rate else count_of(missing, "sample")
    return [f"{count_of(len(axis.gaps), 'gap')} of {length}{' in all' if len(axis.gaps) > 1 else ''}"]
