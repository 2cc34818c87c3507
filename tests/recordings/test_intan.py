"""Intan's folders with a file per signal type: what each file has, by the one header beside them."""

import struct

import numpy as np
import pytest
from neo.rawio import IntanRawIO

from neuroluigi.recordings.formats import intan
from neuroluigi.recordings.formats.reader import Channel, Gap, Part, Sync
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations

REAL = FORMATS / "intan" / "file_per_signal_type"
RHD, RHS = 0xC6912702, 0xD69127AC
# Names and types of the channels of a header.
CHANNELS = [("A-000", 0), ("A-001", 0), ("A-AUX1", 1), ("A-VDD1", 2), ("ANALOG-IN-1", 3), ("DIGITAL-IN-1", 4)]
RHS_CHANNELS = [("A-000", 0), ("ANALOG-IN-1", 3), ("ANALOG-OUT-1", 4), ("DIGITAL-IN-1", 5), ("DIGITAL-OUT-1", 6)]


def text(content: str) -> bytes:
    return struct.pack("<I", 2 * len(content)) + content.encode("utf-16-le")


def groups(channels, extra=b"", custom="", is_on=1) -> bytes:
    content = struct.pack("<h", 2) + text("Off") + text("B") + struct.pack("<3h", 0, 5, 5)
    content += text("Port A") + text("A") + struct.pack("<3h", 1, len(channels), 0)
    for name, type in channels:
        fields = struct.pack("<6h", 0, 0, type, is_on, 0, 0) + extra + struct.pack("<4h2f", 1, 0, 0, 0, 0, 0)
        content += text(name) + text(custom) + fields
    return content


def rhd(channels=CHANNELS, version=(3, 3), rate=20000.0, board=13, **how) -> bytes:
    content = struct.pack("<Ihh", RHD, *version)
    content += struct.pack("<fh6fh2f", rate, 1, 1, 1, 7500, 1, 1, 7500, 0, 1000, 1000)
    content += text("Mäuse") + struct.pack("<I", 0xFFFFFFFF) + text("")
    content += struct.pack("<h", 0) if version >= (1, 1) else b""
    content += struct.pack("<h", board) if version >= (1, 3) else b""
    content += text("n/a") if version >= (2, 0) else b""
    return content + groups(channels, **how)


def rhs(channels=RHS_CHANNELS, rate=30000.0) -> bytes:
    content = struct.pack("<Ihh", RHS, 3, 2)
    content += struct.pack("<fh8fh2f2h3f", rate, *[1] * 9, 0, 1000, 1000, 0, 0, 1e-6, 1e-9, 0)
    content += text("a") + text("b") + text("c") + struct.pack("<2h", 1, 0) + text("n/a")
    return content + groups(channels, extra=struct.pack("<h", 0))


def recorded(folder, header=None, name="info.rhd", **files):
    """Write the header and files, of so many bytes or with this content; return the recordings by stream."""
    if header is not None:
        (folder / name).write_bytes(header)
    for stream, content in files.items():
        (folder / f"{stream}.dat").write_bytes(bytes(content) if isinstance(content, int) else content)
    recordings = intan.recordings_in(str(folder), sorted(path.name for path in folder.iterdir()))
    assert all(str(folder) in said for one in recordings for said in one.problems + one.warnings)
    return {one.columns["stream"]: one for one in recordings}


def counter(*values: int, dtype="<i4") -> bytes:
    return np.array(values, dtype).tobytes()


@needs_formats
def test_the_real_folder():
    recordings = recorded(REAL)
    assert list(recordings) == ["amplifier", "auxiliary", "analogin", "digitalin"]
    for stream, one in recordings.items():
        assert (one.problems, one.warnings, one.gaps, one.rest_bytes) == ((), (), (), 0)
        assert (one.sampling_rate_hz, one.samples, one.start_sample) == (30000.0, 24320, 0)
        assert one.clock == "intan file_per_signal_type"
        assert one.sync == Sync("intan file_per_signal_type", 0, 0.0, 1 / 30000, is_on=False)
        assert one.parts == (Part(str(REAL / f"{stream}.dat"), 0, 24320),)
        assert one.columns == {"session": "file_per_signal_type", "index": "0", "stream": stream}
        assert one.sidecars == (str(REAL / "info.rhd"), str(REAL / "time.dat"))
    assert recordings["amplifier"].dtype == "int16"
    assert recordings["amplifier"].channels[63] == Channel("B-031", "ap", 0.195, 0.0, "uV")
    assert recordings["auxiliary"].channels[5] == Channel("B-AUX3", "aux", 0.0000374, 0.0, "V")
    # Of a word, the names are those of the lines that are on.
    assert recordings["digitalin"].channels == (Channel("digitalin", "digital", bits=("DIGITAL-IN-01",)),)
    words = np.fromfile(REAL / "digitalin.dat", recordings["digitalin"].dtype)
    for bit, rises in ((0, [4956]), (1, [19952])):
        assert np.flatnonzero(np.diff((words >> bit & 1).astype(int)) == 1).tolist() == [rise - 1 for rise in rises]
    # They are sampled at a quarter of the rate, and have a value per sample of the amplifiers all the same.
    assert (REAL / "auxiliary.dat").stat().st_size == 24320 * 6 * 2
    auxiliary = np.fromfile(REAL / "auxiliary.dat", "<u2").reshape(-1, 4, 6)
    assert np.count_nonzero(auxiliary != auxiliary[:, :1]) == 0


@needs_formats
def test_an_independent_reader_says_the_same():
    recordings = recorded(REAL)
    neo = IntanRawIO(str(REAL / "info.rhd"))
    neo.parse_header()
    channels = neo.header["signal_channels"]
    assert len(neo.header["signal_streams"]) == len(recordings)
    for i, one in enumerate(recordings.values()):
        said = channels[channels["stream_id"] == neo.header["signal_streams"][i]["id"]]
        assert neo.get_signal_size(0, 0, i) == one.samples
        if one.columns["stream"] != "digitalin":
            assert [channel.name for channel in one.channels] == said["name"].tolist()
            assert [channel.scale for channel in one.channels] == said["gain"].tolist()
            assert [channel.offset for channel in one.channels] == said["offset"].tolist()
            assert [channel.unit for channel in one.channels] == said["units"].tolist()
            samples = np.memmap(one.parts[0].path, one.dtype, "r", shape=(one.samples, len(one.channels)))
            assert np.array_equal(neo.get_analogsignal_chunk(stream_index=i), samples)
        # neo's fault: so many samples at a quarter of the rate would last four times as long as the recording.
        rate = 7500.0 if one.columns["stream"] == "auxiliary" else 30000.0
        assert neo.get_signal_sampling_rate(i) == rate
        assert one.sampling_rate_hz == 30000.0


@pytest.mark.parametrize(
    ("name", "header", "channels"),
    [
        ("info.rhs", rhs(), 4),
        ("info.rhd", rhd(version=(1, 2)), 5),
        ("info.rhd", rhd(version=(2, 0), board=1), 5),
    ],
)
def test_an_independent_reader_says_the_same_of_other_versions(tmp_path, name, header, channels):
    others = ("dcamplifier", "stim", "analogout", "digitalout") if name == "info.rhs" else ("auxiliary", "supply")
    files = dict.fromkeys(("analogin", "digitalin", *others), 20)
    files["amplifier"] = 20 if name == "info.rhs" else 40
    recordings = recorded(tmp_path, header, name, **files, time=counter(*range(10)))
    neo = IntanRawIO(str(tmp_path / name))
    neo.parse_header()
    said = {one["id"]: one for one in neo.header["signal_channels"]}
    compared = [(one, channel) for one in recordings.values() for channel in one.channels if channel.kind != "digital"]
    assert len(compared) == channels
    for one, channel in compared:
        theirs = said[channel.name]
        assert (channel.scale, channel.offset, channel.unit) == (theirs["gain"], theirs["offset"], theirs["units"])
        assert one.dtype == theirs["dtype"]


@pytest.mark.parametrize("version", [(1, 0), (1, 1), (1, 2), (1, 3), (1, 5), (2, 0), (3, 3)])
def test_headers_of_all_versions(tmp_path, version):
    dtype = "<u4" if version < (1, 2) else "<i4"
    files = {"amplifier": 40, "auxiliary": 20, "supply": 20, "analogin": 20, "digitalin": 20, "digitalout": 20}
    recordings = recorded(tmp_path, rhd(version=version), **files, time=counter(*range(10), dtype=dtype))
    assert list(recordings) == list(files)
    assert {(one.problems, one.warnings, one.samples) for one in recordings.values()} == {((), (), 10)}
    assert recordings["amplifier"].sampling_rate_hz == 20000.0
    assert [channel.name for channel in recordings["amplifier"].channels] == ["A-000", "A-001"]
    assert recordings["supply"].channels == (Channel("A-VDD1", "aux", 0.0000748, 0.0, "V"),)
    # Before 1.3 there was one board, whose inputs go from 0 to 3.3 V.
    scale, offset = (0.0003125, -10.24) if version >= (1, 3) else (0.000050354, 0.0)
    assert recordings["analogin"].channels == (Channel("ANALOG-IN-1", "analog", scale, offset, "V"),)


def test_a_board_that_is_not_known_has_no_scale(tmp_path):
    recordings = recorded(tmp_path, rhd(board=7), amplifier=40, analogin=20, time=counter(*range(10)))
    assert recordings["analogin"].channels == (Channel("ANALOG-IN-1", "analog"),)
    assert "board whose scale" in recordings["analogin"].warnings[0]
    assert recordings["amplifier"].warnings == ()
    board = recorded(tmp_path, rhd(board=1))["analogin"].channels[0]
    assert (board.scale, board.offset) == (0.00015259, -32768 * 0.00015259)


def test_the_stimulator_has_more_files(tmp_path):
    files = dict.fromkeys(("amplifier", "dcamplifier", "stim", "analogin", "analogout", "digitalin", "digitalout"), 20)
    recordings = recorded(tmp_path, rhs(), "info.rhs", **files, time=counter(*range(10)))
    assert list(recordings) == list(files)
    assert {(one.problems, one.warnings, one.samples) for one in recordings.values()} == {((), (), 10)}
    assert recordings["amplifier"].channels == (Channel("A-000", "ap", 0.195, 0.0, "uV"),)
    assert recordings["dcamplifier"].channels == (Channel("A-000_DC", "lf", 19.23, -512 * 19.23, "mV"),)
    assert recordings["stim"].channels == (Channel("A-000_STIM", "digital"),)
    assert recordings["analogout"].channels == (Channel("ANALOG-OUT-1", "analog", 0.0003125, -10.24, "V"),)
    assert recordings["digitalout"].channels == (Channel("digitalout", "digital", bits=("DIGITAL-OUT-1",)),)
    assert {one.dtype for stream, one in recordings.items() if stream != "amplifier"} == {"uint16"}
    assert recordings["amplifier"].sampling_rate_hz == 30000.0


def test_names_that_the_user_gave(tmp_path):
    assert recorded(tmp_path, rhd(custom="tetrode 1"), amplifier=8)["amplifier"].channels[0].name == "tetrode 1"


def test_the_counter_says_start_and_gaps(tmp_path):
    """Before a trigger it is negative; where the computer was too slow, numbers are missing."""
    values = (-3, -2, -1, 0, 1, 5, 6, 7, 2, 3)
    recordings = recorded(tmp_path, rhd(), amplifier=40, digitalin=12, time=counter(*values))
    assert recordings["amplifier"].start_sample == -3
    assert recordings["amplifier"].gaps == (Gap(5, 3), Gap(8))
    # Of a file that ends before, the gaps within it.
    assert recordings["digitalin"].gaps == (Gap(5, 3),)
    assert f"has 6 samples, 10 by {tmp_path / 'time.dat'}" in recordings["digitalin"].warnings[0]


def test_the_counter_of_before_1_2_has_no_sign(tmp_path):
    late = counter(*range(2**31, 2**31 + 10), dtype="<u4")
    assert recorded(tmp_path, rhd(version=(1, 1)), amplifier=40, time=late)["amplifier"].start_sample == 2**31
    assert recorded(tmp_path, rhd(version=(1, 2)))["amplifier"].start_sample == -(2**31)


def test_without_a_counter(tmp_path):
    for one in (recorded(tmp_path, rhd(), amplifier=42), recorded(tmp_path, time=b"")):
        assert (one["amplifier"].start_sample, one["amplifier"].clock, one["amplifier"].gaps) == (None, "", ())
        assert (one["amplifier"].samples, one["amplifier"].rest_bytes) == (10, 2)
        assert "whether samples are missing is not known" in one["amplifier"].warnings[0]


def test_a_counter_that_is_none(tmp_path):
    noise = np.random.default_rng(0).integers(0, 1 << 30, 100_000).astype("<i4").tobytes()
    recordings = recorded(tmp_path, rhd(), amplifier=400_000, digitalin=200_000, time=noise)
    for one in recordings.values():
        assert "time.dat jumps more than" in one.problems[0]


def test_files_that_are_missing(tmp_path):
    recordings = recorded(tmp_path, rhd(), digitalin=20, time=counter(*range(10)))
    assert "amplifier.dat can't be read: it is not there" in recordings["amplifier"].problems[0]
    assert recordings["digitalin"].problems == ()
    # Who lets the filtered signals be saved may leave the others out.
    recordings = recorded(tmp_path, highpass=20)
    assert list(recordings) == ["digitalin"]
    assert "highpass.dat is not read" in recordings["digitalin"].warnings[0]
    (tmp_path / "info.rhd").write_bytes(rhd(channels=[("A-AUX1", 1)]))
    (tmp_path / "highpass.dat").unlink()
    assert list(recorded(tmp_path, auxiliary=20)) == ["auxiliary", "digitalin"]
    for name in ("auxiliary", "digitalin"):
        (tmp_path / f"{name}.dat").unlink()
    assert "is not there" in recorded(tmp_path)["amplifier"].problems[0]


def test_files_that_the_header_does_not_know(tmp_path):
    recordings = recorded(tmp_path, rhd(is_on=0), amplifier=40, digitalin=20)
    assert "amplifier.dat has no channels by" in recordings["amplifier"].problems[0]
    assert recordings["digitalin"].samples == 10


def test_formats_that_have_to_be_decoded(tmp_path):
    """Of several files with all signals in one, the index is the rank of the name."""
    for name in ("rec_2.rhd", "rec_10.rhd", "x.RHS"):
        (tmp_path / name).write_bytes((rhs if name == "x.RHS" else rhd)() + bytes(4000))
    recordings = intan.recordings_in(str(tmp_path), ["rec_10.rhd", "rec_2.rhd", "x.RHS"])
    assert all(one.is_encoded and one.problems == () for one in recordings)
    recordings = [one for one in recordings if one.columns["stream"] == "amplifier"]
    assert [(one.columns["stem"], one.columns["index"]) for one in recordings] == [
        ("rec_2", "0"),
        ("rec_10", "1"),
        ("x", "2"),
    ]
    assert [one.path for one in recordings] == [str(tmp_path / name) for name in ("rec_2.rhd", "rec_10.rhd", "x.RHS")]
    names = ["info.rhd", "time.dat", "amp-A-000.dat", "board-DIGITAL-IN-01.dat"]
    (one,) = intan.recordings_in(str(tmp_path), names)
    assert "a file per channel, which has to be decoded" in one.problems[0]
    assert one.path == str(tmp_path / "info.rhd")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "no whole header"),
        (b"RIFFRIFF", "no header of Intan"),
        (rhd()[:-1], "no whole header"),
        (rhd()[:300], "no whole header"),
        (rhd(rate=0), "0.0 Hz"),
        (rhd(rate=-5), "-5.0 Hz"),
        (rhd(rate=float("nan")), "nan Hz"),
        (rhd(rate=float("inf")), "inf Hz"),
    ],
)
def test_bad_headers_have_a_problem_with_words(tmp_path, header, words):
    recordings = recorded(tmp_path, header, amplifier=40, digitalin=20)
    for one in recordings.values():
        assert words in one.problems[0]
        assert str(tmp_path / "info.rhd") in one.problems[0]


@pytest.mark.parametrize(("name", "header"), [("info.rhs", rhd()), ("info.rhd", rhs())])
def test_a_header_of_the_other_system(tmp_path, name, header):
    for one in recorded(tmp_path, header, name, amplifier=40, dcamplifier=20, supply=20).values():
        assert f"{tmp_path / name} is no header of Intan" in one.problems[0]


def test_a_folder_with_headers_is_claimed():
    assert intan.claims("", ["INFO.RHD"])
    assert intan.claims("", ["x.rhs"])
    assert not intan.claims("", ["amplifier.dat", "rhd"])


@pytest.mark.parametrize(("changed", "header"), [("info.rhd", rhd()), ("info.rhs", rhs()), ("time.dat", rhd())])
def test_hostile_headers(tmp_path, changed, header):
    files = {"info.rhd": header, "amplifier.dat": bytes(400), "digitalin.dat": bytes(200), "analogin.dat": bytes(80)}
    files["time.dat"] = counter(*range(50), *range(60, 110))
    if changed == "info.rhs":
        files[changed] = files.pop("info.rhd")
    check_mutations(intan, files, changed, tmp_path)


@needs_formats
def test_hostile_changes_of_the_real_header(tmp_path):
    files = {path.name: path.read_bytes() for path in REAL.iterdir()}
    check_mutations(intan, files, "info.rhd", tmp_path)
