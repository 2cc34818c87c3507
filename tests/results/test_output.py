"""Tables as text, and which columns fit a terminal."""

import io

from neuroluigi.results.output import fitting_columns, write_text


def test_what_does_not_fit_a_terminal_goes_the_same_in_all_rows_first():
    columns, rows = ["group", "dtype", "path", "mean"], [("a", "int16", "x" * 50, 1.5), ("b", "int16", "y" * 50, 2)]
    assert fitting_columns(columns, rows, 80, ["dtype", "path"]) == columns
    assert fitting_columns(columns, rows, 66, ["dtype", "path"]) == ["group", "path", "mean"]
    assert fitting_columns(columns, rows, 20, ["dtype", "path"]) == ["group", "mean"]


def test_text_obeys_no_escape_sequence():
    out = io.StringIO()
    write_text(["note", "n"], [[("a\x1b[31m\nb", 1.23456789)]], out)
    assert out.getvalue() == "note            n\na [31m b  1.23457\n"
