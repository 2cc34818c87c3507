"""Formats that are not raw samples: told by their first bytes or their names, and never analysed."""

import bz2
import gzip
import json
import lzma
import shutil
import sqlite3
import wave
import zipfile

import numpy as np
import pytest

from neuroluigi.recordings.formats.signatures import format_of
from tests.conftest import FORMATS, Pipeline, needs_formats
from tests.recordings.files import found, only, problem, write_files
from tests.recordings.runs import run

TABLE = "session,index,path,dtype,channels,header_bytes"


def write_wav(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 30000, 0, "NONE", ""))
        file.writeframes(np.arange(100, dtype="<i2").tobytes())


def write_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.bin", b"0123456789")


def write_sqlite(path):
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE x (y)")
    connection.commit()
    connection.close()


# By the programs that write them, all under a name that raw samples have.
WRITERS = {
    "a WAV file": write_wav,
    "a NumPy file": lambda path: np.save(path.open("wb"), np.arange(10)),
    "a ZIP archive": write_zip,
    "a gzip-compressed file": lambda path: path.write_bytes(gzip.compress(b"0123456789")),
    "an xz-compressed file": lambda path: path.write_bytes(lzma.compress(b"0123456789")),
    "a bzip2-compressed file": lambda path: path.write_bytes(bz2.compress(b"0123456789")),
    "an SQLite file": write_sqlite,
    # By its specification, as Git writes it.
    "a pointer of Git LFS to a file that is not fetched": lambda path: path.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    ),
    "a pointer of git-annex to a file that is not fetched": lambda path: path.write_text(
        "/annex/objects/SHA256E-s12345--0123.bin\n"
    ),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_file_of_another_format_fails_its_group_whatever_its_name(root, what):
    WRITERS[what](root / "a/rec_1.bin")
    groups = found(root)
    (text,) = groups["a"].problems
    assert f"{root / 'a/rec_1.bin'} is {what}, not raw samples" in text
    assert "header_bytes" in text and not groups["b"].problems
    # A header that is declared by hand is the way to insist.
    size = (root / "a/rec_1.bin").stat().st_size
    assert only(found(root, TABLE, f"s,0,a/rec_1.bin,,,{size - 5}")).header_bytes == size - 5


# Real files; those that can be read as raw samples, with their channels and dtype.
REAL = {
    "wav/920061fe_2_4.wav": "a WAV file",
    "abf/File_axon_5.abf": "an Axon file (ABF)",
    "blackrock/pause_correct.ns2": "a Blackrock file",
    "neuralynx/unfilledSplitRecords.Ncs": "a Neuralynx file",
    "nwb/ecephys_tutorial_v2.5.0.nwb": "an HDF5 file",
    "intan/file_per_signal_type/info.rhd": "an Intan RHD file",
    "intan/file_per_signal_type/settings.xml": "",
    "brainvision/test.vhdr": "a text file",
}


@needs_formats
@pytest.mark.parametrize("name", [name for name, what in REAL.items() if what])
@pytest.mark.parametrize("as_bin", [False, True])
def test_real_files_of_other_formats(root, name, as_bin):
    if as_bin and REAL[name] == "a text file":
        pytest.skip("text has no beginning of its own")
    path = root / "x.bin" if as_bin else root / name.rpartition("/")[2]
    shutil.copyfile(FORMATS / name, path)
    if path.suffix in (".wav", ".ns2"):
        # A reader knows it.
        assert only(found(root, TABLE, f"s,0,{path.name},,,")).recorded
        return
    assert f"{path} is {REAL[name]}, not raw samples" in problem(found(root, TABLE, f"s,0,{path.name},,,"))


RAW = {
    "intan/file_per_signal_type/amplifier.dat": ("int16", 64),
    "brainvision/test.eeg": ("int16", 32),
    "ecg/mitdb_105/rec_0.bin": ("int16", 1),
    "spikeglx/DigitalChannelTest_g0/DigitalChannelTest_g0_t0.nidq.bin": ("int16", 1),
}


@needs_formats
@pytest.mark.parametrize("name", RAW)
def test_real_files_that_are_raw_samples(root, name):
    dtype, channels = RAW[name]
    recording = only(found(root, TABLE, f"s,0,{FORMATS / name},{dtype},{channels},"))
    assert (recording.dtype, recording.channels) == (dtype, channels)


@needs_formats
def test_all_flat_files_of_spikeglx_and_open_ephys_stay_readable():
    flat = [*FORMATS.rglob("*.nidq.bin"), *FORMATS.rglob("*.imec*.bin"), *FORMATS.rglob("continuous.dat")]
    assert len(flat) > 10
    assert {format_of(str(path), path.open("rb").read(64)) for path in flat} == {""}


@pytest.mark.parametrize("name", ["x.cbin", "x.mat", "X.MAT", "x.pl2", "x.csv", "x.ap.meta", "x.wav", "x.bin.gz"])
def test_a_name_that_raw_samples_never_have(root, name):
    write_files(root, name)
    assert f"{name} is a" in problem(found(root, TABLE, f"s,0,{name},,,"))
    assert only(found(root, TABLE, f"s,0,{name},,,2")).header_bytes == 2


@pytest.mark.parametrize("name", ["x", "x.bin", "x.dat", "x.raw", "x.eeg", "x.lfp", "x.fil", "x.i16", "wav", "a.b.c"])
def test_names_that_raw_samples_have(root, name):
    write_files(root, name)
    assert only(found(root, TABLE, f"s,0,{name},,,")).name == name


def test_samples_do_not_look_like_a_format():
    # Constant ones, ramps, and noise around zero of each size: what recordings begin with.
    rng = np.random.default_rng(1)
    for dtype in ("uint8", "int16", "int32", "float32", "float64"):
        for values in (np.zeros(64), np.ones(64), np.arange(64), *rng.normal(0, 50, (500, 64)).round()):
            assert format_of("x.bin", np.abs(values).astype(dtype).tobytes()[:64]) == ""


def test_a_result_per_recording_is_looked_at_too(root):
    from neuroluigi.recordings.concatenation import describe_concatenation
    from neuroluigi.recordings.recording import RecordingsError

    np.save(root / "filtered.npy", np.arange(10, dtype="uint8"))
    group = found(root)["b"]
    with pytest.raises(RecordingsError, match=r"filtered\.npy is a NumPy file, not raw samples"):
        describe_concatenation(group, [str(root / "filtered.npy")], "fail", contiguous="false")


def test_a_wrong_file_is_never_analysed_and_the_others_go_on(tmp_path):
    pipeline, root = Pipeline(tmp_path / "lab"), tmp_path / "data"
    write_files(root, "a/rec_0.bin", "b/rec_0.bin", "b/rec_x.bin")
    write_wav(root / "a/rec_1.bin")
    done = run(pipeline, "--recordings-root", root)
    assert done.code == 30
    assert f"{root / 'a/rec_1.bin'} is a WAV file, not raw samples" in done.err
    assert not (pipeline.results / "a/aggregate.bin").exists() and (pipeline.results / "b/plot.png").exists()
    # What is left out is told once.
    assert done.err.count("b/rec_x.bin") == 1
    assert (
        f"WARNING: left out of the recordings in {root}: b/rec_x.bin: no number can be read for {{index}}" in done.err
    )
    record = json.loads((pipeline.results / "run.json").read_text())
    assert record["exit_code"] == 30
