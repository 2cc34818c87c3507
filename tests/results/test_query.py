"""Conditions as people type them."""

import pytest

from neuroluigi.results.query import QueryError, parse_condition
from neuroluigi.results.table import Table, select_rows


@pytest.mark.parametrize(
    ("condition", "cell", "holds"),
    [
        ("x=1.0", 1, True),
        ("x==1", 1, True),
        ("x = 20", "20", True),
        ("x>9", "10", True),
        ("x>9", 10, True),
        ("x<9", "10", False),
        ("x>=1e3", 1000, True),
        ("x!=a", "b", True),
        ("x<b", "a", True),
        ("x>120", "Infinity", True),
        ("x<=20260131235959998", 20260131235959999, False),
        ("x=", None, True),
        ("x!=", None, False),
        ("x!=3", None, True),
        ("x<3", None, False),
        ("x>a", None, False),
        ("x=1_0", 10, False),
        ("x=1.1", "1.10", True),
        ("x=1.10", "1.11", False),
        ("x=0.1", 0.1, True),
        ("x=.5", "5e-1", True),
        ("x>1e400", "1e401", True),
        ("x=0.12345678901234567890", "0.12345678901234567891", False),
        ("x<1", "-Infinity", True),
        ("x=a=b", "a=b", True),
    ],
)
def test_conditions(condition, cell, holds):
    assert parse_condition(condition, ["x"], ["x"]).holds({"x": cell}) is holds


@pytest.mark.parametrize(
    ("condition", "cell", "holds"),
    [
        ("x=1", "1", True),
        ("x=1", "1.0", False),
        ("x=1.0", "1", False),
        ("x=7", "007", False),
        ("x=1e5", "1E5", False),
        ("x=day1.0", "day1.0", True),
        ("x<9", "10", True),
        ("x=1e999", "Infinity", False),
    ],
)
def test_conditions_on_text(condition, cell, holds):
    assert parse_condition(condition, ["x"]).holds({"x": cell}) is holds


def test_conditions_that_are_none():
    for text in ("x", "=3", ""):
        with pytest.raises(QueryError, match="is not a condition"):
            parse_condition(text, ["x"])


def test_a_column_may_be_named_like_a_condition_and_nan_is_above_nothing():
    table = Table(["a=b", "a", "x<y"], [], [{"a=b": "1", "a": "nan", "x<y": 3.0}], [])
    for condition, holds in (("a=b=1", True), ("a=b=2", False), ("x<y>2", True), ("x<y<2", False), ("a>5", False)):
        _, rows = select_rows(table, [condition])
        assert bool(rows) == holds, condition
