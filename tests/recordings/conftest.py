"""Recordings that the tests of this folder share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from neuroluigi.recordings.formats.library_process import one_process
from tests.recordings.files import write_files


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with recordings of 10 bytes: a/rec_0.bin to rec_2.bin, b/rec_0.bin."""
    folder = tmp_path / "data"
    write_files(folder, "a/rec_0.bin", "a/rec_1.bin", "a/rec_2.bin", "b/rec_0.bin")
    return folder


@pytest.fixture(scope="module")
def library_process():
    """Read all files of a module's tests by one process."""
    with one_process():
        yield


@pytest.fixture
def without_library(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Return what makes a library one that is not installed, for a process that is started to read by it."""

    def remove(name: str) -> None:
        folder = tmp_path / "without"
        folder.mkdir()
        text = f"raise ModuleNotFoundError({f'No module named {name!r}'!r}, name={name!r})"
        (folder / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(folder)

    return remove
