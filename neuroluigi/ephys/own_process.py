"""A function in a process of its own, for libraries that may crash: where the disk is full, libhdf5 does.

A crash then fails a step and not the run, and what the library prints of it is not shown.
"""

import contextlib
import errno
import json
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuroluigi.engines.supervisor import die_with_parent
from neuroluigi.steps.describe import StepError

# Where less is left, a file that could not be written was too much for the disk.
_FULL_BYTES = 1 << 20
# On macOS libraries of the system do not survive it; Windows has none of these.
_CAN_COPY = hasattr(os, "fork") and platform.system() != "Darwin"
_system: Any = os
_system_signal: Any = signal


def in_own_process(do: Callable[[], None], path: Path) -> None:
    """Call a function that writes to `path` in a copy of this process, where the system can make one.

    Raises OSError as it does, and StepError, in its words, for any other error, or where it crashes.
    """
    if not _CAN_COPY:
        do()
        return
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = _system.fork()
    if not child:
        os.close(reader)
        _do_and_tell(do, writer, parent)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as answers:
            answer = answers.read()
        _, status = os.waitpid(child, 0)
    except BaseException:
        with contextlib.suppress(OSError):
            os.kill(child, _system_signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    _raise_again(answer, os.waitstatus_to_exitcode(status), path)


def _do_and_tell(do: Callable[[], None], writer: int, parent: int) -> None:
    """Do it in the copy, write its error to a pipe, and end the process."""
    error: dict | None = {"text": "it was interrupted"}
    try:
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        # Of a full disk it would be pages.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        do()
        error = None
    except OSError as caught:
        error = {"errno": caught.errno, "text": caught.strerror or str(caught), "path": caught.filename}
    except Exception as caught:
        error = {"text": str(caught) if isinstance(caught, StepError) else f"{type(caught).__name__}: {caught}"}
    finally:
        with contextlib.suppress(OSError):
            os.write(writer, json.dumps(error, default=os.fspath).encode())
        # Nothing of the run is to be done twice, such as what it does at its end.
        os._exit(0)


def _raise_again(answer: bytes, code: int, path: Path) -> None:
    """Raise the error that the copy told, or what it means that it told nothing."""
    if code or not answer:
        if shutil.disk_usage(path.parent).free < _FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise StepError(
            f"the library that writes {path.name} crashed ({how}); if there is space on the disk, try again"
        )
    error = json.loads(answer)
    if error and error.get("errno") is not None:
        raise OSError(error["errno"], error["text"], error.get("path") or str(path))
    if error:
        raise StepError(error["text"])
