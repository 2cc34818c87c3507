"""What killed runs left: their commits are finished, and their temporary files removed.

Only what a name *and* the register of a run whose lock nobody holds say is removed, within the folders of results.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuroluigi.provenance.commit import finish_commits
from neuroluigi.provenance.files import is_below, remove_path
from neuroluigi.provenance.locks import reach_other_machines
from neuroluigi.provenance.parts import run_of_part
from neuroluigi.provenance.power_cut import make_sure
from neuroluigi.provenance.record import NewerRecordError
from neuroluigi.provenance.register import (
    LOCK_ERRORS,
    Lock,
    is_copy,
    noted_folders,
    registers,
    remove_register,
    unfinished_registers,
)
from neuroluigi.provenance.unflushed import unflushed_folders


def clear_killed(results: Path, roots: Sequence[Path]) -> None:
    """Clear away what runs left on these results that were killed, in folders below `roots` alone.

    Where a lock does not reach other machines, what their runs left stays too. What can't be removed now stays, with
    the register, for the next one that tries.
    """
    is_told_by_lock = reach_other_machines(results)
    for path, note in registers(results):
        if not is_told_by_lock and note.get("host") != socket.gethostname():
            continue
        with contextlib.suppress(*LOCK_ERRORS, NewerRecordError):
            _clear(path, note, results, roots)
    for path in unfinished_registers(results) if is_told_by_lock else ():
        with contextlib.suppress(*LOCK_ERRORS, NewerRecordError):
            _clear(path, {}, results, roots)


def _clear(path: Path, note: Mapping, results: Path, roots: Sequence[Path]) -> None:
    # A power cut may leave a register without its lock.
    lock = Lock.alone(path.with_suffix(".lock"), os.O_CREAT)
    if lock is None:
        return
    try:
        if not note and path.exists():
            # It was finished since.
            return
        # The original may still be at work in what it shares with others.
        roots = (results,) if is_copy(path, note) else roots
        named = dict.fromkeys((*noted_folders(path, results), *unflushed_folders(path, results)))
        folders = [folder for folder in named if _may_be_there(folder) and is_below(folder, roots)]
        # A commit needs what lies in another one of them.
        for folder in folders:
            finish_commits(folder)
        for folder in folders:
            _remove_parts(folder, path.stem)
        make_sure(path, note, results)
        remove_register(path)
    finally:
        lock.release()


def _may_be_there(folder: Path) -> bool:
    """Whether a folder is there, or can't be looked at now; nothing is left in one that was removed, or can't be."""
    try:
        os.stat(folder)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
    return True


def _remove_parts(folder: Path, run_id: str) -> None:
    """Remove what has the temporary names of a run: files, and folders without run records. Raises OSError."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for part in (folder / name for name in names if run_of_part(name) == run_id):
        mode = part.lstat().st_mode
        if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not (part / "runs").exists()):
            remove_path(part)
