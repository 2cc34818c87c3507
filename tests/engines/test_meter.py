"""Processor time and memory of one call of a process that serves many."""

import subprocess
import sys

import pytest

from neuroluigi.engines import meter
from neuroluigi.engines.meter import Meter
from neuroluigi.engines.supervisor import process_identity
from tests.engines.lab import wait_for


def test_processor_time_is_finer_than_ten_milliseconds_on_linux():
    busy = """import sys, time
print(flush=True)
sys.stdin.readline()
start = time.process_time()
while time.process_time() < start + 0.002:
    pass
print(flush=True)
sys.stdin.readline()
"""
    program = [sys.executable, "-c", busy]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        measured = Meter([process.pid])
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        used = measured.read()
        process.stdin.write("\n")
    if sys.platform == "linux":
        # Not a number of hundredths of a second, as the times of a process are elsewhere.
        assert 0.002 <= used["cpu_seconds"] < 0.1 and round(100 * used["cpu_seconds"], 3) % 1
    assert used.get("cpu_seconds") != 0


def test_less_than_the_resolution_of_the_clock_is_not_written_as_no_time(monkeypatch):
    monkeypatch.setattr(meter, "_cpu_seconds", lambda process: 1.25)
    assert "cpu_seconds" not in Meter(process_identity()).read()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux measures a new peak")
def test_the_peak_of_memory_is_that_of_the_call():
    code = (
        "x = bytearray(80_000_000); del x; print(flush=True); input(); x = bytearray(30_000_000); print(flush=True)\n"
    )
    program = [sys.executable, "-c", code + "input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        measured = Meter([process.pid])
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        assert 30e6 < measured.read()["peak_memory_bytes"] < 80e6
        process.stdin.write("\n")


def test_a_process_that_has_ended_keeps_its_last_figures():
    with subprocess.Popen([sys.executable, "-c", "sum(range(10**6)); input()"], stdin=subprocess.PIPE) as process:
        measured = Meter([process.pid])
        wait_for(lambda: measured.read().get("cpu_seconds"))
    assert measured.read()["cpu_seconds"] > 0
    assert Meter([process.pid]).read() == Meter(None).read() == {}
