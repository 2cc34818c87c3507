"""Tables as text, and which columns fit a terminal."""

import csv
import io
import json

import pytest

from neuroluigi.results.output import (
    fit,
    shared_cells,
    shared_line,
    write_csv,
    write_json,
    write_json_object,
    write_text,
)


def test_what_does_not_fit_a_terminal_is_shortened_and_then_the_widest_is_left_out():
    columns = ["group", "path", "serial", "mean"]
    rows = [("a-even", "raw/" + "p" * 40 + "/rec_0.bin", "1" * 19, 1.25), ("b", "rec_1.bin", None, 1024)]
    assert fit(columns, rows, 100, ["path", "serial"]) == (columns, rows)
    # 6 + 26 + 19 + 4 characters, and two between each
    names, shown = fit(columns, rows, 61, ["path", "serial"])
    assert names == columns and [row[1] for row in shown] == ["raw/ppppppppp…pp/rec_0.bin", "rec_1.bin"]
    assert fit(columns, rows, 40, ["path", "serial"])[0] == ["group", "serial", "mean"]
    assert fit(columns, rows, 20, ["path", "serial"]) == (["group", "mean"], [("a-even", 1.25), ("b", 1024)])
    # What may not be left out stays, however wide.
    assert fit(columns, rows, 20, [])[0] == columns
    # What may be left out at last is there as long as leaving out others is enough.
    assert fit(columns, rows, 20, ["path", "serial"], ["mean"])[0] == ["group", "mean"]
    assert fit(columns, rows, 8, ["path", "serial"], ["mean"])[0] == ["group"]


def test_no_two_shortened_values_are_one():
    names = [f"mouse-2026-{n}-a-session-with-a-long-name" for n in (10, 11, 20)]
    _, shown = fit(["group"], [(name,) for name in names], 20, [])
    short = [row[0] for row in shown]
    assert len(set(short)) == 3 and max(map(len, short)) < len(names[0]) and short[0].startswith("mouse-2026-10…")


def test_what_all_rows_share_is_one_sentence():
    rows = [{"dtype": "int16", "note": None, "path": "p" * 50, "n": n} for n in (1, 2)]
    shared = shared_cells(rows, ["dtype", "note", "path", "n"])
    assert shared == {"dtype": "int16", "note": None, "path": "p" * 50}
    assert shared_line(shared) == f"In all rows: dtype int16, path {'p' * 20}…{'p' * 19}."
    assert shared_line({"note": None}) == ""


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


@pytest.mark.parametrize("named", [{}, {"a": 1}, {"a": {"b": [1, "神\x1b[31m\n}"]}, '"c': [], "d": {}, "": None}])
def test_a_json_object_is_what_json_itself_reads_without_a_control_character(named):
    out = io.StringIO()
    write_json_object(named.items(), out)
    assert json.loads(out.getvalue()) == named and "\x1b" not in out.getvalue()


def test_a_json_object_has_a_line_for_each_field_and_each_object_in_a_list():
    out = io.StringIO()
    write_json_object([("a", {"list": [{"x": 1, "y": [{"z": 2}]}, {}], "flat": [1, "é"]}), ("b", {})], out)
    lines = ["{", ' "a": {', '  "list": [', '   {"x": 1, "y": [{"z": 2}]},', "   {}", "  ],"]
    assert out.getvalue().splitlines() == [*lines, '  "flat": [1, "é"]', " },", ' "b": {}', "}"]


def test_of_a_json_object_one_value_after_the_other_is_asked_for_and_written():
    out, written = io.StringIO(), []

    def items():
        for name in "abc":
            written.append(out.getvalue().count("x"))
            yield name, "x"

    write_json_object(items(), out)
    assert written == [0, 1, 2]
