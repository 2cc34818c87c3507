"""Raw samples, a block at a time: memory does not depend on the length of a file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

BLOCK_VALUES = 1 << 18


def blocks(data_file: str, dtype: str, channels: int) -> Iterator[np.ndarray]:
    """Yield the samples of a little-endian file in blocks, each (samples, channels) of the file's dtype.

    A block has about BLOCK_VALUES values. Raises ValueError where the file ends in the middle of a sample.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    block_values = max(1, BLOCK_VALUES // channels) * channels
    with Path(data_file).open("rb") as file:
        while data := file.read(block_values * kind.itemsize):
            if len(data) % (channels * kind.itemsize):
                raise ValueError(f"{data_file} ends in the middle of a sample of {channels} channels")
            yield np.frombuffer(data, dtype=kind).reshape(-1, channels)


def extreme(combine: np.ufunc, x: np.ndarray) -> np.ndarray:
    """Return the smallest (np.fmin) or largest (np.fmax) sample of each channel: (samples, channels) -> (channels,)."""
    return combine.reduce(x) if x.shape[1] == 1 else by_halves(combine, x)


def by_halves(combine: np.ufunc, x: np.ndarray) -> np.ndarray:
    """Combine all samples of each channel, halves with each other until one is left.

    (samples, channels) -> (channels,). For few channels many times faster than `combine.reduce`, and in an order that
    an M-function can keep.
    """
    while len(x) > 1:
        half = len(x) // 2
        combined = combine(x[:half], x[half : 2 * half])
        if len(x) % 2:
            combined[0] = combine(combined[0], x[-1])
        x = combined
    return x[0]
