"""The clocks of streams on that of a reference, by aligned.json of their session where it is there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroluigi.provenance.files import read_json
from neuroluigi.recordings.sample_times import ClockMap
from neuroluigi.results.recorded import recorded_results
from neuroluigi.steps.tasks import SESSIONS

_FILE = "aligned.json"
_NEEDED = frozenset({"clock", "counters", "seconds", "before", "after"})


def clock_maps(layout: Mapping[str, Any], results: Path) -> dict[tuple[str, str], ClockMap]:
    """Return the maps of the clocks of a group's sessions, by session and clock; `layout` is its aggregate.json."""
    sessions = {row["session"] for row in layout["recordings"] if row.get("clock")}
    return {
        (session, stream["clock"]): ClockMap.of(stream)
        for session in sessions
        for stream in _streams(results / SESSIONS / session)
    }


def _streams(folder: Path) -> list[Mapping[str, Any]]:
    """Return what the result in the folder of a session says of each stream; [] for a file that is no result."""
    path = folder / _FILE
    if not path.is_file() or not any(path in one.outputs for one in recorded_results(folder)):
        return []
    streams = (read_json(path) or {}).get("streams")
    listed = [one for one in streams if isinstance(one, dict)] if isinstance(streams, list) else []
    return [one for one in listed if one.keys() >= _NEEDED and one["counters"]]
