"""Pictures of recordings: samples against time, with levels, edges and the seams between recordings.

A picture costs one pass over the data and no more memory than a block of it, however long the recording: where there
are more samples than pixels, each pixel column shows the smallest and the largest sample that fall into it, which is
what drawing every sample would show.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

MAX_CHANNELS = 8
MAX_SEAM_LABELS = 30
COLUMNS = 1100  # about the pixels of an axes' width
_BLOCK_VALUES = 1 << 20
_BLOCK_EDGES = 1 << 20

_SAMPLES, _LEVEL, _EDGE, _SEAM = "#1f4e79", "#d95f02", "#b2182b", "#777777"


def plot_group(
    path: Path,
    title: str,
    data_file: str,
    layout: dict,
    edges: np.ndarray,
    levels: list[float],
    threshold: float | None,
    made_by: str,
) -> None:
    """Draw a group as a PNG at `path`, a row per channel (the first eight).

    `layout` is the content of aggregate.json, `edges` int64 (edges, 2) 0-based sample and channel, `levels` raw counts
    per channel, `threshold` the fraction of the range that they are, or None where the level was given.
    """
    samples = sum(recording["samples"] for recording in layout["recordings"])
    shown = min(layout["channels"], MAX_CHANNELS)
    rate = layout.get("sampling_rate_hz")
    x_of = (lambda sample: np.asarray(sample) / rate) if rate else np.asarray
    scale, offset, unit = _units(layout)
    x, y = envelope(data_file, layout["dtype"], layout["channels"], samples, shown, layout["segments"])
    marks, counts = _edge_marks(edges, samples, shown, layout["channels"])

    figure = Figure(figsize=(12, 1.9 + 1.55 * shown), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(shown, 1, sharex=True, squeeze=False)[:, 0]
    names = layout.get("channel_names", [""] * shown)
    for channel, ax in enumerate(axes):
        level = levels[channel] * scale + offset
        ax.plot(x_of(x), y[:, channel] * scale + offset, color=_SAMPLES, linewidth=0.7, marker="." if len(x) < 300 else "")
        if np.isfinite(level):
            ax.axhline(level, color=_LEVEL, linewidth=0.9, linestyle=(0, (6, 3)))
            where = marks[channel]
            ax.plot(x_of(where), np.full(len(where), level), "^", color=_EDGE, markersize=5, markeredgecolor="white",
                    markeredgewidth=0.3, linestyle="none")  # fmt: skip
        for recording in layout["recordings"][1:]:
            ax.axvline(x_of(recording["first_sample"]), color=_SEAM, linewidth=0.8, linestyle=":")
        _text(ax.set_ylabel(f"channel {channel}\n{names[channel]}\n[{unit}]".replace("\n\n", "\n"), fontsize=8))
        _text(ax.text(1.005, 0.5, _level_text(levels[channel], threshold, counts[channel]), transform=ax.transAxes,
                      fontsize=8, va="center", color=_LEVEL))  # fmt: skip
        ax.margins(x=0.005, y=0.12)
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("time [s]" if rate else "sample", fontsize=9)
    axes[0].set_xlim(x_of(-0.5), x_of(samples - 0.5))
    _label_recordings(axes[0], layout["recordings"], x_of)
    _text(figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold"))
    lines = _summary(layout, samples, sum(counts), made_by)
    _text(axes[0].set_title(lines, loc="left", fontsize=9, color="#333333", pad=16))
    with warnings.catch_warnings():
        # A name in a script that the fonts lack shows as boxes; the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(path)


def envelope(
    data_file: str, dtype: str, channels: int, samples: int, shown: int, segments: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what to draw of the first `shown` channels: sample numbers (n,) and raw counts (n, shown).

    Every sample where they are few, with a gap (NaN) between segments; otherwise smallest and largest of each column.
    """
    if samples <= 2 * COLUMNS:
        y = np.concatenate([block for _, block in _blocks(data_file, dtype, channels, shown)])
        gaps = segments[1:]
        return np.insert(np.arange(samples, dtype=float), gaps, gaps), np.insert(y, gaps, np.nan, axis=0)
    # Column j has the samples from starts[j] up to starts[j + 1].
    starts = -(-np.arange(COLUMNS) * samples // COLUMNS)
    lowest, highest = np.full((2, COLUMNS, shown), np.nan)
    for first, block in _blocks(data_file, dtype, channels, shown):
        from_column = np.searchsorted(starts, first, side="right") - 1
        to_column = np.searchsorted(starts, first + len(block), side="left")
        cuts = np.maximum(starts[from_column:to_column] - first, 0)
        columns = slice(from_column, to_column)
        lowest[columns] = np.fmin(lowest[columns], np.fmin.reduceat(block, cuts))
        highest[columns] = np.fmax(highest[columns], np.fmax.reduceat(block, cuts))
    centers = (starts + np.append(starts[1:], samples) - 1) / 2
    return np.repeat(centers, 2), np.stack([lowest, highest], axis=1).reshape(2 * COLUMNS, shown)


def _blocks(data_file: str, dtype: str, channels: int, shown: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number of the first sample, samples x shown as float64) of a file, a block at a time."""
    kind = np.dtype(dtype).newbyteorder("<")
    block_values = max(1, _BLOCK_VALUES // channels) * channels
    first = 0
    with Path(data_file).open("rb") as file:
        while data := file.read(block_values * kind.itemsize):
            block = np.frombuffer(data, dtype=kind).reshape(-1, channels)[:, :shown].astype(float)
            yield first, block
            first += len(block)


def _edge_marks(edges: np.ndarray, samples: int, shown: int, channels: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return per shown channel the samples to mark, one per pixel column at most, and the number of edges of each."""
    is_marked = np.zeros((shown, COLUMNS), dtype=bool)
    first_in_column = np.zeros((shown, COLUMNS), dtype=np.int64)
    counts = np.zeros(channels, dtype=np.int64)
    for start in range(0, len(edges), _BLOCK_EDGES):
        sample, channel = np.asarray(edges[start : start + _BLOCK_EDGES]).T
        counts += np.bincount(channel, minlength=channels)
        sample, channel = sample[channel < shown], channel[channel < shown]
        column = sample * COLUMNS // samples
        is_new = ~is_marked[channel, column]
        sample, channel, column = sample[is_new], channel[is_new], column[is_new]
        # Backwards, so that the first edge of a column is written last.
        first_in_column[channel[::-1], column[::-1]] = sample[::-1]
        is_marked[channel, column] = True
    return [first_in_column[c][is_marked[c]] for c in range(shown)], counts


def _units(layout: dict) -> tuple[float, float, str]:
    if all(name in layout for name in ("scale", "offset", "unit")):
        return layout["scale"], layout["offset"], layout["unit"]
    return 1.0, 0.0, "counts"


def _level_text(level: float, threshold: float | None, edges: int) -> str:
    if np.isnan(level):
        return "no level:\nno samples"
    fraction = f"\n({threshold:g} of range)" if threshold is not None else ""
    return f"level {level:.10g} counts{fraction}\n{_count(edges, 'edge')}"


def _label_recordings(ax, recordings: list[dict], x_of) -> None:
    if len(recordings) > MAX_SEAM_LABELS:
        return
    for position, recording in enumerate(recordings):
        name = f"{'recording ' if position == 0 else ''}{recording['index']}"
        _text(ax.annotate(name, (x_of(recording["first_sample"]), 1), (2, 2), xycoords=("data", "axes fraction"),
                          textcoords="offset points", fontsize=7, color=_SEAM))  # fmt: skip


def _summary(layout: dict, samples: int, edges: int, made_by: str) -> str:
    rate, channels = layout.get("sampling_rate_hz"), layout["channels"]
    extent = f"{_count(samples, 'sample')}"
    if rate:
        extent += f" ({_duration(samples / rate)} at {rate:g} Hz)"
    parts = [_count(len(layout["recordings"]), "recording"), _count(channels, "channel"), extent, _count(edges, "edge")]
    if channels > MAX_CHANNELS:
        parts[1] += f" (the first {MAX_CHANNELS} shown)"
    lines = ["  ·  ".join([*parts, made_by] if made_by else parts)]
    if excluded := layout["excluded"]:
        named = [f"{e['session']}/{e['index']}{f' ({reason})' if (reason := e['reason']) else ''}" for e in excluded]
        more = f" and {len(named) - 4} more" if len(named) > 4 else ""
        lines.append(f"left out: {', '.join(named[:4])}{more}")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}".replace(",", "\u202f")


def _text(text) -> None:
    """Take a name as it is: a dollar sign in it starts no formula."""
    text.set_parse_math(False)
