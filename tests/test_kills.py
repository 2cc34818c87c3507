"""Kills at random moments: no result without its full content, no process left, and a next run that completes."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.conftest import HAS_OCTAVE, Pipeline

# Kills of each kind, of six; to look closer: NEUROLUIGI_KILLS=40 make test
MOMENTS = int(os.environ.get("NEUROLUIGI_KILLS", "8"))
LANES = 2
MARK = "NEUROLUIGI_TEST_RUN"
GONE_SECONDS = 10


class KilledPipeline(Pipeline):
    """A small group per worker, whose right results are known from a first run."""

    def __init__(self, folder, workers):
        super().__init__(folder)
        engine = "octave" if HAS_OCTAVE else "numpy"
        fakes = ["--FakeRecording-sessions", "s", "--FakeRecording-count", workers]
        self.arguments = ["PlotAll", "--matlab-engine", engine, "--workers", workers, *fakes]
        # With one worker Luigi runs the steps itself; forced, there is a worker process to kill.
        self.arguments += ["--worker-force-multiprocessing"] if workers == 1 else []
        began = time.monotonic()
        self.run(*self.arguments)
        self.seconds = time.monotonic() - began
        self.right = self.files()
        assert len(self.right) == 5 * workers

    def forget(self):
        shutil.rmtree(self.results)
        shutil.rmtree(self.folder / "recordings")

    def finished(self):
        """Return the results without the temporary files of steps that were killed."""
        return {name: content for name, content in self.files().items() if ".part-" not in name}

    def wrong_files(self):
        return [name for name, content in self.finished().items() if self.right.get(name) != content]


def marked(mark):
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def worker_of(process: subprocess.Popen):
    """Return a process that Luigi forked for a step, or None where the run ends before there is one."""
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            luigi = psutil.Process(process.pid)
            workers = [child for child in luigi.children() if child.cmdline() == luigi.cmdline()]
            if workers:
                return random.choice(workers)
        time.sleep(0.01)
    return None


def kill_once(lab: KilledPipeline, what: str, number: int, moment: float) -> bool:
    """Kill a fresh run after `moment` of its time; return whether it was still running."""
    lab.forget()
    mark = str(uuid.uuid4())
    process = lab.start(*lab.arguments, env={MARK: mark})
    time.sleep(moment * lab.seconds)
    victim = worker_of(process) if what == "worker" else process
    was_running = process.poll() is None and victim is not None
    if was_running:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.send_signal(number)
    if what == "worker" or number == signal.SIGTERM:
        process.communicate(timeout=60)
    killed_at = time.monotonic()
    assert not lab.wrong_files(), f"killed at {moment:.3f}: not whole"
    lab.run(*lab.arguments)
    assert lab.finished() == lab.right, f"killed at {moment:.3f}: the next run made something else"
    while left := marked(mark):
        assert time.monotonic() - killed_at < GONE_SECONDS, f"killed at {moment:.3f}: {left} live on"
        time.sleep(0.1)
    process.communicate(timeout=5)
    if list(lab.folder.rglob("*.part-*")):
        # Its owner was still dying when the next run looked; the step that runs there next removes it.
        for path in lab.results.glob("*/*.*"):
            path.unlink()
        shutil.rmtree(lab.folder / "recordings")
        lab.run(*lab.arguments)
        assert not list(lab.folder.rglob("*.part-*")), f"killed at {moment:.3f}: temporary files stay behind"
    return was_running


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "what, number", [("luigi", signal.SIGKILL), ("luigi", signal.SIGTERM), ("worker", signal.SIGKILL)]
)
def test_a_kill_at_any_moment_loses_nothing(tmp_path, workers, what, number):
    chance = random.Random(f"{workers} {what} {number}")
    moments = [chance.uniform(0.1, 1) for _ in range(MOMENTS)]

    def lane(number_of_lane):
        lab = KilledPipeline(tmp_path / str(number_of_lane), workers)
        for moment in moments[number_of_lane::LANES]:
            # A run that had ended already was no kill.
            while not kill_once(lab, what, number, moment):
                moment *= 0.7

    with ThreadPoolExecutor(LANES) as pool:
        assert list(pool.map(lane, range(LANES))) == [None] * LANES
