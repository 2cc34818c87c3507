"""Aggregates for tests: an aggregate.json of an array, whose samples are in one file, or scattered over several."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np


def write_aggregate(folder: Path, data: np.ndarray, segments: Sequence[int] = (0,), **known) -> str:
    """Write samples (samples, channels) as aggregate.bin and what earlier releases wrote beside it; return the path.

    `known` are other fields of aggregate.json, and channels in place of their number.
    """
    _little_endian(data).tofile(folder / "aggregate.bin")
    rows = [{"session": "s", "index": 0, "path": "p", "first_sample": 0, "samples": len(data)}]
    return _save(folder, data, segments, {"recordings": rows, "excluded": [], **known})


def write_parts(
    folder: Path, data: np.ndarray, cuts: Sequence[int], files: int = 1, segments: Sequence[int] = (0,), **known
) -> str:
    """Write samples in parts that begin at `cuts`, in so many files in turn, with other bytes before and after each.

    Odd parts lie in the folder raw, which is a root, and the others beside aggregate.json.
    """
    (folder / "raw").mkdir(exist_ok=True)
    random, places, parts = np.random.default_rng(len(data)), [0, *cuts, len(data)], []
    for number, (first, last) in enumerate(pairwise(places)):
        name = f"part {number % files}.bin"
        where = {"root": "recordings"} if number % files % 2 else {}
        path = folder / ("raw" if where else "") / name
        with path.open("ab") as file:
            file.write(random.bytes(int(random.integers(0, 20))))
            row = {"path": name, "offset": file.tell(), "first_sample": first, "samples": last - first}
            file.write(_little_endian(data[first:last]).tobytes())
        parts.append({**where, "sha256": "", **row})
    for path in folder.rglob("part *.bin"):
        with path.open("ab") as file:
            file.write(b"the end")
    return _save(folder, data, segments, {"roots": {"recordings": "raw"}, "parts": parts, "recordings": [], **known})


def _save(folder: Path, data: np.ndarray, segments: Sequence[int], others: dict) -> str:
    content = {"dtype": data.dtype.name, "channels": data.shape[1], "segments": list(map(int, segments)), **others}
    path = folder / "aggregate.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return str(path)


def _little_endian(data: np.ndarray) -> np.ndarray:
    return data.astype(data.dtype.newbyteorder("<"))
