"""Run a program and end it, with everything it started, as soon as whoever asked for it is gone or says so.

    python guard.py FOLDER

FOLDER/guard.json says what to run: `command`; `owner`, the process for whom it runs, as [id, time of its start]; and
`seats`, where the program needs one: {"folder": ..., "count": ...}. The program gets an empty standard input and the
guard's output, and is ended when

- the owner is gone, in any way, SIGKILL included, on every platform
- FOLDER/end is there, or FOLDER is not there any more
- FOLDER/caller, which names the process that uses the program at the moment as guard.json does its owner, names one
  that is gone

FOLDER/running.json says which process it is. When it ends, FOLDER/ended.json has its exit code and what it used.

A seat is a lock on a file, held for as long as the program runs: that is what a licence server counts. Whoever waits
for one leaves a request in the folder of the seats; one holder that is idle removes it and stops its program. So a
second run waits for less than a second; without requests it was 295 s, until the idle program ended by itself.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

GRACE_SECONDS = 3
POLL_SECONDS = 0.2

# What a shell answers for a program that is not there, and adds to the number of the signal that ended one.
NOT_FOUND = 127
SIGNALLED = 128
# No seat is free; nothing was started.
NO_SEAT = 75
# The name of the request for a seat.
REQUEST = "please"
# A program that is idle for longer is not just between two calls.
BETWEEN_CALLS_SECONDS = 0.5


def main() -> int:
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "guard.json").read_text(encoding="utf-8"))
    # Its owner decides; a Ctrl-C reaches that as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    seat = _take_seat(plan["seats"]) if plan.get("seats") else None
    if plan.get("seats") and not seat:
        return _ended(folder, NO_SEAT)
    try:
        program = subprocess.Popen(
            plan["command"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_restore if os.name == "posix" else None,
        )
    except OSError as error:
        print(f"{plan['command'][0]}: {error}", file=sys.stderr)
        return _ended(folder, NOT_FOUND)
    try:
        write_whole(folder / "running.json", {"guard": process_identity(), "program": process_identity(program.pid)})
    except OSError as error:  # the folder was removed, or the disk is full
        print(f"{folder}: {error}", file=sys.stderr)
        _end_family()
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ending, folder, plan), daemon=True)
    watcher.start()
    code = program.wait()
    if ending.is_set():
        # The program is ended, what it started is not yet.
        watcher.join()
    _end_family()
    return _ended(folder, code if code >= 0 else SIGNALLED - code)


def _ended(folder: Path, code: int) -> int:
    with contextlib.suppress(OSError):
        write_whole(folder / "ended.json", {"code": code, "used": _usage()})
    return code


def write_whole(path: Path, content: dict) -> None:
    """Write a JSON file that others see whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def _restore() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        # Should the guard itself be killed, nobody else would end the program.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def _adopt_orphans() -> None:
    """Keep grandchildren whose parent ends in this process's tree (Linux), so that they can be found and ended."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _take_seat(seats: dict) -> object:
    """Return the lock of a seat, None where all are taken; a file beside it says who holds it."""
    import getpass
    import platform

    import filelock

    for number in range(seats["count"]):
        path = Path(seats["folder"], f"seat-{number}")
        lock = filelock.FileLock(path.with_suffix(".lock"))
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=0)
            # Whoever left a request may have this one.
            path.with_name(REQUEST).unlink(missing_ok=True)
            with contextlib.suppress(OSError, KeyError):
                holder = {"host": platform.node(), "pid": os.getpid(), "user": getpass.getuser()}
                write_whole(path.with_suffix(".json"), holder)
            return lock
    return None


def _watch(ending: threading.Event, folder: Path, plan: dict) -> None:
    """Wait for a reason to end the program, and end it."""
    busy_at = time.monotonic()
    while not _is_over(folder, plan):
        if (folder / "caller").exists() or not (folder / "ready.json").exists():
            busy_at = time.monotonic()
        elif plan.get("seats") and time.monotonic() - busy_at > BETWEEN_CALLS_SECONDS:
            # Of several idle holders one can remove it.
            with contextlib.suppress(OSError):
                Path(plan["seats"]["folder"], REQUEST).unlink()
                (folder / "stop").touch()
        time.sleep(POLL_SECONDS)
    ending.set()
    _end_family()
    if not is_alive(plan["owner"]):
        # Nobody is left to read it, nor, once it is empty, the folder that it is in.
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()


def _is_over(folder: Path, plan: dict) -> bool:
    if (folder / "end").exists() or not folder.exists() or not is_alive(plan["owner"]):
        return True
    try:
        return not is_alive(json.loads((folder / "caller").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False


def process_identity(pid: int | None = None) -> list:
    """Return what tells a process from all others, also from later ones of the same id."""
    import psutil

    process = psutil.Process(pid)
    return [process.pid, process.create_time()]


def is_alive(identity: list) -> bool:
    """Whether the process of that id and time of start is there."""
    import psutil

    try:
        process = psutil.Process(identity[0])
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - identity[1]) < 1
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _end_family() -> None:
    """End all descendants: ask, then kill."""
    import psutil

    def family() -> list[psutil.Process]:
        return [p for p in psutil.Process().children(recursive=True) if runs(p)]

    def runs(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.status() != psutil.STATUS_ZOMBIE
        return False

    for process in family():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    # Not psutil's wait, which would take the program's exit code from under its own.
    until = time.monotonic() + GRACE_SECONDS
    while family() and time.monotonic() < until:
        time.sleep(0.05)
    # Again and again, because a process may have started another one in between.
    while remaining := family():
        for process in remaining:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)


def _usage() -> dict:
    """Return what the program and its children used; empty where the system does not tell."""
    try:
        import resource
    except ImportError:
        return {}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return {"cpu_seconds": round(used.ru_utime + used.ru_stime, 6), "peak_memory_bytes": used.ru_maxrss * unit}


if __name__ == "__main__":
    sys.exit(main())
