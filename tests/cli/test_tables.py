"""Tables of a command: all columns in full width in a file, what fits on a terminal."""

import sys

import pytest
from rich.text import Text

from neuroluigi.cli import tables

COLUMNS = ("group", "mean")
ROWS = [("a [bold]b[/]", 1.5), ("c", None), (Text("✓ d", style="green"), 12)]


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that has standard output be a terminal of 80 columns, without colours."""

    def terminal():
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "dumb")

    return terminal


def test_in_a_file_a_table_is_plain_text_however_wide(capsys):
    tables.print_table(("group", "note"), [("a", "x" * 500)])
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["group", "note"] and line == "a      " + "x" * 500


def test_a_bracket_is_no_markup_and_numbers_are_on_the_right(capsys, terminal):
    tables.print_table(COLUMNS, ROWS)
    plain = capsys.readouterr().out.splitlines()
    terminal()
    tables.print_table(COLUMNS, ROWS)
    shown = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert shown[1].startswith("a [bold]b[/]") and shown[3].split() == ["✓", "d", "12"]
    assert [line.split() for line in plain] == [line.split() for line in shown]
    # The digits end below the heading.
    assert len(shown[0]) == len(shown[3]) == len(shown[1])


def test_so_many_rows_that_rich_would_take_seconds_are_plain(capsys, terminal):
    terminal()
    tables.print_table(("n",), [(n,) for n in range(1001)])
    assert len(capsys.readouterr().out.splitlines()) == 1002


def test_columns_that_do_not_fit_are_named_and_those_of_the_recordings_go_first(capsys, terminal):
    columns, row = ("group", "path", "mean"), ("a-even", "p" * 70, 143.5)
    terminal()
    tables.print_fitting(columns, [row], ["path"], ["mean"])
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[:2]] == [["group", "mean"], ["a-even", "143.5"]]
    assert "Too wide to show, see --columns: path" in " ".join(out.split())
    tables.print_fitting(columns, [("a-even", "p" * 50, 143.5)], ["path"], ["mean"])
    out = capsys.readouterr().out
    assert "p" * 50 in out and "Too wide" not in out


def test_the_console_wraps_no_line_in_a_file():
    assert tables.console().width == 10_000 and tables.console().soft_wrap
