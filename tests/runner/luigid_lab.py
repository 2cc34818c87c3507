"""A luigid on a free port, and labs whose runs it serves."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path

from tests import commands
from tests.conftest import BIN, clean_environment

# Luigid's own luigi.cfg and that of the runs, with shorter waits.
HASTE = """
[scheduler]
worker_disconnect_delay = 5
[core]
rpc_retry_attempts = 30
rpc_retry_wait = 1
"""

# A chain of two steps for each of 12 groups, that log when they start and end; a study over all of them.
TASKS = """
import os, time
from pathlib import Path
from neuroluigi import GroupTask, RecordingMaker, StudyTask, WrapperTask, groups

class Noise(RecordingMaker):
    def make(self, out):
        out.write_bytes(bytes([self.index]))

class Timed:
    def make(self, out):
        self.note("start")
        for k in range(4):
            self.report_progress(k, 4, "<b>of four</b>")
            while k == 2 and os.path.exists("hold"):
                time.sleep(0.05)
                self.report_progress(k, 4, "<b>of four</b>")
            time.sleep(SECONDS)
        assert Path("good").exists() or "fails" not in self.folder.name, "no <i>good</i>"
        out.write_text(self.task_family)
        self.note("end")

    def note(self, what):
        print(what)
        with open("times.log", "a") as log:
            log.write(f"{self.task_family}/{self.folder.name} {what} {time.time()} {os.getpid()}\\n")

class First(Timed, GroupTask):
    def requires(self):
        return [Noise(one.session, one.index) for one in self.recordings]
    def output(self):
        return self.result("first.txt")

class Second(Timed, GroupTask):
    def requires(self):
        return First(self.group)
    def output(self):
        return self.result("second.txt")

class Last(Timed, StudyTask):
    def requires(self):
        return {group: Second(group) for group in groups()}
    def output(self):
        return self.result("last.txt")
"""


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


class Luigid:
    """A luigid on a free port of this machine."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "luigi.cfg").write_text(HASTE)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.start()

    def start(self, *arguments):
        with (self.folder / "luigid.log").open("a") as log:
            command = [BIN / "luigid", "--port", str(self.port), *arguments]
            self.process = commands.start(
                command, cwd=self.folder, env=clean_environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_for(self.is_answering)

    def is_answering(self):
        assert self.process.poll() is None, (self.folder / "luigid.log").read_text()
        with contextlib.suppress(OSError):
            return self.call("is_paused") is not None
        return False

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(timeout=30)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def call(self, method, **data):
        query = urllib.parse.urlencode({"data": json.dumps(data)})
        with urllib.request.urlopen(f"{self.url}api/{method}?{query}", timeout=60) as answer:
            return json.load(answer)["response"]

    @property
    def token(self):
        """The token at the end of the link that it printed."""
        return re.search("#token=(\\S+)", (self.folder / "luigid.log").read_text())[1]

    def order(self, method, **data):
        """Call what changes anything, with the token."""
        body = urllib.parse.urlencode({"data": json.dumps(data)}).encode()
        request = urllib.request.Request(
            f"{self.url}api/{method}", body, {"Authorization": f"Bearer {self.token}"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["response"]

    def tasks(self, **of):
        """Return the tasks that it shows by name, as (status, task id, all that is known of them)."""
        shown = self.call("task_list")
        return {task["display_name"]: {**task, "id": name} for name, task in shown.items()}


class Lab:
    """A folder with TASKS, in which `luigi` is run with a luigid."""

    def __init__(self, folder: Path, luigid: Luigid, sessions="a,b,c", seconds=0.05):
        self.folder, self.luigid = folder, luigid
        folder.mkdir(parents=True)
        (folder / "tasks.py").write_text(TASKS.replace("SECONDS", str(seconds)))
        (folder / "luigi.cfg").write_text(f"{HASTE}\n[Noise]\nsessions = {sessions}\n")

    @property
    def results(self):
        return self.folder / "results"

    def start(self, *arguments):
        command = [BIN / "luigi", "--module", "tasks", *arguments, "--scheduler-port", str(self.luigid.port)]
        with (self.folder / "run.log").open("a") as log:
            return commands.start(
                command, cwd=self.folder, env=clean_environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def run(self, *arguments, code=0):
        """Run it to its end and return what it printed."""
        before = len(self.said()) if (self.folder / "run.log").exists() else 0
        assert self.start(*arguments).wait(timeout=120) == code, self.said()
        return self.said()[before:]

    def said(self):
        return (self.folder / "run.log").read_text()

    def times(self):
        """Return (step, what, when, process) of all that was started and ended."""
        path = self.folder / "times.log"
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(step, what, float(when), int(pid)) for step, what, when, pid in rows]

    def is_at_work(self):
        """Return the processes that started a step and did not end it yet."""
        open_steps = {}
        for step, what, _, pid in self.times():
            open_steps[pid] = step if what == "start" else None
        return {pid: step for pid, step in open_steps.items() if step}

    def check_whole(self):
        steps = [f"{family}/{s}-{p}" for family in ("First", "Second") for s in "abc" for p in ("even", "odd")]
        assert Counter(step for step, what, *_ in self.times() if what == "end").keys() == {*steps, "Last/study"}
        assert (self.results / "study" / "last.txt").read_text() == "Last"
        assert not list(self.folder.rglob("*.part-*"))


def check_apart(times, killed=()):
    """No step was started before all earlier starts of it had ended, or their process was killed."""
    is_open = defaultdict(set)
    for step, what, _, pid in sorted(times, key=lambda one: one[2]):
        if what == "start":
            assert is_open[step] <= set(killed), f"{step} ran twice at the same time"
        (is_open[step].add if what == "start" else is_open[step].discard)(pid)
