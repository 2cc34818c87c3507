"""Work on many things that two processes share: one half here, the other in a process that is forked for it."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from luigi.cmdline_parser import CmdlineParser

Item = TypeVar("Item")
Found = TypeVar("Found")
Work = Callable[[Iterable[Item]], Found]

# So many tasks right below the root are worth a second process, which costs some tenths of a second.
_WORTH_SHARING = 1_000
# Of what takes a tenth of the time of a task, such as recordings to be found.
_SMALL_WORTH_SHARING = 10_000


def is_worth_sharing(items: Sequence[Any], least: int = _WORTH_SHARING) -> bool:
    """Return whether a second process would help, and may: in a command, before it has started any other process."""
    is_free = CmdlineParser.get_instance() is not None and multiprocessing.parent_process() is None
    # Windows has no fork; macOS has, and system libraries that do not survive it.
    can_fork = sys.platform not in ("win32", "darwin") and (os.cpu_count() or 1) > 1
    return len(items) >= least and is_free and can_fork


def in_parts(items: Sequence[Item], work: Work[Item, Found]) -> list[Found]:
    """Return what work() finds for all small items, in order: for two halves where that is worth it, else at once."""
    if not is_worth_sharing(items, _SMALL_WORTH_SHARING):
        return [work(items)]
    mine, theirs = by_two(items, work)
    return [mine, work(items[_half(items) :]) if theirs is None else theirs]


def by_two(items: Sequence[Item], work: Work[Item, Found]) -> tuple[Found, Found | None]:
    """Return what work() finds for one half of the items here, and for the other in a second process.

    The second is None where that fails: an error there occurs again, here, where its half is worked on.
    """
    half = _half(items)
    reader, writer = multiprocessing.Pipe(duplex=False)
    # Typed as any: on Windows, where this is never called, there is no such context.
    fork: Any = multiprocessing.get_context("fork")
    second = fork.Process(target=_work_for, args=(items[half:], work, writer))
    second.start()
    writer.close()
    try:
        mine = work(items[:half])
        try:
            return mine, reader.recv()
        except EOFError:
            return mine, None
    finally:
        second.kill()
        second.join()
        reader.close()


def _half(items: Sequence[Any]) -> int:
    return len(items) // 2


def _work_for(items: Sequence[Item], work: Work[Item, Found], writer: Connection) -> None:
    """Work in a process of its own and send what was found to its parent."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def while_it_lives() -> Iterator[Item]:
        for one in items:
            if os.getppid() != parent:
                os._exit(0)
            yield one

    with contextlib.suppress(BaseException):
        writer.send(work(while_it_lives()))
