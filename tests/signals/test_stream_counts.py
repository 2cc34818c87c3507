"""Counts of a stream's clock, worked out by hand."""

import numpy as np
import pytest

from neuroluigi.signals.stream_counts import counts_at, first_count, rises_in, ttl_counts

LAYOUT = {
    "recordings": [
        {"clock": "a", "start_sample": 100, "first_sample": 0, "samples": 10},
        {"clock": "b", "start_sample": 0, "first_sample": 10, "samples": 5},
        {"clock": "a", "start_sample": 200, "dropped_samples": 3, "first_sample": 15, "samples": 10},
    ],
    "gaps": [{"sample": 4, "missing": 7}, {"sample": 10, "missing": None}, {"sample": 15, "missing": None}],
}


def test_counts_have_what_is_missing_and_what_was_left_out():
    samples = np.array([0, 3, 4, 9, 12, 15, 24, 25, -1])
    assert counts_at(samples, LAYOUT, "a").tolist() == [100, 103, 111, 116, 203, 212]
    assert counts_at(samples, LAYOUT, "b").tolist() == [2]
    assert counts_at(samples, LAYOUT, "c").tolist() == []
    assert first_count(LAYOUT["recordings"][2]) == 203


def test_where_a_counter_runs_back_nothing_is_known():
    layout = {**LAYOUT, "gaps": [{"sample": 4, "missing": None}]}
    with pytest.raises(ValueError, match="runs back"):
        counts_at(np.array([5]), layout, "a")


def test_rises_of_a_bit_or_of_a_channel():
    lines = np.array([[1, 0, 6, 1], [2, 0, 6, 0], [3, 0, 5, 1], [4, 1, 6, 1], [9, 0, 6, 1]])
    assert rises_in(lines, 0, 6).tolist() == [1, 9]
    crossings = np.array([[1, 2, 5, 3, 1], [5, 2, 6, 5, -1], [6, 0, 7, 6, 1]])
    assert rises_in(crossings, 2, None).tolist() == [1]
    assert rises_in(crossings[:, :2], 2, None).tolist() == [1, 5]
    with pytest.raises(ValueError, match="not one of lines"):
        rises_in(crossings, 2, 6)


def test_rises_that_a_rig_wrote(tmp_path):
    paths = [str(tmp_path / f"{name}.npy") for name in ("states", "counters")]
    np.save(paths[0], np.array([1, 2, -1, 1], np.int16))
    np.save(paths[1], np.array([5, 6, 7, 8]))
    assert ttl_counts(*paths, bit=0).tolist() == [5, 8]
    np.save(paths[1], np.array([5]))
    with pytest.raises(ValueError, match="copy them again"):
        ttl_counts(*paths, bit=0)
