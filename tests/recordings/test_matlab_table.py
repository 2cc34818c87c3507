"""Trials in .mat files: as SciPy writes old ones, as Octave does, and in the layout that Matlab gives HDF5."""

import subprocess

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from neuroluigi.recordings.matlab_table import read_matlab_columns
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.recordings.trial_table import read_trials
from tests.conftest import needs_octave

EXPECTED = {"start_time": [0.5, 2.0], "stop_time": [1.0, None], "side": ["left", "right"], "hit": [1, 0]}


def read(path):
    return dict(read_trials(path, "s").columns)


def test_struct_of_vectors(tmp_path):
    sides = np.array(["left", "right"], object)
    trials = {"start_time": [[0.5], [2]], "stop_time": [1, np.nan], "side": sides, "hit": np.array([True, False])}
    savemat(tmp_path / "t.mat", {"trials": trials, "other": {"x": 1}})
    assert read(tmp_path / "t.mat") == EXPECTED


OCTAVE = """
trials = struct('start_time', {0.5, 2}, 'stop_time', {1, []}, 'side', {'left', 'right'}, 'hit', {true, false});
save('-v7', 'array.mat', 'trials');
start_time = [0.5 2]; stop_time = [1; NaN]; side = {'left', 'right'}; hit = [true false]; rate = 1000; what = 'abc';
save('-v6', 'vectors.mat', 'start_time', 'stop_time', 'side', 'hit', 'rate', 'what');
start_time = 3; save('-v7', 'one.mat', 'start_time');
"""


@needs_octave
def test_struct_array_and_vectors_of_octave(tmp_path):
    subprocess.run(["octave-cli", "--eval", OCTAVE], cwd=tmp_path, check=True, timeout=60)
    assert read(tmp_path / "array.mat") == EXPECTED
    assert read(tmp_path / "vectors.mat") == EXPECTED
    assert read(tmp_path / "one.mat") == {"start_time": [3.0], "stop_time": [None]}


def write_hdf5(path, is_array: bool) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        refs, trials = file.create_group("#refs#"), file.create_group("trials")
        trials.attrs["MATLAB_class"] = np.bytes_("struct")

        def text(name: str, value: str):
            data = refs.create_dataset(name, data=np.array([[ord(one)] for one in value], "<u2"))
            data.attrs["MATLAB_class"] = np.bytes_("char")
            return data.ref

        def number(name: str, value: float):
            data = refs.create_dataset(name, data=np.array([[value]]))
            data.attrs["MATLAB_class"] = np.bytes_("double")
            return data.ref

        sides = [text("a", "left"), text("b", "right")]
        columns = {"start_time": [0.5, 2], "stop_time": [1, np.nan], "hit": [1, 0]}
        if is_array:
            for name, values in columns.items():
                cells = [number(f"{name}{n}", one) for n, one in enumerate(values)]
                trials.create_dataset(name, data=np.array([cells], h5py.ref_dtype), dtype=h5py.ref_dtype)
            trials.create_dataset("side", data=np.array([sides], h5py.ref_dtype), dtype=h5py.ref_dtype)
        else:
            for name, values in columns.items():
                data = trials.create_dataset(name, data=np.array([values]))
                data.attrs["MATLAB_class"] = np.bytes_("double")
            cell = trials.create_dataset("side", data=np.array([sides], h5py.ref_dtype), dtype=h5py.ref_dtype)
            cell.attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


@pytest.mark.parametrize("is_array", [False, True])
def test_of_version_73(tmp_path, is_array):
    write_hdf5(tmp_path / "t.mat", is_array)
    assert read(tmp_path / "t.mat") == EXPECTED


def test_what_is_refused(tmp_path):
    path = tmp_path / "t.mat"

    def refusal(**variables) -> str:
        savemat(path, variables)
        with pytest.raises(RecordingsError) as raised:
            read_matlab_columns(path, "start_time")
        return str(raised.value)

    two = {"start_time": [1, 2]}
    assert "more than one: a, b with start_time" in refusal(a=two, b=two)
    assert "none among x with start_time" in refusal(x=1) and "table2struct" in refusal(x=1)
    assert "a: rate has 1 values, and start_time has 2; take out" in refusal(a={**two, "rate": 5})
    assert "a: more is no vector" in refusal(a={**two, "more": {"x": 1}})
    path.write_bytes(b"no file of Matlab")
    with pytest.raises(RecordingsError, match="can't read the table of trials"):
        read_matlab_columns(path, "start_time")
