"""Run a program and end it, with everything it started, as soon as its owner is gone or asks for its end.

    python supervisor.py FOLDER

FOLDER/supervisor.json has `command`, the program to run; `owner`, the process for which it runs, by its
process_identity(); and `seats`, where the program needs one: {"folder": ..., "count": ...}. The program gets an empty
standard input and the supervisor's output, and is ended when

- the owner is gone, in any way, SIGKILL included, on every platform
- FOLDER/end exists, or FOLDER does not exist any more
- the process is gone that FOLDER/caller names (as `owner` does): the one that uses the program at the moment

FOLDER/running.json has the identities of supervisors and program. At the end FOLDER/ended.json has the exit code of the
program and what it used.

Where a process can be forked, the supervisor is a pair: the first only waits for the second, which does all of this.
Where one of them is killed, the other one ends what is left. Who kills both leaves that to the caller, and to the next
run: the program and what it starts carry FOLDER in their environment, by which end_marked() finds them.

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# A process: its id, and what later processes of the same id don't share.
Identity = Sequence[int]

# The environment variable with the folder: all that the program starts inherits it.
FOLDER_VARIABLE = "NEUROLUIGI_SESSION"

GRACE_SECONDS = 3
POLL_SECONDS = 0.2
# How long to look for processes that were killed and are still there: they wait for a disk that does not answer.
_KILLED_SECONDS = 10
# Those who clean up temporary files go by the time of the last access, in days.
FRESH_SECONDS = 600

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
    # Both of the pair hold it.
    seat = _take_seat(plan["seats"]) if plan.get("seats") else None
    if plan.get("seats") and not seat:
        return _finish(folder, plan, NO_SEAT)
    if sys.platform == "win32":
        return _run(folder, plan)
    else:
        first = os.getpid()
        second = os.fork()
        _adopt_orphans()
        if not second:
            return _run(folder, plan, first)
        return _finish(folder, plan, os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]))


def _run(folder: Path, plan: Mapping, first: int | None = None) -> int:
    """Run the program and end it where there is a reason; `first` is the first of the pair."""
    try:
        program = subprocess.Popen(
            plan["command"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_restore_signals if os.name == "posix" else None,
        )
    except OSError as error:
        print(f"{plan['command'][0]}: {error}", file=sys.stderr)
        return _finish(folder, plan, NOT_FOUND)
    try:
        supervisors = [process_identity(one) for one in (first, os.getpid()) if one]
        write_whole(folder / "running.json", {"supervisors": supervisors, "program": process_identity(program.pid)})
    except OSError as error:  # the folder was removed, or the disk is full, or it has ended
        print(f"{folder}: {error}", file=sys.stderr)
        _end_descendants()
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ending, folder, plan, first), daemon=True)
    watcher.start()
    code = program.wait()
    if ending.is_set():
        # The program has ended, but not yet what it started.
        watcher.join()
    return _finish(folder, plan, code)


def _finish(folder: Path, plan: Mapping, code: int) -> int:
    """End what is left, note how the program ended, and return that as an exit code."""
    _end_descendants()
    code = code if code >= 0 else SIGNALLED - code
    with contextlib.suppress(OSError):
        if not (folder / "ended.json").exists():
            write_whole(folder / "ended.json", {"code": code, "used": _usage()})
    if not is_alive(plan["owner"]):
        # Nobody is left to read the folder; the one above it goes with the last session.
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
    return code


def write_whole(path: Path, content: object) -> None:
    """Write a JSON file so that a reader finds the whole of it or no file."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def _restore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Where the supervisor itself is killed, nobody else would end the program.
    die_with_parent()


def die_with_parent() -> None:
    """Have this process killed as soon as its parent ends (Linux)."""
    if sys.platform == "linux":
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


def _watch(ending: threading.Event, folder: Path, plan: Mapping, first: int | None) -> None:
    """Wait for a reason to end the program, and end it."""
    busy_at = fresh_at = time.monotonic()
    while not _is_over(folder, plan, first):
        now = time.monotonic()
        if (folder / "caller").exists() or not (folder / "ready.json").exists():
            busy_at = now
        elif plan.get("seats") and now - busy_at > BETWEEN_CALLS_SECONDS:
            # Of several idle holders only one can remove it.
            with contextlib.suppress(OSError):
                Path(plan["seats"]["folder"], REQUEST).unlink()
                (folder / "stop").touch()
        if now - fresh_at > FRESH_SECONDS:
            fresh_at = now
            keep_fresh(folder)
        time.sleep(POLL_SECONDS)
    ending.set()
    _end_descendants()


def _is_over(folder: Path, plan: Mapping, first: int | None) -> bool:
    if (folder / "end").exists() or not folder.exists() or not is_alive(plan["owner"]):
        return True
    if first and os.getppid() != first:
        return True
    try:
        return not is_alive(json.loads((folder / "caller").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False


def keep_fresh(folder: Path) -> None:
    """Set the time of the last access of a folder, of the one above it, and of all in it, to now."""
    for path in (folder.parent, folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def process_identity(pid: int | None = None) -> Identity:
    """Return the identity of a process, by default of this one, which no setting of the clock changes.

    Raises ProcessLookupError.
    """
    pid = pid or os.getpid()
    if not (found := _status(pid)):
        raise ProcessLookupError(f"there is no process {pid}")
    return [pid, found.started]


def is_alive(identity: Identity) -> bool:
    """Whether a process is running; a zombie is not."""
    found = _status(identity[0])
    return bool(found and found.started == identity[1] and not found.is_zombie)


class _Status(NamedTuple):
    """What the system says of a process; `started` is never corrected, and says nothing but that."""

    parent: int
    started: int
    is_zombie: bool


def _status(pid: int) -> _Status | None:
    if sys.platform == "linux":
        try:
            # The name before it, in parentheses, may contain anything.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return _Status(int(fields[1]), int(fields[19]), fields[0] in (b"Z", b"X"))
    else:
        import psutil

        try:
            process = psutil.Process(pid)
            # Made of the id and of the time that the system noted; create_time() follows the clock.
            return _Status(process.ppid(), hash(process), process.status() == psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return None


def _descendants() -> list[int]:
    """Return the processes that descend from this one and run."""
    if sys.platform == "linux":
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
        numbers = (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())
        running = {pid: found for pid in numbers if (found := _status(pid)) and not found.is_zombie}
        family = [os.getpid()]
        for parent in family:
            family += [pid for pid, found in running.items() if found.parent == parent]
        return family[1:]
    else:
        import psutil

        found = {one.pid for one in psutil.Process().children(recursive=True)}
        # Those whose parent has ended; the own one is the other of the pair.
        found |= {*_marked(os.environ[FOLDER_VARIABLE])} - {os.getppid()}
        return [pid for pid in found if (status := _status(pid)) and not status.is_zombie]


def _end_descendants() -> None:
    """Terminate all descendants, and kill those that are left after GRACE_SECONDS."""
    _send(signal.SIGTERM, _descendants())
    # Not by waiting for them, which would take the exit code that _run() waits for.
    until = time.monotonic() + GRACE_SECONDS
    while (remaining := _descendants()) and time.monotonic() < until:
        time.sleep(0.05)
    _kill_all(_descendants, remaining)


def end_marked(folder: str | Path) -> None:
    """Kill every process that was started for a folder or one in it, whatever has become of its supervisor."""
    _kill_all(lambda: _marked(folder), _marked(folder))


def _kill_all(find: Callable[[], Iterable[int]], found: Iterable[int]) -> None:
    """Kill processes, until there are no new ones: each may have started another one in between."""
    until = time.monotonic() + _KILLED_SECONDS
    while found and time.monotonic() < until:
        # On Windows every signal ends a process at once.
        _send(getattr(signal, "SIGKILL", signal.SIGTERM), found)
        time.sleep(0.05)
        found = find()


def _send(number: int, processes: Iterable[int]) -> None:
    for pid in processes:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _marked(folder: str | Path) -> list[int]:
    """Return the processes, but for this one, that carry a folder, or one in it, in their environment."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mark = Path(process.environ().get(FOLDER_VARIABLE, ""))
            is_other = process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
            if is_other and Path(folder) in (mark, *mark.parents):
                found.append(process.pid)
    return found


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
