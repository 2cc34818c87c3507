"""Locks that are waited for."""

import getpass
import json
import logging
import os
import signal
import socket
import subprocess
import sys

import pytest

from neuroluigi.provenance import locks
from neuroluigi.provenance.commit import folder_lock
from neuroluigi.provenance.locks import waited_lock

HOLDER = """
import pathlib, sys
from neuroluigi.provenance.commit import folder_lock
with folder_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing is stopped")
@pytest.mark.parametrize("content", [None, "", "[]", "\0", '{"pid": 1}'])
def test_who_holds_a_lock_is_told_once_and_then_it_is_waited_for(tmp_path, monkeypatch, content):
    monkeypatch.setattr(locks, "TOLD_SECONDS", 0.2)
    command = [sys.executable, "-c", HOLDER, tmp_path]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGSTOP)
    if content is not None:
        (tmp_path / ".lock").write_text(content)
    told = []

    class GoOn(logging.Handler):
        def emit(self, record):
            told.append(record.getMessage())
            holder.send_signal(signal.SIGCONT)
            holder.stdin.close()

    handler = GoOn()
    logging.getLogger("luigi-interface").addHandler(handler)
    try:
        with folder_lock(tmp_path):
            assert holder.wait() == 0
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    finally:
        logging.getLogger("luigi-interface").removeHandler(handler)
        holder.kill()
        holder.stdout.close()
    who = f"it is held by process {holder.pid} of {getpass.getuser()} on {socket.gethostname()}"
    who = who if content is None else "who holds it is not known"
    assert told == [f"waiting for the lock of a folder of results, {tmp_path / '.lock'}: {who}"]


def test_a_lock_that_is_free_is_not_told_of(tmp_path, caplog):
    for _ in range(2):
        with waited_lock(tmp_path / "lock", "a test"):
            pass
    assert caplog.text == "" and json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


@pytest.mark.skipif(os.name == "nt", reason="links need rights")
def test_what_a_link_leads_to_is_not_written(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError), waited_lock(tmp_path / "lock", "a test"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"
