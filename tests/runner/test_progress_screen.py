"""What is drawn of a run, as a user sees it on the screen of a terminal."""

import io
import json
import os
import re
import sys
import time

import pytest
from rich.console import Console
from rich.live_render import LiveRender

from neuroluigi.runner import progress_screen
from tests.terminal import Terminal, pyte

pytestmark = pytest.mark.usefixtures("terminal_environment")

STEPS = [("First", 4, 0), ("Second", 4, 1)]


def begin(steps=STEPS, log="results/run.log", at=100):
    return {"event": "begin", "at": at, "workers": 2, "log": log, "steps": steps}


def start(task, step, at, progress=""):
    name = f"{step}({task})"
    return {"event": "start", "task": task, "step": step, "name": name, "at": at, "progress": str(progress)}


def end(task, at, why="", tail=()):
    return {"event": "end", "task": task, "at": at, "is_done": not why, "why": why, "tail": list(tail)}


def run_of(*events, **of_begin):
    run = progress_screen.Run(0)
    for event in (begin(**of_begin), *events):
        run.handle(event)
    return run


@pytest.fixture
def terminal_environment(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


class Drawn:
    """A run as it is drawn at a time, again and again, on a terminal of that size."""

    def __init__(self, run, columns=80, rows=24, now=200):
        self._run, self._now = run, now
        self._live, self._file = LiveRender(""), io.StringIO()
        self._console = Console(file=self._file, width=columns, height=rows, force_terminal=True)
        self.screen = pyte.HistoryScreen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.draw()

    def draw(self, *above):
        progress_screen.draw(self._console, self._live, self._run, self._now, above)
        self._stream.feed(self._file.getvalue().replace("\n", "\r\n"))
        self._file.seek(self._file.truncate(0))
        return self

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def colours(self, line):
        """Return (character, colour) of what is in a line of the screen."""
        return [(one.data, one.fg) for _, one in sorted(self.screen.buffer[line].items()) if one.data.strip()]


class Display(Terminal):
    """A terminal in which progress_screen.py runs, and a run that sends it events."""

    def __init__(self, folder, **options):
        self._events = folder / "events"
        self.send(begin(at=time.time()))
        super().__init__([sys.executable, progress_screen.__file__, str(folder), str(os.getpid())], folder, **options)

    def send(self, *events):
        with self._events.open("a") as file:
            file.writelines(f"{json.dumps(event)}\n" for event in events)


def test_the_time_left_is_estimated_when_every_kind_of_step_that_is_left_has_ended():
    run = run_of(start("1", "First", 100), end("1", 110), start("2", "First", 110))
    assert run.seconds_left(112) is None
    for event in (start("3", "Second", 112), end("3", 116)):
        run.handle(event)
    # 3 of First at 10 s, 2 of Second at 4 s, 6 s of one of First are over, two workers.
    assert run.seconds_left(116) == (3 * 10 + 2 * 4 - 6) / 2
    # What lasts longer than others did takes nothing from those that wait.
    assert run.seconds_left(200) == (2 * 10 + 2 * 4) / 2


def test_what_failed_and_runs_again_has_not_failed():
    run = run_of(start("1", "First", 100), end("1", 101, "First(1): no"), start("1", "First", 102))
    assert (run.steps["First"].failed, run.steps["First"].running) == (0, 1)
    run.handle(end("1", 103))
    assert (run.steps["First"].done, run.steps["First"].failed, run.steps["First"].running) == (1, 0, 0)


@pytest.mark.parametrize("event", [{}, {"event": "no"}, {"event": "end", "task": 1}, {"event": "line", "text": 3}])
def test_an_event_that_is_malformed_changes_nothing(event):
    run = run_of(start("1", "First", 100))
    before = Drawn(run).lines
    assert run.handle(event) == [] and Drawn(run).lines == before


def test_bars_tasks_time_and_log(tmp_path):
    half, whole, odd = (tmp_path / name for name in ("half", "whole", "odd"))
    whole.write_text('{"k": 45, "n": 100, "message": "filtering channel 7\\n of many"}')
    half.write_text('{"k": 45, "n": 1')
    odd.write_text('{"k": 2, "n": Infinity, "message": ""}')
    run = run_of(start("a", "First", 110), end("a", 120), start("b", "Second", 120), end("b", 130))
    for event in (
        *(start("c", "Second", 130), end("c", 135, "no"), start("d", "Second", 195, half)),
        *(start("e", "First", 135, whole), start("f", "First", 200), start("g", "Other", 199, odd)),
    ):
        run.handle(event)
    drawn = Drawn(run)
    assert drawn.lines == [
        "First   ━━━━━━━━━━╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍──────────  1/4  2 running",
        "Second  ━━━━━━━━━━━━━━━━━━━━╍╍╍╍╍╍╍╍╍╍✗✗✗✗✗✗✗✗✗✗  2/4  1 failed, 1 running",
        "Other   ╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍  0/1  1 running",
        "Second(d)         5 s",
        "First(e)   1 min 05 s  ━━━━──────  45/100 filtering channel 7 of many",
        "First(f)          0 s",
        "Other(g)          1 s              2/inf",
        "1 min 40 s  log: results/run.log",
    ]
    # pyte's brown is yellow.
    assert {("━", "green"), ("╍", "brown"), ("─", "brightblack")} < set(drawn.colours(0))
    assert {("✗", "red"), ("f", "red"), ("r", "default")} < set(drawn.colours(1))
    narrow, narrower = (re.sub(r"([━╍✗─])\1*", r"\1", "\n".join(Drawn(run, n).lines)).splitlines() for n in (60, 40))
    assert narrow[1] == "Second  ━╍✗  2/4  1 failed" == narrower[1]
    assert narrow[4] == "First(e)   1 min 05 s  ━─  45/100 filtering channe…"
    assert narrower[4] == "First(e)   1 min 05 s  45/100"


def test_the_time_and_the_log_take_two_lines_where_they_have_to():
    events = [start("a", "First", 100), end("a", 170), start("b", "First", 170)]
    run = run_of(*events, steps=[("First", 4, 0)])
    time_line, log_line = "1 min 40 s, about 1 min 30 s left", "log: results/run.log"
    assert Drawn(run).lines[-1] == f"{time_line}  {log_line}"
    assert Drawn(run, columns=40).lines[-2:] == [time_line, log_line]
    assert Drawn(run, columns=40, rows=9).lines[-1] == f"{time_line}  log…"


def test_what_is_over_has_no_tasks_and_no_time_left():
    run = run_of(start("a", "First", 170), end("a", 180), start("b", "First", 180), steps=[("First", 3, 0)])
    run.handle({"event": "count", "steps": [("First", 3, 2)]})
    run.handle({"event": "stop"})
    assert Drawn(run).lines == [f"First  {'━' * 27}{'─' * 13}  2/3", "1 min 40 s  log: results/run.log"]


def test_failures_are_printed_above_with_the_end_of_their_logs():
    run = run_of(*(start(f"{n}", "First", 100) for n in range(7)), steps=[("First", 9, 0)])
    printed = [run.handle(end(f"{n}", 101, f"First({n}): no\nmore {n}", [f"tail {n}"])) for n in range(7)]
    drawn = Drawn(run)
    drawn.draw(*(one for above in printed for one in above), *run.handle({"event": "line", "text": "WARNING: [b]x"}))
    lines = drawn.lines
    assert lines[:3] == ["First(0): no", "    more 0", "    tail 0"]
    assert sum("tail" in line for line in lines) == 5 and lines[15:19] == [
        "First(5): no",
        "    more 5",
        "First(6): no",
        "    more 6",
    ]
    assert lines[19] == "WARNING: [b]x" and lines[20].startswith("First  ✗") and len(lines) == 22
    assert drawn.colours(0)[0] == ("F", "red") and drawn.colours(1)[0] == ("m", "default")


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (20, 4), (200, 60), (40, 3), (3, 24)])
@pytest.mark.parametrize("kinds", [1, 5, 40])
def test_any_terminal_has_room(size, kinds):
    columns, rows = size
    names = [f"Step{n}猫" * (1 + n % 4) for n in range(kinds)]
    run = run_of(steps=[(name, 1000, n) for n, name in enumerate(names)], log="x" * 300)
    for n in range(30):
        run.handle(start(f"猫 \x1b[2J\x07\u202e{n}" * 5, names[n % kinds], 0))
    run.handle(end("猫 \x1b[2J\x07\u202e3" * 5, 5, "no"))
    drawn = Drawn(run, columns, rows, now=5000)
    lines = drawn.lines
    assert len(lines) < rows or rows < 4
    assert all(drawn.screen.buffer[y][columns - 1].data == " " for y in range(rows)), "the last column is not free"
    assert not re.search(r"[\x00-\x1f\u202e]", "".join(lines))
    # What is drawn again takes the place of what was drawn.
    assert drawn.draw().draw().lines == lines and not drawn.screen.history.top
    if columns >= 40 and rows >= 10:
        # What failed is among what is shown, and what is not shown is counted.
        assert sum("failed" in line for line in lines) == 1
        hidden = re.search(r"and (\d+) more kinds", "\n".join(lines))
        assert sum("/1000" in line for line in lines) + int(hidden[1] if hidden else 0) == kinds
        hidden = re.search(r"and (\d+) more run", "\n".join(lines))
        assert sum(line.endswith(" 1 h 23 min") for line in lines) + int(hidden[1] if hidden else 0) == 29


@pytest.mark.parametrize(
    "parts", [(0, 0, 0, 0), (1, 2, 3, 4), (9999, 1, 1, 1), (0, 0, 1, 0), (1, 0, 0, 10**6), (0.3, 0, 0, 0.1)]
)
@pytest.mark.parametrize("width", [5, 10, 40])
def test_a_bar_is_full_and_shows_whatever_there_is(parts, width):
    file = io.StringIO()
    Console(file=file, width=width).print(progress_screen.Bar(parts))
    bar = file.getvalue().rstrip("\n")
    assert len(bar) == width and list(bar) == sorted(bar, key="━╍✗─".index)
    assert [sign in bar for sign in "━╍✗─"] == ([bool(part) for part in parts] if any(parts) else [False] * 3 + [True])


def test_a_log_can_not_steer_the_terminal():
    assert progress_screen.plain("a\x1b[31mb\x1b]0;title\x07c\x9bd\u202ee\tf\r\n") == "abcde    f"
    assert progress_screen.plain("\ud800") == "?"


def test_a_display_from_its_begin_to_its_end(tmp_path):
    display = Display(tmp_path)
    display.wait_for("0/4")
    # An event that is written in two parts, and one that a full disk has cut.
    with (tmp_path / "events").open("a", buffering=1) as file:
        event = json.dumps({"event": "line", "text": "WARNING: no licence"})
        file.write(event[:10])
        file.write(f"{event[10:]}\n{event[:10]}\n")
    display.wait_for("WARNING: no licence")
    display.resize(100, 24)
    display.send(start("1", "First", time.time()))
    display.wait_for("1 running")
    assert display.shown().count("0/4") == 1, "it is not drawn in place"
    # The terminal may have wrapped what was drawn, so that it stays and the rest follows below.
    display.resize(40, 24)
    display.wait_for(lambda: display.shown().count("log: results/run.log") == 2)
    display.send(end("1", time.time()), {"event": "stop"})
    assert display.end() == 0 and display.screen.cursor.x == 0 and not display.screen.cursor.hidden
    _, before, after = display.shown().partition("results/run.log")
    assert "0/4" not in after and re.search(r"^First +━+─+  1/4$", after, re.MULTILINE), before


def test_a_terminal_that_has_ascii_alone(tmp_path):
    display = Display(tmp_path, columns=60, env={"PYTHONIOENCODING": "ascii"})
    progress, now = tmp_path / "progress", time.time()
    progress.write_text('{"k": 1, "n": 2, "message": "a message that is cut at its end"}')
    display.send(start("猫", "First", now, progress), start("3", "Second", now))
    display.send(end("3", time.time(), "no…"))
    display.wait_for("1 failed")
    assert re.sub(r"\d+ s\b", "0 s", display.shown()).splitlines() == [
        "no~",
        "First   =======-------------------  0/4  1 running",
        "Second  ######xxxxxx--------------  1/4  1 failed",
        "",
        "First(??)     0 s  #####-----  1/2 a message that is cut a~",
        "0 s  log: results/run.log",
    ]
