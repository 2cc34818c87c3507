"""The rows of a CSV file as people and spreadsheets write it: the table of recordings, their metadata, and trials."""

import csv
import functools
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from neuroluigi.recordings.pattern import Row
from neuroluigi.recordings.recording import RecordingsError

# The key of a cell right of the last column; no column of a table has such a name.
BEYOND = "\0beyond"

# Before what a spreadsheet would take for a formula, --csv puts an apostrophe.
_NO_FORMULA = re.compile(r"^'(?=[-=+@＝＋－＠])")

# What each of the files is, and the setting that names it.
RECORDINGS, METADATA, TRIALS = (
    ("table of recordings", "[recordings] table"),
    ("table of metadata", "[recordings] metadata"),
    ("table of trials", "[Trials] table"),
)


def read_rows(table: Path, kind: tuple[str, str], required: tuple[str, ...] = ()) -> list[Row]:
    """Return (where it is, columns) of each row of a CSV file of a kind: RECORDINGS, METADATA or TRIALS.

    Raises RecordingsError where it can't be read, a required column is not there, or a column is there twice.
    """
    what, see = kind[0], f"see {kind[1]}"
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingsError(f"can't read the {what} {table}: {error}; it is a CSV file in UTF-8, {see}") from error
    if "\0" in text:
        raise RecordingsError(f"can't read the {what} {table}: it has binary content, not CSV text; {see}")
    # Excel's first line that names the separator is none of the table's; Excel does not show it as a row either.
    named = re.match(r'"?sep=(.)"?(\r\n|\r|\n|$)', text, re.IGNORECASE)
    text = text[named.end() :] if named else text
    delimiter = named[1] if named else _delimiter(text, required)
    lines = _lines(text, delimiter, f"can't read the {what} {table}", see)
    header = [name.strip() for name in next(lines, [])]
    # Spreadsheets also save columns that were emptied.
    while header and not header[-1]:
        header.pop()
    missing = [name for name in required if name not in header]
    if missing:
        raise RecordingsError(
            f"the {what} {table} has no column {', '.join(missing)}; its columns are:"
            f" {', '.join(header) or '(none)'}; {see}"
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise RecordingsError(f"the {what} {table} has more than one column {', '.join(map(repr, twice))}; {see}")
    rows: list[Row] = []
    # Of a hundred thousand rows many have the same cells.
    shared = functools.lru_cache(maxsize=1 << 12)(_text)
    # Rows are counted as a spreadsheet shows them: the header is row 1.
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        # A row may end before the last column.
        texts = [*map(shared, cells)] + [""] * (len(header) - len(cells))
        row = dict(zip(header, texts, strict=False))
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            row[BEYOND] = cells[len(header)]
        rows.append((f"{table}, row {number}", row))
    return rows


def _lines(text: str, delimiter: str, what_fails: str, see: str) -> Iterator[list[str]]:
    """Yield the cells of each line. Raises RecordingsError."""
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise RecordingsError(f"{what_fails}: {error}; {see}") from error


def _text(cell: str) -> str:
    """Return a cell as it was before it was written for a spreadsheet."""
    return _NO_FORMULA.sub("", cell.strip())


def _delimiter(text: str, required: tuple[str, ...]) -> str:
    """Return what separates the columns: where the decimal sign is a comma, spreadsheets write semicolons."""

    def columns(delimiter: str) -> tuple[int, int]:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        return len({name.strip() for name in header}.intersection(required)), len(header)

    return max(",;\t", key=columns)
