"""A command that is a fork is what it is when it starts from nothing, as far as it and its test can tell."""

import json
import signal
import subprocess

import psutil
import pytest

from tests import commands
from tests.commands import BIN, DEVNULL, PIPE, STDOUT, Forked, clean_environment

pytestmark = pytest.mark.skipif(not commands.MAY_FORK, reason="commands are not forked here")

TELLING = """
import json, multiprocessing, os, signal, sys, time
import luigi
from neuroluigi import StudyTask

def about(*_):
    here, streams = sys.modules["__main__"], (sys.stdin, sys.stdout, sys.stderr)
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
    return {
        "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "environment": dict(os.environ),
        "streams": [(one.isatty(), one.encoding, one.errors, one.line_buffering) for one in streams],
        "main": [here.__name__, here.__file__], "process": multiprocessing.current_process().name,
        "handlers": [getattr(one, "__name__", one) for one in handlers], "group": os.getpgrp(), "session": os.getsid(0),
        "setting": luigi.configuration.get_config().get("Tell", "setting"),
        "files": [os.readlink(f"/proc/self/fd/{one}") for one in range(3)],
    }

class Tell(luigi.Task):
    setting = luigi.Parameter("")
    def complete(self):
        with open("about.json", "w") as file:
            json.dump(about(), file, sort_keys=True)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            (spawned,) = pool.map(about, [0])
        print("a line read:", sys.stdin.readline().strip(), spawned["main"][0], flush=True)
        print("an error", file=sys.stderr)
        while os.path.exists("wait"):
            open("waits", "w").close()
            time.sleep(0.01)
        sys.exit(7)
"""
LUIGI = [BIN / "luigi", "--module", "tasks", "Tell", "--local-scheduler"]


@pytest.fixture
def telling(tmp_path):
    (tmp_path / "tasks.py").write_text(TELLING)
    (tmp_path / "luigi.cfg").write_text("[Tell]\nsetting = of the folder\n")
    return tmp_path


def test_it_has_the_same_of_everything_and_ends_likewise(telling):
    (telling / "in.txt").write_text("asked")
    about = []
    for forks in (True, False):
        with (telling / "in.txt").open() as given, (telling / "out.txt").open("w") as out:
            options = {"cwd": telling, "env": clean_environment(), "stdin": given, "stdout": out, "stderr": STDOUT}
            assert commands.run(LUIGI, forks=forks, **options).returncode == 7
        assert (telling / "out.txt").read_text().startswith("a line read: asked __mp_main__\nan error\n")
        about.append(json.loads((telling / "about.json").read_text()))
    # Each run has an id of its own.
    assert len({one["environment"].pop("NEUROLUIGI_RUN") for one in about}) == 2
    assert about[0] == about[1] and len(about[0]) == 12 and about[0]["setting"] == "of the folder"


def test_streams_apart_bytes_and_a_code_that_is_checked(telling):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        commands.run(LUIGI, cwd=telling, stdin=DEVNULL, capture_output=True, check=True)
    assert failed.value.returncode == 7 and failed.value.stdout == b"a line read:  __mp_main__\n\n"
    assert failed.value.stderr.startswith(b"an error\n")


@pytest.mark.parametrize("number, code", [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_signals_reach_it_and_a_wait_ends(telling, number, code):
    (telling / "wait").touch()
    process = commands.start(LUIGI, cwd=telling, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True)
    assert isinstance(process, Forked)
    while not (telling / "waits").exists():
        assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.05)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == process.poll() == code and not psutil.pid_exists(process.pid)
