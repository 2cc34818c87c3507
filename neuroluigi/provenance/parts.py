"""Temporary names: NAME.part-RUN-RANDOM.ext, where RUN is the id of the run whose process writes there.

A name says whose file it is, and the register of that run (register.py) says so too; only where both do is one removed.
"""

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

RUN_ID = "[0-9a-f]{16}"
# How many bytes a temporary name has more than the final one.
ADDED_BYTES = len(".part-0123456789abcdef-01234567")
_PART = re.compile(rf"(?P<stem>.*)\.part-(?P<run>{RUN_ID})-[0-9a-f]{{8}}(?P<suffix>(\.[^.]*)?)", re.DOTALL)
# Earlier releases named host, process and a number.
_EARLIER = re.compile(r"(?P<stem>.*)\.part-.+-\d+-\d+(?P<suffix>(\.\w+)?)", re.DOTALL)


def new_run_id() -> str:
    """Return an id that no other run has, and nobody can guess."""
    return secrets.token_hex(8)


# Of a process that has no register, where nobody finds what it leaves.
_of_process = new_run_id()
_run_id, _note_folder = _of_process, lambda folder: None


def name_parts_by(run_id: str = _of_process, note_folder: Callable[[Path], None] = lambda folder: None) -> None:
    """Give all temporary paths from now on that id; `note_folder` is called with the folder of each beforehand."""
    global _run_id, _note_folder
    _run_id, _note_folder = run_id, note_folder


def part_path(path: Path) -> Path:
    """Return a temporary path in the folder of `path`, with its extension, at which there is nothing.

    That of a temporary path of this run is no longer than it. Raises OSError where the register can't be written.
    """
    _note_folder(path.parent)
    if f".part-{_run_id}-" in path.name and run_of_part(path.name) == _run_id:
        path = path.with_name(final_name(path.name))
    while True:
        part = path.with_name(f"{path.stem}.part-{_run_id}-{secrets.token_hex(4)}{path.suffix}")
        if not os.path.lexists(part):
            return part


def part_of_looks(path: Path) -> Path:
    """Return a temporary path of this run for what a look may write too; without a run, the one that all looks have.

    So a look that is killed leaves one file at most, which the next one that writes `path` writes anew.
    """
    if _run_id != _of_process:
        return part_path(path)
    return path.with_name(f"{path.stem}.part-{'0' * len(_run_id)}-{'0' * 8}{path.suffix}")


def run_of_part(name: str) -> str:
    """Return the id of the run that a temporary name has; "" for any other name, and those of earlier releases."""
    found = _PART.fullmatch(name)
    return found["run"] if found else ""


def final_name(name: str) -> str:
    """Return the name that a file is to have whose temporary name is that, of whatever run; "" for any other name."""
    found = _PART.fullmatch(name) or _EARLIER.fullmatch(name)
    return f"{found['stem']}{found['suffix']}" if found else ""


def is_part(path: Path) -> bool:
    """Whether a path is a temporary one, of whatever run."""
    return bool(final_name(path.name))


def with_final_names(text: str) -> str:
    """Return a text in which the temporary paths of this run, such as those in an error, have their final names."""
    return re.sub(rf"\.part-{_run_id}-[0-9a-f]{{8}}", "", text)
