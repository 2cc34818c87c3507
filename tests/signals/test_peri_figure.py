"""The picture of events around moments: its rows, colours and words."""

import numpy as np

from neuroluigi.signals.peri import Bins, Moments
from neuroluigi.signals.peri_figure import MOST_TRIALS, Panel, chosen_trials, peri_figure
from neuroluigi.signals.picture import COLOURS, save_picture
from neuroluigi.steps.target import check_png

MS = 1_000_000
BINS = Bins.of(10, 20, 10)


def panel(raster, counts, name="$x") -> Panel:
    trial, offset = np.array(raster, np.int64).reshape(-1, 2).T
    return Panel("channel 3", name, "g", (trial, offset * MS), np.array(counts), np.full((len(counts), 3), 2))


def test_rasters_by_condition_above_histograms(tmp_path):
    moments = Moments(np.arange(4) * 100 * MS, np.array([1, 0, 1, 0]), 2)
    one = panel([(0, 5), (1, -5), (3, 15)], [[1, 0, 1], [0, 1, 0]])
    figure = peri_figure(
        "s: peri", ["4 trials"], [one, one], BINS, moments, chosen_trials(moments), ["l", "r"], "side", "cue"
    )
    raster, histogram = figure.axes[:2]
    # The trials of the first condition are the first rows: trials 1, 3, 0, 2.
    segments = {
        tuple(line.get_color()[0][:3]): [(s[0][0], s[:, 1].mean()) for s in line.get_segments()]
        for line in raster.collections
    }
    assert [*segments.values()] == [[(-5, 0), (15, 1)], [(5, 2)]]
    steps = [one for one in histogram.patches]
    assert [one.get_data().values.tolist() for one in steps] == [[50, 0, 50], [0, 50, 0]]
    assert raster.get_xlim() == histogram.get_xlim() == (-10, 20)
    assert raster.get_title(loc="left") == "g\nchannel 3  $x" and histogram.get_xlabel() == "ms from cue"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["side l", "side r"]
    save_picture(tmp_path / "p.png", lambda: figure)
    check_png(tmp_path / "p.png")


def test_of_many_trials_some_are_drawn_and_all_are_said():
    moments = Moments(np.arange(1001) * MS, np.zeros(1001, np.int64), 1)
    trials = chosen_trials(moments)
    assert len(trials) == MOST_TRIALS and (trials[0], trials[-1]) == (0, 1000)
    figure = peri_figure("t", ["x"], [panel([], [[0, 0, 0]])], BINS, moments, trials, [""], "", "the rise of 1.0")
    assert f"rasters: {MOST_TRIALS} of 1001 trials, evenly spaced" in figure.texts[1].get_text()
    assert not figure.legends and figure.axes[1].patches[0].get_edgecolor()[:3] == tuple(
        int(COLOURS[0][n : n + 2], 16) / 255 for n in (1, 3, 5)
    )
