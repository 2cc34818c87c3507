"""Filtered as a step, and other steps that read what it writes in place of an Aggregate's samples."""

import json

import numpy as np
import pytest

import targets
from neuroluigi.signals.aggregate import read_aggregate
from tests.conftest import REAL_RECORDINGS, needs_octave, needs_real_recordings
from tests.signals import event_cases

GROUP = "locust20010201"
LOCUST = ("--group", GROUP, "--recordings-root", REAL_RECORDINGS)
ENGINES = ["numpy", pytest.param("octave", marks=needs_octave)]
READERS = """
class FilteredStats(ephys.Stats):
    def requires(self):
        return Filtered(self.group)


class FilteredFlat(ephys.Flat):
    def requires(self):
        return Filtered(self.group)


class FilteredSpikes(ephys.Crossings):
    def requires(self):
        return Filtered(self.group)


class Read(GroupTask):
    def requires(self):
        return {"stats": FilteredStats(self.group), "spikes": FilteredSpikes(self.group),
                "flat": FilteredFlat(self.group)}

    def output(self):
        return self.result("read.txt")

    def make(self, out):
        out.write_text(self.input()["flat"].path)
"""


def write_probe(folder, samples: int = 3000) -> np.ndarray:
    """Write a run of SpikeGLX with 4 ap channels on two shanks, of which one is bad by setting, and its sync word."""
    folder.mkdir(parents=True)
    data = (np.random.default_rng(1).standard_normal((samples, 5)) * 200).round().astype("<i2")
    data.tofile(folder / "m_g0_t0.imec0.ap.bin")
    values = {"typeThis": "imec", "imSampRate": 30000, "nSavedChans": 5, "snsApLfSy": "4,0,1", "firstSample": 0}
    values |= {
        "imAiRangeMax": 0.6,
        "imDatPrb_type": 0,
        "~imroTbl": "(0,4)" + "".join(f"({k} 0 0 500 250 1)" for k in range(4)),
    }
    values["~snsGeomMap"] = "(NP1010,2,250,70)" + "".join(f"({k % 2}:27:{20 * k}:1)" for k in range(4))
    (folder / "m_g0_t0.imec0.ap.meta").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return data


@needs_real_recordings
@pytest.mark.parametrize("engine", ENGINES)
def test_of_a_tetrode(pipeline, engine):
    assert "Made: 1 Aggregate, 1 Filtered." in pipeline.run("Filtered", *LOCUST, "--matlab-engine", engine)
    folder = pipeline.results / GROUP
    content, before = (json.loads((folder / f"{name}.json").read_text()) for name in ("filtered", "aggregate"))
    assert content["recordings"] == before["recordings"] and content["segments"] == before["segments"]
    assert content["dtype"] == "float32" and len(content["channels"]) == 4
    filtered = np.fromfile(folder / "filtered.bin", "<f4").reshape(-1, 4)
    raw = np.fromfile(folder / "aggregate.bin", "<i2").reshape(-1, 4)
    expected = event_cases.filtered(raw, 15_000, content["segments"], 300, 6000)
    np.testing.assert_allclose(filtered, expected, rtol=1e-6, atol=1e-4)
    assert read_aggregate(folder / "filtered.json").samples == len(raw)
    assert targets.Concatenation(folder / "filtered.json").parts() == [
        (str(folder / "filtered.bin"), 0, filtered.nbytes)
    ]
    assert "Nothing to make" in pipeline.run("Filtered", *LOCUST, "--matlab-engine", engine)
    assert "Made: 1 Filtered." in pipeline.run("Filtered", *LOCUST, "--matlab-engine", engine, "--dtype", "int16")
    assert np.array_equal(np.fromfile(folder / "filtered.bin", "<i2").reshape(-1, 4), np.floor(expected + 0.5))


@needs_real_recordings
@pytest.mark.parametrize("engine", ENGINES)
def test_other_steps_read_it_as_they_read_an_aggregate(pipeline, engine):
    pipeline.add(READERS)
    words = (*LOCUST, "--matlab-engine", engine, "--FilteredSpikes-noise", "5", "--FilteredSpikes-polarity", "falling",
             "--FilteredSpikes-release", "0.5", "--FilteredSpikes-refractory", "1", "--FilteredSpikes-peak-within", "1",
             "--Filtered-channels", "0,1,2")  # fmt: skip
    pipeline.run("Read", *words)
    folder = pipeline.results / GROUP
    assert (folder / "read.txt").read_text() == str(folder / "filtered.bin")
    stats, filtered = json.loads((folder / "stats.json").read_text()), np.fromfile(folder / "filtered.bin", "<f4")
    np.testing.assert_allclose(stats["std"], filtered.reshape(-1, 3).astype(float).std(axis=0, ddof=1))
    summary = json.loads((folder / "filteredspikes.json").read_text())
    # What is known of the group's spikes, of three of its channels.
    assert summary["count"] == [388 + 417, 366 + 392, 323 + 341] and summary["flag"] == [""] * 3
    np.testing.assert_allclose(summary["noise"], [54.6611, 49.4875, 60.5982], atol=1e-4)
    assert "Nothing to make" in pipeline.run("Read", *words)


def test_a_band_that_the_group_has_not_is_refused_in_a_sentence(pipeline):
    out = " ".join(
        pipeline.run("Filtered", "--group", "a-even", "--recordings-sampling-rate-hz", 512, code=None).split()
    )
    assert "group a-even, Filtered: low = 300 Hz is not between 0 and 256 Hz, half the sampling rate; see" in out
    assert "Traceback" not in out


@pytest.mark.parametrize("engine", ENGINES)
def test_of_a_probe_without_what_is_bad(pipeline, engine):
    data = write_probe(pipeline.folder / "raw")
    pipeline.add(
        READERS + "\n\nclass Twice(ephys.Filtered):\n    def requires(self):\n        return Filtered(self.group)\n"
    )
    words = ("--group", "m-0-imec0.ap", "--recordings-root", "raw", "--matlab-engine", engine,
             "--recordings-bad-channels", "1", "--Filtered-reference", "median")  # fmt: skip
    pipeline.run("Filtered", *words)
    folder = pipeline.results / "m-0-imec0.ap"
    content, before = (json.loads((folder / f"{name}.json").read_text()) for name in ("filtered", "aggregate"))
    kept = [{name: value for name, value in before["channels"][k].items() if name != "offset"} for k in (0, 2, 3)]
    assert content["channels"] == kept and [one["shank"] for one in kept] == [0, 0, 1]
    expected = event_cases.filtered(data[:, [0, 2, 3]], 30_000, low=300, high=6000, labels=[1, 1, 1])
    filtered = np.fromfile(folder / "filtered.bin", "<f4").reshape(-1, 3)
    np.testing.assert_allclose(filtered, expected, rtol=1e-6, atol=1e-4)
    # Once more, of channels that have the names and the positions among those that are left.
    pipeline.run("Twice", *words, "--low", "1000", "--channels", "2,AP0", "--reference", "none")
    assert json.loads((folder / "twice.json").read_text())["channels"] == [kept[0], kept[2]]
    twice = np.fromfile(folder / "twice.bin", "<f4").reshape(-1, 2)
    expected = event_cases.filtered(filtered[:, [0, 2]], 30_000, low=1000, high=6000)
    np.testing.assert_allclose(twice, expected, rtol=1e-6, atol=1e-4)
