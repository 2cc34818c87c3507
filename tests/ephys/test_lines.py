"""Lines in runs of `luigi`: words of bits, events that a rig wrote, names, and when which is made again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import targets
from tests.conftest import FORMATS, Pipeline, needs_formats, needs_octave

THREE = FORMATS / "openephys/three_streams_v0.6"
PROBE = "three_streams_v0.6-101-1-ProbeB"
NI = "three_streams_v0.6-101-1-PXIe-6341"

ALL = """
class LinesAll(WrapperTask):
    def requires(self):
        return [step(group) for group in groups() for step in (Lines, Stats)]
"""


@pytest.fixture
def lab(pipeline) -> Pipeline:
    pipeline.add(ALL)
    (pipeline.folder / "raw").mkdir()
    return pipeline


def run(lab: Pipeline, *arguments, code: int | None = 0, engine: str = "numpy") -> str:
    return lab.run(
        "LinesAll", "--recordings-root", "raw", "--matlab-engine", engine, "--workers", "1", *arguments, code=code
    )


def made(out: str) -> str:
    return next((line for line in out.splitlines() if line.startswith(("Made", "Nothing"))), "")


def lines_of(lab: Pipeline, group: str) -> tuple[list[list[int]], dict]:
    folder = lab.results / group
    rows, summary = targets.Lines(folder / "lines.npy"), targets.LineSummary(folder / "lines.json")
    rows.check(folder / "lines.npy")
    summary.check(folder / "lines.json")
    return rows.load().tolist(), summary.load()


def copied(lab: Pipeline, source: Path) -> Path:
    """Copy a recording of the shared files, which are read-only; return where it is."""
    place = Path(shutil.copytree(source, lab.folder / "raw" / source.name, copy_function=shutil.copyfile))
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return place


def words(lab: Pipeline, samples, name: str = "s") -> None:
    """Write a raw recording of words of 8 bits."""
    (lab.folder / "raw" / name).mkdir()
    np.array(samples, np.uint8).tofile(lab.folder / "raw" / name / "rec_0.bin")


@pytest.mark.parametrize("engine", ["numpy", pytest.param("octave", marks=needs_octave)])
def test_words_that_are_named(lab, engine):
    words(lab, [0, 1, 1, 3, 2, 0, 4, 0])
    asked = ("--Lines-words", "0", "--Lines-bits", "0,1", "--Lines-names", "0.1: go, 3.0:of another group")
    assert made(run(lab, *asked, engine=engine)) == "Made: 1 Aggregate, 1 Lines, 1 Stats."
    rows, summary = lines_of(lab, "s")
    assert rows == [[1, 0, 0, 1], [3, 0, 1, 1], [4, 0, 0, 0], [5, 0, 1, 0]]
    assert [line["name"] for line in summary["lines"]] == ["", "go"]
    assert made(run(lab, *asked, engine=engine)).startswith("Nothing")
    # Stats do not know of it.
    assert made(run(lab, *asked, "--Lines-settle", "2", engine=engine)) == "Made: 1 Lines."
    assert [row[0] for row in lines_of(lab, "s")[0]] == [1, 3, 4, 5]
    rate = ("--recordings-sampling-rate-hz", "1000")
    run(lab, "--Lines-words", "0", "--Lines-width", "1", *rate, engine=engine)
    assert lines_of(lab, "s")[0] == [[6, 0, 2, 1], [7, 0, 2, 0]]
    run(lab, "--Lines-words", "0", "--Lines-field", "0,2", engine=engine)
    assert lines_of(lab, "s")[0] == [[1, 0, 0, 1], [3, 0, 0, 3], [4, 0, 0, 2], [5, 0, 0, 0]]


def test_words_by_the_table_of_recordings(lab):
    (lab.folder / "raw" / "w.bin").write_bytes(bytes([0, 0, 9, 1]))
    rows = "session,index,path,channels,kind\ns,0,w.bin,2,ap|digital\n"
    (lab.folder / "raw" / "recordings.csv").write_text(rows)
    run(lab)
    assert lines_of(lab, "s")[0] == [[1, 1, 0, 1]]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "no header says which channels of this group are words of bits: name them, counted from 0, in [Lines]"),
        (("--Lines-words", "3"), "[Lines] words = 3: the channels of this group are 0 to 0"),
        (("--Lines-words", "ttl"), "there are no files of events beside the recordings of this group"),
        (("--Lines-words", "0", "--Lines-bits", "8"), "their bits are 0 to 7"),
        (("--Lines-words", "0", "--Lines-bits", "1", "--Lines-field", "0,2"), "[Lines] bits and field"),
        (("--Lines-words", "0", "--Lines-width", "1"), "has no sampling rate"),
        (("--Lines-words", "0", "--recordings-dtype", "float32"), "the samples are of float32, which have no bits"),
    ],
)
def test_a_group_without_such_words_fails_with_the_reason(lab, arguments, reason):
    words(lab, [0] * 8)
    out = run(lab, *arguments, code=30)
    assert reason in out and "Made: 1 Aggregate, 1 Stats." in out


def test_what_is_no_number_is_refused_before_anything_runs(lab):
    words(lab, [0])
    out = run(lab, "--Lines-words", "SY0", code=None)
    assert "luigi: words SY0: words are whole numbers, counted from 0" in out and not lab.results.exists()


@needs_formats
def test_the_names_of_bits_are_those_of_the_header(lab):
    copied(lab, FORMATS / "spikeglx/DigitalChannelTest_g0")
    copied(lab, FORMATS / "intan/file_per_signal_type")
    run(lab)
    rows, summary = lines_of(lab, "DigitalChannelTest-0-nidq")
    assert len(rows) == 326 and {line["name"] for line in summary["lines"][1:]} == {""}
    assert summary["lines"][0] == {"channel": 0, "bit": 0, "name": "sync", "rises": 163, "falls": 163, "initial": 0}
    rows, summary = lines_of(lab, "file_per_signal_type-digitalin")
    assert [row[0] for row in rows if row[3]] == [4956, 19952] and summary["lines"][0]["name"] == "DIGITAL-IN-01"
    # What has no words at all has no lines, and does not fail.
    assert lines_of(lab, "file_per_signal_type-amplifier")[0] == []
    assert made(run(lab, "--Lines-names", "0.0:mine")) == "Made: 5 Lines."
    assert lines_of(lab, "DigitalChannelTest-0-nidq")[1]["lines"][0]["name"] == "mine"


@needs_formats
def test_events_of_open_ephys_are_inputs_of_lines_alone(lab):
    place = copied(lab, THREE)
    assert made(run(lab)) == "Made: 3 Aggregate, 3 Lines, 3 Stats."
    rows, summary = lines_of(lab, NI)
    assert [sum(row[2:] == [bit, 1] for row in rows) for bit in (0, 1)] == [837, 360]
    assert summary["source"] == "ttl" and {row[1] for row in rows} == {-1}
    assert [line["name"] for line in lines_of(lab, PROBE)[1]["lines"]] == ["sync"]
    files = [file for file in place.rglob("*.npy") if file.parts[-3:-1] == ("Neuropix-PXI-100.ProbeB", "TTL")]
    record = json.loads((lab.results / PROBE / "runs/Lines.json").read_text())
    told = {Path(one["path"]).name for one in record["inputs"] if "/TTL/" in one["path"]}
    assert told == {"states.npy", "sample_numbers.npy", "full_words.npy"} and record["tool"] == {"engine": "python"}
    for step in ("Aggregate", "Stats"):
        assert "TTL" not in (lab.results / PROBE / f"runs/{step}.json").read_text()
    assert made(run(lab)).startswith("Nothing")
    # Changed bytes make the lines of this stream again, and nothing else.
    states = next(file for file in files if file.name == "states.npy")
    changed = np.load(states)
    changed[0] = 3
    np.save(states, changed)
    assert made(run(lab)) == "Made: 1 Lines."
    assert lines_of(lab, PROBE)[0][0][2] == 2
    # They may lie elsewhere; and where they are gone, what was made of them is left alone.
    (lab.folder / "raw").rename(lab.folder / "moved")
    assert made(run(lab, "--recordings-root", "moved")).startswith("Nothing")
    (lab.folder / "moved").rename(lab.folder / "raw")
    states.rename(states.with_suffix(".gone"))
    out = run(lab)
    assert "Left alone: 1 results whose inputs are missing" in out and "TTL/states.npy is not there any more" in out


@needs_formats
def test_words_may_be_asked_for_where_there_are_events(lab):
    copied(lab, THREE)
    run(lab, "--recordings-select", "stream=PXIe-6341", "--Lines-words", "7")
    _, summary = lines_of(lab, NI)
    assert summary["source"] == "words" and {line["channel"] for line in summary["lines"]} == {7}
    run(lab, "--recordings-select", "stream=PXIe-6341", "--Lines-words", "ttl", "--Lines-names", "ttl.1:camera")
    assert [line["name"] for line in lines_of(lab, NI)[1]["lines"]] == ["", "camera"]


def recording(folder: Path, start: int, states, counters, counts=range(10)) -> None:
    """Write a recording of Open Ephys as of 0.5, with ten samples of one channel."""
    data, events = folder / "continuous/Acq-100.0", folder / "events/Acq-100.0/TTL_1"
    data.mkdir(parents=True)
    events.mkdir(parents=True)
    (data / "continuous.dat").write_bytes(bytes(20))
    if counts is not None:
        np.save(data / "timestamps.npy", np.array(counts, "int64") + start)
    np.save(events / "channel_states.npy", np.array(states, "int16"))
    np.save(events / "timestamps.npy", np.array(counters, "int64"))
    stream = {
        "folder_name": "Acq-100.0/",
        "sample_rate": 1000,
        "num_channels": 1,
        "channels": [{"channel_name": "CH1"}],
    }
    header = {"GUI version": "0.5.0", "continuous": [stream], "events": [{"folder_name": "Acq-100.0/TTL_1/"}]}
    (folder / "structure.oebin").write_text(json.dumps(header))


def test_events_of_several_recordings_with_gaps_follow_each_other(lab):
    place = lab.folder / "raw/m/Record Node 101/experiment1"
    recording(place / "recording1", 500, [1, -1, 1], [499, 502, 512], [0, 1, 2, 3, 4, 105, 106, 107, 108, 109])
    recording(place / "recording2", 9000, [2, -2, 2], [9001, 9009, 9010])
    assert made(run(lab)) == "Made: 1 Aggregate, 1 Lines, 1 Stats."
    rows, summary = lines_of(lab, "m-101-1-Acq-100.0")
    assert rows == [
        [-1, -1, 0, 1], [2, -1, 0, 0], [5, -1, 0, 1], [11, -1, 1, 1], [19, -1, 1, 0], [20, -1, 1, 1],
    ]  # fmt: skip
    assert summary["outside"] == [0, 2, 5]


def test_events_that_no_counter_places_fail_their_group(lab):
    recording(lab.folder / "raw/m/Record Node 101/experiment1/recording1", 500, [1], [499], None)
    out = run(lab, code=30)
    assert "has no counter, so which samples" in out and "for the words in its channels set [Lines] words" in out
    recording(
        lab.folder / "raw/n/Record Node 101/experiment1/recording1", 500, [1], [499], [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]
    )
    assert "runs back, so which samples" in run(lab, "--recordings-select", "session=n", code=30)
