"""Tables of trials as labs write them, CSV or of Matlab: their columns as numbers and texts, with where each row is."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroluigi.recordings.csv_file import BEYOND, TRIALS, read_rows
from neuroluigi.recordings.matlab_table import read_matlab_columns
from neuroluigi.recordings.pattern import Row
from neuroluigi.recordings.recording import RecordingsError

# Those of NWB.
START, STOP = "start_time", "stop_time"
# What ends so is a time, as in NWB.
_TIME_ENDS = "_time"
# In one table of several sessions.
_SESSION = "session"

Cell = int | float | str | None

# Not 007, which is a name, nor what only Python takes for a number, such as 1_000.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_NOT_A_NUMBER = frozenset({"", "nan", "na", "n/a"})


@dataclass(frozen=True)
class TrialTable:
    """A row per trial: the `columns` by name, None for a blank cell, and `rows`, where each one is."""

    columns: Mapping[str, Sequence[Cell]]
    rows: Sequence[str]

    def taken(self, which: Sequence[int]) -> "TrialTable":
        """Return some of the trials, in that order."""
        columns = {name: [cells[n] for n in which] for name, cells in self.columns.items()}
        return TrialTable(columns, [self.rows[n] for n in which])


def is_time(name: str) -> bool:
    """Whether the column of that name has times: one that ends in _time."""
    return name.endswith(_TIME_ENDS)


def read_trials(path: Path, session: str) -> TrialTable:
    """Return the trials of a session in a .csv, .tsv or .mat file; times in the unit of the file.

    Where it has a column `session`, these are the rows of that one, and the column is left out. Raises RecordingsError,
    with file, row and column, for a time that is no number, for decimal commas, and for a table without trials.
    """
    if path.suffix.lower() == ".mat":
        columns = read_matlab_columns(path, START)
        rows = [f"{path}, trial {n}" for n in range(1, len(columns[START]) + 1)]
    else:
        found = read_rows(path, TRIALS, (START,))
        columns, rows = _columns_of(found), [origin for origin, _ in found]
    table = TrialTable(columns, rows)
    if _SESSION in columns:
        table = table.taken([n for n, one in enumerate(columns[_SESSION]) if _as_name(one) == session])
        table = TrialTable({name: cells for name, cells in table.columns.items() if name != _SESSION}, table.rows)
    if not table.rows:
        of_session = f" of the session {session}" if _SESSION in columns else ""
        raise RecordingsError(f"{path} has no trials{of_session}; see [Trials] table")
    typed = {name: _typed(name, cells, table.rows) for name, cells in table.columns.items()}
    first: dict[str, Sequence[Cell]] = {START: typed[START], STOP: [None] * len(table.rows)}
    return TrialTable(first | typed, table.rows)


def as_seconds(table: TrialTable, seconds_of: Callable[[list[float]], list[float]]) -> TrialTable:
    """Return a table with times in seconds, float, by what they are in its own unit."""

    def converted(cells: Sequence[Cell]) -> Sequence[Cell]:
        known = [n for n, one in enumerate(cells) if one is not None]
        seconds = iter(seconds_of([float(cells[n]) for n in known]))  # type: ignore[arg-type]
        return [None if one is None else next(seconds) for one in cells]

    columns = {name: converted(cells) if is_time(name) else cells for name, cells in table.columns.items()}
    return TrialTable(columns, table.rows)


def check_order(table: TrialTable) -> None:
    """Raise RecordingsError for a trial without a start, or that stops before it."""
    for where, start, stop in zip(table.rows, table.columns[START], table.columns[STOP], strict=True):
        if start is None:
            raise RecordingsError(f"{where}, column {START} is blank: each trial needs one; take out the row")
        if stop is not None and stop < start:  # type: ignore[operator]
            raise RecordingsError(f"{where}, column {STOP}: the trial stops at {stop} s, before its start at {start} s")


def outside(table: TrialTable, span: tuple[float, float]) -> dict[int, str]:
    """Return what is to be said of each trial, by its position, with a time that is outside a session's seconds."""
    found: dict[int, str] = {}
    for name in filter(is_time, table.columns):
        for n, one in enumerate(table.columns[name]):
            if isinstance(one, float) and not span[0] <= one <= span[1]:
                found.setdefault(n, f"{table.rows[n]}, column {name}: {one:.10g} s")
    return dict(sorted(found.items()))


def overlapping(table: TrialTable) -> int:
    """Return how many trials, in order of their starts, begin before one in front of them has stopped."""
    latest, count = -math.inf, 0
    for start, stop in zip(table.columns[START], table.columns[STOP], strict=True):
        count += start < latest  # type: ignore[operator]
        latest = max(latest, stop if isinstance(stop, float) else latest)
    return count


def _as_name(cell: Cell) -> str:
    """Return a cell as the name of a session: Matlab has 20240102 as a double."""
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)


def _columns_of(rows: Sequence[Row]) -> dict[str, list[Cell]]:
    for origin, row in rows:
        if BEYOND in row:
            raise RecordingsError(
                f"{origin}: {row[BEYOND]!r} stands right of the last column; a decimal comma has to be a point"
            )
    names = dict.fromkeys(name for _, row in rows for name in row if name)
    return {name: [row.get(name, "") for _, row in rows] for name in names}


def _typed(name: str, cells: Sequence[Cell], rows: Sequence[str]) -> list[Cell]:
    """Return the cells of a column as numbers, if all that are not blank are some; of times they have to be."""
    texts = [one.strip() if isinstance(one, str) else one for one in cells]
    is_number = [not isinstance(one, str) or bool(_NUMBER.fullmatch(one)) for one in texts]
    others = [n for n, one in enumerate(texts) if not is_number[n] and str(one).lower() not in _NOT_A_NUMBER]
    with_comma = [n for n in others if _DECIMAL_COMMA.fullmatch(str(texts[n]))]
    if with_comma and (is_time(name) or with_comma == others):
        raise RecordingsError(
            f"{rows[with_comma[0]]}, column {name}: {texts[with_comma[0]]} has a decimal comma; write a point"
        )
    if others and is_time(name):
        raise RecordingsError(f"{rows[others[0]]}, column {name}: {texts[others[0]]!r} is not a number")
    if others:
        return [None if one is None or one == "" else str(one) for one in texts]
    numbers = [_number(one) if isinstance(one, str) else one for one in texts]
    if wrong := [n for n, one in enumerate(numbers) if isinstance(one, float) and math.isinf(one)]:
        raise RecordingsError(f"{rows[wrong[0]]}, column {name}: {texts[wrong[0]]} is not a finite number")
    known = [None if one is None or one != one else one for one in numbers]
    is_whole = not is_time(name) and all(one is None or float(one).is_integer() for one in known)
    return [one if one is None else int(one) if is_whole else float(one) for one in known]


def _number(text: str) -> float | int | None:
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if not text.lstrip("+-").isdigit() else int(text)
