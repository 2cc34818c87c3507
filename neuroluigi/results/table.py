"""A table of the numbers of all groups: a row per group and channel, filtered and sorted.

Plain functions over plain data. They read what is in the results folder; they need no engine and run nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroluigi.recordings.recording import Group, Recording
from neuroluigi.results.events import EventArray, result_files
from neuroluigi.results.output import Cell
from neuroluigi.results.query import QueryError, as_number, check_known, parse_condition

# Fields of a recording, from its table or from luigi.cfg; these columns come first.
_FIELDS = ("session", "index", "dtype", "channels", "sampling_rate_hz", "scale", "offset", "unit")

# Columns of the table that speak of the recordings that are left out.
_OF_EXCLUDED = ("use", "reason")

# As JSON writes a number, so that a subject 007 stays text.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Table:
    """A row {column: cell} per group and channel; a cell that is missing or None is blank.

    `described` are the columns that come from the recordings, `events` those that count events, `notes` are
    sentences on what was left out and why.
    """

    columns: list[str]
    described: list[str]
    rows: list[dict[str, Cell]]
    notes: list[str]
    events: Sequence[str] = ()


def collect_table(groups: Mapping[str, Group], root: Path) -> Table:
    """Read the results of all groups: columns group, what describes the recordings, channel (from 0), the results.

    Each JSON file of a group that holds nothing but numbers and texts, alone or in lists with one per channel, gives
    columns of its names; each .npy file of events (int64, (n, 2): sample, channel) gives the count per channel, named
    by its stem. A name that several files have gets the stem as a prefix (`stats.mean`); a column of the recordings
    that a result is named like is `recordings.<name>`.
    """
    problems: dict[tuple[str, str], list[str]] = {}
    results, channels = {}, {}
    for key, group in groups.items():
        channels[key] = next((r.channels for r in group.recordings if r.channels), 1)
        results[key], reasons = _read_group(root / key, channels[key])
        for problem in reasons:
            problems.setdefault(problem, []).append(key)
    titles = _titles({source: None for one in results.values() for source in one})
    taken = {"group", "channel", *titles.values()}
    described = {key: _describe(group) for key, group in groups.items()}
    renamed = {n: f"recordings.{n}" if n in taken else n for n in _names(described.values())}
    cells = _typed({key: {renamed[n]: cell for n, cell in one.items()} for key, one in described.items()})
    rows = [
        {
            "group": key,
            **cells[key],
            "channel": channel,
            **{titles[source]: cells[channel] for source, cells in results[key].items()},
        }
        for key in groups
        for channel in range(channels[key])
    ]
    columns = ["group", *renamed.values(), "channel", *titles.values()]
    notes = [
        f"{file} of {keys[0]}{f' and {len(keys) - 1} more groups' if keys[1:] else ''}: {reason}"
        for (file, reason), keys in problems.items()
    ]
    events = [title for (file, _), title in titles.items() if file.endswith(".npy")]
    notes += [] if titles else [f"no results yet in {root}"]
    return Table(columns, list(renamed.values()), rows, notes, events)


def _names(rows: Iterable[Mapping]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _describe(group: Group) -> dict[str, str]:
    """Return the columns of the group's recordings; values that differ between them are joined by |."""
    recordings = [_columns(recording) for recording in group.recordings]
    return {n: "|".join(dict.fromkeys(one.get(n, "") for one in recordings)) for n in _names(recordings)}


def _columns(recording: Recording) -> dict[str, str]:
    fields = {name: getattr(recording, name) for name in _FIELDS}
    known = {n: str(v).removesuffix(".0") for n, v in fields.items() if v is not None and v != ""}
    others = {n: v for n, v in recording.columns.items() if n not in known and n not in _OF_EXCLUDED}
    return {**known, **others}


def _typed(described: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Cell]]:
    """Make numbers of the columns that hold nothing else, and None of blank cells; a session stays text."""
    texts = {n for one in described.values() for n, cell in one.items() if cell and not _NUMBER.fullmatch(cell)}
    texts.add("session")
    return {
        key: {name: (cell or None) if name in texts else as_number(cell) for name, cell in one.items()}
        for key, one in described.items()
    }


def _titles(sources: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the column of each (name of a file, name in it)."""
    sources = list(sources)
    owners = Counter(["group", "channel", *(name for _, name in sources)])
    stems = {file: file.rpartition(".")[0] for file, _ in sources}
    return {(file, name): name if owners[name] == 1 else f"{stems[file]}.{name}" for file, name in sources}


def _read_group(folder: Path, channels: int) -> tuple[dict[tuple[str, str], list[Cell]], list[tuple[str, str]]]:
    """Return {(file, name): a cell per channel}, and (file, reason) for each that could not be read as one."""
    values: dict[tuple[str, str], list[Cell]] = {}
    problems = []
    for path in result_files(folder):
        found: Mapping[str, list[Cell]]
        try:
            if path.suffix == ".json":
                found, reasons = _flat_values(_load_json(path), channels)
                problems += [(path.name, reason) for reason in reasons]
            else:
                found = _event_counts(path, channels)
        except (OSError, ValueError) as error:
            problems.append((path.name, f"can't be read: {error}"))
        else:
            values.update({(path.name, name): cells for name, cells in found.items()})
    return values, problems


def _load_json(path: Path) -> object:
    """Read JSON; NaN, which is none, becomes None, and Infinity the text that stats.json has for it."""
    return json.loads(path.read_bytes(), parse_constant=lambda name: None if name == "NaN" else name)


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


def _event_counts(path: Path, channels: int) -> dict[str, list[Cell]]:
    """Return {stem: number of events of each channel}; nothing where the file is no array of events."""
    with path.open("rb") as file:
        array = EventArray(file)
        if not array.is_events:
            return {}
        counts = np.zeros(channels, np.int64)
        for block in array.blocks():
            of_channel = block[:, 1]
            # Another array of two columns, such as begins and ends.
            if of_channel.min() < 0 or of_channel.max() >= channels:
                raise ValueError(f"its second column has other numbers than those of {channels} channels")
            counts += np.bincount(of_channel, minlength=channels)
    return {path.stem: list(counts.tolist())}


def sort_rows(rows: Iterable[Mapping], names: Sequence[str]) -> list[Mapping]:
    """Sort by each of `names` in turn, downwards where it begins with -: numbers, then texts; blank cells last."""
    rows = list(rows)
    for name in reversed(names):
        rows = _sorted_by(rows, name.removeprefix("-"), name.startswith("-"))
    return rows


def _sorted_by(rows: Iterable[Mapping], column: str, is_down: bool) -> list[Mapping]:
    numbers: list[tuple[int | float, Mapping]] = []
    texts: list[Mapping] = []
    blank: list[Mapping] = []
    for row in rows:
        cell = row.get(column)
        number = as_number(cell)
        if number is not None:
            numbers.append((number, row))
        else:
            (blank if cell is None else texts).append(row)
    numbers.sort(key=lambda one: one[0], reverse=is_down)
    texts.sort(key=lambda row: row[column], reverse=is_down)
    return [*(row for _, row in numbers), *texts, *blank]


def select_rows(
    table: Table, where: Iterable[str] = (), sort: Sequence[str] = (), columns: Iterable[str] = ()
) -> tuple[list[str], list[tuple[Cell, ...]]]:
    """Return columns (by default all) and rows: those for which all of `where` holds, sorted. Raises QueryError."""
    try:
        conditions = [parse_condition(text, table.columns) for text in where]
        for name in sort:
            check_known("column", name.removeprefix("-"), table.columns)
        columns = [check_known("column", name, table.columns) for name in columns] or table.columns
    except QueryError as error:
        # What could not be read may be why there is no such column.
        raise QueryError("; ".join([str(error), *table.notes])) from error
    rows = sort_rows((row for row in table.rows if all(one.holds(row) for one in conditions)), sort)
    return columns, [tuple(row.get(name) for name in columns) for row in rows]
