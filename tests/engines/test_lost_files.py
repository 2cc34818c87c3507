"""Whatever something removes of a session, at any moment: the call succeeds or fails soon, in words."""

import os
import sys
import time

import pytest

from neuroluigi.engines.call import CallError
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.pool import open_pool
from neuroluigi.engines.session import Session
from tests.conftest import needs_octave
from tests.engines import fake_engine
from tests.engines.fake_engine import remove
from tests.engines.lab import wait_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere what is in use can't be removed")

NAMES = [
    *("lock", "log", "session.json", "count", "work", "neuroluigiServe.m", "reportProgress.m", "supervisor.json"),
    *("serve.json", "running.json", "ready.json", "caller", "ended.json", "stop", "folder", "pool"),
    *(f"{number:06}.{kind}" for number in (1, 2) for kind in ("request.json", "request.bin", "answer.json")),
]
# Of the engine, and of the caller.
MOMENTS = ["starting", "ready", "asked", "reading", "answered", "before the start", "between calls", "before reading"]


@pytest.fixture
def fake_lab(warm_lab, monkeypatch):
    warm_lab.engine = Engine("octave", (sys.executable, "-IS", fake_engine.__file__))
    warm_lab.write("quick", "")
    monkeypatch.setenv("FAKE_ENGINE_DONE", str(warm_lab.folder / "done"))
    return warm_lab


def outcome_of_call(lab, argument=0) -> str:
    """Return "" for a call that succeeds, or its error; it takes no more than seconds."""
    began = time.monotonic()
    try:
        lab.call("quick", argument)
        return ""
    except CallError as error:
        return str(error)
    finally:
        assert time.monotonic() - began < 10


def remove_before(name: str, method: str, monkeypatch) -> None:
    """Have a file removed before a method of Session is called, or after it where it waits for an answer; once."""
    done = []
    original = getattr(Session, method)

    def replacement(self, *arguments, **options):
        if method == "_wait":
            original(self, *arguments, **options)
            if "answer" not in arguments[0]:
                return
        if not done:
            done.append(name)
            remove(self.folder, name)
        if method != "_wait":
            original(self, *arguments, **options)

    monkeypatch.setattr(Session, method, replacement)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_removed_of_a_session_hangs_no_call(fake_lab, monkeypatch, moment, name):
    # Large enough for a file of its own.
    argument = list(range(1000))
    if moment == "before the start":
        remove_before(name, "start", monkeypatch)
    elif moment == "before reading":
        remove_before(name, "_wait", monkeypatch)
    elif moment == "between calls":
        assert outcome_of_call(fake_lab, argument) == ""
        for folder in open_pool().glob("session-*"):
            remove(folder, name)
    else:
        monkeypatch.setenv("FAKE_ENGINE", f"{moment} {name}")
    outcome = outcome_of_call(fake_lab, argument)
    assert not outcome or any(words in outcome for words in ("lost", "could not be called", "ended without an answer"))
    # What follows finds nothing of it.
    assert [outcome_of_call(fake_lab, argument) for _ in range(2)] == ["", ""]
    wait_for(lambda: len(fake_lab.processes()) == 3)


@needs_octave
@pytest.mark.parametrize("name", ["folder", "pool", "000001.request.json", "log", "work", "running.json", "lock"])
def test_a_call_of_octave_goes_on_in_another_session_or_says_what_was_lost(warm_lab, name, caplog):
    flag = warm_lab.folder / "again"
    warm_lab.write(
        "slow",
        f"if isfile('{flag}'), disp('well'), else, fclose(fopen('{flag}', 'w')); while true, pause(0.1), end, end",
    )
    other = warm_lab.in_another_process("slow")
    wait_for(flag.exists)
    (folder,) = open_pool().glob("session-*")
    remove(folder, name)
    assert other.wait(60) == 0
    assert warm_lab.log.read_text().endswith("well\n")


@pytest.mark.parametrize("is_locked_next", [False, True])
def test_a_session_that_another_step_is_about_to_start_is_left_alone(fake_lab, is_locked_next):
    born = open_pool() / "session-born"
    born.mkdir()
    if is_locked_next:
        (born / "lock").touch()
    assert outcome_of_call(fake_lab) == ""
    assert born.is_dir()


@needs_octave
def test_an_engine_that_looks_while_its_answer_is_cleared_away_goes_on(warm_lab, monkeypatch):
    # Whoever asks for the request of an answered call is told that it is there only after the caller cleared up.
    (warm_lab.matlab / "isfile.m").write_text("""function found = isfile(name)
  found = ~isempty(stat(name)) && ~isfolder(name);
  if found && endsWith(name, '.request.json') && ~isempty(stat(strrep(name, 'request', 'answer')))
    while ~isempty(stat(strrep(name, 'request', 'answer'))), pause(0.01), end
  end
end
""")
    warm_lab.write("quick", "")
    process = warm_lab.process()
    original = Session._wait

    def wait_and_have_a_break(self, name, *arguments, **options):
        original(self, name, *arguments, **options)
        if "answer" in name:
            # It looks for what was lost from its second second of idleness on.
            time.sleep(2)

    monkeypatch.setattr(Session, "_wait", wait_and_have_a_break)
    warm_lab.call("quick")
    assert warm_lab.process() == process


def test_a_session_in_use_whose_lock_was_removed_is_left_to_its_caller(fake_lab):
    fake_lab.call("quick")
    (folder,) = open_pool().glob("session-*")
    user = Session(folder)
    assert user.lock()
    user.set_caller()
    (folder / "lock").unlink()
    assert not Session(folder).lock()
    fake_lab.call("quick")
    assert not (folder / "end").exists() and not (folder / "stop").exists()
    user.release()
