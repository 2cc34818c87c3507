"""Pictures of recordings: samples against time, with levels, edges, gaps and the seams between recordings.

Where there are more samples than pixels, each pixel column shows the smallest and the largest sample that fall into it,
which is what drawing every sample would show.
"""

import math
import textwrap
import unicodedata
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.blocks import blocks
from neuroluigi.signals.envelope import SAMPLE_OF, column_starts, edge_marks, envelope
from neuroluigi.signals.shown_channels import COUNTS, shown_channels
from neuroluigi.signals.time_axis import TimeAxis, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

MAX_EXCLUDED = 4
DETAIL_SAMPLES = 1000
# Inches: of a channel, and of one of words, which need no more.
_ROW_HEIGHT, _STRIP_HEIGHT = 1.55, 0.9

# The first of these that is installed writes what matplotlib's own font can't.
_CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
              "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS")  # fmt: skip

_SAMPLES, _LEVEL, _EDGE, _SEAM, _DETAIL = "#1f4e79", "#d95f02", "#b2182b", "#777777", "#f2c94c"
_GAP = "#f3f3f3"


def plot_group(
    path: Path,
    title: str,
    aggregate_file: str,
    edges: np.ndarray,
    levels: list[float],
    threshold: float | None,
    made_by: str,
) -> None:
    """Save the picture of a group as a PNG at `path`; the arguments are those of `group_figure`."""
    import matplotlib

    with matplotlib.rc_context({"font.family": _fonts()}), warnings.catch_warnings():
        # A name in a script that the fonts lack shows as boxes; the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = group_figure(title, aggregate_file, edges, levels, threshold, made_by)
        # A quarter faster than at Pillow's own level, and a tenth larger.
        figure.savefig(path, pil_kwargs={"compress_level": 3})


def group_figure(
    title: str,
    aggregate_file: str,
    edges: np.ndarray,
    levels: list[float],
    threshold: float | None,
    made_by: str,
) -> "Figure":
    """Return the matplotlib Figure of a group, a row per channel (see shown_channels), over time by its counters.

    `aggregate_file` is an aggregate.json, `edges` int64 (edges, 2) 0-based sample and channel, `levels` raw counts
    per channel, `threshold` the fraction of the range that they are, or None where the level was given.
    """
    # Here, because a run that draws nothing should not wait for it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    aggregate = read_aggregate(aggregate_file)
    axis, shown = time_axis(aggregate), shown_channels(aggregate)
    numbers = [one.number for one in shown]
    scale, offset = (np.array([getattr(one, name) for one in shown]) for name in ("scale", "offset"))
    given = np.array([levels[n] for n in numbers]) * scale + offset
    is_long = axis.length > 8 * DETAIL_SAMPLES
    marks, counts = edge_marks(edges, column_starts(axis), numbers, aggregate.channels)

    head = textwrap.wrap(title, _limit(title, 95))
    summary = _summary(aggregate, axis, len(shown), sum(counts), made_by)
    # Inches
    head_height = 0.1 + 0.22 * len(head)
    top = head_height + 0.17 * len(summary) + 0.4
    height = top + 0.6 + sum(_STRIP_HEIGHT if one.is_digital else _ROW_HEIGHT for one in shown)
    figure = Figure(figsize=(14, height), dpi=100)
    FigureCanvasAgg(figure)
    _text(figure.text(0.01, 1 - 0.1 / height, "\n".join(head), va="top", fontsize=13, fontweight="bold"))
    _text(figure.text(0.01, 1 - head_height / height, "\n".join(summary), va="top", fontsize=9, color="#333333"))
    axes = figure.subplots(
        len(shown), 1 + is_long, sharex="col", sharey="row", squeeze=False, width_ratios=(3, 1)[: 1 + is_long]
    )
    whole = axes[:, 0]
    x, y = envelope(aggregate, axis, numbers)
    per_x = aggregate.sampling_rate_hz or 1  # samples per second, or per sample where no rate is known
    y = y * scale + offset
    places = [_place_of_level(level, y[:, row]) for row, level in enumerate(given)]
    drawn = [math.nan if place else level for level, place in zip(given, places, strict=True)]
    _draw(whole, x / per_x, y, drawn, [axis.places(m) / per_x for m in marks], marks_on_level=not is_long, ticks=10)
    if is_long:
        first, last = _detail(edges, axis)
        y = np.concatenate([block[:, numbers] for block in blocks(aggregate, first, last)]) * scale + offset
        near = _edges_between(edges, first, last, numbers)
        x = axis.places(np.arange(first, last)) / per_x
        _draw(axes[:, 1], x, y, drawn, [axis.places(m) / per_x for m in near], marks_on_level=True, ticks=3)
        for ax in whole:
            ax.axvspan(x[0], x[-1], color=_DETAIL, alpha=0.5, linewidth=1.5)
        axes[0, 1].set_title(f"{_count(last - first, 'sample')} of it", fontsize=9, color="#333333", pad=4)
    for channel, ax in zip(shown, whole, strict=True):
        _draw_gaps(ax, axis, per_x)
        if channel.is_digital:
            ax.locator_params(axis="y", nbins=4, integer=True)
        name, unit = _shortened(channel.name), "words" if channel.is_digital else _shortened(channel.unit)
        label = "\n".join(filter(None, (f"channel {channel.number}", name, f"[{unit}]")))
        _text(ax.set_ylabel(label, fontsize=8))
    level_texts = [
        _level_text(level, levels[one.number], one.unit, threshold, aggregate.dtype, place, counts[one.number])
        for one, level, place in zip(shown, given, places, strict=True)
    ]
    for ax, text in zip(axes[:, -1], level_texts, strict=True):
        _text(ax.annotate(text, (1, 0.5), (8, 0), xycoords="axes fraction", textcoords="offset points", fontsize=8,
                          va="center", color=_LEVEL))  # fmt: skip
    end = (axis.length - 0.5) / per_x
    whole[0].set_xlim(-0.5 / per_x, end)
    for ax in axes[-1]:
        ax.set_xlabel("time [s]" if aggregate.sampling_rate_hz else "sample", fontsize=9)
    _make_room(figure, axes, top, level_texts)
    _label_gaps(whole[0], axis, aggregate.sampling_rate_hz)
    recordings = aggregate.content["recordings"]
    begins = (axis.places(np.array([one["first_sample"] for one in recordings])) - 0.5) / per_x
    _label_recordings(whole[0], recordings, begins, end)
    return figure


def _make_room(figure: "Figure", axes: np.ndarray, top: float, level_texts: list[str]) -> None:
    """Move the axes (rows, columns) below `top` inches of text, and apart by what their labels need.

    A letter counts as 0.07 inches, a wide one as two: matplotlib's own layouts measure, and so draw, everything twice.
    """
    width, height = figure.get_size_inches()

    def inches(texts: Iterable[str]) -> float:
        return 0.07 * max(map(_letters, texts))

    left = 0.7 + inches(f"{tick:.10g}" for ax in axes[:, 0] for tick in ax.get_yticks())
    between = 0.1 + inches(f"{tick:.10g}" for ax in axes[-1] for tick in ax.get_xticks())
    right = width - 0.2 - inches(line for text in level_texts for line in text.split("\n"))
    figure.subplots_adjust(
        left=left / width,
        right=right / width,
        bottom=0.5 / height,
        top=1 - top / height,
        wspace=between / ((right - left - between) / 2),
        hspace=0.1,
    )


def _draw(
    axes: Iterable["Axes"],
    x: np.ndarray,
    y: np.ndarray,
    levels: list[float],
    marks: list[np.ndarray],
    marks_on_level: bool,
    ticks: int,
) -> None:
    """Draw a channel in each of `axes`: y (n, channels) against x, the level, and a mark at each of `marks`."""
    for channel, ax in enumerate(axes):
        ax.plot(x, y[:, channel], color=_SAMPLES, linewidth=0.7, marker="." if len(x) < 300 else "")
        level, where = levels[channel], marks[channel]
        if np.isfinite(level):
            # axhline would round it, which shows where all samples are the same.
            ax.plot(x[[0, -1]], [level, level], color=_LEVEL, linewidth=0.9, linestyle=(0, (6, 3)))
        if marks_on_level:
            ax.plot(where, np.full(len(where), level), "^", color=_EDGE, markersize=5, markeredgecolor="white",
                    markeredgewidth=0.3)  # fmt: skip
        else:
            # Above the samples, where thousands of them hide nothing.
            ax.plot(where, np.full(len(where), 0.97), "|", color=_EDGE, markersize=6, markeredgewidth=0.5,
                    transform=ax.get_xaxis_transform())  # fmt: skip
        ax.margins(x=0.005, y=0.12)
        ax.locator_params(axis="y", nbins=5)
        ax.locator_params(axis="x", nbins=ticks)
        # In full: a common factor would stand apart, above the axes.
        ax.xaxis.set_major_formatter("{x:.10g}")
        ax.yaxis.set_major_formatter("{x:.10g}")
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)


def _detail(edges: np.ndarray, axis: TimeAxis) -> tuple[int, int]:
    """Return the samples to show singly, of one stretch: around the middle edge, else the middle of the first one."""
    begins = sorted({0, *axis.gaps.tolist(), *axis.seams})
    ends = [*begins[1:], axis.samples]
    middle = int(edges[len(edges) // 2, 0]) if len(edges) else ends[0] // 2
    stretch = bisect_right(begins, middle) - 1
    begin, end = begins[stretch], ends[stretch]
    first = max(begin, min(middle - DETAIL_SAMPLES // 2, end - DETAIL_SAMPLES))
    return first, min(first + DETAIL_SAMPLES, end)


def _edges_between(edges: np.ndarray, first: int, last: int, shown: Sequence[int]) -> list[np.ndarray]:
    """Return the samples of the edges from `first` up to `last`, per shown channel."""
    begin, end = (bisect_left(edges, sample, key=SAMPLE_OF) for sample in (first, last))
    sample, channel = np.asarray(edges[begin:end]).T
    return [sample[channel == c] for c in shown]


def _draw_gaps(ax: "Axes", axis: TimeAxis, per_x: float) -> None:
    """Shade the gaps of known length, and mark the other seams."""
    # What older versions of matplotlib take for data, from 0 to 1, is the height of the axes.
    ax.set_ylim(ax.get_ylim())
    ends = axis.places(axis.gaps) - 0.5
    for begin, end in zip(ends - axis.missing, ends, strict=True):
        ax.axvspan(begin / per_x, end / per_x, color=_GAP, linewidth=0, zorder=3)  # over the level
    seams = (axis.places(np.array(axis.seams, dtype=int)) - 0.5) / per_x
    ax.vlines(seams, 0, 1, transform=ax.get_xaxis_transform(), color=_SEAM, linestyles=":",
              linewidth=0.8 if len(seams) < 100 else 0.3)  # fmt: skip


def _label_gaps(ax: "Axes", axis: TimeAxis, rate: float | None) -> None:
    """Write the length of each gap at its foot, where there is room."""
    per_x, (left, right) = rate or 1, ax.get_xlim()
    pixels = ax.bbox.width / (right - left)
    for end, missing in zip(axis.places(axis.gaps) - 0.5, axis.missing.tolist(), strict=True):
        text = f"gap of {_duration(missing / rate) if rate else _count(missing, 'sample')}"
        if missing / per_x * pixels > 6.5 * len(text) + 8:
            ax.annotate(text, ((end - missing / 2) / per_x, 0), (0, 3), xycoords=("data", "axes fraction"),
                        textcoords="offset points", ha="center", fontsize=8, color=_SEAM, zorder=4)  # fmt: skip


def _place_of_level(level: float, y: np.ndarray) -> str:
    """Return "above" or "below" for a level so far from the samples that they would be a flat line beside it."""
    y = y[np.isfinite(y)]
    if np.isnan(level) or not len(y):
        return ""
    lowest, highest = y.min(), y.max()
    extent = highest - lowest or max(abs(highest), 1)
    return "above" if level > highest + extent else "below" if level < lowest - extent else ""


def _level_text(
    level: float, counts: float, unit: str, threshold: float | None, dtype: str, place: str, edges: int
) -> str:
    if np.isnan(level):
        return f"no level:\nno numbers\n{_count(edges, 'edge')}"
    # A level that was worked out from float samples, or is in units, has digits that nobody asked for.
    is_counts = unit == COUNTS
    digits = 10 if is_counts and not (threshold is not None and dtype.startswith("float")) else 5
    lines = [f"level {level:.{digits}g} {_shortened(unit)}"]
    if threshold is not None:
        lines.append(f"({threshold:g} of range)")
    elif not is_counts:
        lines.append(f"({counts:.10g} counts)")
    if place:
        lines.append(f"(far {place})")
    return "\n".join([*lines, _count(edges, "edge")])


def _label_recordings(ax: "Axes", recordings: list[dict], x: np.ndarray, end: float) -> None:
    """Write the index of each recording at `x`, where its seam is; not where the one before is too near."""
    free = 0.0  # pixels from the first one
    for position, recording in enumerate(recordings):
        name = f"{'recording ' if position == 0 else ''}{recording['index']}"
        pixel = (x[position] - x[0]) / (end - x[0]) * ax.bbox.width
        if pixel < free:
            continue
        _text(ax.annotate(name, (x[position], 1), (2, 2), xycoords=("data", "axes fraction"),
                          textcoords="offset points", fontsize=7, color=_SEAM, annotation_clip=False))  # fmt: skip
        free = pixel + 6.5 * len(name) + 8


def _summary(aggregate: AggregateFile, axis: TimeAxis, shown: int, edges: int, made_by: str) -> list[str]:
    """Return the lines below the title."""
    samples, rate, channels = aggregate.samples, aggregate.sampling_rate_hz, _count(aggregate.channels, "channel")
    extent = f"{_count(samples, 'sample')}"
    if rate:
        extent += f" ({_duration(samples / rate)} at {rate:.7g} Hz)"
    recordings = _count(len(aggregate.content["recordings"]), "recording")
    if shown < aggregate.channels:
        channels = f"{shown} of {channels} shown"
    parts = [recordings, channels, extent, *_gaps_in_words(axis, rate), _count(edges, "edge")]
    lines = ["  ·  ".join([*parts, made_by] if made_by else parts)]
    excluded = aggregate.content["excluded"]
    for e in excluded[:MAX_EXCLUDED]:
        reason = f" ({e['reason']})" if e["reason"] else ""
        lines.append(f"left out: {e['session']}/{e['index']}{reason}")
    if len(excluded) > MAX_EXCLUDED:
        lines.append(f"left out: {len(excluded) - MAX_EXCLUDED} more")
    return [part for line in lines for part in textwrap.wrap(line, _limit(line, 160))]


def _gaps_in_words(axis: TimeAxis, rate: float | None) -> list[str]:
    missing = int(axis.missing.sum())
    if not missing:
        return []
    length = _duration(missing / rate) if rate else _count(missing, "sample")
    return [f"{_count(len(axis.gaps), 'gap')} of {length}{' in all' if len(axis.gaps) > 1 else ''}"]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}".replace(",", "\u202f")


def _text(text: "Text") -> None:
    """Take a name as it is: a dollar sign in it starts no formula."""
    text.set_parse_math(False)


def _limit(text: str, characters: int) -> int:
    """Return so many characters, or half as many for a text with wide ones, such as Chinese."""
    return characters // 2 if _letters(text) > len(text) else characters


def _letters(text: str) -> int:
    """Return how many letters a text is wide; a wide one, such as a Chinese one, counts as two."""
    return len(text) + sum(unicodedata.east_asian_width(one) in "WF" for one in text)


def _shortened(text: str) -> str:
    """Return a name without its middle if it is longer than a row of the picture is high."""
    part = _limit(text, 10)
    return text if len(text) <= 2 * part else f"{text[:part]}…{text[-part + 1 :]}"


def _fonts() -> list[str]:
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *[name for name in _CJK_FONTS if name in installed][:1]]
