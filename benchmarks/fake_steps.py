"""The steps of the fake pipeline as plain functions, an Octave per call: what other systems run in place of ours."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuroluigi import fake_samples
from neuroluigi.signals import plotting

M_FILES = Path(__file__).resolve().parent.parent / "matlab"
SESSIONS, PARITIES = tuple("abcde"), ("even", "odd")


def indices(parity: str) -> range:
    """Return the indices of the recordings of a group."""
    return range(PARITIES.index(parity), 4, 2)


def octave(code: str) -> None:
    """Run M-code in an Octave of its own."""
    subprocess.run(["octave-cli", "--norc", "--quiet", "--eval", f"addpath('{M_FILES}'); {code}"], check=True)


def make_recording(session: str, index: int, out: str) -> None:
    """Write a fake recording."""
    Path(out).write_bytes(fake_samples(session, index, 100))


def concatenate(recordings: Sequence[str], out: str) -> None:
    """Write aggregate.bin, and beside it aggregate.json."""
    files = ", ".join(f"'{path}'" for path in recordings)
    octave(f"concatenateFiles({{{files}}}, '{out}')")
    rows = [
        {"session": "", "index": Path(path).stem[4:], "first_sample": 100 * k, "samples": 100}
        for k, path in enumerate(recordings)
    ]
    layout = {"dtype": "uint8", "channels": 1, "recordings": rows, "segments": [0, 100], "excluded": []}
    Path(layout_of(out)).write_text(json.dumps(layout))


def layout_of(data: str) -> str:
    """Return the aggregate.json of an aggregate.bin."""
    return str(Path(data).with_suffix(".json"))


def compute_stats(data: str, out: str) -> None:
    """Write stats.json."""
    octave(f"computeStats('{layout_of(data)}', '{out}')")


def level(stats: str) -> float:
    """Return the level of an edge in raw counts."""
    read = json.loads(Path(stats).read_text())
    return read["min"][0] + 0.75 * (read["max"][0] - read["min"][0])


def find_edges(data: str, stats: str, out: str) -> None:
    """Write edges.npy."""
    octave(f"findRisingEdges('{layout_of(data)}', '{out}', {level(stats)})")


def plot(session: str, parity: str, data: str, stats: str, edges: str, out: str) -> None:
    """Write plot.png."""
    plotting.plot_group(
        Path(out),
        title=f"{session}-{parity}",
        aggregate_file=layout_of(data),
        edges=np.load(edges),
        levels=[level(stats)],
        threshold=0.75,
        made_by="octave",
    )
