"""The live display of a run on a terminal: when there is one, the events that it gets, where log lines go meanwhile.

A process of its own draws it, see progress_screen.py, and reads the events of the run from a file: nothing waits for
it, and nothing is locked where a step's process is forked. While it runs, the output of the run and its steps goes to
the run's log.
"""

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import luigi

from neuroluigi.provenance import state
from neuroluigi.provenance.files import last_lines
from neuroluigi.provenance.record import read_failure, sibling_path
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import shown_path
from neuroluigi.steps.plan import walk_statuses
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.spawn import CarriedHandler

logger = logging.getLogger("luigi-interface")

# So many lines of the log of a step that failed are shown.
_TAIL_LINES = 5

# What the display may take to draw the end.
_END_SECONDS = 3

# Where Luigi logs that a task failed; the event of its end says more.
_FAILURES = "_handle_run_exception"


def is_wanted() -> bool:
    """Whether standard error is a terminal that can be drawn on, with this run in its foreground.

    At level DEBUG it is not wanted: lines are.
    """
    if not sys.stderr or not sys.stderr.isatty() or logger.isEnabledFor(logging.DEBUG):
        return False
    can_draw = True
    if sys.platform != "win32":
        can_draw = os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
        with contextlib.suppress(OSError):
            can_draw &= os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    return can_draw


class Events(CarriedHandler):
    """Sends events to the display, warnings and errors among them, in place of Luigi's handler, which would print.

    An event is a JSON object: begin (at, steps, workers, log), start (at, task, step, name, progress), end (at, task,
    is_done, why, tail), count (at, steps), line (text), stop (at); `steps` are (name, results, results done), `at` is a
    time in seconds, `progress` the path of a file, `task` an id.
    """

    def __init__(self, events: Path):
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        self._path = events
        self._descriptor: int | None = None
        self._silent: list[logging.Handler] = []

    def __reduce__(self):
        return Events, (self._path,)

    def install(self) -> None:
        """Replace Luigi's handler, unless the display has ended since this one was sent to a new process."""
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        except OSError:
            return
        self._silent = [one for one in logger.handlers if type(one) is logging.StreamHandler]
        for one in self._silent:
            logger.removeHandler(one)
        super().install()

    def remove(self) -> None:
        """Put Luigi's handler back."""
        logger.removeHandler(self)
        for one in self._silent:
            logger.addHandler(one)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out the failures of tasks, which have events of their own."""
        return record.funcName != _FAILURES and bool(super().filter(record))

    def pass_on(self, line: str) -> None:
        """Send a line to be printed above the bars."""
        self.send(event="line", text=line)

    def send(self, **event: object) -> bool:
        """Send an event, in one write: those of several processes don't mix. False on a full disk."""
        line = f"{json.dumps(event)}\n".encode()
        try:
            return self._descriptor is not None and os.write(self._descriptor, line) == len(line)
        except OSError:
            return False


class Display:
    """The display of one run, as a context around it; where it is not wanted or not possible, nothing happens."""

    def __init__(self, log: Path):
        self._log = log
        self.was_there = False
        self._folder: Path | None = None
        self._process: subprocess.Popen | None = None
        self._events: Events | None = None
        self._terminal: dict[int, int] = {}

    def __enter__(self) -> "Display":
        return self

    def start(self, root: luigi.Task, workers: int) -> None:
        """Start it, before the first step below `root` does."""
        if not is_wanted():
            return
        try:
            self._redirect()
            self._folder = Path(tempfile.mkdtemp(prefix="neuroluigi-"))
            events = self._folder / "events"
            events.touch()
            self._events = Events(events)
            # Where these are set, rich takes the size of the terminal from them for good.
            environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
            script = Path(__file__).with_name("progress_screen.py")
            command = [sys.executable, str(script), str(self._folder), str(os.getpid())]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._terminal.get(2),
                env=environment,
            )
        except OSError as error:
            self._give_back()
            logger.warning("no display: %s", error)
            return
        self.was_there = True
        self._events.install()
        self._send(event="begin", steps=_counts(walk_statuses(root)), workers=workers, log=shown_path(self._log))

    def begin(self, task: luigi.Task) -> None:
        """Send that a task begins to run."""
        if self._process and not isinstance(task, luigi.WrapperTask):
            progress = str(task.progress_path) if isinstance(task, Step) else ""
            self._send(event="start", task=task.task_id, step=task.task_family, name=str(task), progress=progress)

    def end(self, task: luigi.Task, is_done: bool, why: str = "") -> None:
        """Send that a task does not run any more; `why` it failed, if it did."""
        if self._process:
            why = why.replace(task.task_id, str(task))
            why = why if not why or str(task) in why else f"{task}: {why}"
            tail = _last_lines(task, why) if why else []
            self._send(event="end", task=task.task_id, is_done=is_done, why=why, tail=tail)

    def count(self, found: Iterable[tuple[ResultTask, state.Status]]) -> None:
        """Send what there is at the end, also what other runs made meanwhile, as walk_statuses found it."""
        self._send(event="count", steps=_counts(found))

    def check(self) -> None:
        """Go on with plain log lines where the display is gone."""
        if self._process and self._process.poll() is not None:
            self._give_back()
            logger.warning("the display is gone, log lines follow; those so far are in %s", shown_path(self._log))

    def __exit__(self, *exception: object) -> None:
        if not self._process:
            return
        self._send(event="stop")
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._give_back()

    def _send(self, **event: object) -> None:
        self.check()
        if self._process and self._events and not self._events.send(at=time.monotonic(), **event):
            # What it draws from now on would be wrong.
            self._process.kill()
            self._process.wait()
            self.check()

    def _redirect(self) -> None:
        """Have what would be printed on the terminal, also by programs that steps start, go to the run's log."""
        # A Windows console can't be put back in its place.
        if os.name != "posix":
            return
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND)
        try:
            for descriptor in (1, 2):
                if os.isatty(descriptor):
                    self._terminal[descriptor] = os.dup(descriptor)
            _flush()
            for descriptor in self._terminal:
                os.dup2(log, descriptor)
        finally:
            os.close(log)

    def _give_back(self) -> None:
        """Undo what start() did."""
        process, self._process = self._process, None
        _flush()
        while self._terminal:
            descriptor, terminal = self._terminal.popitem()
            os.dup2(terminal, descriptor)
            os.close(terminal)
        if process and process.returncode:
            # It has not ended its last line.
            with contextlib.suppress(OSError):
                os.write(2, b"\n")
        if self._events:
            self._events.remove()
            self._events = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _counts(found: Iterable[tuple[ResultTask, state.Status]]) -> list[tuple[str, int, int]]:
    """Return (step, results, results with nothing to do) for each kind of step."""
    counts: dict[str, list[int]] = {}
    for step, status in found:
        of_step = counts.setdefault(step.task_family, [0, 0])
        of_step[0] += 1
        of_step[1] += status.todo == state.NOTHING
    return [(name, total, done) for name, (total, done) in counts.items()]


def _flush() -> None:
    # Standard output may be closed, or on a full disk.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()


def _last_lines(task: luigi.Task, why: str) -> list[str]:
    """Return the end of the log of a step that failed, unless that log is of another failure."""
    if not isinstance(task, Step) or not (failed := read_failure(task.record_path)) or failed["error"] not in why:
        return []
    return last_lines(sibling_path(task.record_path, ".failed.log"), _TAIL_LINES)
