"""A small lab with two groups of two channels in mV, opened from another folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import neuroluigi
from tests.conftest import REPOSITORY

RATE, SCALE, OFFSET = 1000.0, 0.5, -1.0

SETTINGS = """
[neuroluigi]
task = Summary

[recordings]
root = data
group_by = session

[matlab]
engine = numpy

[Aggregate]
copy = never

[Edges]
level = 0

[variants]
high = Edges.level=60
"""

STEPS = """

class Summary(WrapperTask):
    def requires(self):
        return [Edges(group) for group in groups()]
"""


def samples_of(session: str, index: int) -> np.ndarray:
    """Return the counts of a recording, int16 (250, 2): what is in its file, row by row."""
    phase = np.arange(250)[:, None] / 20 + ord(session) + index + np.array([0, 1])
    return np.round(100 * np.sin(2 * np.pi * phase)).astype("<i2")


def write_lab(folder: Path) -> Path:
    """Write a lab with the recordings m/0, m/1 and n/0, and return its folder."""
    data = folder / "data"
    data.mkdir(parents=True)
    rows = ["session,index,path,dtype,channels,sampling_rate_hz,scale,offset,unit"]
    for session, index in (("m", 0), ("m", 1), ("n", 0)):
        samples_of(session, index).tofile(data / f"{session}{index}.bin")
        rows.append(f"{session},{index},{session}{index}.bin,int16,2,{RATE:g},{SCALE},{OFFSET},mV")
    (data / "recordings.csv").write_text("\n".join(rows) + "\n")
    shutil.copy(REPOSITORY / "tasks.py", folder)
    with (folder / "tasks.py").open("a") as file:
        file.write(STEPS)
    (folder / "luigi.cfg").write_text(SETTINGS)
    return folder


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory) -> Path:
    """The folder of a lab after a run."""
    folder = write_lab(tmp_path_factory.mktemp("finished") / "lab")
    assert neuroluigi.open(folder).run(progress=False)
    return folder


@pytest.fixture(scope="session")
def finished(finished_folder):
    """A lab after a run, which tests leave as it is."""
    return neuroluigi.open(finished_folder)


@pytest.fixture
def copied(finished_folder, tmp_path):
    """A copy of it, which a test may change."""
    return neuroluigi.open(shutil.copytree(finished_folder, tmp_path / "copied"))
