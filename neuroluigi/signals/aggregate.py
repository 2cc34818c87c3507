"""aggregate.json as the functions read it: what the samples of a group are, and in which files they lie."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class SamplePart:
    """Where some samples of a group lie: a file, the byte of the first one, and how many there are.

    `first_sample` is its 0-based number in the group.
    """

    file: str
    offset: int
    first_sample: int
    samples: int


@dataclass(frozen=True)
class AggregateFile:
    """What an aggregate.json at `path` says; `content` is all of it.

    `dtype` and `kinds` ("ap", "digital", ..., or "unknown") are those of the `channels`. `segments` are the 0-based
    samples that have no predecessor; the `parts` have all samples in order. `bad` are channels, 0-based, that somebody
    said are.
    """

    path: str
    dtype: str
    channels: int
    kinds: tuple[str, ...]
    samples: int
    segments: tuple[int, ...]
    sampling_rate_hz: float | None
    parts: tuple[SamplePart, ...]
    content: Mapping[str, Any] = field(repr=False)
    bad: frozenset[int] = frozenset()

    @functools.cached_property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of all channels."""
        return np.dtype(self.dtype).itemsize * self.channels


def read_aggregate(path: str | os.PathLike[str], bad: Iterable[int] = ()) -> AggregateFile:
    """Return what an aggregate.json says; the files of its parts are there, and as long as it says.

    `bad` are channels, 0-based, that pictures leave out. Raises ValueError for a file that is no aggregate.json, and
    for a part that is shorter; OSError.
    """
    path = os.fspath(path)
    try:
        found = replace(_described(path, json.loads(Path(path).read_text(encoding="utf-8"))), bad=frozenset(bad))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no aggregate.json ({error!r}); make Aggregate again") from error
    ends: dict[str, int] = {}
    for part in found.parts:
        ends[part.file] = max(ends.get(part.file, 0), part.offset + part.samples * found.bytes_per_sample)
    for file, end in ends.items():
        if not Path(file).is_file():
            raise FileNotFoundError(f"there is no {file}, which {path} names; if it was moved, make Aggregate again")
        if Path(file).stat().st_size < end:
            raise too_short(file, path)
    return found


def too_short(file: str, path: str) -> ValueError:
    """Return the error of a part's file that ends before the samples that an aggregate.json names."""
    return ValueError(f"{file} ends before the samples that {path} names; if it was changed, make Aggregate again")


def _described(path: str, content: Mapping[str, Any]) -> AggregateFile:
    channels, parts = content["channels"], tuple(_parts(path, content))
    # A number, where no header says what each is.
    kinds = ["unknown"] * channels if isinstance(channels, int) else [one.get("kind", "unknown") for one in channels]
    return AggregateFile(
        path,
        dtype=np.dtype(content["dtype"]).name,
        channels=len(kinds),
        kinds=tuple(kinds),
        samples=sum(part.samples for part in parts),
        segments=tuple(content["segments"]),
        sampling_rate_hz=content.get("sampling_rate_hz"),
        parts=parts,
        content=content,
    )


def _parts(path: str, content: Mapping[str, Any]) -> Iterator[SamplePart]:
    rows = content.get("parts")
    if rows is None:
        # What earlier releases wrote: a copy of all samples, beside it.
        samples = sum(recording["samples"] for recording in content["recordings"])
        rows = [{"path": "aggregate.bin", "offset": 0, "samples": samples}]
    first_sample = 0
    for row in rows:
        root = content["roots"][row["root"]] if row.get("root") else ""
        file = str(Path(path).parent / root / row["path"])
        yield SamplePart(file, row["offset"], first_sample, row["samples"])
        first_sample += row["samples"]
