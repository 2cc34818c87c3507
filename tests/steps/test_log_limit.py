"""A log that becomes too long keeps its beginning and its end, whoever prints."""

import subprocess
import sys

import pytest

from neuroluigi.steps import log_limit
from neuroluigi.steps.log_limit import kept_short
from tests.engines.lab import wait_for


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setattr(log_limit, "MOST_BYTES", 100_000)
    monkeypatch.setattr(log_limit, "_LOOK_SECONDS", 0.01)
    # One that an earlier test started may sleep for longer.
    monkeypatch.setattr(log_limit, "_watcher", None)
    return tmp_path / "log"


def test_a_log_that_is_not_too_long_is_left_alone(log):
    with kept_short(log):
        log.write_text("x" * 100_000)
    assert log.read_text() == "x" * 100_000


def test_a_log_in_which_nobody_writes_is_made_after_a_while(log):
    with kept_short(log):
        wait_for(log.exists)
    assert log.read_text() == ""


def test_a_log_keeps_beginning_and_end_and_says_what_is_left_out(log):
    with kept_short(log), log.open("a") as stream:
        # Of 1,000,000 lines of 7 bytes; many times too long.
        subprocess.run([sys.executable, "-c", "for k in range(1_000_000): print(f'{k:06}')"], stdout=stream, check=True)
        print("done", file=stream, flush=True)
    text = log.read_bytes()
    assert len(text) < 101_000
    assert text.startswith(b"000000\n000001\n") and text.endswith(b"999998\n999999\ndone\n")
    beginning, _, rest = text.partition(b"\n% ")
    count, _, end = rest.partition(b" bytes are left out here: the log was too long\n")
    assert len(beginning) == 50_000
    # What was added while the middle was taken out is missing, too.
    assert 0 < int(count) <= 7_000_005 - len(beginning) - len(end)
    assert text.count(b"left out") == 1
