"""Runs at the same time on one folder of results."""

import subprocess
import sys
import time

import pytest

from neuroluigi.provenance import run_lock
from tests import commands
from tests.conftest import BIN
from tests.lab import Lab, nothing


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("runs") / "lab")
    lab.go()
    return lab


@pytest.fixture
def lab(first, tmp_path):
    return first.copied_to(tmp_path / "lab")


def test_a_lock_of_an_earlier_release_that_can_not_be_opened(tmp_path):
    """As another user's: its run counts as being at work."""
    folder = tmp_path / ".runs"
    (folder / "else-where-1.lock").mkdir(parents=True)
    (folder / "else-where-1.json").write_text('{"command": "luigi Theirs", "settings": {}}')
    assert run_lock.running(tmp_path) == ["luigi Theirs, process 1 on else-where"]
    assert run_lock.is_running(tmp_path, "", "else-where", 1)


FAKES = ["--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]


def start(lab, *arguments):
    return lab.start("PlotAll", *FAKES, *arguments)


def test_runs_with_other_settings_wait_for_each_other_and_both_end_well(lab):
    both = [start(lab, "--Edges-threshold", threshold, "--workers", 2) for threshold in ("0.1", "0.9")]
    while all(run.poll() is None for run in both):
        time.sleep(0.01)
    last = "0.1" if both[0].poll() is None else "0.9"
    out = [run.communicate(timeout=60)[0] for run in both]
    assert [run.returncode for run in both] == [0, 0], out
    told = [text for text in out if "waiting for another run on these results, which has other settings" in text]
    # Where both came at the same moment, both may step back and say so.
    assert told and all("Edges.threshold" in text for text in told)
    assert all("Made: 2 Edges, 2 Plot." in text for text in out)
    assert not (lab.results / ".runs").exists()
    # What the last one made is right.
    assert nothing(lab.go("--Edges-threshold", last))


def test_of_many_that_come_at_once_those_that_agree_alone_are_in_together(tmp_path):
    program = """
import pathlib, sys, time
from neuroluigi.provenance import run_lock
results, value = pathlib.Path(sys.argv[1]), sys.argv[2]
for _ in range(10):
    with run_lock.side_by_side(results, {"Mine.level": value}, "luigi " + value):
        inside = pathlib.Path(f"{results}.inside-{value}")
        inside.mkdir()
        assert not list(results.parent.glob("*.inside-*"))[1:], "not alone"
        time.sleep(0.02)
        assert not list(results.parent.glob("*.inside-*"))[1:], "not alone"
        inside.rmdir()
"""
    command = [sys.executable, "-c", program, tmp_path / "results"]
    all_of_them = [subprocess.Popen([*command, str(value)], stderr=subprocess.PIPE) for value in range(4)]
    errors = [one.communicate(timeout=300)[1] for one in all_of_them]
    assert [one.returncode for one in all_of_them] == [0] * 4, errors
    assert not (tmp_path / "results" / ".runs").exists()


def test_runs_that_agree_go_side_by_side(tmp_path, caplog):
    settings = {"Edges.threshold": "0.75"}
    with run_lock.side_by_side(tmp_path, settings, "luigi A"):
        (name,) = run_lock.running(tmp_path)
        assert name.startswith("luigi A, process ")
        with run_lock.side_by_side(tmp_path, {**settings, "Mine.level": "1"}, "luigi B"):
            assert "waiting" not in caplog.text
    assert run_lock.running(tmp_path) == []


def test_a_run_that_was_killed_keeps_nobody_waiting(lab):
    run = start(lab, "--Edges-threshold", "0.1")
    deadline = time.monotonic() + 60
    while not list((lab.results / ".runs").glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.kill()
    run.communicate()
    assert "waiting" not in lab.go()[2] and not list((lab.results / ".runs").glob("*.json"))


def test_nothing_is_cleaned_while_a_run_is_at_work(lab):
    before = lab.files()
    with run_lock.side_by_side(lab.results, {}, "luigi A"):
        done = commands.run(
            [BIN / "neuroluigi", "clean", "--step", "Edges", "--yes", *FAKES],
            cwd=lab.folder,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1 and "a run is working on these results: luigi A" in done.stderr
    assert lab.files() == before


def test_a_run_that_makes_nothing_leaves_no_folder(tmp_path):
    with run_lock.side_by_side(tmp_path / "results", {}, "luigi A"):
        assert (tmp_path / "results").is_dir()
    assert not (tmp_path / "results").exists()


def test_what_no_run_wrote_is_not_removed(tmp_path):
    (tmp_path / ".runs").mkdir()
    for content in ("{}", "[1]", "mine", '{"count": 5}'):
        (tmp_path / ".runs" / "notes.json").write_text(content)
        assert run_lock.running(tmp_path) == [] and (tmp_path / ".runs" / "notes.json").read_text() == content
