"""The clocks of streams on that of a reference, by aligned.json of their session where it is there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuroluigi.provenance.files import read_json
from neuroluigi.results.recorded import recorded_results
from neuroluigi.steps.tasks import SESSIONS

_FILE = "aligned.json"
_NEEDED = frozenset({"clock", "counters", "seconds", "before", "after"})

# From counts of a clock to seconds since the first sample of the session on the reference.
ToSeconds = Callable[[np.ndarray], np.ndarray]


def clocks_of(layout: Mapping[str, Any], results: Path) -> list[ToSeconds]:
    """Return the map of the clock of each recording of a group, by its aggregate.json; [] where not all are aligned."""
    rows = layout["recordings"]
    if not all(row.get("clock") and row.get("start_sample") is not None for row in rows):
        return []
    known: dict[tuple[str, str], ToSeconds] = {}
    for session in {row["session"] for row in rows}:
        for stream in _streams(results / SESSIONS / session):
            known[session, stream["clock"]] = _to_seconds(stream)
    asked = [(row["session"], row["clock"]) for row in rows]
    return [known[one] for one in asked] if all(one in known for one in asked) else []


def _streams(folder: Path) -> list[Mapping[str, Any]]:
    """Return what the result in the folder of a session says of each stream; [] for a file that is no result."""
    path = folder / _FILE
    if not path.is_file() or not any(path in one.outputs for one in recorded_results(folder)):
        return []
    streams = (read_json(path) or {}).get("streams")
    listed = [one for one in streams if isinstance(one, dict)] if isinstance(streams, list) else []
    return [one for one in listed if one.keys() >= _NEEDED and one["counters"]]


def _to_seconds(stream: Mapping[str, Any]) -> ToSeconds:
    counters, seconds = np.array(stream["counters"], float), np.array(stream["seconds"], float)

    def to_seconds(counts: np.ndarray) -> np.ndarray:
        outside = stream["before"] * np.minimum(counts - counters[0], 0)
        outside = outside + stream["after"] * np.maximum(counts - counters[-1], 0)
        return np.interp(counts, counters, seconds) + outside

    return to_seconds
