"""What all steps that draw have in common."""

import luigi
import pytest

from neuroluigi import ephys
from neuroluigi.ephys.picture import Window, events_name, events_of
from neuroluigi.steps.config import RunStopped


class DrawnPlot(ephys.Plot):
    """A lab's own."""


def test_a_picture_without_settings_is_what_it_was_before_there_were_any():
    plot = DrawnPlot("a")
    assert plot.fingerprint() == {} and str(plot) == "DrawnPlot(group=a)"
    assert plot.output().path.endswith("plot.png")


def test_settings_that_are_set_are_in_the_fingerprint_and_the_format_in_the_name():
    plot = DrawnPlot("a", channels=("AP1", "7"), window="event", format="svg")
    assert plot.fingerprint() == {"channels": ("AP1", "7"), "window": "event", "format": "svg"}
    assert plot.output().path.endswith("plot.svg")


@pytest.mark.parametrize("text", ["", "event", "10-12.5"])
def test_a_window_is_kept_as_it_is_written(text):
    assert Window().normalize(text) == text


def test_another_window_stops_the_run():
    with pytest.raises(RunStopped, match="luigi: window 'all'"):
        Window().normalize("all")


def targets(*names):
    return [luigi.LocalTarget(f"results/a/{name}") for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["spikes.npy", "spikes_amplitudes.npy", "spikes.json"], "spikes"),
        (["beats.json", "beats_amplitudes.npy", "beats.npy"], "beats"),
        (["edges.npy"], "edges"),
    ],
)
def test_events_are_named_after_their_table(names, expected):
    assert events_name(targets(*names)) == expected


@pytest.mark.parametrize("names", [[], ["spikes.json"], ["spikes.npy", "beats.npy"]])
def test_what_makes_no_table_of_events_is_refused(names):
    with pytest.raises(RunStopped, match="'events' in requires"):
        events_name(targets(*names))


def test_events_of_a_table_alone_have_no_amplitudes(tmp_path):
    import numpy as np

    np.save(tmp_path / "edges.npy", np.array([[3, 0], [5, 1]]))

    class Found:
        task_family = "Edges"

        def output(self):
            return luigi.LocalTarget(str(tmp_path / "edges.npy"))

    events = events_of(Found())
    assert (events.name, len(events.table), events.amplitudes, events.summary) == ("Edges", 2, None, {})
