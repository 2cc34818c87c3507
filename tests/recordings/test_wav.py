"""WAV files: the samples where the data chunk has them, whatever stands before and after it."""

import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from neuroluigi.recordings.formats import wav
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.reader import Part
from neuroluigi.recordings.recording import RecordingsError
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def layout(tag, channels, bits, rate=30000) -> bytes:
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, bits))


def riff(*chunks: bytes, name=b"RIFF") -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(content)) + content


def recorded(folder, content=None, name="a.wav"):
    if content is not None:
        (folder / name).write_bytes(content)
    (recording,) = wav.recordings_in(str(folder), [name])
    return recording


def problem(folder, content) -> str:
    (text,) = recorded(folder, content).problems
    assert str(folder / "a.wav") in text
    return text


def values(recording) -> np.ndarray:
    (part,) = recording.parts
    return np.memmap(part.path, recording.dtype, "r", part.offset, (part.samples, len(recording.channels)))


@needs_formats
def test_the_real_file():
    recording = recorded(FORMATS / "wav", name="920061fe_2_4.wav")
    assert (recording.dtype, recording.sampling_rate_hz, recording.samples) == ("float32", 40000.0, 200000)
    assert recording.columns == {"session": "wav", "index": "0", "stem": "920061fe_2_4"}
    rate, expected = wavfile.read(recording.path)
    assert rate == 40000
    assert np.array_equal(values(recording)[:, 0], expected)
    # The spikes that the file is known for: its rises at -20 mV.
    x = values(recording)[:, 0]
    assert np.count_nonzero((x[1:] >= -20) & (x[:-1] < -20)) == 20


@pytest.mark.parametrize("width", [1, 2, 4])
def test_integers_by_pythons_own_writer(tmp_path, width):
    content = bytes(range(24 * width))
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((3, width, 25000, 0, "NONE", ""))
        file.writeframes(content)
    recording = recorded(tmp_path)
    assert recording.dtype == {1: "uint8", 2: "int16", 4: "int32"}[width]
    assert (recording.sampling_rate_hz, recording.samples, recording.problems) == (25000.0, 8, ())
    assert values(recording).tobytes() == content
    assert [channel.name for channel in recording.channels] == ["0", "1", "2"]
    assert {channel.scale for channel in recording.channels} == {None}
    assert "no unit" in recording.warnings[0]


def test_24_bits_are_decoded_to_32(tmp_path):
    known = np.array([0, 1, -1, 2**23 - 1, -(2**23), 0x123456, -0x123456, 255], "<i4")
    content = b"".join(int(one).to_bytes(3, "little", signed=True) for one in known)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 3, 25000, 0, "NONE", ""))
        file.writeframes(content)
    recording = recorded(tmp_path)
    assert (recording.dtype, recording.samples, recording.parts, recording.rest_bytes) == ("int32", 4, (), 0)
    assert recording.is_encoded and recording.problems == ()
    (block,) = decoded_blocks(recording)
    assert block.dtype == "<i4" and block.tolist() == known.reshape(4, 2).tolist()
    # Others keep those bits in the upper ones of 32.
    assert np.array_equal(wavfile.read(recording.path)[1] >> 8, block)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-7])
    with pytest.raises(RecordingsError, match="ends too early"):
        list(decoded_blocks(recording))
    cut = recorded(tmp_path)
    assert (cut.samples, cut.rest_bytes) == (2, 5) and len(next(decoded_blocks(cut))) == 2


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_all_types_by_scipys_writer(tmp_path, dtype):
    array = np.arange(20, dtype=dtype).reshape(10, 2)
    wavfile.write(tmp_path / "a.wav", 30000, array)
    recording = recorded(tmp_path)
    assert recording.dtype == dtype
    assert np.array_equal(values(recording), array)


def test_chunks_of_odd_length_and_after_the_data_are_passed_over(tmp_path):
    content = riff(chunk(b"LIST", b"abc"), layout(PCM, 1, 16), chunk(b"x   ", b"1"), chunk(b"data", b"\1\0\2\0"))
    recording = recorded(tmp_path, content + chunk(b"LIST", b"comment"))
    assert values(recording).ravel().tolist() == [1, 2]
    assert recording.parts == (Part(str(tmp_path / "a.wav"), content.index(b"data") + 8, 2),)
    assert (recording.rest_bytes, len(recording.warnings)) == (0, 1)


def test_the_extensible_layout_says_what_the_samples_are(tmp_path):
    guid = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    head = struct.pack("<HHIIHH", EXTENSIBLE, 1, 30000, 120000, 4, 32) + struct.pack("<HHI", 22, 32, 0)
    for tag, dtype in ((PCM, "int32"), (FLOAT, "float32")):
        content = riff(chunk(b"fmt ", head + struct.pack("<H", tag) + guid), chunk(b"data", bytes(8)))
        assert recorded(tmp_path, content).dtype == dtype


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
def test_the_length_of_a_long_file(tmp_path, name):
    """Its chunk has no place for the length; a file of 5 GB, of which all but the ends is a hole."""
    length = 5 << 30
    sizes = chunk(b"ds64", struct.pack("<QQQI", length + 80, length, length // 4, 0))
    head = name + b"\xff" * 4 + b"WAVE" + sizes + layout(PCM, 2, 16) + b"data" + b"\xff" * 4
    with (tmp_path / "a.wav").open("wb") as file:
        file.write(head)
        file.truncate(len(head) + length)
        file.seek(0, 2)
        file.write(chunk(b"LIST", b"after it"))
    recording = recorded(tmp_path)
    assert (recording.samples, recording.rest_bytes, len(recording.warnings)) == (length // 4, 0, 1)


def test_a_file_that_was_cut_counts_as_it_is(tmp_path):
    content = riff(layout(PCM, 2, 16), chunk(b"data", bytes(40)))
    recording = recorded(tmp_path, content[:-5])
    assert (recording.samples, recording.rest_bytes) == (8, 3)
    assert f"{len(content)} by its header" in recording.warnings[1]


@pytest.mark.parametrize("said", [0, 0xFFFFFFFF])
def test_a_file_that_was_not_ended(tmp_path, said):
    content = b"RIFF" + struct.pack("<I", said) + b"WAVE" + layout(PCM, 1, 16) + b"data" + struct.pack("<I", said)
    recording = recorded(tmp_path, content + bytes(20))
    assert recording.samples == 10
    assert "was not ended" in recording.warnings[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (riff(layout(6, 1, 8), chunk(b"data", bytes(12))), "8-bit coding 6, which has to be decoded"),
        (riff(chunk(b"data", bytes(12))), "chunk fmt"),
        (riff(layout(PCM, 2, 16)), "no whole header"),
        (riff(layout(PCM, 2, 16), chunk(b"data", b"")), "no samples"),
        (riff(layout(PCM, 0, 16), chunk(b"data", bytes(4))), "contradicts itself"),
        (riff(layout(PCM, 1, 16, rate=0), chunk(b"data", bytes(4))), "contradicts itself"),
        (riff(layout(PCM, 1, 16), *[chunk(b"x   ", b"")] * 1000, chunk(b"data", bytes(4))), "1000 chunks"),
        (riff(layout(PCM, 1, 16), chunk(b"data", bytes(4)), name=b"RIFX"), "RIFX"),
        (b"RIFF", "no whole header"),
        (b"", "no whole header"),
    ],
)
def test_bad_files_have_a_problem_with_words(tmp_path, content, words):
    assert words in problem(tmp_path, content)


def test_a_folder_with_wav_files_is_claimed():
    assert wav.claims("", ["notes.txt", "A.WAV"])
    assert not wav.claims("", ["wav", "x.wave"])


@pytest.mark.parametrize("bits", [16, 24])
def test_hostile_headers(tmp_path, bits):
    content = riff(chunk(b"LIST", b"abc"), layout(PCM, 2, bits), chunk(b"data", bytes(480)))
    check_mutations(wav, {"a.wav": content}, "a.wav", tmp_path, most_bytes=content.index(b"data") + 8)
    if FORMATS.is_dir():
        real = (FORMATS / "wav" / "920061fe_2_4.wav").read_bytes()[:4000]
        check_mutations(wav, {"a.wav": real}, "a.wav", tmp_path, most_bytes=80)
