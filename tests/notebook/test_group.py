"""Samples, times, waveforms and pictures of a group, against what its files have."""

import json
import tracemalloc

import numpy as np
import pytest

from neuroluigi.notebook.group import LabGroup
from tests.notebook.conftest import OFFSET, RATE, SCALE, samples_of


@pytest.fixture(scope="module")
def group(finished) -> LabGroup:
    return finished["m"]


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return np.concatenate([samples_of("m", 0), samples_of("m", 1)])


def test_samples_are_in_the_unit_of_the_channel(group, counts):
    found = group.samples()
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, counts * SCALE + OFFSET)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (248, 253), (499, 500), (7, 7), (250, None)])
def test_a_part_of_the_samples(group, counts, start, stop):
    np.testing.assert_array_equal(group.samples(start, stop, [1], physical=False), counts[start:stop, [1]])


def test_counts_are_in_the_dtype_of_the_files(group):
    assert group.samples(0, 2, physical=False).dtype == np.dtype("<i2")


@pytest.mark.parametrize("span", [(-1, 3), (0, 501), (5, 4)])
def test_samples_that_are_not_there(group, span):
    with pytest.raises(ValueError, match="the group has samples 0 to 500"):
        group.samples(*span)


@pytest.mark.parametrize("channel", [2, -1, "CSC1", 0.5])
def test_channels_that_are_not_there(group, channel):
    with pytest.raises(ValueError, match="there is no channel"):
        group.samples(0, 1, [channel])


def test_memory_is_that_of_what_is_asked_for(copied):
    """A recording of 16 MB, of which 1000 samples are asked for."""
    np.zeros((1 << 22, 2), "<i2").tofile(copied.folder / "data" / "n0.bin")
    assert copied.run("Aggregate", groups=["n"], progress=False)
    group = copied["n"]
    group.samples(0, 1)
    tracemalloc.start()
    assert group.samples(1 << 21, (1 << 21) + 1000).shape == (1000, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Most of it is what each call finds out of the lab.
    assert peak < 1 << 22


def test_times_are_those_of_the_events(group):
    events = group.events()
    sample = np.asarray(events["sample"])
    np.testing.assert_array_equal(group.times()[sample], np.asarray(events["time_s"]))
    np.testing.assert_allclose(group.times(249, 252), np.array([249, 250, 251]) / RATE)


def test_stats_and_channels(group, counts):
    np.testing.assert_allclose(group.stats["mean"], counts.mean(axis=0))
    channels = group.channels
    assert list(channels["unit"]) == ["mV", "mV"] and list(channels["is_bad"]) == [False, False]
    assert group.sampling_rate_hz == RATE and [one.index for one in group.recordings] == [0, 1]


def test_waveforms_are_the_samples_around_the_peaks(copied, counts):
    (copied.folder / "luigi.cfg").open("a").write("\n[Spikes]\nlow =\nhigh =\nlevel = 90\npolarity = rising\n")
    assert copied.run("Snippets", groups=["m"], progress=False)
    group = copied["m"]
    peaks = {channel: np.asarray(group.events("spikes", f"channel={channel}")["peak"]) for channel in (0, 1)}
    found = group.waveforms()
    assert [one.channel for one in found] == [0, 1]
    for one in found:
        assert one.unit == "mV" and one.times_ms.tolist() == [-1.0, 0.0, 1.0] and one.neighbours[0] == one.channel
        # One sample before the peak, and two from it on; not across the seam at 250.
        inside = [peak for peak in peaks[one.channel] if 1 <= peak <= 498 and peak not in (249, 250)]
        expected = [counts[peak - 1 : peak + 2, one.neighbours].T * SCALE for peak in inside]
        np.testing.assert_allclose(one.samples, expected)


def test_a_figure_shows_the_window(group):
    figure = group.plot(window=(0.1, 0.2), channels=[1], events="edges")
    (axes,) = figure.axes
    assert axes.get_xlim() == pytest.approx((0.0995, 0.1995))
    assert "channel 1" in axes.get_ylabel() and figure._repr_png_().startswith(b"\x89PNG")


def test_what_is_not_made_is_named_with_the_step_that_makes_it(copied):
    (copied.folder / "results" / "m" / "aggregate.json").unlink()
    with pytest.raises(ValueError, match=r"aggregate.json \(yet\): lab.run\('Aggregate'\) makes it"):
        copied["m"].samples()
    with pytest.raises(ValueError, match=r"lab.run\('Snippets'\)"):
        copied["m"].waveforms()


def test_a_session(copied):
    session = copied.session("m")
    with pytest.raises(ValueError, match=r"lab.run\('Trials'\)"):
        _ = session.trials
    folder = copied.folder / "results" / "sessions" / "m"
    folder.mkdir(parents=True)
    (folder / "trials.csv").write_text("start_time,stop_time,side\n0.5,1,left\n2,,right\n")
    (folder / "aligned.json").write_text(json.dumps({"reference": "m", "streams": []}))
    trials = session.trials
    assert list(trials["start_time"]) == [0.5, 2.0] and list(trials["side"]) == ["left", "right"]
    assert session.aligned["reference"] == "m" and session.groups == ["m"]
