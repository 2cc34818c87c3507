"""Spectrum: the power of the samples of each channel by frequency, by Welch's method.

Hann windows of a second, from all over the group, none across a seam; each window's mean is taken away.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.blocks import blocks
from neuroluigi.signals.drawn_time import shown_span, summary
from neuroluigi.signals.picture import (
    COLOURS,
    as_written,
    count_of,
    duration,
    panel_name,
    plain_axes,
    shortened,
    titled_figure,
)
from neuroluigi.signals.shown_channels import COUNTS, described_channels, shown_channels
from neuroluigi.signals.time_axis import stretches, time_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOW_SECONDS = 1
MOST_WINDOWS = 100
# Of a recording without a rate, in which there are no seconds.
_WINDOW_SAMPLES = 1000
# Channels at a time: as many values as a block of samples has, whatever the rate.
_VALUES_AT_A_TIME = 1 << 18


@dataclass(frozen=True)
class Spectrum:
    """Power of some channels (frequencies, channels), in counts^2 per Hz, at each of the `frequencies`, in Hz.

    It is the mean over so many `windows` of so many `samples`. Without a sampling rate, frequencies are in cycles per
    sample, and power is per cycle per sample. NaN where a channel has samples that are no numbers.
    """

    frequencies: np.ndarray
    power: np.ndarray
    windows: int
    samples: int


def window_starts(apart: Sequence[tuple[int, int]], samples: int) -> list[int]:
    """Return the first samples of windows of so many samples: at most MOST_WINDOWS, evenly spaced.

    Each lies in one of the stretches (first and last sample, exclusive), and neighbours share at most half of their
    samples.
    """
    hop = max(1, samples // 2)
    # Of each stretch, how many there could be.
    fitting = [max(0, (end - begin - samples) // hop + 1) for begin, end in apart]
    ends = np.cumsum(fitting).tolist()
    chosen = np.unique(np.linspace(0, ends[-1] - 1, min(MOST_WINDOWS, ends[-1])).round().astype(int)).tolist()
    of_stretch = [bisect_right(ends, number) for number in chosen]
    return [
        apart[stretch][0] + (number - (ends[stretch] - fitting[stretch])) * hop
        for number, stretch in zip(chosen, of_stretch, strict=True)
    ]


def spectrum_of(aggregate: AggregateFile, apart: Sequence[tuple[int, int]], channels: Sequence[int]) -> Spectrum:
    """Return the spectrum of some channels in some stretches; windows are shorter where none of these is as long."""
    rate = aggregate.sampling_rate_hz
    longest = max(end - begin for begin, end in apart)
    samples = min(round(WINDOW_SECONDS * rate) if rate else _WINDOW_SAMPLES, longest)
    starts = window_starts(apart, samples)
    # The periodic one, as for a Fourier transform; a single sample has no other.
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples) if samples > 1 else np.ones(1)
    power = np.zeros((samples // 2 + 1, len(channels)))
    at_a_time = max(1, _VALUES_AT_A_TIME // samples)
    for start in starts:
        window = np.concatenate([block[:, channels] for block in blocks(aggregate, start, start + samples)])
        for first in range(0, len(channels), at_a_time):
            # The samples of a channel side by side: a transform along the other axis takes twice as long.
            some = window[:, first : first + at_a_time].T.astype(float, order="C")
            transformed = np.fft.rfft((some - some.mean(1, keepdims=True)) * taper)
            power[:, first : first + at_a_time] += (transformed.real**2 + transformed.imag**2).T
    power /= len(starts) * (rate or 1) * (taper**2).sum()
    # The power of each frequency below 0 is that of the one above, but for 0 itself and half of the rate.
    power[1 : (samples + 1) // 2] *= 2
    return Spectrum(np.fft.rfftfreq(samples, 1 / (rate or 1)), power, len(starts), samples)


def channels_of_kind(aggregate: AggregateFile, kind: str) -> list[int]:
    """Return the channels of a kind that are used and not bad.

    For "" those of kind lf, and where there are none all but digital ones. Raises ValueError for a kind that no channel
    has.
    """
    described = enumerate(described_channels(aggregate))
    used = [n for n, one in described if one.get("used", True) and n not in aggregate.bad]
    if kind and kind not in aggregate.kinds:
        raise ValueError(f"kind {kind!r}: the channels are of kind {', '.join(dict.fromkeys(aggregate.kinds))}")
    of_kind = [n for n in used if aggregate.kinds[n] == (kind or "lf")]
    return of_kind if of_kind or kind else [n for n in used if aggregate.kinds[n] != "digital"]


def spectrum_figure(
    title: str,
    aggregate_file: str,
    made_by: str,
    channels: Sequence[str] = (),
    kind: str = "",
    window: str = "",
    bad: Iterable[int] = (),
) -> "Figure":
    """Return the spectra of some channels of a kind and the median of all of that kind with the same unit.

    `channels` are those of shown_channels(); for `kind` see channels_of_kind(), for `window` drawn_time.shown_span().
    """
    aggregate = read_aggregate(aggregate_file, bad)
    axis, all_of_kind = time_axis(aggregate), channels_of_kind(aggregate, kind)
    if not all_of_kind:
        raise ValueError(f"{aggregate_file}: no channel has a spectrum, as all are digital or unused")
    is_of_kind = [0 if n in {*all_of_kind} else None for n in range(aggregate.channels)]
    shown = [one for one in shown_channels(aggregate, channels, is_of_kind) if not one.is_digital]
    described, unit = described_channels(aggregate), shown[0].unit if shown else COUNTS
    shown = [one for one in shown if one.unit == unit]
    alike = [n for n in all_of_kind if _unit_and_scale(described[n])[0] == unit]
    numbers = sorted({*alike, *(one.number for one in shown)})
    first, last = axis.first_samples(np.array(shown_span(window, aggregate, axis, None))).tolist()
    found = spectrum_of(aggregate, stretches(axis, first, last), numbers)
    scales = np.array([_unit_and_scale(described[n])[1] for n in numbers])
    # 0 Hz has no place on an axis of logarithms; half of the rate has half of the power, which looks like a dip.
    drawn = slice(1, (found.samples + 1) // 2)
    frequencies, power = found.frequencies[drawn], (found.power * scales**2)[drawn]
    rate = aggregate.sampling_rate_hz
    length = duration(found.samples / rate) if rate else count_of(found.samples, "sample")
    words = f"Mean of {count_of(found.windows, 'Hann window')} of {length}, evenly spaced, none across a seam"
    lines = summary(aggregate, axis, len(shown), [], made_by, [words])
    figure, top = titled_figure(f"{title}: spectrum", lines, 5.6)
    width, height = figure.get_size_inches()
    ax = figure.subplots()
    figure.subplots_adjust(1.0 / width, 0.55 / height, 1 - 2.9 / width, 1 - (top - 0.2) / height)
    for row, channel in enumerate(shown):
        name = panel_name(channel.number, channel.name)
        (line,) = ax.plot(frequencies, power[:, numbers.index(channel.number)], linewidth=0.6,
                          color=COLOURS[row % len(COLOURS)], alpha=0.8)  # fmt: skip
        line.set_label(name)
    if len(alike) > 1:
        median = np.median(power[:, [numbers.index(n) for n in alike]], axis=1)
        ax.plot(frequencies, median, color="black", linewidth=1.2, label=f"median of {len(alike)} channels")
    _finish(figure, unit, rate)
    return figure


def _unit_and_scale(described: dict) -> tuple[str, float]:
    is_known = "scale" in described and "unit" in described
    return (described["unit"], described["scale"]) if is_known else (COUNTS, 1.0)


def _finish(figure: "Figure", unit: str, rate: float | None) -> None:
    ax = figure.axes[0]
    ax.set_xscale("log")
    # A channel that is constant has no power, and where all are, there is nothing to take the logarithm of.
    if any((np.asarray(line.get_ydata()) > 0).any() for line in ax.lines):
        ax.set_yscale("log", nonpositive="mask")
    ax.set_xlabel("frequency [Hz]" if rate else "frequency [cycles per sample]", fontsize=9)
    as_written(ax.set_ylabel(f"power [{shortened(unit)}²/Hz]" if rate else f"power [{shortened(unit)}²]", fontsize=9))
    ax.xaxis.set_major_formatter("{x:.10g}")
    ax.grid(which="major", color="#e5e5e5", linewidth=0.6)
    plain_axes(ax)
    if ax.lines:
        legend = ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, frameon=False)
        for text in legend.get_texts():
            as_written(text)
