"""The record of the last run: what is taken for one, and the state of the code in Git."""

import math
import os
import shutil
import socket
import subprocess

import pytest

from neuroluigi.provenance import run_lock
from neuroluigi.provenance.run_record import (
    git_state,
    read_run_record,
    run_log_path,
    run_record_path,
    was_killed,
    write_run_record,
)

RECORD = {
    "schema": 1,
    "command": ["luigi", "PlotAll"],
    "host": {"name": "lab1"},
    "git": {},
    "settings": [],
    "made": {"Stats": 2},
    "failed": [],
    "log": "run.log",
    "started": "2026-01-31T12:00:00.000+01:00",
}


def test_a_record_comes_back(tmp_path):
    write_run_record(tmp_path, RECORD)
    assert read_run_record(tmp_path) == RECORD
    assert run_record_path(tmp_path).name == "run.json" and run_log_path(tmp_path).name == "run.log"
    write_run_record(tmp_path / "missing", RECORD)
    assert read_run_record(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": 2},
        {"schema": "1"},
        {"command": "luigi"},
        {"host": []},
        {"made": None},
        {"started": "yesterday"},
        {"started": "2026-01-31T12:00:00"},
        {"ended": 7},
        {"seconds": "3"},
        {"seconds": math.inf},
        {"log": "run\n.log"},
        {"log": 7},
    ],
)
def test_a_record_with_a_field_of_another_kind_is_none(tmp_path, changed):
    write_run_record(tmp_path, {**RECORD, **changed})
    assert read_run_record(tmp_path) is None


def test_a_run_without_an_end_was_killed_unless_it_still_runs(tmp_path):
    own = {**RECORD, "host": {"name": socket.gethostname()}, "pid": os.getpid()}
    assert was_killed(tmp_path, own) and not was_killed(tmp_path, {**own, "ended": own["started"]})
    with run_lock.side_by_side(tmp_path, {}, "luigi PlotAll"):
        assert not was_killed(tmp_path, own)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_and_whether_the_code_is_as_committed(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@lab.example"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    assert git_state(tmp_path, ()) == {}
    git("init")
    (tmp_path / "tasks.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    state = git_state(tmp_path, [tmp_path / "results"])
    assert len(state["commit"]) == 40 and state["is_clean"]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "new.json").touch()
    assert git_state(tmp_path, [tmp_path / "results"]) == state
    assert not git_state(tmp_path, ())["is_clean"]
    (tmp_path / "tasks.py").write_text("2")
    assert git_state(tmp_path, [tmp_path / "results"]) == {**state, "is_clean": False}
