"""What killed runs left: their commits are finished, and their temporary files removed.

Only what a name *and* the register of a run whose lock nobody holds say is removed, within the folders of results.
"""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from neuroluigi.provenance.commit import finish_commits
from neuroluigi.provenance.files import remove_path
from neuroluigi.provenance.parts import run_of_part
from neuroluigi.provenance.record import NewerRecordError
from neuroluigi.provenance.register import LOCK_ERRORS, Lock, noted_folders, registers, remove_register


def clear_killed(results: Path, roots: Sequence[Path]) -> None:
    """Clear away what runs left on these results that were killed, in folders below `roots` alone.

    What can't be removed now stays, with the register, for the next one that tries.
    """
    for path, _ in registers(results):
        with contextlib.suppress(*LOCK_ERRORS, NewerRecordError):
            _clear(path, results, roots)


def _clear(path: Path, results: Path, roots: Sequence[Path]) -> None:
    lock = Lock.alone(path.with_suffix(".lock"))
    if lock is None:
        return
    try:
        folders = [folder for folder in noted_folders(path, results) if _is_below(folder, roots)]
        # A commit needs what lies in another one of them.
        for folder in folders:
            finish_commits(folder)
        for folder in folders:
            _remove_parts(folder, path.stem)
        remove_register(path)
    finally:
        lock.release()


def _is_below(folder: Path, roots: Sequence[Path]) -> bool:
    """Whether a folder is below one of these, or one of them, and no link is on the way there."""
    for root in roots:
        if folder.is_relative_to(root):
            return Path(os.path.realpath(folder)) == Path(os.path.realpath(root), folder.relative_to(root))
    return False


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
