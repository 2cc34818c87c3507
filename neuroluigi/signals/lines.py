"""Changes of the digital lines in words of bits: the NumPy function for findLines.m, same arguments, same files."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile, read_aggregate
from neuroluigi.signals.blocks import blocks
from neuroluigi.signals.line_changes import Line, OrderedRows

_NAMES = ("words", "bits", "settle", "width", "field", "names")


@dataclass(frozen=True)
class LineOptions:
    """What is looked for: see find_lines. `words` and `bits` are None for the default; `names` are () for none."""

    words: Sequence[int] | None = None
    bits: Sequence[int] | None = None
    settle: int = 1
    width: float | None = None
    field: Sequence[int] | None = None
    names: Sequence[str] = ()

    @classmethod
    def of_pairs(cls, pairs: Sequence[Any]) -> "LineOptions":
        """Return the options of name, value, name, value, ... Raises ValueError."""
        names = pairs[::2]
        if len(pairs) % 2 or not {*names} <= {*_NAMES} or len({*names}) < len(names):
            raise ValueError(f"the options are pairs of a name and a value, each name once: {', '.join(_NAMES)}")
        given = {
            name: value
            for name, value in zip(names, pairs[1::2], strict=True)
            if not (value is None or (isinstance(value, (list, tuple, str)) and not value))
        }
        options = cls(**given)
        options._check()
        return options

    def _check(self) -> None:
        if not (_is_whole(self.settle) and self.settle >= 1):
            raise ValueError(f"settle {self.settle}: settle is a whole number of samples, from 1")
        if self.width is not None and not 0 < self.width < math.inf:
            raise ValueError(f"width {self.width}: width is a time in ms, above 0")
        if self.bits is not None and (not all(map(_is_whole, self.bits)) or len({*self.bits}) < len(self.bits)):
            raise ValueError("bits are whole numbers, each once")
        if self.field is not None:
            if self.bits is not None or self.width is not None:
                raise ValueError("bits and width are of single bits: not both with field, of which each value counts")
            if len(self.field) != 2 or not all(map(_is_whole, self.field)) or self.field[0] < 0 or self.field[1] < 1:
                raise ValueError("field is the first bit, from 0, and the number of bits")
        if any(character < " " for name in self.names for character in name):
            raise ValueError("a name has a control character, such as the end of a line")

    def fields(self, all_bits: Iterable[int]) -> list[tuple[int, int]]:
        """Return (first bit, number of bits) of each line of a word that is looked at; `all_bits` is the default."""
        if self.field is not None:
            return [(int(self.field[0]), int(self.field[1]))]
        return [(int(bit), 1) for bit in sorted(all_bits if self.bits is None else self.bits)]

    def width_in_samples(self, rate: float | None, source: str) -> int | None:
        """Return the width in samples; None where there is none. Raises ValueError where no rate is known."""
        if self.width is None:
            return None
        if not rate:
            raise ValueError(f"{source} has no sampling rate, so a width in ms is no number of samples")
        return max(1, math.floor(self.width * rate / 1000 + 0.5))


def find_lines(aggregate_file: str, lines_file: str, summary_file: str, *options: Any) -> None:
    """Write the changes of digital lines, as findLines.m does; `options` are pairs of a name and a value.

    words: 1-based channels (default: the digital ones); bits: of each, from 0 (default: all); settle: the samples that
    a new value has to last, of which the first counts (1); width: ms, only pulses of that width, give or take a fifth;
    field: [first bit, number of bits], the changes of that value in place of those of each bit; names: one for each bit
    that is looked at, of the first word, then of the next, "" for none. None, or an empty list, is the default.

    `lines_file` is .npy, int64, (events, 4): 0-based sample, 0-based channel, bit, and 1 for a rise, 0 for a fall; of a
    field its first bit, and the new value. Sorted by sample, then channel, then bit; there is none at the first sample
    of a segment. `summary_file` is JSON: see summary_text. Raises ValueError, and what read_aggregate() and blocks()
    raise.
    """
    aggregate, asked = read_aggregate(aggregate_file), LineOptions.of_pairs(options)
    lines, initial = _lines_of(aggregate, asked), list[dict[str, Any]]()
    with Path(lines_file).open("wb") as output:
        rows = OrderedRows(output)
        if lines:
            _find(aggregate, lines, rows, initial)
        rows.close()
    width = asked.width_in_samples(aggregate.sampling_rate_hz, aggregate.path)
    Path(summary_file).write_bytes(summary_text("words", lines, asked, width, initial).encode())


def summary_text(
    source: str,
    lines: Sequence[Line],
    asked: LineOptions,
    width: int | None,
    initial: Sequence[dict[str, Any]],
    outside: Sequence[int] = (),
    repeated: int = 0,
) -> str:
    """Return what there is to say of lines, as JSON that M-code can write to the byte.

    `source` is words, or ttl (see ttl); `lines` has channel, bit, name, the number of rises and falls of each (of a
    field: bits and changes), and its value at the first sample; `initial` the bits that are high at the first sample of
    each stretch, or the value of a field; `outside` and `repeated` are those of ttl; `parameters` what was looked for,
    with width in samples.
    """
    names = asked.names or [""] * len(lines)
    if len(names) != len(lines):
        raise ValueError(f"there are {len(names)} names for {len(lines)} bits; give one for each, blank for none")
    described = [_described(*one) for one in zip(lines, names, strict=True)]
    parameters = {
        "words": list(dict.fromkeys(line.channel for line in lines)),
        "bits": sorted({line.bit for line in lines}),
        "settle": int(asked.settle),
        "width_samples": width,
        "field": None if asked.field is None else list(map(int, asked.field)),
    }
    content = {"source": source, "lines": described, "initial": initial, "outside": outside, "repeated": repeated}
    return json.dumps({**content, "parameters": parameters}, ensure_ascii=False) + "\n"


def _described(line: Line, name: str) -> dict[str, Any]:
    of_bit = {"channel": line.channel, "bit": line.bit}
    if line.bits > 1:
        return {**of_bit, "bits": line.bits, "name": name, "changes": line.rises + line.falls, "initial": line.initial}
    return {**of_bit, "name": name, "rises": line.rises, "falls": line.falls, "initial": line.initial}


def high_at(sample: int, channel: int, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return what `initial` of the summary says of the lines of a word at the first sample of a stretch."""
    if lines[0].bits > 1:
        return [{"sample": sample, "channel": channel, "value": lines[0].value}]
    bits = [line.bit for line in lines if line.value]
    return [{"sample": sample, "channel": channel, "bits": bits}] if bits else []


def _lines_of(aggregate: AggregateFile, asked: LineOptions) -> list[Line]:
    """Return the lines that are looked at, in the order of words and bits."""
    if aggregate.dtype.startswith("float"):
        raise ValueError(f"{aggregate.path} has samples of {aggregate.dtype}, which have no bits; words are integers")
    width = asked.width_in_samples(aggregate.sampling_rate_hz, aggregate.path)
    bits = 8 * np.dtype(aggregate.dtype).itemsize
    fields = asked.fields(range(bits))
    if any(bit < 0 or bit + count > bits for bit, count in fields):
        raise ValueError(f"the words of {aggregate.path} are of {aggregate.dtype}: their bits are 0 to {bits - 1}")
    return [Line(word, *one, int(asked.settle), width) for word in _words(aggregate, asked) for one in fields]


def _words(aggregate: AggregateFile, asked: LineOptions) -> list[int]:
    """Return the channels of the words, from 0."""
    if asked.words is None:
        if {*aggregate.kinds} == {"unknown"}:
            raise ValueError(f"{aggregate.path} does not say which of its channels are words of bits; name them: words")
        return [channel for channel, kind in enumerate(aggregate.kinds) if kind == "digital"]
    words = sorted({word - 1 for word in asked.words})
    if len(words) < len(asked.words) or not all(_is_whole(word) and 0 <= word < aggregate.channels for word in words):
        given = ", ".join(f"{word:g}" for word in asked.words)
        raise ValueError(
            f"words {given}: words are channels of {aggregate.path}, each once, counted from 1 to {aggregate.channels}"
        )
    return list(map(int, words))


def _find(aggregate: AggregateFile, lines: Sequence[Line], rows: OrderedRows, initial: list[dict[str, Any]]) -> None:
    unsigned = np.dtype(f"<u{np.dtype(aggregate.dtype).itemsize}")
    channels = dict.fromkeys(line.channel for line in lines)
    words = [_Word([line for line in lines if line.channel == channel]) for channel in channels]
    segments, first = sorted({0, *aggregate.segments}), 0
    for block in blocks(aggregate):
        end = first + len(block)
        seams = segments[bisect_left(segments, first) : bisect_left(segments, end)]
        for word in words:
            values = np.ascontiguousarray(block[:, word.channel]).view(unsigned)
            initial += word.take(values, first, seams, rows)
        rows.write(lines, end)
        first = end
    initial.sort(key=itemgetter("sample", "channel"))


class _Word:
    """The lines of a channel, and its value at the last sample that was taken."""

    def __init__(self, lines: Sequence[Line]):
        self.channel, self._lines, self._last = lines[0].channel, lines, 0

    def take(self, values: np.ndarray, first: int, seams: Sequence[int], rows: OrderedRows) -> list[dict[str, Any]]:
        """Take the values of a block from sample `first` on, in which stretches begin at the `seams`.

        The events go to `rows`; returned is what is high where a stretch begins.
        """
        changed = np.flatnonzero(values[1:] != values[:-1]) + 1
        if values[0] != self._last:
            changed = np.append(0, changed)
        flipped = values[changed] ^ values[changed - 1]
        if len(changed) and not changed[0]:
            flipped[0] = values[0] ^ self._last
        self._last, initial = values[-1], []
        begins = seams if seams and seams[0] == first else (first, *seams)
        for begin, end in pairwise((*begins, first + len(values))):
            low, high = np.searchsorted(changed, (begin - first, end - first))
            if begin in seams:
                for line in self._lines:
                    line.begin(begin, int(line.of(values[begin - first : begin - first + 1])[0]))
                initial += high_at(begin, self.channel, self._lines)
                low += int(low < high and changed[low] == begin - first)
            at = changed[low:high]
            self._advance(at + first, values[at], flipped[low:high], end, rows)
        return initial

    def _advance(
        self, samples: np.ndarray, values: np.ndarray, flipped: np.ndarray, end: int, rows: OrderedRows
    ) -> None:
        changed = int(np.bitwise_or.reduce(flipped))
        for line in self._lines:
            # Most of the bits of most words never change.
            if changed & line.mask or not line.is_settled:
                of_line = (flipped & flipped.dtype.type(line.mask)) != 0
                rows.add(line, *line.advance(samples[of_line], line.of(values[of_line]), end))


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()
