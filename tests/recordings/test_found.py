"""Recordings that describe themselves: groups of them without a table, and their concatenations."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.recordings.concatenation import describe_concatenation, is_concatenation, is_described_by_headers
from neuroluigi.recordings.formats.reader import Part
from neuroluigi.recordings.groups import groups_of_concatenations
from neuroluigi.recordings.recording import Declaration, Group, RecordingsError
from tests.conftest import FORMATS, needs_formats
from tests.recordings.files import found, only, problem, refusal, write_files
from tests.recordings.test_openephys import made as made_openephys
from tests.recordings.test_openephys import stream

TRUTH = json.loads((FORMATS / "truth.json").read_text()) if FORMATS.is_dir() else {}
TABLE = "session,index,path,format,dtype,channels,sampling_rate_hz"


def write_run(folder: Path, name: str, samples: int = 10, start: int | None = 0, saved: str = "2,0,1", **more) -> Path:
    """Write a file of SpikeGLX whose values count up, with `saved` channels ap, lf and sync, and its .meta."""
    channels = sum(map(int, saved.split(",")))
    values = {"typeThis": "imec", "imSampRate": 30000.061088, "nSavedChans": channels, "snsApLfSy": saved, **more}
    sites = "".join(f"({site} 0 0 500 250 1)" for site in range(channels - 1))
    values |= {"imAiRangeMax": 0.6, "imDatPrb_type": 0, "~imroTbl": f"(0,{channels - 1}){sites}"} | more
    if start is not None:
        values["firstSample"] = start
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.bin"
    path.with_suffix(".meta").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    np.arange(samples * channels, dtype="<i2").tofile(path)
    return path


def layout_of(group: Group, contiguous: str = "auto", gap_tolerance: int = 0) -> dict:
    return describe_concatenation(group, paths_of(group), "fail", contiguous, gap_tolerance)[0]


def paths_of(group: Group) -> list[str]:
    return [one.path for one in group.recordings]


def samples_of(group: Group) -> np.ndarray:
    """Return the samples of the concatenation, as its parts have them."""
    content, size = b"", group.recordings[0].bytes_per_sample
    for part in describe_concatenation(group, paths_of(group), "fail")[1]:
        piece = Path(part.path).read_bytes()[part.offset : part.offset + part.samples * size]
        assert len(piece) == part.samples * size
        content += piece
    return np.frombuffer(content, "<i2").reshape(-1, group.recordings[0].channels)


@needs_formats
def test_all_formats_below_one_root_as_their_truth_says():
    groups = found(FORMATS)
    by_path = {r.path: r for group in groups.values() for r in group.recordings}
    for name, row in TRUTH["spikeglx_files"].items():
        one = by_path[str(FORMATS / name).replace(".meta", ".bin")] if "samples" in row else None
        if one:
            assert (one.channels, one.sampling_rate_hz) == (row["channels"], row["rate"])
            assert one.columns["samples"] == str(row["samples"])
            assert one.columns["start_sample"] == str(row["firstSample"])
            assert float(one.columns["sampling_rate_hz"]) == row["rate"]
    bad = {key for key, group in groups.items() if group.problems}
    assert all("/metas/" in groups[key].recordings[0].path for key in bad)
    assert set(groups) - bad == {
        *(f"5-19-2022-CI0-0-imec{probe}.{band}" for probe in "01" for band in ("ap", "lf")),
        # Of gate 1 there is one probe alone.
        "5-19-2022-CI0-1-imec0.ap", "5-19-2022-CI0-1-imec0.lf", "5-19-2022-CI2-0-imec0.ap", "5-19-2022-CI2-1-imec0.ap",
        "DigitalChannelTest-0-nidq", "blackrock-ns2", "brainvision",
        *(f"file_per_signal_type-{one}" for one in ("amplifier", "analogin", "auxiliary", "digitalin")),
        *(f"three_streams_v0.6-101-1-{one}" for one in ("ProbeB", "ProbeC", "PXIe-6341")),
        "two_recordings_v0.5-103-1-File_Reader-100.0",
    }  # fmt: skip
    gate = groups["5-19-2022-CI0-0-imec0.ap"]
    assert gate.values == {"session": "5-19-2022-CI0", "gate": "0", "stream": "imec0.ap"}
    assert [r.index for r in gate.recordings] == [0, 1]


def test_columns_select_and_group(tmp_path):
    for gate in (0, 1):
        for band in ("ap", "lf"):
            write_run(tmp_path / "raw", f"m_g{gate}_t0.imec0.{band}", start=None)
    made_openephys(tmp_path / "Mäuse" / "Record Node 101" / "experiment1" / "recording2", stream())
    groups = found(tmp_path)
    assert list(groups) == ["Mäuse-101-1-Acq-100.0", *(f"m-{g}-imec0.{b}" for g in "01" for b in ("ap", "lf"))]
    assert list(found(tmp_path, select=("stream=imec0.ap", "gate=1"))) == ["m-1-imec0.ap"]
    assert list(found(tmp_path, select=("format=openephys",))) == ["Mäuse-101-1-Acq-100.0"]
    assert list(found(tmp_path, format=("openephys",))) == ["Mäuse-101-1-Acq-100.0"]
    # Of columns that a format does not have, others make the group.
    by_stream = found(tmp_path, group_by=("session", "stream", "gate"))
    assert list(by_stream) == ["Mäuse-Acq-100.0", *(f"m-imec0.{b}-{g}" for g in "01" for b in ("ap", "lf"))]
    assert "is none of auto, raw, spikeglx" in refusal(tmp_path, format=("spikeglx", "auto"))
    assert "has no column depth" in refusal(tmp_path, group_by=("depth",))
    kinds = {r.columns["kind"] for g in found(tmp_path, select=("format=spikeglx",)).values() for r in g.recordings}
    assert kinds == {"ap"}
    assert list(found(tmp_path, select=("kind=ap", "gate=1"))) == ["m-1-imec0.ap", "m-1-imec0.lf"]


def test_a_name_that_a_header_gives_a_stream_can_name_a_folder(tmp_path):
    made_openephys(tmp_path / "s" / "experiment1" / "recording1", stream(stream_name="a/b:c*.. "))
    (group,) = found(tmp_path).values()
    assert group.problems == () and group.key == "s-1-a_b_c__" and group.values["stream"] == "a/b:c*.."


def test_a_table_wins_then_a_pattern_then_headers(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap")
    assert list(found(tmp_path)) == ["m-0-imec0.ap"]
    message = refusal(tmp_path, format=("raw",))
    assert "no recordings in" in message and "by pattern {session}/rec_{index}.bin" in message
    message = refusal(tmp_path, format=("intan",))
    assert "by format intan" in message and "pattern {" not in message
    write_files(tmp_path, "a/rec_0.bin")
    assert list(found(tmp_path)) == ["a"]
    assert list(found(tmp_path, format=("spikeglx",))) == ["m-0-imec0.ap"]
    assert list(found(tmp_path, "session,index,path", "b,0,a/rec_0.bin")) == ["b"]


def test_nothing_is_found_among_results(tmp_path):
    write_run(tmp_path / "raw", "m_g0_t0.imec0.ap")
    write_run(tmp_path / "out/x", "x_g0_t0.imec0.ap")
    assert list(found(tmp_path, results_folder=str(tmp_path / "out"))) == ["m-0-imec0.ap"]


def test_what_catgt_made_is_taken_only_where_it_is_selected(tmp_path):
    for trigger in (0, 1):
        write_run(tmp_path / "run", f"m_g0_t{trigger}.imec0.ap", start=trigger * 10)
    write_run(tmp_path / "catgt_m_g0", "m_g0_tcat.imec0.ap")
    write_run(tmp_path / "run", "m_g0_t0.imec0.lf")
    groups = found(tmp_path)
    (text,) = groups["m-0-imec0.ap"].problems
    assert "select = processing=catgt or select = processing=none" in text and groups["m-0-imec0.lf"].problems == ()
    assert only(found(tmp_path, select=("processing=catgt",))).name == "catgt_m_g0/m_g0_tcat.imec0.ap.bin"
    raw = found(tmp_path, select=("processing=none",))
    assert [len(group.recordings) for group in raw.values()] == [2, 1]


def test_what_is_wrong_with_one_fails_its_group_alone(tmp_path):
    write_run(tmp_path, "good_g0_t0.imec0.ap")
    write_run(tmp_path, "good_g1_t0.imec1.ap")
    write_run(tmp_path, "no_meta_g0_t0.imec0.ap").with_suffix(".meta").unlink()
    write_run(tmp_path, "no_bin_g0_t0.imec0.ap").unlink()
    write_run(tmp_path, "open_g0_t0.imec0.ap", start=None)
    write_run(tmp_path, "sum_g0_t0.imec0.ap", nSavedChans=4)
    with write_run(tmp_path, "rest_g0_t0.imec0.ap").open("ab") as file:
        file.write(b"12345")
    made_openephys(tmp_path / "s" / "experiment1" / "recording1", stream())
    (tmp_path / "s/experiment1/recording1/structure.oebin").write_text('{"continuous": [')
    notes: list[str] = []
    groups = find(tmp_path, notes)
    problems = {key: "; ".join(group.problems) for key, group in groups.items() if group.problems}
    assert set(groups) - set(problems) == {"good-0-imec0.ap", "good-1-imec1.ap", "open-0-imec0.ap"}
    assert "no_meta_g0_t0.imec0.ap.meta can't be read: it is not there" in problems["no_meta-0-imec0.ap"]
    assert "no_bin_g0_t0.imec0.ap.bin can't be read: it is not there" in problems["no_bin-0-imec0.ap"]
    assert "nSavedChans=4, which is not the sum" in problems["sum-0-imec0.ap"]
    assert "5 bytes after the last whole one" in problems["rest-0-imec0.ap"]
    assert "structure.oebin is no valid JSON" in problems["s-1"]
    assert any("open_g0_t0.imec0.ap.meta has no firstSample" in note for note in notes)
    assert len(notes) == len(set(notes))
    dropped = found(tmp_path, select=("session=rest",), partial_sample="drop")
    assert only(dropped).recorded.rest_bytes == 5


def find(root: Path, notes: list[str]) -> dict:
    from neuroluigi.recordings import Declaration, find_groups

    return find_groups(Declaration(root=str(root)), notify=notes.append)


def test_each_warning_is_said_once(tmp_path):
    for gate in range(8):
        write_run(tmp_path, f"m_g{gate}_t0.imec0.ap", start=None, fileSizeBytes=7)
    notes: list[str] = []
    find(tmp_path, notes)
    assert len(notes) == len(set(notes)) == 16


def test_a_row_of_a_table_takes_from_the_header_what_it_lacks(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap", start=5)
    one = only(found(tmp_path, TABLE, "s,0,m_g0_t0.imec0.ap.bin,,,,"))
    assert (one.dtype, one.channels, one.sampling_rate_hz) == ("int16", 3, 30000.061088)
    assert one.recorded.start_sample == 5 and one.beside == (str(tmp_path / "m_g0_t0.imec0.ap.meta"),)
    # A format alone says the same, whatever luigi.cfg has; with all typed it is raw samples, as it always was.
    one = only(found(tmp_path, TABLE, "s,0,m_g0_t0.imec0.ap.bin,spikeglx,,,", dtype="float32", channels=7))
    assert (one.dtype, one.channels) == ("int16", 3)
    one = only(found(tmp_path, TABLE, "s,0,m_g0_t0.imec0.ap.bin,,int16,3,30000"))
    assert (one.recorded, one.sampling_rate_hz, one.beside) == (None, 30000, ())
    one = only(found(tmp_path, TABLE, "s,0,m_g0_t0.imec0.ap.bin,,int16,,", channels=3, sampling_rate_hz=25000))
    assert (one.recorded, one.sampling_rate_hz) == (None, 25000)
    # What is said to be raw has no header.
    text = problem(found(tmp_path, TABLE, "s,0,m_g0_t0.imec0.ap.bin,,,,", format=("raw",)))
    assert "has 3 channels of int16" in text and "declared are 1 of uint8" in text
    for row in (",uint16,3,", ",int16,4,", "spikeglx,int16,4,", ",,2,"):
        text = problem(found(tmp_path, TABLE, f"s,0,m_g0_t0.imec0.ap.bin,{row}"))
        assert "m_g0_t0.imec0.ap.bin has 3 channels of int16 by" in text and "correct dtype and channels" in text
    assert "is not known as one of intan" in problem(found(tmp_path, TABLE, "s,0,m_g0_t0.imec0.ap.bin,intan,,,"))
    assert "can't be read as a file" in problem(found(tmp_path, TABLE, "s,0,gone_g0_t0.imec0.ap.bin,spikeglx,,,"))


def test_a_header_of_npy_and_of_open_ephys_by_a_table(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((10, 4), "<f4"))
    made_openephys(tmp_path / "r" / "experiment1" / "recording1", stream(), samples=10)
    path = "r/experiment1/recording1/continuous/Acq-100.0/continuous.dat"
    rows = ("s,0,x.npy,,,,250", f"t,0,{path},,,,")
    groups = found(tmp_path, TABLE, *rows)
    assert {key: group.problems for key, group in groups.items()} == {"s": (), "t": ()}
    (npy,), (openephys,) = (group.recordings for group in groups.values())
    assert (npy.dtype, npy.channels, npy.sampling_rate_hz, npy.header_bytes) == ("float32", 4, 250, 128)
    assert openephys.recorded.format == "openephys" and openephys.dtype == "int16"


@needs_formats
def test_seams_of_real_runs_by_their_counters():
    gate = layout_of(found(FORMATS / "spikeglx/CI0_overlap1")["5-19-2022-CI0-0-imec0.ap"])
    first, second = gate["recordings"]
    # What both have is taken once, as CatGT does it.
    assert (first["first_sample"], first["samples"]) == (0, 300) and "dropped_samples" not in first
    assert (second["first_sample"], second["samples"], second["dropped_samples"]) == (300, 299, 1)
    assert (first["start_sample"], second["start_sample"]) == (373751, 374050)
    assert first["clock"] == second["clock"]
    assert (gate["segments"], gate["gaps"]) == ([0], [])
    paused = layout_of(found(FORMATS / "spikeglx/CI2_gap1s")["5-19-2022-CI2-0-imec0.ap"])
    assert (paused["segments"], paused["gaps"]) == ([0, 300], [{"sample": 300, "missing": 30000}])
    (group,) = found(FORMATS / "openephys/two_recordings_v0.5").values()
    assert layout_of(group)["gaps"] == [{"sample": 20000, "missing": 313152}]
    (group,) = found(FORMATS / "blackrock").values()
    packets = layout_of(group)
    assert packets["recordings"][0]["samples"] == 8000 and packets["segments"] == [0, 4000]
    whole = (FORMATS / "blackrock/pause_correct.ns2").read_bytes()
    assert samples_of(group).tobytes() == whole[1379 : 1379 + 128000] + whole[129388 : 129388 + 128000]
    assert len(packets["channels"]) == 16 and len({one["name"] for one in packets["channels"]}) == 16
    assert all(one["scale"] and one["unit"] == "mV" for one in packets["channels"])


def test_the_samples_that_are_taken(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap", samples=10, start=100)
    write_run(tmp_path, "m_g0_t1.imec0.ap", samples=10, start=107)
    write_run(tmp_path, "m_g0_t2.imec0.ap", samples=10, start=119)
    (group,) = found(tmp_path).values()
    layout = layout_of(group)
    assert [row["samples"] for row in layout["recordings"]] == [10, 7, 10]
    assert (layout["segments"], layout["gaps"]) == ([0, 17], [{"sample": 17, "missing": 2}])
    one = np.arange(30, dtype="<i2").reshape(10, 3)
    np.testing.assert_array_equal(samples_of(group), np.concatenate([one, one[3:], one]))
    assert layout_of(group, gap_tolerance=2)["segments"] == [0]
    # What the counters say holds; beyond that, recordings can be taken as apart.
    assert layout_of(group, "true")["segments"] == [0, 17]
    assert layout_of(group, "false")["segments"] == [0, 10, 17]
    write_run(tmp_path, "m_g0_t1.imec0.ap", samples=2, start=107)
    assert "m_g0_t1.imec0.ap.bin has 2 samples, all of which are in" in problem(found(tmp_path))


def test_recordings_without_a_counter_are_apart_unless_they_are_said_to_be_contiguous(tmp_path):
    for trigger in (0, 1, 3):
        write_run(tmp_path, f"m_g0_t{trigger}.imec0.ap", start=None)
    (group,) = found(tmp_path).values()
    assert layout_of(group)["segments"] == [0, 10, 20]
    assert layout_of(group)["gaps"] == [{"sample": 10, "missing": None}, {"sample": 20, "missing": None}]
    assert layout_of(group, "true")["segments"] == [0, 20]


def test_what_a_step_made_of_a_recording_keeps_its_counter_sample_by_sample(tmp_path):
    for trigger in (0, 1):
        write_run(tmp_path / "raw", f"m_g0_t{trigger}.imec0.ap", start=9 * trigger)
    (group,) = found(tmp_path / "raw").values()
    write_files(tmp_path, "0.bin", "1.bin", size=60)
    paths = [str(tmp_path / f"{i}.bin") for i in range(2)]
    layout, parts = describe_concatenation(group, paths, "fail")
    assert layout["segments"] == [0] and layout["recordings"][1]["dropped_samples"] == 1
    assert parts == [Part(paths[0], 0, 10), Part(paths[1], 6, 9)]
    write_files(tmp_path, "0.bin", "1.bin", size=30)
    layout, _ = describe_concatenation(group, paths, "fail")
    assert layout["segments"] == [0, 5] and layout["recordings"][1]["samples"] == 5


def test_each_channel_is_as_its_header_says_and_a_table_is_right_where_it_says_something(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap", samples=3)
    channels = layout_of(next(iter(found(tmp_path).values())))["channels"]
    # 0.6 V in 512 steps, of gains 500 and 250: see write_run.
    assert [(one["name"], one["kind"], one.get("scale"), one.get("unit")) for one in channels] == [
        ("AP0", "ap", 0.6e6 / 512 / 500, "uV"),
        ("AP1", "ap", 0.6e6 / 512 / 500, "uV"),
        ("SY0", "digital", None, None),
    ]
    assert not {"x", "y", "used"} & channels[2].keys()
    table = ("session,index,path,format,channel_names,scale,unit", "m,0,m_g0_t0.imec0.ap.bin,spikeglx,A|B|C,2,mV")
    layout = layout_of(next(iter(found(tmp_path, *table).values())))
    assert [(one["name"], one["scale"], one["unit"]) for one in layout["channels"]] == [
        ("A", 2, "mV"), ("B", 2, "mV"), ("C", 2, "mV"),
    ]  # fmt: skip
    assert not {"scale", "unit", "channel_names"} & layout.keys()


def test_a_table_says_kinds_and_counters_of_raw_samples(tmp_path):
    for name in "ab":
        np.arange(20, dtype="<i2").tofile(tmp_path / f"{name}.bin")
    header = "session,index,path,dtype,channels,sampling_rate_hz,scale,unit,kind,digital,start_sample,clock"
    rows = ["m,0,a.bin,int16,4,100,0.5,uV,ap,3,1000,rig", "m,1,b.bin,int16,4,100,0.5,uV,ap,3,1012,rig"]
    layout = layout_of(next(iter(found(tmp_path, header, *rows).values())))
    assert [one["kind"] for one in layout["channels"]] == ["ap", "ap", "ap", "digital"]
    assert layout["channels"][0] == {"kind": "ap", "scale": 0.5, "unit": "uV"}
    # Where the recordings are gone, it is the same group, of samples that were copied.
    assert is_concatenation(layout)
    gone = groups_of_concatenations({"m": layout}, Declaration())["m"]
    assert [one.kind for one in gone.recordings[0].recorded.channels] == ["ap", "ap", "ap", "digital"]
    assert not is_described_by_headers(gone)
    gone = groups_of_concatenations({"m": {**layout, "parts": []}}, Declaration())["m"]
    assert is_described_by_headers(gone)
    # Of 5 samples each: 1000 to 1004, 1012 to 1016.
    assert layout["gaps"] == [{"sample": 5, "missing": 7}] and layout["segments"] == [0, 5]
    assert [(row["start_sample"], row["clock"]) for row in layout["recordings"]] == [(1000, "rig"), (1012, "rig")]
    # Without a name, the counter is that of the session; they follow each other here.
    rows = ["m,0,a.bin,int16,4,100,,,,,1000,", "m,1,b.bin,int16,4,100,,,,,1005,"]
    (group,) = found(tmp_path, header, *rows).values()
    assert layout_of(group)["segments"] == [0] and not is_described_by_headers(group)


def test_raw_samples_of_which_one_row_alone_says_the_kind_are_no_group(tmp_path):
    write_files(tmp_path, "a.bin", "b.bin")
    header, said, silent = "session,index,path,kind,start_sample", "m,0,a.bin,ap,", "m,1,b.bin,,"
    text = problem(found(tmp_path, header, said, silent))
    assert "differ in channel 0 (from 0)" in text and "has kind ap" in text and "has unknown" in text
    # A counter says nothing of the channels.
    (group,) = found(tmp_path, header, "m,0,a.bin,,5", silent).values()
    assert not group.problems and layout_of(group)["recordings"][0]["start_sample"] == 5


def test_a_table_says_kinds_and_counters_in_place_of_a_header(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap", samples=3, start=7)
    write_run(tmp_path, "m_g0_t1.imec0.ap", samples=3, start=10)
    header = "session,index,path,kind,start_sample"
    rows = ["m,0,m_g0_t0.imec0.ap.bin,analog|ap|unknown,", "m,1,m_g0_t1.imec0.ap.bin,analog|ap|unknown,14"]
    (group,) = found(tmp_path, header, *rows).values()
    layout = layout_of(group)
    assert [(one["kind"], one.get("scale")) for one in layout["channels"]] == [
        ("analog", 2.34375), ("ap", 2.34375), ("unknown", None),
    ]  # fmt: skip
    assert layout["gaps"] == [{"sample": 3, "missing": 4}] and is_described_by_headers(group)
    # A file that is there twice is so however its rows describe it.
    rows = ["m,0,m_g0_t0.imec0.ap.bin,ap,", "m,1,m_g0_t0.imec0.ap.bin,ap,14"]
    assert "is in this group already" in problem(found(tmp_path, header, *rows))


def test_recordings_whose_channels_differ_are_no_group(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap", samples=3)
    write_run(tmp_path, "m_g0_t1.imec0.ap", samples=3, start=3, imAiRangeMax=0.5)
    text = problem(found(tmp_path))
    assert "differ in channel 0 (from 0)" in text and "scale" in text and "m_g0_t1.imec0.ap" in text


def test_gaps_within_a_recording_are_segments(tmp_path):
    numbers = np.r_[5:10, 20:25]
    made_openephys(tmp_path / "s" / "experiment1" / "recording1", stream(), numbers=numbers, samples=10)
    (group,) = found(tmp_path).values()
    layout = layout_of(group)
    assert (layout["segments"], layout["gaps"]) == ([0, 5], [{"sample": 5, "missing": 10}])


def test_metadata_join_the_recordings(tmp_path):
    for session in ("a", "b"):
        for band in ("ap", "lf"):
            write_run(tmp_path / "raw", f"{session}_g0_t0.imec0.{band}")
    metadata = tmp_path / "sessions.csv"

    def joined(*lines: str, notes: list | None = None, **settings) -> dict:
        from neuroluigi.recordings import Declaration, find_groups

        metadata.write_text("\n".join(lines) + "\n")
        declaration = Declaration(root=str(tmp_path / "raw"), metadata=str(metadata), **settings)
        return find_groups(declaration, notify=(notes if notes is not None else []).append)

    notes: list[str] = []
    groups = joined("session,subject,depth", "a,mouse 1,3", "c,mouse 2,4", notes=notes)
    assert {key: group.recordings[0].columns["subject"] for key, group in groups.items()} == {
        "a-0-imec0.ap": "mouse 1", "a-0-imec0.lf": "mouse 1", "b-0-imec0.ap": "", "b-0-imec0.lf": ""
    }  # fmt: skip
    assert [note for note in notes if "metadata" in note] == [
        f"metadata of no recording: session=c ({metadata}, row 3)"
    ]
    groups = joined("session;stream;bad_channels", "a;imec0.ap;3|5")
    assert [g.recordings[0].columns["bad_channels"] for g in groups.values()] == ["3|5", "", "", ""]
    assert list(joined("session,subject", "a,m1", "b,m2", select=("subject=m2", "stream=imec0.lf"))) == ["b-0-imec0.lf"]
    assert list(joined("session,use", "a,no", "b,")) == ["b-0-imec0.ap", "b-0-imec0.lf"]
    with pytest.raises(RecordingsError, match=r"row 4: session=a is there twice, also at .*row 2; leave one"):
        joined("session,subject", "a,m1", "b,m2", "a,m3")
    with pytest.raises(RecordingsError, match=r"has no column that the recordings have .* such as session"):
        joined("mouse,subject", "a,m1")
    with pytest.raises(RecordingsError, match=r"can't read the table of metadata .*see \[recordings\] metadata"):
        joined("session,\0")


def test_a_link_to_a_recording_that_was_not_fetched(tmp_path):
    path = write_run(tmp_path, "m_g0_t0.imec0.ap")
    path.unlink()
    path.symlink_to(tmp_path / "annex")
    assert "with git-annex or DataLad, get it first" in problem(found(tmp_path))


def test_allow_missing_takes_what_is_left(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap")
    write_run(tmp_path, "m_g0_t1.imec0.ap").unlink()
    (group,) = found(tmp_path, allow_missing=True).values()
    assert group.problems == () and [r.index for r in group.excluded] == [1]


@needs_formats
def test_the_data_of_brainvision_are_beside_its_header(tmp_path):
    shutil.copytree(FORMATS / "brainvision", tmp_path / "s")
    one = only(found(tmp_path))
    assert one.path == str(tmp_path / "s/test.eeg") and one.name == "s/test.vhdr"
    assert one.beside == (str(tmp_path / "s/test.vhdr"), str(tmp_path / "s/test.vmrk"))
    assert only(found(tmp_path, TABLE, "s,0,s/test.vhdr,brainvision,,,")).recorded == one.recorded
    assert only(found(tmp_path, TABLE, "s,0,s/test.eeg,,,,")).path == one.path


@needs_formats
def test_what_is_typed_has_to_be_what_the_header_says(tmp_path):
    shutil.copytree(FORMATS / "openephys/three_streams_v0.6", tmp_path / "s")
    shutil.copytree(FORMATS / "brainvision", tmp_path / "e")
    folder = "s/Record Node 101/experiment1/recording1/continuous"
    streams = {"NI-DAQmx-103.PXIe-6341": 8, "Neuropix-PXI-100.ProbeB": 384}
    typed = {**{f"{folder}/{name}/continuous.dat": number for name, number in streams.items()}, "e/test.eeg": 32}
    for path, channels in typed.items():
        assert only(found(tmp_path, TABLE, f"s,0,{path},,int16,{channels},1000")).recorded is None
        for wrong in (f"uint16,{channels}", f"int16,{channels // 2}"):
            text = problem(found(tmp_path, TABLE, f"s,0,{path},,{wrong},1000"))
            assert f"{tmp_path / path} has {channels} channels of int16 by {tmp_path}" in text
    # Who declares the length of a header describes the file by hand, and so does who has no header that can be read.
    line = "s,0,e/test.eeg,,uint8,4,1000"
    assert only(found(tmp_path, f"{TABLE},header_bytes", f"{line},4")).channels == 4
    header = tmp_path / "e/test.vhdr"
    whole = header.read_text()
    header.write_text(whole.replace("MULTIPLEXED", "VECTORIZED"))
    text = problem(found(tmp_path, TABLE, "s,0,e/test.eeg,,int16,32,1000"))
    assert f"{header} (brainvision) has to be decoded, and so is no raw samples: write format = brainvision" in text
    assert only(found(tmp_path, TABLE, "s,0,e/test.eeg,,,,")).is_encoded
    assert only(found(tmp_path, TABLE, "s,0,e/test.vhdr,brainvision,,,")).path == str(header)
    header.write_text(whole.replace("BINARY", "ASCII"))
    assert "ASCII, MULTIPLEXED), which has to be decoded" in problem(
        found(tmp_path, TABLE, "s,0,e/test.eeg,,int16,32,1000")
    )
    header.write_text(whole.replace("NumberOfChannels", "Number"))
    assert only(found(tmp_path, TABLE, line)).channels == 4
    assert "NumberOfChannels" in problem(found(tmp_path, TABLE, "s,0,e/test.vhdr,brainvision,,,"))


def test_formats_that_are_looked_for_by_name(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(40, dtype="<i2").reshape(10, 4))
    groups = found(tmp_path, format=("npy",), sampling_rate_hz=250)
    (group,) = groups.values()
    assert group.recordings[0].sampling_rate_hz == 250
    np.testing.assert_array_equal(samples_of(group), np.arange(40).reshape(10, 4))
    for name in ("a", "b"):
        np.arange(20, dtype="<i2").tofile(tmp_path / f"{name}.dat")
    lines = (
        "dat_path = ['a.dat', 'b.dat']",
        "n_channels_dat = 4",
        "dtype = 'int16'",
        "offset = 8",
        "sample_rate = 500.",
    )
    (tmp_path / "params.py").write_text("\n".join(lines) + "\n")
    (group,) = found(tmp_path, format=("phy",)).values()
    (one,) = group.recordings
    assert one.path == str(tmp_path / "a.dat") and one.name == "params.py"
    assert one.beside == (str(tmp_path / "b.dat"), str(tmp_path / "params.py"))
    expected = np.arange(20).reshape(5, 4)
    np.testing.assert_array_equal(samples_of(group), np.concatenate([expected[1:], expected[1:]]))


def test_runs_of_one_name_on_two_days_are_told_apart_by_a_table(tmp_path):
    for day in ("mon", "tue"):
        write_run(tmp_path / day, "m_g0_t0.imec0.ap")
    (group,) = found(tmp_path).values()
    assert all("name a session anew in a table (neuroluigi recordings --csv)" in text for text in group.problems)
    rows = [f"{day},0,{day}/m_g0_t0.imec0.ap.bin,spikeglx,,," for day in ("mon", "tue")]
    assert {key: one.problems for key, one in found(tmp_path, TABLE, *rows).items()} == {"mon": (), "tue": ()}


def write_nwb(path: Path, **series: np.ndarray) -> None:
    # Other tests take it from here, also where there is no such package.
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, values in series.items():
            one = file.create_group(f"acquisition/{name}")
            one.attrs["neurodata_type"] = "ElectricalSeries"
            one["data"], one["starting_time"] = values, 0.0
            one["starting_time"].attrs["rate"] = 1000.0


def test_a_file_with_several_recordings(tmp_path):
    one, two = np.arange(20, dtype="<i2").reshape(10, 2), np.arange(100, 130, dtype="<i2").reshape(10, 3)
    write_nwb(tmp_path / "m1.nwb", raw=one, other=two)
    assert "no recordings in" in refusal(tmp_path)
    groups = found(tmp_path, format=("nwb",))
    assert list(groups) == ["m1-other", "m1-raw"]
    np.testing.assert_array_equal(samples_of(groups["m1-raw"]), one)
    np.testing.assert_array_equal(samples_of(groups["m1-other"]), two)
    columns = "session,index,path,format,stream"
    table = found(tmp_path, columns, "a,5,m1.nwb,nwb,raw", "b,0,m1.nwb,nwb,other", group_by=("session",))
    np.testing.assert_array_equal(samples_of(table["a"]), one)
    np.testing.assert_array_equal(samples_of(table["b"]), two)
    text = problem(found(tmp_path, columns, "a,0,m1.nwb,nwb,"))
    assert "m1.nwb has 2 recordings; say in the columns stream and index which one" in text and "other, raw" in text
    assert "stream is one of other, raw" in problem(found(tmp_path, columns, "a,0,m1.nwb,nwb,gone"))
    twice = found(tmp_path, columns, "a,0,m1.nwb,nwb,raw", "a,1,m1.nwb,nwb,raw", group_by=("session",))
    assert "'m1.nwb' is in this group already" in problem(twice)


@needs_formats
def test_segments_of_a_file_are_a_group(tmp_path):
    shutil.copytree(FORMATS / "abf", tmp_path / "patch")
    (group,) = found(tmp_path, format=("neo",)).values()
    assert (group.key, group.problems, len(group.recordings)) == ("File_axon_5-Signals", (), 9)
    content = (FORMATS / "abf/File_axon_5.abf").read_bytes()
    assert samples_of(group).tobytes() == content[5632 : 5632 + 9 * 40000]
    # Four seconds lie between two sweeps of one.
    assert [(gap["sample"], gap["missing"]) for gap in layout_of(group)["gaps"][:2]] == [(20000, 80000), (40000, 80000)]
    columns = "session,index,path,format"
    (table,) = found(tmp_path, columns, *(f"a,{i},patch/File_axon_5.abf,neo" for i in (3, 4))).values()
    assert samples_of(table).tobytes() == content[5632 + 3 * 40000 : 5632 + 5 * 40000]
    # Without its name, nobody guesses neo.
    assert "is an Axon file (ABF), not raw samples" in problem(found(tmp_path, columns, "a,0,patch/File_axon_5.abf,"))
