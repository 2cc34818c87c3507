"""The changes of digital lines by their definition, sample by sample, and words to find them in."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def lines_by_definition(
    data: np.ndarray,
    segments: Sequence[int] = (0,),
    words: Sequence[int] = (0,),
    bits: Sequence[int] | None = None,
    settle: int = 1,
    width: int | None = None,
    field: tuple[int, int] | None = None,
) -> list[list[int]]:
    """Return the rows (sample, channel, bit, value) of words (samples, channels); `width` in samples."""
    of_bits = [(bit, 1) for bit in (range(8 * data.dtype.itemsize) if bits is None else bits)]
    rows = []
    for begin, end in zip(segments, [*segments[1:], len(data)], strict=True):
        for channel in words:
            for bit, count in [field] if field else of_bits:
                values = [(int(word) >> bit) % 2**count for word in data[begin:end, channel]]
                rows += [[begin + at, channel, bit, value] for at, value in _changes(values, settle, width)]
    return sorted(rows)


def _changes(values: list[int], settle: int, width: int | None) -> list[tuple[int, int]]:
    changes, state = [], values[0]
    for at, value in enumerate(values):
        # The first of so many equal ones, all of which have to be there.
        is_first = at == 0 or values[at - 1] != value
        if value != state and is_first and values[at : at + settle] == [value] * settle:
            changes.append((at, value))
            state = value
    if width is None:
        return changes
    if changes and not changes[0][1]:
        changes = changes[1:]
    pulses = zip(changes[::2], changes[1::2], strict=False)
    return [one for rise, fall in pulses if abs(fall[0] - rise[0] - width) <= 0.2 * width for one in (rise, fall)]


def runs_of_words(seed: int, samples: int, channels: int, dtype: str) -> np.ndarray:
    """Return words (samples, channels) whose bits change now and then, some of them at once, in runs of 1 to 30."""
    random, size = np.random.default_rng(seed), 8 * np.dtype(dtype).itemsize
    data = np.zeros((samples, channels), f"u{size // 8}")
    for channel in range(channels):
        for bit in random.choice(size, min(size, 5), replace=False):
            lengths = random.integers(1, random.choice([2, 6, 30]) + 1, samples)
            values = np.repeat(np.arange(samples) % 2, lengths)[:samples]
            data[:, channel] |= values.astype(data.dtype) << data.dtype.type(bit)
    return data.view(dtype)


def read_lines(folder: Path, name: str = "lines") -> tuple[list[list[int]], dict]:
    """Return the rows and the summary of lines, which have the form that they should."""
    rows, path = np.load(folder / f"{name}.npy", mmap_mode="r"), folder / f"{name}.npy"
    assert rows.dtype == np.dtype("<i8") and rows.shape[1:] == (4,) and rows.flags.c_contiguous
    assert path.stat().st_size == 128 + 32 * len(rows)
    return rows.tolist(), json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
