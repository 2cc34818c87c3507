"""Search results: a table of the numbers of all groups, filtered and sorted; and the events of one group, in blocks.

Plain functions over plain data. They read what lies in the results folder, so they need no engine and run nothing.
"""

import csv
import difflib
import json
import math
import operator
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from neuroluigi.provenance.files import read_json
from neuroluigi.provenance.record import read_record
from neuroluigi.recordings.concatenation import is_concatenation
from neuroluigi.recordings.recording import Group, Recording

Cell = str | int | float | None

EVENT_COLUMNS = ("session", "index", "sample", "recording_sample", "channel", "seconds", "recording_seconds")

# What holds for a recording whether its table says it or luigi.cfg; these columns come first.
_FIELDS = ("session", "index", "dtype", "channels", "sampling_rate_hz", "scale", "offset", "unit")

# Columns of the table that speak of the recordings that are left out.
_OF_EXCLUDED = ("use", "reason")

# As JSON writes a number, so that a subject 007 stays text.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")

_CONDITION = re.compile(r"([^=!<>]+)(!=|<=|>=|==?|<|>)(.*)", re.DOTALL)
_COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_BLOCK_ROWS = 1 << 16
_MOST_NAMED = 100


class QueryError(ValueError):
    """A question that can't be answered; the message says in one line why, and what could be asked."""


@dataclass(frozen=True)
class Table:
    """A row {column: cell} per group and channel; a cell that is missing or None is blank.

    `described` are the columns that come from the recordings, `events` those that count events, `notes` says what was
    left out and why.
    """

    columns: list[str]
    described: list[str]
    rows: list[dict[str, Cell]]
    notes: list[str]
    events: Sequence[str] = ()


@dataclass(frozen=True)
class Condition:
    """A condition on one column, such as mean > 120."""

    column: str
    sign: str
    wanted: str

    def holds(self, row: Mapping[str, Cell]) -> bool:
        """Compare as numbers where both sides are, else as text; a blank cell is neither below nor above anything."""
        cell = row.get(self.column)
        if cell is None and self.sign not in ("=", "!="):
            return False
        if _is_nan(cell) and self.sign not in ("=", "!="):
            return False
        left, right = as_number(cell), as_number(self.wanted)
        if left is None or right is None:
            left, right = "" if cell is None else str(cell), self.wanted
        return _COMPARE[self.sign](left, right)


def _is_nan(cell: Cell) -> bool:
    try:
        return math.isnan(float(cell))
    except (TypeError, ValueError):
        return False


def collect_table(groups: Mapping[str, Group], root: Path) -> Table:
    """Read the results of all groups: columns group, what describes the recordings, channel (from 0), the results.

    Each JSON file of a group that holds nothing but numbers and texts, alone or in lists with one per channel, gives
    columns of its names; each .npy file of events (int64, (n, 2): sample, channel) gives the count per channel, named
    by its stem. A name that several files have is told apart by the stem (`stats.mean`); a column of the recordings
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
    described = _typed({key: {renamed[n]: cell for n, cell in one.items()} for key, one in described.items()})
    rows = [
        {
            "group": key,
            **described[key],
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
    """Return what the group's recordings say of themselves; what differs between them is joined by |."""
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
    values, problems = {}, []
    for path in _result_files(folder):
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


def _result_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder, then its .npy files, without those that a step is still writing."""
    try:
        # os.listdir, because this is asked of thousands of folders
        names = [n for n in os.listdir(folder) if n.endswith((".json", ".npy")) and ".part-" not in n]  # noqa: PTH208
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=lambda n: (n.endswith(".npy"), n))]


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


def _event_counts(path: Path, channels: int) -> dict[str, list[int]]:
    """Return {stem: number of events of each channel}; nothing where the file is no array of events."""
    with path.open("rb") as file:
        array = _EventArray(file)
        if not array.is_events:
            return {}
        counts = np.zeros(channels, np.int64)
        for block in array.blocks():
            of_channel = block[:, 1]
            # Another array of two columns, such as begins and ends.
            if of_channel.min() < 0 or of_channel.max() >= channels:
                raise ValueError(f"its second column has other numbers than those of {channels} channels")
            counts += np.bincount(of_channel, minlength=channels)
    return {path.stem: counts.tolist()}


class _EventArray:
    """A .npy file, open for reading: whether it has events, and those, block by block. Raises ValueError."""

    def __init__(self, file: BinaryIO):
        major, _ = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        self.shape, self.is_fortran, self.dtype = read_header(file)
        self.file, self.start = file, file.tell()
        size, whole = os.fstat(file.fileno()).st_size, self.start + math.prod(self.shape) * self.dtype.itemsize
        if size < whole:
            raise ValueError(f"it is cut short: {size} of {whole} bytes")

    @property
    def is_events(self) -> bool:
        """Whether it is int64 of shape (events, 2)."""
        return len(self.shape) == 2 and self.shape[1] == 2 and self.dtype.kind == "i" and self.dtype.itemsize == 8

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield arrays (up to 65,536, 2) of sample and channel."""
        events = self.shape[0]
        for first in range(0, events, _BLOCK_ROWS):
            rows = min(_BLOCK_ROWS, events - first)
            # Read, not mapped, so that what was read leaves memory.
            if self.is_fortran:
                yield np.stack([self._values(first, rows), self._values(events + first, rows)], axis=1)
            else:
                yield self._values(2 * first, 2 * rows).reshape(rows, 2)

    def _values(self, first: int, count: int) -> np.ndarray:
        self.file.seek(self.start + first * self.dtype.itemsize)
        return np.fromfile(self.file, self.dtype, count).astype(np.int64, copy=False)


def as_number(cell: Cell) -> int | float | None:
    """Return a cell, or a word of the command line, as a number; None where it is none."""
    if not isinstance(cell, str):
        return cell
    for convert in (int, float):  # int first: a float has no room for all digits of a long index
        try:
            number = convert(cell)
        except ValueError:
            continue
        # Python alone reads 1_2 as 12, and nan is what lacks a number.
        return None if "_" in cell or number != number else number
    return None


def parse_condition(text: str, columns: Sequence[str]) -> Condition:
    """Read a condition such as `mean>120`; QueryError where it is none or names no column."""
    # A column may be named like a condition: a=b.
    named = sorted((name for name in columns if text.startswith(name)), key=len, reverse=True)
    found = (_CONDITION.fullmatch(f"x{text[len(name) :]}") for name in named)
    for name, match in zip(named, found, strict=True):
        if match and match[1].strip() == "x":
            return Condition(name, match[2].replace("==", "="), match[3].strip())
    match = _CONDITION.fullmatch(text)
    if not match:
        raise QueryError(f"{text!r} is no condition; write a column, one of = != < <= > >=, and a value: 'mean>120'")
    name, sign, wanted = match.groups()
    return Condition(check_known("column", name.strip(), columns), sign.replace("==", "="), wanted.strip())


def check_known(what: str, name: str, known: Sequence[str]) -> str:
    """Return `name`; QueryError with the right ones, the nearest first, where it is none of them."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? The" if near else "the"
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    raise QueryError(f"there is no {what} {name!r}; {hint} {what}s are: {', '.join(known[:_MOST_NAMED])}{more}")


def sort_rows(rows: Iterable[Mapping], names: Sequence[str]) -> list[Mapping]:
    """Sort by each of `names` in turn, downwards where it begins with -: numbers, then texts; blank cells last."""
    rows = list(rows)
    for name in reversed(names):
        rows = _sorted_by(rows, name.removeprefix("-"), name.startswith("-"))
    return rows


def _sorted_by(rows: Iterable[Mapping], column: str, is_down: bool) -> list[Mapping]:
    numbers, texts, blank = [], [], []
    for row in rows:
        cell = row.get(column)
        (blank if cell is None else texts if as_number(cell) is None else numbers).append(row)
    numbers.sort(key=lambda row: as_number(row[column]), reverse=is_down)
    texts.sort(key=lambda row: row[column], reverse=is_down)
    return [*numbers, *texts, *blank]


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


def fitting_columns(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], width: int, droppable: Iterable[str]
) -> list[str]:
    """Return the columns that fit into `width` characters.

    Of the droppable ones those go first that are the same in all rows, which tells nothing apart, then the widest.
    """
    widths = dict(zip(columns, _widths(columns, rows), strict=True))
    varies = {name: len({row[i] for row in rows}) > 1 for i, name in enumerate(columns)}
    for name in sorted(droppable, key=lambda name: (varies[name], -widths[name])):
        if sum(widths.values()) + 2 * (len(widths) - 1) <= width:
            break
        del widths[name]
    return list(widths)


def read_events(folder: Path, name: str) -> Iterator[list[tuple[Cell, ...]]]:
    """Return blocks of rows as EVENT_COLUMNS of the events in <folder>/<name>.npy, in the order of the file.

    Samples are counted from 0, `sample` and `seconds` from the beginning of the concatenation; seconds are None where
    the sampling rate is not known. Raises QueryError at once where there is no such file, or none that says where each
    recording begins.
    """
    path = folder / f"{name}.npy"
    if not path.is_file():
        there = ", ".join(one.stem for one in _result_files(folder) if one.suffix == ".npy")
        raise QueryError(f"{path} is not there (yet); arrays of this group: {there or 'none'}")
    layout = _find_layout(folder)
    file = path.open("rb")
    try:
        array = _EventArray(file)
        if not array.is_events:
            raise ValueError(f"it is {array.dtype} of shape {array.shape}, not int64 of shape (events, 2)")
    except ValueError as error:
        file.close()
        raise QueryError(f"{path} has no events: {error}") from error
    return _event_rows(array, layout)


def _find_layout(folder: Path) -> dict:
    """Return the layout of the concatenation (see recordings.lay_out), from the file or the run record that has one."""
    contents = [read_json(path) for path in _result_files(folder) if path.suffix == ".json"]
    # The file of one that is dropped is gone, its record stays.
    for path in sorted(folder.glob("runs/*.json")):
        facts = (read_record(path) or {}).get("facts")
        contents += facts.values() if isinstance(facts, dict) else ()
    for content in contents:
        if is_concatenation(content):
            return content
    raise QueryError(f"no JSON file in {folder} says where each recording begins, as aggregate.json does")


def _event_rows(array: _EventArray, layout: Mapping) -> Iterator[list[tuple[Cell, ...]]]:
    recordings, rate = layout["recordings"], layout.get("sampling_rate_hz")
    first_samples = np.array([row["first_sample"] for row in recordings])
    sessions = np.array([row["session"] for row in recordings], object)
    indices = np.array([row["index"] for row in recordings], object)
    with array.file:
        for block in array.blocks():
            sample, channel = block.T
            which = np.searchsorted(first_samples, sample, side="right") - 1
            within = sample - first_samples[which]
            seconds = [(one / rate).tolist() if rate else [None] * len(block) for one in (sample, within)]
            columns = (sessions[which], indices[which], sample, within, channel)
            yield list(zip(*(column.tolist() for column in columns), *seconds, strict=True))


def write_csv(columns: Sequence[str], blocks: Iterable[Iterable[Sequence[Cell]]], out: TextIO) -> None:
    """Write blocks of rows as CSV; blank cells are empty."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for rows in blocks:
        writer.writerows(rows)


def write_json(columns: Sequence[str], blocks: Iterable[Iterable[Sequence[Cell]]], out: TextIO) -> None:
    """Write blocks of rows as one JSON array with an object per line; blank cells are null."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    before = "[\n"
    for rows in blocks:
        if rows:
            out.write(before + ",\n".join(encode(dict(zip(columns, row, strict=True))) for row in rows))
            before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def write_text(
    columns: Sequence[str], blocks: Iterable[Sequence[Sequence[Cell]]], out: TextIO, digits: int = 6
) -> None:
    """Write blocks of rows as aligned text; a column never narrows, but a later block may need a wider one."""
    widths, header = [len(name) for name in columns], [list(columns)]
    for rows in blocks:
        lines = [*header, *([as_text(cell, digits) for cell in row] for row in rows)]
        widths = [max([width, *map(len, texts)]) for width, *texts in zip(widths, *lines, strict=True)]
        right = right_aligned(columns, rows)
        for line in lines:
            padded = (t.rjust(w) if r else t.ljust(w) for t, w, r in zip(line, widths, right, strict=True))
            out.write("  ".join(padded).rstrip() + "\n")
        header = []
    if header:
        out.write("  ".join(columns) + "\n")


def right_aligned(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[bool]:
    """Return for each column whether it has numbers."""
    return [any(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[int]:
    return [max([len(name), *(len(as_text(row[i])) for row in rows)]) for i, name in enumerate(columns)]


def as_text(cell: Cell, digits: int = 6) -> str:
    """Return a cell for the eye: so many digits of a fraction, and no characters that a terminal would obey."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.{digits}g}"
    text = str(cell)
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
