"""A warm engine session: an engine process that serves one call after the other.

A session is a folder: its lock, its log, what the engine is (session.json) and says of itself (ready.json), and for
each call a request and an answer, files that appear whole; neuroluigiServe.m is the other side. The engine runs under
a supervisor, which ends it with everything it started when the run, or the caller in the middle of a call, is gone. One
process per call is a session for one call.
"""

import contextlib
import json
import logging
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import psutil

from neuroluigi.engines import supervisor
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.follower import Follower
from neuroluigi.engines.meter import Meter
from neuroluigi.engines.program import TEMPORARY, explain_exit, start_supervised
from neuroluigi.engines.prompts import write_prompts
from neuroluigi.engines.values import Node, encode, pack, unpack

logger = logging.getLogger("luigi-interface")

# After so many seconds an engine counts as stuck: at its start, and at its exit (a Matlab with Simulink in a container
# takes minutes).
START_SECONDS = {"matlab": 180.0, "octave": 60.0}
EXIT_SECONDS = 30

# A session is replaced after so many calls, at such an age (online licences last a day) and above so much memory.
MOST_CALLS = 500
MOST_SECONDS = 12 * 3600
MOST_BYTES = 4 << 30
# A session that is idle for so long ends by itself.
IDLE_SECONDS = 300

# A file that is waited for is looked for after 1 ms, then ever more seldom up to 20 ms; the engine is checked so often.
_LONGEST_PAUSE = 0.02
_CHECK_SECONDS = 0.2

# What is in the folder from the start on; what is there as well from the time on when the engine can be called; and
# what is there while somebody uses it. A session of which something removed any of these is over.
_FROM_START = ("lock", "log", "session.json", "count", "work", "neuroluigiServe.m", "reportProgress.m")
_WHEN_READY = (*_FROM_START, "running.json", "ready.json")
_IN_USE = ("caller",)


# Less than this is no space.
_LITTLE_SPACE = 1 << 20


class SessionEnded(RuntimeError):
    """An engine that ended before it answered. `code` is its exit code, None for one that had to be ended."""

    def __init__(self, text: str, code: int | None = None):
        super().__init__(text)
        self.code = code


class NoSeat(RuntimeError):
    """All seats are held by others."""


class CallTimeout(RuntimeError):
    """A call without an answer in time; its session was ended."""


@dataclass(frozen=True)
class Limits:
    """How a call may use engines.

    `is_warm`: the engine serves other calls too. `call_seconds` is the longest that a call may take (None: any),
    `licence_seconds` the longest to wait for a licence. `seats` is the folder of the seats' locks and their number,
    None for an engine that needs none. `release` is the release or version that the engine must have, "" for any.
    """

    is_warm: bool = True
    call_seconds: float | None = None
    licence_seconds: float = 0
    seats: tuple[str, int] | None = None
    release: str = ""


@dataclass(frozen=True)
class Request:
    """A call of an M-function: its arguments, encoded as a cell, and the names of the values that it returns."""

    function: str
    arguments: Node
    returns: Sequence[str] = ()


class Session:
    """A session's folder; all methods but `lock`, `has_begun`, `stop` and `end` need its lock."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = filelock.FileLock(folder / "lock")
        # The supervisor that this process started, and what was read in running.json.
        self._process: subprocess.Popen | None = None
        self._running: dict = {}

    def lock(self) -> bool:
        """Take the lock where nobody holds it; return whether that succeeded."""
        try:
            self._lock.acquire(timeout=0)
        except (filelock.Timeout, OSError):  # or its folder was just removed
            return False
        caller = self._read("caller")
        if caller and supervisor.is_alive(caller):
            # Something removed the file that the caller has locked.
            self._lock.release()
            return False
        return True

    def has_begun(self) -> bool:
        """Whether there is more than its lock: who makes a folder for a session has not locked it at once."""
        with contextlib.suppress(OSError):
            return any(name != "lock" for name in os.listdir(self.folder))  # noqa: PTH208 (names alone)
        return False

    def release(self) -> None:
        """Release the lock, and remove the folder of a session that has ended."""
        (self.folder / "caller").unlink(missing_ok=True)
        is_over = not self._is_supervised()
        self._lock.release()
        if is_over:
            shutil.rmtree(self.folder, ignore_errors=True)

    def set_caller(self) -> None:
        """Write down this process as the caller: where it dies in the middle of a call, the session ends too."""
        supervisor.write_whole(self.folder / "caller", supervisor.process_identity())

    def is_usable(self, about: Mapping) -> bool:
        """Whether this session can serve a call that needs `about` (engine, command and code)."""
        # A caller that is still written down died in the middle of a call.
        if any(map(self._has, ("ended.json", "stop", "end", "caller"))) or self._lost(_WHEN_READY):
            return False
        return about.items() <= self._read("session.json").items() and self._is_supervised()

    def discard(self, about: Mapping) -> None:
        """End a session that no call can use, and release it; calls of another engine may still use theirs."""
        self.warn_of_bad_end()
        if self._has("caller") or self._lost(_WHEN_READY) or not self._is_supervised():
            self.end()
        elif self._read("session.json").get("command") == about["command"]:
            self.stop()
        self.release()

    def is_worn_out(self) -> bool:
        """Whether it has served so many calls, so long, or holds so much memory that it is to be replaced."""
        started = self._read("session.json").get("started", -math.inf)
        if self._count() >= MOST_CALLS or time.monotonic() - started > MOST_SECONDS:
            return True
        with contextlib.suppress(psutil.Error, KeyError):
            return psutil.Process(self._identities()["program"][0]).memory_info().rss > MOST_BYTES
        return False

    def start(self, about: Mapping, engine: Engine, path: Collection[Path], limits: Limits) -> None:
        """Start the engine, with the folders `path` on its path. Raises OSError."""
        for name in ("neuroluigiServe.m", "reportProgress.m"):
            shutil.copy(Path(__file__).with_name(name), self.folder)
        write_prompts(self.folder / "prompts")
        (self.folder / "work").mkdir()
        calls = MOST_CALLS if limits.is_warm else 1
        folders = pack(encode([str(folder) for folder in path]), [])
        supervisor.write_whole(
            self.folder / "serve.json", {"folders": folders, "calls": calls, "idleSeconds": IDLE_SECONDS}
        )
        supervisor.write_whole(self.folder / "session.json", {**about, "started": time.monotonic()})
        (self.folder / "count").write_text("0")
        plan: dict[str, object] = {"command": engine.session_command()}
        if limits.seats:
            plan["seats"] = {"folder": limits.seats[0], "count": limits.seats[1]}
        self._process = start_supervised(self.folder, plan, self.folder / "log", self.folder)
        _started.append(self._process)

    def wait_until_ready(self, engine: Engine) -> None:
        """Wait until the engine can be called. Raises SessionEnded, and NoSeat where another process took the seat."""
        needs = (*_FROM_START, *_IN_USE, "serve.json")
        try:
            self._wait("ready.json", START_SECONDS[engine.name], needs)
            # Written while the engine starts.
            self._wait("running.json", 1, needs)
        except CallTimeout as late:
            raise SessionEnded(self._lost(needs) or str(late)) from None

    def facts(self) -> dict:
        """Return version and release, as the engine itself reports them."""
        return self._read("ready.json")

    def call(
        self, request: Request, log: Path, seconds: float | None, on_progress: Callable[[dict], None]
    ) -> tuple[dict, list[Node], dict]:
        """Make a call and return the answer, the values that the function returned, and what it used.

        While it runs, what the engine prints is added to `log`, and the latest of reportProgress is passed to
        `on_progress`. Raises SessionEnded, and CallTimeout after `seconds`; both end the session.
        """
        number = self._count() + 1
        # The first call's log begins with what the engine printed at its start.
        with Follower(self.folder / "log", number == 1, log) as printed:
            return self._call(number, request, printed, seconds, on_progress)

    def _call(
        self,
        number: int,
        request: Request,
        printed: Follower,
        seconds: float | None,
        on_progress: Callable[[dict], None],
    ) -> tuple[dict, list[Node], dict]:
        progress = self.folder / "progress.json"
        progress.unlink(missing_ok=True)
        meter = Meter(self._identities().get("program"))
        (self.folder / "count").write_text(str(number))
        call = self.folder / f"{number:06}"
        asked, answer = call.with_suffix(".request.json"), call.with_suffix(".answer.json")
        # An M-function may have removed it, with all that it found there.
        (self.folder / TEMPORARY).mkdir(exist_ok=True)
        blocks: list = []
        content = {
            "name": request.function,
            "arguments": pack(request.arguments, blocks),
            "returns": request.returns,
        }
        needs = [*_WHEN_READY, *_IN_USE, asked.name]
        if blocks:
            needs.append(f"{call.name}.request.bin")
            with (self.folder / needs[-1]).open("wb") as written:
                written.writelines(blocks)
        supervisor.write_whole(asked, content)
        seen = 0

        def meanwhile():
            nonlocal seen
            printed.copy()
            # An engine that serves a single call ends right after its answer: too late to measure it then.
            meter.read()
            with contextlib.suppress(OSError, ValueError):
                if (changed := progress.stat().st_mtime_ns) != seen:
                    seen = changed
                    on_progress(json.loads(progress.read_bytes().decode("utf-8", errors="replace")))

        try:
            self._wait(answer.name, seconds, needs, meanwhile)
        finally:
            meanwhile()
        used = meter.read()
        try:
            answered = json.loads(answer.read_bytes().decode("utf-8", errors="replace"))
            values = []
            if answered["values"]:
                with call.with_suffix(".answer.bin").open("rb") as read:
                    values = [unpack(one, read) for one in answered["values"]]
        except (OSError, ValueError) as error:
            raise SessionEnded(f"gave an answer that can't be read: {error}") from error
        if not answered["ok"] and (lost := self._lost(needs)):
            raise SessionEnded(lost)
        # The request first: an engine that finds it alone has lost its answer.
        of_call = sorted(self.folder.glob(f"{call.name}.*"), reverse=True)
        for path in (*of_call, *(self.folder / "work").glob("*")):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return answered, values, used

    def copy_log(self, log: Path) -> None:
        """Add all that the engine printed to `log`."""
        with contextlib.suppress(FileNotFoundError), Follower(self.folder / "log", True, log) as printed:
            printed.copy()

    def stop(self) -> None:
        """Have the engine exit after its current call."""
        with contextlib.suppress(OSError):
            (self.folder / "stop").touch()

    def end(self) -> None:
        """End the engine at once, with everything that it started, and wait until it has ended."""
        # Where there is no space for that file, the supervisor is not asked.
        with contextlib.suppress(OSError):
            (self.folder / "end").touch()
            self.wait_for_end(supervisor.GRACE_SECONDS + 10)
        if not self.has_ended():
            # Or it was killed, or does not find the folder any more.
            supervisor.end_marked(self.folder)

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until the engine and its supervisor have ended; return whether that was in time."""
        until = time.monotonic() + seconds
        while self.folder.exists() and self._is_supervised():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def has_ended(self) -> bool:
        """Whether the engine has ended with everything that it started."""
        return self._has("ended.json")

    def wait_for_exit(self) -> None:
        """Wait for the exit of an engine that has served its last call, and end one that takes too long."""
        self.stop()
        if not self.wait_for_end(EXIT_SECONDS):
            self.end()
            logger.warning("%s did not exit within %g s after its answer and was ended", self._engine(), EXIT_SECONDS)
        else:
            self.warn_of_bad_end()

    def warn_of_bad_end(self) -> None:
        """Warn of an engine that answered its calls and then crashed or exited with an error."""
        if (code := self._read("ended.json").get("code")) and not self._has("end"):
            logger.warning("%s ended badly after its last answer (%s)", self._engine(), explain_exit(code))

    def _wait(
        self,
        name: str,
        seconds: float | None,
        needs: Collection[str],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait for a file, which comes only while those in `needs` are there.

        Raises SessionEnded where the engine ends without it, or something removed one of `needs`; CallTimeout after
        `seconds`.
        """
        began, pause, checked = time.monotonic(), 0.001, 0.0
        while not self._has(name):
            now = time.monotonic()
            if now - checked > _CHECK_SECONDS:
                checked = now
                meanwhile()
                self._check_going_on(name, needs)
            if seconds is not None and now - began > seconds:
                raise CallTimeout(f"no answer within {seconds:g} s")
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.2)

    def _check_going_on(self, name: str, needs: Collection[str]) -> None:
        """Check that the file that is waited for, if it is not there yet, can still come."""
        is_over, lost = not self._is_supervised(), self._lost(needs)
        if self._has(name):
            return
        if lost:
            raise SessionEnded(lost)
        if is_over:
            code = self._read("ended.json").get("code", supervisor.SIGNALLED + 9)
            if code == supervisor.NO_SEAT:
                raise NoSeat("another process took the seat")
            full = f" on a disk that is full: {self.folder}" if _is_full(self.folder) else ""
            raise SessionEnded(f"ended without an answer{full} ({explain_exit(code)})", code)

    def _lost(self, needs: Collection[str]) -> str:
        """Return in words which of the files in `needs` are not there; "" where all are."""
        if all(map(self._has, needs)):
            return ""
        names = [name for name in needs if not self._has(name)]
        what = f"{', '.join(names)} in its folder" if self.folder.exists() else "its folder"
        return f"lost {what} {self.folder} (removed by a cleaner of temporary files?)"

    def _is_supervised(self) -> bool:
        """Whether the supervisor is running, or was just started by this process."""
        if known := self._identities():
            return any(map(supervisor.is_alive, known["supervisors"]))
        return self._process is not None and self._process.poll() is None

    def _identities(self) -> dict:
        """Return the identities of the engine and its supervisors, known once also where their file is removed."""
        self._running = self._running or self._read("running.json")
        return self._running

    def _engine(self) -> str:
        return self._read("session.json").get("engine", "an engine")

    def _count(self) -> int:
        try:
            return int((self.folder / "count").read_text())
        except (OSError, ValueError):
            return 0

    def _has(self, name: str) -> bool:
        return os.path.exists(f"{self.folder}{os.sep}{name}")  # noqa: PTH110 (called hundreds of times a second)

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


# The supervisors that this process started: a Popen that nothing refers to would leave a zombie.
_started: list[subprocess.Popen] = []


def _is_full(folder: Path) -> bool:
    """Whether there is no more space on the disk of a folder than what an engine needs to say so."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _LITTLE_SPACE
    return False
