"""Run a program and end it, with everything it started, as soon as whoever asked for it is gone.

    python guard.py FOLDER PROGRAM ARGUMENT...

Standard input is a lifeline: the parent holds its other end, and it closes when the parent dies in any way, SIGKILL
included, or closes it to have the program stopped. This holds on every platform, for a program that is a shell script
around another one too. The program itself gets an empty standard input and the guard's output. When it ends, what it
used is in FOLDER/usage.json; when the lifeline closes first, nobody is left to read FOLDER and it is removed.
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
from pathlib import Path

GRACE_SECONDS = 3

# What a shell answers for a program that is not there, and adds to the number of the signal that ended one.
NOT_FOUND = 127
SIGNALLED = 128


def main() -> int:
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    # The end of the lifeline is the one reason to stop; a Ctrl-C reaches the parent as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_restore if os.name == "posix" else None,
        )
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return NOT_FOUND
    ending = threading.Event()
    killer = threading.Thread(target=_end_with_parent, args=(ending, folder), daemon=True)
    killer.start()
    code = program.wait()
    if ending.is_set():
        # The program is ended, what it started is not yet.
        killer.join()
    with contextlib.suppress(OSError):
        (folder / "usage.json").write_text(json.dumps(_usage()))
    return code if code >= 0 else SIGNALLED - code


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


def _end_with_parent(ending: threading.Event, folder: Path) -> None:
    # Not sys.stdin.read(): a thread in it would trip the interpreter's exit.
    os.read(0, 1)
    ending.set()
    import psutil

    def family() -> list[psutil.Process]:
        return [p for p in psutil.Process().children(recursive=True) if is_alive(p)]

    def is_alive(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.status() != psutil.STATUS_ZOMBIE
        return False

    for process in family():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(family(), timeout=GRACE_SECONDS)
    # Again and again, because a process may have started another one in between.
    while remaining := family():
        for process in remaining:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(remaining, timeout=0.5)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(SIGNALLED + signal.SIGTERM)


def _usage() -> dict:
    """Return what the program and its children used; empty where the system does not tell."""
    try:
        import resource
    except ImportError:
        return {}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return {"cpu_seconds": round(used.ru_utime + used.ru_stime, 3), "peak_memory_bytes": used.ru_maxrss * unit}


if __name__ == "__main__":
    sys.exit(main())
