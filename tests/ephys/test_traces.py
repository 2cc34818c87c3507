"""Traces: the samples of a group, with the events of a step where it requires one."""

import pytest

from tests.ephys.spike_steps import pictures, run, with_spikes


@pytest.fixture
def lab(pipeline):
    return with_spikes(pipeline)


@pytest.mark.parametrize(
    ("step", "name"),
    [("FallTraces", "spikes_traces.png"), ("EdgeTraces", "edges_traces.png"), ("Traces", "traces.png")],
)
def test_the_picture_is_named_after_the_events(lab, step, name):
    run(lab, step, f"--{step}-window", "event" if step != "Traces" else "0.5-2")
    assert pictures(lab) == [name]


def test_a_window_that_is_none_is_refused_before_anything_is_made(lab):
    out = run(lab, "Traces", "--Traces-window", "5-2", code=None)
    assert "luigi: window '5-2' is not from one second to a later one" in out and not lab.results.exists()


def test_a_window_behind_the_end_fails_with_how_long_the_group_is(lab):
    out = run(lab, "Traces", "--Traces-window", "7-8", code=30)
    assert "window 7-8 has no samples: the group has 5 s" in out
