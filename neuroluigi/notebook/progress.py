"""The progress of a run in one line that changes: in a notebook, or on a terminal."""

import html
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import luigi

from neuroluigi.provenance.plain_text import plain
from neuroluigi.results.output import in_the_middle
from neuroluigi.runner.progress import Display
from neuroluigi.steps.plan import walk_statuses
from neuroluigi.steps.result_task import ResultTask

# Seconds between two changes of the line: a notebook keeps up with no more.
_INTERVAL = 0.2
# Letters of the line on a terminal, and of the tasks that run in a notebook.
_MOST_LETTERS = 78

# Shows how much is done, from 0 to 1, a text, and whether it is the last one.
_Show = Callable[[float, str, bool], None]


class Progress(Display):
    """The display of one run; `failures` are the reasons of the steps that failed, by their names.

    Nothing is shown where it is not wanted, nor where there is neither a notebook nor a terminal.
    """

    def __init__(self, tasks: Iterable[luigi.Task], is_wanted: bool):
        super().__init__(Path(os.devnull))
        self.failures: dict[str, str] = {}
        self._tasks = list(tasks)
        self._running: dict[str, str] = {}
        self._done, self._total, self._shown_at = 0, 0, 0.0
        self._shown = _where_to_show() if is_wanted else None

    def start(self, root: luigi.Task, workers: int) -> None:
        """Count what there is to be made, before the first step."""
        found = (pair for one in self._tasks for pair in walk_statuses(one))
        self._total = len({step.record_path for step, status in found if status.todo})

    def begin(self, task: luigi.Task) -> None:
        """Show that a task begins to run."""
        if isinstance(task, ResultTask):
            self._running[task.task_id] = str(task)
            self._show()

    def end(self, task: luigi.Task, is_done: bool, why: str = "") -> None:
        """Show that a task does not run any more; keep why it failed."""
        if why:
            self.failures[str(task)] = why
        self._done += bool(self._running.pop(task.task_id, "")) and is_done
        self._show()

    def count(self, found: Iterable[tuple[ResultTask, Any]]) -> None:
        """Ignore what there is at the end: the result of the run says it."""

    def check(self) -> None:
        """Ignore that time passes: nothing else draws it."""

    def __exit__(self, *exception: object) -> None:
        self._running.clear()
        self._show(is_last=True)

    def _show(self, is_last: bool = False) -> None:
        now = time.monotonic()
        if self._shown is None or not self._total or (now - self._shown_at < _INTERVAL and not is_last):
            return
        self._shown_at = now
        failed = f", {len(self.failures)} failed" if self.failures else ""
        running = f": {', '.join(self._running.values())}" if self._running else ""
        self._shown(self._done / self._total, plain(f"{self._done} of {self._total} made{failed}{running}"), is_last)


def _where_to_show() -> _Show | None:
    """Return what shows a line: in the notebook of this process, on its terminal, or nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if getattr(shell, "kernel", None) is not None:
        return _Bar().show
    return _on_terminal if sys.stderr and sys.stderr.isatty() else None


class _Bar:
    """A bar below a cell of a notebook, with a line of text."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, part: float, text: str, is_last: bool) -> None:
        from IPython.display import HTML, display

        bar = HTML(
            f'<progress value="{part:.4f}" max="1" style="width: 20em; vertical-align: middle"></progress>'
            f" {html.escape(in_the_middle(text, 2 * _MOST_LETTERS))}"
        )
        if self._handle is None:
            self._handle = display(bar, display_id=True)
        else:
            self._handle.update(bar)


def _on_terminal(part: float, text: str, is_last: bool) -> None:
    # \x1b[K clears the rest of what was there.
    end = "\n" if is_last else ""
    print(f"\r{in_the_middle(text, _MOST_LETTERS)}\x1b[K", end=end, file=sys.stderr, flush=True)
