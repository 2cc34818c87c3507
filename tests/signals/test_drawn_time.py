"""Which part of the time is shown, and what is written of it."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from neuroluigi.signals.aggregate import read_aggregate
from neuroluigi.signals.drawn_time import (
    draw_gaps,
    label_gaps,
    label_recordings,
    parse_window,
    shown_span,
    summary,
    time_label,
)
from neuroluigi.signals.time_axis import Clock, time_axis
from tests.signals.aggregates import write_aggregate


@pytest.fixture
def gapped(tmp_path):
    """2000 samples at 1 kHz in two recordings, between which 3000 are missing: 0 to 1 and 4 to 5 s."""
    recordings = [
        {"session": "s", "index": n, "path": "p", "first_sample": 1000 * n, "samples": 1000} for n in range(2)
    ]
    path = write_aggregate(
        tmp_path, np.zeros((2000, 1), "int16"), [0, 1000], recordings=recordings, sampling_rate_hz=1000.0,
        gaps=[{"sample": 1000, "missing": 3000}], excluded=[],
    )  # fmt: skip
    aggregate = read_aggregate(path)
    return aggregate, time_axis(aggregate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("event", None), ("10-12.5", (10, 12.5)), ("0-1e-3", (0, 0.001)), (" 1 - 2 ", (1, 2))],
)
def test_a_window_in_words(text, expected):
    assert parse_window(text) == expected


@pytest.mark.parametrize("text", ["10", "2-1", "1-1", "a-b", "-1-2", "1-", "-", "events", "0-inf", "nan-2"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(ValueError, match=r"such as 10-12\.5"):
        parse_window(text)


@pytest.mark.parametrize(
    ("window", "middle", "expected"),
    [
        ("", None, (0, 5000)),
        ("0.25-4.5", None, (250, 4500)),
        ("4-100", None, (4000, 5000)),
        ("event", 1010, (4000, 5000)),
        ("event", None, (0, 1000)),
    ],
)
def test_the_span_of_a_window_counts_missing_samples_too(gapped, window, middle, expected):
    assert shown_span(window, *gapped, middle) == expected


@pytest.mark.parametrize("window", ["1.5-3", "5-6", "77-78"])
def test_a_window_without_samples_says_how_long_the_group_is(gapped, window):
    with pytest.raises(ValueError, match=f"window {window} has no samples: the group has 5 s, with gaps"):
        shown_span(window, *gapped, None)


def test_a_window_is_in_seconds_of_the_clock_that_is_shown(gapped):
    aggregate, _ = gapped
    clock = Clock(
        "imec0.ap", lambda samples: np.where(samples < 1000, 2 + samples / 1000, 6.5 + (samples - 1000) / 1000)
    )
    axis = time_axis(aggregate, clock)
    assert time_label(aggregate, axis) == "time on the clock of imec0.ap [s]"
    assert shown_span("2.25-7", aggregate, axis, None) == (250, 4500)
    assert shown_span("0-100", aggregate, axis, None) == (0, 5000)
    with pytest.raises(
        ValueError, match=r"has no samples: the group has seconds 2 to 7.5 on the clock of imec0.ap, with"
    ):
        shown_span("0-1", aggregate, axis, None)


def test_without_a_rate_a_window_is_in_samples(tmp_path):
    aggregate = read_aggregate(write_aggregate(tmp_path, np.zeros((50, 1), "int16")))
    assert shown_span("10-20", aggregate, time_axis(aggregate), None) == (10, 20)


def test_of_a_part_the_gap_and_the_recordings_that_are_in_it_are_named(gapped):
    aggregate, axis = gapped
    ax = Figure(figsize=(14, 3)).subplots()
    ax.set_xlim(0.5, 4.2)
    draw_gaps(ax, axis)
    label_gaps(ax, axis, 1000.0)
    label_recordings(ax, aggregate, axis)
    assert [text.get_text() for text in ax.texts] == ["gap of 3 s", "recording 0", "1"]
    ax = Figure(figsize=(14, 3)).subplots()
    ax.set_xlim(4.1, 4.2)
    label_recordings(ax, aggregate, axis)
    assert [text.get_text() for text in ax.texts] == ["recording 1"]


def test_a_summary_has_gaps_what_was_counted_and_more_lines(gapped):
    (first, more) = summary(*gapped, 1, ["Spikes: 5 events"], "octave", ["in bins of 1 s"])
    assert "1 gap of 3 s" in first and "Spikes: 5 events  ·  octave" in first and more == "in bins of 1 s"
