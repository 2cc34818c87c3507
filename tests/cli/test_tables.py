"""Tables of a command: all columns in full width in a file, what fits on a terminal."""

import csv
import io
import json
import re
import sys

import pytest
from rich.text import Text

from neuroluigi.cli import tables
from tests import commands
from tests.conftest import BIN, clean_environment
from tests.terminal import Terminal

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


def test_on_a_terminal_a_column_without_any_value_is_left_out(capsys, terminal):
    rows = [(0, None, 1.5), (1, None, None)]
    tables.print_fitting(("channel", "edges", "rate_hz"), rows, ())
    assert "edges" in capsys.readouterr().out
    terminal()
    tables.print_fitting(("channel", "edges", "rate_hz"), rows, ())
    assert capsys.readouterr().out.splitlines()[0].split() == ["channel", "rate_hz"]
    tables.print_fitting(("channel", "edges"), [], ())
    assert capsys.readouterr().out.split() == ["channel", "edges"]


def test_on_a_terminal_what_all_rows_share_and_what_does_not_fit_is_named_below(capsys, terminal):
    columns = ("group", "path", "dtype", "channel", "mean")
    rows = [(f"g{n}", f"{n}" * 70, "int16", n, 143.5) for n in (1, 2)]
    tables.print_fitting(columns, rows, ("channel", "path", "dtype"), (), kept=("channel",))
    assert capsys.readouterr().out.splitlines()[1].split() == ["g1", "1" * 70, "int16", "1", "143.5"]
    terminal()
    tables.print_fitting(columns, rows, ("channel", "path", "dtype"), (), kept=("channel",))
    header, first, _, *below = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert header.split() == ["group", "path", "channel", "mean"]
    assert first.split()[1:] == [f"{'1' * 28}…{'1' * 28}", "1", "143.5"] and len(first) == 80
    assert below == ["", "In all rows: dtype int16."]
    wide = (*columns, *(f"res_{n}" for n in range(6)))
    tables.print_fitting(wide, [(*row, *range(6)) for row in rows], ("channel", "path", "dtype"), kept=("channel",))
    header, *_, last = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert header.split()[:3] == ["group", "channel", "mean"] and last == "Too wide to show, see --columns: path"
    # Of one row alone nothing is shared.
    tables.print_fitting(columns, rows[:1], ("path", "dtype"))
    assert "In all rows" not in capsys.readouterr().out


def test_the_console_wraps_no_line_in_a_file():
    assert tables.console().width == 10_000 and tables.console().soft_wrap


def test_text_of_a_console_controls_no_terminal(capsys, terminal):
    terminal()
    tables.console().print(Text("a\x1b[2J\x9b\u202eb", style="red"))
    tables.print_table(("name\x1b]0;x\x07",), [(Text("✓ \x1b[31mc"),)])
    assert not EVIL.search(capsys.readouterr().out)


# What no command may print: all control characters and sequences, but for those of its own colours and bars.
EVIL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WORD = "\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\r\u202e"

# A table, values, a message, a log, files and an option that have what a terminal would obey.
STEPS = f"""
WORD = {WORD!r}

class Fails(GroupTask):
    odd = luigi.Parameter(default=WORD)
    def output(self):
        return self.result("fails.txt")
    def make(self, out):
        print("log", WORD)
        logging.getLogger("luigi-interface").warning("message %s", WORD)
        self.report_progress(1, 2, WORD)
        if self.group == "b":
            print(WORD, file=sys.stderr)
            warnings.warn(WORD)
            raise ValueError(f"reason {{WORD}}")
        (self.folder / f"note {{WORD}}").write_text("x")
        out.write_text("x")

class All(WrapperTask):
    def requires(self):
        return [Fails(group) for group in groups()]
"""

COMMANDS = [
    ("status",),
    ("status", "--json"),
    ("why", "Fails", "b"),
    ("why", "Fails", "b", "--json"),
    ("why", "Fails", WORD),
    ("results",),
    ("results", "--csv"),
    ("results", "--json"),
    ("results", "--where", f"{WORD}=1"),
    ("events", WORD),
    ("recordings",),
    ("recordings", "--json"),
    ("doctor",),
    ("verify",),
    ("verify", "--json"),
    ("clean", "--orphans", "--dry-run"),
    ("diagram",),
    ("report",),
    ("export", "rocrate", "--name", WORD),
    ("run", "--no-such", WORD),
    (WORD,),
]


@pytest.fixture
def evil(pipeline):
    """A lab in which names, values, messages and logs are full of control characters, after a run."""
    pipeline.add(f"import logging, luigi, sys, warnings\n{STEPS}")
    real = pipeline.folder / "real"
    real.mkdir()
    for session in "ab":
        (real / f"{session}.bin").write_bytes(b"1234")
    rows = [f'{session},0,{session}.bin,"=1{WORD}"' for session in "ab"]
    (real / "recordings.csv").write_text("\n".join(["session,index,path,note", *rows]), encoding="utf-8", newline="")
    config = pipeline.folder / "luigi.cfg"
    text = config.read_text(encoding="utf-8").replace("\nroot =\n", "\nroot = real\n", 1)
    config.write_text(text.replace("task = PlotAll", "task = All"), encoding="utf-8")
    return pipeline


def test_no_command_lets_a_name_a_value_or_a_message_control_the_terminal(evil):
    out = evil.run("All", "--workers", "2", code=30)
    assert "reason" in out and "message" in out and "title" not in out
    assert not EVIL.search(out)
    assert not EVIL.search((evil.results / "run.log").read_bytes().decode())
    for words in COMMANDS:
        command = [BIN / "neuroluigi", *words]
        done = commands.run(command, cwd=evil.folder, env=clean_environment(), capture_output=True, encoding="utf-8")
        assert (done.stdout or done.stderr) and "Traceback" not in done.stderr, (words, done.stderr)
        assert not EVIL.search(done.stdout + done.stderr), words
        if "--json" in words:
            json.loads(done.stdout)


def test_on_a_terminal_neither_and_colours_stay(evil):
    for command in (["luigi", "--module", "tasks", "All", "--local-scheduler"], ["neuroluigi", "status"]):
        terminal = Terminal([str(BIN / command[0]), *command[1:]], evil.folder, columns=120)
        assert terminal.end() in (1, 30)
        assert "\x1b[3" in terminal.text
        # Sequences of rich and of the terminal's own line ends are all that is left.
        rest = re.sub("\x1b\\[[0-9;?]*[A-Za-z]|\r\n|\r", "", terminal.text)
        assert "red" in rest and not EVIL.search(rest) and "\x1b[31mred" not in terminal.text


def test_csv_is_for_spreadsheets_unless_it_is_raw(evil):
    def notes(*words):
        command = [BIN / "neuroluigi", "results", "--columns", "note", "--csv", *words]
        options = {"cwd": evil.folder, "env": clean_environment(), "stdout": commands.PIPE}
        text = commands.run(command, **options).stdout.decode()
        return [note for (note,) in csv.reader(io.StringIO(text, newline=""))]

    # In the table, every end of a line counts as one.
    assert notes() == ["note", "'=1red2J\n", "'=1red2J\n"]
    assert notes("--raw") == ["note", *[f"=1{WORD}".replace("\r", "\n")] * 2]
