"""What neo reads: in place or decoded, each value as neo itself gives it, and what it makes of damaged files."""

import sys
from contextvars import Context

import numpy as np
import pytest
from neo.rawio import AxonRawIO, EDFRawIO, NeuralynxRawIO, NeuroScopeRawIO, rawiolist

from neuroluigi.recordings.formats import library_process, neo
from neuroluigi.recordings.formats.decoding import decoded_blocks
from neuroluigi.recordings.formats.reader import Part
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations
from tests.recordings.test_edf import written as write_edf

XML = """<parameters><acquisitionSystem><nBits>16</nBits><nChannels>3</nChannels><samplingRate>20000</samplingRate>
<voltageRange>20</voltageRange><amplification>1000</amplification><offset>0</offset></acquisitionSystem>
<anatomicalDescription><channelGroups><group><channel>0</channel><channel>1</channel><channel>2</channel></group>
</channelGroups></anatomicalDescription></parameters>
"""
pytestmark = pytest.mark.usefixtures("library_process")

VALUES = np.arange(-30, 30).reshape(20, 3)


def recorded(folder) -> list:
    recordings = neo.recordings_in(str(folder), sorted(path.name for path in folder.iterdir()))
    assert all(str(folder) in text for one in recordings for text in one.problems + one.warnings)
    return recordings


def samples(recording) -> np.ndarray:
    if recording.decode:
        return np.concatenate(list(decoded_blocks(recording)))
    (part,) = recording.parts
    return np.memmap(part.path, recording.dtype, "r", part.offset, (part.samples, len(recording.channels)))


def neuroscope(folder, name="m1"):
    (folder / f"{name}.xml").write_text(XML)
    (folder / f"{name}.dat").write_bytes(VALUES.astype("<i2").tobytes())


@needs_formats
def test_sweeps_of_axon_are_parts_of_their_file():
    path = FORMATS / "abf/File_axon_5.abf"
    recordings = recorded(FORMATS / "abf")
    reader = AxonRawIO(str(path))
    reader.parse_header()
    assert len(recordings) == reader.segment_count(0) == 9
    for i, one in enumerate(recordings):
        assert one.columns == {"session": "File_axon_5", "index": str(i), "stream": "Signals", "block": "0"}
        assert (one.problems, one.dtype, one.sampling_rate_hz, one.samples) == ((), "int16", 20000.0, 20000)
        assert one.start_sample == round(reader.get_signal_t_start(0, i, 0) * 20000)
        assert (one.sidecars, one.parts[0].path) == ((str(path),), str(path))
        assert np.array_equal(samples(one), reader.get_analogsignal_chunk(0, i))
    (channel,) = recordings[0].channels
    assert (channel.scale, channel.offset, channel.unit) == (pytest.approx(0.0061035, rel=1e-5), 0.0, "mV")


@needs_formats
def test_segments_of_neuralynx_are_decoded():
    first, second = recorded(FORMATS / "neuralynx")
    path = str(FORMATS / "neuralynx/unfilledSplitRecords.Ncs")
    reader = NeuralynxRawIO(str(FORMATS / "neuralynx"), gap_tolerance_ms=0.0)
    reader.parse_header()
    for i, one in enumerate((first, second)):
        assert (one.path, one.problems, one.parts, one.columns["index"]) == (path, (), (), str(i))
        assert np.array_equal(samples(one), reader.get_analogsignal_chunk(0, i, stream_index=0))
    assert (first.samples, second.samples, first.columns["session"]) == (820, 512, "neuralynx")
    assert first.clock == second.clock
    assert second.start_sample / second.sampling_rate_hz == pytest.approx(4295.0021, abs=1e-4)


def test_neuroscope_in_place(tmp_path):
    neuroscope(tmp_path)
    neuroscope(tmp_path, "m2")
    one, two = recorded(tmp_path)
    assert one.parts == (Part(str(tmp_path / "m1.dat"), 0, 20),)
    assert one.sidecars == (str(tmp_path / "m1.dat"), str(tmp_path / "m1.xml"))
    assert (two.columns["session"], two.columns["index"], one.sampling_rate_hz) == ("m2", "0", 20000.0)
    assert np.array_equal(samples(one), VALUES)
    reader = NeuroScopeRawIO(str(tmp_path / "m1.dat"))
    reader.parse_header()
    channels = reader.header["signal_channels"]
    assert [(c.name, c.scale, c.offset, c.unit) for c in one.channels] == [
        (c["name"], c["gain"], c["offset"], c["units"]) for c in channels
    ]


def test_what_neo_gives_in_parts_or_in_another_order_is_decoded(tmp_path, monkeypatch):
    neuroscope(tmp_path)
    describe = NeuroScopeRawIO.get_analogsignal_buffer_description
    for change in (
        {"type": "hdf5"}, {"time_axis": 1}, {"order": "F"}, {"dtype": np.dtype(">i2")}, {"shape": (20, 4)},
        {"file_path": "/etc/passwd"}, {"file_offset": -1}, {"file_offset": 1},
    ):  # fmt: skip
        changed = lambda *where, change=change: {**describe(*where), **change}  # noqa: E731
        monkeypatch.setattr(NeuroScopeRawIO, "get_analogsignal_buffer_description", changed)
        path = str(tmp_path / "m1.dat")
        (one,) = neo.read((path, ["NeuroScopeRawIO"], [path]), {"session": "m1", "index": "0"})
        assert one.decode and one.parts == (), change
    monkeypatch.undo()
    # What decodes reads the file itself.
    assert np.array_equal(samples(one), VALUES)


def test_names_are_those_of_neo():
    known = {one.__name__: one for one in rawiolist}
    for extension, classes in neo._FILES.items():
        for name in classes:
            extensions = {one.lower() for one in known[name].extensions}
            assert extension in extensions, name
            assert known[name].rawmode != "one-dir"
    for extension, name in neo._FOLDERS.items():
        assert known[name].rawmode == "one-dir" and extension in known[name].extensions
    # Those of formats with a module of their own, or without a header.
    others = {
        "BlackrockRawIO", "BrainVisionRawIO", "EDFRawIO", "IntanRawIO", "OpenEphysBinaryRawIO", "PhyRawIO",
        "RawBinarySignalRawIO", "SpikeGLXRawIO",
    }  # fmt: skip
    read = {name for classes in neo._FILES.values() for name in classes} | set(neo._FOLDERS.values())
    assert read | others == set(known)


@pytest.mark.parametrize(
    ("names", "claimed"),
    [
        (["a.ABF"], True), (["x.Ncs"], True), (["a.plx", "notes.txt"], True), (["a.dat"], False),
        (["a.dat", "a.xml"], True), (["a.bin", "a.wav", "b.npy", "settings.json", "abf"], False),
        (["a.xdat.json"], True), (["100_CH1.continuous"], True),
    ],
)  # fmt: skip
def test_folders_are_claimed_by_extensions(names, claimed):
    assert neo.claims("", names) is claimed


def test_neo_is_not_loaded_to_look_at_names(monkeypatch):
    monkeypatch.setitem(sys.modules, "neo", None)
    assert neo.claims("", ["a.abf"])


def test_without_neo_the_line_to_type_is_said(tmp_path, without_library):
    without_library("neo")
    neuroscope(tmp_path)
    (one,) = Context().run(recorded, tmp_path)
    (problem,) = one.problems
    assert f"{tmp_path / 'm1.dat'} is read by neo, for which neo is needed" in problem
    assert problem.endswith("pip install 'neuroluigi[formats]'")


def test_what_another_package_is_needed_for(tmp_path):
    (tmp_path / "a.smrx").write_bytes(b"x" * 100)
    (problem,) = recorded(tmp_path)[0].problems
    assert f"{tmp_path / 'a.smrx'} can't be read by neo: sonpy is not installed" in problem


@pytest.mark.parametrize(
    "name", ["a.abf", "a.plx", "a.ncs", "a.trc", "a.raw", "a.nex", "a.wcp", "a.edr", "a.h5", "a.rec"]
)
@pytest.mark.parametrize("content", [b"", b"nothing that neo knows" * 100])
def test_other_files_have_a_problem_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (one,) = recorded(tmp_path)
    (problem,) = one.problems
    assert str(tmp_path / name) in problem and "\n" not in problem and "Traceback" not in problem


def test_edf_is_read_with_its_scale(tmp_path):
    write_edf(tmp_path / "a.edf", rates=(100,))
    (one,) = recorded(tmp_path)
    assert (one.format, one.samples) == ("edf", 600) and neo.claims("", ["a.edf"])
    assert one.channels[0].scale == 800 / 65535
    reader = EDFRawIO(str(tmp_path / "a.edf"))
    reader.parse_header()
    assert reader.header["signal_channels"]["gain"][0] == pytest.approx(800 / 65536, rel=1e-9)
    reader.close()


def test_a_stream_that_is_named_as_another_has_its_number(tmp_path):
    header = {"signal_streams": np.array([("a", "0"), ("a", "1"), ("", "2")], [("name", "U9"), ("id", "U9")])}
    assert neo._stream_names(type("Reader", (), {"header": header})) == ["a 0", "a 1", "2"]


@needs_formats
@pytest.mark.parametrize(
    ("name", "most_bytes"), [("neuralynx/unfilledSplitRecords.Ncs", 6000), ("abf/File_axon_5.abf", 10_000)]
)
def test_hostile_files(tmp_path, monkeypatch, name, most_bytes):
    """As many sections as its header says, neo reads of Axon, however long that takes."""
    path = FORMATS / name
    monkeypatch.setattr(library_process, "_SECONDS", 1.0)
    check_mutations(neo, {path.name: path.read_bytes()}, path.name, tmp_path, most_bytes, decoded=0.05)


def test_hostile_headers_of_neuroscope(tmp_path):
    neuroscope(tmp_path)
    files = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    check_mutations(neo, files, "m1.xml", tmp_path)
