"""Tables as text: CSV, JSON, aligned columns; and which columns fit a terminal."""

import csv
import itertools
import json
import re
from collections.abc import Container, Iterable, Sequence
from typing import TextIO

from neuroluigi.provenance.plain_text import plain_json

Cell = str | int | float | None

# What a spreadsheet would compute, and may send away: text that begins like that and is no number.
_FORMULA = re.compile(r"(?![-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\Z)[-=+@\t\r\n＝＋－＠]", re.IGNORECASE | re.ASCII)


def fitting_columns(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], width: int, droppable: Iterable[str]
) -> list[str]:
    """Return the columns that fit into `width` characters.

    Of the droppable ones, those with the same value in all rows are left out first, then the widest.
    """
    widths = dict(zip(columns, _widths(columns, rows), strict=True))
    varies = {name: len({row[i] for row in rows}) > 1 for i, name in enumerate(columns)}
    for name in sorted(droppable, key=lambda name: (varies[name], -widths[name])):
        if sum(widths.values()) + 2 * (len(widths) - 1) <= width:
            break
        del widths[name]
    return list(widths)


def write_csv(
    columns: Sequence[str], blocks: Iterable[Iterable[Sequence[Cell]]], out: TextIO, is_raw: bool = False
) -> None:
    """Write blocks of rows as CSV; blank cells are empty.

    Unless `is_raw`, text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    writer = csv.writer(out, lineterminator="\n")
    for rows in itertools.chain([[columns]], blocks):
        writer.writerows(rows if is_raw else (map(_as_no_formula, row) for row in rows))


def _as_no_formula(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def write_json(columns: Sequence[str], blocks: Iterable[Iterable[Sequence[Cell]]], out: TextIO) -> None:
    """Write blocks of rows as one JSON array with an object per line; blank cells are null."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    before = "[\n"
    for rows in blocks:
        if rows:
            lines = (encode(dict(zip(columns, row, strict=True))) for row in rows)
            out.write(before + plain_json(",\n".join(lines)))
            before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def write_text(
    columns: Sequence[str],
    blocks: Iterable[Sequence[Sequence[Cell]]],
    out: TextIO,
    digits: int = 6,
    numeric: Container[str] = (),
) -> None:
    """Write blocks of rows as aligned text; a column never narrows, but a later block may need a wider one.

    `numeric` are columns of numbers that are text, as they were written.
    """
    widths, header = [len(name) for name in columns], [list(columns)]
    for rows in blocks:
        lines = [*header, *([as_text(cell, digits) for cell in row] for row in rows)]
        widths = [max([width, *map(len, texts)]) for width, *texts in zip(widths, *lines, strict=True)]
        right = right_aligned(columns, rows, numeric)
        for line in lines:
            padded = (t.rjust(w) if r else t.ljust(w) for t, w, r in zip(line, widths, right, strict=True))
            out.write("  ".join(padded).rstrip() + "\n")
        header = []
    if header:
        out.write("  ".join(columns) + "\n")


def right_aligned(columns: Sequence[str], rows: Sequence[Sequence[Cell]], numeric: Container[str] = ()) -> list[bool]:
    """Return for each column whether it has numbers; `numeric` are those of which the numbers are text."""
    return [name in numeric or any(isinstance(row[i], (int, float)) for row in rows) for i, name in enumerate(columns)]


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
