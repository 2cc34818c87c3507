"""The histograms of a group, in words, as a table and as rasters, without a run."""

from types import SimpleNamespace

import luigi
import numpy as np

from neuroluigi.ephys.peri_counts import Chosen, Counted, write_table
from neuroluigi.recordings.sample_times import SampleTimes
from neuroluigi.signals.peri import Bins, Moments
from tests.ephys.test_peri_events import LAYOUT

MS = 1_000_000


def counted(folder) -> tuple[Counted, Chosen]:
    np.save(folder / "e.npy", np.array([[1010, 0], [1019, 1], [1031, 1], [1990, 1]]))
    targets = {"e": luigi.LocalTarget(str(folder / "e.npy"))}
    layout = SimpleNamespace(load=lambda: LAYOUT)
    group = {"aggregate": {"layout": layout}, "events": SimpleNamespace(task_family="Edges", output=lambda: targets)}
    step = SimpleNamespace(
        session="s", input=lambda: {"groups": {"g": group}}, requires=lambda: {"groups": {"g": group}},
        times=lambda one: SampleTimes(LAYOUT), choose_channels=lambda one, looked_at: list(looked_at),
    )  # fmt: skip
    moments = Moments(np.array([5, 20, 995, 5000]) * MS, np.array([0, 1, 0, 1]), 2)
    chosen = Chosen(Bins.of(10, 20, 10), moments, ["l", "r"], 1)
    return Counted(step, "g", chosen), chosen


def test_counts_coverage_and_words(tmp_path):
    found, chosen = counted(tmp_path)
    assert found.coverage == {"whole": 1, "partly": 2, "none": 1}
    assert found.in_words.endswith("in the windows; 2 partly and 1 not at all recorded: only whole bins count")
    assert found.names(1) == {"1", "B"}
    step = SimpleNamespace(needs_trials=True, edge="rise", bin=10.0, align="cue_time", by="side")
    assert chosen.in_words(step) == ["4 trials  ·  bins of 10 ms  ·  1 trial without cue_time  ·  by side: l 2, r 2"]


def test_table_and_rasters(tmp_path):
    found, chosen = counted(tmp_path)
    write_table(tmp_path / "t.csv", [found], chosen.values)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "group,channel,unit,name,condition,bin_start_ms,trials,count,rate_hz" and len(lines) == 13
    # Of the moment at 5 ms, the bin from -5 ms on was not recorded; of that at 995 ms, the last two were not.
    assert lines[1:4] == ["g,0,,A,l,-10,1,0,0.0", "g,0,,A,l,0,1,1,100.0", "g,0,,A,l,10,1,0,0.0"]
    assert lines[10:] == ["g,1,,B,r,-10,1,1,100.0", "g,1,,B,r,0,1,0,0.0", "g,1,,B,r,10,1,1,100.0"]
    trial, offset = found.rasters([1], np.arange(4))[1]
    assert sorted(zip(trial.tolist(), (offset // MS).tolist(), strict=True)) == [(0, 14), (1, -1), (1, 11), (2, -5)]
    responses = [one["responses"] for one in found.described()]
    assert responses[1][1] == {"condition": "r", "count": 2, "baseline_hz": 100.0, "peak_hz": 100.0, "peak_ms": 10.0}
