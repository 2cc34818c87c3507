"""Draw what a run does at the bottom of the terminal, in a process of its own, until told or until the run is gone.

    python screen.py FOLDER

The processes of the run append what happens to FOLDER/events, a JSON object a line; display.py says what is in them.
Nobody waits for this process and it holds nothing that the run needs: it may hang or die.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleRenderable
from rich.control import Control
from rich.padding import Padding
from rich.segment import ControlType
from rich.text import Text

POLL_SECONDS = 0.1
_DRAW_SECONDS = 0.25

# Of so many failures the last lines of the log are shown too; the rest are a line each.
_MOST_TAILS = 5

# Columns of a terminal on which notes are whole.
_WIDE = 60
_NARROWEST_NAME = 10
_WIDEST_BAR = 40
_NARROWEST_BAR = 5
_PROGRESS_BAR = 10

# What would move the cursor, change its colour, or turn the direction of what follows.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)

# For done, running, failed and what is left: signs of a bar, and their colours.
_COLOURS = ("green", "yellow", "red", "bright_black")
_SIGNS = ("━", "╍", "✗", "─")
_ASCII_SIGNS = ("#", "=", "x", "-")


def plain(text: str) -> str:
    """Return a text of one line as it may be shown: a name or a log can hold anything."""
    return _CONTROL.sub("", str(text).replace("\t", "    ")).encode(errors="replace").decode()


def clock(seconds: float) -> str:
    """Return a time as people say it."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds // 60 % 60:02} min"


@dataclass
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


@dataclass
class Running:
    """A task that runs: since when, and the file in which it says how far it is."""

    name: str
    step: Step
    since: float
    progress_file: str = ""
    progress: dict = field(default_factory=dict)

    def look(self) -> None:
        """See how far it is; what is half written or gone changes nothing."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(Path(self.progress_file).read_text(encoding="utf-8"))
            self.progress = {"k": float(said["k"]), "n": float(said["n"]), "message": plain(said["message"])}


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

    def hear(self, event: Mapping) -> list[ConsoleRenderable]:
        """Take in an event, and return what is to be shown above the bars; one that makes no sense is none."""
        try:
            return getattr(self, f"_hear_{event['event']}")(event) or []
        except (KeyError, AttributeError, TypeError, ValueError):
            return []

    def _hear_begin(self, event: Mapping) -> None:
        self.began, self.workers, self.log = event["at"], max(1, event["workers"]), plain(event["log"])
        self._count(event["steps"])

    def _hear_start(self, event: Mapping) -> None:
        step = self.steps.setdefault(event["step"], Step(plain(event["step"])))
        if event["task"] in self.failed:
            self.failed.discard(event["task"])
            step.failed -= 1
        step.running += 1
        # What the pipeline's state says nothing of, such as a task of Luigi's own.
        step.total = max(step.total, step.done + step.failed + step.running)
        self.running[event["task"]] = Running(plain(event["name"]), step, event["at"], event["progress"])

    def _hear_end(self, event: Mapping) -> list[ConsoleRenderable]:
        one = self.running.pop(event["task"], None)
        if one is None:
            return []
        step = one.step
        step.running -= 1
        if event["is_done"]:
            step.done += 1
            step.ended += 1
            step.seconds += event["at"] - one.since
        if not event["why"]:
            return []
        self.failed.add(event["task"])
        step.failed += 1
        return failure(event["why"], event["tail"] if len(self.failed) <= _MOST_TAILS else ())

    def _hear_line(self, event: Mapping) -> list[ConsoleRenderable]:
        return [Text(plain(line), style="yellow") for line in event["text"].splitlines()]

    def _hear_stop(self, event: Mapping) -> None:
        self.is_over = True
        self.running.clear()
        for step in self.steps.values():
            step.running = 0

    def _hear_count(self, event: Mapping) -> None:
        self._count(event["steps"])

    def _count(self, steps: Sequence) -> None:
        for name, total, done in steps:
            step = self.steps.setdefault(name, Step(plain(name)))
            step.total, step.done = total, min(done, total - step.failed)

    def seconds_left(self, now: float) -> float | None:
        """Return the time to the end as far as this run tells: None where a step is left that it has not ended yet."""
        work = 0.0
        for step in self.steps.values():
            if step.left and not step.ended:
                return None
            work += step.left * step.seconds / max(1, step.ended)
        for one in self.running.values():
            if one.step.ended:
                work -= min(now - one.since, one.step.seconds / one.step.ended)
        return work / self.workers


def failure(why: str, tail: Sequence[str]) -> list[ConsoleRenderable]:
    """Return what is shown of a task that failed: why, and the last lines of its log."""
    shown = [Text(plain(line), style="bold red") for line in why.splitlines()[:1]]
    shown += [Padding(Text(plain(line)), (0, 0, 0, 4)) for line in (*why.splitlines()[1:], *tail)]
    return shown


class Picture:
    """The lines that show a run on a terminal of that size."""

    def __init__(self, run: Run, width: int, height: int, now: float, is_ascii: bool = False):
        self._run = run
        # The last column stays free: there some terminals wrap, others don't.
        self._width = max(10, width - 1)
        self._height = max(3, height - 1)
        self._now = now
        self._signs = _ASCII_SIGNS if is_ascii else _SIGNS
        self._dots = "..." if is_ascii else "…"

    def lines(self) -> list[Text]:
        """Return the bars of the steps, what runs, and the time."""
        room = self._height - 1
        most_running = max(1, room // 3)
        running = self._running(most_running)
        steps = self._steps(max(1, room - len(running)))
        is_loose = len(steps) + len(running) < room
        blank = [Text()] if is_loose and running else []
        lines = [*steps, *blank, *running, self._last_line()]
        for line in lines:
            line.truncate(self._width)
        return lines

    def _fit(self, text: str, width: int) -> str:
        """Return a text in exactly that many columns."""
        if cell_len(text) > width:
            text = f"{set_cell_size(text, max(0, width - cell_len(self._dots))).rstrip()}{self._dots}"
        return set_cell_size(text, width)

    def _cut(self, text: str, width: int) -> str:
        return self._fit(text, width).rstrip() if width > 0 else ""

    def _steps(self, most: int) -> list[Text]:
        steps = list(self._run.steps.values())
        shown, hidden = steps, []
        if len(steps) > most:
            # What needs attention stays; those that are done go first.
            by_need = sorted(steps, key=lambda one: (not one.failed, not one.running, not one.left))
            kept = {one.name for one in by_need[: most - 1]}
            shown = [one for one in steps if one.name in kept]
            hidden = [one for one in steps if one.name not in kept]
        name_width = min(max((cell_len(one.name) for one in shown), default=0), max(_NARROWEST_NAME, self._width // 3))
        counts = [f"{one.done}/{one.total}" for one in shown]
        count_width = max(map(len, counts), default=0)
        # Room for a note is kept, so that bars don't jump when there is one.
        note_width = len("1 failed, 1 running" if self._width >= _WIDE else "1 running")
        room = self._width - name_width - count_width - note_width - 4
        bar = max(_NARROWEST_BAR, min(_WIDEST_BAR, room))
        lines = []
        for one, count in zip(shown, counts, strict=True):
            line = Text.assemble(
                f"{self._fit(one.name, name_width)} ", self._bar(one, bar), f" {count.rjust(count_width)}"
            )
            note = self._note(one, self._width - cell_len(line.plain) - 2)
            line.append(f"  {note}" if note else "", style="red" if one.failed else "")
            lines.append(line)
        if hidden:
            done = sum(not one.left and not one.failed for one in hidden)
            lines.append(Text(self._cut(f"and {len(hidden)} more kinds of steps, {done} of them done", self._width)))
        return lines

    def _note(self, step: Step, width: int) -> str:
        """Return how many failed and run; where there is no room for both, the first that there is."""
        counts = [f"{count} {word}" for count, word in ((step.failed, "failed"), (step.running, "running")) if count]
        both = ", ".join(counts)
        return both if cell_len(both) <= width else self._cut(counts[0], width)

    def _bar(self, step: Step, width: int) -> Text:
        shares = (step.done, step.running, step.failed, step.left - step.running)
        bar = Text()
        for cells, sign, colour in zip(cells_of(shares, width), self._signs, _COLOURS, strict=True):
            bar.append(sign * cells, style=colour)
        return bar

    def _running(self, most: int) -> list[Text]:
        tasks = list(self._run.running.values())
        shown = tasks if len(tasks) <= most else tasks[: max(1, most - 1)]
        for one in shown:
            one.look()
        room = max(_NARROWEST_NAME, self._width // 2)
        widest = min(room, max((cell_len(one.name) for one in shown), default=0))
        lines = [self._one_that_runs(one, widest) for one in shown]
        if len(tasks) > len(shown) and len(lines) < most:
            lines.append(Text(self._cut(f"and {len(tasks) - len(shown)} more run", self._width)))
        return lines

    def _one_that_runs(self, one: Running, name_width: int) -> Text:
        line = Text(self._fit(one.name, name_width), style="bold")
        line.append(f" {clock(self._now - one.since):>6}", style="not bold")
        if one.progress:
            k, n = one.progress["k"], one.progress["n"]
            room = self._width - cell_len(line.plain) - 2
            if 0 <= k <= n and n > 0 and room >= _PROGRESS_BAR:
                line.append("  ")
                for cells, at in zip(cells_of((k, n - k), _PROGRESS_BAR), (0, 3), strict=True):
                    line.append(self._signs[at] * cells, style=f"not bold {_COLOURS[at]}")
            said = self._cut(f"{k:g}/{n:g} {one.progress['message']}", self._width - cell_len(line.plain) - 2)
            line.append(f"  {said}" if said else "", style="not bold")
        return line

    def _last_line(self) -> Text:
        parts = [clock(self._now - self._run.began)]
        left = None if self._run.is_over else self._run.seconds_left(self._now)
        if left is not None and left >= 1:
            parts.append(f"about {clock(left)} left")
        log = f"log: {self._run.log}"
        text = ", ".join(parts)
        if cell_len(text) + 2 + cell_len(log) <= self._width:
            text += f"  {log}"
        elif cell_len(log) <= self._width and not self._run.is_over:
            text = log
        return Text(self._cut(text, self._width), style="bright_black")


def cells_of(shares: Sequence[float], width: int) -> list[int]:
    """Return how many cells of a bar each share has: together all of them, and one at least for what is not nothing."""
    total = sum(shares)
    if not total:
        return [0] * (len(shares) - 1) + [width]
    exact = [max(0.0, share) * width / total for share in shares]
    cells = [max(1, int(one)) if one else 0 for one in exact]
    while (more := width - sum(cells)) != 0:
        # The one that is furthest off its share.
        at = max(
            (at for at, one in enumerate(exact) if one and (more > 0 or cells[at] > 1)),
            key=lambda at: (exact[at] - cells[at]) * (1 if more > 0 else -1),
            default=None,
        )
        if at is None:
            break
        cells[at] += 1 if more > 0 else -1
    return cells


class Region:
    """The lines at the bottom of the terminal, drawn over again and again; the cursor stays behind the last one."""

    def __init__(self, console: Console):
        self._console = console
        self._height = 0
        self._width = console.width

    def draw(self, lines: Sequence[Text], above: Sequence[ConsoleRenderable] = ()) -> None:
        """Draw the lines in place of those that are there, and above them, for good, what else there is to show."""
        if self._console.width < self._width:
            # The terminal may have wrapped what was there, or not: nobody knows how far up it reaches.
            self.leave()
        self._width = self._console.width
        # One write, so that nothing is seen half drawn.
        with self._console:
            if self._height:
                erase = (ControlType.ERASE_IN_LINE, 2)
                up = [(ControlType.CURSOR_UP, 1), erase] * (self._height - 1)
                self._console.control(Control(ControlType.CARRIAGE_RETURN, erase, *up))
            for one in above:
                self._console.print(one, highlight=False)
            self._console.print(Text("\n").join(lines), end="", no_wrap=True, overflow="crop", highlight=False)
        self._height = len(lines)

    def leave(self) -> None:
        """Let what is there stand, and go on below."""
        if self._height:
            self._console.print()
            self._height = 0


class Follower:
    """Reads what others append to a file."""

    def __init__(self, path: Path):
        self._file = path.open("rb")
        self._rest = b""

    def events(self) -> Iterator[Mapping]:
        """Yield the events that came since; a line that a full disk cut short is none."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def is_gone(parent: int) -> bool:
    """Whether the process that started this one is not there any more."""
    if os.name == "posix":
        return os.getppid() != parent
    import psutil

    return not psutil.pid_exists(parent)


def is_in_background() -> bool:
    """Whether the terminal is another one's at the moment, such as the shell's after Ctrl-Z and bg."""
    with contextlib.suppress(AttributeError, OSError):
        return os.tcgetpgrp(sys.stderr.fileno()) != os.getpgrp()
    return False


def show(folder: Path, parent: int) -> None:
    """Show the run whose events are in `folder` until it is over."""
    console = Console(stderr=True)
    is_ascii = console.options.ascii_only
    run, follower, region = Run(time.time()), Follower(folder / "events"), Region(console)
    if hasattr(signal, "SIGCONT"):
        # The shell has written below.
        signal.signal(signal.SIGCONT, lambda *_: region.leave())
    drawn_at, size, above = float("-inf"), console.size, []
    while not run.is_over and not is_gone(parent):
        time.sleep(POLL_SECONDS)
        above += [one for event in follower.events() for one in run.hear(event)]
        was, size = size, console.size
        is_due = above or (size == was and time.monotonic() - drawn_at >= _DRAW_SECONDS)
        if run.is_over or (is_due and not is_in_background()):
            drawn_at = time.monotonic()
            region.draw(Picture(run, size.width, size.height, time.time(), is_ascii).lines(), above)
            above = []
    region.leave()


def main() -> None:
    """Serve as the process that draws."""
    # Ctrl-C, and the end of the terminal, go to all of its processes; the run decides what comes of them.
    for name in ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # The terminal is gone, or this one is not wanted any more.
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    with contextlib.suppress(OSError):
        show(folder, parent)
    if is_gone(parent):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
