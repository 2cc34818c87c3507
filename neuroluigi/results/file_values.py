"""The values of a group's files for tables: a cell per channel of JSON files, and of arrays of events their counts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from neuroluigi.provenance.files import only_regular, read_bytes, read_json
from neuroluigi.results.event_array import EDGES, EventArray
from neuroluigi.results.output import Cell
from neuroluigi.results.own_files import OwnFile
from neuroluigi.results.physical import Measure, in_units, resolve_filtered
from neuroluigi.steps.returned import as_columns


def read_group(
    files: Iterable[OwnFile], measures: Sequence[Measure]
) -> tuple[dict[tuple[str, str], list[Cell]], list[tuple[str, str]], list[str]]:
    """Return {(file, name): a cell per channel}, (file, reason) of what was left out, and files that can't be read."""
    values: dict[tuple[str, str], list[Cell]] = {}
    problems, damaged, channels = [], [], len(measures)
    for one in files:
        path = one.path
        found: Mapping[str, list[Cell]]
        try:
            if path.suffix == ".json":
                content = _load_json(path)
                found, reasons = _flat_values(_shown(as_columns(content, path.stem), one.shown), channels)
                found = in_units(found, resolve_filtered(one.in_counts, content), measures)
            else:
                found, reasons = _event_counts(path, channels)
        except FileNotFoundError:
            # Named by a record, and gone.
            continue
        except (OSError, ValueError, RecursionError) as error:
            problems.append((path.name, f"can't be read: {error}"))
            damaged.append(path.name)
        else:
            problems += [(path.name, reason) for reason in reasons]
            values.update({(path.name, name): cells for name, cells in found.items()})
    return values, problems, damaged


def _load_json(path: Path) -> object:
    """Read JSON; NaN, which is none, becomes None, and Infinity the text that stats.json has for it."""
    return json.loads(
        read_bytes(path),
        parse_constant=lambda name: None if name == "NaN" else name,
        # One that is too large for a float stays as it is written.
        parse_float=lambda text: value if math.isfinite(value := float(text)) else text,
    )


def _shown(content: object, shown: Sequence[str] | None) -> object:
    """Return the values that tables show, of a target that names them; else all."""
    if shown is None or not isinstance(content, dict):
        return content
    return {name: content[name] for name in shown if name in content}


def _flat_values(content: object, channels: int) -> tuple[dict[str, list[Cell]], list[str]]:
    """Return {name: a cell per channel} of a JSON object, and what was left out; nothing of a nested one."""
    values = content if isinstance(content, dict) else {}
    cells = [cell for value in values.values() for cell in (value if isinstance(value, list) else [value])]
    if any(isinstance(cell, (dict, list)) for cell in cells):
        return {}, []
    found, reasons = {}, []
    for name, value in values.items():
        if not isinstance(value, list):
            found[name] = [value] * channels
        elif len(value) == channels:
            found[name] = value
        else:
            reasons.append(f"{name} left out: its length is not that of the channels")
    return found, reasons


def _event_counts(path: Path, channels: int) -> tuple[dict[str, list[Cell]], list[str]]:
    """Return {stem: number of events of each channel}, and why it is left out; nothing of another array."""
    with open(path, "rb", opener=only_regular) as file:
        array = EventArray(file)
        if not array.is_events:
            return {}, []
        if counted := _counts_beside(path, channels, array.shape[0]):
            return {path.stem: counted}, []
        counts = np.zeros(channels, np.int64)
        for block in array.blocks():
            of_channel = block[:, 1]
            # Another array of so many columns, such as begins and ends.
            if of_channel.min() < 0 or of_channel.max() >= channels:
                what = f"left out: its second column has other numbers than those of {channels} channels"
                return {}, [what] if array.more_columns == EDGES else []
            counts += np.bincount(of_channel, minlength=channels)
    return {path.stem: list(counts.tolist())}, []


def _counts_beside(path: Path, channels: int, events: int) -> list[Cell]:
    """Return the counts that the JSON file of an array of events has, null for channels that were not looked at.

    Millions of events need not be read for them. [] where there are none, or they are not those of the array.
    """
    counts = (read_json(path.with_suffix(".json")) or {}).get("count")
    if not isinstance(counts, list) or len(counts) != channels:
        return []
    known = [one for one in counts if one is not None]
    return counts if all(type(one) is int for one in known) and sum(known) == events else []
