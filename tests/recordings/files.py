"""Recordings and tables in a folder, and what is found in it."""

from pathlib import Path

import pytest

from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, RecordingsError


def write_files(folder: Path, *names: str, size: int = 10) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(range(size)))


def write_table(folder: Path, *lines: str, name: str = "recordings.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding=encoding, newline="")
    return folder / name


def found(root: Path, *lines: str, **settings) -> dict:
    """Write the table (where there are lines) and return the groups."""
    if lines:
        write_table(root, *lines)
    return find_groups(Declaration(root=str(root), **settings))


def only(groups: dict):
    """Return the one recording of the one group, which has to be without problems."""
    (group,) = groups.values()
    assert group.problems == ()
    (recording,) = group.recordings
    return recording


def problem(groups: dict) -> str:
    """Return the one problem of the one group."""
    (group,) = groups.values()
    (text,) = group.problems
    assert "\n" not in text
    return text


def refusal(root: Path, *lines: str, **settings) -> str:
    with pytest.raises(RecordingsError) as caught:
        found(root, *lines, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)
