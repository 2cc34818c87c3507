"""The temporary folder of a run, in which its engines and programs have theirs: private, locked, removed with the run.

The process that made it holds a lock on the folder itself, on which those of its forks go on: systemd-tmpfiles leaves
a locked folder and all in it alone, and the next run removes one whose lock nobody holds any more. Windows has no such
locks: a folder that is left there stays.
"""

import atexit
import contextlib
import functools
import multiprocessing
import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from neuroluigi.engines import supervisor

# "ID FOLDER": the process that began the run, and its folder.
_VARIABLE = "NEUROLUIGI_POOL"

# Made under one name and locked under the other: nobody finds it unlocked who looks for those that are left.
_PREFIX, _NAME = "neuroluigi-new-", re.compile(r"neuroluigi-run-[a-z0-9_]{8}")

# What holds the lock of the folder that this process made.
_held: list[int] = []


def run_folder() -> Path:
    """Return the temporary folder of this run, making it where there is none; call it before any process is forked.

    Raises OSError.
    """
    pid, _, folder = os.environ.get(_VARIABLE, "").partition(" ")
    parent = multiprocessing.parent_process()
    if folder and int(pid) in (os.getpid(), parent and parent.pid) and Path(folder).is_dir():
        return Path(folder)
    _remove_left_over(Path(tempfile.gettempdir()))
    # A private folder with an ASCII name.
    new = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with contextlib.suppress(OSError):
        _held[:] = [_lock(new, is_shared=True)]
    made = new.rename(new.with_name(new.name.replace("-new-", "-run-")))
    os.environ[_VARIABLE] = f"{os.getpid()} {made}"
    atexit.register(remove_run_folder)
    return made


def own_run_folder() -> Path | None:
    """Return the folder that this process itself made, None where there is none."""
    pid, _, folder = os.environ.get(_VARIABLE, "").partition(" ")
    return Path(folder) if folder and int(pid) == os.getpid() else None


def remove_run_folder() -> None:
    """Remove the folder that this process made."""
    if folder := own_run_folder():
        del os.environ[_VARIABLE]
        atexit.unregister(remove_run_folder)
        shutil.rmtree(folder, ignore_errors=True)
        while _held:
            os.close(_held.pop())


def run_owner() -> supervisor.Identity:
    """Return the process for which engines and programs run: the one that made the folder."""
    return _identity_of(int(os.environ[_VARIABLE].partition(" ")[0]))


@functools.cache
def _identity_of(pid: int) -> supervisor.Identity:
    return supervisor.process_identity(pid)


def _lock(folder: Path, is_shared: bool) -> int:
    """Lock a folder, and return the descriptor that holds the lock. Raises OSError where that is not possible."""
    if sys.platform == "win32":
        raise OSError("Windows has no locks of folders")
    else:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


def _remove_left_over(above: Path) -> None:
    """Remove folders of runs of this user that have ended without doing so, with the processes that they left."""
    with contextlib.suppress(OSError), os.scandir(above) as found:
        for folder in [Path(one.path) for one in found if _NAME.fullmatch(one.name)]:
            with contextlib.suppress(OSError):
                if not _is_own(folder):
                    continue
                descriptor = _lock(folder, is_shared=False)
                try:
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(descriptor)
                supervisor.end_marked(folder)


def _is_own(folder: Path) -> bool:
    """Whether it is a folder of this user alone, and no link."""
    about = folder.lstat()
    return sys.platform != "win32" and (about.st_uid, about.st_mode) == (os.getuid(), stat.S_IFDIR | 0o700)
