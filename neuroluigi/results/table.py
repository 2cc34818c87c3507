"""A table of the numbers of all groups: a row per group and channel, filtered and sorted.

Plain functions over plain data. They read what is in the results folder; they need no engine and run nothing. What the
table of recordings says is text, and is shown as it was written there.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroluigi.provenance.state import DAMAGED
from neuroluigi.recordings.groups import VARIANT_SIGN, split_row
from neuroluigi.recordings.recording import Group, Recording
from neuroluigi.results.file_values import read_group
from neuroluigi.results.output import Cell
from neuroluigi.results.own_files import OwnFile
from neuroluigi.results.physical import measures_of
from neuroluigi.results.query import QueryError, as_number, check_known, parse_condition
from neuroluigi.results.status import FAILED, sign_of

# Fields of a recording, from its table or from luigi.cfg; these columns come first.
_FIELDS = ("session", "index", "dtype", "channels", "sampling_rate_hz", "scale", "offset")

# What each channel has of its own.
_OF_CHANNEL = ("kind", "unit")

# Columns of the table that speak of the recordings that are left out.
_OF_EXCLUDED = ("use", "reason")

# Names, whatever they look like.
_ARE_NAMES = ("group", "variant", "session")


@dataclass(frozen=True)
class Table:
    """A row {column: cell} per group, variant and channel; a cell that is missing or None is blank.

    `variant` is the column of the variant, in which the base is blank; "" where there are none.

    `described` are the columns that come from the recordings, `events` those that count events, `summaries` those of
    the JSON file beside the array of these: {"spikes": {"noise": "spikes.noise"}}, by its names; `notes` are sentences
    on what was left out and why. `numeric` are the columns that hold numbers alone; what comes from the recordings is
    text there too. `hidden` is the state for which a cell (key, column) is blank. `in_units` are the columns that are
    in the unit of the row, which is in the column `unit`; where that is blank, they are in counts.
    """

    columns: list[str]
    described: list[str]
    rows: list[dict[str, Cell]]
    notes: list[str]
    events: Sequence[str] = ()
    numeric: frozenset[str] = frozenset()
    hidden: Mapping[tuple[str, str], str] = field(default_factory=dict)
    in_units: Sequence[str] = ()
    unit: str = "unit"
    summaries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    variant: str = ""

    def state_of(self, row: Mapping[str, Cell], column: str) -> str:
        """Return the state for which a cell is blank, "" where it is not for a state."""
        return self.hidden.get((self.key_of(row), column), "") if row.get(column) is None else ""

    def key_of(self, row: Mapping[str, Cell]) -> str:
        """Return the group of a row, with its variant as `neuroluigi status` has it: a-even@strict."""
        variant = row.get(self.variant) if self.variant else None
        return f"{row['group']}{VARIANT_SIGN}{variant}" if variant else str(row["group"])


def collect_table(
    groups: Mapping[str, Group], files: Mapping[str, Sequence[OwnFile]], root: Path, as_counts: bool = False
) -> Table:
    """Read the results of all groups: columns group, variant where there is one, what describes the recordings,
    channel (from 0), the results.

    The rows of a variant come after those of its group, by their `files` (see files_of_groups()).

    What a step says is in counts is in the unit of the channel, where its scale and unit are known; not if `as_counts`.

    Each JSON file of a group that holds nothing but numbers and texts, alone or in lists with one per channel, gives
    columns of its names, or one of its stem where it is a value alone, and one whose target names what is shown gives
    that; each .npy file of events (see EventArray) gives the count per channel, named by its stem. A name that several
    files have gets the stem as a prefix (`stats.mean`); a column of the recordings that a result is named like is
    `recordings.<name>`. What is in files that are hidden is blank.
    """
    problems: dict[tuple[str, str], list[str]] = {}
    results: dict[str, dict[tuple[str, str], list[Cell]]] = {}
    measures = {}
    hidden: dict[tuple[str, str], str] = {}
    in_counts: dict[tuple[str, str], str] = {}
    inherited: set[tuple[str, str]] = set()
    of_variants: dict[str, list[str]] = {}
    for key in files:
        if split_row(key)[1]:
            of_variants.setdefault(split_row(key)[0], []).append(key)
    variant = "variant" if of_variants else ""
    group_of = {key: group for group in groups for key in (group, *of_variants.get(group, ()))}
    for key, of_base in group_of.items():
        group = groups[of_base]
        channels = next((r.channels for r in group.recordings if r.channels), 1)
        measures[key] = measures_of(group, channels, as_counts)
        here = [one for one in files.get(key, ()) if one.path.suffix in (".json", ".npy")]
        # What a variant shares with the base was read for that.
        shared = {one.path for one in files[of_base]} if key != of_base else set()
        own = [one for one in here if one.path not in shared]
        results[key], reasons, damaged = read_group([one for one in own if not one.hidden], measures[key])
        # Of what is hidden the names are known, where the file is there.
        of_hidden, _, _ = read_group([one for one in own if one.hidden], measures[key])
        results[key] |= {source: [None] * channels for source in of_hidden}
        names = {one.path.name for one in here if one.path in shared}
        results[key] |= {source: cells for source, cells in results[of_base].items() if source[0] in names}
        inherited |= {(key, name) for name in names}
        hidden |= {(key, one.path.name): one.hidden for one in here if one.hidden}
        in_counts |= {(one.path.name, name): what for one in here for name, what in one.in_counts.items()}
        hidden |= {(key, name): DAMAGED for name in damaged}
        hidden |= {(key, name): DAMAGED for name in names if hidden.get((of_base, name)) == DAMAGED}
        for problem in reasons:
            problems.setdefault(problem, []).append(key)
    fixed = ["group", *filter(None, [variant]), "channel"]
    titles = _titles({source: None for one in results.values() for source in one}, fixed)
    taken = {*fixed, *titles.values()}
    described = {key: _describe(group) for key, group in groups.items()}
    # A table of recordings need not have what their headers say.
    known = [n for n in _OF_CHANNEL if any(getattr(one, n) for of_group in measures.values() for one in of_group)]
    renamed = {n: f"recordings.{n}" if n in taken else n for n in dict.fromkeys([*_names(described.values()), *known])}
    cells = {key: {renamed[n]: cell or None for n, cell in one.items()} for key, one in described.items()}
    rows: list[dict[str, Cell]] = [
        {
            "group": of_base,
            **({variant: split_row(key)[1] or None} if variant else {}),
            **cells[of_base],
            **{renamed[n]: text for n in known if (text := getattr(measure, n))},
            "channel": channel,
            **{titles[source]: cells[channel] for source, cells in results[key].items()},
        }
        for key, of_base in group_of.items()
        for channel, measure in enumerate(measures[key])
    ]
    columns = [*fixed[:-1], *renamed.values(), "channel", *titles.values()]
    notes = [f"{file} of {_and_more(keys)}: {reason}" for (file, reason), keys in problems.items()]
    files_shown = {file for file, _ in titles}
    # Of files that no group has, nothing is expected yet; what can't be read is said already.
    said = {(key, file) for (file, _), keys in problems.items() for key in keys}
    expected = {one: state for one, state in hidden.items() if one[1] in files_shown or state in (FAILED, DAMAGED)}
    blank = {one: state for one, state in expected.items() if one not in said | inherited}
    notes += [*_notes_on_hidden(blank), *([] if titles else [f"no results yet in {root}"])]
    return Table(
        columns,
        list(renamed.values()),
        rows,
        notes,
        events=[title for (file, _), title in titles.items() if file.endswith(".npy")],
        numeric=frozenset(name for name in columns if name not in _ARE_NAMES and _holds_numbers(rows, name)),
        hidden=_by_column(hidden, titles),
        in_units=[titles[source] for source in in_counts if source in titles],
        unit=renamed.get("unit", ""),
        summaries=_summaries(titles),
        variant=variant,
    )


def _summaries(titles: Mapping[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    """Return the columns of the JSON file beside each array of events, by the column of its counts."""
    found: dict[str, dict[str, str]] = {}
    for (file, name), title in titles.items():
        array = (f"{file.removesuffix('.json')}.npy", file.removesuffix(".json"))
        if file.endswith(".json") and array in titles:
            found.setdefault(titles[array], {})[name] = title
    return found


def _by_column(hidden: Mapping[tuple[str, str], str], titles: Mapping[tuple[str, str], str]) -> dict:
    """Return the state for which a cell is blank, by group and column, from those of group and file."""
    columns: dict[str, list[str]] = {}
    for (file, _), title in titles.items():
        columns.setdefault(file, []).append(title)
    return {(key, title): state for (key, file), state in hidden.items() for title in columns.get(file, ())}


def _notes_on_hidden(hidden: Mapping[tuple[str, str], str]) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for (key, file), state in hidden.items():
        groups.setdefault((file, state), []).append(key)
    return [f"{file} of {_and_more(keys)}: {sign_of(state)} {state}" for (file, state), keys in groups.items()]


def _and_more(keys: Sequence[str]) -> str:
    return f"{keys[0]}{f' and {len(keys) - 1} more groups' if keys[1:] else ''}"


def _holds_numbers(rows: Iterable[Mapping[str, Cell]], name: str) -> bool:
    """Return whether all cells of a column that are not blank are numbers."""
    cells = {cell for row in rows if (cell := row.get(name)) is not None}
    return bool(cells) and all(as_number(cell) is not None for cell in cells)


def _names(rows: Iterable[Mapping]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _describe(group: Group) -> dict[str, str]:
    """Return the columns of the group's recordings; values that differ between them are joined by |."""
    recordings = [_columns(recording) for recording in group.recordings]
    return {n: "|".join(dict.fromkeys(one.get(n, "") for one in recordings)) for n in _names(recordings)}


def _columns(recording: Recording) -> dict[str, str]:
    fields = {name: written(recording, name) for name in _FIELDS}
    known = {n: text for n, text in fields.items() if text}
    others = {n: v for n, v in recording.columns.items() if n not in (*known, *_OF_EXCLUDED, "unit")}
    return {**known, **others}


def written(recording: Recording, name: str) -> str:
    """Return a field of a recording as its row has it, else as luigi.cfg says; "" where neither does."""
    if text := recording.columns.get(name):
        return text
    value = getattr(recording, name)
    return "" if value is None else repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _titles(sources: Iterable[tuple[str, str]], fixed: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the column of each (name of a file, name in it), beside the columns that all tables have."""
    sources = list(sources)
    owners = Counter([*fixed, *(name for _, name in sources)])
    stems = {file: file.rpartition(".")[0] for file, _ in sources}
    return {(file, name): name if owners[name] == 1 else f"{stems[file]}.{name}" for file, name in sources}


def sort_rows(table: Table, rows: Iterable[Mapping[str, Cell]], names: Sequence[str]) -> list[Mapping[str, Cell]]:
    """Sort by each of `names` in turn, downwards where it begins with -; blank cells come last.

    A column that holds numbers alone is sorted by them, any other by its text.
    """
    rows = list(rows)
    for name in reversed(names):
        column, is_down = name.removeprefix("-"), name.startswith("-")
        blank = [row for row in rows if row.get(column) is None]
        there = [row for row in rows if row.get(column) is not None]
        value: Any = as_number if column in table.numeric else str
        rows = [*sorted(there, key=lambda row: value(row[column]), reverse=is_down), *blank]
    return rows


def select_rows(
    table: Table, where: Iterable[str] = (), sort: Sequence[str] = (), columns: Iterable[str] = ()
) -> tuple[list[str], list[Mapping[str, Cell]]]:
    """Return columns (by default all) and rows: those for which all of `where` holds, sorted. Raises QueryError."""
    try:
        conditions = [parse_condition(text, table.columns, table.numeric) for text in where]
        for name in sort:
            check_known("column", name.removeprefix("-"), table.columns)
        columns = [check_known("column", name, table.columns) for name in columns] or table.columns
    except QueryError as error:
        # What could not be read may be why there is no such column.
        raise QueryError("; ".join([str(error), *table.notes])) from error
    return columns, sort_rows(table, (row for row in table.rows if all(one.holds(row) for one in conditions)), sort)


def cells_for_the_eye(
    table: Table, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]
) -> list[tuple[Cell, ...]]:
    """Return rows of cells; one that is blank for a state has the sign of that."""
    return [
        tuple(sign_of(state) if (state := table.state_of(row, name)) else row.get(name) for name in columns)
        for row in rows
    ]


def as_json_cells(table: Table, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> list[tuple[Cell, ...]]:
    """Return rows of cells for JSON: a column of the recordings is of numbers if JSON writes all of them like that.

    So 30000 is a number, and 1.10 beside 1.1 stays text, as no digit may be lost.
    """
    numbers = {name for name in table.described if name in table.numeric and _are_of_json(table, name)}
    return [
        tuple(
            json.loads(str(cell)) if name in numbers and (cell := row.get(name)) is not None else row.get(name)
            for name in columns
        )
        for row in rows
    ]


def _are_of_json(table: Table, name: str) -> bool:
    texts = {str(cell) for row in table.rows if (cell := row.get(name)) is not None}
    return all(json.dumps(json.loads(text)) == text for text in texts)
