"""Tables as text, and which columns fit a terminal."""

import csv
import io
import json

import pytest

from neuroluigi.results.output import fitting_columns, write_csv, write_json, write_text


def test_what_does_not_fit_a_terminal_goes_the_same_in_all_rows_first():
    columns, rows = ["group", "dtype", "path", "mean"], [("a", "int16", "x" * 50, 1.5), ("b", "int16", "y" * 50, 2)]
    assert fitting_columns(columns, rows, 80, ["dtype", "path"]) == columns
    assert fitting_columns(columns, rows, 66, ["dtype", "path"]) == ["group", "path", "mean"]
    assert fitting_columns(columns, rows, 20, ["dtype", "path"]) == ["group", "mean"]


def test_text_obeys_no_escape_sequence():
    out = io.StringIO()
    write_text(["note", "n"], [[("a\x1b[31m\nb", 1.23456789)]], out)
    assert out.getvalue() == "note            n\na [31m b  1.23457\n"


NUMBERS = ["-1", "+2.5", "-.5", "-1.", "-1e-9", "+1E5", "12", "-007"]
TEXTS = ["a-even", "a=1", "", " =1", "'=1", "1-2", "ü", "a@b"]
FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\n=1", "=", "-", "-inf", "+nan", "-1\n", "--1", "＝1"]
FORMULAS += ['=HYPERLINK("http://evil.example")', "-2+3+cmd|' /C calc'!A0", "-1 e5", "-١"]


@pytest.mark.parametrize("cell", [*NUMBERS, *TEXTS, *FORMULAS, -1.5, -2, float("-inf"), None])
def test_what_a_spreadsheet_would_compute_begins_with_an_apostrophe_but_not_numbers(cell):
    def written(**options):
        out = io.StringIO()
        write_csv(["name", cell if isinstance(cell, str) else "x"], [[["a", cell]]], out, **options)
        out.seek(0)
        header, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
        return {header[1], row[1]} if isinstance(cell, str) else {row[1]}

    as_text = "" if cell is None else str(cell)
    assert written() == {f"'{as_text}" if cell in FORMULAS else as_text}
    assert written(is_raw=True) == {as_text}


def test_an_end_of_line_of_other_systems_is_no_harmless_beginning():
    # csv quotes it in no release of Python so that it could be read back.
    out = io.StringIO()
    write_csv(["name"], [[["\r=1"]]], out)
    assert out.getvalue() == "name\n'\r=1\n"


def test_json_is_the_same_data_without_a_control_character():
    out = io.StringIO()
    write_json(["note"], [[["=1\x1b\x9b\x7f\u202eü"]]], out)
    assert json.loads(out.getvalue()) == [{"note": "=1\x1b\x9b\x7f\u202eü"}]
    assert out.getvalue() == '[\n{"note": "=1\\u001b\\u009b\\u007f\\u202eü"}\n]\n'
