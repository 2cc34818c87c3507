"""Tables as text: CSV, JSON, aligned columns; and for the eye: what all rows share, and what fits a terminal."""

import csv
import itertools
import json
import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import TextIO

from neuroluigi.provenance.plain_text import plain_json

Cell = str | int | float | None

# What a spreadsheet would compute, and may send away: text that begins like that and is no number.
_FORMULA = re.compile(r"(?![-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\Z)[-=+@\t\r\n＝＋－＠]", re.IGNORECASE | re.ASCII)

# To how many characters a long value is shortened: in a sentence, and at least in a column.
_MOST_OF_A_VALUE, _LEAST_OF_A_VALUE = 40, 20


def shared_cells(rows: Sequence[Mapping[str, Cell]], names: Iterable[str]) -> dict[str, Cell]:
    """Return the columns, of those named, that have one value in all rows, with that value."""
    return {name: rows[0].get(name) for name in names if len({row.get(name) for row in rows}) == 1}


def shared_line(shared: Mapping[str, Cell]) -> str:
    """Return a sentence with the values that all rows share, long ones shortened; "" where there are none."""
    values = [f"{name} {in_the_middle(as_text(cell))}" for name, cell in shared.items() if cell is not None]
    return f"In all rows: {', '.join(values)}." if values else ""


def in_the_middle(text: str, length: int = _MOST_OF_A_VALUE) -> str:
    """Return a text shortened to a length: its beginning, an ellipsis and its end, as paths and names differ there."""
    if len(text) <= length:
        return text
    begin = length // 2
    return f"{text[:begin]}…{text[begin + 1 - length :]}"


def fit(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    width: int,
    droppable: Iterable[str],
    at_last: Iterable[str] = (),
) -> tuple[list[str], list[tuple[Cell, ...]]]:
    """Return the columns and rows for `width` characters: long texts shortened, as far as they stay apart.

    Where that is not enough, the widest of the droppable columns are left out, and then those of `at_last`.
    """
    widths = dict(zip(columns, _widths(columns, rows), strict=True))
    long = {
        name: {cell for row in rows if isinstance(cell := row[i], str) and len(cell) > _LEAST_OF_A_VALUE}
        for i, name in enumerate(columns)
    }
    least = {name: _least_width(name, long[name], wide) for name, wide in widths.items()}
    for name in (one for some in (droppable, at_last) for one in sorted(some, key=lambda name: -widths[name])):
        if _line_width(least) <= width:
            break
        del least[name]
    shown = {name: widths[name] for name in least}
    short: dict[str, dict[str, str]] = {}
    for name in sorted(least, key=lambda name: least[name] - widths[name]):
        if (excess := _line_width(shown) - width) > 0 and least[name] < shown[name]:
            shown[name] = max(least[name], shown[name] - excess)
            short[name] = {text: in_the_middle(text, shown[name]) for text in long[name]}
    positions = [(i, short.get(name, {})) for i, name in enumerate(columns) if name in shown]
    return list(shown), [
        tuple(of.get(cell, cell) if isinstance(cell := row[i], str) else cell for i, of in positions) for row in rows
    ]


def _line_width(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _least_width(name: str, long: Collection[str], width: int) -> int:
    """Return the width to which a column with these long texts can be brought: no two of them become one."""
    if not long:
        return width
    shorter = range(max(len(name), _LEAST_OF_A_VALUE), width)
    return next((wide for wide in shorter if len({in_the_middle(one, wide) for one in long}) == len(long)), width)


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
    before = "[\n"
    for rows in blocks:
        if rows:
            lines = (_encode(dict(zip(columns, row, strict=True))) for row in rows)
            out.write(before + plain_json(",\n".join(lines)))
            before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def write_json_object(items: Iterable[tuple[str, object]], out: TextIO) -> None:
    """Write named values as one JSON object, as each comes: large ones need not be in memory all at once.

    In lines: one for each field of a value, and for each object in a list of them.
    """
    before = "{\n"
    for name, value in items:
        out.write(before + plain_json(f" {_encode(name)}: {_in_lines(value)}"))
        before = ",\n"
    out.write("{}\n" if before == "{\n" else "\n}\n")


# Indented by json itself it takes five times as long.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def _in_lines(value: object) -> str:
    if not isinstance(value, dict) or not value:
        return _encode(value)
    fields = (f"  {_encode(name)}: {_listed(field)}" for name, field in value.items())
    return "{\n" + ",\n".join(fields) + "\n }"


def _listed(field: object) -> str:
    if isinstance(field, list) and field and isinstance(field[0], dict):
        return "[\n" + ",\n".join(f"   {_encode(one)}" for one in field) + "\n  ]"
    return _encode(field)


def write_text(
    columns: Sequence[str],
    blocks: Iterable[Sequence[Sequence[Cell]]],
    out: TextIO,
    precise: Container[str] = (),
    numeric: Container[str] = (),
) -> None:
    """Write blocks of rows as aligned text; a column never narrows, but a later block may need a wider one.

    Fractions have six digits, those of the columns `precise` ten: with these, neighbouring samples differ even after
    ten hours. `numeric` are columns of numbers that are text, as they were written.
    """
    digits = [10 if name in precise else 6 for name in columns]
    widths, header = [len(name) for name in columns], [list(columns)]
    for rows in blocks:
        lines = [*header, *(list(map(as_text, row, digits)) for row in rows)]
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
