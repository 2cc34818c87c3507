"""The pool of a run: its warm engine sessions, which all processes of the run share.

A pool is a folder of the process that began the run, with a folder per session. Whoever holds a session's lock may
call it; the system releases the lock of a process that dies.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import multiprocessing
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from neuroluigi.engines import supervisor
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.run_folder import own_run_folder, remove_run_folder, run_folder
from neuroluigi.engines.seats import is_seat_free
from neuroluigi.engines.session import Limits, NoSeat, Session
from neuroluigi.provenance.m_code import Files, found_files, lasting_effects_of

_while_starting: Callable[[], None] | None = None


def open_pool(while_starting: Callable[[], None] | None = None) -> Path:
    """Return the folder of this run's pool, making it where there is none; call it before any process is forked.

    `while_starting` is called each time that this process, not a fork of it, starts an engine, which takes seconds.
    Raises OSError.
    """
    global _while_starting
    _while_starting = while_starting or _while_starting
    pool = run_folder()
    _close_at_exit(pool)
    return pool


@functools.cache
def _close_at_exit(pool: Path) -> None:
    """Have the sessions of a pool end with this process, if it made the pool; once is enough."""
    atexit.register(close_pool)


def close_pool() -> None:
    """End all sessions of the pool that this process made, and remove it."""
    if not (pool := own_run_folder()):
        return
    sessions = [Session(one) for one in pool.glob("session-*")]
    for session in sessions:
        session.stop()
    for session in sessions:
        if session.wait_for_end(supervisor.GRACE_SECONDS) and session.has_ended():
            session.warn_of_bad_end()
        else:
            session.end()
    remove_run_folder()


@contextlib.contextmanager
def use_session(engine: Engine, path: Collection[Path], function: str, limits: Limits, log: Path) -> Iterator[Session]:
    """Yield a session of `engine` for a call of `function`, a warm one if possible, and release it afterwards.

    `path`: the folders on the engine's path, the one that wins first. A session in which the function may leave
    something behind ends after it, and `log` says so. Raises SessionEnded where the engine can't be started, adding
    what it printed to `log`, and NoSeat where no seat is free.
    """
    files = found_files(path)
    pool, about = open_pool(), _about(engine, path, files)
    session = _claim(pool, about) or _start(pool, about, engine, path, limits, log)
    try:
        yield session
        if not limits.is_warm:
            session.wait_for_exit()
        elif effects := lasting_effects_of(path, function, files):
            with log.open("a", encoding="utf-8") as stream:
                stream.write(
                    f"% the session of {engine.name} ends for what this call may leave: {'; '.join(effects)}\n"
                )
            session.stop()
        elif session.is_worn_out():
            session.stop()
    except BaseException:
        session.end()
        raise
    finally:
        session.release()


def _about(engine: Engine, path: Collection[Path], files: Files) -> dict:
    """Return what calls that share a session have in common: the engine, and all files of code as they are now."""
    code = json.dumps([[*map(str, path)], [(str(file), stamp) for file, _, stamp in files]])
    return {
        "engine": engine.name,
        "command": engine.session_command(),
        "code": hashlib.sha256(code.encode()).hexdigest(),
    }


def _claim(pool: Path, about: dict) -> Session | None:
    """Return an idle session for the call, locked, or None; end the idle ones that no call can use any more."""
    for folder in sorted(pool.glob("session-*")):
        session = Session(folder)
        # One that another step is about to start would be taken for one that has lost its files, and removed.
        if not session.has_begun() or not session.lock():
            continue
        if session.is_usable(about):
            session.set_caller()
            return session
        session.discard(about)
    return None


def _start(pool: Path, about: dict, engine: Engine, path: Collection[Path], limits: Limits, log: Path) -> Session:
    if limits.seats and not is_seat_free(*limits.seats):
        raise NoSeat(f"all seats are taken; see {limits.seats[0]}")
    session = Session(Path(tempfile.mkdtemp(prefix="session-", dir=pool)))
    session.lock()
    try:
        session.start(about, engine, path, limits)
        if _while_starting and multiprocessing.parent_process() is None:
            _while_starting()
        session.wait_until_ready(engine)
    except BaseException:
        session.end()
        session.copy_log(log)
        session.release()
        raise
    return session
