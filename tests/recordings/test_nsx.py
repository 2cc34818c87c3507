"""Blackrock's files of samples: a part per packet, gaps by the clock, scale by the header of each channel."""

import struct

import numpy as np
import pytest
from neo.rawio import BlackrockRawIO

from neuroluigi.recordings.formats import nsx
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.reader import Channel, Gap, Part, Sync
from neuroluigi.recordings.recording import RecordingsError
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations


def channel(number=1, name=b"elec1", unit=b"uV", digital=(-32764, 32764), analog=(-8191, 8191)) -> bytes:
    fields = (b"CC", number, name, 1, 1, *digital, *analog, unit, 0, 0, 0, 0, 0, 0)
    return struct.pack("<2sH16sBBhhhh16sIIHIIH", *fields)


def header(*channels: bytes, version=(2, 3), period=1, clock_hz=30000, end=None) -> bytes:
    magic = b"NEURALCD" if version[0] == 2 else b"BRSMPGRP"
    end = 314 + 66 * len(channels) if end is None else end
    fields = (magic, *version, end, b"raw", b"comment", period, clock_hz, bytes(16), len(channels))
    return struct.pack("<8sBBI16s256sII16sI", *fields) + b"".join(channels)


def packet(clock: int, samples: int, said=None, channels=1, long=False, flag=1) -> bytes:
    head = struct.pack("<BQI" if long else "<BII", flag, clock, samples if said is None else said)
    return head + np.arange(samples * channels, dtype="<i2").tobytes()


def old_header(count=2, period=30) -> bytes:
    return struct.pack("<8s16sII", b"NEURALSG", b"LFP", period, count) + struct.pack(f"<{count}I", *range(5, 5 + count))


def recorded(folder, content: bytes, name="a.ns5"):
    (folder / name).write_bytes(content)
    (recording,) = nsx.recordings_in(str(folder), [name])
    assert all(str(folder / name) in text for text in recording.problems + recording.warnings)
    return recording


def problem(folder, content: bytes) -> str:
    (text,) = recorded(folder, content).problems
    return text


@needs_formats
def test_the_real_file_with_a_pause():
    (recording,) = nsx.recordings_in(str(FORMATS / "blackrock"), ["pause_correct.ns2"])
    path = str(FORMATS / "blackrock" / "pause_correct.ns2")
    assert (recording.problems, recording.warnings, recording.rest_bytes) == ((), (), 0)
    assert (recording.dtype, recording.sampling_rate_hz, recording.samples) == ("int16", 1000.0, 8000)
    assert recording.parts == (Part(path, 1379, 4000), Part(path, 129388, 4000))
    # 930261 ticks of 30 kHz are 31008.7 samples of 1 kHz, of which 4000 are there.
    assert recording.gaps == (Gap(4000, 27009),)
    assert (recording.start_sample, recording.clock) == (0, "blackrock ns2")
    assert recording.sync == Sync("blackrock blackrock", 0, 0.0, 0.001, is_on=False)
    columns = {"session": "blackrock", "index": "0", "stem": "pause_correct", "stream": "ns2"}
    assert recording.columns == columns
    assert recording.channels[0] == Channel("EyeXcm", "analog", 10000 / 65534, 0.0, "mV")


@needs_formats
def test_an_independent_reader_says_the_same():
    (recording,) = nsx.recordings_in(str(FORMATS / "blackrock"), ["pause_correct.ns2"])
    neo = BlackrockRawIO(recording.path.removesuffix(".ns2"))
    neo.parse_header()
    channels = neo.header["signal_channels"]
    assert [one.name for one in recording.channels] == channels["name"].tolist()
    assert [one.scale for one in recording.channels] == channels["gain"].tolist()
    assert [one.offset for one in recording.channels] == channels["offset"].tolist()
    assert [one.unit for one in recording.channels] == channels["units"].tolist()
    for i, part in enumerate(recording.parts):
        samples = np.memmap(part.path, "<i2", "r", part.offset, (part.samples, len(recording.channels)))
        assert np.array_equal(neo.get_analogsignal_chunk(seg_index=i), samples)
    assert neo.segment_t_start(0, 1) == 930261 / 30000


@pytest.mark.parametrize("version", [(2, 2), (2, 3), (3, 0)])
def test_packets_of_all_versions(tmp_path, version):
    long = version[0] == 3
    head = header(channel(), channel(2, b"elec2"), version=version, period=3)
    content = head + packet(600, 5, channels=2, long=long) + packet(600 + 15 + 6, 4, channels=2, long=long)
    recording = recorded(tmp_path, content)
    first = len(head) + (13 if long else 9)
    path = str(tmp_path / "a.ns5")
    assert recording.parts == (Part(path, first, 5), Part(path, first + 20 + (13 if long else 9), 4))
    assert (recording.start_sample, recording.gaps, recording.warnings) == (200, (Gap(5, 2),), ())
    # 600 ticks of 30 kHz; all streams of the folder have them in common.
    assert recording.sync == Sync(f"blackrock {tmp_path.name}", 200, 0.02, 0.0001, is_on=False)
    assert recording.sampling_rate_hz == 10000.0
    for part, count in zip(recording.parts, (10, 8), strict=True):
        assert np.memmap(path, "<i2", "r", part.offset, (part.samples * 2,)).tolist() == list(range(count))


@pytest.mark.parametrize("version", [(2, 2), (2, 3), (3, 0)])
def test_an_independent_reader_says_the_same_of_all_versions(tmp_path, version):
    long = version[0] == 3
    head = header(channel(), channel(2, b"elec2", digital=(-100, 900), analog=(-10, 90)), version=version, period=3)
    content = head + packet(600, 5, channels=2, long=long) + packet(9000, 4, channels=2, long=long)
    recording = recorded(tmp_path, content)
    neo = BlackrockRawIO(str(tmp_path / "a.ns5"))
    neo.parse_header()
    assert neo.segment_count(0) == 2
    for i, part in enumerate(recording.parts):
        samples = np.memmap(part.path, "<i2", "r", part.offset, (part.samples, 2))
        assert np.array_equal(neo.get_analogsignal_chunk(seg_index=i), samples)
    channels = neo.header["signal_channels"]
    assert [(one.name, one.scale, one.offset, one.unit) for one in recording.channels] == [
        (one["name"], one["gain"], one["offset"], one["units"]) for one in channels
    ]
    assert recording.sampling_rate_hz == neo.get_signal_sampling_rate(0)
    start, missing = recording.start_sample / 10_000, recording.gaps[0].missing
    assert neo.get_signal_t_start(0, 0, 0) == start
    assert neo.get_signal_t_start(0, 1, 0) == pytest.approx(start + (5 + missing) / 10_000)


def test_scale_offset_unit_and_kind_of_channels(tmp_path):
    channels = [
        channel(1, b"elec1"),
        channel(2, b"", b"\xb5V", digital=(-1000, 1000), analog=(-250, 250)),
        channel(129, b"ainp1", b"mV", digital=(-32767, 32767), analog=(-5000, 5000)),
        channel(130, b"ainp2", b"mV", digital=(0, 1000), analog=(-500, 500)),
        channel(131, b"none", b"uV", digital=(0, 0)),
        channel(132, b"other", b"deg"),
    ]
    recording = recorded(tmp_path, header(*channels) + packet(0, 2, channels=6))
    assert recording.channels == (
        Channel("elec1", "ap", 0.25, 0.0, "uV"),
        Channel("2", "ap", 0.25, 0.0, "uV"),
        Channel("ainp1", "analog", 10000 / 65534, 0.0, "mV"),
        Channel("ainp2", "analog", 1.0, -500.0, "mV"),
        Channel("none", "ap"),
        Channel("other", "unknown", 0.25, 0.0, "deg"),
    )
    assert "no scale of 1 channels (none" in recording.warnings[0]
    slow = recorded(tmp_path, header(channel(), period=30) + packet(0, 2))
    assert slow.channels[0].kind == "lf"


def test_a_file_of_before_packets_has_no_clock_and_no_scale(tmp_path):
    recording = recorded(tmp_path, old_header() + bytes(4 * 7), "a.ns2")
    assert (recording.sampling_rate_hz, recording.samples, recording.rest_bytes) == (1000.0, 7, 0)
    assert recording.parts == (Part(str(tmp_path / "a.ns2"), 40, 7),)
    assert recording.channels == (Channel("5"), Channel("6"))
    assert (recording.start_sample, recording.clock, recording.gaps, recording.sync) == (None, "", (), None)
    assert "no scale of 2 channels (5, 6" in recording.warnings[0]


def test_an_independent_reader_drops_the_last_sample_of_2_1(tmp_path):
    recording = recorded(tmp_path, old_header() + bytes(4 * 7), "a.ns2")
    neo = BlackrockRawIO(str(tmp_path / "a.ns2"))
    with pytest.warns(UserWarning, match="Cannot rescale"):
        neo.parse_header()
    assert neo.get_signal_size(0, 0, 0) == recording.samples - 1


def test_a_clock_that_runs_back_is_a_reset(tmp_path):
    content = header(channel()) + packet(900, 10) + packet(905, 10) + packet(0, 10) + packet(10, 10)
    recording = recorded(tmp_path, content)
    assert (recording.start_sample, recording.samples) == (900, 40)
    # 905 is within the packet before; 10 goes on exactly where the one before ends.
    assert recording.gaps == (Gap(10), Gap(20))


def test_a_first_packet_of_one_sample_before_the_clock_is_set(tmp_path):
    recording = recorded(tmp_path, header(channel()) + packet(50, 1) + packet(0, 10))
    assert (recording.samples, recording.gaps) == (11, (Gap(1),))


def test_a_clock_of_nanoseconds(tmp_path):
    start, rate = 1_700_000_000_123_456_789, 10**9
    head = header(channel(), version=(3, 0), clock_hz=rate)
    content = head + packet(start, 3000, long=True) + packet(start + 200_000_000, 5, long=True)
    recording = recorded(tmp_path, content)
    assert recording.start_sample == round(start * 3 / 100_000)
    assert recording.gaps == (Gap(3000, 3000),)


def test_a_packet_per_sample_is_decoded(tmp_path):
    start, values = 1_700_000_000_123_456_789, np.random.default_rng(4).integers(-9999, 9999, (20_000, 2)).astype("<i2")
    # A clock that is late by 20 ppm, and jitters; 300 samples are missing.
    ticks = [start + round(i * 33_334) + (i * 7919) % 5000 + (10_000_000 if i >= 12_345 else 0) for i in range(20_000)]
    content = header(channel(), channel(2), version=(3, 0), clock_hz=10**9)
    pieces = (struct.pack("<BQI", 1, tick, 1) + row.tobytes() for tick, row in zip(ticks, values, strict=True))
    content += b"".join(pieces)
    one = recorded(tmp_path, content)
    assert (one.problems, one.parts, one.samples, one.rest_bytes) == ((), (), 20_000, 0)
    assert one.gaps == (Gap(12_345, 300),) and one.start_sample == round(start * 3 / 100_000)
    assert np.array_equal(np.concatenate(list(decoded_blocks(one))), values)
    neo = BlackrockRawIO(str(tmp_path / "a"), gap_tolerance_ms=1.0)
    neo.parse_header()
    assert np.array_equal(neo.get_analogsignal_chunk(seg_index=0), values[:12_345])
    cut = recorded(tmp_path, content[:-5])
    assert (cut.samples, cut.rest_bytes) == (19_999, 12)
    (tmp_path / "a.ns5").write_bytes(content[:-17] + b"\2" + content[-16:])
    with pytest.raises(RecordingsError, match="packets of one sample and others"):
        list(decoded_blocks(one))


def test_more_packets_than_a_recording_has(tmp_path):
    content = header(channel()) + b"".join(packet(i * 5, 2) for i in range(10_001))
    assert "more than 10000 packets, which has to be decoded" in problem(tmp_path, content)


def test_a_file_that_was_cut_or_not_ended(tmp_path):
    content = header(channel(), channel(2)) + packet(0, 5, channels=2) + packet(100, 10, channels=2)
    recording = recorded(tmp_path, content[:-7])
    assert (recording.samples, recording.rest_bytes, recording.gaps) == (13, 1, (Gap(5, 95),))
    assert "8 samples in its last packet, 10 by what begins it" in recording.warnings[0]
    # The number of samples is 0 until the recording is ended.
    recording = recorded(tmp_path, header(channel()) + packet(0, 5) + packet(100, 10, said=0))
    assert (recording.samples, recording.gaps) == (15, (Gap(5, 95),))
    assert "10 samples in its last packet, 0 by what begins it" in recording.warnings[0]
    # What begins a packet may be all that is there of it.
    recording = recorded(tmp_path, header(channel()) + packet(0, 5) + packet(100, 0))
    assert (recording.samples, recording.gaps, recording.rest_bytes) == (5, (), 9)


def test_an_empty_packet_between_others(tmp_path):
    recording = recorded(tmp_path, header(channel()) + packet(0, 0) + packet(90, 5) + packet(3, 0) + packet(95, 5))
    assert (recording.start_sample, recording.samples, recording.gaps, recording.warnings) == (90, 10, (), ())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no whole header"),
        (b"NEURALCD", "no whole header"),
        (b"RIFFWAVE", "no Blackrock file"),
        (header(channel())[:-1], "no whole header"),
        (header(), "0 channels"),
        (header(channel(), period=0), "0/30000 s"),
        (header(channel(), clock_hz=0), "0 Hz"),
        (header(channel(), version=(4, 0)).replace(b"BRSMPGRP", b"NEURALCD"), "specification 4.0"),
        (header(channel(), end=100), "begin at byte 100"),
        (header(channel(), end=1 << 31), "begin at byte 2147483648"),
        (header(channel()), "no samples"),
        (header(channel()) + packet(0, 5, flag=7), "no packet at byte 380"),
        (header(channel()) + packet(0, 5) + packet(5, 5, flag=0), "no packet at byte 399"),
        (old_header(0), "0 channels"),
        (old_header()[:-1], "no whole header"),
        (old_header(), "no samples"),
        (struct.pack("<8s16sII", b"NEURALSG", b"", 1, 0xFFFFFFFF), "4294967295 channels"),
    ],
)
def test_bad_files_have_a_problem_with_words(tmp_path, content, words):
    assert words in problem(tmp_path, content)


def test_each_stream_of_a_folder(tmp_path):
    for name in ("s2.ns5", "s10.ns5", "s2.ns2", "s2.nev"):
        (tmp_path / name).write_bytes(header(channel()) + packet(0, 5))
    recordings = nsx.recordings_in(str(tmp_path), ["s10.ns5", "s2.NEV", "s2.ns2", "s2.ns5"])
    assert [(one.columns["stem"], one.columns["stream"], one.columns["index"]) for one in recordings] == [
        ("s2", "ns2", "0"),
        ("s2", "ns5", "0"),
        ("s10", "ns5", "1"),
    ]
    assert nsx.claims("", ["A.NS6"])
    assert not nsx.claims("", ["a.nev", "a.ns", "a.ns5.bak", "ns5", "a.nsx"])


def test_hostile_headers_of_packets_of_one_sample(tmp_path):
    content = header(channel(), version=(3, 0), clock_hz=10**9)
    content += b"".join(packet(i * 33_333, 1, long=True) for i in range(50))
    check_mutations(nsx, {"a.ns5": content}, "a.ns5", tmp_path)


def test_hostile_headers(tmp_path):
    content = header(channel(), channel(2, b"2")) + packet(0, 5, channels=2) + packet(100, 10, channels=2)
    check_mutations(nsx, {"a.ns5": content}, "a.ns5", tmp_path)
    check_mutations(nsx, {"a.ns2": old_header() + bytes(400)}, "a.ns2", tmp_path, most_bytes=40)
    head = header(channel(), version=(3, 0))
    check_mutations(nsx, {"a.ns6": head + packet(0, 50, long=True)}, "a.ns6", tmp_path, most_bytes=len(head) + 13)
    if FORMATS.is_dir():
        real = (FORMATS / "blackrock" / "pause_correct.ns2").read_bytes()
        check_mutations(nsx, {"a.ns2": real}, "a.ns2", tmp_path, most_bytes=1379)
