"""A process that is killed at its n-th call, or a command at its n-th change of a file: before it, without any trace.

A command reads this at its start, as Python's `sitecustomize`, where killed_at() says so: an audit hook sees each file
that is opened to write, renamed, removed or made below a folder, before it happens, in the process that was started
alone, not in its children.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER, MOMENT, COUNT = "NEUROLUIGI_TEST_FOLDER", "NEUROLUIGI_TEST_MOMENT", "NEUROLUIGI_TEST_COUNT"
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")


def dying(call: int) -> Callable:
    """Return a decorator: at that call, from 0, of all functions that it decorates the process dies, before it."""
    left = itertools.count(call, -1)

    def counted(function):
        def counting(*args, **kwargs):
            if next(left) == 0:
                os._exit(9)
            return function(*args, **kwargs)

        return counting

    return counted


def killed_at(folder: Path, moment: int, count: Path | None = None) -> dict[str, str]:
    """Return the environment of a command that is killed before its change number `moment` (0: never) in a folder.

    How many changes there were is in the file `count`, a byte for each.
    """
    environment = {"PYTHONPATH": str(_sitecustomize(folder)), FOLDER: str(folder), MOMENT: str(moment)}
    return {**environment, **({COUNT: str(count)} if count else {})}


def _sitecustomize(folder: Path) -> Path:
    """Return a folder, beside that of the lab, in which this file is Python's sitecustomize."""
    beside = folder.with_name("sitecustomize")
    beside.mkdir(exist_ok=True)
    (beside / "sitecustomize.py").write_bytes(Path(__file__).read_bytes())
    return beside


def _watch() -> None:
    folder, moment, count = os.environ[FOLDER], int(os.environ[MOMENT]), os.environ.get(COUNT)
    owner, seen = os.getpid(), 0
    written = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if count else None

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if os.getpid() != owner or not (event in _CHANGES or (event == "open" and _is_write(arguments))):
            return
        path = arguments[0]
        # pathlib would open files itself.
        if isinstance(path, (str, bytes)) and os.path.abspath(os.fsdecode(path)).startswith(folder):  # noqa: PTH100
            seen += 1
            if written is not None:
                os.write(written, b".")
            if seen == moment:
                os.kill(owner, signal.SIGKILL)

    sys.addaudithook(hook)


def _is_write(arguments: tuple) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


if __name__ == "sitecustomize" and FOLDER in os.environ:
    _watch()
