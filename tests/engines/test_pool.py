"""The pool of a run: sessions that its processes share, and that end with it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from neuroluigi.engines.pool import open_pool
from tests.conftest import is_running, needs_octave
from tests.engines.lab import wait_for

pytestmark = needs_octave


def running_sessions() -> list[Path]:
    return [one for one in open_pool().glob("session-*") if not (one / "ended.json").exists()]


def test_while_starting_is_called_once_per_start(warm_lab):
    done = []
    # Before the engine is ready, and not for a call that finds it ready.
    open_pool(while_starting=lambda: done.append(list(warm_lab.folder.rglob("ready.json"))))
    for _ in range(2):
        warm_lab.process()
    assert done == [[]]


def test_processes_of_one_run_share_sessions_one_at_a_time(warm_lab):
    warm_lab.write("whoAmI", "printf('%d ', getpid());")
    first = warm_lab.printed("whoAmI")
    assert warm_lab.in_another_process("whoAmI").wait(60) == 0
    assert warm_lab.log.read_text() == first * 2
    # Two at the same time need two.
    warm_lab.log.unlink()
    met = warm_lab.folder / "met"
    met.mkdir()
    here = f"printf('%d ', getpid()); fclose(fopen(sprintf('{met}/%d', getpid()), 'w')); last = now() + 60 / 86400;"
    warm_lab.write("meet", here, f"while numel(dir('{met}')) < 4 && now() < last, pause(0.05); end")
    both = [warm_lab.in_another_process("meet") for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert len(set(warm_lab.log.read_text().split())) == 2
    # The first one, which can't call code written after its start, ends in its own time.
    wait_for(lambda: len(running_sessions()) == 2)


def test_a_process_with_another_parent_has_a_pool_of_its_own(warm_lab):
    pool = open_pool()
    code = "from neuroluigi.engines.pool import open_pool; print(open_pool())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() != str(pool)
    assert pool.is_dir() and not Path(out.strip()).exists()


@pytest.mark.parametrize("changed", ["outer.m", "inner.m", "private/inner.m"])
def test_changed_code_is_run(warm_lab, changed):
    (warm_lab.matlab / "private").mkdir()
    warm_lab.write("outer", "inner();")
    path = warm_lab.matlab / changed
    name = path.stem
    path.write_text(f"function {name}()\n  printf('old %d', getpid());\nend\n")
    old = int(warm_lab.printed("outer").split()[1])
    path.write_text(f"function {name}()\n  printf('newer');\nend\n")
    assert warm_lab.printed("outer") == "newer"
    # The session with the old code ends.
    wait_for(lambda: not is_running(old))


def test_code_of_the_same_size_and_time_is_run(warm_lab):
    """As `cp -p` and `git checkout` in the same tick of the clock leave it."""
    path = warm_lab.matlab / "quick.m"
    warm_lab.write("quick", "printf('old');")
    before = path.stat()
    assert warm_lab.printed("quick") == "old"
    warm_lab.write("quick", "printf('new');")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert warm_lab.printed("quick") == "new"


def test_a_caller_that_is_killed_takes_its_session_along(warm_lab):
    warm_lab.write("endless", "disp(getpid()); fflush(stdout); while true, pause(0.1); end")
    caller = warm_lab.in_another_process("endless")
    octave = int(wait_for(lambda: warm_lab.log.exists() and warm_lab.log.read_text().strip()))
    caller.kill()
    caller.wait()
    wait_for(lambda: not is_running(octave))
    assert warm_lab.process() != octave


def test_a_supervisor_that_is_killed_takes_its_engine_along(warm_lab):
    first = warm_lab.process()
    psutil.Process(first).parent().kill()
    wait_for(lambda: not is_running(first))
    assert warm_lab.process() != first


def test_the_death_of_the_run_ends_idle_sessions_and_removes_their_folders(warm_lab):
    warm_lab.write("quick", "disp('worked');")
    then = "print('idle', flush=True)\ninput()\n"
    run = warm_lab.in_another_run("quick", then, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "idle\n"
    assert len(warm_lab.processes()) == 3 and list(warm_lab.temporary.iterdir())
    run.kill()
    run.communicate()
    wait_for(lambda: not warm_lab.processes() and not list(warm_lab.temporary.iterdir()))
