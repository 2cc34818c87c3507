"""Filtered signals as files, for programs that read samples, such as sorters: as writeFiltered.m writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.signal_options import SignalOptions, options_of

DTYPES = ("float32", "int16")


@dataclass(frozen=True)
class FilteredOptions(SignalOptions):
    """Which signal, and the dtype of the file; the names are those of writeFiltered.m."""

    dtype: str = "float32"

    def check(self) -> None:
        """Raise ValueError for a dtype that is not one of these."""
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype {self.dtype!r} is neither float32 nor int16")


def write_filtered(aggregate_file: str, data_file: str, *options: object) -> None:
    """Write the filtered signal of a group, as writeFiltered.m does: little-endian, channels interleaved, in counts.

    int16 is rounded half up and clipped, and has 0 where there is no number. `options` are names and values in turn;
    see FilteredOptions. Raises ValueError for options that are wrong, and what read_aggregate() and blocks() raise.
    """
    chosen, _ = options_of(FilteredOptions, options)
    chosen.check()
    signal = chosen.signal(read_aggregate(aggregate_file))
    with Path(data_file).open("wb") as file:
        for _, piece in signal.pieces():
            file.write(sample_bytes(piece, chosen.dtype))


def sample_bytes(piece: np.ndarray, dtype: str) -> bytes:
    """Return samples (channels, samples) as bytes of a file of dtype float32 or int16."""
    if dtype == "float32":
        with np.errstate(over="ignore"):
            return piece.astype("<f4").T.tobytes()
    rounded = piece + 0.5
    np.floor(rounded, out=rounded)
    limits = np.iinfo(np.int16)
    np.clip(rounded, limits.min, limits.max, out=rounded)
    if np.isnan(rounded.sum()):
        rounded[np.isnan(rounded)] = 0
    return rounded.astype("<i2").T.tobytes()
