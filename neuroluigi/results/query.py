"""Queries on results: names and conditions as people type them, checked against what there is."""

import difflib
import operator
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from neuroluigi.results.output import Cell

_CONDITION = re.compile(r"([^=!<>]+)(!=|<=|>=|==?|<|>)(.*)", re.DOTALL)

# As JSON writes a number, so that a subject 007 stays text; stats.json has those that are not finite as texts.
_NUMBER = re.compile(r"-?((0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?|Infinity)", re.ASCII)

# By the sign of a condition; of arrays, too.
COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
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
    """A condition on one column, such as mean > 120; `is_numeric`: it holds numbers alone."""

    column: str
    sign: str
    wanted: str
    is_numeric: bool = False

    def holds(self, row: Mapping[str, Cell]) -> bool:
        """Compare as numbers in a column of numbers, else as text; a blank cell is neither below nor above anything."""
        cell = row.get(self.column)
        if (cell is None or str(cell).lower() == "nan") and self.sign not in ("=", "!="):
            return False
        left, right = as_number(cell), as_typed_number(self.wanted)
        if not self.is_numeric or left is None or right is None:
            return COMPARE[self.sign]("" if cell is None else str(cell), self.wanted)
        # What is computed is a float: 0.1 is the one nearest to a tenth.
        return COMPARE[self.sign](left, float(right) if isinstance(left, float) else right)


def as_number(cell: Cell) -> int | float | Decimal | None:
    """Return a cell as a number, with all digits; None where it is none. 007 is a name, not a number."""
    if not isinstance(cell, str):
        return cell
    return _decimal(cell) if _NUMBER.fullmatch(cell) else None


def as_typed_number(text: str) -> Decimal | None:
    """Return a number as people type it, such as .5 or 1e3; None where it is none."""
    # Python alone reads 1_2 as 12, and nan is what lacks a number.
    number = None if "_" in text else _decimal(text)
    return None if number is None or number.is_nan() else number


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:  # also for an exponent that no number has
        return None


def parse_condition(text: str, columns: Sequence[str], numeric: Container[str] = ()) -> Condition:
    """Read a condition such as `mean>120`; QueryError where it is not one or names no column.

    `numeric` are the columns that hold numbers alone.
    """
    # A column may be named like a condition: a=b.
    named = sorted((name for name in columns if text.startswith(name)), key=len, reverse=True)
    found = (_CONDITION.fullmatch(f"x{text[len(name) :]}") for name in named)
    for name, match in zip(named, found, strict=True):
        if match and match[1].strip() == "x":
            return Condition(name, match[2].replace("==", "="), match[3].strip(), name in numeric)
    match = _CONDITION.fullmatch(text)
    if not match:
        raise QueryError(f"{text!r} is not a condition; write a column, one of = != < <= > >=, and a value: 'mean>120'")
    name, sign, wanted = match.groups()
    name = check_known("column", name.strip(), columns)
    return Condition(name, sign.replace("==", "="), wanted.strip(), name in numeric)


def check_known(what: str, name: str, known: Sequence[str]) -> str:
    """Return `name`; QueryError with the right ones, the nearest first, where it is none of them."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? The" if near else "the"
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    raise QueryError(f"there is no {what} {name!r}; {hint} {what}s are: {', '.join(known[:_MOST_NAMED])}{more}")
