"""BrainVision: samples, resolution and unit per channel, and the segments that markers tell of."""

import numpy as np
import pytest
from neo.rawio import BrainVisionRawIO

from neuroluigi.recordings.formats import brainvision
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.reader import Gap, Part
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations

HEADER = """\
BrainVision Data Exchange Header File Version 1.0

[Common Infos]
DataFile=a.eeg
MarkerFile=a.vmrk
DataFormat=BINARY
; a comment
DataOrientation=MULTIPLEXED
NumberOfChannels=2
SamplingInterval=2000

[Binary Infos]
BinaryFormat=INT_16

[Channel Infos]
Ch1=Fp1,,0.5,µV
Ch2=Cz\\1ref,,0.1,mV,more

[Comment]
[Common Infos]
NumberOfChannels=7
"""
MARKERS = """\
BrainVision Data Exchange Marker File Version 1.0
[Common Infos]
DataFile=a.eeg
[Marker Infos]
Mk1=New Segment,,1,1,0,20131113161403794232
Mk2=Stimulus,S 1,4,1,0
Mk3=New Segment,,6,1,0,20131113161503794232
"""


def recorded(folder, header=HEADER, markers=MARKERS, encoding="utf-8", size=40):
    (folder / "a.vhdr").write_bytes(header.encode(encoding))
    (folder / "a.eeg").write_bytes(bytes(range(size)))
    if markers is not None:
        (folder / "a.vmrk").write_text(markers, encoding="utf-8")
    (recording,) = brainvision.recordings_in(str(folder), ["a.vhdr", "a.eeg", "a.vmrk"])
    assert all(str(folder) in text for text in recording.problems + recording.warnings)
    return recording


def problem(*arguments, **how) -> str:
    (text,) = recorded(*arguments, **how).problems
    return text


@needs_formats
def test_the_real_files():
    (recording,) = brainvision.recordings_in(str(FORMATS / "brainvision"), ["test.vhdr"])
    assert (recording.problems, recording.warnings) == ((), ())
    assert (recording.dtype, recording.sampling_rate_hz, recording.samples) == ("int16", 1000.0, 7900)
    assert {channel.scale for channel in recording.channels} == {0.5}
    assert {channel.offset for channel in recording.channels} == {0.0}
    # Channel 2 has an empty unit, channel 3 none: both are in uV, as all of the older version of the format.
    units = [channel.unit for channel in recording.channels]
    assert units == ["uV"] * 26 + ["BS", "uS", "ARU", "uS", "S", "C"]
    assert recording.channels[31].name == "ReRef"
    # The one marker "New Segment" is that of the beginning.
    assert recording.gaps == ()
    assert recording.sidecars == tuple(str(FORMATS / "brainvision" / f"test.{end}") for end in ("vhdr", "vmrk"))


@needs_formats
def test_an_independent_reader_says_the_same():
    (recording,) = brainvision.recordings_in(str(FORMATS / "brainvision"), ["test.vhdr"])
    neo = BrainVisionRawIO(recording.path)
    neo.parse_header()
    channels = neo.header["signal_channels"]
    assert [channel.name for channel in recording.channels] == channels["name"].tolist()
    assert [channel.scale for channel in recording.channels] == channels["gain"].tolist()
    assert [channel.offset for channel in recording.channels] == channels["offset"].tolist()
    # neo's fault: a unit that is left out becomes "u" or nothing, where the format says uV.
    assert [channel["units"] for channel in channels[:4]] == ["uV", "", "u", "uV"]
    assert [channel.unit for channel in recording.channels[3:]] == channels["units"].tolist()[3:]
    expected = neo.get_analogsignal_chunk()
    (part,) = recording.parts
    assert np.array_equal(np.memmap(part.path, recording.dtype, "r", part.offset, expected.shape), expected)


def test_all_that_a_header_says(tmp_path):
    recording = recorded(tmp_path)
    assert (recording.problems, recording.warnings) == ((), ())
    assert (recording.sampling_rate_hz, recording.samples, recording.rest_bytes) == (500.0, 10, 0)
    assert recording.parts == (Part(str(tmp_path / "a.eeg"), 0, 10),)
    assert [(one.name, one.scale, one.unit) for one in recording.channels] == [
        ("Fp1", 0.5, "uV"),
        ("Cz,ref", 0.1, "mV"),
    ]
    assert recording.columns == {"session": tmp_path.name, "index": "0", "stem": "a"}
    assert recording.gaps == (Gap(5),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_micro_in_any_encoding(tmp_path, encoding):
    assert recorded(tmp_path, encoding=encoding).channels[0].unit == "uV"
    if encoding != "latin-1":
        assert recorded(tmp_path, HEADER.replace("µ", "μ"), encoding=encoding).channels[0].unit == "uV"


def test_names_of_sections_and_keys_in_any_case_and_lines_that_end_in_any_way(tmp_path):
    header = HEADER
    for name in ("Common Infos", "Channel Infos", "NumberOfChannels", "Ch1=", "BinaryFormat"):
        header = header.replace(name, name.lower() if name[0] == "C" else name.upper())
    assert recorded(tmp_path, header.replace("\n", "\r\n")) == recorded(tmp_path)
    markers = MARKERS.replace("Marker Infos", "MARKER INFOS").replace("New Segment", "new segment")
    assert recorded(tmp_path, markers=markers).gaps == (Gap(5),)


@pytest.mark.parametrize(
    ("kind", "dtype", "samples"),
    [
        ("UINT_16", "uint16", 10),
        ("INT_32", "int32", 5),
        ("IEEE_FLOAT_32", "float32", 5),
        ("int_16", "int16", 10),
    ],
)
def test_types_of_samples(tmp_path, kind, dtype, samples):
    recording = recorded(tmp_path, HEADER.replace("INT_16", kind))
    assert (recording.dtype, recording.samples) == (dtype, samples)
    # The resolution is that of floats too.
    assert recording.channels[0].scale == 0.5


def test_an_independent_reader_forgets_the_resolution_of_floats(tmp_path):
    header = HEADER.partition("[Comment]")[0].replace(",more", "")
    recording = recorded(tmp_path, header.replace("INT_16", "IEEE_FLOAT_32"))
    neo = BrainVisionRawIO(recording.path)
    neo.parse_header()
    # neo's fault: pybv, MNE and FieldTrip multiply floats too.
    assert neo.header["signal_channels"]["gain"].tolist() == [1.0, 1.0]
    assert [channel.scale for channel in recording.channels] == [0.5, 0.1]


def test_a_resolution_that_is_left_out(tmp_path):
    """Floats are in the unit themselves then; of integers nothing is known."""
    header = HEADER.replace(",0.5,µV", ",,µV")
    assert recorded(tmp_path, header.replace("INT_16", "IEEE_FLOAT_32")).channels[0].scale == 1.0
    recording = recorded(tmp_path, header)
    assert (recording.channels[0].scale, recording.channels[0].unit) == (None, "")
    assert recording.channels[1].scale == 0.1
    assert "no resolution of 1 channels (Fp1" in recording.warnings[0]
    for bad in ("0", "nan", "x", "1e999"):
        assert recorded(tmp_path, HEADER.replace(",0.5,", f",{bad},")).channels[0].scale is None


@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
@pytest.mark.parametrize("order", ["NO", "YES"])
@pytest.mark.parametrize("kind", ["INT_16", "INT_32", "IEEE_FLOAT_32"])
def test_samples_that_are_decoded(tmp_path, orientation, order, kind):
    values = np.arange(-300, 300).reshape(300, 2) * 77
    dtype = np.dtype({"INT_16": "i2", "INT_32": "i4", "IEEE_FLOAT_32": "f4"}[kind])
    stored = (values.T if orientation == "VECTORIZED" else values).astype(dtype.newbyteorder("><"[order == "NO"]))
    header = HEADER.replace("INT_16", f"{kind}\nUseBigEndianOrder={order}").replace("MULTIPLEXED", orientation)
    recorded(tmp_path, header)
    (tmp_path / "a.eeg").write_bytes(stored.tobytes())
    (one,) = brainvision.recordings_in(str(tmp_path), ["a.vhdr"])
    assert (one.problems, one.samples, one.rest_bytes) == ((), 300, 0)
    if (orientation, order) == ("MULTIPLEXED", "NO"):
        assert one.parts == (Part(str(tmp_path / "a.eeg"), 0, 300),) and not one.is_encoded
        return
    assert one.sidecars == (str(tmp_path / "a.eeg"), str(tmp_path / "a.vmrk"))
    assert np.array_equal(np.concatenate(list(decoded_blocks(one))), values)
    if order == "NO":
        # It takes the comment for a second section.
        (tmp_path / "a.vhdr").write_text(header.partition("[Comment]")[0], encoding="utf-8")
        reader = BrainVisionRawIO(one.path)
        reader.parse_header()
        assert np.array_equal(reader.get_analogsignal_chunk(0, 0), values)


def test_where_a_channel_begins_has_to_be_known(tmp_path):
    header = HEADER.replace("MULTIPLEXED", "VECTORIZED")
    assert "10 samples of 2 channels and 3 bytes, None by" in problem(tmp_path, header, size=43)
    assert "10 samples of 2 channels and 0 bytes, 12 by" in problem(
        tmp_path, header.replace("NumberOf", "DataPoints=12\nNumberOf"), size=40
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("=BINARY", "=ASCII", "ASCII, MULTIPLEXED"),
        ("DataFormat=BINARY", "DataFormat=BINARY\nDataType=FREQUENCYDOMAIN", "FREQUENCYDOMAIN"),
        ("BinaryFormat=INT_16", "BinaryFormat=INT_16\nUseBigEndianOrder=MAYBE", "MAYBE"),
    ],
)
def test_what_has_to_be_decoded(tmp_path, old, new, what):
    text = problem(tmp_path, HEADER.replace(old, new))
    assert what in text
    assert "has to be decoded" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("INT_16", "INT_24", "BinaryFormat=INT_24"),
        ("NumberOfChannels=2\nS", "S", "NumberOfChannels"),
        ("Channels=2\n", "Channels=3\n", "channel 3 of 3"),
        ("Channels=2\n", "Channels=99999999\n", "NumberOfChannels"),
        ("Interval=2000", "Interval=0", "SamplingInterval"),
        ("Interval=2000", "Interval=-5", "SamplingInterval"),
        ("Interval=2000", "Interval=nan", "SamplingInterval"),
        ("=a.eeg", "=b.dat", "'b.dat' as its data"),
        ("=a.eeg", "=../a.eeg", "'../a.eeg' as its data"),
        ("=a.eeg", "=/etc/passwd", "'/etc/passwd' as its data"),
        ("=a.eeg", "=C:\\a.eeg", "as its data"),
        ("DataFile=a.eeg\n", "", "'' as its data"),
        ("[Comment]", "x=1\n" + "\n".join(f"a{i}=" for i in range(70_000)), "more than the 66536 lines"),
    ],
)
def test_bad_headers_have_a_problem_with_words(tmp_path, old, new, words):
    assert words in problem(tmp_path, HEADER.replace(old, new))


def test_files_that_are_missing(tmp_path):
    recorded(tmp_path)
    (tmp_path / "a.eeg").unlink()
    (recording,) = brainvision.recordings_in(str(tmp_path), ["a.vhdr"])
    assert "'a.eeg' as its data, which is no file in its folder" in recording.problems[0]
    (tmp_path / "a.eeg").symlink_to("annexed")
    (recording,) = brainvision.recordings_in(str(tmp_path), ["a.vhdr"])
    assert "git-annex" in recording.problems[0]
    (tmp_path / "a.vhdr").write_bytes(b"")
    assert brainvision.recordings_in(str(tmp_path), ["a.vhdr"])[0].problems


def test_files_that_were_renamed_without_an_edit(tmp_path):
    recording = recorded(tmp_path, HEADER.replace("=a.", "=of before."))
    assert recording.parts[0].path == str(tmp_path / "a.eeg")
    assert recording.gaps == (Gap(5),)
    assert len(recording.warnings) == 2
    assert f"{tmp_path / 'a.eeg'} is taken" in recording.warnings[0]


def test_the_stem_as_a_placeholder(tmp_path):
    recording = recorded(tmp_path, HEADER.replace("=a.", "=$b."))
    assert (recording.parts[0].path, recording.warnings) == (str(tmp_path / "a.eeg"), ())


def test_the_file_counts_where_the_header_says_another_length(tmp_path):
    header = HEADER.replace("NumberOf", "DataPoints=9\nNumberOf")
    recording = recorded(tmp_path, header, size=43)
    assert (recording.samples, recording.rest_bytes) == (10, 3)
    assert f"{tmp_path / 'a.eeg'} has 10 samples, 9 by" in recording.warnings[0]
    assert recorded(tmp_path, header, size=37).warnings == ()


def test_markers_that_cant_be_used(tmp_path):
    recording = recorded(tmp_path, markers=None)
    assert (recording.gaps, recording.sidecars) == ((), (str(tmp_path / "a.vhdr"),))
    assert "whether the recording was paused is not known" in recording.warnings[0]
    recording = recorded(tmp_path, HEADER.replace("=a.vmrk", "=../a.vmrk"))
    assert "'../a.vmrk' as its markers" in recording.warnings[0]
    assert recorded(tmp_path, HEADER.replace("MarkerFile=a.vmrk\n", "")).warnings == ()
    outside = MARKERS + "\nMk4=New Segment,,11,1,0\nMk5=New Segment,,x\nMk6=New Segment\nMk7=New Segment,,6,1,0"
    assert recorded(tmp_path, markers=outside).gaps == (Gap(5),)


def test_a_folder_with_headers_is_claimed():
    assert brainvision.claims("", ["A.VHDR"])
    assert not brainvision.claims("", ["a.eeg", "vhdr"])


@pytest.mark.parametrize("changed", ["a.vhdr", "a.vmrk"])
@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
def test_hostile_headers(tmp_path, changed, orientation):
    files = {
        "a.vhdr": HEADER.replace("MULTIPLEXED", orientation).encode(),
        "a.eeg": bytes(400),
        "a.vmrk": MARKERS.encode(),
    }
    check_mutations(brainvision, files, changed, tmp_path)
    if FORMATS.is_dir():
        files = {path.name: path.read_bytes() for path in (FORMATS / "brainvision").iterdir()}
        check_mutations(brainvision, files, changed.replace("a.", "test."), tmp_path)
