"""Draw the progress of a run at the bottom of the terminal, in a process of its own, until the run ends or is gone.

    python progress_screen.py FOLDER PID

The processes of the run, which PID started, append events to FOLDER/events, a JSON object per line; progress.py
documents them. None of them waits for this process, and it holds nothing that the run needs: it may hang or die.
"""

import codecs
import contextlib
import json
import math
import os
import shutil
import signal
import sys
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live_render import LiveRender
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

if __name__ == "__main__":
    # Without what the package imports to begin with, which takes half a second.
    package = sys.modules["neuroluigi"] = types.ModuleType("neuroluigi")
    package.__path__ = [str(Path(__file__).parents[1])]

from neuroluigi.provenance import plain_text

_POLL_SECONDS = 0.1
_DRAW_SECONDS = 0.5

# So many failures are printed with the last lines of their log, the rest without.
_MOST_TAILS = 5

# With so many columns, tasks that run have a bar and a message; with so many lines, the time and the log may take two.
_WIDE = 50
_HIGH = 10

# The parts of a bar: done, running, failed, left.
_SIGNS = ("━", "╍", "✗", "─")
_COLOURS = ("green", "yellow", "red", "bright_black")
_ASCII = {"━": "#", "╍": "=", "✗": "x", "─": "-", "…": "~"}


def plain(text: str) -> str:
    """Return a line of text without what would control the terminal: a name or a log can hold anything."""
    line = plain_text.plain(str(text)).replace("\n", "").replace("\t", "    ")
    return line.encode(errors="replace").decode()


def in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Handle an error of encoding: replace the characters by others that take as many columns."""
    assert isinstance(error, UnicodeEncodeError)
    characters = error.object[error.start : error.end]
    return "".join(_ASCII.get(one, "?" * cell_len(one)) for one in characters), error.end


def clock(seconds: float) -> str:
    """Return a duration as people write it."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds // 60 % 60:02} min"


@dataclass(eq=False)
class Step:
    """One kind of step: how many results it has, and what became of them; `ended` and `seconds` in this run."""

    name: str
    total: int = 0
    done: int = 0
    running: int = 0
    failed: int = 0
    ended: int = 0
    seconds: float = 0

    @property
    def left(self) -> int:
        return max(0, self.total - self.done - self.failed)

    def note(self, width: int) -> str:
        """Return how many failed and run; where both don't fit, the first that there is."""
        counts = [f"{count} {state}" for count, state in ((self.failed, "failed"), (self.running, "running")) if count]
        note = ", ".join(counts)
        return note if len(note) <= width else counts[0]


@dataclass
class Running:
    """A task that runs: since when, and the file to which it writes its progress."""

    name: str
    step: Step
    since: float
    progress_file: str = ""
    progress: tuple[float, float, str] | None = None

    def read_progress(self) -> tuple[float, float, str] | None:
        """Return k of n and a message, the latest ones where the file is half written or gone; None without any."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(Path(self.progress_file).read_text(encoding="utf-8"))
            self.progress = float(found["k"]), float(found["n"]), plain(found["message"])
        return self.progress


class Run:
    """What is known of the run, from its events."""

    def __init__(self, now: float):
        self.began = now
        self.workers = 1
        self.log = ""
        self.is_over = False
        self.steps: dict[str, Step] = {}
        self.running: dict[str, Running] = {}
        self.failed: set[str] = set()

    def handle(self, event: Mapping[str, Any]) -> Sequence[RenderableType]:
        """Handle an event, and return what is to be printed above the bars; a malformed event changes nothing."""
        try:
            return getattr(self, f"_on_{event['event']}")(event) or []
        except (KeyError, AttributeError, TypeError, ValueError):
            return []

    def _on_begin(self, event: Mapping[str, Any]) -> None:
        self.began, self.workers, self.log = event["at"], max(1, event["workers"]), plain(event["log"])
        self._on_count(event)

    def _on_count(self, event: Mapping[str, Any]) -> None:
        for name, total, done in event["steps"]:
            step = self.steps.setdefault(name, Step(plain(name)))
            step.total, step.done = total, min(done, total - step.failed)

    def _on_start(self, event: Mapping[str, Any]) -> None:
        step = self.steps.setdefault(event["step"], Step(plain(event["step"])))
        if event["task"] in self.failed:
            self.failed.discard(event["task"])
            step.failed -= 1
        step.running += 1
        # Tasks that are no results of the pipeline, such as Luigi's own, were not counted before.
        step.total = max(step.total, step.done + step.failed + step.running)
        self.running[event["task"]] = Running(plain(event["name"]), step, event["at"], event["progress"])

    def _on_end(self, event: Mapping[str, Any]) -> Sequence[RenderableType]:
        task = self.running.pop(event["task"], None)
        if task is None:
            return []
        step = task.step
        step.running -= 1
        if event["is_done"]:
            step.done += 1
            step.ended += 1
            step.seconds += event["at"] - task.since
        if not event["why"]:
            return []
        self.failed.add(event["task"])
        step.failed += 1
        why, *more = event["why"].splitlines()
        more += event["tail"] if len(self.failed) <= _MOST_TAILS else ()
        return [Text(plain(why), style="bold red"), *(Padding(Text(plain(line)), (0, 0, 0, 4)) for line in more)]

    def _on_line(self, event: Mapping[str, Any]) -> Sequence[RenderableType]:
        return [Text(plain(line), style="yellow") for line in event["text"].splitlines()]

    def _on_stop(self, event: Mapping[str, Any]) -> None:
        self.is_over = True
        self.running.clear()
        for step in self.steps.values():
            step.running = 0

    def seconds_left(self, now: float) -> float | None:
        """Return the estimated time to the end: None where a step is left that has not ended yet in this run."""
        work = 0.0
        for step in self.steps.values():
            if step.left and not step.ended:
                return None
            work += step.left * step.seconds / max(1, step.ended)
        for task in self.running.values():
            if task.step.ended:
                work -= min(now - task.since, task.step.seconds / task.step.ended)
        return work / self.workers


@dataclass
class Bar:
    """A bar of the parts done, running, failed and left: one cell at least for each that is not zero."""

    parts: Sequence[float]
    most_cells: int = 40

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, min(self.most_cells, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts = self.parts if any(self.parts) else (0, 0, 0, 1)
        to_share = options.max_width - sum(map(bool, parts))
        cells = [bool(part) + int(part * to_share / sum(parts)) for part in parts]
        # What rounding leaves is least seen there.
        cells[parts.index(max(parts))] += options.max_width - sum(cells)
        bar = Text(no_wrap=True, overflow="crop")
        for count, sign, colour in zip(cells, _SIGNS, _COLOURS, strict=True):
            bar.append(sign * count, colour)
        yield bar


def picture(run: Run, now: float, width: int, height: int) -> RenderableType:
    """Return what is drawn: a bar for each kind of step, the tasks that run, the time, and the path of the log."""
    last = [clock(now - run.began), f"log: {run.log}"]
    if not run.is_over and (left := run.seconds_left(now) or 0) >= 1:
        last[0] += f", about {clock(left)} left"
    if cell_len("  ".join(last)) <= width or height < _HIGH:
        last = ["  ".join(last)]
    lines = height - 1 - len(last)
    for_tasks = min(len(run.running), max(1, lines // 3))
    for_steps = min(len(run.steps), max(1, lines - for_tasks))
    steps = steps_table(list(run.steps.values()), for_steps, width)
    tasks = tasks_table(list(run.running.values()), for_tasks, width, now)
    blank = [""] if for_tasks and for_tasks + for_steps < lines else []
    return Group(steps, *blank, tasks, *(one_line(one, "bright_black") for one in last))


def steps_table(steps: Sequence[Step], lines: int, width: int) -> RenderableType:
    """Return the lines of the kinds of steps; where there are too few lines, of those that need attention."""
    by_need = sorted(steps, key=lambda one: (not one.failed, not one.running, not one.left))
    shown = by_need if len(by_need) <= lines else by_need[: max(1, lines - 1)]
    # Of one width, so that bars don't jump.
    notes_width = width // 4 + 2
    names, counts = Column(no_wrap=True, max_width=width // 4), Column(no_wrap=True, justify="right")
    table = Table.grid(names, Column(), counts, Column(width=notes_width), padding=(0, 2))
    for one in steps:
        if one in shown:
            bar = Bar((one.done, one.running, one.failed, max(0, one.left - one.running)))
            note = one_line(one.note(notes_width))
            note.highlight_regex(r"\d+ failed", "red")
            table.add_row(one_line(one.name), bar, f"{one.done}/{one.total}", note)
    hidden = by_need[len(shown) :]
    done = sum(not one.left and not one.failed for one in hidden)
    more = one_line(f"and {len(hidden)} more kinds of steps, {done} of them done")
    return Group(table, more) if hidden and lines > 1 else table


def tasks_table(tasks: Sequence[Running], lines: int, width: int, now: float) -> RenderableType:
    """Return the lines of the tasks that run, as far as there are lines: their times and progress."""
    shown = tasks if len(tasks) <= lines else tasks[: max(1, lines - 1)]
    names, times = Column(no_wrap=True, max_width=width // 2 - 2), Column(no_wrap=True, min_width=6, justify="right")
    table = Table.grid(names, times, padding=(0, 2))
    for one in shown:
        row: list[RenderableType] = [one_line(one.name, "bold"), clock(now - one.since)]
        if progress := one.read_progress():
            k, n, message = progress
            if width >= _WIDE:
                row.append(Bar((k, 0, 0, n - k), most_cells=10) if 0 <= k <= n and 0 < n < math.inf else "")
            row.append(one_line(f"{k:g}/{n:g} {message}" if width >= _WIDE else f"{k:g}/{n:g}"))
        table.add_row(*row)
    hidden = len(tasks) - len(shown)
    return Group(table, one_line(f"and {hidden} more run")) if hidden and lines > 1 else table


def one_line(text: str, style: str = "") -> Text:
    """Return a text that is cut where it does not fit."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")


class Follower:
    """Reads what others append to a file."""

    def __init__(self, path: Path):
        self._file = path.open("rb")
        self._rest = b""

    def events(self) -> Iterator[Mapping[str, Any]]:
        """Yield the events that came since; a line that a full disk cut short is none."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def is_gone(parent: int) -> bool:
    """Whether the process that started this one has ended."""
    if os.name == "posix":
        return os.getppid() != parent
    import psutil

    return not psutil.pid_exists(parent)


def is_in_background() -> bool:
    """Whether the terminal belongs to another program at the moment, such as the shell after Ctrl-Z and bg."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            return os.tcgetpgrp(sys.stderr.fileno()) != os.getpgrp()
    return False


def draw(console: Console, drawn: LiveRender, run: Run, now: float, above: Sequence[RenderableType]) -> None:
    """Draw the run in place of what was drawn before, and above it, for good, what else there is to print."""
    # The last column stays free: there some terminals wrap, others don't.
    width, height = max(1, console.width - 1), console.height
    # One write, so that nothing is seen half drawn.
    with console:
        console.control(drawn.position_cursor())
        drawn.set_renderable(picture(run, now, width, height))
        console.print(Group(*above, drawn), end="", width=width, highlight=False)


def show(folder: Path, parent: int) -> None:
    """Show the run whose events are in `folder` until it is over."""
    console, run, follower = Console(stderr=True), Run(time.monotonic()), Follower(folder / "events")
    continued: list[int] = []
    if sys.platform != "win32":
        signal.signal(signal.SIGCONT, lambda number, _: continued.append(number))
    above: list[RenderableType] = []
    # What rich's Live draws with; Live itself would hide the cursor, for good where this process is killed.
    drawn, drawn_at, drawn_width, size = LiveRender(""), 0.0, 0, console.size
    while not run.is_over and not is_gone(parent):
        time.sleep(_POLL_SECONDS)
        above += [one for event in follower.events() for one in run.handle(event)]
        was, size = size, console.size
        is_due = above or (size == was and time.monotonic() - drawn_at >= _DRAW_SECONDS)
        if run.is_over or (is_due and not is_in_background()):
            if continued or size.width < drawn_width:
                # The shell has written below, or the terminal has wrapped what was drawn: that stays as it is.
                console.line()
                drawn = LiveRender("")
            draw(console, drawn, run, time.monotonic(), above)
            above, drawn_at, drawn_width = [], time.monotonic(), size.width
            continued.clear()
    console.line()


def main() -> None:
    """Serve as the process that draws."""
    codecs.register_error("in_ascii", in_ascii)
    if hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="in_ascii")
    # Ctrl-C, and the end of the terminal, go to all of its processes; the run decides what they lead to.
    for name in ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    # OSError: the terminal is gone, or the run has removed the folder.
    with contextlib.suppress(OSError):
        show(folder, parent)
    if is_gone(parent):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
