"""Raw files: how many samples are in one, and those of fake recordings."""

import hashlib

import numpy as np
import pytest

from neuroluigi.recordings.formats.raw import fake_samples, measure
from neuroluigi.recordings.formats.reader import Part
from neuroluigi.recordings.recording import BYTES_PER_VALUE
from tests.recordings.files import found, only, problem, write_files


@pytest.mark.parametrize("dtype", BYTES_PER_VALUE)
def test_dtypes(root, dtype):
    write_files(root, "x.bin", size=3 * np.dtype(dtype).itemsize)
    recording = only(found(root, "session,index,path,dtype,channels", f"s,0,x.bin,{dtype},3"))
    measured = measure(recording, "fail")
    assert (measured.dtype, measured.samples, measured.rest_bytes) == (dtype, 1, 0)


def test_measure(root):
    write_files(root, "x.bin", size=23)
    header = "session,index,path,dtype,channels,header_bytes"
    measured = measure(only(found(root, header, "s,0,x.bin,int16,2,3")), "fail")
    assert (measured.parts, measured.rest_bytes) == ((Part(str(root / "x.bin"), 3, 5),), 0)
    text = problem(found(root, header, "s,0,x.bin,int16,2,"))
    assert str(root / "x.bin") in text
    assert "23 bytes" in text
    assert "4 bytes (int16, 2 channels)" in text
    assert "3 bytes are left" in text
    assert "partial_sample = drop" in text
    measured = measure(only(found(root, header, "s,0,x.bin,int16,2,", partial_sample="drop")), "drop")
    assert (measured.parts, measured.rest_bytes) == ((Part(str(root / "x.bin"), 0, 5),), 3)


@pytest.mark.parametrize(
    ("size", "row"), [(0, "uint8,1,0"), (3, "int16,2,0"), (10, "uint8,1,10"), (10, "uint8,1,11"), (8, "float64,2,0")]
)
@pytest.mark.parametrize("partial_sample", ["fail", "drop"])
def test_no_samples(root, size, row, partial_sample):
    write_files(root, "x.bin", size=size)
    lines = ("session,index,path,dtype,channels,header_bytes", f"s,0,x.bin,{row}")
    text = problem(found(root, *lines, partial_sample=partial_sample))
    assert f"{root / 'x.bin'} has no samples: {size} bytes" in text
    assert "bytes per sample" in text


def test_fake_samples_are_the_same_on_every_machine():
    # By: printf a/0 | openssl dgst -shake256 -xoflen 100 -binary | sha256sum
    assert (
        hashlib.sha256(fake_samples("a", 0, 100)).hexdigest()
        == "e50a9ba6f104ef770dadc66e0e28f3d6a3944ac1b8afe07f4a9c53bfd08ea031"
    )
    assert (
        hashlib.sha256(fake_samples("Größe", 12, 100)).hexdigest()
        == "88023decbfb421c3354508954c597f284eabd10ca1f47a09101d7cbde476a684"
    )
    assert fake_samples("a", 0, 5) == fake_samples("a", 0, 100)[:5]
    assert fake_samples("a", 0, 0) == b""
    assert len({fake_samples(session, index, 100) for session in "abcde" for index in range(4)}) == 20
