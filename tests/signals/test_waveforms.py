"""Waveforms: which rows of the snippets are whose, and in which unit."""

import json

import numpy as np
import pytest

from neuroluigi.signals.waveforms import own_waveforms, read_snippets, waveforms_figure
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events
from tests.signals.group import words

# Two events of channel 0 with two channels each, three of channel 2 with three.
SNIPPETS = np.arange(13 * 4, dtype=np.float32).reshape(13, 4)
DESCRIBED = {
    "rows": [
        {"channel": 0, "neighbours": [0, 1], "first": 0, "count": 2, "left_out": 0},
        {"channel": 2, "neighbours": [2, 1, 3], "first": 4, "count": 3, "left_out": 1},
    ],
    "before_samples": 1,
    "after_samples": 2,
    "sampling_rate_hz": 1000.0,
    "raw": False,
}


def test_a_channel_has_those_of_its_own_events():
    assert own_waveforms(SNIPPETS, DESCRIBED, 0)[:, 0].tolist() == [0, 8]
    assert own_waveforms(SNIPPETS, DESCRIBED, 2)[:, 0].tolist() == [16, 28, 40]
    assert own_waveforms(SNIPPETS, DESCRIBED, 1).shape == (0, 4)
    assert own_waveforms(np.zeros((0, 4), np.float32), {"rows": []}, 0).shape == (0, 4)


@pytest.mark.parametrize("raw", [False, True])
def test_the_picture_has_each_and_the_mean_in_units_over_ms(tmp_path, raw):
    path = write_aggregate(tmp_path, np.zeros((100, 4), "int16"), scale=0.5, offset=100.0, unit="uV")
    some = events([5, 15, 20, 30, 40, 50], [0, 0, 2, 2, 2, 2], **as_crossings(count=[2, None, 4, 0]))
    described = {**DESCRIBED, "raw": raw}
    figure = waveforms_figure("g", path, some, SNIPPETS, described, "octave", ["0", "1", "2", "3"])
    first, skipped, other, _ = figure.axes
    assert [line.get_xdata().tolist() for line in first.lines[1:]] == [[-1, 0, 1, 2]] * 4
    heights = [line.get_ydata() - 100 * raw for line in first.lines[1:]]
    assert heights[0].tolist() == [0, 0.5, 1, 1.5] and heights[1].tolist() == [4, 4.5, 5, 5.5]
    assert heights[-1].tolist() == [2, 2.5, 3, 3.5] and first.get_ylabel() == "[uV]"
    titles = [ax.get_title(loc="left") for ax in (first, skipped, other)]
    assert titles == ["channel 0\n2 of 2 events", "channel 1\nnot looked at", "channel 2\n3 of 4 events"]
    said = words(figure)
    assert ("as they are" if raw else "filtered") in said and "time from the peak [ms]" in said


def test_files_are_read(tmp_path):
    np.save(tmp_path / "snippets.npy", SNIPPETS)
    (tmp_path / "snippets.json").write_text(json.dumps(DESCRIBED))
    found = read_snippets(str(tmp_path / "snippets.npy"), str(tmp_path / "snippets.json"))
    assert np.array_equal(found["snippets"], SNIPPETS) and found["described"] == DESCRIBED
