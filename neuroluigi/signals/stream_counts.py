"""Counts of a stream's clock: at samples of a concatenation, and at the changes of lines that a rig wrote."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# Tables are mapped into memory, and looked at so many rows at a time.
_BLOCK = 1 << 16


def counts_at(samples: np.ndarray, layout: Mapping[str, Any], clock: str) -> np.ndarray:
    """Return the counts at those of some samples of a group that are of recordings by a clock, in order.

    `layout` is the content of aggregate.json. Raises ValueError where it is unknown how many samples are missing within
    a recording.
    """
    found = [np.empty(0, np.int64)]
    for row in layout["recordings"]:
        if row.get("clock") == clock:
            first, end = row["first_sample"], row["first_sample"] + row["samples"]
            within = samples[(samples >= first) & (samples < end)]
            found.append(within - first + first_count(row) + _missing(within, layout, first, end))
    return np.concatenate(found)


def first_count(row: Mapping[str, Any]) -> int:
    """Return the count at the first kept sample of a recording, by its row in aggregate.json."""
    return row["start_sample"] + row.get("dropped_samples", 0)


def _missing(samples: np.ndarray, layout: Mapping[str, Any], first: int, end: int) -> np.ndarray:
    gaps = [gap for gap in layout.get("gaps", ()) if first < gap["sample"] < end]
    if any(gap["missing"] is None for gap in gaps):
        raise ValueError("the counter runs back within a recording, so which count a sample is at is unknown")
    before = np.append(0, np.cumsum([gap["missing"] for gap in gaps], dtype=np.int64))
    return before[np.searchsorted([gap["sample"] for gap in gaps], samples, side="right")]


def rises_in(events: np.ndarray, channel: int, bit: int | None) -> np.ndarray:
    """Return the samples of the rises of a bit in a table of lines, or of a channel in one of threshold crossings."""
    if bit is not None and events.shape[1] != 4:
        raise ValueError(f"pulses are bit {bit} of channel {channel}, but the table of events is not one of lines")
    # Of edges, each is a rise.
    wanted = [(1, channel), *([(2, bit), (3, 1)] if bit is not None else [(4, 1)] if events.shape[1] == 5 else [])]
    found = [np.empty(0, np.int64)]
    for first in range(0, len(events), _BLOCK):
        block = np.asarray(events[first : first + _BLOCK])
        found.append(block[np.all([block[:, column] == value for column, value in wanted], axis=0), 0])
    return np.concatenate(found)


def ttl_counts(states_file: str, counters_file: str, bit: int) -> np.ndarray:
    """Return the counts at the rises of a line in the files that a rig wrote; bit n - 1 is line n."""
    states, counters = (np.load(path, mmap_mode="r") for path in (states_file, counters_file))
    if states.ndim != 1 or states.shape != counters.shape:
        raise ValueError(f"{states_file} and {counters_file} have different numbers of changes; copy them again")
    found = [np.empty(0, np.int64)]
    for first in range(0, len(states), _BLOCK):
        is_rise = states[first : first + _BLOCK] == bit + 1
        found.append(np.asarray(counters[first : first + _BLOCK][is_rise], np.int64))
    return np.concatenate(found)
