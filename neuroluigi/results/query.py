"""Queries on results: names and conditions as people type them, checked against what there is."""

import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroluigi.results.output import Cell

_CONDITION = re.compile(r"([^=!<>]+)(!=|<=|>=|==?|<|>)(.*)", re.DOTALL)

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


_MOST_NAMED = 100


class QueryError(ValueError):
    """A query that can't be answered; the message says in one line why, and which names there are."""


@dataclass(frozen=True)
class Condition:
    """A condition on one column, such as mean > 120."""

    column: str
    sign: str
    wanted: str

    def holds(self, row: Mapping[str, Cell]) -> bool:
        """Compare as numbers where both sides are, else as text; a blank cell is neither below nor above anything."""
        cell = row.get(self.column)
        if (cell is None or _is_nan(cell)) and self.sign not in ("=", "!="):
            return False
        left, right = as_number(cell), as_number(self.wanted)
        if left is None or right is None:
            return _COMPARE[self.sign]("" if cell is None else str(cell), self.wanted)
        return _COMPARE[self.sign](left, right)


def _is_nan(cell: str | int | float) -> bool:
    try:
        return math.isnan(float(cell))
    except ValueError:
        return False


def as_number(cell: Cell) -> int | float | None:
    """Return a cell, or a value from the command line, as a number; None where it is not one."""
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
    """Read a condition such as `mean>120`; QueryError where it is not one or names no column."""
    # A column may be named like a condition: a=b.
    named = sorted((name for name in columns if text.startswith(name)), key=len, reverse=True)
    found = (_CONDITION.fullmatch(f"x{text[len(name) :]}") for name in named)
    for name, match in zip(named, found, strict=True):
        if match and match[1].strip() == "x":
            return Condition(name, match[2].replace("==", "="), match[3].strip())
    match = _CONDITION.fullmatch(text)
    if not match:
        raise QueryError(f"{text!r} is not a condition; write a column, one of = != < <= > >=, and a value: 'mean>120'")
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
