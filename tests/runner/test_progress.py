"""The display of a run on a terminal: real runs under a pseudo-terminal, whose screen is read as a user sees it."""

import codecs
import os
import re
import select
import signal
import struct
import time
from pathlib import Path

import psutil
import pytest
from rich.cells import cell_len

from neuroluigi.provenance.run_record import read_run_record, run_log_path, was_killed
from neuroluigi.runner import progress_screen
from tests.conftest import BIN, Pipeline, clean_environment

pyte = pytest.importorskip("pyte")
fcntl, pty, termios = map(pytest.importorskip, ("fcntl", "pty", "termios"))

SECONDS = 60
BACK = "back in the shell"

TASKS = """
import logging, os, subprocess, sys, time
import luigi
from neuroluigi import StudyTask, WrapperTask

def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)

class First(StudyTask):
    n = luigi.IntParameter()
    filename_parameters = ("n",)
    def output(self):
        return self.result(f"first-{self.n}.txt")
    def make(self, out):
        FIRST
        out.write_text("first")

class Second(StudyTask):
    n = luigi.IntParameter()
    filename_parameters = ("n",)
    def requires(self):
        return First(self.n)
    def output(self):
        return self.result(f"second-{self.n}.txt")
    def make(self, out):
        SECOND
        out.write_text("second")

class All(WrapperTask):
    count = luigi.IntParameter(default=4)
    def requires(self):
        return [Second(n) for n in range(self.count)]
"""


class Lab(Pipeline):
    """A folder with two steps for each number; what they do beside writing their file is given."""

    def __init__(self, folder, first="pass", second="pass"):
        super().__init__(folder)
        (folder / "tasks.py").write_text(TASKS.replace("FIRST", first).replace("SECOND", second))

    def open(self, *arguments, **options):
        return Terminal(self.folder, "All", "--local-scheduler", *arguments, **options)


class Terminal:
    """A terminal of that size in which `luigi` runs; `screen` is what it shows, `text` all that it ever got."""

    def __init__(self, folder, *arguments, columns=80, rows=24, env=None):
        self.text, self.is_quiet = "", False
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream = pyte.Stream(self.screen)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        # A shell, so that the terminal is there for longer than the run.
        script = f'trap : INT; "$@"; code=$?; echo {BACK}; exit $code'
        command = ["sh", "-c", script, "sh", str(BIN / "luigi"), "--module", "tasks", *map(str, arguments)]
        self._shell, self._master = pty.fork()
        if not self._shell:
            os.chdir(folder)
            environment = {**clean_environment(), "TERM": "xterm-256color", **(env or {})}
            os.execvpe(command[0], command, environment)
        self.resize(columns, rows)

    def resize(self, columns, rows):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def press(self, keys):
        os.write(self._master, keys)

    def read(self, seconds=0.05):
        """Take in what came; false when nothing more will."""
        self.is_quiet = not select.select([self._master], [], [], seconds)[0]
        if not self.is_quiet:
            try:
                data = self._decode(os.read(self._master, 1 << 16))
            except OSError:
                return False
            self.text += data
            self._stream.feed(data)
        return True

    def wait_for(self, condition, seconds=SECONDS):
        """Read until the condition, a text on the screen or a function, holds, and nothing is half drawn."""
        deadline = time.monotonic() + seconds
        while not (self.is_quiet and (condition() if callable(condition) else condition in self.shown())):
            assert self.read() and time.monotonic() < deadline, f"{condition}: it did not happen\n{self.shown()}"

    def end(self, seconds=SECONDS):
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < deadline, f"it did not end\n{self.shown()}"
        os.close(self._master)
        return os.waitstatus_to_exitcode(os.waitpid(self._shell, 0)[1])

    def shown(self):
        """Return the lines of the screen as they are."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def everything(self):
        """Return all lines that are there if one scrolls up."""
        above = ["".join(line[x].data for x in range(self.screen.columns)).rstrip() for line in self.screen.history.top]
        return "\n".join([*above, self.shown()])

    def run(self):
        """Return the process of the run."""
        return psutil.Process(self._shell).children()[0]

    def drawer(self):
        """Return the process that draws."""
        (one,) = (one for one in self.run().children() if any("screen.py" in word for word in one.cmdline()))
        return one


def bars(text):
    """Return {step: (done, total, the rest of the line)} of the last bars in a text."""
    found = re.findall(r"^(\S+) +[━╍✗─]+ +(\d+)/(\d+)(.*)$", text, re.MULTILINE)
    return {name: (int(done), int(total), rest.strip()) for name, done, total, rest in found}


def test_what_runs_how_far_it_is_and_what_failed_is_on_the_screen(tmp_path):
    second = """
        if self.n == 0:
            self.report_progress(45, 100, "filtering")
            wait_for("go")
        if self.n == 1:
            print("reading channel 7"); print("and \\x1b[2J channel 8")
            raise ValueError("no spikes <b>")
        if self.n == 2:
            logging.getLogger("luigi-interface").warning("no licence is free, waiting")
            os.write(1, b"printed past Python\\n"); subprocess.run(["echo", "by a program"])
    """.strip()
    lab = Lab(tmp_path, second=second)
    terminal = lab.open("--workers", 2)
    terminal.wait_for("2/4  1 failed, 1 running")
    terminal.wait_for("45/100 filtering")
    shown = terminal.shown()
    assert bars(shown)["First"] == (4, 4, "")
    assert re.search(r"^Second\(n=0\) +\d+ s  ━+─+  45/100 filtering$", shown, re.MULTILINE), shown
    assert re.search(r"^\d+ s.*  log: results/run.log$", shown, re.MULTILINE)
    # Task, reason, path; then the end of its log; all of it above the bars, once.
    said = " ".join(shown.split())
    failure = "Second(n=1): ValueError: no spikes <b> (tasks.py, line 32); see results/study/runs/Second-1.failed.log"
    assert said.count(failure) == 1 and 'raise ValueError("no spikes <b>") ValueError: no spikes <b>' in said
    assert max(said.index("ValueError"), said.index("WARNING: no licence is free, waiting")) < said.index("First ━")
    assert "printed past" not in shown and "by a program" not in shown
    # On a terminal that has become narrower it goes on below what is there.
    terminal.resize(60, 30)
    terminal.wait_for(lambda: terminal.shown().count("45/100") == 2)
    assert bars(terminal.shown()) == {"First": (4, 4, ""), "Second": (2, 4, "1 failed")}
    (lab.folder / "go").touch()
    assert terminal.end() == 30
    last = terminal.everything()
    assert bars(last)["Second"] == (3, 4, "1 failed")
    assert "running" not in last.split("First  ━")[-1].split("Made:")[0]
    assert re.search(r"Made: 4 First, 3 Second.\nFailed: Second\(n=1\).\nSlowest: Second\(n=0\) \d", last)
    assert f"3 results: results/study/*\n{BACK}" in last
    log = run_log_path(lab.results).read_text()
    for line in ("First(n=3) made in", "printed past Python", "by a program", "no licence is free", failure):
        assert log.count(line) == 1, line
    assert not re.search(r"\x1b\[[^m]*[hl]", terminal.text), "a mode of the terminal was changed"


def test_five_hundred_forked_steps_and_ten_that_print(tmp_path):
    first = """
        if self.n % 25 == 0:
            for _ in range(50):
                os.write(2, b"here am I\\n")
                logging.getLogger("luigi-interface").warning("step %d speaks", self.n)
    """.strip()
    lab = Lab(tmp_path, first=first)
    terminal = lab.open("--workers", 2, "--count", 250)
    assert terminal.end(240) == 0
    last = terminal.everything()
    assert bars(last) == {"First": (250, 250, ""), "Second": (250, 250, "")}
    assert "Made: 250 First, 250 Second." in last and "here am I" not in last
    log = run_log_path(lab.results).read_text()
    assert log.count("here am I\n") == 500 and len(re.findall(r"(First|Second)\(n=\d+\) made in", log)) == 500
    assert sum(line.startswith("WARNING: step ") and line.endswith(" speaks") for line in last.splitlines()) == 500


def test_a_run_that_is_killed_leaves_no_display_and_a_sane_terminal(tmp_path):
    lab = Lab(tmp_path, first="wait_for('never')")
    terminal = lab.open("--workers", 2)
    terminal.wait_for("2 running")
    drawer = terminal.drawer()
    folder = Path(drawer.cmdline()[-2])
    assert (folder / "events").exists()
    terminal.run().kill()
    assert terminal.end() == 128 + signal.SIGKILL
    psutil.wait_procs([drawer], timeout=SECONDS)
    assert not drawer.is_running() and not folder.exists()
    assert not terminal.screen.cursor.hidden and terminal.screen.cursor.x == 0
    assert was_killed(lab.results, read_run_record(lab.results))


def test_ctrl_c_ends_the_run_and_its_display(tmp_path):
    lab = Lab(tmp_path, first="wait_for('never')")
    terminal = lab.open()
    terminal.wait_for("1 running")
    drawer = terminal.drawer()
    terminal.press(b"\x03")
    assert terminal.end() == 130 and not drawer.is_running()
    assert "\nluigi: interrupted; what is finished stays" in terminal.shown()
    assert read_run_record(lab.results)["exit_code"] == 130


def test_without_its_display_the_run_goes_on_with_plain_lines(tmp_path):
    lab = Lab(tmp_path, first="wait_for(f'go-{self.n}')")
    terminal = lab.open("--workers", 2, "--count", 2, env={"NO_COLOR": "1"})
    terminal.wait_for("2 running")
    assert not re.search(r"\x1b\[[0-9;]*[349]\dm", terminal.text), "a colour"
    terminal.drawer().kill()
    terminal.wait_for("the display is gone")
    for n in range(2):
        (lab.folder / f"go-{n}").touch()
    assert terminal.end() == 0
    assert "INFO: Second(n=0) made in" in terminal.everything() and "Made: 2 First, 2 Second." in terminal.everything()


def test_a_second_run_counts_what_is_there_and_a_third_shows_nothing(tmp_path):
    lab = Lab(tmp_path, second="wait_for('go')")
    assert lab.run("First", "--n", 0) and lab.run("First", "--n", 1)
    terminal = lab.open("--workers", 2)
    terminal.wait_for("2 running")
    assert bars(terminal.shown()) == {"First": (2, 4, ""), "Second": (0, 4, "2 running")}
    (lab.folder / "go").touch()
    assert terminal.end() == 0 and "Made: 2 First, 4 Second." in terminal.shown()
    again = lab.open()
    assert again.end() == 0 and "Nothing to make" in again.shown() and "━" not in again.text


def test_elsewhere_than_on_a_terminal_there_is_a_line_per_step(tmp_path):
    lab = Lab(tmp_path / "piped")
    out = lab.run("All", "--count", 1)
    assert "\x1b" not in out and re.findall(r"INFO: (\S+) made in", out) == ["First(n=0)", "Second(n=0)"]
    for name, term, level in (("dumb", "dumb", "INFO"), ("debug", "xterm", "DEBUG")):
        terminal = Lab(tmp_path / name).open("--count", 1, "--log-level", level, env={"TERM": term})
        assert terminal.end() == 0 and "\x1b" not in terminal.text
        assert "INFO: Second(n=0) made in" in terminal.text


# What is drawn


def run_of(*events):
    run = progress_screen.Run(100)
    run.hear({"event": "begin", "at": 100, "workers": 2, "log": "results/run.log", "steps": [("A", 4, 0), ("B", 4, 1)]})
    for event in events:
        run.hear(event)
    return run


def start(task, step, at):
    return {"event": "start", "task": task, "step": step, "name": f"{step}({task})", "at": at, "progress": ""}


def end(task, at, why=""):
    return {"event": "end", "task": task, "at": at, "is_done": not why, "why": why, "tail": []}


def test_the_time_left_is_told_when_every_step_that_is_left_was_seen():
    run = run_of(start("1", "A", 100), end("1", 110), start("2", "A", 110))
    assert run.seconds_left(112) is None
    for event in (start("3", "B", 112), end("3", 116)):
        run.hear(event)
    # 3 of A at 10 s, 2 of B at 4 s, 6 s of one of A are over, two workers.
    assert run.seconds_left(116) == (3 * 10 + 2 * 4 - 6) / 2
    # What lasts longer than others did takes nothing from those that wait.
    assert run.seconds_left(200) == (2 * 10 + 2 * 4) / 2


def test_what_failed_and_runs_again_has_not_failed():
    run = run_of(start("1", "A", 100), end("1", 101, "A(1): no"), start("1", "A", 102))
    assert (run.steps["A"].failed, run.steps["A"].running) == (0, 1)
    run.hear(end("1", 103))
    assert (run.steps["A"].done, run.steps["A"].failed, run.steps["A"].running) == (1, 0, 0)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (20, 4), (200, 60)])
@pytest.mark.parametrize("kinds", [1, 5, 40])
def test_any_terminal_has_room(size, kinds):
    names = [f"Step{n}猫" * (1 + n % 4) for n in range(kinds)]
    run = progress_screen.Run(0)
    steps = [(name, 1000, n) for n, name in enumerate(names)]
    run.hear({"event": "begin", "at": 0, "workers": 2, "log": "x" * 300, "steps": steps})
    for n in range(30):
        run.hear(start(f"猫 \x1b[2J\x07\u202e{n}" * 5, names[n % kinds], 0))
    run.hear(end("猫 \x1b[2J\x07\u202e3" * 5, 5, "no"))
    lines = [line.plain for line in progress_screen.Picture(run, *size, now=5000).lines()]
    assert len(lines) < size[1] and all(cell_len(line) < size[0] for line in lines)
    assert not re.search(r"[\x00-\x1f\u202e]", "".join(lines))
    if size[0] >= 40:
        # What failed is among what is shown, and what is not shown is counted.
        assert sum("failed" in line for line in lines) == 1
        hidden = re.search(r"and (\d+) more kinds", "\n".join(lines))
        assert len([line for line in lines if "━" in line or "╍" in line]) + int(hidden[1] if hidden else 0) >= kinds


@pytest.mark.parametrize("shares", [(0, 0, 0, 0), (1, 2, 3, 4), (9999, 1, 1, 1), (0, 0, 1, 0), (1, 0, 0, 10**6)])
@pytest.mark.parametrize("width", [5, 10, 40])
def test_a_bar_is_full_and_shows_whatever_there_is(shares, width):
    cells = progress_screen.cells_of(shares, width)
    assert sum(cells) == width
    assert [bool(one) for one in cells] == [bool(one) for one in shares] or not any(shares)


def test_a_log_can_not_steer_the_terminal():
    assert progress_screen.plain("a\x1b[31mb\x1b]0;title\x07c\x9bd\u202ee\tf\r\n") == "abcde    f"
    assert progress_screen.plain("\ud800") == "?"
