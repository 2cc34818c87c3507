"""Snippets as a step: of the events of another step, with its band, channels and reference."""

import json

import numpy as np
import pytest

import targets
from neuroluigi.steps.target import DamagedError
from tests.conftest import REAL_RECORDINGS, needs_octave, needs_real_recordings

GROUP = "locust20010201"
ARGUMENTS = ("--group", GROUP, "--recordings-root", REAL_RECORDINGS)


@needs_real_recordings
@pytest.mark.parametrize("engine", ["numpy", pytest.param("octave", marks=needs_octave)])
def test_of_spikes_of_a_tetrode(pipeline, engine):
    out = pipeline.run("Snippets", *ARGUMENTS, "--matlab-engine", engine)
    assert "Made: 1 Aggregate, 1 Snippets, 1 Spikes." in out
    folder = pipeline.results / GROUP
    summary = json.loads((folder / "snippets.json").read_text())
    cut = targets.Snippets(folder / "snippets.npy").load()
    events, amplitudes = np.load(folder / "spikes.npy"), np.load(folder / "spikes_amplitudes.npy")
    assert (summary["before_samples"], summary["after_samples"]) == (15, 30) and cut.shape[1] == 45
    assert [row["channel"] for row in summary["rows"]] == [0, 1, 2, 3]
    for row in summary["rows"]:
        own, near = amplitudes[events[:, 1] == row["channel"]], len(row["neighbours"])
        assert near == 4 and row["count"] == min(len(own), 100)
        peaks = cut[row["first"] :: near][: row["count"]][:, 15]
        # At the peak, each has the amplitude of its event.
        if row["left_out"] == 0:
            chosen = [(2 * k * (len(own) - 1) + 99) // 198 for k in range(100)] if len(own) > 100 else range(len(own))
            np.testing.assert_allclose(peaks, own[list(chosen)], rtol=1e-6)
        assert (cut[row["first"] :: near][: row["count"]].mean(axis=0).argmin()) == 15
    assert sum(row["left_out"] == 0 for row in summary["rows"]) >= 3
    assert "Nothing to make" in pipeline.run("Snippets", *ARGUMENTS, "--matlab-engine", engine)
    out = pipeline.run("Snippets", *ARGUMENTS, "--matlab-engine", engine, "--Spikes-channels", "0-1", "--most", "7")
    assert "Made: 1 Snippets, 1 Spikes." in out
    assert len(targets.Snippets(folder / "snippets.npy").load()) == 2 * 7 * 2


AROUND = """
class Around(ephys.Snippets):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Edges(self.group)}
"""


def test_of_edges_and_named_after_the_step(pipeline):
    pipeline.add(AROUND)
    words = ("--group", "a-even", "--matlab-engine", "numpy", "--recordings-sampling-rate-hz", "1000")
    pipeline.run("Around", *words, "--before", "3", "--after", "1")
    folder = pipeline.results / "a-even"
    samples, edges = np.fromfile(folder / "aggregate.bin", np.uint8), np.load(folder / "edges.npy")[:, 0]
    inside = [one for one in edges.tolist() if (one % 100) >= 3]
    assert np.load(folder / "around.npy").tolist() == [samples[one - 3 : one + 1].tolist() for one in inside]
    assert json.loads((folder / "around.json").read_text())["left_out"] == len(edges) - len(inside)


def test_without_a_rate_there_are_no_ms(pipeline):
    pipeline.add(AROUND)
    out = pipeline.run("Around", "--group", "a-even", "--matlab-engine", "numpy", code=None)
    assert "before and after in ms need the sampling rate, which is not known; set sampling_rate_hz" in out


def test_samples_and_events_have_to_belong_together(pipeline):
    pipeline.add(AROUND.replace("Aggregate(self.group)", "Filtered(self.group)"))
    words = ("--group", "a-even", "--matlab-engine", "numpy", "--recordings-sampling-rate-hz", "30000")
    out = pipeline.run("Around", *words, code=None)
    assert "filtered.json, and events of those in " in out and "its aggregate has to be that of its events" in out


def test_events_are_those_of_crossings(pipeline):
    pipeline.add(AROUND.replace("Edges(self.group)", "Stats(self.group)"))
    out = pipeline.run("Around", "--group", "a-even", "--matlab-engine", "numpy", code=None)
    assert "requires Stats(group=a-even) as its events, and that is no Crossings" in out


def test_what_is_wrong_for_each_group_is_found_at_once(pipeline):
    out = pipeline.run("Snippets", "--group", "a-even", "--most", "0", code=None)
    assert "luigi: Snippets: most 0 is not a whole number from 1 on" in out


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros(4, "<f4")])
def test_snippets_of_another_type_or_shape_are_damaged(tmp_path, array):
    np.save(tmp_path / "snippets.npy", array)
    with pytest.raises(DamagedError, match=r"snippets.npy is not float32 of shape \(rows, samples\) but "):
        targets.Snippets(tmp_path / "snippets.npy").check(tmp_path / "snippets.npy")
