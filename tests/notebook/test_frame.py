"""The small table that stands for pandas, and tables in HTML."""

import csv

import numpy as np
import pandas
import pytest

from neuroluigi.notebook.frame import Table, frame, html_table


@pytest.fixture
def table():
    return Table({"name": ["a", "=b"], "mean": np.array([1.5, np.nan]), "count": [3, None]})


def test_columns_and_rows(table):
    assert len(table) == 2 and table.columns == ["name", "mean", "count"]
    assert table.rows == [{"name": "a", "mean": 1.5, "count": 3}, {"name": "=b", "mean": None, "count": None}]
    assert table["count"] == [3, None] and repr(table) == "<2 rows of name, mean, count>"
    with pytest.raises(KeyError, match="there is no column 'max'; there are: name, mean, count"):
        table["max"]


def test_csv_is_what_is_there(table, tmp_path):
    table.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name", "mean", "count"], ["a", "1.5", "3"], ["=b", "", ""]]


def test_html_is_escaped_and_the_middle_of_many_rows_is_left_out():
    shown = html_table(["<b>"], [(f"row {n}&",) for n in range(60)])
    assert "<b>" not in shown and "&lt;b&gt;" in shown and "row 24&amp;" in shown and "row 35&amp;" in shown
    assert "row 25" not in shown and "row 34" not in shown and "60 rows, of which 10 are not shown" in shown


def test_with_pandas_it_is_a_data_frame():
    found = frame({"a": [1, None]})
    assert isinstance(found, pandas.DataFrame) and np.isnan(found["a"][1])
