"""Threshold crossings of a group, as findEvents.m finds them: filtered as they are looked for, without a copy."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.band_pass import check_band
from neuroluigi.signals.crossings import Detector, Found
from neuroluigi.signals.event_files import GrowingArray
from neuroluigi.signals.event_rule import Rule
from neuroluigi.signals.filtered import Signal
from neuroluigi.signals.noise import noise_levels
from neuroluigi.signals.onsets import Onsets
from neuroluigi.signals.signal_options import SignalOptions, options_of, plain, samples_of

# Where neither level, threshold nor noise is given.
DEFAULT_THRESHOLD = 0.75
POLARITIES = ("rising", "falling", "absolute")


@dataclass(frozen=True)
class EventOptions(SignalOptions):
    """What is an event; the names are those of findEvents.m, frequencies in Hz, durations in ms, levels in counts."""

    polarity: str = "rising"
    level: float | Sequence[float] | None = None
    threshold: float | Sequence[float] | None = None
    noise: float | Sequence[float] | None = None
    hysteresis: float | Sequence[float] = 0.0
    release: float = 1.0
    settle: int = 1
    width: float | None = None
    widthTolerance: float = 0.2
    refractory: float = 0.0
    peakWithin: float | None = None
    peakPastEnd: bool = False
    ends: bool = False
    noiseFrom: str = "auto"

    def check(self, rate: float | None) -> None:
        """Raise ValueError for options that contradict each other, or that need a rate which is not known."""
        check_band(self.low, self.high, rate)
        given = [name for name in ("level", "threshold", "noise") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)} are given; one of level, threshold and noise says where the level is"
            )
        if self.polarity not in POLARITIES:
            raise ValueError(f"polarity {self.polarity!r} is not one of {', '.join(POLARITIES)}")
        for one in _each(self.threshold):
            if not 0 <= one <= 1:
                raise ValueError(f"threshold {one:g} is not a fraction of the range, from 0 to 1")
        if not all(math.isfinite(one) for one in _each(self.hysteresis)):
            raise ValueError("hysteresis is not a number of counts")
        for one in _each(self.noise):
            if not 0 < one < math.inf:
                raise ValueError(f"noise {one:g} is not a number of standard deviations above 0")
        self._check_release()
        if self.settle < 1 or self.settle != int(self.settle):
            raise ValueError(f"settle {self.settle:g} is not a number of samples from 1 on")
        self._check_durations(rate)

    def _check_release(self) -> None:
        if not 0 <= self.release <= 1:
            raise ValueError(f"release {self.release:g} is not a fraction from 0 (the base) to 1 (the level)")
        if any(one < 0 for one in _each(self.hysteresis)):
            raise ValueError("hysteresis is below 0")
        if self.release != 1 and any(_each(self.hysteresis)):
            raise ValueError("hysteresis and release say the same; give one of them")
        if self.release != 1 and self.level is not None:
            raise ValueError(
                "release is a fraction of the way to a level that is worked out; with level use hysteresis"
            )

    def _check_durations(self, rate: float | None) -> None:
        for name in ("width", "refractory", "peakWithin"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} {value:g} is not a duration in ms")
            if value and rate is None:
                raise ValueError(f"{name} in ms needs the sampling rate, which is not known; set sampling_rate_hz")
        if not 0 <= self.widthTolerance < math.inf:
            raise ValueError(f"widthTolerance {self.widthTolerance:g} is not a fraction of the width, from 0 on")
        if self.peakPastEnd and self.peakWithin is None:
            raise ValueError("peakPastEnd needs peakWithin")


def _each(values: Any) -> Sequence[float]:
    """Return the values of an option: one for all channels, one for each, or none; also of NumPy's kinds."""
    # Not by NumPy itself, which a start would have to load to check options.
    plain = values.tolist() if hasattr(values, "tolist") else values
    if plain is None:
        return ()
    return plain if isinstance(plain, Sequence) else (plain,)


def find_events(
    aggregate_file: str, events_file: str, amplitudes_file: str, summary_file: str, *options: object
) -> None:
    """Write the events of a group, as findEvents.m does.

    `events_file`: .npy, int64 (events, 5), onset, channel, end (exclusive), peak and polarity, by onset, then channel,
    all from 0; `amplitudes_file`: .npy, float64 (events,), the value at the peak, in counts. Without one (""), only
    (events, 2), onset and channel. `summary_file`, "" for none: JSON with a value per channel in `count`, `rate_hz`,
    `noise`, `level` and `release`, and what was dropped. `options` are names and values in turn; see EventOptions.
    Raises ValueError for options that are wrong, and what read_aggregate() and blocks() raise.
    """
    chosen, given = options_of(EventOptions, options)
    aggregate = read_aggregate(aggregate_file)
    chosen.check(aggregate.sampling_rate_hz)
    signal = chosen.signal(aggregate)
    noise, noise_from = _noise(signal, chosen)
    levels, releases = _levels(signal, chosen, noise)
    rule = _rule(chosen, levels, releases, aggregate.sampling_rate_hz, has_peaks=bool(amplitudes_file))
    counts, opened, detector = _write_events(signal, rule, events_file, amplitudes_file)
    if summary_file:
        of_channels = {"count": counts, "noise": noise, "level": levels, "release": releases}
        summary = {
            **_lists(of_channels, signal),
            "flag": _flags(signal, levels),
            "band": [chosen.low, chosen.high],
            "taps": 0 if signal.low is None and signal.high is None else len(signal.taps),
            "reference": "median" if any(signal.labels) else "none",
            "noise_from": noise_from,
            "rejected": {"width": detector.rejected_width, "refractory": detector.rejected_refractory},
            "open": opened,
            "short_stretches": signal.short_stretches(),
            "parameters": given,
        }
        Path(summary_file).write_text(json.dumps(summary, default=plain) + "\n", encoding="utf-8")


def find_rising_edges(aggregate_file: str, edges_file: str, level: float | Sequence[float], *options: object) -> None:
    """Write where channels rise through their level, as findRisingEdges.m does: find_events, and nothing but onsets.

    The file is .npy, int64 (edges, 2): 0-based sample and channel, in order. `level` is in raw counts, one for all
    channels or one for each; where it is empty, options say where the level is.
    """
    given = ("level", level) if np.size(level) else ()
    find_events(aggregate_file, edges_file, "", "", *given, *options)


def _noise(signal: Signal, options: EventOptions) -> tuple[np.ndarray, str]:
    if options.noise is None or not signal.channels:
        return np.full(len(signal.channels), math.nan), ""
    return noise_levels(signal, options.noiseFrom)


def _levels(signal: Signal, options: EventOptions, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return level and release of each channel, in counts; NaN where there can be no events."""
    channels = len(signal.channels)
    sign = -1 if options.polarity == "falling" else 1
    base = np.zeros(channels)
    if options.level is not None:
        levels = np.broadcast_to(np.asarray(options.level, float), channels).copy()
    elif options.noise is not None:
        # Through a level of 0, noise that there is none of is no event.
        levels = np.where(noise > 0, sign * np.asarray(options.noise) * noise, math.nan)
    else:
        threshold = np.asarray(DEFAULT_THRESHOLD if options.threshold is None else options.threshold)
        lowest, highest = _range(signal, is_absolute=options.polarity == "absolute")
        near, far = (highest, lowest) if options.polarity == "falling" else (lowest, highest)
        # After a band-pass events rise from 0, and the lowest value is that of another event.
        base = base if options.low is not None else near
        with np.errstate(invalid="ignore"):
            levels = np.array([float(f"{one:.15g}") for one in base + threshold * (far - base)])
    if options.release != 1:
        with np.errstate(invalid="ignore"):
            return levels, base + options.release * (levels - base)
    return levels, levels - sign * np.asarray(options.hysteresis, float)


def _range(signal: Signal, is_absolute: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest value of each channel, NaN left out."""
    lowest, highest = np.full((2, len(signal.channels)), math.nan)
    for _, piece in signal.pieces():
        values = np.abs(piece.astype(float)) if is_absolute else piece
        lowest = np.fmin(lowest, np.fmin.reduce(values, axis=1))
        highest = np.fmax(highest, np.fmax.reduce(values, axis=1))
    return lowest, highest


def _rule(options: EventOptions, levels: np.ndarray, releases: np.ndarray, rate: float | None, has_peaks: bool) -> Rule:
    widths = None
    if options.width:
        width = samples_of(options.width, rate)
        widths = width * (1 - options.widthTolerance), width * (1 + options.widthTolerance)
    return Rule(
        options.polarity,
        levels,
        releases,
        settle=int(options.settle),
        widths=widths,
        refractory=samples_of(options.refractory, rate),
        peak_within=None if options.peakWithin is None else max(1, samples_of(options.peakWithin, rate)),
        peak_past_end=options.peakPastEnd,
        ends=options.ends,
        has_peaks=has_peaks,
    )


def _write_events(
    signal: Signal, rule: Rule, events_file: str, amplitudes_file: str
) -> tuple[np.ndarray, list[int], Detector | Onsets]:
    """Write the files; return the number of events of each channel, the rows of open ones, and what found them."""
    channels = np.array(signal.channels, np.int64)
    counts, opened = np.zeros(len(channels), np.int64), set[int]()
    columns = 5 if amplitudes_file else 2
    with contextlib.ExitStack() as stack:
        events = stack.enter_context(GrowingArray(events_file, "<i8", columns))
        amplitudes = stack.enter_context(GrowingArray(amplitudes_file, "<f8")) if amplitudes_file else None
        detector = _detector(rule, signal)
        for found in _found(signal, detector):
            opened.update(found.places[found.is_open].tolist())
            is_new = found.places[0] >= events.rows
            if is_new:
                counts += np.bincount(found.rows[:, 1], minlength=len(channels))
            if amplitudes is None and not is_new:
                continue
            rows = found.rows[:, :columns]
            rows[:, 1] = channels[rows[:, 1]]
            for file, values in ((events, rows), (amplitudes, found.amplitudes)):
                if file is not None:
                    file.append(values) if is_new else file.replace(found.places, values)
    return counts, sorted(opened), detector


def _detector(rule: Rule, signal: Signal) -> Detector | Onsets:
    if Onsets.suffice(rule, signal.dtype, signal.channels):
        return Onsets(rule, signal.dtype)
    return Detector(rule, signal.dtype, signal.channels)


def _found(signal: Signal, detector: Detector | Onsets) -> Iterator[Found]:
    begins, ends = ({stretch[place] for stretch in signal.stretches} for place in (0, 1))
    for first, piece in signal.pieces() if signal.channels else ():
        yield from detector.feed(first, piece, first in begins, first + piece.shape[1] in ends)


def _lists(values: Mapping[str, np.ndarray], signal: Signal) -> dict[str, list[Any]]:
    """Return each as a list with a value per channel of the group, None for those that were not looked at."""
    aggregate = signal.aggregate
    rate = aggregate.sampling_rate_hz
    seconds = aggregate.samples / rate if rate and aggregate.samples else math.nan
    lists: dict[str, list[Any]] = {}
    for name, of_chosen in {"count": values["count"], "rate_hz": values["count"] / seconds, **values}.items():
        lists[name] = [None] * aggregate.channels
        for channel, value in zip(signal.channels, of_chosen.tolist(), strict=True):
            lists[name][channel] = _as_json(value)
    return lists


def _as_json(value: float) -> Any:
    """Return a number as JSON can have it: null for NaN, and text for what is infinite."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return None if math.isnan(value) else value


def _flags(signal: Signal, levels: np.ndarray) -> list[str]:
    flags = ["not chosen"] * signal.aggregate.channels
    for channel, level in zip(signal.channels, levels.tolist(), strict=True):
        flags[channel] = "no noise" if math.isnan(level) else ""
    return flags
