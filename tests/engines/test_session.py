"""Warm sessions of real engines: shared, tidy between calls, replaced, and gone when nobody needs them."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from neuroluigi.engines import licence, session, supervisor
from neuroluigi.engines.call import CallError, call_function
from neuroluigi.engines.engine import SESSION_FOLDER_VARIABLE, Engine
from neuroluigi.engines.session import Limits, _Meter, close_pool, open_pool
from tests.conftest import FAKE_MATLAB, is_running, needs_octave

pytestmark = needs_octave


class Lab:
    """M-files and calls of them in warm sessions."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.matlab = folder / "matlab"
        self.matlab.mkdir()
        self.log = folder / "call.log"
        self.starts = folder / "starts.txt"
        self.limits = Limits()
        self.engine = Engine("octave", (shutil.which("octave-cli"),))
        self.progress = []

    def write(self, name: str, *body: str) -> None:
        (self.matlab / f"{name}.m").write_text("\n".join([f"function {name}(varargin)", *body, "end", ""]))

    def call(self, name: str, *arguments):
        call = (self.engine, name, arguments, self.matlab, self.log, self.limits, self.progress.append)
        return call_function(*call)

    def printed(self, name: str, *arguments) -> str:
        """Return what a call prints."""
        self.log.unlink(missing_ok=True)
        self.call(name, *arguments)
        return self.log.read_text()

    def process(self) -> int:
        """Return the process that the next call finds."""
        if not (self.matlab / "whoAmI.m").exists():
            self.write("whoAmI", "printf('%d', getpid());")
        return int(self.printed("whoAmI"))

    def in_another_process(self, name: str) -> subprocess.Popen:
        """Make a call as a process that Luigi makes for a step does."""
        open_pool()
        code = (
            "import multiprocessing, os, sys\nfrom pathlib import Path\n"
            "from neuroluigi.engines.call import call_function\nfrom neuroluigi.engines.engine import Engine\n"
            "from neuroluigi.engines.session import Limits\n"
            "class Parent: pid = int(sys.argv[1])\n"
            "multiprocessing.parent_process = lambda: Parent\n"
            f"call_function({self.engine!r}, {name!r}, [], Path({str(self.matlab)!r}), Path({str(self.log)!r}),"
            f" {self.limits!r})\n"
        )
        return subprocess.Popen([sys.executable, "-c", code, str(os.getpid())])


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A lab that leaves no folder and no process behind when its pool is closed."""
    close_pool()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("FAKE_MATLAB", raising=False)
    lab = Lab(tmp_path)
    monkeypatch.setenv("FAKE_MATLAB_STARTS", str(lab.starts))
    yield lab
    close_pool()
    assert list(temporary.iterdir()) == []
    assert not processes(temporary)


@pytest.fixture
def matlab_lab(lab):
    lab.engine = Engine("matlab", (str(FAKE_MATLAB),))
    lab.write("quick", "disp('worked');")
    return lab


def test_while_an_engine_starts_something_else_is_done_once(lab):
    done = []
    # Before the engine says that it is ready, and not for a call that finds it there.
    open_pool(while_starting=lambda: done.append(list(lab.folder.rglob("ready.json"))))
    for _ in range(2):
        lab.process()
    assert done == [[]]


def processes(temporary: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(temporary) in process.environ().get(SESSION_FOLDER_VARIABLE, ""):
                found.append(process)
        except psutil.Error:
            continue
    return [one for one in found if one.status() != psutil.STATUS_ZOMBIE]


def wait_for(condition, seconds: float = 15):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return value


def test_calls_share_one_process_and_each_has_its_own_log(lab):
    lab.write("say", "printf('%s\\n', varargin{1});", "fprintf(2, 'aside\\n');")
    assert [lab.printed("say", word) for word in ("one", "two")] == ["one\naside\n", "two\naside\n"]
    first = lab.process()
    assert lab.process() == first
    # A file more in the folder of M-files is changed code.
    (lab.matlab / "another.m").write_text("")
    assert lab.process() != first


def test_an_error_ends_no_session(lab):
    lab.write("fails", "error('lab:broken', 'so');")
    lab.write("whoAmI", "printf('%d', getpid());")
    first = lab.printed("whoAmI")
    with pytest.raises(CallError, match="lab:broken: so"):
        lab.call("fails")
    assert lab.printed("whoAmI") == first


LEAKS = {
    "current folder": ("cd('/');", "pwd()"),
    "path": ("addpath('/tmp');", "path()"),
    "removed path": ("rmpath(path()(1:index(path(), pathsep())-1)); restoredefaultpath();", "path()"),
    "warning state": ("warning('off', 'all');", "disp(warning())"),
    "warning of one kind": ("warning('error', 'Octave:divide-by-zero');", "jsonencode(warning())"),
    "open files": ("fopen(tempname('.'), 'w');", "num2str(freport_count())"),
    "files": ("fclose(fopen('left.txt', 'w')); mkdir('left');", "strjoin(cellstr(ls('-a')), ' ')"),
}


@pytest.mark.parametrize("what", LEAKS)
def test_nothing_of_one_call_is_seen_by_the_next(lab, what):
    careless, look = LEAKS[what]
    lab.write("careless", careless)
    lab.write("look", f"disp({look});")
    lab.write("freport_count", "")
    (lab.matlab / "freport_count.m").write_text("function n = freport_count()\n  n = numel(fopen('all'));\nend\n")
    before = lab.printed("look")
    lab.call("careless")
    assert lab.printed("look") == before and before.strip()


@pytest.mark.skipif(not shutil.which("gnuplot"), reason="without gnuplot a headless Octave has no figures")
def test_figures_of_one_call_are_closed(lab):
    lab.write("draws", "figure('visible', 'off'); disp(numel(get(0, 'Children')));")
    lab.write("look", "disp(numel(get(0, 'Children')));")
    assert "\n1\n" in f"\n{lab.printed('draws')}"
    assert lab.printed("look") == "0\n"


def test_processes_of_one_run_share_sessions_one_at_a_time(lab):
    lab.write("whoAmI", "printf('%d ', getpid()); pause(0.5);")
    first = lab.printed("whoAmI")
    assert lab.in_another_process("whoAmI").wait(30) == 0
    assert lab.log.read_text() == first * 2
    # Two at the same time need two.
    lab.log.unlink()
    both = [lab.in_another_process("whoAmI") for _ in range(2)]
    assert [one.wait(30) for one in both] == [0, 0]
    assert len(set(lab.log.read_text().split())) == 2
    assert len(list(open_pool().glob("session-*"))) == 2


def test_a_process_with_another_parent_has_a_pool_of_its_own(lab):
    pool = open_pool()
    out = subprocess.run(
        [sys.executable, "-c", "from neuroluigi import sessions; print(sessions.open_pool())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.strip() != str(pool)
    assert pool.is_dir() and not Path(out.strip()).exists()


@pytest.mark.parametrize("changed", ["outer.m", "inner.m", "private/inner.m"])
def test_changed_code_is_run(lab, changed):
    (lab.matlab / "private").mkdir()
    lab.write("outer", "inner();")
    path = lab.matlab / changed
    name = path.stem
    path.write_text(f"function {name}()\n  printf('old %d', getpid());\nend\n")
    old = int(lab.printed("outer").split()[1])
    path.write_text(f"function {name}()\n  printf('newer');\nend\n")
    assert lab.printed("outer") == "newer"
    # The session with the old code is gone.
    wait_for(lambda: not is_running(old))


@pytest.mark.parametrize("limit", ["MOST_CALLS", "MOST_SECONDS", "MOST_BYTES"])
def test_a_worn_out_session_is_replaced(lab, monkeypatch, limit):
    monkeypatch.setattr(session, limit, {"MOST_CALLS": 2, "MOST_SECONDS": 0, "MOST_BYTES": 1}[limit])
    lab.write("whoAmI", "printf('%d', getpid());")
    ids = [lab.printed("whoAmI") for _ in range(4)]
    assert len(set(ids)) == (2 if limit == "MOST_CALLS" else 4)


def test_a_crash_is_tried_once_more(lab, caplog):
    flag = lab.folder / "crashed"
    lab.write("once", f"if ~isfile('{flag}'), fclose(fopen('{flag}', 'w')); kill(getpid(), 11); end", "disp('well');")
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        assert lab.printed("once").endswith("well\n")
    assert "octave ended without an answer (killed by signal 11) at once; trying once more" in caplog.text


def test_a_second_crash_fails_and_the_next_call_has_a_new_session(lab):
    lab.write("whoAmI", "printf('%d', getpid());")
    lab.write("crash", "disp('last words'); fflush(stdout); kill(getpid(), 9);")
    first = lab.printed("whoAmI")
    with pytest.raises(
        CallError, match=r"ended without an answer \(killed by signal 9: out of memory\?\)(?s:.*)last words"
    ):
        lab.call("crash")
    assert lab.log.read_text().count("last words") == 2
    assert lab.printed("whoAmI") != first


@pytest.mark.parametrize("body", ["while true, end", "pause(1000);", "system('sleep 1000');"])
def test_a_call_that_takes_too_long_is_ended_with_all_it_started(lab, body):
    lab.limits = Limits(call_seconds=1)
    lab.write("hangs", "disp('here'); fflush(stdout);", body)
    began = time.monotonic()
    with pytest.raises(CallError, match=r"hangs was ended: no answer within 1 s.*call_timeout.*(?s:.*)here"):
        lab.call("hangs")
    assert time.monotonic() - began < 10
    assert not processes(Path(tempfile.gettempdir()))
    lab.write("quick", "disp('worked');")
    assert lab.printed("quick") == "worked\n"


def test_an_idle_session_that_crashed_is_replaced_and_told(lab, caplog):
    os.kill(lab.process(), signal.SIGSEGV)
    (session,) = open_pool().glob("session-*")
    wait_for((session / "ended.json").exists)
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        assert lab.process()
    assert "octave ended badly after its last answer (killed by signal 11)" in caplog.text


def test_an_idle_session_ends_by_itself(lab, monkeypatch):
    monkeypatch.setattr(session, "IDLE_SECONDS", 0.5)
    first = lab.process()
    wait_for(lambda: not is_running(first))
    assert lab.process() != first


def test_a_caller_that_is_killed_takes_its_session_along(lab):
    lab.write("endless", "disp(getpid()); fflush(stdout); while true, pause(0.1); end")
    caller = lab.in_another_process("endless")
    octave = int(wait_for(lambda: lab.log.exists() and lab.log.read_text().strip()))
    caller.kill()
    caller.wait()
    wait_for(lambda: not is_running(octave))
    assert lab.process() != octave


def test_a_guard_that_is_killed_takes_its_engine_along(lab):
    first = lab.process()
    psutil.Process(first).parent().kill()
    wait_for(lambda: not is_running(first))
    assert lab.process() != first


def test_the_death_of_the_run_ends_idle_sessions_and_removes_their_folders(lab):
    code = (
        "from pathlib import Path\nfrom neuroluigi.engines.call import call_function\n"
        "from neuroluigi.engines.engine import Engine\nfrom neuroluigi.engines.session import Limits\n"
        f"call_function({lab.engine!r}, 'quick', [], Path({str(lab.matlab)!r}), Path({str(lab.log)!r}), Limits())\n"
        "print('idle', flush=True)\ninput()\n"
    )
    lab.write("quick", "disp('worked');")
    run = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "idle\n"
    temporary = Path(tempfile.gettempdir())
    assert len(processes(temporary)) == 2 and list(temporary.iterdir())
    run.kill()
    run.communicate()
    wait_for(lambda: not processes(temporary) and not list(temporary.iterdir()), 10)


def test_progress_is_passed_on(lab):
    lab.write("steps", "for k = 1:3, reportProgress(k, 3, sprintf('Gerät \"%d\" 神', k)); pause(0.5); end")
    lab.call("steps")
    assert [(one["k"], one["n"]) for one in lab.progress] == [(1, 3), (2, 3), (3, 3)]
    assert lab.progress[1]["message"] == 'Gerät "2" 神'
    lab.progress.clear()
    lab.write("steps", "reportProgress(1, 2);")
    lab.call("steps")
    assert lab.progress == [{"k": 1, "n": 2, "message": ""}]


def test_progress_of_a_call_by_hand_is_printed(lab):
    out = subprocess.run(
        [*lab.engine.command, "--norc", "--eval", "reportProgress(3, 10, 'rec_3.bin')"],
        cwd=Path(session.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out == "3/10 rec_3.bin\n"


# Matlab: starts, licences and seats


def starts(lab) -> Counter:
    return Counter(lab.starts.read_text().split()) if lab.starts.exists() else Counter()


def test_a_warm_matlab_starts_once(matlab_lab, monkeypatch):
    monkeypatch.setenv("FAKE_MATLAB", "slow=1")
    began = time.monotonic()
    for _ in range(20):
        matlab_lab.call("quick")
    assert time.monotonic() - began < 6
    assert starts(matlab_lab)["start"] == 1


def test_a_matlab_that_does_not_get_ready_is_ended(matlab_lab, monkeypatch):
    monkeypatch.setenv("FAKE_MATLAB", "slow=100")
    monkeypatch.setattr(session, "START_SECONDS", {"matlab": 0.5})
    with pytest.raises(CallError, match=r"no answer within 0\.5 s"):
        matlab_lab.call("quick")


def test_a_declared_release_that_is_not_found_fails_before_the_call(matlab_lab):
    ran = matlab_lab.folder / "ran"
    matlab_lab.write("quick", f"fclose(fopen('{ran}', 'w'));")
    matlab_lab.limits = Limits(release="R2019a")
    with pytest.raises(CallError, match=r"matlab 7\.3\.0 was found where luigi.cfg declares R2019a"):
        matlab_lab.call("quick")
    assert not ran.exists()
    matlab_lab.limits = Limits(release="7.3")
    matlab_lab.call("quick")
    assert ran.exists()


def test_a_licence_that_is_taken_is_waited_for(matlab_lab, monkeypatch, caplog):
    monkeypatch.setenv("FAKE_MATLAB", "licence=-4,3")
    matlab_lab.limits = Limits(licence_seconds=20)
    monkeypatch.setattr(licence, "_FIRST_PAUSE", 0.1)
    with caplog.at_level(logging.WARNING, "luigi-interface"):
        matlab_lab.call("quick")
    assert starts(matlab_lab)["start"] == 4
    waits = [line for line in caplog.text.splitlines() if "licence error -4: all licences are in use; next try" in line]
    assert [line.split()[-2] for line in waits] == ["0.1", "0.2", "0.4"]
    log = matlab_lab.log.read_text()
    assert log.count("License Manager Error -4") == 3 and log.endswith("worked\n") and log.count("% licence error") == 3


@pytest.mark.parametrize(
    ("code", "tries", "meaning"),
    [
        (-1, 1, "there is no licence file"),
        (-10, 1, "the licence has expired"),
        (-9, 2, "another host or user"),
        (4410, 2, "more than a day old"),
        (-15, 6, "can't be reached"),
        (-999, 1, "not known here"),
    ],
)
def test_a_licence_that_will_not_come_stops_the_step(matlab_lab, monkeypatch, code, tries, meaning):
    monkeypatch.setenv("FAKE_MATLAB", f"licence={code},100")
    monkeypatch.setattr(licence, "_FIRST_PAUSE", 0.01)
    matlab_lab.limits = Limits(licence_seconds=60)
    with pytest.raises(CallError, match=f"no licence for quick: error {code}: .*{meaning}(?s:.*)Error {code}"):
        matlab_lab.call("quick")
    assert starts(matlab_lab)["start"] == tries


def test_waiting_for_a_licence_has_an_end(matlab_lab, monkeypatch):
    monkeypatch.setenv("FAKE_MATLAB", "licence=-4,100")
    matlab_lab.limits = Limits(licence_seconds=2)
    began = time.monotonic()
    with pytest.raises(CallError, match="all licences are in use"):
        matlab_lab.call("quick")
    assert time.monotonic() - began < 6 and starts(matlab_lab)["start"] > 2


def test_a_toolbox_without_a_licence_is_waited_for_in_a_new_session(matlab_lab, monkeypatch):
    flag = matlab_lab.folder / "tried"
    monkeypatch.setattr(licence, "_FIRST_PAUSE", 0.01)
    matlab_lab.write(
        "toolbox",
        f"if ~isfile('{flag}'), fclose(fopen('{flag}', 'w'));",
        "error('MATLAB:license:checkouterror', 'no licence for Signal_Toolbox'); end",
    )
    matlab_lab.limits = Limits(licence_seconds=10)
    matlab_lab.call("toolbox")
    assert starts(matlab_lab)["start"] == 2


def test_a_seat_is_given_up_by_an_idle_session_of_another_run(matlab_lab):
    seats = matlab_lab.folder / "seats"
    matlab_lab.limits = Limits(seats=(str(seats), 1))
    matlab_lab.call("quick")
    # A process that is no child of this run has a pool of its own.
    code = matlab_lab.in_another_process("quick").args[2].replace("multiprocessing.parent_process =", "unused =")
    matlab_lab.log.unlink(missing_ok=True)
    assert subprocess.run([sys.executable, "-c", code, "1"], timeout=30, check=False).returncode == 0
    assert starts(matlab_lab)["start"] >= 2
    running = 0
    for word in matlab_lab.starts.read_text().split():
        running += 1 if word == "start" else -1
        assert running <= 1


def test_a_step_waits_for_a_busy_seat_and_takes_over_its_session(matlab_lab):
    seats = matlab_lab.folder / "seats"
    matlab_lab.limits = replace(matlab_lab.limits, seats=(str(seats), 1))
    matlab_lab.write("slow", "pause(1);")
    both = [matlab_lab.in_another_process("slow") for _ in range(2)]
    assert [one.wait(30) for one in both] == [0, 0]
    assert starts(matlab_lab)["start"] == 1


def test_identities_tell_processes_apart():
    assert supervisor.is_alive(supervisor.process_identity())
    assert not supervisor.is_alive([os.getpid(), supervisor.process_identity()[1] - 100])


def test_processor_time_has_no_grain_of_ten_milliseconds_on_linux():
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
        meter = _Meter([process.pid])
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        used = meter.read()
        process.stdin.write("\n")
    if sys.platform == "linux":
        assert 0.002 <= used["cpu_seconds"] < 0.01
    assert used.get("cpu_seconds") != 0


def test_less_than_the_grain_of_the_clock_is_not_written_as_no_time(monkeypatch):
    monkeypatch.setattr(_Meter, "_cpu_seconds", lambda self: 1.25)
    assert "cpu_seconds" not in _Meter([os.getpid()]).read()
