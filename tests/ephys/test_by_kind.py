"""PlotAll: which steps are made of a group, by the kinds of its channels."""

import json
import subprocess

import pytest

from tests.conftest import (
    BIN,
    FORMATS,
    REAL_RECORDINGS,
    Pipeline,
    clean_environment,
    needs_formats,
    needs_real_recordings,
)

SESSIONS = ("locust20010201", "mitdb_100", "eeg_ttl", "eeg_biosemi139")
PICTURES_OF_SPIKES = {"Stats", "Spikes", "SpikeTraces", "Snippets", "SpikePlots"}


def steps(pipeline: Pipeline, *options) -> dict[str, set[str]]:
    """Return the steps of each group, but for Aggregate and what provides its recordings."""
    done = subprocess.run(
        [BIN / "neuroluigi", "status", "--json", *map(str, options)],
        cwd=pipeline.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    found: dict[str, set[str]] = {}
    for one in json.loads(done.stdout)["results"]:
        found.setdefault(one["row"], set()).add(one["step"])
    return {group: names - {"Aggregate"} for group, names in found.items()}


@needs_formats
def test_steps_of_real_recordings_are_those_of_their_kinds(pipeline):
    found = steps(pipeline, "--recordings-root", FORMATS)
    assert found["5-19-2022-CI0-0-imec0.ap"] == {*PICTURES_OF_SPIKES, "Lines"}
    assert found["5-19-2022-CI0-0-imec0.lf"] == {"Stats", "Traces", "Spectrum", "Lines"}
    assert found["DigitalChannelTest-0-nidq"] == found["file_per_signal_type-digitalin"] == {"Lines"}
    assert found["file_per_signal_type-amplifier"] == PICTURES_OF_SPIKES
    assert found["file_per_signal_type-auxiliary"] == found["file_per_signal_type-analogin"] == {"Stats", "Traces"}
    assert found["brainvision"] == {"Stats", "Edges", "Plot"}
    # 1 kHz: no spikes.
    assert found["blackrock-ns2"] & PICTURES_OF_SPIKES == {"Stats"}
    # Its rig wrote the lines as events.
    assert found["three_streams_v0.6-101-1-PXIe-6341"] == {"Stats", "Traces", "Lines"}
    # Its samples are not there, so that nothing is known of it; it fails with the reason.
    assert found["phase3a-imec.ap"] == {"Stats", "Edges", "Plot"}


@needs_real_recordings
def test_a_column_says_the_kind_and_settings_the_steps(pipeline):
    (pipeline.folder / "kinds.csv").write_text("session,kind\nlocust20010201,ap\nmitdb_100,analog\neeg_ttl,digital\n")
    options = (
        "--recordings-root",
        REAL_RECORDINGS,
        "--recordings-metadata",
        "kinds.csv",
        "--recordings-group-by",
        "session",
    )
    found = steps(pipeline, *options, "--PlotAll-analog", "Beats", "--PlotAll-unknown", "Filtered, Spectrum",
                  "--PlotAll-sessions", "Aligned")  # fmt: skip
    assert {row for row, names in found.items() if names == {"Aligned"}} == {f"sessions/{one}" for one in SESSIONS}
    assert {row: names for row, names in found.items() if names != {"Aligned"}} == {
        "locust20010201": PICTURES_OF_SPIKES,
        "mitdb_100": {"Beats"},
        "eeg_ttl": {"Lines"},
        "eeg_biosemi139": {"Filtered", "Spectrum"},
    }


@needs_real_recordings
def test_a_bad_channel_that_a_group_does_not_have_fails_its_steps_alone(pipeline):
    (pipeline.folder / "more.csv").write_text("session,kind,bad_channels\nlocust20010201,ap,ch77\n")
    options = ("--recordings-root", REAL_RECORDINGS, "--recordings-metadata", "more.csv", "--matlab-engine", "numpy")
    out = pipeline.run("PlotAll", *map(str, options), "--recordings-group-by", "session", code=30)
    assert "column bad_channels: group locust20010201 has no channel of the name, position or kind 'ch77'" in out
    assert "Failed: Spikes(group=locust20010201)." in out and "3 Edges, 3 Plot" in out


def test_a_name_that_is_no_class_stops_everything(pipeline):
    out = pipeline.run("PlotAll", "--PlotAll-unknown", "Plots", code=1)
    assert "luigi: [PlotAll] names 'Plots', and tasks.py has no class of that name; write one" in out


@pytest.mark.parametrize("names", ["Stats", "Stats, Stats"])
def test_a_step_that_several_name_is_made_once(pipeline, names):
    out = pipeline.run("PlotAll", "--PlotAll-unknown", names, "--FakeRecording-sessions", "s")
    assert "2 Stats." in out
