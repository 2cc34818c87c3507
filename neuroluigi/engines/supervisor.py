"""Run a program and end it, with everything it started, as soon as its owner is gone or asks for its end.

    python supervisor.py FOLDER

FOLDER/supervisor.json has `command`, the program to run; `owner`, the process for which it runs, as [process id, time
of its start]; and `seats`, where the program needs one: {"folder": ..., "count": ...}. The program gets an empty
standard input and the supervisor's output, and is ended when

- the owner is gone, in any way, SIGKILL included, on every platform
- FOLDER/end exists, or FOLDER does not exist any more
- the process is gone that FOLDER/caller names (as `owner` does): the one that uses the program at the moment

FOLDER/running.json has the identities of supervisor and program. At the end FOLDER/ended.json has the exit code of the
program and what it used.

A seat is a lock on a file, held for as long as the program runs: that is what a licence server counts. Whoever waits
for one leaves a request in the folder of the seats; one holder that is idle removes it and stops its program. So a
second run waits for some 4 seconds; without requests it was 295 s, until the idle program ended by itself.
"""

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    # A script's folder comes first on its path: no module beside this one may be imported in place of another.
    del sys.path[0]

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# A process: its id and the time of its start, which later processes of the same id don't share.
Identity = Sequence[float]

GRACE_SECONDS = 3
POLL_SECONDS = 0.2

# As in a shell: the exit code for a program that is not there, and what is added to the number of a signal.
NOT_FOUND = 127
SIGNALLED = 128
# No seat is free; nothing was started.
NO_SEAT = 75
# The name of the request for a seat.
REQUEST = "please"
# A program that is idle for longer is not just between two calls.
BETWEEN_CALLS_SECONDS = 3


def main() -> int:
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "supervisor.json").read_text(encoding="utf-8"))
    # Ctrl-C reaches the owner too, which decides.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    seat = _take_seat(plan["seats"]) if plan.get("seats") else None
    if plan.get("seats") and not seat:
        return _write_end(folder, NO_SEAT)
    try:
        program = subprocess.Popen(
            plan["command"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_restore_signals if os.name == "posix" else None,
        )
    except OSError as error:
        print(f"{plan['command'][0]}: {error}", file=sys.stderr)
        return _write_end(folder, NOT_FOUND)
    try:
        write_whole(
            folder / "running.json", {"supervisor": process_identity(), "program": process_identity(program.pid)}
        )
    except OSError as error:  # the folder was removed, or the disk is full
        print(f"{folder}: {error}", file=sys.stderr)
        _end_descendants()
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ending, folder, plan), daemon=True)
    watcher.start()
    code = program.wait()
    if ending.is_set():
        # The program has ended, but not yet what it started.
        watcher.join()
    _end_descendants()
    return _write_end(folder, code if code >= 0 else SIGNALLED - code)


def _write_end(folder: Path, code: int) -> int:
    with contextlib.suppress(OSError):
        write_whole(folder / "ended.json", {"code": code, "used": _usage()})
    return code


def write_whole(path: Path, content: object) -> None:
    """Write a JSON file so that a reader finds the whole of it or no file."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def _restore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        # Where the supervisor itself is killed, nobody else would end the program.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def _adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends (Linux), so that they can be found and ended."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _take_seat(seats: Mapping) -> object:
    """Return the lock of a seat, None where all are taken; a file beside it says who holds it."""
    import getpass
    import platform

    import filelock

    for number in range(seats["count"]):
        path = Path(seats["folder"], f"seat-{number}")
        lock = filelock.FileLock(path.with_suffix(".lock"))
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=0)
            # This seat may be what the request was for.
            path.with_name(REQUEST).unlink(missing_ok=True)
            with contextlib.suppress(OSError, KeyError):
                holder = {"host": platform.node(), "pid": os.getpid(), "user": getpass.getuser()}
                write_whole(path.with_suffix(".json"), holder)
            return lock
    return None


def _watch(ending: threading.Event, folder: Path, plan: Mapping) -> None:
    """Wait for a reason to end the program, and end it."""
    busy_at = time.monotonic()
    while not _is_over(folder, plan):
        if (folder / "caller").exists() or not (folder / "ready.json").exists():
            busy_at = time.monotonic()
        elif plan.get("seats") and time.monotonic() - busy_at > BETWEEN_CALLS_SECONDS:
            # Of several idle holders only one can remove it.
            with contextlib.suppress(OSError):
                Path(plan["seats"]["folder"], REQUEST).unlink()
                (folder / "stop").touch()
        time.sleep(POLL_SECONDS)
    ending.set()
    _end_descendants()
    if not is_alive(plan["owner"]):
        # Nobody is left to read the folder; the one above it goes with the last session.
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()


def _is_over(folder: Path, plan: Mapping) -> bool:
    if (folder / "end").exists() or not folder.exists() or not is_alive(plan["owner"]):
        return True
    try:
        return not is_alive(json.loads((folder / "caller").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False


def process_identity(pid: int | None = None) -> Identity:
    """Return the identity of a process, by default of this one. Raises psutil.NoSuchProcess."""
    import psutil

    process = psutil.Process(pid)
    return [process.pid, process.create_time()]


def is_alive(identity: Identity) -> bool:
    """Whether a process is running; a zombie is not."""
    import psutil

    try:
        process = psutil.Process(int(identity[0]))
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - identity[1]) < 1
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _end_descendants() -> None:
    """Terminate all descendants, and kill those that are left after GRACE_SECONDS."""
    import psutil

    def descendants() -> list[psutil.Process]:
        return [p for p in psutil.Process().children(recursive=True) if is_running(p)]

    def is_running(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.status() != psutil.STATUS_ZOMBIE
        return False

    for process in descendants():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    # Not by psutil.wait_procs, which would take the exit code that main() waits for.
    until = time.monotonic() + GRACE_SECONDS
    while descendants() and time.monotonic() < until:
        time.sleep(0.05)
    # Repeated, because a process may have started another one in between.
    while remaining := descendants():
        for process in remaining:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)


def _usage() -> dict[str, float]:
    """Return what the program and its children used; empty on Windows, which has no such figures."""
    figures: dict[str, float] = {}
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        unit = 1 if sys.platform == "darwin" else 1024
        figures["cpu_seconds"] = round(used.ru_utime + used.ru_stime, 6)
        figures["peak_memory_bytes"] = used.ru_maxrss * unit
    return figures


if __name__ == "__main__":
    sys.exit(main())
