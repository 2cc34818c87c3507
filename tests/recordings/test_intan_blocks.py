"""Intan's files with all signals in one: each signal as neo decodes it, and as it was written."""

import struct

import numpy as np
import pytest
from neo.rawio import IntanRawIO

from neuroluigi.recordings.formats import intan
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.reader import Channel, Gap
from tests.recordings.mutations import check_mutations
from tests.recordings.test_intan import rhd, rhs

# Of each stream: channels, and samples of a block of 128.
RHD_BLOCK = {"amplifier": (2, 128), "auxiliary": (1, 32), "supply": (1, 1), "analogin": (1, 128), "digitalin": (1, 128)}
RHS_BLOCK = {
    "amplifier": (1, 128), "dcamplifier": (1, 128), "stim": (1, 128), "analogin": (1, 128), "analogout": (1, 128),
    "digitalin": (1, 128), "digitalout": (1, 128),
}  # fmt: skip


def written(path, header: bytes, block, starts, samples=128, thermometers=0, counter="<i4") -> dict[str, np.ndarray]:
    """Write a file of blocks of random values, which begin at these counts; return what each stream has."""
    chance = np.random.default_rng(7)
    values: dict[str, list] = {name: [] for name in block}
    content = [header]
    for start in starts:
        content.append(np.arange(start, start + samples).astype(counter).tobytes())
        for name, (channels, count) in block.items():
            one = chance.integers(0, 2**16, (channels, count)).astype("<u2")
            values[name].append(one.T)
            content.append(one.tobytes())
            if name == "supply":
                content.append(struct.pack(f"<{thermometers}h", *[99] * thermometers))
    path.write_bytes(b"".join(content))
    return {name: np.concatenate(ones) for name, ones in values.items()}


def recorded(path) -> dict:
    return {one.columns.get("stream"): one for one in intan.recordings_in(str(path.parent), [path.name])}


def decoded(recording) -> np.ndarray:
    return np.concatenate(list(decoded_blocks(recording)))


def by_neo(path) -> dict[str, np.ndarray]:
    reader = IntanRawIO(str(path))
    reader.parse_header()
    names = [one["name"] for one in reader.header["signal_streams"]]
    return {name: reader.get_analogsignal_chunk(0, 0, stream_index=i) for i, name in enumerate(names)}


def test_rhd(tmp_path):
    path = tmp_path / "rec_1.rhd"
    values = written(path, rhd(), RHD_BLOCK, [640, 768, 896])
    recordings = recorded(path)
    assert list(recordings) == list(RHD_BLOCK)
    for name, one in recordings.items():
        assert (one.problems, one.warnings, one.gaps, one.parts, one.dtype) == ((), (), (), (), "uint16")
        assert one.columns == {"session": tmp_path.name, "index": "0", "stem": "rec_1", "stream": name}
        assert one.samples == len(values[name]) and np.array_equal(decoded(one), values[name]), name
    rates = {name: one.sampling_rate_hz for name, one in recordings.items()}
    assert rates == {**dict.fromkeys(RHD_BLOCK, 20000.0), "auxiliary": 5000.0, "supply": 156.25}
    starts = {name: one.start_sample for name, one in recordings.items()}
    assert starts == {**dict.fromkeys(RHD_BLOCK, 640), "auxiliary": 160, "supply": 5}
    amplifier = recordings["amplifier"].channels[0]
    assert amplifier == Channel("A-000", "ap", 0.195, -6389.76, "uV")
    assert amplifier.scale * 32768 + amplifier.offset == pytest.approx(0, abs=1e-9)
    found = by_neo(path)
    assert np.array_equal(found["RHD2000 amplifier channel"], values["amplifier"])
    assert np.array_equal(found["RHD2000 auxiliary input channel"], values["auxiliary"])
    assert np.array_equal(found["USB board ADC input channel"], values["analogin"])


def test_rhs(tmp_path):
    path = tmp_path / "x.rhs"
    values = written(path, rhs(), RHS_BLOCK, [0, 128])
    recordings = recorded(path)
    assert list(recordings) == list(RHS_BLOCK)
    assert all(np.array_equal(decoded(one), values[name]) for name, one in recordings.items())
    assert recordings["dcamplifier"].channels == (Channel("A-000_DC", "lf", 19.23, -512 * 19.23, "mV"),)
    found = by_neo(path)
    assert np.array_equal(found["RHS2000 amplifier channel"], values["amplifier"])
    assert np.array_equal(found["DC Amplifier channel"], values["dcamplifier"])


def test_rhs_without_values_of_dc(tmp_path):
    path, header = tmp_path / "x.rhs", rhs()
    # Behind the three notes, of one letter each.
    at = header.index(b"c\0") + 2
    assert header[at : at + 2] == b"\1\0"
    block = {name: one for name, one in RHS_BLOCK.items() if name != "dcamplifier"}
    values = written(path, header[:at] + b"\0\0" + header[at + 2 :], block, [0])
    recordings = recorded(path)
    assert list(recordings) == list(block)
    assert all(np.array_equal(decoded(one), values[name]) for name, one in recordings.items())


def test_blocks_of_60_samples_and_thermometers_of_old_files(tmp_path):
    path = tmp_path / "x.rhd"
    block = {**RHD_BLOCK, "amplifier": (2, 60), "auxiliary": (1, 15), "analogin": (1, 60), "digitalin": (1, 60)}
    header = rhd(version=(1, 1), board=0)
    # Behind two notes: an empty one by its length, one that says that there is none.
    at = header.index(struct.pack("<IIh", 0xFFFFFFFF, 0, 0)) + 8
    header = header[:at] + struct.pack("<h", 2) + header[at + 2 :]
    values = written(path, header, block, [2**32 - 60, 0], samples=60, thermometers=2, counter="<u4")
    recordings = recorded(path)
    assert list(recordings) == list(block)
    for name, one in recordings.items():
        assert np.array_equal(decoded(one), values[name]), name
        assert one.gaps == ()


def test_gaps_and_files_that_follow_each_other(tmp_path):
    written(tmp_path / "x_1.rhd", rhd(), RHD_BLOCK, [0, 128, 384, 513])
    written(tmp_path / "x_2.rhd", rhd(), RHD_BLOCK, [641])
    names = ["x_1.rhd", "x_2.rhd"]
    by_stream: dict[str, list] = {}
    for one in intan.recordings_in(str(tmp_path), names):
        by_stream.setdefault(one.columns["stream"], []).append(one)
    first, second = by_stream["amplifier"]
    assert first.gaps == (Gap(256, 128), Gap(384, 1))
    assert (first.clock, second.start_sample, second.columns["index"]) == (second.clock, 641, "1")
    # What is no whole number of its samples is not known.
    assert by_stream["auxiliary"][0].gaps == (Gap(64, 32), Gap(96))
    assert (by_stream["auxiliary"][1].start_sample, by_stream["auxiliary"][1].clock) == (None, "")


def test_files_that_were_cut_off(tmp_path):
    path = tmp_path / "x.rhd"
    written(path, rhd(), RHD_BLOCK, [0, 128])
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    one = recorded(path)["amplifier"]
    assert one.samples == 128 and "ends within a block" in one.warnings[0]
    path.write_bytes(rhd() + b"123")
    assert "has no samples, only a header" in recorded(path)[None].problems[0]
    path.write_bytes(rhd()[:-1])
    assert "no whole header" in recorded(path)[None].problems[0]


@pytest.mark.parametrize(("name", "header", "block"), [("x.rhd", rhd(), RHD_BLOCK), ("x.rhs", rhs(), RHS_BLOCK)])
def test_hostile_headers(tmp_path, name, header, block):
    written(tmp_path / name, header, block, [0, 128, 256])
    check_mutations(intan, {name: (tmp_path / name).read_bytes()}, name, tmp_path, most_bytes=len(header) + 8)
