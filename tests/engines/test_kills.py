"""SIGKILL of the processes of a run, in any order: nothing that a call started lives on."""

import contextlib
import os
import random
import signal
import subprocess
import sys

import psutil
import pytest

from neuroluigi.engines.pool import open_pool
from neuroluigi.engines.run_folder import _lock
from tests.conftest import SEED, TORTURE, is_running, needs_octave
from tests.engines.lab import wait_for

pytestmark = [needs_octave, pytest.mark.skipif(sys.platform != "linux", reason="docs/engines.md says what remains")]

# In the process group of the engine's shell, in a group of its own, and in a session of its own; nobody waits for them.
STARTED = """
sleep 300 &
setsid sleep 300 &
{python} -c 'import os; os.setpgid(0, 0); os.execlp("sleep", "sleep", "300")' &
"""

# A run that forks a worker for a step, as Luigi does.
RUN = """
import multiprocessing, time
from neuroluigi.engines.pool import open_pool
from neuroluigi.steps.spawn import end_with_parent

def work():
    end_with_parent()
    {call}

if __name__ == "__main__":
    open_pool()
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    print(worker.pid, flush=True)
    worker.join()
    {then}
"""

VICTIMS = ("run", "worker", "first", "second", "engine")
# How many sets of victims, each in a random order; the number of a test is its seed.
SEEDS = 100 if TORTURE else 10


class Run:
    """A run in the middle of a call whose function started processes; `ids` are those of the victims."""

    def __init__(self, lab, then: str = "time.sleep(300)"):
        self.lab = lab
        script = lab.folder / "start.sh"
        script.write_text(STARTED.format(python=sys.executable))
        lab.write("starts", f"system('sh {script}');", "while true, pause(0.1); end")
        code = RUN.format(call=lab.calling_code("starts").replace("\n", "\n    "), then=then)
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        worker = int(self.process.stdout.readline())
        wait_for(lambda: self.names().count("sleep") == 3)
        engine = next(one for one in lab.processes() if one.name().startswith("octave"))
        second = engine.parent()
        ids = (self.process.pid, worker, second.ppid(), second.pid, engine.pid)
        self.ids = dict(zip(VICTIMS, ids, strict=True))

    def names(self) -> list[str]:
        """Return the names of all processes of its calls."""
        names = []
        for one in self.lab.processes():
            try:
                names.append(one.name())
            except psutil.Error:
                continue
        return names

    def kill(self, *victims: str) -> None:
        """Kill them one after the other; who is left may notice in between."""
        for name in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.ids[name], signal.SIGKILL)
        # A process that was killed is there until it is given a processor once more.
        wait_for(lambda: not any(is_running(self.ids[name]) for name in victims))

    def kill_at_once(self, *victims: str) -> None:
        """Kill them so that none of them sees another one die."""
        for name in victims:
            os.kill(self.ids[name], signal.SIGSTOP)
        self.kill(*victims)

    def is_held(self) -> bool:
        """Whether a process holds its folder: also one that a worker forked and that is to start an engine."""
        for folder in self.lab.temporary.iterdir():
            try:
                os.close(_lock(folder, is_shared=False))
            except OSError:
                return True
        return False

    def end(self) -> None:
        """End the run; what it started is not its affair any more."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def run(warm_lab):
    run = Run(warm_lab)
    yield run
    run.end()
    wait_for(lambda: not is_running(run.ids["worker"]) and not run.names() and not run.is_held())
    # What a worker left that was killed while it started an engine, the next run removes.
    pool = open_pool()
    assert [*warm_lab.temporary.iterdir()] == [pool]


@pytest.mark.parametrize("victim", VICTIMS)
def test_the_death_of_one_leaves_nothing(run, victim):
    before = {one.pid for one in run.lab.processes()}
    run.kill(victim)
    wait_for(lambda: not before & {one.pid for one in run.lab.processes()})


@pytest.mark.parametrize("seed", range(SEED, SEED + SEEDS))
def test_the_death_of_some_in_any_order_leaves_nothing(run, seed):
    chance = random.Random(seed)
    victims = chance.sample(VICTIMS, chance.randint(2, 3))
    while {"first", "second"} < {*victims} and {"run", "worker"} & {*victims}:
        # Who kills both, and whoever would notice, leaves it to the next run.
        victims = chance.sample(VICTIMS, chance.randint(2, 3))
    before = {one.pid for one in run.lab.processes()}
    run.kill(*victims)
    wait_for(lambda: not before & {one.pid for one in run.lab.processes()})


def test_what_the_death_of_all_leaves_is_ended_by_the_next_run(warm_lab):
    run = Run(warm_lab)
    run.kill_at_once("first", "second", "worker", "run", "engine")
    run.end()
    assert run.names() == ["sleep"] * 3
    warm_lab.write("quick", "disp('worked');")
    warm_lab.call("quick")
    assert run.names().count("sleep") == 0
    assert len(list(warm_lab.temporary.iterdir())) == 1


def test_what_the_death_of_supervisors_and_caller_leaves_is_ended_with_the_run(warm_lab):
    run = Run(warm_lab, then="")
    run.kill("first", "second", "worker")
    assert run.process.wait(60) == 0
    run.end()
    assert not run.names()
