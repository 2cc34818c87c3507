"""Snippets: the signal around the peaks of events, on their channel and its neighbours, as cutSnippets.m cuts them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.event_files import HEADER_BYTES, array_header
from neuroluigi.signals.filtered import Signal
from neuroluigi.signals.neighbours import neighbours
from neuroluigi.signals.signal_options import SignalOptions, options_of, plain, samples_of

_PEAK = 3
# Of events, that are looked at at once.
_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class SnippetOptions(SignalOptions):
    """What is cut out of the signal; the names are those of cutSnippets.m, durations in ms, distances in um.

    `most` snippets of a channel, of itself and the channels `within` a distance, or so many on either side, `beside`,
    where positions are not known; `raw`: of the samples as they are.
    """

    before: float = 1.0
    after: float = 2.0
    most: int = 100
    within: float = 100.0
    beside: int = 4
    raw: bool = False

    def check(self, rate: float | None) -> None:
        """Raise ValueError for options that are wrong, or that need a rate which is not known."""
        for name in ("before", "after", "within"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} {getattr(self, name):g} is not a number from 0 on")
        if not self.after:
            raise ValueError("after is 0 ms: a snippet begins before its peak, and has that at least")
        if rate is None:
            raise ValueError("before and after in ms need the sampling rate, which is not known; set sampling_rate_hz")
        for name, least in (("most", 1), ("beside", 0)):
            if getattr(self, name) < least or getattr(self, name) != int(getattr(self, name)):
                raise ValueError(f"{name} {getattr(self, name):g} is not a whole number from {least} on")

    def signal(self, aggregate: AggregateFile) -> Signal:
        """Return the signal of a group; that of few samples here and there, if they are many in all."""
        signal = super().signal(aggregate)
        return replace(signal, low=None, high=None, labels=()) if self.raw else replace(signal, has_short_hops=True)


class _Window(NamedTuple):
    """Samples of a snippet before its peak, and from the peak on."""

    before: int
    after: int

    @property
    def samples(self) -> int:
        return self.before + self.after


class _Taken(NamedTuple):
    """Snippets by their first samples: `channels` are places among those of the signal, `numbers` count in each."""

    first_samples: np.ndarray
    channels: np.ndarray
    numbers: np.ndarray


def cut_snippets(
    aggregate_file: str, events_file: str, snippets_file: str, summary_file: str, *options: object
) -> None:
    """Write snippets of events, as cutSnippets.m does.

    `snippets_file` (.npy, float32): a row of samples for each channel of a snippet, in the order of channel of the
    event, snippet, and channel, the event's own first. `summary_file` (JSON): `rows`, an object per channel that has
    snippets, with channel, `neighbours` (itself first), `first` (its first row), `count` of its snippets, and how many
    events were `left_out`, too near an end of a stretch; `left_out` of all channels. Events of channels that are not
    among those of the signal are none. Of more than `most`, event k * (n - 1) / (most - 1) of n, rounded half up, is
    taken for each k from 0 to most - 1. `options` are names and values in turn; see SnippetOptions. Raises ValueError
    for options that are wrong, and what read_aggregate() and blocks() raise.
    """
    chosen, given = options_of(SnippetOptions, options)
    aggregate = read_aggregate(aggregate_file)
    rate, most = aggregate.sampling_rate_hz, int(chosen.most)
    chosen.check(rate)
    signal = chosen.signal(aggregate)
    window = _Window(samples_of(chosen.before, rate), samples_of(chosen.after, rate))
    events = np.load(events_file, mmap_mode="r")
    if len(events) and not 0 <= events[:, 1].min() <= events[:, 1].max() < aggregate.channels:
        raise ValueError(f"{events_file} has events of channels that {aggregate_file} does not have")
    counts, left_out = _count(events, signal, window)
    taken = _take(events, signal, window, counts, most)
    near = _neighbours(signal, chosen)
    listed, first_rows = _listed(signal, near, np.minimum(counts, most).tolist(), left_out.tolist())
    _write(snippets_file, signal, window, taken, near, first_rows)
    summary = {
        "rows": listed,
        "left_out": int(left_out.sum()),
        "before_samples": window.before,
        "after_samples": window.after,
        "sampling_rate_hz": rate,
        "raw": bool(chosen.raw),
        "parameters": given,
    }
    Path(summary_file).write_text(json.dumps(summary, default=plain) + "\n", encoding="utf-8")


def _listed(
    signal: Signal, near: Sequence[Sequence[int]], counts: Sequence[int], left_out: Sequence[int]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return what the summary says of the channels, and the first row of each place of the signal; last, of all."""
    first_rows, row, listed = np.zeros(len(near) + 1, np.int64), 0, []
    for place in np.argsort(signal.channels).tolist():
        first_rows[place] = row
        if counts[place]:
            channels = [signal.channels[one] for one in near[place]]
            said = {"count": counts[place], "left_out": left_out[place]}
            listed.append({"channel": channels[0], "neighbours": channels, "first": row, **said})
        row += counts[place] * len(near[place])
    first_rows[-1] = row
    return listed, first_rows


def _neighbours(signal: Signal, options: SnippetOptions) -> list[list[int]]:
    """Return the neighbours of each channel of a signal, itself first, as places among them."""
    described = signal.aggregate.content["channels"]
    known = [{}] * signal.aggregate.channels if isinstance(described, int) else described
    near = neighbours(known, signal.channels, options.within, int(options.beside))
    places = {channel: place for place, channel in enumerate(signal.channels)}
    return [[places[one] for one in near[channel]] for channel in signal.channels]


def _on_channels(
    events: np.ndarray, signal: Signal, window: _Window
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield of the events on channels of a signal, some at a time: the channel's place, first sample, and is_whole."""
    places = np.full(signal.aggregate.channels, -1)
    places[list(signal.channels)] = range(len(signal.channels))
    begins, ends = np.array(signal.stretches, np.int64).T
    column = _PEAK if events.shape[1] > _PEAK else 0
    for row in range(0, len(events), _BLOCK_ROWS):
        block = events[row : row + _BLOCK_ROWS]
        channels, peaks = places[block[:, 1]], block[:, column]
        peaks, channels = peaks[channels >= 0], channels[channels >= 0]
        stretch = np.searchsorted(begins, peaks, side="right") - 1
        is_whole = (peaks - window.before >= begins[stretch]) & (peaks + window.after <= ends[stretch])
        yield channels, peaks - window.before, is_whole


def _count(events: np.ndarray, signal: Signal, window: _Window) -> tuple[np.ndarray, np.ndarray]:
    """Return how many events each channel has with a whole window around them, and how many others."""
    counts, left_out = np.zeros((2, len(signal.channels)), np.int64)
    for channels, _, is_whole in _on_channels(events, signal, window):
        counts += np.bincount(channels[is_whole], minlength=len(counts))
        left_out += np.bincount(channels[~is_whole], minlength=len(counts))
    return counts, left_out


def _take(events: np.ndarray, signal: Signal, window: _Window, counts: np.ndarray, most: int) -> _Taken:
    """Return the snippets of at most `most` events of each channel, evenly spaced, in the order of their samples."""
    seen, found = np.zeros(len(counts), np.int64), []
    for channels, first_samples, is_whole in _on_channels(events, signal, window):
        channels, first_samples = channels[is_whole], first_samples[is_whole]
        # Of each event the place among those of its channel.
        order = np.argsort(channels, kind="stable")
        of_block = np.bincount(channels, minlength=len(counts))
        begins = np.cumsum(of_block) - of_block
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order)) - begins[channels[order]] + seen[channels[order]]
        seen += of_block
        numbers, is_taken = _evenly_spaced(places, counts[channels], most)
        found.append(np.array([first_samples[is_taken], channels[is_taken], numbers[is_taken]], np.int64))
    joined = np.concatenate([np.empty((3, 0), np.int64), *found], axis=1)
    return _Taken(*joined[:, np.argsort(joined[0], kind="stable")])


def _evenly_spaced(places: np.ndarray, counts: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which number each event would have among `most` of so many, by its place among them, and whether it has.

    All in whole numbers, rounded half up.
    """
    steps, last = max(most - 1, 1), np.maximum(counts - 1, 1)
    nearest = (2 * places * (most - 1) + last) // (2 * last)
    is_taken = (2 * nearest * (counts - 1) + steps) // (2 * steps) == places
    return np.where(counts <= most, places, nearest), is_taken | (counts <= most)


def _write(
    path: str, signal: Signal, window: _Window, taken: _Taken, near: Sequence[Sequence[int]], first_rows: np.ndarray
) -> None:
    """Write snippets as they are cut: where the rows of each lie is known."""
    row_bytes, rows = 4 * window.samples, int(first_rows[-1])
    with Path(path).open("wb") as file, np.errstate(over="ignore"):
        file.write(array_header("<f4", rows, window.samples))
        file.truncate(HEADER_BYTES + rows * row_bytes)
        for number, values in _cut(signal, taken.first_samples, window.samples):
            channels = near[taken.channels[number]]
            row = first_rows[taken.channels[number]] + taken.numbers[number] * len(channels)
            file.seek(HEADER_BYTES + int(row) * row_bytes)
            file.write(values[channels].astype("<f4").tobytes())


def _cut(signal: Signal, first_samples: np.ndarray, length: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of each snippet, and all channels of it: (channels, length). Each hop is filtered once."""
    for first, last in _runs(signal, first_samples, length):
        number, held, place = first, np.empty((len(signal.channels), 0), signal.dtype), int(first_samples[first])
        for begin, piece in signal.pieces(place, int(first_samples[last - 1]) + length):
            # A snippet may begin in a piece and end in one of the next.
            held = np.concatenate([held, piece], axis=1) if held.shape[1] else piece
            place = begin + piece.shape[1] - held.shape[1]
            while number < last and first_samples[number] + length <= place + held.shape[1]:
                start = int(first_samples[number]) - place
                yield number, held[:, start : start + length]
                number += 1
            if number < last:
                held = held[:, max(0, int(first_samples[number]) - place) :]


def _runs(signal: Signal, first_samples: np.ndarray, length: int) -> Iterator[tuple[int, int]]:
    """Yield first and last number (exclusive) of snippets between which there is no hop that need not be filtered."""
    begins = np.array(signal.stretches, np.int64)[:, 0]
    stretch = np.searchsorted(begins, first_samples, side="right") - 1
    within = first_samples - begins[stretch]
    first_hops, last_hops = within // signal.hop, (within + length - 1) // signal.hop
    is_apart = (stretch[1:] != stretch[:-1]) | (first_hops[1:] > last_hops[:-1])
    places = [0, *(np.flatnonzero(is_apart) + 1).tolist(), len(first_samples)]
    yield from pairwise(places) if len(first_samples) else ()
