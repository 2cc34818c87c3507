"""Results by their records: which files of a folder are records, and which files belong to a result."""

import hashlib
import json
import os

import pytest

from neuroluigi.provenance.contents import why_not_read
from neuroluigi.results.recorded import (
    RecordedResult,
    differs,
    located,
    recorded_results,
    run_folders,
    why_not_written,
    writing,
)
from neuroluigi.steps.config import RunStopped, shown_path


def write_result(folder, step, content=b"0123", **record):
    """Write a file with its record; return the file, and what the record has of it."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    path = folder / f"{step.lower()}.bin"
    path.write_bytes(content)
    stat = path.stat()
    output = {
        "root": "results",
        "path": f"{folder.name}/{path.name}",
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    whole = {"schema": 1, "step": step, "outputs": [output], **record}
    (folder / "runs" / f"{step}.json").write_text(json.dumps(whole))
    return path, output


def test_each_record_is_one_result_whatever_lies_beside_it(tmp_path, declare):
    folder = tmp_path / "results" / "a"
    path, _ = write_result(folder, "Stats")
    runs = folder / "runs"
    for name in ("Stats.log", "Stats.failed.log", "Stats.failed.json", "Stats.pending.json", "Stats.part-x-1-2.json"):
        (runs / name).write_text("{}")
    (runs / "Edges.failed.json").write_text('{"error": "no samples", "step": "Edges"}')
    (runs / "Broken.json").write_text('{"step": ')
    found = {one.path.name: one for one in recorded_results(tmp_path / "results")}
    assert {name: one.step for name, one in found.items()} == {
        "Broken.json": "",
        "Edges.json": "Edges",
        "Stats.json": "Stats",
    }
    stats = found["Stats.json"]
    assert (stats.folder, list(stats.outputs), stats.files) == (folder, [path], [path])
    names = ["Stats.failed.json", "Stats.failed.log", "Stats.log", "Stats.json"]
    assert [one.name for one in stats.traces] == names, "the record comes last"
    assert found["Edges.json"].record is None and found["Edges.json"].files == []
    path.unlink()
    assert stats.files == [] and list(stats.outputs) == [path]


def test_folders_of_records_are_found_at_any_depth(tmp_path):
    for name in ("b/runs", "a/deeper/runs", "c"):
        (tmp_path / name).mkdir(parents=True)
    assert run_folders([tmp_path]) == [tmp_path / "a" / "deeper" / "runs", tmp_path / "b" / "runs"]
    assert run_folders([tmp_path / "absent"]) == []


def test_a_path_is_todays_by_the_name_of_its_root(tmp_path, declare):
    assert located({"root": "results", "path": "a/x.bin"}) == tmp_path / "results" / "a" / "x.bin"
    assert located({"path": "/data/x.bin"}).as_posix() == "/data/x.bin"


def test_a_file_differs_by_its_bytes_and_not_by_its_time(tmp_path):
    path, output = write_result(tmp_path, "Stats")
    assert not differs(path, output)
    os.utime(path, (1, 1))
    assert not differs(path, output)
    path.write_bytes(b"0124")
    os.utime(path, (2, 2))
    assert differs(path, output)
    path.write_bytes(b"01234")
    assert differs(path, output)
    path.unlink()
    assert not differs(path, output)
    path.symlink_to("nowhere")
    assert differs(path, output)


def test_a_folder_that_can_not_be_written_is_one_line(tmp_path):
    line = rf"^neuroluigi: can't write to {tmp_path}: \[Errno 21\] Is a directory"
    with pytest.raises(RunStopped, match=line), writing(tmp_path):
        tmp_path.open("w")


def test_a_record_speaks_of_what_is_in_its_own_folder_alone(tmp_path, declare):
    results = tmp_path / "results"
    _, output = write_result(results / "a", "Stats")
    write_result(results / "a" / "deeper" / "b", "Edges")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "stats.bin").write_bytes(b"0123")
    (results / "a" / "link").symlink_to(tmp_path / "far")
    (results / "a" / "same").symlink_to(results / "a")
    named = {
        "a/stats.bin": True,
        "a/deeper/other.bin": True,
        "a/deeper/../stats.bin": True,
        "a/same/stats.bin": True,
        "a/link": True,
        "a/link/stats.bin": False,
        "a/link/../x.bin": False,
        "a/..": False,
        "a/deeper/..": False,
        "a": False,
        "": False,
        "b/stats.bin": False,
        "../far/stats.bin": False,
        str(tmp_path / "far" / "stats.bin"): False,
        # They have records of their own.
        "a/deeper/b/edges.bin": False,
    }
    record = {"schema": 2, "step": "Stats", "outputs": [{**output, "path": name} for name in named]}
    (results / "a" / "runs" / "Stats.json").write_text(json.dumps(record))
    stats = RecordedResult(results / "a" / "runs" / "Stats.json", record, "Stats")
    located_at = {name: located({**output, "path": name}) for name in named}
    assert {name: located_at[name] in stats.outputs for name in named} == named
    assert {name: located_at[name] not in stats.elsewhere for name in named} == named


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_no_command_changes_what_a_link_leads_to_nor_other_kinds_of_files(tmp_path, declare):
    results = tmp_path / "results"
    path, _ = write_result(results / "a", "Stats")
    record = results / "a" / "runs" / "Stats.json"
    assert why_not_written(record, [path]) == "" and why_not_read(path) == ""
    path.rename(tmp_path / "far.bin")
    assert why_not_written(record, [path]) == "", "nothing is there"
    path.symlink_to(tmp_path / "far.bin")
    assert why_not_written(record, [path]) == f"{shown_path(path)} is a link, which is not followed"
    assert why_not_read(path) == "is a link, which is not followed"
    path.unlink()
    os.mkfifo(path)
    assert why_not_written(record, [path]) == f"{shown_path(path)} is neither a file nor a folder"
    path.unlink()
    # A folder that has records is none that a step made.
    write_result(results / "a" / "inner" / "b", "Edges")
    inner = results / "a" / "inner" / "b" / "runs"
    assert why_not_written(record, [results / "a" / "inner"]) == f"{shown_path(inner)} has run records of its own"
    for linked in (record.parent, results / "a"):
        linked.rename(tmp_path / "moved")
        linked.symlink_to(tmp_path / "moved")
        assert why_not_written(record, [path]) == f"{shown_path(linked)} is a link, which is not followed"
        linked.unlink()
        (tmp_path / "moved").rename(linked)
    # The folder of results itself may be one.
    results.rename(tmp_path / "disk")
    results.symlink_to(tmp_path / "disk")
    assert why_not_written(record, [path]) == ""
