"""Warm engine sessions: an engine process that serves one call after the other, for all processes of a run.

A pool is a folder of the process that began the run, with a folder per session. Whoever holds a session's lock may
call it; the system frees the lock of a process that dies. Each session runs under a guard, which ends it with
everything it started when the run, or the caller in the middle of a call, is gone. A call is a request file and an
answer file that appear whole; neuroluigiServe.m is the other side. One process per call is a session for one call.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import psutil

from neuroluigi.engines import supervisor
from neuroluigi.engines.engine import SESSION_FOLDER_VARIABLE, Engine
from neuroluigi.engines.program import explain_exit, start_supervised

logger = logging.getLogger("luigi-interface")

# Later than that an engine counts as stuck: at its start, and at its exit (a Matlab with Simulink in a container takes
# minutes).
START_SECONDS = {"matlab": 180, "octave": 60}
EXIT_SECONDS = 30

# A session is replaced after so many calls, at such an age (online licences last a day) and above so much memory.
MOST_CALLS = 500
MOST_SECONDS = 12 * 3600
MOST_BYTES = 4 << 30
# One that nobody calls for so long ends by itself.
IDLE_SECONDS = 300

# "pid folder" of the process that began the run and its pool.
_POOL_VARIABLE = "NEUROLUIGI_POOL"


class SessionEnded(RuntimeError):
    """An engine that ended before it answered. `code` is its exit code, None where it was stuck and was ended."""

    def __init__(self, text: str, code: int | None = None):
        super().__init__(text)
        self.code = code


class NoSeat(RuntimeError):
    """All seats are held by others."""


class CallTimeout(RuntimeError):
    """A call that did not answer in time; its session was ended."""


@dataclass(frozen=True)
class Limits:
    """How a call may use engines.

    `is_warm`: the engine serves other calls too. `call_seconds` is the longest that a call may take, `licence_seconds`
    the longest to wait for a licence. `seats` is the folder of the seats' locks and their number, None for an engine
    that needs none. `release` (or version) is the one that the engine must be of, "" for any.
    """

    is_warm: bool = True
    call_seconds: float | None = None
    licence_seconds: float = 0
    seats: tuple[str, int] | None = None
    release: str = ""


def open_pool(while_starting: Callable[[], None] | None = None) -> Path:
    """Return the pool of this run, made by the first that asks for it; call it before any process is forked.

    `while_starting` is called in this process, not in a fork of it, when an engine was told to start: it takes seconds.
    """
    global _while_starting
    _while_starting = while_starting or _while_starting
    pid, _, folder = os.environ.get(_POOL_VARIABLE, "").partition(" ")
    parent = multiprocessing.parent_process()
    if folder and int(pid) in (os.getpid(), parent and parent.pid) and Path(folder).is_dir():
        return Path(folder)
    # A private folder with an ASCII name.
    pool = Path(tempfile.mkdtemp(prefix="neuroluigi-"))
    os.environ[_POOL_VARIABLE] = f"{os.getpid()} {pool}"
    atexit.register(close_pool)
    return pool


def close_pool() -> None:
    """End all sessions of the pool that this process made."""
    pid, _, folder = os.environ.get(_POOL_VARIABLE, "").partition(" ")
    if not folder or int(pid) != os.getpid():
        return
    del os.environ[_POOL_VARIABLE]
    atexit.unregister(close_pool)
    sessions = [Session(one) for one in Path(folder).glob("session-*")]
    for session in sessions:
        session.stop()
    for session in sessions:
        if session.wait_for_end(supervisor.GRACE_SECONDS):
            session.tell_bad_end()
        else:
            session.end()
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def use_session(engine: Engine, folder: Path, limits: Limits, log: Path) -> Iterator["Session"]:
    """Give a session of `engine` for M-files in `folder` to call, warm where there is one; free it afterwards.

    Raises SessionEnded where the engine can't be started, and adds what it printed to `log`; NoSeat where no seat is
    free.
    """
    pool, about = open_pool(), _about(engine, folder)
    session = _claim(pool, about) or _start(pool, about, engine, folder, limits, log)
    try:
        yield session
        if not limits.is_warm:
            session.wait_for_exit()
        elif session.is_worn_out():
            session.stop()
    except BaseException:
        session.end()
        raise
    finally:
        session.free()


def _about(engine: Engine, folder: Path) -> dict:
    """Return what two calls that one session may serve have in common: the engine, and the M-files as they are."""
    files = [(path.relative_to(folder).as_posix(), path.stat()) for path in sorted(folder.rglob("*.m"))]
    code = json.dumps([str(folder), [(name, found.st_size, found.st_mtime_ns) for name, found in files]])
    return {
        "engine": engine.name,
        "command": engine.session_command(),
        "code": hashlib.sha256(code.encode()).hexdigest(),
    }


def _claim(pool: Path, about: dict) -> "Session | None":
    for folder in sorted(pool.glob("session-*")):
        session = Session(folder)
        if not session.lock():
            continue
        if session.is_usable(about):
            session.take()
            return session
        session.clear_away(about)
    return None


def _start(pool: Path, about: dict, engine: Engine, folder: Path, limits: Limits, log: Path) -> "Session":
    if limits.seats and not _is_seat_free(*limits.seats):
        raise NoSeat(f"all seats are taken; see {limits.seats[0]}")
    session = Session(Path(tempfile.mkdtemp(prefix="session-", dir=pool)))
    session.lock()
    try:
        session.start(about, engine, folder, limits)
    except BaseException:
        session.end()
        _Follower(session.folder / "log", 0, log).copy()
        session.free()
        raise
    return session


def _is_seat_free(folder: str, count: int) -> bool:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        lock = filelock.FileLock(Path(folder, f"seat-{number}.lock"))
        with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
            return True
    return False


def seat_holders(folder: str) -> list[str]:
    """Return who holds the seats whose locks are in a folder."""
    holders = []
    for path in sorted(Path(folder).glob("seat-*.json")):
        lock = filelock.FileLock(path.with_suffix(".lock"))
        try:
            # What the last holder said stays when it is gone.
            lock.acquire(timeout=0)
            lock.release()
        except filelock.Timeout:
            with contextlib.suppress(OSError, ValueError, KeyError):
                one = json.loads(path.read_text(encoding="utf-8"))
                holders.append(f"{one['user']} on {one['host']} (process {one['pid']})")
    return holders


def ask_for_a_seat(folder: str) -> None:
    """Ask the holders of the seats: the first that is idle gives way."""
    Path(folder, supervisor.REQUEST).touch()


class Session:
    """A session's folder, and what is done with it; all but `lock`, `stop` and `end` need its lock."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = filelock.FileLock(folder / "lock")

    def lock(self) -> bool:
        """Take the lock if nobody has it."""
        try:
            self._lock.acquire(timeout=0)
        except (filelock.Timeout, OSError):  # or its folder was just removed
            return False
        return True

    def free(self) -> None:
        """Let others call it."""
        (self.folder / "caller").unlink(missing_ok=True)
        is_over = self._has("ended.json")
        self._lock.release()
        if is_over:
            shutil.rmtree(self.folder, ignore_errors=True)

    def take(self) -> None:
        """Tell the guard whose end in the middle of a call ends the session too."""
        supervisor.write_whole(self.folder / "caller", supervisor.process_identity())

    def is_usable(self, about: dict) -> bool:
        """Whether the next call can be made of this session."""
        # A caller that did not free it died in the middle of a call.
        if any(map(self._has, ("ended.json", "stop", "end", "caller"))) or not self._has("ready.json"):
            return False
        return about.items() <= self._read("session.json").items() and self._is_guarded()

    def clear_away(self, about: dict) -> None:
        """Free a session that no call can use, and see that it ends; one of another command others may still use."""
        self.tell_bad_end()
        if self._has("caller") or not self._is_guarded():
            self.end()
        elif self._read("session.json").get("command") == about["command"]:
            self.stop()
        self.free()

    def is_worn_out(self) -> bool:
        """Whether it has served for long enough."""
        about = self._read("session.json")
        if self._count() >= MOST_CALLS or time.time() - about.get("started", 0) > MOST_SECONDS:
            return True
        with contextlib.suppress(psutil.Error, KeyError):
            return psutil.Process(self._read("running.json")["program"][0]).memory_info().rss > MOST_BYTES
        return False

    def start(self, about: dict, engine: Engine, folder: Path, limits: Limits) -> None:
        """Start the engine and wait until it is ready."""
        for name in ("neuroluigiServe.m", "reportProgress.m"):
            shutil.copy(Path(__file__).with_name(name), self.folder)
        (self.folder / "work").mkdir()
        calls = MOST_CALLS if limits.is_warm else 1
        path = {"class": "char", "value": str(folder)}
        supervisor.write_whole(
            self.folder / "serve.json", {"folder": path, "calls": calls, "idleSeconds": IDLE_SECONDS}
        )
        supervisor.write_whole(self.folder / "session.json", {**about, "started": time.time()})
        plan: dict[str, object] = {"owner": _owner(), "command": engine.session_command()}
        if limits.seats:
            plan["seats"] = {"folder": limits.seats[0], "count": limits.seats[1]}
        self.take()
        env = {SESSION_FOLDER_VARIABLE: str(self.folder)}
        process = start_supervised(self.folder, plan, self.folder / "log", self.folder, env)
        _started.append(process)
        if _while_starting and multiprocessing.parent_process() is None:
            _while_starting()
        self._wait("ready.json", START_SECONDS[engine.name], process)

    def facts(self) -> dict:
        """Return version and release, as the engine says them of itself."""
        return self._read("ready.json")

    def call(
        self, request: dict, log: Path, seconds: float | None, on_progress: Callable[[dict], None]
    ) -> tuple[dict, dict]:
        """Make a call, adding what the engine prints meanwhile to `log`; return the answer and what it used.

        Raises SessionEnded, and CallTimeout after `seconds`; both end the session.
        """
        number = self._count() + 1
        # What the first one finds there is what the engine printed at its start.
        printed = _Follower(self.folder / "log", 0 if number == 1 else self._log_size(), log)
        progress = self.folder / "progress.json"
        progress.unlink(missing_ok=True)
        meter = _Meter(self._read("running.json").get("program"))
        (self.folder / "count").write_text(str(number))
        supervisor.write_whole(self.folder / f"{number:06}.request.json", request)
        seen = 0

        def meanwhile():
            nonlocal seen
            printed.copy()
            # One that serves a single call is gone right after its answer.
            meter.read()
            with contextlib.suppress(OSError, ValueError):
                if (changed := progress.stat().st_mtime_ns) != seen:
                    seen = changed
                    on_progress(json.loads(progress.read_bytes().decode("utf-8", errors="replace")))

        answer = self.folder / f"{number:06}.answer.json"
        try:
            self._wait(answer.name, seconds, meanwhile=meanwhile)
        except SessionEnded as ended:
            meanwhile()
            if ended.code is None and seconds is not None:
                raise CallTimeout(f"no answer within {seconds:g} s") from None
            raise
        meanwhile()
        used = meter.read()
        answered = json.loads(answer.read_bytes().decode("utf-8", errors="replace"))
        for path in (answer, self.folder / f"{number:06}.request.json", *(self.folder / "work").iterdir()):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return answered, used

    def stop(self) -> None:
        """Have the engine exit after the call that it is at."""
        with contextlib.suppress(OSError):
            (self.folder / "stop").touch()

    def end(self) -> None:
        """End the engine at once, with everything that it started, and wait until it is gone."""
        with contextlib.suppress(OSError):
            (self.folder / "end").touch()
        self.wait_for_end(supervisor.GRACE_SECONDS + 10)
        # Without a guard to end it; on Linux it ends with its guard.
        program = self._read("running.json").get("program")
        if program and supervisor.is_alive(program):
            with contextlib.suppress(psutil.Error):
                psutil.Process(program[0]).kill()

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until the engine and its guard are gone; false where they are not in time."""
        until = time.monotonic() + seconds
        while self.folder.exists() and self._is_guarded():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def wait_for_exit(self) -> None:
        """Wait for an engine that has served its last call; one that takes too long is ended."""
        self.stop()
        if not self.wait_for_end(EXIT_SECONDS):
            self.end()
            logger.warning("%s did not exit within %g s after its answer and was ended", self._engine(), EXIT_SECONDS)
        else:
            self.tell_bad_end()

    def tell_bad_end(self) -> None:
        """Warn of an engine that answered its calls and did not end well of its own accord."""
        if (code := self._read("ended.json").get("code")) and not self._has("end"):
            logger.warning("%s ended badly after its last answer (%s)", self._engine(), explain_exit(code))

    def _wait(
        self,
        name: str,
        seconds: float | None,
        process: subprocess.Popen | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait for a file; SessionEnded where the engine ends without it, or it is not there in time."""
        began, pause, looked = time.monotonic(), 0.001, 0.0
        while not self._has(name):
            now = time.monotonic()
            if now - looked > 0.2:
                looked = now
                meanwhile()
                is_over = process.poll() is not None if process else not self._is_guarded()
                if is_over and not self._has(name):
                    code = self._read("ended.json").get("code", supervisor.SIGNALLED + 9)
                    if code == supervisor.NO_SEAT:
                        raise NoSeat("another one was faster")
                    raise SessionEnded(f"ended without an answer ({explain_exit(code)})", code)
            if seconds is not None and now - began > seconds:
                raise SessionEnded(f"no answer within {seconds:g} s")
            time.sleep(pause)
            pause = min(0.02, pause * 1.2)

    def _is_guarded(self) -> bool:
        """Whether the guard lives; true while it has not said who it is."""
        running = self._read("running.json")
        return supervisor.is_alive(running["guard"]) if running else not self._has("ended.json")

    def _engine(self) -> str:
        return self._read("session.json").get("engine", "an engine")

    def _count(self) -> int:
        try:
            return int((self.folder / "count").read_text())
        except (OSError, ValueError):
            return 0

    def _log_size(self) -> int:
        return (self.folder / "log").stat().st_size

    def _has(self, name: str) -> bool:
        return os.path.exists(f"{self.folder}{os.sep}{name}")  # noqa: PTH110 (asked hundreds of times a second)

    def _read(self, name: str) -> dict:
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


# The guards that this process started, so that none of them stays a zombie.
_started: list[subprocess.Popen] = []

_while_starting: Callable[[], None] | None = None


@functools.cache
def _identity_of(pid: int) -> list:
    return supervisor.process_identity(pid)


def _owner() -> list:
    """Return the process for whom sessions run: the one that made the pool."""
    return _identity_of(int(os.environ[_POOL_VARIABLE].partition(" ")[0]))


class _Follower:
    """Copies what is added to one file to the end of another."""

    def __init__(self, source: Path, offset: int, target: Path):
        self._source, self._offset, self._target = source, offset, target

    def copy(self) -> None:
        """Copy what is new."""
        with contextlib.suppress(FileNotFoundError), self._source.open("rb") as source:
            source.seek(self._offset)
            with self._target.open("ab") as target:
                while block := source.read(1 << 20):
                    target.write(block)
                    self._offset += len(block)


class _Meter:
    """Tells the processor time and the peak memory of a process between two moments, as far as the system does."""

    def __init__(self, program: list | None):
        self._process = None
        self._used: dict[str, float] = {}
        with contextlib.suppress(psutil.Error, TypeError, OSError):
            self._process = psutil.Process(program[0])
            # Linux counts the peak anew from here.
            with contextlib.suppress(OSError):
                Path(f"/proc/{program[0]}/clear_refs").write_text("5")
            self._cpu = self._cpu_seconds()

    def _cpu_seconds(self) -> float:
        times = self._process.cpu_times()
        own = times.user + times.system
        if sys.platform == "linux":
            # Those times have a grain of 10 ms; the clock of the process (clock_getcpuclockid(3)) has nanoseconds.
            own = time.clock_gettime((~self._process.pid << 3) | 2)
        return own + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)

    def read(self) -> dict:
        """Return cpu_seconds and peak_memory_bytes, of a process that is gone as they were read the last time.

        Less than the grain of the system's clock is not 0 s: cpu_seconds is left out then.
        """
        with contextlib.suppress(psutil.Error, AttributeError, OSError):
            if seconds := round(self._cpu_seconds() - self._cpu, 6):
                self._used["cpu_seconds"] = seconds
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
                peak = next(line for line in lines if line.startswith("VmHWM:"))
                self._used["peak_memory_bytes"] = int(peak.split()[1]) * 1024
        return self._used
