"""The log of a step: in it are all lines, in their order; without a line there is none, unless that takes long."""

import multiprocessing
import os
import subprocess
import sys

import pytest

from neuroluigi.steps import log_limit
from neuroluigi.steps.step_log import printed_to
from tests.engines.lab import wait_for


@pytest.fixture
def log(tmp_path, monkeypatch):
    # One that an earlier test started would look at this log.
    monkeypatch.setattr(log_limit, "_watcher", None)
    return tmp_path / "step.log"


def test_where_nothing_is_printed_no_file_is_made(log, monkeypatch):
    monkeypatch.setattr(log_limit, "_LOOK_SECONDS", 60)
    with printed_to(log):
        assert not log.exists()
    assert not log.exists()


def test_a_line_is_there_as_soon_as_it_is_printed_and_in_order_whoever_prints_it(log):
    with printed_to(log) as stream:
        print("first, \ud800 of no text")
        assert log.read_text() == "first, \\ud800 of no text\n"
        subprocess.run([sys.executable, "-c", "print('of a program')"], stdout=sys.stdout, check=True)
        print("to stderr", file=sys.stderr)
        sys.stdout.buffer.write(b"\xff\n")
        with log.open("a") as file:
            print("by its path", file=file)
        print("no end", end="", file=stream)
    expected = b"first, \\ud800 of no text\nof a program\nto stderr\n"
    # What is written as bytes waits for the next line, as with any file.
    assert sorted(log.read_bytes().removeprefix(expected).split(b"\n")) == [b"by its path", b"no end", b"\xff"]


def test_a_program_may_be_the_first_to_print(log):
    with printed_to(log):
        subprocess.run(
            [sys.executable, "-c", "print('first')"], stderr=subprocess.STDOUT, stdout=sys.stderr, check=True
        )
        print("second")
    assert log.read_text() == "first\nsecond\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_prints_to_it_too(log):
    with printed_to(log):
        process = multiprocessing.get_context("fork").Process(
            target=print, args=("by a child",), kwargs={"flush": True}
        )
        process.start()
        process.join()
        print("by its parent")
    assert log.read_text() == "by a child\nby its parent\n"


def test_who_waits_for_a_line_finds_an_empty_log(log, monkeypatch):
    monkeypatch.setattr(log_limit, "_LOOK_SECONDS", 0.01)
    with printed_to(log):
        wait_for(log.exists)
        assert log.read_text() == ""
        print("at last")
    assert log.read_text() == "at last\n"


def test_what_lies_there_as_a_link_is_not_followed(log, tmp_path):
    (tmp_path / "mine").write_text("mine")
    log.symlink_to(tmp_path / "mine")
    with pytest.raises(OSError), printed_to(log):
        print("theirs")
    assert (tmp_path / "mine").read_text() == "mine"


def test_nothing_is_written_through_a_link_that_somebody_has_put_there(log, tmp_path, monkeypatch):
    monkeypatch.setattr(log_limit, "_LOOK_SECONDS", 60)
    (tmp_path / "theirs").write_text("as it was\n")
    for put in (log.hardlink_to, log.symlink_to):
        put(tmp_path / "theirs")
        with pytest.raises(OSError), printed_to(log):
            print("ours")
        log.unlink()
    assert (tmp_path / "theirs").read_text() == "as it was\n"
