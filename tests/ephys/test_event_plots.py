"""EventPlots: several pictures of the events of one step; see the tests of signals."""

import pytest

from neuroluigi.provenance.record import read_record
from tests.conftest import FORMATS, needs_formats
from tests.ephys.spike_steps import pictures, run, with_spikes


@pytest.fixture
def lab(pipeline):
    return with_spikes(pipeline)


KINDS = ["intervals", "raster", "rates", "waveforms"]


def test_it_makes_a_picture_of_each_kind_named_after_the_events(lab):
    run(lab, "FallPlots")
    assert pictures(lab) == [f"spikes_{kind}.png" for kind in KINDS]
    record = read_record(lab.results / "s/runs/FallPlots.json")
    names = {one["path"].rpartition("/")[2] for one in record["inputs"]}
    assert {"spikes.npy", "spikes_amplitudes.npy", "spikes.json", "snippets.npy", "snippets.json"} < names
    assert "Nothing" in run(lab, "FallPlots")


def test_another_format_is_other_files_and_settings_are_remembered(lab):
    run(lab, "FallPlots")
    run(lab, "FallPlots", "--FallPlots-format", "svg")
    assert pictures(lab) == sorted(f"spikes_{kind}.{end}" for kind in KINDS for end in ("png", "svg"))
    assert "<svg" in (lab.results / "s/spikes_rates.svg").read_text(encoding="utf-8")
    assert read_record(lab.results / "s/runs/FallPlots.json")["fingerprint"] == {"format": "svg"}
    # Those of before are not taken for those of now.
    out = run(lab, "FallPlots")
    assert "Made: 1 FallPlots." in out and "Nothing" in run(lab, "FallPlots")


WITHOUT_SNIPPETS = """
class BarePlots(ephys.EventPlots):
    def requires(self):
        return {"aggregate": Aggregate(self.group), "events": Falls(self.group)}
"""


def test_without_snippets_there_are_no_waveforms(lab):
    lab.add(WITHOUT_SNIPPETS)
    run(lab, "BarePlots", "--BarePlots-channels", "1", "--BarePlots-window", "event")
    assert pictures(lab) == ["spikes_intervals.png", "spikes_raster.png", "spikes_rates.png"]
    fingerprint = read_record(lab.results / "s/runs/BarePlots.json")["fingerprint"]
    assert fingerprint == {"channels": ["1"], "window": "event"}


def test_a_channel_that_is_not_there_fails_the_step_with_its_name(lab):
    out = run(lab, "FallPlots", "--FallPlots-channels", "7", code=30)
    assert "channels: '7' is neither the name of a channel of the group nor a position from 0 to 1" in out


@needs_formats
def test_where_positions_are_known_there_is_one_by_depth(lab):
    group = "5-19-2022-CI2-0-imec0.ap"
    run(lab, "FallPlots", "--results-root", "results", group=group, root=FORMATS / "spikeglx/CI2_gap1s")
    assert pictures(lab, group) == [f"spikes_{kind}.png" for kind in ("depth", *KINDS)]
