"""Recordings that the tests of this folder share."""

from pathlib import Path

import pytest

from tests.recordings.files import write_files


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with recordings of 10 bytes: a/rec_0.bin to rec_2.bin, b/rec_0.bin."""
    folder = tmp_path / "data"
    write_files(folder, "a/rec_0.bin", "a/rec_1.bin", "a/rec_2.bin", "b/rec_0.bin")
    return folder
