"""neuroluigi.open: the same as the commands print in the lab's folder, and nothing of it left in the process."""

import json
import subprocess

import numpy as np
import pytest

import neuroluigi
from neuroluigi import RunStopped
from tests import commands
from tests.conftest import BIN, clean_environment


def printed(folder, *words, code=0):
    """Return the JSON that a command prints in a folder."""
    process = commands.start([BIN / "neuroluigi", *words, "--json"], cwd=folder, env=clean_environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    return json.loads(out)


@pytest.fixture
def without_pandas(monkeypatch):
    monkeypatch.setattr("neuroluigi.notebook.frame.has_pandas", lambda: False)


def test_results_are_those_of_the_command(finished, finished_folder, without_pandas):
    shown = finished.results(where="mean>-1.5")
    assert shown.rows == printed(finished_folder, "results", "--where", "mean>-1.5")
    # In mV: 100 counts of 0.5 mV, and the offset of -1 mV.
    assert {row["max"] for row in shown.rows} == {49.0}


def test_events_are_those_of_the_command(finished, finished_folder, without_pandas):
    shown = finished.events("m", where="channel=1").rows
    expected = printed(finished_folder, "events", "m", "--where", "channel=1")
    assert [row.pop("time_s") for row in shown] == [row.pop("seconds") for row in expected]
    assert [row.pop("name") for row in shown] == [row.pop("amplitude") for row in shown] == [None] * len(expected)
    assert shown == expected and len(shown) > 20


def test_the_first_columns_of_events(finished, without_pandas):
    assert finished.events("n").columns[:5] == ["time_s", "sample", "channel", "name", "amplitude"]


def test_status_is_that_of_the_command(copied, without_pandas):
    assert copied.status().is_done and copied.status().counts == {"done": 6}
    (copied.folder / "results" / "n" / "edges.npy").unlink()
    status = copied.status()
    assert status.rows == printed(copied.folder, "status", code=1)["results"]
    assert not status.is_done and status.counts == {"done": 5, "missing": 1}
    assert ("n", "missing") in zip(status.table["group"], status.table["Edges"], strict=True)


def test_what_is_run_from_elsewhere_is_done_for_the_command(finished_folder):
    layout = json.loads((finished_folder / "results" / "m" / "aggregate.json").read_text())
    # As the command writes it: relative, since luigi.cfg declares it so.
    assert layout["roots"] == {"results": "..", "recordings": "../../data"}
    assert {row["state"] for row in printed(finished_folder, "status")["results"]} == {"done"}


def test_recordings_and_groups(finished, without_pandas):
    assert list(finished.groups) == ["m", "n"]
    assert [(row["group"], row["path"]) for row in finished.recordings.rows] == [
        ("m", "m0.bin"), ("m", "m1.bin"), ("n", "n0.bin"),
    ]  # fmt: skip


def test_a_variant(copied, without_pandas):
    result = copied.run(variants="high", progress=False)
    assert result.made == {"Edges": 2}
    base, high = copied.events("m"), copied.events("m", variant="high")
    samples = np.concatenate(
        [np.fromfile(copied.folder / "data" / f"m{index}.bin", "<i2").reshape(-1, 2) for index in (0, 1)]
    )
    rises = [
        (sample, channel)
        for sample in range(1, 500)
        for channel in (0, 1)
        if sample != 250 and samples[sample - 1, channel] < 60 <= samples[sample, channel]
    ]
    assert list(zip(high["sample"].tolist(), high["channel"].tolist(), strict=True)) == rises
    assert base["sample"].tolist() != high["sample"].tolist()
    counts = copied.results(variant="high")
    assert counts["edges"][:2] == [sum(channel == one for _, channel in rises) for one in (0, 1)]
    everything = copied.results().rows
    assert everything == printed(copied.folder, "results")
    of_high = [row["edges"] for row in everything if row["variant"] == "high"]
    assert counts["edges"] == of_high != [row["edges"] for row in everything if row["variant"] is None]
    with pytest.raises(RunStopped, match="there is no variant 'low'"):
        copied.results(variant="low")


def test_what_there_is_not(finished, tmp_path):
    for ask, words in (
        (lambda: finished["o"], "there is no group 'o'"),
        (lambda: finished.events("o"), "there is no group 'o'"),
        (lambda: finished.events("m", "spikes"), "spikes.npy does not exist"),
        (lambda: finished.results(where="colour=red"), "there is no column 'colour'"),
        (lambda: finished.session("o"), "there is no session 'o'"),
    ):
        with pytest.raises(ValueError, match=words):
            ask()
    with pytest.raises(RunStopped, match="there is no folder"):
        neuroluigi.open(tmp_path / "nowhere")
    with pytest.raises(RunStopped, match=r"neither tasks.py nor luigi.cfg"):
        neuroluigi.open(tmp_path)


def test_results_without_tasks(copied, without_pandas):
    settings, before = copied.folder / "luigi.cfg", copied.results()["edges"]
    settings.write_text(settings.read_text().partition("[variants]")[0])
    (copied.folder / "tasks.py").unlink()
    assert copied.results()["edges"] == before and len(copied.events("m"))
    with pytest.raises(RunStopped, match=r"there is no tasks\.py"):
        copied.status()


def test_names_of_any_text_in_html(copied, without_pandas):
    table = "session,index,path,dtype,channels,note\na&lt;b,0,m0.bin,int16,2,<img src=x onerror=alert(1)>\n"
    (copied.folder / "data" / "recordings.csv").write_text(table)
    for one in (copied, copied["a&lt;b"], copied.status(), copied.recordings, copied.session("a&lt;b")):
        assert "a&amp;lt;b" in one._repr_html_() and "<img" not in one._repr_html_()
