"""Arrays of NumPy: read in place where they lie as samples do, refused with words where they don't."""

import numpy as np
import pytest

from neuroluigi.recordings.formats import npy
from neuroluigi.recordings.formats.reader import Part
from neuroluigi.recordings.recording import RecordingsError
from tests.recordings.mutations import check_mutations


def recorded(folder, array=None, name="a.npy", **how):
    if array is not None:
        np.save(folder / name, array, **how)
    (recording,) = npy.recordings_in(str(folder), [name])
    return recording


def problem(*arguments, **how) -> str:
    (text,) = recorded(*arguments, **how).problems
    return text


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
def test_samples_are_where_numpy_has_them(tmp_path, dtype):
    array = np.arange(60, dtype=dtype).reshape(20, 3)
    recording = recorded(tmp_path, array)
    assert (recording.problems, recording.dtype, recording.samples) == ((), dtype, 20)
    assert [channel.name for channel in recording.channels] == ["0", "1", "2"]
    (part,) = recording.parts
    assert np.array_equal(np.memmap(part.path, dtype, "r", part.offset, (20, 3)), array)
    assert recording.sampling_rate_hz is None
    assert "sampling_rate_hz" in recording.warnings[0]


def test_one_dimension_is_one_channel(tmp_path):
    recording = recorded(tmp_path, np.arange(20, dtype="int16"))
    assert (recording.samples, len(recording.channels)) == (20, 1)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_header(tmp_path, version):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(6, dtype="int16").reshape(3, 2), version)
    recording = recorded(tmp_path)
    assert (recording.samples, recording.parts[0].offset) == (3, (tmp_path / "a.npy").stat().st_size - 12)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((20, 3), "int16", order="F"), "Fortran order"),
        (np.zeros(20, ">i2"), "little-endian"),
        (np.zeros(20, "int64"), "int64"),
        (np.zeros(20, "bool"), "'|b1'"),
        (np.zeros(20, "complex64"), "'<c8'"),
        (np.zeros(20, [("a", "<i2"), ("b", "<i2")]), "one descr"),
        (np.array([{}, ()], object), "'|O'"),
        (np.zeros((2, 3, 4), "int16"), r"(2, 3, 4)"),
        (np.zeros((), "int16"), "()"),
        (np.zeros((5, 0), "int16"), "(5, 0)"),
        (np.zeros((0, 5), "int16"), "no samples"),
    ],
)
def test_other_arrays_are_refused_with_words(tmp_path, array, words):
    text = problem(tmp_path, array)
    assert words in text
    assert str(tmp_path / "a.npy") in text


def test_a_transposed_array_is_warned_of(tmp_path):
    assert "transpose" in recorded(tmp_path, np.zeros((4, 3), "int16").T.copy()).warnings[1]


def test_a_file_that_was_cut_counts_as_it_is(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 3), "int16"))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-13])
    recording = recorded(tmp_path)
    assert (recording.samples, recording.rest_bytes) == (17, 5)
    assert f"{len(content)} by its header" in recording.warnings[1]
    (tmp_path / "a.npy").write_bytes(content + b"more than one sample")
    recording = recorded(tmp_path)
    assert recording.parts == (Part(str(tmp_path / "a.npy"), 128, 20),)


@pytest.mark.parametrize("shape", ["(9999999999999999999, 2)", "(-3, 2)", "(3.0, 2)", "(x,)", "3", "((3,), 2)"])
def test_shapes_that_are_none(tmp_path, shape):
    header = f"{{'descr': '<i2', 'fortran_order': False, 'shape': {shape}, }}".encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(40))
    assert str(tmp_path / "a.npy") in problem(tmp_path)


def test_code_in_a_header_is_not_run(tmp_path):
    header = b"{'descr': __import__('os').mkdir('x'), 'fortran_order': False, 'shape': (3,), }"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert "without one descr" in problem(tmp_path)


def test_what_is_no_numpy_file(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"NUMPY!!!")
    assert "is no NumPy file" in problem(tmp_path)
    (tmp_path / "a.npy").write_bytes(b"\x93NUM")
    assert "no whole header" in problem(tmp_path)
    (tmp_path / "a.npy").unlink()
    assert "is not there" in problem(tmp_path)
    (tmp_path / "a.npy").mkdir()
    assert "no regular file" in problem(tmp_path)


def test_the_header_of_a_counter(tmp_path):
    np.save(tmp_path / "sample_numbers.npy", np.arange(5))
    assert npy.read_npy_header(str(tmp_path / "sample_numbers.npy")) == ("int64", (5,), 128)
    with pytest.raises(RecordingsError, match="is not there"):
        npy.read_npy_header(str(tmp_path / "x.npy"))


def test_a_folder_with_arrays_is_claimed():
    assert npy.claims("", ["x.txt", "A.NPY"])
    assert not npy.claims("", ["npy", "x.npz"])


def test_hostile_headers(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(60, dtype="int16").reshape(20, 3))
    check_mutations(npy, {"a.npy": (tmp_path / "a.npy").read_bytes()}, "a.npy", tmp_path, most_bytes=128)
