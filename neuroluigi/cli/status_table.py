"""The states of all results on a terminal: a table of groups and steps, or where that is too wide, lines per group."""

import sys
from collections.abc import Iterator, Sequence

from rich.text import Text

from neuroluigi.cli.tables import console, print_table
from neuroluigi.results.output import Cell
from neuroluigi.results.status import SIGNS, ResultStatus, state_table, step_progress

# Between two columns, or two steps of a line.
_GAP = "  "


def print_states(entries: Sequence[ResultStatus]) -> None:
    """Print the state of each step of each group, and how many results of each step need nothing."""
    steps, rows = state_table(entries)
    counted = step_progress(entries)
    columns = ("group", *steps)
    cells: list[list[Cell | Text]] = [[key, *map(_cell, states)] for key, *states in rows]
    cells.append(["", *(f"{bar} {done}/{total}" for _, done, total, bar in counted)])
    width, texts = console().width, [list(map(str, row)) for row in cells]
    if _width(columns, texts) <= width:
        print_table(columns, cells if sys.stdout.isatty() else texts)
        return
    for line in state_lines(steps, rows, width):
        console().print(line)
    counts = (Text(f"{step} {done}/{total}") for step, done, total, _ in counted)
    for line in _filled(list(counts), width):
        console().print(line)


def state_lines(steps: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[Text]:
    """Yield lines with the steps that each group has, each with the sign of its state; at last what the signs mean.

    `rows` are those of state_table(). What would narrow the steps to less than half has a line of its own.
    """
    names = [row[0] for row in rows if len(row[0]) <= width // 3]
    indent = max(map(len, names), default=0) + len(_GAP) if names else 4
    for key, *states in rows:
        marked = [_marked(step, name) for step, name in zip(steps, states, strict=True) if name]
        lines = list(_filled(marked, width - indent))
        first = key.ljust(indent) if len(key) + len(_GAP) <= indent else ""
        if not first:
            yield Text(key)
        for number, line in enumerate(lines):
            yield Text(first if number == 0 and first else " " * indent) + line
    found = {name for _, *states in rows for name in states if name}
    yield Text()
    yield from _filled([_cell(name) for name in SIGNS if name in found], width)


def _filled(parts: Sequence[Text], width: int) -> Iterator[Text]:
    """Yield lines of parts, as many in each as there is room for."""
    line = Text()
    for part in parts:
        if line and len(line) + len(_GAP) + len(part) > width:
            yield line
            line = Text()
        line += Text(_GAP if line else "") + part
    yield line


def _cell(name: str) -> Text:
    return _marked(name, name) if name else Text()


def _marked(text: str, state: str) -> Text:
    sign, colour = SIGNS[state]
    return Text(f"{sign} {text}", style=colour)


def _width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, texts)) for texts in zip(columns, *rows, strict=True)]
    return sum(widths) + len(_GAP) * (len(widths) - 1)
