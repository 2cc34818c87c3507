"""The files of ready-made steps: read in a notebook, checked by their own format."""

import json
import math
from fractions import Fraction as Exact

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import targets
from neuroluigi.steps.target import DamagedError


def test_edges_are_loaded_by_their_path_alone(tmp_path):
    np.save(tmp_path / "edges.npy", np.array([[3, 0], [5, 1]], "<i8"))
    edges = targets.Edges(tmp_path / "edges.npy")
    assert edges.exists() and edges.load().tolist() == [[3, 0], [5, 1]]
    with pytest.raises(ValueError, match="read-only"):
        edges.load()[0, 0] = 1


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 2), "<i4"), r"int32 \(2, 2\)"),
        (np.zeros(4, "<i8"), r"int64 \(4,\)"),
        (np.zeros((1, 3), "<i8"), "3"),
    ],
)
def test_edges_of_another_type_or_shape_are_damaged(tmp_path, array, found):
    np.save(tmp_path / "edges.npy", array)
    with pytest.raises(DamagedError, match=rf"edges.npy is not int64 of shape \(edges, 2\) but .*{found}"):
        targets.Edges(tmp_path / "edges.npy").check(tmp_path / "edges.npy")


def write_stats(path, **changes):
    stats = {"count": 3, "min": [0, None], "max": [10, None], "mean": [5, None], "std": [1, "Infinity"], **changes}
    path.write_text(json.dumps(stats))
    return targets.Stats(path)


def test_stats_are_arrays_with_nan_for_null(tmp_path):
    stats = write_stats(tmp_path / "stats.json").load()
    assert stats["count"] == 3 and stats["max"].dtype == np.float64
    np.testing.assert_array_equal(stats["max"], [10, np.nan])
    np.testing.assert_array_equal(stats["std"], [1, np.inf])


@pytest.mark.parametrize("changes", [{"count": 0}, {"mean": [5]}])
def test_stats_without_a_value_per_channel_are_damaged(tmp_path, changes):
    target = write_stats(tmp_path / "stats.json", **changes)
    with pytest.raises(DamagedError, match=r"stats.json does not have count and one value per channel"):
        target.check(tmp_path / "stats.json")


def test_events_are_loaded_by_their_path_alone_also_where_there_are_none(tmp_path):
    for rows in ([[3, 0, 9, 4, -1], [5, 1, 6, 5, 1]], np.empty((0, 5))):
        np.save(tmp_path / "spikes.npy", np.array(rows, "<i8"))
        events = targets.Events(tmp_path / "spikes.npy")
        events.check(tmp_path / "spikes.npy")
        assert events.load().tolist() == np.array(rows).tolist() and not events.load().flags.writeable


@pytest.mark.parametrize("array", [np.zeros((2, 2), "<i8"), np.zeros((2, 5), "<f8"), np.zeros(5, "<i8")])
def test_events_of_another_type_or_shape_are_damaged(tmp_path, array):
    np.save(tmp_path / "beats.npy", array)
    with pytest.raises(DamagedError, match=r"beats.npy is not int64 of shape \(events, 5\) but"):
        targets.Events(tmp_path / "beats.npy").check(tmp_path / "beats.npy")


def write_event_summary(path, **changes):
    lists = {"count": [4, None], "rate_hz": [0.5, None], "noise": [54.6, None], "level": [-273, None]}
    summary = {**lists, "release": [-136.5, None], "flag": ["", "bad"], "band": [300, None], **changes}
    path.write_text(json.dumps(summary))
    return targets.EventSummary(path)


def test_an_event_summary_has_arrays_with_nan_for_null(tmp_path):
    target = write_event_summary(tmp_path / "spikes.json")
    target.check(tmp_path / "spikes.json")
    summary = target.load()
    np.testing.assert_array_equal(summary["noise"], [54.6, np.nan])
    assert summary["level"].dtype == np.float64
    assert (summary["count"], summary["flag"], summary["band"]) == ([4, None], ["", "bad"], [300, None])


@pytest.mark.parametrize("changes", [{"noise": [1]}, {"flag": "bad"}, {"level": None}])
def test_an_event_summary_without_a_value_per_channel_is_damaged(tmp_path, changes):
    target = write_event_summary(tmp_path / "spikes.json", **changes)
    with pytest.raises(DamagedError, match=r"spikes.json does not have one value per channel in count, rate_hz, noise"):
        target.check(tmp_path / "spikes.json")


def test_an_event_summary_that_is_a_list_is_damaged(tmp_path):
    (tmp_path / "spikes.json").write_text("[1]")
    with pytest.raises(DamagedError, match="one value per channel"):
        targets.EventSummary(tmp_path / "spikes.json").check(tmp_path / "spikes.json")


def test_a_concatenation_is_read_as_it_was_saved(tmp_path):
    content = {"dtype": "uint8", "channels": 1, "unit": "µV", "recordings": [], "segments": [0], "excluded": []}
    targets.Concatenation.save(tmp_path / "aggregate.json", content)
    assert targets.Concatenation(tmp_path / "aggregate.json").load() == content
    assert "µV" in (tmp_path / "aggregate.json").read_text(encoding="utf-8")


def ranges(low, high):
    return {"min": np.array(low, float), "max": np.array(high, float)}


def test_a_level_is_a_fraction_of_each_channels_range_or_the_same_for_all():
    assert targets.levels(ranges([0, -10], [10, 10]), 0.75, None) == [7.5, 5.0]
    assert targets.levels(ranges([0, -10], [10, 10]), 0.75, 3.0) == [3.0, 3.0]
    assert np.isnan(targets.levels(ranges([np.nan], [np.nan]), 0.75, None)).all()


@given(
    st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2).map(sorted),
    st.floats(0, 1) | st.sampled_from([0.1, 0.3, 0.75, 1.0]),
)
@example([-0.1, 0.3], 1.0)
@example([0.0, 10.0], 0.1)
@example([-1.7976931348623157e308, 1.7976931348623157e308], 0.5)
@example([0.0, 5e-324], 0.5)
def test_a_level_is_the_double_nearest_to_the_exact_one(limits, threshold):
    low, high = limits
    (level,) = targets.levels(ranges([low], [high]), threshold, None)
    exact = Exact(low) + Exact(repr(threshold)) * (Exact(high) - Exact(low))
    assert low <= level <= high
    assert level == low or threshold != 0
    assert level == high or threshold != 1
    # No neighbour is nearer.
    for neighbour in (math.nextafter(level, -math.inf), math.nextafter(level, math.inf)):
        if math.isfinite(neighbour):
            assert abs(Exact(level) - exact) <= abs(Exact(neighbour) - exact)


def test_levels_of_counts_are_as_before():
    # Of whole numbers the rounded sum is right for the default threshold, and so are the results of earlier releases.
    for low in range(-50, 50):
        for high in range(low, 256, 7):
            assert targets.levels(ranges([low], [high]), 0.75, None) == [low + 0.75 * (high - low)]


def test_what_gives_no_level_is_an_error_that_names_the_option():
    with pytest.raises(ValueError, match="--Edges-level inf is not a number of raw counts"):
        targets.levels(ranges([0], [1]), 0.75, float("inf"))
    with pytest.raises(ValueError, match=r"channel 1 has infinite samples, .* --Edges-level"):
        targets.levels(ranges([0, 0], [1, np.inf]), 0.75, None)
