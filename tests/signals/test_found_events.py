"""Events as pictures take them."""

import json

import numpy as np
import pytest

from neuroluigi.signals import found_events
from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.found_events import FoundEvents, read_events
from tests.signals.aggregates import write_aggregate
from tests.signals.events import as_crossings, events


@pytest.fixture
def aggregate(tmp_path):
    channels = [{"kind": "ap"}, {"kind": "ap"}, {"kind": "digital"}]
    return read_aggregate(write_aggregate(tmp_path, np.zeros((100, 3), "int16"), channels=channels))


def test_files_are_read_with_what_is_beside_them(tmp_path):
    one = events([3, 5], [1, 0], amplitudes=[-7, -9])
    np.save(tmp_path / "spikes.npy", one.table)
    np.save(tmp_path / "spikes_amplitudes.npy", one.amplitudes)
    (tmp_path / "spikes.json").write_text(json.dumps(as_crossings(count=[1, 1])))
    paths = [str(tmp_path / name) for name in ("spikes.npy", "spikes_amplitudes.npy", "spikes.json")]
    read = read_events("Spikes", *paths)
    assert np.array_equal(read.table, one.table) and read.amplitudes.tolist() == [-7, -9]
    assert read.summary["count"] == [1, 1] and read_events("Edges", paths[0]).summary == {}


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_counts_are_those_of_the_summary_or_of_the_table(aggregate, monkeypatch, rows):
    monkeypatch.setattr(found_events, "_ROWS_AT_A_TIME", rows)
    found = [0, 1, 1, 0, 1]
    assert events([1, 2, 3, 4, 5], found).counts(aggregate) == [2, 3, None]
    assert events([1, 2, 3, 4, 5], found, count=[2, None, None]).counts(aggregate) == [2, None, None]
    assert events([1], 2).counts(aggregate) == [0, 0, 1]
    assert [s.tolist() for s, _ in events([7, 9], [1, 0]).onsets()] == ([[7], [9]] if rows == 1 else [[7, 9]])


def test_events_of_a_single_channel_are_counted_unread(tmp_path):
    class Unread(np.ndarray):
        def __getitem__(self, rows):
            raise AssertionError(f"rows {rows} are read")

    aggregate = read_aggregate(write_aggregate(tmp_path, np.zeros((100, 1), "int16"), channels=[{"kind": "digital"}]))
    assert FoundEvents("edges", np.zeros((5, 2), np.int64).view(Unread)).counts(aggregate) == [5]
    assert FoundEvents("edges", np.zeros((0, 2), np.int64)).counts(aggregate) == [None]


def test_a_typical_event_has_the_median_amplitude():
    one = events([10, 20, 30, 40, 50], [0, 0, 0, 0, 1], [11, 21, 31, 41, 51], [-5, -100, -20, -30, -40])
    # Of channel 0: 5, 20, 30, 100, of which 20 and 30 are as near to the median of 25; the middle one is the later.
    assert one.typical([0]) == 41
    assert one.typical([1]) == 51 and one.typical([0, 1]) == 41 and one.typical([7]) is None


def test_of_events_that_are_all_alike_the_middle_one_is_typical():
    assert events([1, 5, 9], amplitudes=[-3, -3, -3]).typical([0]) == 5
    assert events([1, 5, 9]).typical([0]) == 5 and events([]).typical([0]) is None
    edges = FoundEvents("Edges", np.array([[4, 0], [6, 0], [8, 0]]))
    assert edges.typical([0]) == 6


@pytest.mark.parametrize("rows", [1, 7, 13, 1000])
def test_of_very_many_some_stand_for_all(monkeypatch, rows):
    monkeypatch.setattr(found_events, "_MOST_AMPLITUDES", 10)
    monkeypatch.setattr(found_events, "_ROWS_AT_A_TIME", rows)
    # Every eleventh of 105: 0, 11, ..., 99, whose median is 44 or 55; the later one of two as near is at 550.
    assert events(np.arange(0, 1050, 10), amplitudes=-np.arange(105.0)).typical([0]) == 550


def test_crossings_of_a_spike_band_are_called_multi_unit_and_never_units():
    assert events([1], **as_crossings()).what == "threshold crossings, multi-unit"
    assert events([1], **as_crossings(low=8.0)).what == "threshold crossings"
    assert events([1], band=[None, None]).what == events([1]).what == "threshold crossings"


def test_a_level_is_in_terms_of_the_samples_only_without_filter_and_reference():
    assert events([1], band=[None, None], reference="none").is_of_samples and events([1]).is_of_samples
    assert not events([1], **as_crossings()).is_of_samples
    assert not events([1], band=[None, 300.0]).is_of_samples
    assert not events([1], band=[None, None], reference="median").is_of_samples
