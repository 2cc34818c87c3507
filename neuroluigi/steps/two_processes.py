"""Work on many tasks that two processes share: one half here, the other in a process that is forked for it."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import luigi
from luigi.cmdline_parser import CmdlineParser

Found = TypeVar("Found")
Work = Callable[[Iterable[luigi.Task]], Found]

# So many tasks right below the root are worth a second process, which costs some tenths of a second.
_WORTH_SHARING = 1_000


def is_worth_sharing(tasks: Sequence[luigi.Task]) -> bool:
    """Return whether a second process would help, and may: in a command, before it has started any other process."""
    is_free = CmdlineParser.get_instance() is not None and multiprocessing.parent_process() is None
    # Windows has no fork; macOS has, and system libraries that do not survive it.
    can_fork = sys.platform not in ("win32", "darwin") and (os.cpu_count() or 1) > 1
    return len(tasks) >= _WORTH_SHARING and is_free and can_fork


def by_two(tasks: Sequence[luigi.Task], work: Work[Found]) -> tuple[Found, Found | None]:
    """Return what work() finds for one half of the tasks here, and for the other in a second process.

    The second is None where that fails: an error there occurs again, here, where its half is worked on.
    """
    half = len(tasks) // 2
    reader, writer = multiprocessing.Pipe(duplex=False)
    # Typed as any: on Windows, where this is never called, there is no such context.
    fork: Any = multiprocessing.get_context("fork")
    second = fork.Process(target=_work_for, args=(tasks[half:], work, writer))
    second.start()
    writer.close()
    try:
        mine = work(tasks[:half])
        try:
            return mine, reader.recv()
        except EOFError:
            return mine, None
    finally:
        second.kill()
        second.join()
        reader.close()


def _work_for(tasks: Sequence[luigi.Task], work: Work[Found], writer: Connection) -> None:
    """Work in a process of its own and send what was found to its parent."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def while_it_lives() -> Iterator[luigi.Task]:
        for one in tasks:
            if os.getppid() != parent:
                os._exit(0)
            yield one

    with contextlib.suppress(BaseException):
        writer.send(work(while_it_lives()))
