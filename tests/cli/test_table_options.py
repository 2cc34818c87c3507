"""Tables of results as CSV, as JSON and for the eye."""

import pytest

from neuroluigi.cli.table_options import words_of, write_rows
from neuroluigi.results.table import Table

ROWS = [{"group": "a", "variant": None, "n": 1, "x": None}, {"group": "a", "variant": "=v", "n": 2, "x": 0.123456789}]
TABLE = Table(["group", "variant", "n", "x"], [], ROWS, ["a note"], numeric=frozenset({"n", "x"}), variant="variant")


@pytest.mark.parametrize(
    ("form", "is_raw", "expected"),
    [
        ("csv", False, "group,variant,n,x\na,,1,\na,'=v,2,0.123456789\n"),
        ("csv", True, "group,variant,n,x\na,,1,\na,=v,2,0.123456789\n"),
        ("json", False, '[\n{"group": "a", "variant": null, "n": 1, "x": null},\n'
         '{"group": "a", "variant": "=v", "n": 2, "x": 0.123456789}\n]\n'),
        ("", False, "group  variant  n         x\na               1\na      =v       2  0.123457\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("has_all", [True, False])
def test_rows_in_each_form(capsys, form, is_raw, expected, has_all):
    write_rows(TABLE, TABLE.columns, ROWS, form, is_raw, has_all)
    assert capsys.readouterr() == (expected, "neuroluigi: a note\n")


def test_columns_are_words_between_commas():
    assert words_of(" a, edges - base,,") == ["a", "edges - base"] and words_of("") == []
