"""Trials, recordings and gaps in NWB files."""

import math

import numpy as np
import pandas
import pytest
from pynwb import NWBHDF5IO

from neuroluigi.ephys.nwb_tables import add_gaps, add_recordings, add_trials
from tests.ephys.nwb_files import channel, group_of, written


def read(path, name: str) -> pandas.DataFrame:
    with NWBHDF5IO(path, "r") as opened:
        file = opened.read()
        return (file.intervals[name] if name == "recordings" else getattr(file, name)).to_dataframe()


def test_trials(tmp_path):
    table = {
        "start_time": np.array([0.1, 1.5]),
        "stop_time": np.array([0.5, np.nan]),
        "id": np.array([7.0, 8.0]),
        "a/b": np.array([1.0, 2.0]),
        "stimulus": np.array(["left", "a,\nb"]),
    }
    found = read(written(tmp_path / "a.nwb", lambda file: add_trials(file, table)), "trials")
    assert found.start_time.tolist() == [0.1, 1.5]
    assert found.stop_time[0] == 0.5 and math.isnan(found.stop_time[1])
    assert found.id_2.tolist() == [7, 8] and found.a_b.tolist() == [1, 2]
    assert found.stimulus.tolist() == ["left", "a,\nb"]


def test_recordings_are_in_order_of_time(tmp_path):
    groups = [group_of([channel("A")], (20, 30), label="1"), group_of([channel("B")], (10,), label="2")]
    found = read(written(tmp_path / "a.nwb", lambda file: add_recordings(file, groups)), "recordings")
    assert found.start_time.tolist() == [0.0, 0.0, 0.020]
    assert found.stop_time.tolist() == pytest.approx([0.010, 0.020, 0.050])
    assert found.group.tolist() == ["g2", "g1", "g1"] and found.file.tolist() == ["rec_0.bin", "rec_0.bin", "rec_1.bin"]
    assert found.samples.tolist() == [10, 20, 30]


def test_gaps_of_the_session_are_invalid(tmp_path):
    # Of the first, another session begins behind it; how long the last one was, nobody knows.
    gaps = ({"sample": 20, "missing": 3}, {"sample": 40, "missing": 5}, {"sample": 45, "missing": None})
    group = group_of([channel("A")], (20, 30), ("other", "s"), gaps=gaps)
    group = group_of([channel("A")], (30, 30), gaps=gaps[1:])
    found = read(written(tmp_path / "a.nwb", lambda file: add_gaps(file, [group])), "invalid_times")
    assert found.start_time.tolist() == pytest.approx([0.040]) and found.stop_time.tolist() == pytest.approx([0.045])
    assert found.group.tolist() == ["g"]
