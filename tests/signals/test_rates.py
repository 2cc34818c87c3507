"""Rates over time, by hand."""

import tracemalloc

import numpy as np
import pytest

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.found_events import FoundEvents
from neuroluigi.signals.rates import (
    bin_width,
    bins_in_words,
    counts_between,
    highest_shown,
    rates_figure,
    rates_over_time,
)
from neuroluigi.signals.time_axis import time_axis
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events
from tests.signals.group import words


def read(tmp_path, samples=60_000, channels=2, segments=(0,), **known):
    data = np.zeros((samples, channels), "uint8")
    return read_aggregate(write_aggregate(tmp_path, data, segments, **{"sampling_rate_hz": 1000.0, **known}))


def rates_in(aggregate, some):
    return rates_over_time(some, aggregate, time_axis(aggregate))


@pytest.mark.parametrize(
    ("length", "wanted", "expected"),
    [(57.5, 1, 1), (20, 1, 1), (10, 1, 0.5), (0.02, 1, 0.001), (300, 1, 1), (2400, 1, 10), (86_400, 1, 300),
     (30_000, 1000, 1000), (3_000_000, 1000, 10_000), (1e7, 1, 50_000)],
)  # fmt: skip
def test_bins_are_of_round_widths(length, wanted, expected):
    assert bin_width(length, wanted) == pytest.approx(expected)


def test_events_are_counted_by_channel_from_sample_to_sample():
    some = events([0, 4, 5, 5, 9, 10], [0, 0, 1, 0, 1, 1])
    assert counts_between(some.table, [0, 5, 5, 10], 3).tolist() == [[2, 0, 1], [0, 0, 2], [0, 0, 0]]
    assert counts_between(some.table, [5, 6], 2).tolist() == [[1], [1]]


def test_rates_are_per_second_of_each_bin(tmp_path):
    found = rates_in(read(tmp_path), events([0, 999, 1000, 59_999], [0, 0, 1, 1]))
    assert found.counts.shape == (2, 60) and found.unit == "events per second"
    assert found.of(found.counts)[:, [0, 1, 59]].tolist() == [[2, 0, 0], [0, 1, 1]]
    assert found.times[[0, 1, -1]] == pytest.approx([-0.0005, 0.9995, 59.9995])


def test_time_that_is_missing_counts_in_no_rate(tmp_path):
    # 0 to 10.25 s, and from 20 s on: of the eleventh second a quarter is there, then none.
    gaps = [{"sample": 10_250, "missing": 9750}]
    found = rates_in(read(tmp_path, segments=[0, 10_250], gaps=gaps), events([10_100, 10_200, 10_250], 0))
    of_first = found.of(found.counts)[0]
    assert found.recorded[[9, 10, 11, 19, 20]].tolist() == [1000, 250, 0, 0, 1000]
    assert of_first[10] == 8 and of_first[20] == 1 and np.isnan(of_first[11:20]).all()


def test_a_last_bin_that_is_shorter_has_its_own_length(tmp_path):
    found = rates_in(read(tmp_path, 30_500), events([30_250], 0))
    assert found.of(found.counts)[0, -1] == 2 and found.recorded[-1] == 500


def test_without_a_rate_it_is_per_1000_samples(tmp_path):
    found = rates_in(read(tmp_path, sampling_rate_hz=None), events([1, 2, 3], 0))
    assert found.of(found.counts)[0, 0] == 3 and found.unit == "events per 1000 samples"
    assert bins_in_words(found).replace("\u202f", " ") == "events per 1000 samples, in bins of 1 000 samples"


@pytest.mark.parametrize("samples", [1, 2, 21, 299])
def test_very_few_samples_have_bins_too(tmp_path, samples):
    found = rates_in(read(tmp_path, samples), events([samples - 1], 0))
    assert found.recorded.sum() == samples and found.counts.sum() == 1 and (found.recorded > 0).all()


def test_the_picture_has_all_together_and_each_that_is_shown(tmp_path):
    some = events([500, 1500, 1600], [0, 0, 2], **as_crossings(count=[2, None, 1]))
    figure = rates_figure("g", read(tmp_path, channels=3).path, some, "octave", ["0", "1"])
    total, first, other = figure.axes
    assert total.patches[0].get_data().values[:3].tolist() == [1, 2, 0]
    assert first.patches[0].get_data().values[:3].tolist() == [1, 1, 0]
    assert (
        not other.patches and "not looked at" in words(figure) and "2 channels\ntogether\n[per second]" in words(figure)
    )
    assert len(rates_figure("g", read(tmp_path, channels=1).path, events([5]), "").axes) == 1


def test_many_channels_are_an_image_in_which_those_not_looked_at_have_no_value(tmp_path):
    some = events([500, 1500], [3, 39], count=[None, *[0] * 39])
    figure = rates_figure("g", read(tmp_path, channels=40).path, some, "")
    (image,) = figure.axes[-2].images
    values = image.get_array().filled(np.nan)
    assert values.shape == (40, 60) and np.isnan(values[0]).all() and values[3, 0] == 1 and values[39, 1] == 1
    assert figure.axes[-1].get_ylabel() == "events per second"


def test_single_bright_values_leave_others_visible():
    values = np.ones((100, 100))
    values[0, 0] = 1000
    assert highest_shown(values) == 1 and highest_shown(np.zeros((2, 2))) == 1
    assert highest_shown(np.full((2, 2), np.nan)) == 1
    values = np.zeros((100, 100))
    values[0, 0] = 7
    assert highest_shown(values) == 7


def test_memory_does_not_grow_with_the_number_of_events(tmp_path):
    aggregate, many = read(tmp_path, channels=4), 1_000_000
    table = np.zeros((many, 5), np.int64)
    table[:, 0] = np.sort(np.random.default_rng(0).integers(0, 60_000, many))
    np.save(tmp_path / "spikes.npy", table)
    some = FoundEvents("Spikes", np.load(tmp_path / "spikes.npy", mmap_mode="r"))
    del table
    tracemalloc.start()
    found = rates_in(aggregate, some)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.counts.sum() == many and peak < 5e6
