"""The NumPy functions for matlab/*.m: same arguments, same files, for machines without an engine.

Aggregates are the same to the byte, numbers to the last bit wherever the arithmetic is IEEE 754: sums are taken in the
same order.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.blocks import blocks, by_halves, extreme

_BLOCK_BYTES = 1 << 20
# What the system copies in one call, during which no signal is handled: short on a slow disk too.
_SYSTEM_BLOCK_BYTES = 1 << 24


def concatenate_files(
    input_files: Sequence[str], output_file: str, header_bytes: Sequence[int], data_bytes: Sequence[int]
) -> None:
    """Write the data of several files, one after the other, into one, as concatenateFiles.m does.

    `header_bytes` and `data_bytes`: of each file, the bytes to skip and the bytes to copy after them. Raises ValueError
    for a file that is shorter, and OSError.
    """
    # Without buffers, which would not know of what the system copies.
    with Path(output_file).open("wb", buffering=0) as output:
        for name, header, size in zip(input_files, header_bytes, data_bytes, strict=True):
            with Path(name).open("rb", buffering=0) as file:
                file.seek(header)
                copied = _copy_by_system(file, output, size)
                # A file of which the system says that it is at its end, such as one of /proc, may have more.
                copied += _copy_by_blocks(file, output, size - copied)
            if copied < size:
                raise ValueError(f"{name} ended after {copied} of {size} bytes of data")


def _copy_by_system(file: io.FileIO, output: io.FileIO, size: int) -> int:
    """Append up to `size` bytes of a file as far as the system does that by itself; return how many it copied.

    Its bytes don't pass through this process, and on some disks (XFS, Btrfs) both files share them. What the system
    refuses, and why, shows when the rest is read and written.
    """
    left = size
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):
            while count := os.copy_file_range(file.fileno(), output.fileno(), min(_SYSTEM_BLOCK_BYTES, left)):
                left -= count
    return size - left


def _copy_by_blocks(file: io.FileIO, output: io.FileIO, size: int) -> int:
    """Append up to `size` bytes of a file by reading and writing them; return how many there were. Raises OSError."""
    left = size
    while left and (block := file.read(min(_BLOCK_BYTES, left))):
        unwritten = memoryview(block)
        while unwritten:
            unwritten = unwritten[output.write(unwritten) :]
        left -= len(block)
    return size - left


def compute_stats(aggregate_file: str, stats_file: str) -> None:
    """Write count, min, max, mean and std (n - 1) of each channel as JSON, as computeStats.m does; NaN is left out.

    Each but count is a list with a number per channel, in raw counts; null is NaN, "Infinity" and "-Infinity" are text.
    Digital channels have no mean and std: their values are words of bits.
    One pass; blocks are merged as in Chan, Golub and LeVeque (1983), each summed from an origin near the mean so far.
    Raises ValueError for an aggregate without samples, and what read_aggregate() and blocks() raise.
    """
    aggregate = read_aggregate(aggregate_file)
    channels, is_whole = aggregate.channels, not aggregate.dtype.startswith("float")
    count = 0
    lowest = highest = np.full(channels, np.nan)
    valid, total, center, squares = np.zeros((4, channels))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for block in blocks(aggregate):
            block = block.astype(float)
            count += len(block)
            lowest = np.fmin(lowest, extreme(np.fmin, block))
            highest = np.fmax(highest, extreme(np.fmax, block))
            n = np.full(channels, len(block))
            is_missing = np.False_
            if not is_whole:
                is_missing = np.isnan(block)
                n -= is_missing.sum(axis=0)
                block[is_missing] = 0
            origin = center
            if not valid.all():
                origin = np.where(valid, center, by_halves(np.add, block) / np.maximum(n, 1))
            origin = np.where(np.isfinite(origin), origin, 0)
            if is_whole:
                origin = np.floor(origin + 0.5)
            deviation = block - origin
            deviation[is_missing] = 0
            shift = by_halves(np.add, deviation)
            block_squares = by_halves(np.add, deviation * deviation) - shift * shift / np.maximum(n, 1)
            total = total + n * origin + shift
            shift = origin + shift / np.maximum(n, 1) - center
            valid = valid + n
            weight = n / np.maximum(valid, 1)
            squares = squares + block_squares + shift * shift * (valid - n) * weight
            center = center + shift * weight
        if not count:
            raise ValueError(f"{aggregate_file} has no samples")
        mean = total / valid
        squares[squares < 0] = 0  # what rounding leaves of equal samples
        std = np.where(valid < 2, np.nan, np.sqrt(squares / (valid - 1)))
    is_digital = np.array(aggregate.kinds) == "digital"
    mean[is_digital] = std[is_digital] = np.nan
    # + 0 makes 0 of -0, which fmin and fmax take for equal.
    lists = ", ".join(
        f'"{name}": [{", ".join(map(_number_text, values))}]'
        for name, values in (("min", lowest + 0), ("max", highest + 0), ("mean", mean), ("std", std))
    )
    Path(stats_file).write_bytes(f'{{"count": {count}, {lists}}}\n'.encode())


def _number_text(value: float) -> str:
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    return f"{value:.17g}"
