"""What an acquisition system wrote beside raw samples: a declaration that contradicts it fails."""

import json

import pytest

from neuroluigi.recordings.formats.sidecars import sidecar_of
from tests.conftest import FORMATS, needs_formats
from tests.recordings.files import found, only, problem, write_files

TABLE = "session,index,path,dtype,channels,header_bytes"

META = "acqMnMaXaDw=0,0,0,1\nfileSizeBytes=24\nnSavedChans={}\nsnsSaveChanSubset=all\n~snsChanMap=(1)\n"
OEBIN = {"continuous": [{"folder_name": "Probe A/", "num_channels": 3}, {"folder_name": "NI", "num_channels": 6}]}
VHDR = (
    "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=x.eeg\nDataFormat={}\n"
    "; Data orientation: MULTIPLEXED=ch1,pt1, ch2,pt1 ...\nDataOrientation={}\nNumberOfChannels=3\n[Binary Infos]\n"
    "BinaryFormat={}\n"
)

# File, file beside it, its content, what that says, and its dtype and channels.
SIDECARS = {
    "SpikeGLX": ("x.imec0.ap.bin", "x.imec0.ap.meta", META.format(3), "SpikeGLX", "int16", 3),
    "SpikeGLX, on Windows": ("x.bin", "x.meta", META.format(3).replace("\n", "\r\n"), "SpikeGLX", "int16", 3),
    "Open Ephys": (
        "r1/continuous/Probe A/continuous.dat", "r1/structure.oebin", json.dumps(OEBIN), "Open Ephys", "int16", 3,
    ),
    "Open Ephys, another stream": (
        "r1/continuous/NI/continuous.dat", "r1/structure.oebin", json.dumps(OEBIN), "Open Ephys", "int16", 6,
    ),
    "BrainVision": ("x.eeg", "x.vhdr", VHDR.format("BINARY", "MULTIPLEXED", "INT_16"), "BrainVision", "int16", 3),
    "BrainVision, float": (
        "x.eeg", "x.vhdr", VHDR.format("BINARY", "MULTIPLEXED", "IEEE_FLOAT_32"), "BrainVision", "float32", 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "beside", "content", "system", "dtype", "channels"), SIDECARS.values(), ids=SIDECARS)
def test_what_is_declared_has_to_be_what_the_file_beside_says(root, name, beside, content, system, dtype, channels):
    write_files(root, name, size=24)
    (root / beside).write_text(content, newline="")
    only(found(root, TABLE, f"s,0,{name},{dtype},{channels},"))
    for wrong_dtype, wrong_channels in (("uint16", channels), (dtype, 2)):
        text = problem(found(root, TABLE, f"s,0,{name},{wrong_dtype},{wrong_channels},"))
        assert f"{root / name} has {channels} channels of {dtype} by {root / beside} ({system})" in text
        assert f"declared are {wrong_channels} of {wrong_dtype}; correct dtype and channels" in text
    # Who declares a header has described the file by hand.
    only(found(root, TABLE, f"s,0,{name},uint8,1,2"))
    (root / beside).unlink()
    only(found(root, TABLE, f"s,0,{name},uint8,2,"))


@pytest.mark.parametrize(
    ("form", "orientation", "said"),
    [("ASCII", "MULTIPLEXED", "text"), ("BINARY", "VECTORIZED", "one channel after the other")],
)
def test_brainvision_that_is_not_interleaved_samples(root, form, orientation, said):
    write_files(root, "x.eeg", size=24)
    (root / "x.vhdr").write_text(VHDR.format(form, orientation, "INT_16"))
    assert said in problem(found(root, TABLE, "s,0,x.eeg,int16,3,"))


@pytest.mark.parametrize("content", ["", "nothing of use", "nSavedChans=\n", '{"continuous": 5}', "[", "[]", "null"])
def test_a_file_beside_that_says_nothing(root, content):
    write_files(root, "r1/continuous/NI/continuous.dat", "x.bin", "x.eeg")
    for beside in ("r1/structure.oebin", "x.meta", "x.vhdr"):
        (root / beside).write_text(content)
    for name in ("r1/continuous/NI/continuous.dat", "x.bin", "x.eeg"):
        assert only(found(root, TABLE, f"s,0,{name},uint8,2,")).channels == 2


def test_a_folder_or_binary_content_beside(root):
    write_files(root, "x.bin", "y.bin")
    (root / "x.meta").mkdir()
    (root / "y.meta").write_bytes(bytes(range(256)))
    assert sidecar_of(str(root / "x.bin")) is None and sidecar_of(str(root / "y.bin")) is None


@needs_formats
def test_real_files():
    spikeglx = [path for path in FORMATS.rglob("*.bin") if path.with_suffix(".meta").exists()]
    assert {sidecar_of(str(path)).channels for path in spikeglx if ".imec" in path.name} == {385}
    assert {sidecar_of(str(path)).channels for path in spikeglx if ".nidq" in path.name} == {1}
    streams = {path.parent.name: sidecar_of(str(path)) for path in FORMATS.rglob("three*/**/continuous.dat")}
    # Each stream has 100 samples of int16.
    for path in FORMATS.rglob("three*/**/continuous.dat"):
        assert path.stat().st_size == 100 * 2 * streams[path.parent.name].channels
    eeg = sidecar_of(str(FORMATS / "brainvision/test.eeg"))
    assert (eeg.dtype, eeg.channels) == ("int16", 32)
