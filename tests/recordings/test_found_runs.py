"""Whole runs on what a rig wrote, with no setting but the folder."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import commands
from tests.conftest import BIN, FORMATS, Pipeline, needs_formats, needs_octave
from tests.recordings.runs import run, samples_in_place, snapshot
from tests.recordings.test_found import TRUTH, write_run


def layout(pipeline: Pipeline, group: str) -> dict:
    return json.loads((pipeline.results / group / "aggregate.json").read_text())


def count(pipeline: Pipeline, group: str) -> int:
    """Return the samples of a group."""
    return sum(one["samples"] for one in layout(pipeline, group)["recordings"])


def made_read_only(root: Path) -> dict[str, object]:
    """Let nobody write to a folder and what is below, and return its content."""
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return snapshot(root)


@needs_formats
def test_plots_of_what_several_rigs_wrote(pipeline, tmp_path):
    root = tmp_path / "raw"
    gate = "CI0_overlap1/5-19-2022-CI0/5-19-2022-CI0_g0/5-19-2022-CI0_g0_imec0"
    shutil.copytree(FORMATS / "spikeglx" / gate, root / "glx")
    shutil.copytree(FORMATS / "spikeglx/DigitalChannelTest_g0", root / "glx/ni")
    shutil.copytree(FORMATS / "openephys", root / "Mäuse")
    shutil.copytree(FORMATS / "intan/file_per_signal_type", root / "intan 1")
    before = made_read_only(root)
    done = run(pipeline, "--recordings-root", root, "--workers", 2)
    assert done.code == 0, done.err
    assert snapshot(root) == before
    names = ("spikes_traces.png", "traces.png", "lines.npy")
    # ap; lf, auxiliary and analog; words and TTL.
    assert [len(list(pipeline.results.glob(f"*/{name}"))) for name in names] == [5, 4, 7]

    rows = TRUTH["spikeglx_files"]
    for band, samples in (("ap", 599), ("lf", 51)):
        found = layout(pipeline, f"5-19-2022-CI0-0-imec0.{band}")
        truth = rows[f"spikeglx/{gate}/5-19-2022-CI0_g0_t0.imec0.{band}.meta"]
        assert (len(found["channels"]), found["sampling_rate_hz"]) == (truth["channels"], truth["rate"])
        assert (found["segments"], found["gaps"]) == ([0], [])
        assert found["recordings"][1]["dropped_samples"] == 1
        assert count(pipeline, f"5-19-2022-CI0-0-imec0.{band}") == samples == 2 * truth["samples"] - 1
    assert count(pipeline, "DigitalChannelTest-0-nidq") == 406776
    two = layout(pipeline, "two_recordings_v0.5-103-1-File_Reader-100.0")
    assert (two["sampling_rate_hz"], two["segments"]) == (40000, [0, 20000])
    assert {one["unit"] for one in two["channels"]} == {"uV"}
    assert two["gaps"] == [{"sample": 20000, "missing": 313152}]
    data = samples_in_place(pipeline.results / "two_recordings_v0.5-103-1-File_Reader-100.0")
    files = sorted((root / "Mäuse/two_recordings_v0.5").rglob("continuous.dat"))
    assert data.tobytes() == b"".join(path.read_bytes() for path in files)
    assert not list(pipeline.results.rglob("*.bin"))
    amplifier = layout(pipeline, "intan 1-amplifier")
    assert {(one["scale"], one["offset"], one["unit"]) for one in amplifier["channels"]} == {(0.195, 0, "uV")}
    assert count(pipeline, "intan 1-amplifier") == count(pipeline, "intan 1-digitalin") == 24320


def test_what_is_wrong_with_one_fails_its_group_alone_in_words(pipeline, tmp_path):
    root = tmp_path / "raw"
    write_run(root, "good_g0_t0.imec0.ap", start=5)
    write_run(root, "good_g1_t0.imec1.ap")
    write_run(root, "open_g0_t0.imec0.ap", start=None)
    write_run(root, "no_meta_g0_t0.imec0.ap").with_suffix(".meta").unlink()
    write_run(root, "no_bin_g0_t0.imec0.ap").unlink()
    write_run(root, "cut_g0_t0.imec0.ap").with_suffix(".meta").write_bytes(b"typeThis=imec\nnSaved")
    write_run(root, "both_g0_t0.imec0.ap")
    write_run(root, "both_g0_tcat.imec0.ap")
    write_run(root, "same_g0_t0.imec0.ap", samples=10)
    write_run(root, "same_g0_t1.imec0.ap", samples=3, start=4)
    done = run(pipeline, "--recordings-root", root)
    assert done.code == 30
    good = {"good-0-imec0.ap", "good-1-imec1.ap", "open-0-imec0.ap"}
    assert {path.parent.name for path in pipeline.results.glob("*/spikes_traces.png")} == good
    for words in (
        "no_meta_g0_t0.imec0.ap.meta can't be read: it is not there",
        "no_bin_g0_t0.imec0.ap.bin can't be read: it is not there",
        "cut_g0_t0.imec0.ap.meta has no sampling rate (imSampRate)",
        "select = processing=none or select = processing=catgt",
        "same_g0_t1.imec0.ap.bin has 3 samples, all of which are in",
    ):
        assert words in done.err, words
    assert done.err.count("open_g0_t0.imec0.ap.meta has no firstSample") == 1


def test_a_header_is_an_input(pipeline, tmp_path):
    root = tmp_path / "raw"
    path = write_run(root, "m_g0_t0.imec0.ap", userNotes="one")
    write_run(root, "m_g0_t1.imec0.ap", start=10)
    arguments = ("--recordings-root", root)
    assert run(pipeline, *arguments).code == 0
    record = json.loads((pipeline.results / "m-0-imec0.ap/runs/Aggregate.json").read_text())
    assert [(one["path"], one["recording"]) for one in record["inputs"]] == [
        ("m_g0_t0.imec0.ap.bin", "m/0"), ("m_g0_t1.imec0.ap.bin", "m/1"),
        ("m_g0_t0.imec0.ap.meta", "m/0/m_g0_t0.imec0.ap.meta"), ("m_g0_t1.imec0.ap.meta", "m/1/m_g0_t1.imec0.ap.meta"),
    ]  # fmt: skip
    assert all(len(one["sha256"]) == 64 for one in record["inputs"])
    assert "Nothing to make" in run(pipeline, *arguments).out

    # Of the same size.
    meta = path.with_suffix(".meta")
    meta.write_text(meta.read_text().replace("userNotes=one", "userNotes=two"))
    done = run(pipeline, *arguments)
    assert "Made: 1 Aggregate, " in done.out, done.out
    assert "Nothing to make" in run(pipeline, *arguments).out
    meta.write_text(meta.read_text().replace("imSampRate=30000.061088", "imSampRate=30000.061089"))
    write_run(root, "m_g0_t1.imec0.ap", start=10, imSampRate=30000.061089)
    done = run(pipeline, *arguments)
    assert "1 Aggregate" in done.out and "1 SpikePlots" in done.out
    assert layout(pipeline, "m-0-imec0.ap")["sampling_rate_hz"] == 30000.061089

    # The same recordings elsewhere are the same.
    moved = tmp_path / "moved"
    root.rename(moved)
    done = run(pipeline, "--recordings-root", moved)
    assert done.code == 0 and "Nothing to make" in done.out
    meta = moved / "m_g0_t0.imec0.ap.meta"
    meta.rename(tmp_path / "kept")
    done = run(pipeline, "--recordings-root", moved)
    assert done.code == 0 and "is not there" in done.err + done.out, done.err + done.out


def test_results_are_there_without_the_recordings(pipeline, tmp_path):
    root = tmp_path / "raw"
    write_run(root, "m_g0_t0.imec0.ap")
    assert run(pipeline, "--recordings-root", root).code == 0
    shutil.rmtree(root)
    done = run(pipeline, "--recordings-root", root)
    assert done.code == 20 and "the groups are those of the results" in done.err
    assert f"as the folder of the recordings, {root}, is not there" in done.out


@pytest.mark.parametrize("engine", ["numpy", pytest.param("octave", marks=needs_octave)])
def test_samples_that_are_dropped_are_in_no_result(pipeline, tmp_path, engine):
    write_run(tmp_path / "raw", "m_g0_t0.imec0.ap", samples=10, start=100)
    write_run(tmp_path / "raw", "m_g0_t1.imec0.ap", samples=10, start=107)
    assert run(pipeline, "--recordings-root", tmp_path / "raw", engine=engine).code == 0
    one = np.arange(30, dtype="<i2").reshape(10, 3)
    made = samples_in_place(pipeline.results / "m-0-imec0.ap")
    np.testing.assert_array_equal(made, np.concatenate([one, one[3:]]))
    assert count(pipeline, "m-0-imec0.ap") == 17
    # Each channel has its own kind.
    listed = ("--recordings-root", tmp_path / "raw", "--csv", "--columns", "channel,kind,count")
    done = commands.run(
        [BIN / "neuroluigi", "results", *listed], cwd=pipeline.folder, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["channel,kind,count", "0,ap,17", "1,ap,17", "2,digital,17"], done


STEP = """
class Doubled(RecordingTask):
    def requires(self):
        return recording_task(self.recording)

    def output(self):
        return self.result("doubled.bin")

    def make(self, out):
        import numpy as np
        (np.fromfile(self.input().path, "<i2") * 2).tofile(out)


class Aggregate(ephys.Aggregate):
    def requires(self):
        return [Doubled(*recording.identity) for recording in self.recordings]
"""


def test_a_step_per_recording_keeps_the_counter(pipeline, tmp_path):
    for trigger in (0, 1):
        write_run(tmp_path / "raw", f"m_g0_t{trigger}.imec0.ap", start=7 * trigger)
        write_run(tmp_path / "raw", f"m_g0_t{trigger}.imec0.lf", start=9 * trigger)
    pipeline.add(f"from neuroluigi import ephys\n{STEP}")
    assert run(pipeline, "--recordings-root", tmp_path / "raw").code == 0
    one = np.arange(30, dtype="<i2").reshape(10, 3) * 2
    made = samples_in_place(pipeline.results / "m-0-imec0.ap")
    np.testing.assert_array_equal(made, np.concatenate([one, one[3:]]))
    assert count(pipeline, "m-0-imec0.lf") == 19
    (record,) = (pipeline.results / "recordings/m/0/m-0-imec0.ap").glob("runs/Doubled.json")
    names = [one["recording"] for one in json.loads(record.read_text())["inputs"]]
    assert names == ["m/0", "m/0/m_g0_t0.imec0.ap.meta"]


def test_places_in_an_aggregate_that_were_edited_are_those_of_the_recordings_again(pipeline, tmp_path):
    path = write_run(tmp_path / "raw", "m_g0_t0.imec0.ap")
    assert run(pipeline, "--recordings-root", tmp_path / "raw").code == 0
    stats, aggregate = (pipeline.results / "m-0-imec0.ap" / name for name in ("stats.json", "aggregate.json"))
    before = stats.read_bytes()
    (tmp_path / "other.bin").write_bytes(bytes(path.stat().st_size))
    content = layout(pipeline, "m-0-imec0.ap")
    content["parts"][0].update(root="", path=str(tmp_path / "other.bin"))
    aggregate.write_text(json.dumps(content, indent=1))
    stats.unlink()
    assert run(pipeline, "--recordings-root", tmp_path / "raw").code == 0
    assert stats.read_bytes() == before
    assert layout(pipeline, "m-0-imec0.ap")["parts"][0]["path"] == path.name


def test_results_may_be_a_link_to_another_disk(pipeline, tmp_path):
    write_run(pipeline.folder / "raw", "m_g0_t0.imec0.ap")
    (tmp_path / "disk").mkdir()
    (pipeline.folder / "linked").symlink_to(tmp_path / "disk")
    # What a path relative to the folder that the link leads to would find.
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/m_g0_t0.imec0.ap.bin").write_bytes(bytes(60))
    done = run(pipeline, "--recordings-root", "raw", "--results-root", "linked")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "disk/m-0-imec0.ap/stats.json").read_text())["max"][0] > 0


def test_recordings_that_moved_are_found_by_luigi_build_too(pipeline, tmp_path):
    path = write_run(pipeline.folder / "raw", "m_g0_t0.imec0.ap")
    assert run(pipeline, "--recordings-root", "raw").code == 0
    stats = pipeline.results / "m-0-imec0.ap/stats.json"
    before = stats.read_bytes()
    shutil.copytree(pipeline.folder / "raw", pipeline.folder / "moved")
    # What lies where they were is not read.
    path.write_bytes(bytes(60))
    stats.unlink()
    settings = pipeline.folder / "luigi.cfg"
    settings.write_text(settings.read_text().replace("root =\n", "root = moved\n", 1))
    code = "import luigi, tasks; assert luigi.build([tasks.Stats('m-0-imec0.ap')], local_scheduler=True)"
    words = [sys.executable, "-c", code]
    done = commands.run(words, cwd=pipeline.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert stats.read_bytes() == before
