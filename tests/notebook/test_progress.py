"""The line that shows how far a run is."""

import io
import sys
from types import SimpleNamespace

import pytest

from neuroluigi.notebook import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    # pytest has its own in place of Python's.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=Terminal(), modules=sys.modules))
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    return progress.sys.stderr


def test_a_line_on_a_terminal_changes(copied, terminal):
    (copied.folder / "results" / "n" / "edges.npy").unlink()
    assert copied.run()
    lines = terminal.getvalue().split("\r")
    assert lines[1].startswith("0 of 1 made: Edges(group=n") and lines[-1] == "1 of 1 made\x1b[K\n"


def test_nothing_is_shown_where_it_is_not_wanted_or_nothing_is_made(copied, terminal):
    assert copied.run()
    (copied.folder / "results" / "n" / "edges.npy").unlink()
    assert copied.run(progress=False)
    assert terminal.getvalue() == ""


def test_a_long_line_is_shortened(terminal):
    progress._on_terminal(0.5, "begin " + 200 * "x" + " end", False)
    shown = terminal.getvalue().removesuffix("\x1b[K")
    assert len(shown) == 79 and shown.startswith("\rbegin") and shown.endswith("end")
