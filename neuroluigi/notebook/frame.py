"""Tables for Python: a pandas.DataFrame where pandas is installed, else a small one that shows itself in a notebook."""

import html
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroluigi.results.output import as_text, write_csv

# Rows that a notebook shows of more than twice as many: the first and the last.
_SHOWN = 25


class Table:
    """A table without pandas: `table["mean"]` is a column, `table.rows` has a dict per row."""

    def __init__(self, columns: Mapping[str, Any]):
        self._columns = dict(columns)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A dict per row."""
        return [dict(zip(self._columns, row, strict=True)) for row in self]

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name not in self._columns:
            raise KeyError(f"there is no column {name!r}; there are: {', '.join(self._columns)}")
        return self._columns[name]

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows as tuples."""
        return iter(zip(*map(as_cells, self._columns.values()), strict=True))

    def to_csv(self, path: str | Path) -> None:
        """Write the table as CSV, with all digits."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            write_csv(self.columns, [self], file, is_raw=True)

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {', '.join(self._columns)}>"

    def _repr_html_(self) -> str:
        return html_table(self.columns, list(self))


def has_pandas() -> bool:
    """Whether pandas is installed."""
    return importlib.util.find_spec("pandas") is not None


def as_cells(column: Sequence[Any]) -> list[Any]:
    """Return a column, a list or an array of NumPy, as values of Python; NaN is None."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [None if one != one else one for one in values]


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return an HTML table of cells of any text; numbers are to the right. Of very many rows the middle is left out."""
    left_out = len(rows) - 2 * _SHOWN
    shown = [*rows[:_SHOWN], ("…",) * len(columns), *rows[-_SHOWN:]] if left_out > 0 else rows
    head = "".join(f"<th>{html.escape(one)}</th>" for one in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in shown)
    note = f"<p>{len(rows)} rows, of which {left_out} are not shown</p>" if left_out > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _cell(value: Any) -> str:
    align = "" if isinstance(value, str) else ' style="text-align: right"'
    return f"<td{align}>{html.escape(as_text(value))}</td>"


def frame(columns: Mapping[str, Any]) -> Any:
    """Return a table of these columns, lists or arrays: a pandas.DataFrame where pandas is installed, else a Table."""
    if not has_pandas():
        return Table(columns)
    import pandas

    return pandas.DataFrame(dict(columns))
