"""The signal that steps work on: chosen channels, band-passed and referenced, a piece at a time.

Filtering is by FFT (overlap-save). Where its blocks begin is counted from the first sample of a stretch, so that a
sample has the same bits whichever piece it is read in. Nothing crosses a seam: the ends of a stretch are reflected.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile
from neuroluigi.signals.band_pass import taps_of
from neuroluigi.signals.blocks import BLOCK_VALUES, blocks

# A transform of at least so many samples, and four times the taps: the least time for a whole recording.
_SHORTEST_TRANSFORM = 4096
# Likewise, and twice the taps: the least time for a few samples here and there.
_SHORTEST_SHORT = 512
# What a transform makes of nothing is less than this part of the largest sample in it.
_ROUNDING = {"d": 2.0**-44, "f": 2.0**-21}
_EVERY = 64
# What is transformed at once stays in the processor's cache.
_CACHED_VALUES = 1 << 16


@dataclass(frozen=True)
class Signal:
    """Channels of a group as a step looks at them: from `low` to `high` Hz, less the median of their reference.

    `channels` are 0-based; `labels` has the number of the reference of each, 0 for none: a reference is the median over
    the channels that have its label, sample by sample, after the band-pass. `precision` is "double" or "single". With
    `has_short_hops` a few samples here and there take less time, and all of them more; both are the same but for the
    last bits.
    """

    aggregate: AggregateFile
    channels: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    labels: tuple[int, ...] = ()
    precision: str = "double"
    has_short_hops: bool = False

    @property
    def is_raw(self) -> bool:
        """Whether it is the samples as they are."""
        return self.low is None and self.high is None and not any(self.labels)

    @property
    def dtype(self) -> "np.dtype":
        """The dtype of its pieces, but for the order of bytes."""
        return np.dtype(self.aggregate.dtype if self.is_raw else self._kind)

    @functools.cached_property
    def taps(self) -> np.ndarray:
        """The taps of the band-pass, one of 1 where there is none."""
        if self.low is None and self.high is None:
            return np.ones(1)
        assert self.aggregate.sampling_rate_hz, "a band is checked before"
        return taps_of(self.low, self.high, self.aggregate.sampling_rate_hz)

    @functools.cached_property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """The first sample of each stretch without a seam, and the one after its last."""
        begins = sorted({0, *self.aggregate.segments})
        return tuple(zip(begins, [*begins[1:], self.aggregate.samples], strict=True))

    def short_stretches(self) -> int:
        """Return how many stretches have fewer samples than a reflection at their ends needs."""
        return sum(0 < end - begin <= len(self.taps) // 2 for begin, end in self.stretches)

    def pieces(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the signal from sample `first` up to `last`, by default all: the first sample of a piece, and it.

        A piece is (channels, samples), of one stretch: of the aggregate's dtype where it is the samples as they are,
        else float64, or float32 where that is asked for. It may be written to. Raises what blocks() raises.
        """
        for place, piece, _ in self.pieces_and_references(first, self.aggregate.samples if last is None else last):
            yield place, piece

    def pieces_and_references(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield what pieces() does, and what was taken off, (labels, samples), with a row of 0 for label 0."""
        for place, piece in self._unreferenced(first, last):
            references = np.zeros((1 + max(self.labels, default=0), piece.shape[1]), self._kind)
            for label, rows in self._referenced.items():
                references[label] = median_over_channels(piece[rows])
                # Infinity less infinity is no number.
                with np.errstate(invalid="ignore"):
                    piece[rows] -= references[label]
            yield place, piece, references

    @functools.cached_property
    def _referenced(self) -> dict[int, "slice | np.ndarray"]:
        """The rows that have each label but 0."""
        return {label: _rows(np.flatnonzero(np.array(self.labels) == label)) for label in sorted({*self.labels} - {0})}

    def _unreferenced(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        last = min(last, self.aggregate.samples)
        read = self._raw_pieces if self.is_raw else self._worked_out
        begins = [begin for begin, _ in self.stretches]
        for begin, end in self.stretches[max(0, bisect_right(begins, first) - 1) :]:
            if begin >= last:
                return
            if max(begin, first) < min(end, last):
                yield from read(max(begin, first), min(end, last), begin, end)

    def _raw_pieces(self, first: int, last: int, begin: int, end: int) -> Iterator[tuple[int, np.ndarray]]:
        picked = _rows(self.channels)
        for block in blocks(self.aggregate, first, last):
            yield first, block[:, picked].T
            first += len(block)

    def _worked_out(self, first: int, last: int, begin: int, end: int) -> Iterator[tuple[int, np.ndarray]]:
        hop, at_once = self.hop, self._hops_at_once
        hops = range((first - begin) // hop, -(-(last - begin) // hop))
        for number in hops[::at_once]:
            place = begin + number * hop
            count = min(at_once, hops.stop - number)
            stop = min(place + count * hop, end)
            piece = self._filtered(place, stop, count, begin, end)
            yield max(place, first), piece[:, max(0, first - place) : min(stop, last) - place]

    @functools.cached_property
    def _transform(self) -> int:
        """The samples of a transform, a power of two."""
        taps = len(self.taps)
        if self.has_short_hops:
            return max(_SHORTEST_SHORT, 1 << (2 * taps - 1).bit_length())
        return max(_SHORTEST_TRANSFORM, 1 << (4 * taps - 1).bit_length())

    @functools.cached_property
    def hop(self) -> int:
        """The samples that a transform filters, counted from the first one of a stretch."""
        return self._transform - len(self.taps) + 1

    @functools.cached_property
    def _hops_at_once(self) -> int:
        return max(1, 2 * BLOCK_VALUES // (self.hop * len(self.channels)))

    @functools.cached_property
    def _response(self) -> np.ndarray:
        return np.fft.rfft(self.taps, self._transform).astype(np.complex64 if self._kind == np.float32 else complex)

    @functools.cached_property
    def _kind(self) -> type[np.floating]:
        return np.float32 if self.precision == "single" else np.float64

    def _filtered(self, first: int, last: int, hops: int, begin: int, end: int) -> np.ndarray:
        """Return the filtered samples from `first`, where a hop begins, up to `last`, of a stretch: (channels, n)."""
        if len(self.taps) == 1:
            return self._read(first, last, begin, end, last - first)
        half, hop, transform = len(self.taps) // 2, self.hop, self._transform
        read = self._read(first - half, last + half, begin, end, hops * hop + 2 * half)
        is_lost = ~np.isfinite(read) if self.aggregate.dtype.startswith("float") else np.zeros(1, bool)
        lost = _spread(is_lost, half, last - first) if is_lost.any() else None
        windows = _windows(read, hops, hop, transform)
        filtered = np.empty((len(read), hops * hop), self._kind)
        by_hop = filtered.reshape(len(read), hops, hop)
        at_once = max(1, _CACHED_VALUES // (transform * hops))
        for row in range(0, len(read), at_once):
            some = slice(row, row + at_once)
            # Less its first sample, what is constant is 0 to the last bit, and so is what the filter makes of it.
            if lost is None:
                origin = windows[some, :, :1]
                window = windows[some] - origin
            else:
                origin, window = _less_first_number(windows[some], _windows(is_lost, hops, hop, transform)[some])
            window[:, -1, last - first + 2 * half - (hops - 1) * hop :] = 0
            spectrum = np.fft.rfft(window)
            spectrum *= self._response
            by_hop[some] = np.fft.irfft(spectrum, transform)[:, :, 2 * half :]
            _without_rounding(by_hop[some], window)
            if self.low is None:
                by_hop[some] += origin
        filtered = filtered[:, : last - first]
        if lost is not None:
            filtered[lost] = np.nan
        return filtered

    def _read(self, first: int, last: int, begin: int, end: int, length: int) -> np.ndarray:
        """Return samples of a stretch, (channels, length), reflected beyond its ends, and 0 from `last` on."""
        read = np.zeros((len(self.channels), length), self._kind)
        # What is reflected at the end may begin before what is read.
        low, high = max(first, begin), min(last, end)
        low_read = max(begin, min(low, 2 * end - 1 - last)) if last > end else low
        high_read = min(end, max(high, 2 * begin - first + 1)) if first < begin else high
        known = self._samples(low_read, high_read)
        read[:, low - first : high - first] = known[:, low - low_read : high - low_read]
        # What is infinite is lost, and what lies on the other side of it.
        with np.errstate(invalid="ignore", over="ignore"):
            if first < begin:
                steps = np.minimum(np.arange(begin - first, 0, -1), end - begin - 1)
                read[:, : begin - first] = 2 * known[:, :1] - known[:, steps]
            if last > end:
                steps = np.minimum(np.arange(1, last - end + 1), end - begin - 1)
                read[:, end - first : last - first] = 2 * known[:, -1:] - known[:, known.shape[1] - 1 - steps]
        return read

    def _samples(self, first: int, last: int) -> np.ndarray:
        read = np.empty((len(self.channels), last - first), self._kind)
        picked = _rows(self.channels)
        place = 0
        for block in blocks(self.aggregate, first, last):
            # In single precision, what is too large is infinite.
            with np.errstate(over="ignore"):
                read[:, place : place + len(block)] = block[:, picked].T
            place += len(block)
        return read


def median_over_channels(piece: np.ndarray) -> np.ndarray:
    """Return the median over the channels of each sample, NaN left out: (channels, samples) -> (samples,)."""
    # A copy, also of a single sample: in it the channels change their places.
    by_sample = piece.T.copy()
    with np.errstate(invalid="ignore"):
        return _nanmedian(by_sample) if np.isnan(by_sample.sum()) else median(by_sample)


def median(values: np.ndarray) -> np.ndarray:
    """Return the median along the last axis of values without NaN, which are in another order afterwards."""
    middle, is_odd = divmod(values.shape[-1], 2)
    # For one place NumPy takes a sixth of the time that it takes for two.
    values.partition(middle, axis=-1)
    found = values[..., middle]
    return found.copy() if is_odd else (values[..., :middle].max(axis=-1) + found) / 2


def _nanmedian(by_sample: np.ndarray) -> np.ndarray:
    """Return the median of each row without its NaN; NaN of a row that has nothing else."""
    by_sample.sort(axis=1)
    counts, rows = (~np.isnan(by_sample)).sum(axis=1), np.arange(len(by_sample))
    # NaN comes last.
    return (by_sample[rows, np.maximum(counts - 1, 0) // 2] + by_sample[rows, counts // 2]) / 2


def _windows(read: np.ndarray, hops: int, hop: int, length: int) -> np.ndarray:
    """Return views of so many samples each, one per hop: (channels, hops, length)."""
    rows, step = read.strides
    shape, strides = (len(read), hops, length), (rows, hop * step, step)
    return np.lib.stride_tricks.as_strided(read, shape, strides, writeable=False)


def _less_first_number(windows: np.ndarray, is_lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first sample of each window that is not lost, 0 where all are, and the windows less it.

    What is lost is 0 there, so that it is no step in what is constant.
    """
    firsts = np.argmin(is_lost, axis=2)[:, :, None]
    origin = np.take_along_axis(windows, firsts, axis=2)
    origin[~np.isfinite(origin)] = 0
    return origin, np.where(is_lost, 0, windows) - np.where(is_lost, 0, origin)


def _without_rounding(filtered: np.ndarray, windows: np.ndarray) -> None:
    """Have what is nothing but rounding be 0, so that a channel without noise, but with steps, has none.

    Both are (channels, hops, samples). Where not even one sample in 64 is that small, a few others may stay.
    """
    largest = np.maximum(windows.max(axis=2), -windows.min(axis=2))
    limits = (largest * _ROUNDING[filtered.dtype.char])[:, :, None]
    channels, hops = np.nonzero((np.abs(filtered[:, :, ::_EVERY]) <= limits).any(axis=2))
    for channel, hop in zip(channels.tolist(), hops.tolist(), strict=True):
        found = filtered[channel, hop]
        found[np.abs(found) <= limits[channel, hop]] = 0


def _spread(is_lost: np.ndarray, half: int, count: int) -> np.ndarray:
    """Return which of `count` outputs depend on an input that is lost, `half` on either side."""
    before = np.cumsum(is_lost, axis=1, dtype=np.int32)
    before = np.concatenate([np.zeros((len(before), 1), np.int32), before], axis=1)
    return before[:, 2 * half + 1 : 2 * half + 1 + count] > before[:, :count]


def _rows(numbers: "Sequence[int] | np.ndarray") -> "slice | np.ndarray":
    """Return what takes rows or columns out of an array: a slice, which copies nothing, where they are neighbours."""
    first, last = int(numbers[0]), int(numbers[-1])
    is_run = last - first + 1 == len(numbers) and bool(np.all(np.diff(numbers) == 1))
    return slice(first, last + 1) if is_run else np.asarray(numbers)
