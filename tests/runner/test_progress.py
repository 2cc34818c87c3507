"""The display of a run on a terminal: real runs under a pseudo-terminal, whose screen is read as a user sees it."""

import re
import signal
import time
from pathlib import Path

import psutil

from neuroluigi.provenance.run_record import read_run_record, run_log_path, was_killed
from tests.conftest import BIN, Pipeline, is_running
from tests.terminal import SECONDS, Terminal

BACK = "back in the shell"

# A shell, so that the terminal is there for longer than the run.
SHELL = f'trap : INT; "$@"; code=$?; echo {BACK}; exit $code'

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

    def open(self, *arguments, script=SHELL, **options):
        """Return a terminal in which a shell runs `luigi`."""
        luigi = [str(BIN / "luigi"), "--module", "tasks", "All", "--local-scheduler", *map(str, arguments)]
        return Terminal(["sh", "-c", script, "sh", *luigi], self.folder, **options)


def run_in(terminal):
    """Return the process of the run."""
    return psutil.Process(terminal.pid).children()[0]


def drawing_process(terminal):
    """Return the process that draws."""
    (one,) = (one for one in run_in(terminal).children() if any("progress_screen.py" in part for part in one.cmdline()))
    return one


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


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
    text = " ".join(shown.split())
    failure = "Second(n=1): ValueError: no spikes <b> (tasks.py, line 32); see results/study/runs/Second-1.failed.log"
    assert text.count(failure) == 1 and 'raise ValueError("no spikes <b>") ValueError: no spikes <b>' in text
    assert max(text.index("ValueError"), text.index("WARNING: no licence is free, waiting")) < text.index("First ━")
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
    assert f"3 results: results/study/second-*.txt\n{BACK}" in last
    log = run_log_path(lab.results).read_text()
    for line in ("First(n=3) made in", "printed past Python", "by a program", "no licence is free", failure):
        assert log.count(line) == 1, line
    assert not re.search(r"\x1b\[[^m]*[hl]", terminal.text), "a mode of the terminal was changed"


def test_five_hundred_forked_steps_and_ten_that_print(tmp_path):
    first = """
        if self.n % 25 == 0:
            for _ in range(50):
                os.write(2, b"here am I\\n")
                logging.getLogger("luigi-interface").warning("step %d warns", self.n)
    """.strip()
    lab = Lab(tmp_path, first=first)
    terminal = lab.open("--workers", 2, "--count", 250)
    assert terminal.end(240) == 0
    last = terminal.everything()
    assert bars(last) == {"First": (250, 250, ""), "Second": (250, 250, "")}
    assert "Made: 250 First, 250 Second." in last and "here am I" not in last
    log = run_log_path(lab.results).read_text()
    assert log.count("here am I\n") == 500 and len(re.findall(r"(First|Second)\(n=\d+\) made in", log)) == 500
    assert sum(line.startswith("WARNING: step ") and line.endswith(" warns") for line in last.splitlines()) == 500


def test_a_run_that_is_killed_leaves_no_display_and_a_sane_terminal(tmp_path):
    lab = Lab(tmp_path, first="wait_for('never')")
    terminal = lab.open("--workers", 2)
    terminal.wait_for("2 running")
    drawing = drawing_process(terminal)
    folder = Path(drawing.cmdline()[-2])
    assert (folder / "events").exists()
    run_in(terminal).kill()
    assert terminal.end() == 128 + signal.SIGKILL
    psutil.wait_procs([drawing], timeout=SECONDS)
    assert not drawing.is_running() and not folder.exists()
    assert not terminal.screen.cursor.hidden and terminal.screen.cursor.x == 0
    assert was_killed(lab.results, read_run_record(lab.results))


def test_a_run_goes_on_when_its_terminal_is_gone(tmp_path):
    lab = Lab(tmp_path, first="wait_for('go')")
    terminal = lab.open("--count", 1, script='trap "" HUP; "$@"')
    terminal.wait_for("1 running")
    drawing, run = drawing_process(terminal), run_in(terminal)
    folder = Path(drawing.cmdline()[-2])
    terminal.close()
    wait_for(lambda: not is_running(drawing.pid))
    (lab.folder / "go").touch()
    wait_for(lambda: not is_running(run.pid))
    assert not folder.exists()
    assert read_run_record(lab.results)["exit_code"] == 0 and (lab.results / "study/second-0.txt").exists()
    assert "the display is gone" in run_log_path(lab.results).read_text()


def test_after_ctrl_z_and_bg_the_terminal_is_the_shells_until_fg(tmp_path):
    lab = Lab(tmp_path, first="wait_for('go')", second="wait_for('go on')")
    terminal = lab.open("--count", 1, script='set -m; "$@"; echo STOPPED; bg; read line; fg; exit $?')
    terminal.wait_for("1 running")
    drawing = drawing_process(terminal)
    terminal.press(b"\x1a")
    terminal.wait_for("STOPPED")
    (lab.folder / "go").touch()
    terminal.wait_for((lab.results / "study" / "first-0.txt").exists)
    # It sleeps each time before it checks whether there is something to draw.
    switches = drawing.num_ctx_switches().voluntary + 20
    terminal.wait_for(lambda: drawing.num_ctx_switches().voluntary > switches)
    assert "━" not in terminal.text.split("STOPPED")[1]
    terminal.press(b"\n")
    terminal.wait_for(lambda: "1 running" in terminal.shown().split("STOPPED")[1])
    in_front, again = map(bars, terminal.shown().split("STOPPED"))
    assert in_front == {"First": (0, 1, "1 running"), "Second": (0, 1, "")}
    assert again == {"First": (1, 1, ""), "Second": (0, 1, "1 running")}
    (lab.folder / "go on").touch()
    assert terminal.end() == 0 and "Made: 1 First, 1 Second." in terminal.shown()


def test_ctrl_c_ends_the_run_and_its_display(tmp_path):
    lab = Lab(tmp_path, first="wait_for('never')")
    terminal = lab.open()
    terminal.wait_for("1 running")
    drawing = drawing_process(terminal)
    terminal.press(b"\x03")
    assert terminal.end() == 130 and not drawing.is_running()
    assert "\nluigi: interrupted; what is finished stays" in terminal.shown()
    assert read_run_record(lab.results)["exit_code"] == 130


def test_without_its_display_the_run_goes_on_with_plain_lines(tmp_path):
    lab = Lab(tmp_path, first="wait_for(f'go-{self.n}')")
    terminal = lab.open("--workers", 2, "--count", 2, env={"NO_COLOR": "1"})
    terminal.wait_for("2 running")
    assert not re.search(r"\x1b\[[0-9;]*[349]\dm", terminal.text), "a colour"
    drawing_process(terminal).kill()
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
