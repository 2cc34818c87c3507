"""Neighbours of a channel on its probe, or where positions are not known, in the order of the channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def neighbours(
    channels: Sequence[Mapping[str, Any]], chosen: Sequence[int], within_um: float = 100.0, beside: int = 4
) -> dict[int, list[int]]:
    """Return the neighbours of each of the chosen channels among them, the channel itself first, then in their order.

    `channels` are those of the group, with x, y (um) and shank as far as they are known; `chosen` are 0-based. A
    channel whose position is known has those of its shank no farther than `within_um`; any other has `beside` on either
    side.
    """
    positions = np.array([[_number(channels[one].get(name)) for name in ("x", "y")] for one in chosen]).reshape(-1, 2)
    # Whole um are compared exactly; a root would be rounded.
    most, shanks = float(within_um) ** 2, [channels[one].get("shank") or 0 for one in chosen]
    found = {}
    for row, channel in enumerate(chosen):
        if np.isnan(positions[row]).any():
            near: Sequence[int] = range(max(0, row - beside), min(len(chosen), row + beside + 1))
        else:
            squares = ((positions - positions[row]) ** 2).sum(axis=1)
            near = [one for one in np.flatnonzero(squares <= most).tolist() if shanks[one] == shanks[row]]
        found[channel] = [channel, *(chosen[one] for one in near if one != row)]
    return found


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def far_from_neighbours(
    channels: Sequence[Mapping[str, Any]], chosen: Sequence[int], noise: Sequence[float | None]
) -> set[int]:
    """Return the chosen channels whose noise is below a third or above three times the median of their neighbours'.

    `noise` has a value per channel of the group, None for none. Fewer than two neighbours say nothing.
    """
    found = set()
    for channel, near in neighbours(channels, chosen).items():
        own, others = noise[channel], [value for one in near[1:] if (value := noise[one]) is not None]
        if own is not None and len(others) > 1 and not 1 / 3 <= own / (float(np.median(others)) or np.nan) <= 3:
            found.add(channel)
    return found
