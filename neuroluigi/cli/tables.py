"""Tables, JSON and text on the terminal: plain text in full width where the output is no terminal."""

import json
import sys
from collections.abc import Container, Iterable, Sequence

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from neuroluigi.provenance.plain_text import plain, plain_json, unfiltered
from neuroluigi.results.output import Cell, as_text, fit, right_aligned, shared_cells, shared_line, write_text

# Columns of a console that is not a terminal: as good as unlimited.
_FULL_WIDTH = 10_000

# rich takes a second for a table of so many rows.
_MOST_RICH_ROWS = 1_000


class _PlainConsole(Console):
    """A console that controls the terminal itself, while no text that it prints does."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for one in super().render(renderable, options):
            yield one if one.control else one._replace(text=plain(one.text))


def console() -> Console:
    """Return the console on standard output; where that is no terminal, no line is wrapped."""
    is_terminal = sys.stdout.isatty()
    width = None if is_terminal else _FULL_WIDTH
    return _PlainConsole(file=unfiltered(sys.stdout), soft_wrap=not is_terminal, highlight=False, width=width)


def error_console() -> Console:
    """Return the console on standard error, on which nothing is shown where that is no terminal."""
    # quiet, not disable: with that rich 13 ends on a blank line.
    return _PlainConsole(file=unfiltered(sys.stderr), quiet=not sys.stderr.isatty())


def print_json(data: object, indent: int | None = 1) -> None:
    """Print data as JSON; indent None: in one line."""
    click.echo(plain_json(json.dumps(data, indent=indent, ensure_ascii=False)))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Cell | Text]], numeric: Container[str] = ()) -> None:
    """Print a table: plain text in full width where the output is no terminal.

    `numeric` are columns of numbers that are text, as they were written.
    """
    plain = [tuple(map(_plain, row)) for row in rows]
    if not sys.stdout.isatty() or len(rows) > _MOST_RICH_ROWS:
        write_text(columns, [plain], sys.stdout, numeric=numeric)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_right in zip(columns, right_aligned(columns, plain, numeric), strict=True):
        # Text, not str: a bracket in a name is not markup.
        table.add_column(Text(name), justify="right" if is_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(as_text(cell)) for cell in row))
    console().print(table)


def _plain(cell: Cell | Text) -> Cell:
    return cell.plain if isinstance(cell, Text) else cell


def print_fitting(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    described: Sequence[str],
    numeric: Container[str] = (),
    kept: Container[str] = (),
    at_last: Sequence[str] = (),
    see: str = "--columns",
) -> None:
    """Print a table; on a terminal what fits it, with a line on what all rows share and one on what is left out.

    There, a column without any value is left out in silence: it is of a step that none of these rows has.
    `described` are the columns that may be in these lines, `kept` those of them that are left out only where all rows
    share them; `at_last` are left out where the others are, and that is not enough; `see` names the options that print
    all.
    """
    if not sys.stdout.isatty():
        print_table(columns, rows, numeric)
        return
    by_name = [dict(zip(columns, row, strict=True)) for row in rows]
    shared = shared_cells(by_name, described) if len(rows) > 1 else {}
    has_values = [not rows or any(row[i] is not None for row in rows) for i in range(len(columns))]
    positions = [i for i, name in enumerate(columns) if name not in shared and has_values[i]]
    varying = [columns[i] for i in positions]
    cells = [tuple(row[i] for i in positions) for row in rows]
    droppable = [name for name in described if name not in shared and name not in kept]
    shown, cells = fit(varying, cells, console().width, droppable, at_last)
    print_table(shown, cells, numeric)
    hidden = [name for name in varying if name not in shown]
    for line in (shared_line(shared), f"Too wide to show, see {see}: {', '.join(hidden)}" if hidden else ""):
        if line:
            console().print(Text(f"\n{line}", style="dim"))
