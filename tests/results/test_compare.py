"""The numbers of variants side by side: differences, and which numbers differ."""

import pytest

from neuroluigi.results.compare import (
    choose_variants,
    compare_variants,
    differing_numbers,
    numbers_of,
    select_compared,
)
from neuroluigi.results.query import QueryError
from neuroluigi.results.table import Table, cells_for_the_eye


def row(group, variant, channel, **cells):
    return {"group": group, "variant": variant, "area": "ctx", "channel": channel, **cells}


@pytest.fixture
def table() -> Table:
    """Group a has two channels and two variants; of b the variant strict has results alone; none touches c."""
    rows = [
        row("a", None, 0, mean=1.5, edges=7, flag=""),
        row("a", None, 1, mean=2.5, edges=9, flag=""),
        row("a", "strict", 0, mean=1.5, edges=4, flag="candidate"),
        row("a", "strict", 1, mean=2.5, edges=None, flag=""),
        row("a", "loose", 0, mean=1.5, edges=7, flag=""),
        row("a", "loose", 1, mean=2.5, edges=9.5, flag=""),
        row("b", None, 0, mean="Infinity", edges=3, flag=""),
        row("b", "strict", 0, mean="Infinity", edges=3, flag=""),
        row("c", None, 0, mean=0.0, edges=1, flag=""),
    ]
    columns = ["group", "variant", "area", "channel", "mean", "edges", "flag"]
    numeric = frozenset({"channel", "mean", "edges"})
    hidden = {("a@strict", "edges"): "failed", ("a", "mean"): "missing"}
    return Table(columns, ["area"], rows, [], ["edges"], numeric, hidden, variant="variant")


def test_each_number_has_its_difference_from_the_first_variant(table):
    compared = compare_variants(table, ["base", "strict", "loose"])
    found = [[one.get(n) for n in ("group", "channel", "variant", "edges", "edges - base")] for one in compared.rows]
    assert found == [
        ["a", 0, "base", 7, None],
        ["a", 0, "strict", 4, -3],
        ["a", 0, "loose", 7, 0],
        ["a", 1, "base", 9, None],
        ["a", 1, "strict", None, None],
        ["a", 1, "loose", 9.5, 0.5],
        ["b", 0, "base", 3, None],
        ["b", 0, "strict", 3, 0],
    ]
    # What is infinite has no difference.
    assert "mean - base" not in compared.rows[-1]
    assert cells_for_the_eye(compared, ["edges"], [compared.rows[4]]) == [("!",)]
    reverse = compare_variants(table, ["strict", "base"])
    assert [(one["variant"], one.get("edges - strict")) for one in reverse.rows[:2]] == [("strict", None), ("base", 3)]


def test_numbers_that_differ_are_shown_or_all(table):
    assert numbers_of(table) == ["mean", "edges"]
    assert differing_numbers(table, table.rows, ["mean", "edges"]) == ["edges"]
    compared, place = compare_variants(table, ["base", "strict"]), ["group", "channel", "variant"]
    shown, _ = select_compared(compared, "base", [], [], [], has_all=False)
    assert shown == [*place, "edges", "edges - base"]
    shown, rows = select_compared(compared, "base", ["group=b", "area=ctx"], ["-variant"], [], has_all=False)
    assert shown == place and [one["variant"] for one in rows] == ["strict", "base"]
    shown, _ = select_compared(compared, "base", ["group=b"], [], [], has_all=True)
    assert shown == [*place, "mean", "mean - base", "edges", "edges - base"]
    assert select_compared(compared, "base", [], [], ["edges - base"], has_all=False)[0] == ["edges - base"]


def test_variants_with_results_are_chosen_and_others_refused(table):
    assert choose_variants(table, []) == ["base", "strict", "loose"]
    assert choose_variants(table, ["loose", "base", "loose"]) == ["loose", "base"]
    with pytest.raises(QueryError, match="variant new has no results yet; make them: neuroluigi run --variants new"):
        choose_variants(table, ["base", "new"])
    with pytest.raises(QueryError, match="with what is base to be compared"):
        choose_variants(table, ["base"])
    with pytest.raises(QueryError, match="there are no results of variants"):
        choose_variants(Table(["group", "channel"], [], [{"group": "a", "channel": 0}], []), [])
