"""What runs flush, and what the next one does after a power cut, with the real commands."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import neuroluigi
from neuroluigi import StudyTask
from neuroluigi.provenance import unflushed
from tests import commands
from tests.commands import BIN, clean_environment
from tests.conftest import Pipeline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="disks are flushed as a whole on Linux alone")

# Quick makes a file; Slow waits for ever, once it has said that it runs.
STEPS = """
import os, pathlib, time

class Quick(StudyTask):
    def output(self):
        return self.result("quick.txt")

    def make(self, out):
        out.write_text("right\\n" * 9)

class Slow(StudyTask):
    def requires(self):
        return Quick()

    def output(self):
        return self.result("slow.txt")

    def make(self, out):
        if "WAITS" in os.environ:
            print("slow", file=open(os.environ["WAITS"], "w"))
            time.sleep(600)
        out.write_text("slow")
"""


class Flushed(StudyTask):
    def output(self):
        return self.result("flushed.txt")

    def make(self, out):
        out.write_text("flushed")


def look(lab: Pipeline, *words: str, code: int = 0) -> str:
    done = commands.run(
        [BIN / "neuroluigi", *words],
        cwd=lab.folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done
    return done.stdout + done.stderr


def killed_run(lab: Pipeline, *words: str) -> None:
    """Kill a run while Slow runs, after Quick was made."""
    waits = lab.folder / "waits"
    os.mkfifo(waits)
    process = lab.start("Slow", *words, env={"WAITS": str(waits)}, forks=False)
    waits.read_text()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


@pytest.fixture
def lab(pipeline):
    pipeline.add(STEPS)
    return pipeline


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_power_cut_the_next_run_reads_again_what_was_not_flushed(lab, workers):
    killed_run(lab, "--results-durable", "run", "--workers", str(workers))
    (note,) = (lab.results / ".runs").glob("*.json")
    about = json.loads(note.read_text())
    assert about["durable"] == "run" and about["boot"]
    assert "Quick" in note.with_suffix(".unflushed").read_text()
    # As if the machine had started since, and the bytes were lost.
    note.write_text(json.dumps({**about, "boot": "an earlier start"}))
    quick = lab.results / "study" / "quick.txt"
    before = quick.stat()
    quick.write_bytes(bytes(before.st_size))
    os.utime(quick, ns=(before.st_atime_ns, before.st_mtime_ns))
    told = "the machine stopped while a run wrote it; the next run reads it again"
    found = {one["step"]: one for one in json.loads(look(lab, "--task", "Slow", "status", "--json", code=1))["results"]}
    assert told in str(found["Quick"]) and found["Quick"]["todo"] == "make"
    out = lab.run("Slow")
    assert "the machine stopped during a run; 1 results were read again, 1 of them are made again" in out
    assert quick.read_text() == "right\n" * 9 and (lab.results / "study" / "slow.txt").read_text() == "slow"
    assert quick.with_name("quick.txt.damaged").read_bytes() == bytes(before.st_size)
    assert not (lab.results / ".runs").exists()
    assert "read again" not in lab.run("Slow")


def test_after_a_kill_nothing_is_read_again(lab):
    killed_run(lab, "--results-durable", "run")
    assert "machine stopped" not in look(lab, "--task", "Slow", "status", "--json", code=1)
    out = lab.run("Slow")
    assert "read again" not in out and "1 Slow" in out and "Quick" not in out.partition("Made")[2]


def test_where_each_step_flushes_a_run_notes_nothing(lab):
    killed_run(lab, "--results-durable", "step")
    (note,) = (lab.results / ".runs").glob("*.json")
    assert "durable" not in json.loads(note.read_text()) and not note.with_suffix(".unflushed").exists()


@pytest.mark.parametrize("durable", ["run", "step"])
def test_a_step_is_flushed_by_its_run_or_by_itself(declare, monkeypatch, durable):
    declare("results", durable=durable)
    synced, flushed = [], []
    fsync, flush = os.fsync, unflushed.Disk.flush
    monkeypatch.setattr(
        os, "fsync", lambda one: (synced.append(str(Path(f"/proc/self/fd/{one}").readlink())), fsync(one))
    )
    monkeypatch.setattr(unflushed.Disk, "flush", lambda self: (flushed.append(self), flush(self)))
    assert neuroluigi.build([Flushed()])
    assert any("Flushed" in path for path in synced) == (durable == "step")
    assert bool(flushed) == (durable == "run")


def test_a_run_whose_results_can_not_be_flushed_fails(declare, monkeypatch, caplog):
    def fail(self):
        raise OSError(28, "No space left on device")

    declare("results", durable="run")
    monkeypatch.setattr(unflushed.Disk, "flush", fail)
    assert not neuroluigi.build([Flushed()])
    assert "can't be flushed to the disk" in caplog.text and "No space left on device" in caplog.text


def test_runs_that_differ_in_when_they_flush_do_not_wait_for_each_other(lab):
    waits = lab.folder / "waits"
    os.mkfifo(waits)
    process = lab.start("Slow", "--results-durable", "run", env={"WAITS": str(waits)}, forks=False)
    try:
        waits.read_text()
        assert "waiting for another run" not in lab.run("Quick", "--results-durable", "step")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
