"""Find the recordings by a table, by a pattern of paths, or as the pipeline makes them; describe each row."""

import csv
import io
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuroluigi.recordings.formats.raw import check_sidecar, measure
from neuroluigi.recordings.pattern import Row, pattern_rows
from neuroluigi.recordings.recording import (
    BYTES_PER_VALUE,
    Declaration,
    Recording,
    RecordingsError,
    check_folder_name,
    is_missing,
)

# The key of a cell right of the last column; no column of a table has such a name.
_BEYOND = "\0beyond"

_DTYPES = f"one of {', '.join(BYTES_PER_VALUE)}"
# Longer numbers than this one, Excel writes with an exponent.
_LONG_IN_EXCEL = 1e11
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_SHA256 = re.compile("[0-9a-f]{64}")

_REQUIRED = ("session", "index", "path")


def made_rows(rows: list[Mapping[str, str]]) -> list[Row]:
    """Return (origin, columns) of each recording that the pipeline makes. Raises RecordingsError without any."""
    if not rows:
        raise RecordingsError(
            "no recordings: [recordings] root and table are blank in luigi.cfg and no task makes recordings;"
            " set root (--recordings-root FOLDER)"
        )
    return [(f"made recording {row['session']}/{row['index']}", row) for row in rows]


def declared_rows(declaration: Declaration, notify: Callable[[str], object]) -> list[Row]:
    """Return (origin, columns) of each recording, by the table or else the pattern. Raises RecordingsError.

    `notify` gets a sentence for each kind of files that nearly match the pattern.
    """
    root = declaration.folder
    if declaration.root and not os.path.isdir(root):
        why = "is not there" if is_missing(root) else "can't be read as a folder"
        raise RecordingsError(f"recordings folder {root} {why}; see [recordings] root (--recordings-root)")
    table = Path(declaration.table) if declaration.table else root / "recordings.csv"
    # A recordings.csv that can't be read is an error, not a reason to use the pattern.
    if declaration.table or os.path.lexists(table):
        rows = _table_rows(table)
        settings = f"table {table}"
    else:
        rows = pattern_rows(root, declaration.pattern, notify)
        settings = f"{root} by pattern {declaration.pattern} (and no recordings.csv is there)"
    if not rows:
        raise RecordingsError(f"no recordings in {settings}; see [recordings] root, table and pattern in luigi.cfg")
    return rows


def _table_rows(table: Path) -> list[Row]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingsError(
            f"can't read the table of recordings {table}: {error}; it is a CSV file in UTF-8, see [recordings] table"
        ) from error
    if "\0" in text:
        raise RecordingsError(
            f"can't read the table of recordings {table}: it has binary content, not CSV text; see [recordings] table"
        )
    # Excel's first line that names the separator is none of the table's; Excel does not show it as a row either.
    named = re.match(r'"?sep=(.)"?(\r\n|\r|\n|$)', text, re.IGNORECASE)
    text = text[named.end() :] if named else text
    delimiter = named[1] if named else _delimiter(text)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise RecordingsError(f"can't read the table of recordings {table}: {error}; see [recordings] table") from error
    header = [name.strip() for name in lines[0]] if lines else []
    # Spreadsheets also save columns that were emptied.
    while header and not header[-1]:
        header.pop()
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise RecordingsError(
            f"the table of recordings {table} has no column {', '.join(missing)}; its columns are:"
            f" {', '.join(header) or '(none)'}; see [recordings] table"
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise RecordingsError(
            f"the table of recordings {table} has more than one column {', '.join(map(repr, twice))};"
            " see [recordings] table"
        )
    rows: list[Row] = []
    # Rows are counted as a spreadsheet shows them: the header is row 1.
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            row[_BEYOND] = cells[len(header)]
        rows.append((f"{table}, row {number}", row))
    return rows


def _delimiter(text: str) -> str:
    """Return what separates the columns: where the decimal sign is a comma, spreadsheets write semicolons."""

    def columns(delimiter: str) -> tuple[int, int]:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        return len({name.strip() for name in header}.intersection(_REQUIRED)), len(header)

    return max(",;\t", key=columns)


def selected(rows: list[Row], select: tuple[str, ...]) -> list[Row]:
    """Return the rows that fulfil all conditions "column=value". Raises RecordingsError where none is left."""
    for condition in select:
        column, equals, value = (part.strip() for part in condition.partition("="))
        columns = sorted({name for _, row in rows for name in row if name != _BEYOND})
        if not equals or column not in columns:
            raise RecordingsError(
                f"[recordings] select {condition!r} is not column=value with a column of the recordings:"
                f" {', '.join(columns)}"
            )
        rows = [(origin, row) for origin, row in rows if row.get(column, "") == value]
        if not rows:
            raise RecordingsError(f"no recordings with {column}={value}; see [recordings] select in luigi.cfg")
    return rows


def describe(row: Mapping[str, str], origin: str, declaration: Declaration, is_made: bool) -> Recording:
    """Return the recording of a row; what is wrong with it is in its `problems`.

    Blank cells have the value of the declaration. Raises RecordingsError for a session that can't name a folder.
    """
    problems: list[str] = []

    def cell(
        column: str,
        convert: Callable[[str], Any],
        is_right: Callable[[Any], object],
        expected: str,
        default: Any = None,
    ) -> Any:
        text = row.get(column, "")
        try:
            value = convert(text) if text else default
            if value is None or is_right(value):
                return value
        except ValueError:
            value = text
        where = f"{origin}, column {column}" if text else f"luigi.cfg, [recordings] {column}"
        problems.append(f"{where}: {text or value!r} is not {expected}")
        return None

    session = row.get("session", "")
    check_folder_name(session, f"{origin}, column session")
    index = cell("index", _whole, lambda n: n >= 0, "a whole number from 0")
    if index is None and not problems:
        problems.append(f"{origin}, column index: there is no value")
    dtype = cell("dtype", str, BYTES_PER_VALUE.__contains__, _DTYPES, declaration.dtype)
    channels = cell("channels", _whole, lambda n: n >= 1, "a whole number from 1", declaration.channels)
    rate = cell("sampling_rate_hz", _number, lambda x: 0 < x < math.inf, "a rate above 0", declaration.sampling_rate_hz)
    header = cell("header_bytes", _whole, lambda n: n >= 0, "a whole number from 0", declaration.header_bytes)
    scale = cell("scale", _number, lambda x: math.isfinite(x) and x != 0, "a number other than 0", declaration.scale)
    offset = cell("offset", _number, math.isfinite, "a number", declaration.offset)
    sha256 = cell("sha256", str.lower, _SHA256.fullmatch, "a sha256 of 64 hexadecimal digits")
    use = cell("use", str.lower, ("yes", "no").__contains__, "yes or no", "yes")
    if _BEYOND in row:
        problems.append(f"{origin}: {row[_BEYOND]!r} stands right of the last column")

    name = row.get("path", "")
    path = os.path.abspath(os.path.join(declaration.folder, name))
    if not name:
        problems.append(f"{origin}, column path: there is no value")
    recording = Recording(
        session=session,
        index=index,
        path=path,
        name=name,
        dtype=dtype,
        channels=channels,
        sampling_rate_hz=rate,
        header_bytes=header,
        scale=scale,
        offset=offset,
        unit=row.get("unit", "") or declaration.unit,
        sha256=sha256 or "",
        columns={
            "parity": ("even", "odd")[index % 2] if index is not None else "",
            **{column: value for column, value in row.items() if column != _BEYOND},
            "use": use or "yes",
        },
        origin=origin,
        problems=tuple(problems),
        made=is_made,
    )
    if problems or is_made or recording.columns["use"] == "no":
        return recording
    if declaration.allow_missing and is_missing(path):
        return replace(recording, columns={**recording.columns, "use": "no", "reason": "it is not there any more"})
    try:
        measure(recording, declaration.partial_sample)
        check_sidecar(recording)
    except RecordingsError as error:
        return replace(recording, problems=(str(error),))
    return recording


def _number(text: str) -> float:
    if "_" in text:  # Python would read 1_2 as 12
        raise ValueError(text)
    return float(text)


def _whole(text: str) -> int:
    # "3.0" is what a spreadsheet or pandas makes of 3. Not by way of a float, which can't hold all digits of an index
    # such as 20260131235959999.
    if match := _WHOLE.fullmatch(text):
        return int(match[1])
    number = _number(text)
    # Excel leaves 2.0260131E+16 of that one: the other digits are lost.
    if not number.is_integer() or abs(number) >= _LONG_IN_EXCEL:
        raise ValueError(text)
    return int(number)
