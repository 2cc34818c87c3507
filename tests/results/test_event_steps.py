"""What the commands show of event steps, in a pipeline that has one: a probe of two channels and a word."""

import csv
import io
import json

import pytest

from tests.conftest import Pipeline
from tests.recordings.test_found import write_run
from tests.results.event_steps import STEPS
from tests.results.test_table import ask

SETTINGS = ["--recordings-root", "data", "--matlab-engine", "numpy"]
GROUP = "m-0-imec0.ap"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    pipeline = Pipeline(tmp_path_factory.mktemp("events") / "lab")
    write_run(pipeline.folder / "data", "m_g0_t0.imec0.ap", samples=10)
    pipeline.add(STEPS)
    pipeline.run("All", *SETTINGS)
    return pipeline


def command(lab, *arguments):
    return ask(lab.folder, "--task", "All", *arguments, *SETTINGS)


def test_results_have_counts_rates_noise_levels_and_flags(lab):
    names = ["channel", "kind", "unit", "rate_hz", "noise", "level", "flag", "spikes"]
    rows = csv.reader(io.StringIO(command(lab, "results", "--csv", "--columns", ",".join(names))))
    # 2.34375 uV per count
    assert list(rows)[1:] == [
        ["0", "ap", "uV", "2.5", "9.375", "-46.875", "", "1"],
        ["1", "ap", "uV", "5.0", "93.75", "-468.75", "candidate", "2"],
        ["2", "digital", "", "", "", "", "not chosen", ""],
    ]
    counts = command(lab, "results", "--csv", "--counts", "--columns", "noise,level", "--where", "flag=candidate")
    assert counts.splitlines()[1:] == ["40.0,-200.0"]


def test_candidates_for_bad_channels_are_named_below_the_table_and_in_no_file(lab):
    line = command(lab, "results").splitlines()[-1]
    assert line.startswith(f"Channels whose noise is far from that of their neighbours: {GROUP} 1. To leave")
    assert "neighbours" not in command(lab, "results", "--csv")
    assert "neighbours" not in command(lab, "results", "--where", "channel=0")


def test_events_are_searched_on_the_command_line(lab):
    asked = ["--where", "name=AP1", "--where", "amplitude<-300", "--json"]
    (row,) = json.loads(command(lab, "events", GROUP, *asked))
    assert (row["peak"], row["amplitude"], row["unit"]) == (5, -328.125, "uV")
    (row,) = json.loads(command(lab, "events", GROUP, "--counts", "--where", "amplitude=-140", "--json"))
    assert row["channel"] == 1 and "unit" not in row
    header, *lines = command(lab, "events", GROUP).splitlines()
    assert header.split()[-6:] == ["name", "end", "peak", "polarity", "amplitude", "unit"] and len(lines) == 3
