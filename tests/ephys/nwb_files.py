"""Groups of a session, and NWB files of them, for tests of what writes their parts."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from neuroluigi.ephys.nwb_file import write
from neuroluigi.ephys.nwb_group import SessionGroup, session_group
from neuroluigi.recordings.sample_times import SampleTimes
from neuroluigi.signals.aggregate import AggregateFile, SamplePart

RATE = 1000.0


def channel(name: str, kind: str = "ap", scale: float | None = 0.5, unit: str = "uV", **more) -> dict[str, Any]:
    known = {"scale": scale, "unit": unit} if scale is not None else {}
    return {"name": name, "kind": kind, **known, **more}


def group_of(
    channels: list[dict],
    lengths: tuple[int, ...] = (50,),
    sessions: tuple[str, ...] = ("s",),
    label: str = "",
    gaps: tuple[dict, ...] = (),
    maps: Any = None,
    **columns: str,
) -> SessionGroup:
    """Return a group with recordings of these lengths, each of a session (the last one for the rest)."""
    firsts = np.cumsum((0, *lengths)).tolist()
    rows = [
        {
            "session": sessions[min(n, len(sessions) - 1)],
            "index": n,
            "path": f"rec_{n}.bin",
            "first_sample": firsts[n],
            "samples": length,
            "start_sample": firsts[n],
            "clock": "c",
        }
        for n, length in enumerate(lengths)
    ]
    content = {"channels": channels, "recordings": rows, "gaps": gaps, "sampling_rate_hz": RATE, "dtype": "int16"}
    recordings = [
        SimpleNamespace(session=row["session"], columns=columns, recorded=None, path=row["path"]) for row in rows
    ]
    group: Any = SimpleNamespace(key=f"g{label}", recordings=recordings, values={})
    return session_group(sessions[0], group, label, content, SampleTimes(content, maps))


def aggregate_of(group: SessionGroup, samples: np.ndarray, folder: Path) -> AggregateFile:
    """Return the samples of a group, (samples, channels), in a file."""
    path = folder / "samples.bin"
    path.write_bytes(np.ascontiguousarray(samples, "<i2").tobytes())
    kinds = tuple(one["kind"] for one in group.channels)
    part = SamplePart(str(path), 0, 0, len(samples))
    return AggregateFile(
        *(str(path), "int16", len(kinds), kinds, len(samples), (0,), RATE, (part,)), content=group.content
    )


def written(path: Path, fill: Callable[[Any], object]) -> Path:
    """Write an NWB file with what `fill` adds to it."""
    from pynwb import NWBFile

    start = datetime(2026, 1, 31, 14, 30, tzinfo=timezone.utc)
    known = {"session_start_time": start, "file_create_date": start, "session_description": "d"}
    file = NWBFile(identifier="7c6f4a4e-8b7e-5a0b-9d0f-0c1b5f5a1d11", **known)
    fill(file)
    write(file, path)
    return path
