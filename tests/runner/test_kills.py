"""Kills at random moments: no result without its full content, no process left, and a next run that completes."""

import contextlib
import copy
import functools
import random
import shutil
import signal
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.conftest import HAS_OCTAVE, SEED, TORTURE, Pipeline, needs_octave

# Kills of each kind, of ten, each in its own part of the run.
MOMENTS = 30 if TORTURE else 2
LANES = 2
MARK = "NEUROLUIGI_TEST_RUN"
GONE_SECONDS = 15
GRANDCHILD = "sleep 61.03"


class KilledPipeline(Pipeline):
    """A small group per worker, whose right results are known from a first run."""

    def __init__(self, folder, workers, has_grandchildren=False):
        super().__init__(folder)
        if has_grandchildren:
            path = folder / "matlab" / "computeStats.m"
            signature, rest = path.read_text().split("\n", 1)
            path.write_text(f"{signature}\nsystem('{GRANDCHILD} >/dev/null 2>&1 &');\n{rest}")
        engine = "octave" if HAS_OCTAVE else "numpy"
        fakes = ["--FakeRecording-sessions", "s", "--FakeRecording-count", workers]
        self.arguments = ["PlotAll", "--matlab-engine", engine, "--workers", workers, *fakes]
        # With one worker Luigi runs the steps itself; forced, there is a worker process to kill.
        self.arguments += ["--worker-force-multiprocessing"] if workers == 1 else []
        began = time.monotonic()
        self.run(*self.arguments, forks=False)
        self.seconds = time.monotonic() - began
        self.right = self.files()
        assert len(self.right) == 5 * workers

    def copied_to(self, folder):
        shutil.copytree(self.folder, folder)
        copied = copy.copy(self)
        copied.folder = folder
        return copied

    @property
    def temporary(self):
        """The folder for the temporary files of its runs, and of no others."""
        return self.folder.with_name(f"{self.folder.name} temporary")

    def start(self, *arguments, env=None, forks=True):
        self.temporary.mkdir(exist_ok=True)
        return super().start(*arguments, env={**(env or {}), "TMPDIR": str(self.temporary)}, forks=forks)

    def forget(self):
        shutil.rmtree(self.results)
        shutil.rmtree(self.folder / "recordings")

    def finished(self):
        """Return the results without temporary files of steps that were killed."""
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


def is_worker(process: psutil.Process, luigi: psutil.Process) -> bool:
    """Whether it is a process that Luigi forked for a step."""
    return process.ppid() == luigi.pid and process.cmdline() == luigi.cmdline()


def is_engine(process: psutil.Process, luigi: psutil.Process) -> bool:
    return process.name().startswith("octave")


def is_grandchild(process: psutil.Process, luigi: psutil.Process) -> bool:
    return process.cmdline() == GRANDCHILD.split()


VICTIMS = {"worker": is_worker, "engine": is_engine, "grandchild": is_grandchild}


def victim_of(process: subprocess.Popen, what: str, mark: str):
    """Return a process of that kind, or None where the run ends before there is one."""
    while process.poll() is None:
        found = []
        with contextlib.suppress(psutil.Error):
            luigi = psutil.Process(process.pid)
            found = [luigi] if what == "luigi" else []
            for one in marked(mark) if what != "luigi" else ():
                with contextlib.suppress(psutil.Error):
                    found += [one] if VICTIMS[what](one, luigi) else []
        if found:
            return random.choice(found)
        time.sleep(0.03)
    return None


def kill_once(lab: KilledPipeline, what: str, number: int, moment: float) -> bool:
    """Kill a fresh run after `moment` of its time; return whether it was still running."""
    lab.forget()
    mark = str(uuid.uuid4())
    # From nothing: moments of its imports count as well, and its environment is what its processes are known by.
    process = lab.start(*lab.arguments, env={MARK: mark}, forks=False)
    time.sleep(moment * lab.seconds)
    victim = victim_of(process, what, mark)
    was_running = process.poll() is None and victim is not None
    if was_running:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.send_signal(number)
    if what != "luigi" or number == signal.SIGTERM:
        process.communicate(timeout=60)
        # A crash of an engine is tried once more; its children's end is no matter to a step.
        assert process.returncode == 0 or what not in ("engine", "grandchild")
    killed_at = time.monotonic()
    assert not lab.wrong_files(), f"killed at {moment:.3f}: not whole"
    lab.run(*lab.arguments)
    assert lab.finished() == lab.right, f"killed at {moment:.3f}: the next run made something else"
    while left := marked(mark):
        assert time.monotonic() - killed_at < GONE_SECONDS, f"killed at {moment:.3f}: {left} live on"
        time.sleep(0.1)
    process.communicate(timeout=60)
    # Where a process of the run was still dying, the next run that makes something clears away what it left.
    (lab.results / "s-even" / "plot.png").unlink()
    lab.run(*lab.arguments)
    left = [*lab.folder.rglob("*.part-*"), *lab.results.glob(".runs"), *lab.temporary.iterdir()]
    assert not left, f"killed at {moment:.3f}: temporary files stay behind: {left}"
    return was_running


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """Return a function that gives a pipeline after its first run; each is made once, for copying."""
    return functools.cache(lambda *about: KilledPipeline(tmp_path_factory.mktemp("right") / "lab", *about))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "what, number",
    [
        ("luigi", signal.SIGKILL),
        ("luigi", signal.SIGTERM),
        ("worker", signal.SIGKILL),
        pytest.param("engine", signal.SIGKILL, marks=needs_octave),
        pytest.param("grandchild", signal.SIGKILL, marks=needs_octave),
    ],
)
def test_a_kill_at_any_moment_loses_nothing(right, tmp_path, workers, what, number):
    chance, part = random.Random(f"{SEED} {workers} {what} {number}"), 0.9 / MOMENTS
    moments = [0.1 + part * (before + chance.random()) for before in range(MOMENTS)]
    print(f"{what} {number!r}, {workers} workers: {MOMENTS} kills, seed {SEED}")
    finished = right(workers, what == "grandchild")

    def lane(number_of_lane):
        lab = finished.copied_to(tmp_path / str(number_of_lane))
        for moment in moments[number_of_lane::LANES]:
            # A run that had ended already was no kill.
            while not kill_once(lab, what, number, moment):
                moment *= 0.7

    with ThreadPoolExecutor(LANES) as pool:
        assert list(pool.map(lane, range(LANES))) == [None] * LANES
