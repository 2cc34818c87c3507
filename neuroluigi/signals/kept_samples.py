"""Samples of a group between two places, in the units of their channels: memory is that of what is asked for."""

from collections.abc import Sequence

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile
from neuroluigi.signals.blocks import blocks
from neuroluigi.signals.shown_channels import COUNTS, described_channels


def units_of(aggregate: AggregateFile) -> list[tuple[float, float, str]]:
    """Return scale, offset and unit of each channel: physical = scale * count + offset; in counts where not known."""
    listed = zip(described_channels(aggregate), aggregate.kinds, strict=True)
    return [
        (one["scale"], one.get("offset", 0.0), one["unit"])
        if kind != "digital" and "scale" in one and "unit" in one
        else (1.0, 0.0, COUNTS)
        for one, kind in listed
    ]


def named_channels(aggregate: AggregateFile, chosen: Sequence[int | str] | None) -> list[int]:
    """Return the 0-based positions of channels that are given by position or name, in their order; by default all.

    Raises ValueError for one that is neither.
    """
    if chosen is None:
        return list(range(aggregate.channels))
    names = {name: n for n, one in enumerate(described_channels(aggregate)) if (name := one.get("name"))}
    return [_position(one, names, aggregate.channels) for one in chosen]


def _position(channel: int | str, names: dict[str, int], count: int) -> int:
    if isinstance(channel, str) and channel in names:
        return names[channel]
    # A whole number of NumPy too.
    if not isinstance(channel, str) and channel == int(channel) and 0 <= channel < count:
        return int(channel)
    known = f"; the names are {', '.join(names)}" if names else ""
    raise ValueError(f"there is no channel {channel!r}: positions are from 0 to {count - 1}{known}")


def checked_span(aggregate: AggregateFile, start: int, stop: int | None) -> tuple[int, int]:
    """Return first sample and end, exclusive, by default all; ValueError where there are no such samples."""
    stop = aggregate.samples if stop is None else stop
    if not 0 <= start <= stop <= aggregate.samples:
        raise ValueError(f"samples {start} to {stop}: the group has samples 0 to {aggregate.samples}")
    return int(start), int(stop)


def read_samples(
    aggregate: AggregateFile, start: int, stop: int, channels: Sequence[int], physical: bool = True
) -> np.ndarray:
    """Return samples (samples, channels) from `start` up to `stop`, of channels by their 0-based positions.

    They are float64 in the unit of each channel, see units_of(), or counts in the dtype of the files. Raises what
    blocks() does.
    """
    found = np.empty((stop - start, len(channels)), np.float64 if physical else np.dtype(aggregate.dtype))
    units = [units_of(aggregate)[one] for one in channels]
    scale, offset = (np.array([one[n] for one in units], float) for n in (0, 1))
    place = 0
    for block in blocks(aggregate, start, stop):
        part = found[place : place + len(block)]
        part[:] = block[:, channels]
        if physical:
            part *= scale
            part += offset
        place += len(block)
    return found
