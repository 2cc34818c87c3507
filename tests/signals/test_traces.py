"""Traces: samples with events at their peaks."""

import numpy as np
import pytest

from neuroluigi.signals.picture import FORMATS
from neuroluigi.signals.traces import plot_traces, traces_figure
from neuroluigi.steps.target import CHECKS
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events
from tests.signals.group import noise, words


def of(tmp_path, data, found=None, channels=(), window="", segments=(0,), **known):
    path = write_aggregate(tmp_path, np.asarray(data).reshape(len(data), -1), segments, **known)
    return traces_figure("group", path, found, "numpy", channels, window)


def test_events_are_marked_at_their_peaks_in_units(tmp_path):
    data = np.zeros((1000, 2), "int16")
    data[503, 1] = -200
    found = events([500], 1, [503], [-190], count=[0, 1], level=[-100, -100], band=[None, None], reference="none")
    figure = of(tmp_path, data, found, sampling_rate_hz=1000.0, scale=0.5, offset=3.0, unit="uV")
    empty, ax = figure.axes
    samples, level, marks = ax.lines
    assert samples.get_ydata().min() == -97 and marks.get_xdata().tolist() == [0.503]
    assert marks.get_ydata().tolist() == [-97] and level.get_ydata().tolist() == [-47, -47]
    assert not empty.lines[-1].get_xdata().size
    said = words(figure)
    assert "1 event\n1 per second\nlevel -47 uV" in said and "Spikes: 1 event (threshold crossings)" in said


def test_a_level_of_the_filtered_signal_is_no_line_and_has_no_offset(tmp_path):
    found = events([500], 0, amplitudes=[-190], **as_crossings(count=[1], level=[-100]))
    figure = of(tmp_path, noise(1000), found, scale=0.5, offset=3.0, unit="uV")
    assert len(figure.axes[0].lines) == 2
    assert "level -50 uV\n(after the filter)" in words(figure) and "multi-unit" in words(figure)


def test_a_long_recording_has_ticks_above_and_a_typical_event_in_detail(tmp_path):
    data = np.zeros((50_000, 1), "int16")
    data[[10_000, 20_000, 30_000]] = [[-50], [-70], [-90]]
    found = events([9_998, 19_998, 29_998], 0, [10_000, 20_000, 30_000], [-50, -70, -90], **as_crossings())
    whole, detail = of(tmp_path, data, found, sampling_rate_hz=1000.0).axes
    assert whole.lines[-1].get_xdata().tolist() == [9.998, 19.998, 29.998]
    assert detail.lines[-1].get_xdata().tolist() == [20.0] and detail.lines[-1].get_ydata().tolist() == [-70]
    assert detail.lines[0].get_xdata()[[0, -1]].tolist() == [19.5, 20.499]


@pytest.mark.parametrize("window", ["20-20.5", "event"])
def test_a_window_is_all_that_is_shown(tmp_path, window):
    data = np.zeros((50_000, 1), "int16")
    data[20_100] = -70
    figure = of(tmp_path, data, events([20_099], 0, [20_100]), window=window, sampling_rate_hz=1000.0)
    (ax,) = figure.axes
    begin, end = (20.0, 20.5) if window != "event" else (19.6, 20.6)
    assert ax.get_xlim() == pytest.approx((begin - 0.0005, end - 0.0005))
    assert ax.lines[0].get_xdata()[[0, -1]] == pytest.approx([begin, end - 0.001])
    assert ax.lines[-1].get_xdata().tolist() == [20.1] and ax.lines[-1].get_ydata().tolist() == [-70]


def test_a_window_over_a_gap_has_the_gap(tmp_path):
    gaps = [{"sample": 500, "missing": 500}]
    figure = of(tmp_path, noise(1000), None, window="0.4-1.1", segments=[0, 500], gaps=gaps, sampling_rate_hz=1000.0)
    line = figure.axes[0].lines[0]
    seconds = line.get_xdata()[np.isfinite(line.get_ydata())]
    assert len(seconds) == 200 and not ((seconds >= 0.5) & (seconds < 1)).any()
    assert "gap of 0.5 s" in [text.get_text() for text in figure.axes[0].texts]


def test_an_event_whose_peak_is_behind_the_window_is_left_out(tmp_path):
    figure = of(tmp_path, noise(1000), events([98], 0, [100]), window="0-100")
    assert not figure.axes[0].lines[-1].get_xdata().size


def test_the_most_active_channels_are_shown_where_there_are_events(tmp_path):
    found = events(np.arange(30), np.repeat([5, 17, 30], 10))
    said = words(of(tmp_path, noise(100, 40), found))
    assert all(f"channel {n}\n" in said for n in (5, 17, 30)) and "8 of 40 channels shown" in said
    assert "channel 39" in words(of(tmp_path, noise(100, 40), events([])))


def test_channels_that_were_not_looked_at_say_so(tmp_path):
    flags = ["", "bad", "candidate"]
    found = events([5], 0, **as_crossings(count=[1, None, 0], level=[-9, None, -9], flag=flags))
    said = words(of(tmp_path, noise(100, 3), found, ["0", "1", "2"]))
    assert "not looked at\n(bad)" in said and "flag: candidate" in said
    assert "channel 1" not in words(of(tmp_path, noise(100, 3), found))


def test_without_events_there_are_samples_alone(tmp_path):
    figure = of(tmp_path, noise(100, 2))
    assert "event" not in words(figure) and len(figure.axes) == 2


@pytest.mark.parametrize("format", FORMATS)
def test_it_is_saved_in_each_format(tmp_path, format):
    path = write_aggregate(tmp_path, noise(20_000, 2), sampling_rate_hz=1000.0, unit="神", scale=1.0)
    plot_traces(tmp_path / f"t.{format}", "神经元", path, events([5, 7], [0, 1]), "numpy")
    CHECKS[f".{format}"](tmp_path / f"t.{format}")
    assert (tmp_path / f"t.{format}").stat().st_size > 1000
