"""How far a step that runs is: from its make() to the log, to the display, and to the scheduler."""

import contextlib
import json
import logging
import math
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from neuroluigi.provenance.files import write_text

if TYPE_CHECKING:
    from neuroluigi.steps.base import Step

logger = logging.getLogger("luigi-interface")

# A step that reports all the time is logged, and is sent to the scheduler, once in so many seconds.
_LOG_SECONDS = 5
_SCHEDULER_SECONDS = 0.2


class ProgressReporter:
    """Reports the progress of one step while it runs."""

    def __init__(self, step: "Step"):
        self._step = step
        self._logged_at = self._sent_at = float("-inf")
        # The latest progress where it waits to be sent, with what sends it.
        self._waiting: Mapping = {}
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Report where the log of the step is, which runs in this context; nothing is reported after it."""
        self._send({"log": str(self._step.log)}, is_kept=multiprocessing.parent_process() is not None)
        try:
            yield
        finally:
            with self._lock:
                self._waiting = {}
                if self._timer:
                    self._timer.cancel()

    def report(self, k: float, n: float, message: str) -> None:
        """Report k of n, and a message; values that are not finite numbers are ignored."""
        try:
            k, n = float(k), float(n)
        except (TypeError, ValueError):
            return
        if not (math.isfinite(k) and math.isfinite(n)):
            return
        self._send({"k": k, "n": n, "message": str(message), "log": str(self._step.log)})
        if time.monotonic() - self._logged_at >= _LOG_SECONDS:
            self._logged_at = time.monotonic()
            logger.info("%s: %g/%g %s", self._step, k, n, message)

    def _send(self, progress: Mapping, is_kept: bool = True) -> None:
        step = self._step
        if step.progress_path and is_kept:
            with contextlib.suppress(OSError):
                write_text(step.progress_path, json.dumps(progress), is_durable=False)
        # In a process for one step, its parent reads that file and sends it on.
        if multiprocessing.parent_process() is not None:
            return
        with self._lock:
            is_timed, self._waiting = bool(self._waiting), progress
            seconds = self._sent_at + _SCHEDULER_SECONDS - time.monotonic()
            if seconds <= 0:
                self._send_waiting()
            elif not is_timed:
                # A step that reports nothing more for an hour shows its latest, not the one before.
                self._timer = threading.Timer(seconds, self._send_later)
                self._timer.daemon = True
                self._timer.start()

    def _send_later(self) -> None:
        with self._lock:
            if self._waiting:
                self._send_waiting()

    def _send_waiting(self) -> None:
        step, progress, self._waiting = self._step, self._waiting, {}
        # The path of the log is sent once, right before the first progress, which must not wait for it.
        self._sent_at = time.monotonic() if "k" in progress else self._sent_at
        # Luigi sets them where it runs the step.
        if step.set_status_message and step.set_progress_percentage:
            step.set_status_message(status_message(progress))
            step.set_progress_percentage(percentage(progress))


def percentage(progress: Mapping) -> int | None:
    """Return the progress k of n in per cent; None where that is no number from 0 to 100."""
    k, n = progress.get("k", 0), progress.get("n", 0)
    return round(100 * k / n) if n > 0 and 0 <= k <= n else None


def status_message(progress: Mapping) -> str:
    """Return the progress of a step as text: k, n and message, then host and log, as far as they are known."""
    how_far = [f"{progress['k']:g}/{progress['n']:g} {progress['message']}"] if "k" in progress else []
    where = [f"{socket.gethostname()}: {progress['log']}"] if "log" in progress else []
    return "\n".join([*how_far, *where])
