"""What a run had not flushed is read again after the machine stopped; and what a stranger's list can't do."""

import json
import logging
import os
import sys
from pathlib import Path

import pytest

from neuroluigi.provenance import power_cut, unflushed
from neuroluigi.provenance.clearing import clear_killed
from neuroluigi.provenance.contents import describe
from neuroluigi.provenance.disks import boot_id
from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.power_cut import in_doubt
from neuroluigi.provenance.register import Register, register_folder
from neuroluigi.provenance.unflushed import Unflushed, flushed_later, read_unflushed

RUN = "0123456789abcdef"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="disks are flushed as a whole on Linux alone")


def make_result(results, group="g", content=b"content", ignore=()):
    """Make a result with a record, and return its path and that of the record."""
    path, record = results / group / "a.bin", results / group / "runs" / "Step.json"
    record.parent.mkdir(parents=True)
    path.write_bytes(content)
    outputs = [describe(path, {"results": results}, ignore=ignore)]
    write_json(record, {"schema": 2, "step": "Step", "outputs": outputs, "log": "Step.log"})
    return path, record


def leave_register(results, names, boot="an earlier start", **note):
    """Leave the register of a run that did not end."""
    folder = register_folder(results)
    folder.mkdir(parents=True, exist_ok=True)
    note = {"command": "luigi", "settings": {}, "durable": "run", "boot": boot, **note}
    (folder / f"{RUN}.json").write_text(json.dumps(note))
    (folder / f"{RUN}.lock").touch()
    (folder / f"{RUN}.unflushed").write_text(json.dumps(names))
    return folder / f"{RUN}.json"


def lose_bytes(path):
    """Have zeros in place of a file's bytes, of the same size and time."""
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


NAMES = {"g/runs/Step.json": ["a.bin"]}


def test_a_result_that_lost_its_bytes_is_put_aside_and_a_whole_one_stays(tmp_path, caplog):
    lost, _ = make_result(tmp_path)
    whole, _ = make_result(tmp_path, "h")
    lose_bytes(lost)
    path = leave_register(tmp_path, {**NAMES, "h/runs/Step.json": ["a.bin"], "i/runs/Step.json": ["a.bin"]})
    assert in_doubt(tmp_path) == {str(tmp_path / group / "runs" / "Step.json") for group in "ghi"}
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        clear_killed(tmp_path, [tmp_path])
    assert not lost.exists() and lost.with_name("a.bin.damaged").read_bytes() == bytes(7)
    assert whole.read_bytes() == b"content" and not path.exists() and not in_doubt(tmp_path)
    assert "the machine stopped during a run; 2 results were read again, 1 of them are made again" in caplog.text


def test_a_json_file_whose_places_were_written_anew_is_whole(tmp_path):
    moved, _ = make_result(tmp_path, "g", b'{"path": "a", "n": 1}', ignore=("path",))
    lost, _ = make_result(tmp_path, "h", b'{"path": "a", "n": 1}', ignore=("path",))
    moved.write_bytes(b'{"path": "/mnt/b", "n": 1}')
    lose_bytes(lost)
    leave_register(tmp_path, {f"{group}/runs/Step.json": ["a.bin"] for group in "gh"})
    clear_killed(tmp_path, [tmp_path])
    assert moved.exists() and not lost.exists()


@pytest.mark.parametrize("record", [None, b"", bytes(300), b'{"schema": 2, "outp', b"[]"])
def test_a_file_whose_record_is_lost_is_not_taken_as_done(tmp_path, record):
    path, record_path = make_result(tmp_path)
    record_path.unlink()
    if record is not None:
        record_path.write_bytes(record)
    leave_register(tmp_path, NAMES)
    clear_killed(tmp_path, [tmp_path])
    assert not path.exists() and path.with_name("a.bin.damaged").read_bytes() == b"content"


def test_what_was_killed_in_this_start_of_the_machine_is_flushed_and_not_read(tmp_path, monkeypatch, caplog):
    path, _ = make_result(tmp_path)
    lose_bytes(path)
    flushed = []
    monkeypatch.setattr(power_cut, "flush_disk_of", flushed.append)
    leave_register(tmp_path, NAMES, boot=boot_id())
    assert not in_doubt(tmp_path)
    clear_killed(tmp_path, [tmp_path])
    assert path.exists() and flushed == [tmp_path] and "read again" not in caplog.text


def test_a_register_stays_while_what_it_names_can_not_be_flushed(tmp_path, monkeypatch):
    def fail(folder):
        raise OSError(5, "Input/output error")

    make_result(tmp_path)
    monkeypatch.setattr(power_cut, "flush_disk_of", fail)
    path = leave_register(tmp_path, NAMES)
    clear_killed(tmp_path, [tmp_path])
    assert path.exists() and in_doubt(tmp_path)


def test_a_run_that_is_alive_elsewhere_is_believed(tmp_path):
    make_result(tmp_path)
    register = Register.open(tmp_path, {"command": "luigi", "settings": {}})
    register.note.update(durable="run", boot="of another machine", machine="another")
    register.write_note()
    (register.path.with_suffix(".unflushed")).write_text(json.dumps(NAMES))
    try:
        assert not power_cut._in_doubt(tmp_path)
    finally:
        register.close()
    assert in_doubt(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        {"../outside/runs/Step.json": ["a.bin"]},
        {"g/runs/Step.json": ["../../outside/a.bin"]},
        {"/etc/runs/passwd.json": ["a.bin"]},
        {"link/runs/Step.json": ["a.bin"]},
        {"g/runs/Step.json": ["link/a.bin"]},
        {"g/runs/None.json": "a.bin", "g/runs/X.json": [1, None], "g/runs/Y.json": [""], "g/Z.json": ["a.bin"]},
        {"\0/runs/Step.json": ["a.bin"], "g/runs/Step.json": ["\0"], "g\\runs\\Step.json": ["..\\a.bin"]},
        {},
        [],
        None,
    ],
)
def test_a_strangers_list_leads_nowhere(tmp_path, names):
    results, outside = tmp_path / "results", tmp_path / "outside"
    path, _ = make_result(results)
    (outside / "runs").mkdir(parents=True)
    (outside / "a.bin").write_bytes(b"outside")
    (results / "link").symlink_to(outside)
    (results / "g" / "link").symlink_to(outside)
    leave_register(results, names)
    in_doubt(results)
    clear_killed(results, [results])
    assert sorted(one.name for one in outside.rglob("*")) == ["a.bin", "runs"]
    assert path.read_bytes() == b"content" and not list(tmp_path.rglob("*.damaged"))


def test_only_what_was_named_waits_for_the_flush(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    results = tmp_path / "results"
    results.mkdir()
    (results / "linked").symlink_to(elsewhere)
    named, linked, outside = (one / "runs" / "Step.json" for one in (results / "g", results / "linked", elsewhere))
    register = Register.open(results, {"command": "luigi", "settings": {}})
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    try:
        run = Unflushed(register, {one: [one.parent.parent / "a.bin"] for one in (named, linked, outside)})
        # The note outlives a power cut before anything that it names.
        assert {str(register.folder), str(results), str(tmp_path)} <= set(synced)
        assert read_unflushed(register.path) == {"g/runs/Step.json": ["a.bin"]}
        for record, is_synced in ((named, False), (linked, True), (outside, True), (results / "h/runs/X.json", True)):
            synced.clear()
            with flushed_later(record):
                write_json(tmp_path / "x.json", {})
            assert bool(synced) == is_synced, record
        run.note_done(named)
        run.end()
        assert read_unflushed(register.path) == {} and run.error is None
    finally:
        register.close()


def test_results_are_flushed_while_the_run_goes_on(tmp_path, monkeypatch):
    flushed = unflushed.threading.Event()
    write = Unflushed._write_left
    monkeypatch.setattr(unflushed, "_SECONDS", 0.01)
    register = Register.open(tmp_path, {"command": "luigi", "settings": {}})
    record = tmp_path / "g" / "runs" / "Step.json"
    try:
        run = Unflushed(register, {record: [tmp_path / "g" / "a.bin"]})
        monkeypatch.setattr(Unflushed, "_write_left", lambda self: (write(self), flushed.set()))
        run.note_done(record)
        assert flushed.wait(30) and read_unflushed(register.path) == {}
        run.end()
    finally:
        register.close()


def test_after_an_error_of_the_disk_nothing_of_the_run_is_called_safe(tmp_path, monkeypatch, caplog):
    def fail(self):
        raise OSError(5, "Input/output error")

    path, record = make_result(tmp_path)
    register = Register.open(tmp_path, {"command": "luigi", "settings": {}})
    flush = unflushed.Disk.flush
    try:
        run = Unflushed(register, {record: [path]})
        run.note_done(record)
        monkeypatch.setattr(unflushed.Disk, "flush", fail)
        run._flush()
        # The system tells it once.
        monkeypatch.setattr(unflushed.Disk, "flush", flush)
        run.end()
        assert run.error is not None and read_unflushed(register.path) == NAMES
        assert "can't be flushed to the disk" in caplog.text and "Input/output error" in caplog.text
    finally:
        register.close()
    assert in_doubt(tmp_path) == {str(record)}
    lose_bytes(path)
    clear_killed(tmp_path, [tmp_path])
    assert not path.exists() and "the disk failed during a run; 1 results were read again, 1 of them" in caplog.text
