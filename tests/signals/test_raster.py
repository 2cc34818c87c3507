"""Raster: each event a tick, or counted."""

import numpy as np
import pytest

from neuroluigi.signals import raster
from neuroluigi.signals.raster import raster_figure
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events
from tests.signals.group import words


def of(tmp_path, some, channels=3, window="", samples=10_000, segments=(0,), **known):
    data = np.zeros((samples, channels), "uint8")
    path = write_aggregate(tmp_path, data, segments, **{"sampling_rate_hz": 1000.0, **known})
    return raster_figure("g", path, some, "octave", window)


def ticks(ax) -> list[tuple[float, int]]:
    """Return time and row of each tick."""
    return sorted((float(line[0][0]), round(float(line[:, 1].mean()))) for line in ax.collections[0].get_segments())


def test_each_event_is_a_tick_in_the_row_of_its_channel(tmp_path):
    figure = of(tmp_path, events([100, 200, 300], [0, 2, 0], **as_crossings(count=[2, None, 1])))
    (ax,) = figure.axes
    assert ticks(ax) == [(0.1, 0), (0.2, 1), (0.3, 0)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "2"]
    assert "2 of 3 channels shown" in words(figure) and "multi-unit" in words(figure)


def test_a_window_has_its_own_events(tmp_path):
    figure = of(tmp_path, events([100, 2000, 2500], 1), window="2-2.5")
    assert ticks(figure.axes[0]) == [(2.0, 1)] and "1 event in the window" in words(figure)
    figure = of(tmp_path, events([100, 2000, 8000], 1), window="event")
    assert ticks(figure.axes[0]) == [(2.0, 1)]


def test_events_are_as_late_as_a_gap_makes_them(tmp_path):
    figure = of(tmp_path, events([100, 6000], 0), segments=[0, 5000], gaps=[{"sample": 5000, "missing": 3000}])
    assert ticks(figure.axes[0]) == [(0.1, 0), (9.0, 0)]
    assert "gap of 3 s" in words(figure)


@pytest.mark.parametrize("samples", [10_000, 50])
def test_very_many_are_counted(tmp_path, monkeypatch, samples):
    monkeypatch.setattr(raster, "_MOST_TICKS", 9)
    figure = of(tmp_path, events(np.arange(20), 1, count=[0, 20, None]), samples=samples)
    (image,) = figure.axes[0].images
    values = image.get_array().filled(np.nan)
    assert np.nansum(values) == 20 and np.nansum(values[1]) == 20 and np.isnan(values[2]).all()
    assert figure.axes[1].get_ylabel() == ("events in 9.09 ms" if samples == 10_000 else "events in 1 ms")


@pytest.mark.parametrize("channels", [1, 33, 64, 65, 385])
def test_as_many_rows_are_named_as_there_is_room_for(tmp_path, channels):
    named = of(tmp_path, events([5], 0), channels).axes[0].get_yticklabels()
    assert named[0].get_text() == "0" and 1 <= len(named) <= 33


@pytest.mark.parametrize("some", [events([]), events([], count=[None] * 3)])
def test_without_events_it_is_empty(tmp_path, some):
    figure = of(tmp_path, some)
    assert ticks(figure.axes[0]) == [] and "0 events" in words(figure)
