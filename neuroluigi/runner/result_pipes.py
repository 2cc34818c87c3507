"""The results of tasks on their way from the processes that run them to the run."""

import queue
import sys
from collections import deque
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import wait

import luigi

from neuroluigi.steps.attempt import MADE, Outcome

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

# After so many waits without a result the steps that run are long ones.
_IDLE_WAITS = 3


def outcome_of(task: luigi.Task) -> Outcome:
    """Return what came of the run of a task in this process; one of Luigi's own that has run has made something."""
    outcome = getattr(task, "run_outcome", None)
    return outcome if isinstance(outcome, Outcome) else Outcome(MADE)


class ResultPipes:
    """The results of steps, each process's from a pipe of its own; in place of Luigi's queue.

    A queue has one lock for all, which a process that is killed while it writes never releases; then the others, and
    so the run, wait for ever.
    """

    def __init__(self, while_idle: Callable[[], None], on_outcome: Callable[[str, Outcome], None]):
        self._while_idle, self._on_outcome = while_idle, on_outcome
        self._waited = 0
        self._own: deque[tuple] = deque()
        self._pipes: list[Connection] = []

    def add_process(self, task: luigi.Task) -> "Sender":
        """Return what a new process, of this task, sends its result with."""
        reader, writer = Pipe(duplex=False)
        self._pipes.append(reader)
        return Sender(writer, task)

    def put(self, result: tuple) -> None:
        """Add a result of this process."""
        self._own.append(result)

    def get(self, timeout: float) -> tuple:
        """Return the next result. Raises queue.Empty where there is none in time."""
        # Results of processes come first: Luigi adds one itself for a process that died, maybe after it was done.
        ready = wait(self._pipes, 0 if self._own else timeout)
        self._waited = 0 if ready or self._own else self._waited + 1
        for pipe in [one for one in self._pipes if one in ready]:
            try:
                result, outcome = pipe.recv()
                self._on_outcome(result[0], outcome)
                return result
            except (EOFError, OSError):
                self._pipes.remove(pipe)
                pipe.close()
        if self._own:
            return self._own.popleft()
        if self._waited > _IDLE_WAITS:
            self._while_idle()
        raise queue.Empty

    def close(self) -> None:
        """Close all pipes."""
        for pipe in self._pipes:
            pipe.close()


class Sender:
    """The end of a pipe that the process of a task holds."""

    def __init__(self, writer: Connection, task: luigi.Task):
        self._writer, self._task = writer, task

    def put(self, result: tuple) -> None:
        """Send a result of Luigi's, which begins with the id of the task, and the outcome of the task beside it."""
        self._writer.send((result, outcome_of(self._task)))

    def close(self) -> None:
        """Close this process's copy, so that the pipe ends when its owner does."""
        self._writer.close()
