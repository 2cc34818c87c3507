"""Pictures of recordings: samples against time, with levels, edges and the seams between recordings.

A picture costs one pass over the data and no more memory than a block of it, however long the recording: where there
are more samples than pixels, each pixel column shows the smallest and the largest sample that fall into it, which is
what drawing every sample would show.
"""

import mmap
import textwrap
import unicodedata
import warnings
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.blocks import blocks, extreme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

MAX_CHANNELS = 8
MAX_EXCLUDED = 4
DETAIL_SAMPLES = 1000
COLUMNS = 1100  # about the pixels of an axes' width
_COLUMNS_AT_A_TIME = 50
_SAMPLE_OF = itemgetter(0)  # of an edge

# The first of these that is installed writes what matplotlib's own font can't.
_CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
              "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS")  # fmt: skip

_SAMPLES, _LEVEL, _EDGE, _SEAM, _DETAIL = "#1f4e79", "#d95f02", "#b2182b", "#777777", "#f2c94c"


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
    """Return the matplotlib Figure of a group, a row per channel (the first eight).

    `aggregate_file` is an aggregate.json, `edges` int64 (edges, 2) 0-based sample and channel, `levels` raw counts
    per channel, `threshold` the fraction of the range that they are, or None where the level was given.
    """
    # Here, because a run that draws nothing should not wait for it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    aggregate = read_aggregate(aggregate_file)
    samples, recordings, rate = aggregate.samples, aggregate.content["recordings"], aggregate.sampling_rate_hz
    shown = min(aggregate.channels, MAX_CHANNELS)
    described = _described_channels(aggregate)[:shown]
    scale, offset = (np.array([one[name] for one in described]) for name in ("scale", "offset"))
    level_of = (levels[:shown] * scale + offset).tolist()
    is_long = samples > 8 * DETAIL_SAMPLES
    marks, counts = _edge_marks(edges, samples, shown, aggregate.channels)

    head = textwrap.wrap(title, _limit(title, 95))
    summary = _summary(aggregate, sum(counts), made_by)
    # Inches
    head_height = 0.1 + 0.22 * len(head)
    top = head_height + 0.17 * len(summary) + 0.4
    height = top + 0.6 + 1.55 * shown
    figure = Figure(figsize=(14, height), dpi=100)
    FigureCanvasAgg(figure)
    _text(figure.text(0.01, 1 - 0.1 / height, "\n".join(head), va="top", fontsize=13, fontweight="bold"))
    _text(figure.text(0.01, 1 - head_height / height, "\n".join(summary), va="top", fontsize=9, color="#333333"))
    axes = figure.subplots(
        shown, 1 + is_long, sharex="col", sharey="row", squeeze=False, width_ratios=(3, 1)[: 1 + is_long]
    )
    whole = axes[:, 0]
    x, y = envelope(aggregate, shown)
    per_x = rate or 1  # samples per second, or per sample where no rate is known
    y = y * scale + offset
    places = [_place_of_level(level, y[:, channel]) for channel, level in enumerate(level_of)]
    level_of = [np.nan if place else level for level, place in zip(level_of, places, strict=True)]
    _draw(whole, x / per_x, y, level_of, [m / per_x for m in marks], marks_on_level=not is_long, ticks=10)
    if is_long:
        first, last = _detail(edges, recordings)
        y = np.concatenate([block[:, :shown] for block in blocks(aggregate, first, last)]) * scale + offset
        near = _edges_between(edges, first, last, shown)
        x = np.arange(first, last) / per_x
        _draw(axes[:, 1], x, y, level_of, [m / per_x for m in near], marks_on_level=True, ticks=3)
        for ax in whole:
            ax.axvspan(first / per_x, (last - 1) / per_x, color=_DETAIL, alpha=0.5, linewidth=1.5)
        axes[0, 1].set_title(f"{_count(last - first, 'sample')} of it", fontsize=9, color="#333333", pad=4)
    seams = (np.array([recording["first_sample"] for recording in recordings]) - 0.5) / per_x
    end = (samples - 0.5) / per_x
    for channel, ax in enumerate(whole):
        ax.vlines(seams[1:], 0, 1, transform=ax.get_xaxis_transform(), color=_SEAM, linestyles=":",
                  linewidth=0.8 if len(seams) < 100 else 0.3)  # fmt: skip
        name, unit = (_shortened(described[channel][one]) for one in ("name", "unit"))
        _text(ax.set_ylabel("\n".join(filter(None, (f"channel {channel}", name, f"[{unit}]"))), fontsize=8))
    level_texts = [
        _level_text(levels[channel], threshold, aggregate.dtype, places[channel], counts[channel])
        for channel in range(shown)
    ]
    for ax, text in zip(axes[:, -1], level_texts, strict=True):
        _text(ax.annotate(text, (1, 0.5), (8, 0), xycoords="axes fraction", textcoords="offset points", fontsize=8,
                          va="center", color=_LEVEL))  # fmt: skip
    whole[0].set_xlim(-0.5 / per_x, end)
    for ax in axes[-1]:
        ax.set_xlabel("time [s]" if rate else "sample", fontsize=9)
    _make_room(figure, axes, top, level_texts)
    _label_recordings(whole[0], recordings, seams, end)
    return figure


def _make_room(figure: "Figure", axes: np.ndarray, top: float, level_texts: list[str]) -> None:
    """Move the axes (rows, columns) below `top` inches of text, and apart by what their labels need.

    A letter counts as 0.07 inches: matplotlib's own layouts measure, and so draw, everything twice.
    """
    width, height = figure.get_size_inches()

    def inches(texts: Iterable[str]) -> float:
        return 0.07 * max(map(len, texts))

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
            ax.axhline(level, color=_LEVEL, linewidth=0.9, linestyle=(0, (6, 3)))
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


def _detail(edges: np.ndarray, recordings: list[dict]) -> tuple[int, int]:
    """Return the samples to show singly: around the middle edge, within its recording."""
    middle = int(edges[len(edges) // 2, 0]) if len(edges) else recordings[0]["samples"] // 2
    recording = next(r for r in reversed(recordings) if r["first_sample"] <= middle)
    begin, end = recording["first_sample"], recording["first_sample"] + recording["samples"]
    first = max(begin, min(middle - DETAIL_SAMPLES // 2, end - DETAIL_SAMPLES))
    return first, min(first + DETAIL_SAMPLES, end)


def _edges_between(edges: np.ndarray, first: int, last: int, shown: int) -> list[np.ndarray]:
    """Return the samples of the edges from `first` up to `last`, per shown channel."""
    begin, end = (bisect_left(edges, sample, key=_SAMPLE_OF) for sample in (first, last))
    sample, channel = np.asarray(edges[begin:end]).T
    return [sample[channel == c] for c in range(shown)]


def envelope(aggregate: AggregateFile, shown: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what to draw of the first `shown` channels: sample numbers (n,) and raw counts (n, shown).

    Every sample where they are few, with a gap (NaN) between segments; otherwise smallest and largest of each column.
    """
    samples = aggregate.samples
    if samples <= 2 * COLUMNS:
        y = np.concatenate([block[:, :shown] for block in blocks(aggregate)]).astype(float)
        gaps = aggregate.segments[1:]
        return np.insert(np.arange(samples, dtype=float), gaps, gaps), np.insert(y, gaps, np.nan, axis=0)
    starts = _column_starts(samples)
    lowest, highest = np.full((2, COLUMNS, shown), np.nan)
    first = 0
    for block in blocks(aggregate):
        from_column = int(np.searchsorted(starts, first, side="right")) - 1
        to_column = np.searchsorted(starts, first + len(block), side="left")
        cuts = [*np.maximum(starts[from_column:to_column] - first, 0), len(block)]
        for column, (begin, end) in enumerate(pairwise(cuts), start=from_column):
            part = block[begin:end, :shown]
            lowest[column] = np.fmin(lowest[column], extreme(np.fmin, part))
            highest[column] = np.fmax(highest[column], extreme(np.fmax, part))
        first += len(block)
    centers = (starts + np.append(starts[1:], samples) - 1) / 2
    return np.repeat(centers, 2), np.stack([lowest, highest], axis=1).reshape(2 * COLUMNS, shown)


def _column_starts(samples: int) -> np.ndarray:
    """Return the first sample of each pixel column."""
    return -(-np.arange(COLUMNS) * samples // COLUMNS)


def _edge_marks(edges: np.ndarray, samples: int, shown: int, channels: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return per shown channel the samples to mark, one per pixel column at most, and the number of edges of each."""
    starts = _column_starts(samples)
    counts = np.zeros(channels, dtype=np.int64)
    marks: list[list[int]] = [[] for _ in range(shown)]
    for first in range(0, COLUMNS, _COLUMNS_AT_A_TIME):
        edges = _mapped_anew(edges)
        bounds = [bisect_left(edges, start, key=_SAMPLE_OF) for start in starts[first : first + _COLUMNS_AT_A_TIME + 1]]
        if first + _COLUMNS_AT_A_TIME >= COLUMNS:
            bounds.append(len(edges))
        for begin, end in pairwise(bounds):
            if begin == end:
                continue
            # Of a single channel there is nothing to count.
            channel = np.asarray(edges[begin:end, 1]) if channels > 1 else np.zeros(1, dtype=np.int64)
            in_column = np.bincount(channel, minlength=channels) if channels > 1 else np.array([end - begin])
            counts += in_column
            for c in np.flatnonzero(in_column[:shown]):
                marks[c].append(edges[begin + np.argmax(channel == c), 0])
    return [np.array(some, dtype=np.int64) for some in marks], counts


def _mapped_anew(edges: np.ndarray) -> np.ndarray:
    """Return the same edges; of a file that is mapped, what was read so far no longer counts as memory."""
    # A part of a map is one too, and says of itself what holds for the whole.
    base: object = edges.base
    if not (isinstance(edges, np.memmap) and isinstance(base, mmap.mmap) and edges.filename):
        return edges
    order: Literal["C", "F"] = "C" if edges.flags.c_contiguous else "F"
    return np.memmap(edges.filename, edges.dtype, "r", edges.offset, edges.shape, order)


def _described_channels(aggregate: AggregateFile) -> list[dict]:
    """Return name, scale, offset and unit of each channel; counts, where scale or unit are not known."""
    content, listed = aggregate.content, aggregate.content["channels"]
    if isinstance(listed, int):
        # Those of all channels are beside the number of channels.
        of_all = {name: content[name] for name in ("scale", "offset", "unit") if name in content}
        listed = [{"name": name, **of_all} for name in content.get("channel_names", [""] * listed)]
    return [
        {"name": "", "offset": 0.0, **one}
        if "scale" in one and "unit" in one
        else {"name": one.get("name", ""), "scale": 1.0, "offset": 0.0, "unit": "counts"}
        for one in listed
    ]


def _place_of_level(level: float, y: np.ndarray) -> str:
    """Return "above" or "below" for a level so far from the samples that they would be a flat line beside it."""
    y = y[np.isfinite(y)]
    if np.isnan(level) or not len(y):
        return ""
    lowest, highest = y.min(), y.max()
    extent = highest - lowest or max(abs(highest), 1)
    return "above" if level > highest + extent else "below" if level < lowest - extent else ""


def _level_text(level: float, threshold: float | None, dtype: str, place: str, edges: int) -> str:
    if np.isnan(level):
        return f"no level:\nno numbers\n{_count(edges, 'edge')}"
    # A level that was worked out from float samples has digits that nobody asked for.
    digits = 5 if threshold is not None and dtype.startswith("float") else 10
    lines = [f"level {level:.{digits}g} counts"]
    if threshold is not None:
        lines.append(f"({threshold:g} of range)")
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


def _summary(aggregate: AggregateFile, edges: int, made_by: str) -> list[str]:
    """Return the lines below the title."""
    samples, rate, channels = aggregate.samples, aggregate.sampling_rate_hz, aggregate.channels
    extent = f"{_count(samples, 'sample')}"
    if rate:
        extent += f" ({_duration(samples / rate)} at {rate:g} Hz)"
    recordings = _count(len(aggregate.content["recordings"]), "recording")
    parts = [recordings, _count(channels, "channel"), extent, _count(edges, "edge")]
    if channels > MAX_CHANNELS:
        parts[1] += f" (the first {MAX_CHANNELS} shown)"
    lines = ["  ·  ".join([*parts, made_by] if made_by else parts)]
    excluded = aggregate.content["excluded"]
    for e in excluded[:MAX_EXCLUDED]:
        reason = f" ({e['reason']})" if e["reason"] else ""
        lines.append(f"left out: {e['session']}/{e['index']}{reason}")
    if len(excluded) > MAX_EXCLUDED:
        lines.append(f"left out: {len(excluded) - MAX_EXCLUDED} more")
    return [part for line in lines for part in textwrap.wrap(line, _limit(line, 160))]


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
    return characters // 2 if any(unicodedata.east_asian_width(one) in "WF" for one in text) else characters


def _shortened(text: str) -> str:
    """Return a name without its middle if it is longer than a row of the picture is high."""
    part = _limit(text, 10)
    return text if len(text) <= 2 * part else f"{text[:part]}…{text[-part + 1 :]}"


def _fonts() -> list[str]:
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *[name for name in _CJK_FONTS if name in installed][:1]]
