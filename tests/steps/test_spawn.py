"""Settings of the parent in a process that was not forked, and the end of a process with its parent."""

import contextlib
import subprocess
import sys

import psutil
import pytest

from tests.conftest import clean_environment, is_running

SCRIPT = """
import logging, multiprocessing, sys
import luigi
from luigi.cmdline_parser import CmdlineParser
from neuroluigi import GroupTask
from neuroluigi.steps.config import recordings, results, setting
from neuroluigi.steps.spawn import CarriedHandler

class Spawned(GroupTask):
    level = luigi.IntParameter(default=1)

class Printed(CarriedHandler):
    def __reduce__(self):
        return Printed, ()

    def pass_on(self, line):
        print("line:", line, flush=True)

def child(task):
    logging.getLogger("luigi-interface").warning("%s", task)
    settings = setting(results).root, setting(recordings).channels, Spawned("h").level, task.level
    print("child:", *settings, "_settings" in vars(task), flush=True)

if __name__ == "__main__":
    luigi.configuration.get_config().set("recordings", "channels", "3")
    Printed().install()
    with CmdlineParser.global_instance(["Spawned", "--group", "g", "--results-root", "there", "--Spawned-level", "5"]):
        process = multiprocessing.get_context(sys.argv[1]).Process(target=child, args=(Spawned("g"),))
        process.start()
        process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_that_was_not_forked_has_settings_and_handlers_of_its_parent(tmp_path, method):
    if sys.platform == "win32" and method == "forkserver":
        pytest.skip("Windows has no forkserver")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", method],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "child: there 3 5 5 False" in done.stdout
    assert "line: Spawned(group=g, level=5)" in done.stdout


ORPHAN = """
import multiprocessing, os, subprocess, sys, time
from neuroluigi.steps.spawn import end_with_parent

def child(pipe):
    end_with_parent()
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    pipe.send((os.getpid(), grandchild.pid))
    time.sleep(300)

if __name__ == "__main__":
    here, there = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=child, args=(there,)).start()
    print(*here.recv(), flush=True)
    os._exit(0)
"""


def test_a_process_ends_with_its_parent_and_with_what_it_started(tmp_path):
    (tmp_path / "orphan.py").write_text(ORPHAN)
    done = subprocess.run(
        [sys.executable, "orphan.py"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.wait_procs([psutil.Process(pid)], timeout=60)
        assert not is_running(pid)
