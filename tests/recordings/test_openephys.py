"""Open Ephys binary recordings against the truth of real files and neo, and what is made of damaged ones."""

import json
import re
import shutil
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.recordings.formats import openephys
from neuroluigi.recordings.formats.reader import Gap, LineFiles, RecordedFile, Sync
from tests.conftest import FORMATS, needs_formats
from tests.recordings.mutations import check_mutations

TRUTH = json.loads((FORMATS / "truth.json").read_text()) if FORMATS.is_dir() else {"openephys": {}}
ROWS = {name: row for name, row in TRUTH["openephys"].items() if "channels" in row}
THREE = FORMATS / "openephys/three_streams_v0.6/Record Node 101/experiment1/recording1"
TWO = FORMATS / "openephys/two_recordings_v0.5/RecordNode103/experiment1"


def read(folder: Path) -> list[RecordedFile]:
    names = sorted(path.name for path in folder.iterdir())
    assert openephys.claims(str(folder), names)
    return openephys.recordings_in(str(folder), names)


def only(folder: Path) -> RecordedFile:
    (recording,) = read(folder)
    return recording


def channel(name: str, bit_volts: object = 0.195, units: str = "uV", description: str = "") -> dict:
    return {"channel_name": name, "description": description, "bit_volts": bit_volts, "units": units}


def stream(folder_name: str = "Acq-100.0/", channels: list | None = None, **values) -> dict:
    channels = [channel("CH1"), channel("CH2")] if channels is None else channels
    return {
        "folder_name": folder_name, "sample_rate": 30000, "source_processor_name": "Acq Board",
        "num_channels": len(channels), "channels": channels, **values,
    }  # fmt: skip


def made(folder: Path, *streams: dict, numbers: object = None, samples: int = 10, name: str = "sample_numbers") -> Path:
    """Write a recording with streams of `samples` samples; `numbers` is the counter, None for none."""
    for one in streams:
        data = folder / "continuous" / one["folder_name"]
        data.mkdir(parents=True, exist_ok=True)
        (data / "continuous.dat").write_bytes(bytes(samples * 2 * len(one["channels"])))
        if numbers is not None:
            np.save(data / f"{name}.npy", np.asarray(numbers))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "structure.oebin").write_text(json.dumps({"GUI version": "0.6.0", "continuous": streams}))
    return folder


def problem(folder: Path) -> str:
    (text,) = only(folder).problems
    assert str(folder) in text and "\n" not in text
    return text


@pytest.mark.parametrize("name", ROWS)
def test_real_recordings(name):
    row, folder = ROWS[name], FORMATS / name
    recording = {Path(one.path).parent: one for one in read(folder.parent.parent)}[folder]
    assert recording.problems == recording.warnings == () and recording.dtype == "int16"
    assert recording.path == str(folder / "continuous.dat")
    assert recording.sampling_rate_hz == row["rate"] and recording.samples == row["samples"]
    assert (recording.start_sample, recording.gaps) == (row["first_sample_number"], ())
    assert recording.start_sample + recording.samples - 1 == row["last_sample_number"]
    assert len(recording.channels) == row["channels"] and recording.columns["stream"] == row["stream"]
    assert {round(one.scale, 9) for one in recording.channels} == set(row["bit_volts"])
    (part,) = recording.parts
    assert (part.path, part.offset, part.samples) == (recording.path, 0, row["samples"])
    counter = "sample_numbers.npy" if "v0.6" in name else "timestamps.npy"
    assert recording.sidecars == (str(folder.parent.parent / "structure.oebin"), str(folder / counter))


@needs_formats
def test_kinds_and_units_of_real_channels():
    probe, _, ni = read(THREE)
    assert {(one.kind, one.unit) for one in probe.channels} == {("ap", "uV")}
    # Since 0.6 the units are not said; of a DAQ device they are volts.
    assert {(one.kind, one.unit) for one in ni.channels} == {("analog", "V")}
    assert ni.channels[7].name == "AI7" and ni.columns["source"] == "NI-DAQmx"


@needs_formats
def test_the_folders_say_session_node_experiment_and_recording(tmp_path):
    assert [one.columns["session"] for one in read(THREE)] == ["three_streams_v0.6"] * 3
    one, other = only(TWO / "recording1"), only(TWO / "recording2")
    assert (one.columns["index"], other.columns["index"]) == ("1", "2")
    assert (one.columns["node"], one.columns["experiment"]) == ("103", "1")
    # The counter of a source goes on from recording to recording: what is between them.
    assert one.clock == other.clock and other.start_sample - one.start_sample - one.samples == 313152
    assert len({one.clock for one in read(THREE)}) == 3
    # Folders of 0.4, before there were nodes, and one that was moved.
    for place, columns in {
        "Mäuse 2/experiment2/recording10": ("Mäuse 2", "10", "", "2"),
        "m/Record Node 7/experiment1/recording1": ("m", "1", "7", "1"),
        "m/Record_Node_7/experiment1/recording1": ("m", "1", "7", "1"),
        "moved": ("moved", "0", "", ""),
    }.items():
        found = only(made(tmp_path / place, stream(), numbers=np.arange(10)))
        assert tuple(found.columns[key] for key in ("session", "index", "node", "experiment")) == columns
        assert found.problems == ()


def test_streams_of_one_name_have_those_of_their_folders(tmp_path):
    made(tmp_path, stream("A-100.Data/", stream_name="Data"), stream("B-101.Data/", stream_name="Data"),
         stream("C-102.Probe/", stream_name="Probe"))  # fmt: skip
    assert [one.columns["stream"] for one in read(tmp_path)] == ["A-100.Data", "B-101.Data", "Probe"]


def test_kinds_and_scales_per_channel(tmp_path):
    channels = {
        "CH1": ("ap", 0.195, "uV"),
        "AUX1": ("aux", 0.0000374, "V"),
        "ADC1": ("analog", 0.000153, "V"),
        "A1": ("analog", 0.5, "V"),
        "probe_SYNC": ("digital", None, ""),
        "AP5": ("ap", 0.195, "uV"),
        "LFP5": ("lf", 0.195, "uV"),
        "other": ("unknown", 1.0, "mV"),
        "headstage": ("ap", 0.2, "uV"),
    }
    said = [
        channel("CH1", units="µV"), channel("AUX1", 0.0000374, "V", "Auxiliar data channel"),
        channel("ADC1", 0.000153, ""), channel("A1", 0.5, "V", "ADC data channel"), channel("probe_SYNC", 1, ""),
        channel("AP5", units=""), channel("LFP5", units=""), channel("other", 1.0, "mV"),
        channel("headstage", 0.2, "uV", "Headstage data channel"),
    ]  # fmt: skip
    recording = only(made(tmp_path, stream(channels=said), numbers=np.arange(10)))
    assert {one.name: (one.kind, one.scale, one.unit) for one in recording.channels} == channels
    assert recording.warnings == recording.problems == ()


def test_later_versions_say_the_type_of_a_channel(tmp_path):
    said = [
        {**channel("EMG1", units=""), "type": 0},
        {**channel("MEM", 1.0, "%"), "type": 1},
        {**channel("CH17", 0.1, ""), "type": 2},
        {**channel("LFP1"), "type": 0},
        {**channel("SYNC"), "type": 0},
        {**channel("x"), "type": 7},
    ]
    recording = only(made(tmp_path, stream(channels=said), numbers=np.arange(10)))
    assert [one.kind for one in recording.channels] == ["ap", "aux", "analog", "lf", "digital", "unknown"]
    assert [one.unit for one in recording.channels] == ["uV", "%", "V", "uV", "", "uV"]


@pytest.mark.parametrize(("name", "rate"), [("ProbeA-LFP", 2500.0), ("", 2500.0), ("ProbeA-LFP", 1000.0)])
def test_the_slow_stream_of_a_probe_is_lf(tmp_path, name, rate):
    probe = stream("P-100.1/", stream_name=name, sample_rate=rate, source_processor_name="Neuropix-PXI")
    assert {one.kind for one in only(made(tmp_path, probe)).channels} == {"lf"}


def test_an_unknown_scale_is_said_and_never_guessed(tmp_path):
    channels = [channel("CH1", None), channel("CH2", "nan"), channel("CH3", -1), channel("AUX1", 0.1, ""), "text"]
    recording = only(made(tmp_path, stream(channels=channels), numbers=np.arange(10)))
    assert {(one.scale, one.offset, one.unit) for one in recording.channels} == {(None, None, "")}
    (warning,) = recording.warnings
    assert "does not say bit_volts and units of CH1, CH2, CH3, AUX1, CH4 of the stream" in warning


def brute_force(numbers: np.ndarray) -> tuple[Gap, ...]:
    """Return the gaps by reading all numbers."""
    steps = np.diff(numbers)
    return tuple(Gap(int(i) + 1, int(steps[i]) - 1 if steps[i] > 1 else None) for i in np.flatnonzero(steps != 1))


@pytest.mark.parametrize("places", [[], [1], [199_999], [5, 6, 7], [65_535, 65_536, 65_537], [100_000], [1, 199_999]])
def test_gaps_are_where_the_counter_does_not_go_on_by_one(tmp_path, places):
    numbers = np.arange(1000, 201_000)
    for i, place in enumerate(places):
        numbers[place:] += 7 * (i + 1)
    recording = only(made(tmp_path, stream(), numbers=numbers, samples=200_000))
    assert recording.start_sample == 1000 and recording.problems == ()
    assert recording.gaps == brute_force(numbers) == tuple(Gap(p, 7 * (i + 1)) for i, p in enumerate(places))


def test_a_counter_that_runs_back_is_a_gap_of_unknown_length(tmp_path):
    recording = only(made(tmp_path, stream(), numbers=[5, 6, 7, 8, 9, 0, 1, 2, 2, 3]))
    assert recording.gaps == (Gap(5), Gap(8))


@pytest.mark.parametrize("start", [-5, 1 << 62])
def test_a_counter_begins_where_one_can(tmp_path, start):
    assert f"sample_numbers.npy begins at {start}" in problem(made(tmp_path, stream(), numbers=np.arange(10) + start))


def test_numbers_of_times_are_no_counter(tmp_path):
    # Since 0.6 timestamps.npy has seconds.
    recording = only(made(tmp_path, stream(), numbers=np.arange(10) / 30000, name="timestamps"))
    assert (recording.start_sample, recording.clock, recording.gaps, recording.problems) == (None, "", (), ())
    assert "has no counter" in recording.warnings[0] and len(recording.sidecars) == 1


def test_bad_input_fails_that_stream_alone(tmp_path):
    folder = made(tmp_path, *(stream(f"S-{i}/") for i in range(9)), numbers=np.arange(10))
    data = {i: folder / f"continuous/S-{i}" for i in range(9)}
    (data[1] / "continuous.dat").unlink()
    np.save(data[2] / "sample_numbers.npy", np.arange(9))
    np.save(data[3] / "sample_numbers.npy", np.zeros((10, 2), int))
    (data[4] / "sample_numbers.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save(data[5] / "sample_numbers.npy", np.array([{}] * 10), allow_pickle=True)
    (data[6] / "continuous.dat").write_bytes(b"")
    shutil.rmtree(data[7])
    (data[8] / "continuous.dat").write_bytes(bytes(43))
    good, *bad, rest = read(folder)
    assert good.problems == () and rest.problems == () and (rest.samples, rest.rest_bytes) == (10, 3)
    assert f"{data[8]}/continuous.dat ends in the middle of a sample, 3 bytes" in rest.warnings[0]
    words = [
        "can't be read: it is not there",
        "of shape (9,) for the 10 samples of continuous.dat",
        "of shape (10, 2) for",
        "has no whole header",
        "has values of type '|O'",
        "has no samples: 0 bytes",
        "it is not there",
    ]
    for recording, said in zip(bad, words, strict=True):
        (text,) = recording.problems
        assert said in text and str(folder) in text and "\n" not in text
    # The cure that is named is one.
    (data[2] / "sample_numbers.npy").rename(data[2] / "x.npy")
    assert read(folder)[2].problems == ()


def test_headers_that_are_none(tmp_path):
    for content, words in {
        "": "is no valid JSON", "{": "is no valid JSON", "[]": "is no object of JSON", '{"continuous": 5}': "no list",
        '{"continuous": [5]}': "no list", "[" * 100_000: "is no valid JSON", "[" * 600_000: "more than",
    }.items():  # fmt: skip
        (tmp_path / "structure.oebin").write_text(content)
        assert words in problem(tmp_path)
    (tmp_path / "structure.oebin").write_text('{"events": []}')
    assert read(tmp_path) == []
    (tmp_path / "structure.oebin").unlink()
    (tmp_path / "structure.oebin").mkdir()
    assert "can't be read" in problem(tmp_path)


@pytest.mark.parametrize("name", ["../../x", "/etc", "..", "", "a/../../b", "C:/x"])
def test_a_folder_outside_is_refused(tmp_path, name):
    made(tmp_path / "r", stream())
    oebin = tmp_path / "r/structure.oebin"
    oebin.write_text(oebin.read_text().replace('"Acq-100.0/"', json.dumps(name)))
    assert "not one below continuous" in problem(tmp_path / "r")


def test_wrong_numbers_of_the_header(tmp_path):
    for i, (values, words) in enumerate([
        ({"num_channels": 3}, "lists 2 channels of the stream Acq-100.0, but num_channels is 3"),
        ({"num_channels": None}, "num_channels is None"),
        ({"sample_rate": 0}, "has no sample_rate"),
        ({"sample_rate": "x"}, "has no sample_rate"),
        ({"channels": 5, "num_channels": 2}, "lists no channels"),
    ]):  # fmt: skip
        folder = made(tmp_path / str(i), stream())
        (folder / "structure.oebin").write_text(json.dumps({"continuous": [{**stream(), **values}]}))
        assert words in problem(folder)


def test_an_hour_without_a_gap_is_read_by_two_numbers(tmp_path):
    # 864 MB of counts, of which the file system keeps two blocks.
    folder = made(tmp_path, stream(channels=[channel("CH1")]), numbers=np.arange(10))
    data, samples = folder / "continuous/Acq-100.0", 3600 * 30000
    numbers = np.lib.format.open_memmap(data / "sample_numbers.npy", "w+", np.int64, (samples,))
    numbers[-1] = samples - 1
    del numbers
    with (data / "continuous.dat").open("wb") as file:
        file.truncate(2 * samples)
    start = time.perf_counter()
    recording = only(folder)
    assert time.perf_counter() - start < 0.2
    assert (recording.samples, recording.start_sample, recording.gaps) == (samples, 0, ())


def neo_reader(folder: Path):
    rawio = pytest.importorskip("neo.rawio")
    reader = rawio.OpenEphysBinaryRawIO(folder)
    reader.parse_header()
    return reader


@needs_formats
@pytest.mark.parametrize("folder", ["three_streams_v0.6/Record Node 101", "two_recordings_v0.5/RecordNode103"])
def test_neo_reads_the_same(folder):
    folder = FORMATS / "openephys" / folder
    reader = neo_reader(folder)
    recordings = [one for path in sorted(folder.glob("*/recording*")) for one in read(path)]
    for one in recordings:
        segment = int(one.columns["index"]) - 1
        (place,) = (
            i
            for i, name in enumerate(reader.header["signal_streams"]["name"])
            if name.endswith(Path(one.path).parent.name)
        )
        channels = reader.header["signal_channels"]
        channels = channels[channels["stream_id"] == reader.header["signal_streams"]["id"][place]]
        assert reader.get_signal_size(0, segment, place) == one.samples
        assert list(channels["gain"]) == pytest.approx([channel.scale for channel in one.channels])
        units = {str(unit) for unit in channels["units"]}
        # neo takes the inputs of a DAQ device for microvolts, since they are called AI0, not ADC1.
        assert units == {"uV"} and (units == {channel.unit for channel in one.channels}) == ("PXIe" not in one.path)


@needs_formats
def test_neo_knows_no_gaps(tmp_path):
    shutil.copytree(THREE.parent.parent, tmp_path / "Record Node 101")
    folder = tmp_path / "Record Node 101/experiment1/recording1"
    path = folder / "continuous/Neuropix-PXI-100.ProbeB/sample_numbers.npy"
    numbers = np.load(path)
    numbers[50:] += 3000
    np.save(path, numbers)
    assert read(folder)[0].gaps == (Gap(50, 3000),)
    assert neo_reader(tmp_path / "Record Node 101").segment_count(0) == 1


@needs_formats
@pytest.mark.parametrize("source", [THREE, TWO / "recording1"], ids=["of three streams", "of one stream"])
def test_damaged_headers(source, tmp_path):
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    check_mutations(
        openephys, {"structure.oebin": (source / "structure.oebin").read_bytes()}, "structure.oebin", tmp_path
    )


@needs_formats
def test_damaged_numbers(tmp_path):
    shutil.copytree(TWO / "recording1", tmp_path, dirs_exist_ok=True)
    name = "continuous/File_Reader-100.0/timestamps.npy"
    check_mutations(openephys, {name: (tmp_path / name).read_bytes()}, name, tmp_path, most_bytes=400)


@pytest.mark.parametrize(
    "text",
    ["[" + "[]," * 170_000 + "[]]", "[" + "{}," * 170_000 + "{}]", '["' + "a" * 8_000_000 + '"]',
     "[" + "1234567," * 900_000, '{"continuous": [' + "{}," * 5000 + "{}]}", '{"é😀":"' + "a" * 8_000_000 + '"}'],
    ids=["lists", "objects", "text", "numbers", "streams", "wide"],
)  # fmt: skip
def test_a_hostile_header_takes_no_more_than_100_mb(text, tmp_path):
    (tmp_path / "structure.oebin").write_text(text, encoding="utf-8")
    tracemalloc.start()
    read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


# Changes of digital lines, which are no samples


@needs_formats
def test_real_changes_of_lines():
    events = THREE / "events"
    for recording in read(THREE):
        folder = events / Path(recording.path).parent.name / "TTL"
        files = (str(folder / f"{name}.npy") for name in ("states", "sample_numbers", "full_words"))
        is_probe = "Neuropix" in recording.path
        names, seconds = ((0, "sync"),) if is_probe else (), str(folder / "timestamps.npy")
        assert recording.line_files == LineFiles(*files, names=names, seconds=seconds)
        assert seconds not in recording.line_files.paths
        # They describe no sample: what is made of samples does not depend on them.
        assert not any("TTL" in one for one in recording.sidecars)
    assert only(TWO / "recording1").line_files is None


def with_events(folder: Path, *events: dict, old: bool = False, streams: tuple = ()) -> Path:
    made(folder, *(streams or (stream(),)), numbers=np.arange(10))
    for one in events:
        path = folder / "events" / one["folder_name"]
        path.mkdir(parents=True)
        np.save(path / ("channel_states.npy" if old else "states.npy"), np.array([1], "int16"))
        np.save(path / "timestamps.npy", np.array([1] if old else [0.1]))
        if not old:
            np.save(path / "sample_numbers.npy", np.array([1]))
    header = json.loads((folder / "structure.oebin").read_text())
    (folder / "structure.oebin").write_text(json.dumps({**header, "events": events}))
    return folder


def test_changes_of_lines_before_and_since_0_6(tmp_path):
    one = only(with_events(tmp_path / "a", {"folder_name": "Acq-100.0/TTL/"}))
    folder = tmp_path / "a/events/Acq-100.0/TTL"
    files = (str(folder / f"{name}.npy") for name in ("states", "sample_numbers"))
    assert one.line_files == LineFiles(*files, seconds=str(folder / "timestamps.npy"))
    assert one.line_files.paths == (str(folder / "states.npy"), str(folder / "sample_numbers.npy"))
    one = only(with_events(tmp_path / "b", {"folder_name": "Acq-100.0/TTL_1/"}, old=True))
    folder = tmp_path / "b/events/Acq-100.0/TTL_1"
    assert one.line_files == LineFiles(str(folder / "channel_states.npy"), str(folder / "timestamps.npy"))
    assert one.warnings == ()


def test_of_several_the_first_is_read_and_the_others_are_named(tmp_path):
    one = only(with_events(tmp_path, {"folder_name": "Acq-100.0/TTL_1/"}, {"folder_name": "Acq-100.0/TTL_2/"}))
    assert one.line_files.states == str(tmp_path / "events/Acq-100.0/TTL_1/states.npy")
    first, other = (str(tmp_path / f"events/Acq-100.0/TTL_{n}") for n in (1, 2))
    assert one.warnings == (f"{other} is not read, as {first} is",)


def test_changes_of_a_stream_without_samples_are_named(tmp_path):
    # What a processor found in the samples of another stream is of that one's clock, and no lines of a rig.
    events = (
        {"folder_name": "NI-103.X/TTL/", "stream_name": "X"},
        {"folder_name": "Det-105.D/TTL/", "stream_name": "D"},
    )
    folder = with_events(tmp_path, *events, streams=(stream(stream_name="D"),))
    (warning,) = only(folder).warnings
    assert "changes of digital lines of NI-103.X, a stream without samples: they are not read" in warning
    assert only(folder).line_files is None and only(folder).problems == ()


@pytest.mark.parametrize("events", [None, 5, [5], [{}], [{"folder_name": 7}], [{"folder_name": "../x"}]])
def test_strange_lists_of_events_are_passed_over(tmp_path, events):
    made(tmp_path, stream(), numbers=np.arange(10))
    header = json.loads((tmp_path / "structure.oebin").read_text())
    (tmp_path / "structure.oebin").write_text(json.dumps({**header, "events": events}))
    assert only(tmp_path).line_files is None and only(tmp_path).problems == ()


@needs_formats
def test_the_clock_that_real_streams_share():
    found = {one.columns["stream"]: one for one in read(THREE)}
    run = "openephys three_streams_v0.6 101 1"
    assert found["PXIe-6341"].sync == Sync(*(run, 1867001, pytest.approx(62.114188034), 0.05), bit=0)
    assert (found["ProbeB"].sync.seconds, found["ProbeB"].sync.run) == (pytest.approx(1863198 / 30000), run)
    assert all(np.load(one.seconds_file).shape == (100,) and one.sync_problem == "" for one in found.values())
    assert len(np.load(found["PXIe-6341"].line_files.seconds)) == 2394
    # Before 0.6 there are no seconds.
    before = only(TWO / "recording1")
    assert (before.sync, before.seconds_file) == (None, "") and "as before version 0.6" in before.sync_problem


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [
        ([-1.0] * 10, "it goes from -1 to -1"),
        (np.arange(9) / 10, r"has seconds of shape \(9,\) for 10 samples; copy it again"),
        (np.full(10, np.nan), "it goes from nan to nan"),
        (np.arange(10), "has no seconds but int64"),
        (None, "timestamps.npy can't be read: it is not there"),
    ],
)
def test_seconds_that_are_none_say_nothing(tmp_path, seconds, problem):
    folder = made(tmp_path, stream(), numbers=np.arange(10) + 5)
    if seconds is not None:
        np.save(folder / "continuous" / "Acq-100.0" / "timestamps.npy", seconds)
    found = only(folder)
    assert (found.sync, found.seconds_file) == (None, "")
    assert re.search(problem, found.sync_problem)


def test_seconds_of_the_first_sample(tmp_path):
    folder = made(tmp_path, stream(), numbers=np.r_[5:10, 25:30])
    file = folder / "continuous" / "Acq-100.0" / "timestamps.npy"
    np.save(file, np.linspace(3, 4, 10))
    found = only(folder)
    assert (found.sync.count, found.sync.seconds, found.sync.bit, found.seconds_file) == (5, 3.0, None, str(file))
