"""Warm sessions of real engines: tidy between calls, replaced when worn out, crashed or stuck."""

import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from neuroluigi.engines import session
from neuroluigi.engines.call import CallError
from neuroluigi.engines.pool import open_pool
from neuroluigi.engines.session import Limits
from tests.conftest import is_running, needs_octave
from tests.engines.lab import wait_for

pytestmark = needs_octave


def test_calls_share_one_process_and_each_has_its_own_log(warm_lab):
    warm_lab.write("say(varargin)", "printf('%s\\n', varargin{1});", "fprintf(2, 'aside\\n');")
    assert [warm_lab.printed("say", word) for word in ("one", "two")] == ["one\naside\n", "two\naside\n"]
    first = warm_lab.process()
    assert warm_lab.process() == first
    # A file more in the folder of M-files is changed code.
    (warm_lab.matlab / "another.m").write_text("")
    assert warm_lab.process() != first


def test_an_error_ends_no_session(warm_lab):
    warm_lab.write("fails", "error('lab:broken', 'so');")
    warm_lab.write("whoAmI", "printf('%d', getpid());")
    first = warm_lab.printed("whoAmI")
    with pytest.raises(CallError, match="lab:broken: so"):
        warm_lab.call("fails")
    assert warm_lab.printed("whoAmI") == first


LEAKS = {
    "current folder": ("cd('/');", "pwd()"),
    "path": ("addpath('/tmp');", "path()"),
    "removed path": ("rmpath(path()(1:index(path(), pathsep())-1)); restoredefaultpath();", "path()"),
    "warning state": ("warning('off', 'all');", "disp(warning())"),
    "warning of one kind": ("warning('error', 'Octave:divide-by-zero');", "jsonencode(warning())"),
    "open files": ("fopen(tempname('.'), 'w');", "num2str(openFiles())"),
    "files": ("fclose(fopen('left.txt', 'w')); mkdir('left');", "strjoin(cellstr(ls('-a')), ' ')"),
}


@pytest.mark.parametrize("what", LEAKS)
def test_nothing_of_one_call_is_seen_by_the_next(warm_lab, what):
    careless, shown = LEAKS[what]
    warm_lab.write("careless", careless)
    warm_lab.write("show", f"disp({shown});")
    (warm_lab.matlab / "openFiles.m").write_text("function n = openFiles()\n  n = numel(fopen('all'));\nend\n")
    before = warm_lab.printed("show")
    warm_lab.call("careless")
    assert warm_lab.printed("show") == before and before.strip()


@pytest.mark.skipif(not shutil.which("gnuplot"), reason="without gnuplot a headless Octave has no figures")
def test_figures_of_one_call_are_closed(warm_lab):
    warm_lab.write("draws", "figure('visible', 'off'); disp(numel(get(0, 'Children')));")
    warm_lab.write("count", "disp(numel(get(0, 'Children')));")
    assert "\n1\n" in f"\n{warm_lab.printed('draws')}"
    assert warm_lab.printed("count") == "0\n"


@pytest.mark.parametrize("limit", ["MOST_CALLS", "MOST_SECONDS", "MOST_BYTES"])
def test_a_worn_out_session_is_replaced(warm_lab, monkeypatch, limit):
    monkeypatch.setattr(session, limit, {"MOST_CALLS": 2, "MOST_SECONDS": 0, "MOST_BYTES": 1}[limit])
    warm_lab.write("whoAmI", "printf('%d', getpid());")
    ids = [warm_lab.printed("whoAmI") for _ in range(4)]
    assert len(set(ids)) == (2 if limit == "MOST_CALLS" else 4)


def test_a_crash_is_tried_once_more(warm_lab, caplog):
    flag = warm_lab.folder / "crashed"
    warm_lab.write(
        "once", f"if ~isfile('{flag}'), fclose(fopen('{flag}', 'w')); kill(getpid(), 11); end", "disp('well');"
    )
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        assert warm_lab.printed("once").endswith("well\n")
    assert "octave ended without an answer (killed by signal 11) at once; trying once more" in caplog.text


def test_a_second_crash_fails_and_the_next_call_has_a_new_session(warm_lab):
    warm_lab.write("whoAmI", "printf('%d', getpid());")
    warm_lab.write("crash", "disp('last words'); fflush(stdout); kill(getpid(), 9);")
    first = warm_lab.printed("whoAmI")
    with pytest.raises(
        CallError, match=r"ended without an answer \(killed by signal 9: out of memory\?\)(?s:.*)last words"
    ):
        warm_lab.call("crash")
    assert warm_lab.log.read_text().count("last words") == 2
    assert warm_lab.printed("whoAmI") != first


@pytest.mark.parametrize("body", ["while true, end", "pause(1000);", "system('sleep 1000');"])
def test_a_call_that_takes_too_long_is_ended_with_all_it_started(warm_lab, body):
    warm_lab.limits = Limits(call_seconds=2)
    warm_lab.write("hangs", "disp('here'); fflush(stdout);", body)
    with pytest.raises(CallError, match=r"hangs was ended: no answer within 2 s.*call_timeout.*(?s:.*)here"):
        warm_lab.call("hangs")
    assert not warm_lab.processes()
    warm_lab.write("quick", "disp('worked');")
    assert warm_lab.printed("quick") == "worked\n"


def test_an_idle_session_that_crashed_is_replaced_and_told(warm_lab, caplog):
    os.kill(warm_lab.process(), signal.SIGSEGV)
    (session,) = open_pool().glob("session-*")
    wait_for((session / "ended.json").exists)
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        assert warm_lab.process()
    assert "octave ended badly after its last answer (killed by signal 11)" in caplog.text


def test_an_idle_session_ends_by_itself(warm_lab, monkeypatch):
    monkeypatch.setattr(session, "IDLE_SECONDS", 0.5)
    first = warm_lab.process()
    wait_for(lambda: not is_running(first))
    assert warm_lab.process() != first


def test_progress_is_passed_on(warm_lab):
    warm_lab.write("steps", "for k = 1:3, reportProgress(k, 3, sprintf('Gerät \"%d\" 神', k)); pause(0.5); end")
    warm_lab.call("steps")
    assert [(one["k"], one["n"]) for one in warm_lab.progress] == [(1, 3), (2, 3), (3, 3)]
    assert warm_lab.progress[1]["message"] == 'Gerät "2" 神'
    warm_lab.progress.clear()
    warm_lab.write("steps", "reportProgress(1, 2);")
    warm_lab.call("steps")
    assert warm_lab.progress == [{"k": 1, "n": 2, "message": ""}]


def test_progress_of_a_call_by_hand_is_printed(warm_lab):
    out = subprocess.run(
        [*warm_lab.engine.command, "--norc", "--eval", "reportProgress(3, 10, 'rec_3.bin')"],
        cwd=Path(session.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out == "3/10 rec_3.bin\n"


def test_a_warm_matlab_starts_once(warm_matlab_lab, monkeypatch):
    monkeypatch.setenv("FAKE_MATLAB", "slow=1")
    for _ in range(20):
        warm_matlab_lab.call("quick")
    assert warm_matlab_lab.starts()["start"] == 1


def test_a_matlab_that_does_not_get_ready_is_ended(warm_matlab_lab, monkeypatch):
    monkeypatch.setenv("FAKE_MATLAB", "slow=100")
    monkeypatch.setattr(session, "START_SECONDS", {"matlab": 0.5})
    with pytest.raises(CallError, match=r"no answer within 0\.5 s"):
        warm_matlab_lab.call("quick")


def test_the_temporary_folder_of_a_session_is_its_own_and_may_be_removed(warm_lab):
    quiet = "confirm_recursive_rmdir(false, 'local');"
    warm_lab.write("leave", "fclose(fopen(tempname(), 'w'));", "disp(tempdir());")
    warm_lab.write("remove(folder)", quiet, "[~, why] = rmdir(folder, 's'); assert(isempty(why), why)")
    (mine := warm_lab.temporary / "mine").write_text("")
    first = warm_lab.process()
    folder = Path(warm_lab.printed("leave").strip())
    # The test itself removes nothing where that is another one.
    assert warm_lab.temporary in folder.parents and len(list(folder.iterdir())) == 1
    warm_lab.call("remove", str(folder))
    assert Path(warm_lab.printed("leave").strip()) == folder and warm_lab.process() == first
    mine.unlink()
