"""What a run record has of one attempt: inputs with their checksums, times, errors."""

import hashlib
import json
import os
import time

import luigi
import pytest

from neuroluigi.provenance import files
from neuroluigi.steps.describe import StepError, describe_input, describe_times, has_changed, stamp_of, start_clock
from neuroluigi.steps.target import RecordingTarget, ResultFolder, ResultTarget

SHA256 = hashlib.sha256(b"0123").hexdigest()


@pytest.fixture
def roots(tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    return {"results": tmp_path / "results", "recordings": tmp_path / "data"}


@pytest.fixture
def hashed(monkeypatch):
    """The files that are hashed."""
    paths, hash_file = [], files.hash_file
    monkeypatch.setattr(files, "hash_file", lambda path, *more: paths.append(path) or hash_file(path, *more))
    return paths


def test_an_input_is_hashed_once_and_then_known_by_its_record(roots, hashed):
    path = roots["results"] / "a.bin"
    path.write_bytes(b"0123")
    record = roots["results"] / "runs" / "A.json"
    target = ResultTarget(path, record)
    described = describe_input(target, roots, record.parent)
    assert described["root"] == "results" and described["path"] == "a.bin"
    assert (described["bytes"], described["sha256"]) == (4, SHA256)
    assert described["mtime_ns"] == path.stat().st_mtime_ns and len(hashed) == 1
    record.write_text(json.dumps({"schema": 1, "step": "A", "outputs": [described]}))
    assert describe_input(target, roots, record.parent) == described and len(hashed) == 1
    # A recording is an input of another step's record.
    recording = RecordingTarget(str(path), recording="a/0")
    (record.parent / "B.json").write_text(json.dumps({"schema": 1, "step": "B", "inputs": [described]}))
    assert describe_input(recording, roots, record.parent) == {**described, "recording": "a/0"} and len(hashed) == 1
    path.write_bytes(b"01234")
    assert describe_input(target, roots, record.parent)["bytes"] == 5 and len(hashed) == 2


def test_a_folder_is_hashed_once_and_known_by_its_record_with_what_that_ignores(roots, hashed):
    path = roots["results"] / "sorted"
    path.mkdir()
    (path / "a.bin").write_bytes(b"0123")
    (path / "phy.log").write_bytes(b"log")
    record = roots["results"] / "runs" / "Sort.json"
    described = describe_input(ResultFolder(path, record, ignore="phy.log"), roots, record.parent)
    assert (described["files"], described["bytes"], described["ignore"]) == (1, 4, ["phy.log"])
    assert described["sha256"] == hashlib.sha256(f"{SHA256}  a.bin\n".encode()).hexdigest()
    record.write_text(json.dumps({"schema": 2, "step": "Sort", "outputs": [{**described, "sha256": "known"}]}))
    # What the lab ignores since makes it no other result.
    again = describe_input(ResultFolder(path, record, ignore=("phy.log", "*.tmp")), roots, record.parent)
    assert again == {**described, "sha256": "known"}
    # A folder of any other task counts with all that is in it.
    assert describe_input(luigi.LocalTarget(path), roots, record.parent)["files"] == 2


def test_a_folder_has_changed_where_a_file_that_counts_has(roots, tmp_path):
    path = tmp_path / "sorted"
    path.mkdir()
    (path / "a.bin").write_bytes(b"0123")
    target = ResultFolder(path, ignore="phy.log")
    stamp, before = stamp_of(path), describe_input(target, roots, tmp_path)
    (path / "phy.log").write_bytes(b"log")
    assert stamp_of(path) != stamp and not has_changed(path, before, stamp)
    (path / "b.bin").write_bytes(b"4")
    assert has_changed(path, before, stamp)


def test_a_recording_that_is_not_that_of_the_table_is_refused(roots, tmp_path):
    path = tmp_path / "rec.bin"
    path.write_bytes(b"0123")
    assert describe_input(RecordingTarget(str(path), sha256=SHA256), roots, tmp_path)["sha256"] == SHA256
    with pytest.raises(StepError, match=f"rec.bin is not the file that .* its sha256 is {SHA256}, the table says ff"):
        describe_input(RecordingTarget(str(path), sha256="ff"), roots, tmp_path)


def test_times_are_counted_from_the_start(monkeypatch):
    start = start_clock()
    monkeypatch.setattr(time, "monotonic", lambda: start["monotonic"] + 1.23456)
    monkeypatch.setattr(time, "process_time", lambda: start["cpu"] + 0.5)
    times = describe_times(start)
    assert (times["seconds"], times["cpu_seconds"], times["started"]) == (1.235, 0.5, start["started"])
    assert times["ended"] >= times["started"]


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_has_changed(roots, tmp_path):
    path = tmp_path / "rec.bin"
    path.write_bytes(b"0123")
    os.utime(path, (1, 1))
    stamp, before = stamp_of(path), describe_input(RecordingTarget(str(path)), roots, tmp_path)
    assert not has_changed(path, before, stamp)
    # Touched, linked, and with other permissions it is the same.
    path.chmod(0o600)
    assert stamp_of(path) != stamp and not has_changed(path, before, stamp)
    other = tmp_path / "other.bin"
    other.write_bytes(b"4567")
    os.utime(other, (1, 1))
    other.replace(path)
    assert has_changed(path, before, stamp)
    path.write_bytes(b"01234")
    assert has_changed(path, before, stamp)
