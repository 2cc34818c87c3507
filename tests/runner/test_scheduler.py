"""The local scheduler against Luigi's own: the same graphs, the same calls, the same answers."""

import multiprocessing
import os
import pickle
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import luigi
import luigi.interface
import luigi.scheduler
import pytest
from luigi.scheduler import BATCH_RUNNING, DISABLED, DONE, FAILED, PENDING, RUNNING, UNKNOWN

from neuroluigi.runner import scheduler
from tests.conftest import BIN, clean_environment

# Calls at random: after each, both schedulers have answered alike and know the same of every task.

CONFIG = {
    "retry_delay": 7,
    "remove_delay": 20,
    "worker_disconnect_delay": 15,
    "disable_persist": 12,
    "disable_window": 30,
    "retry_count": 2,
    "stable_done_cooldown_secs": 0,
}
WORKERS = ("X", "Y", "Z")
TASKS = [f"t{number}" for number in range(12)]
STATUSES = (PENDING, RUNNING, BATCH_RUNNING, DONE, FAILED, DISABLED, UNKNOWN)
RESOURCES = ({}, {}, {"a": 1}, {"a": 2}, {"b": 1}, {"a": 1, "b": 1})


def add(draw: random.Random) -> tuple:
    family = draw.choice(("Plain", "Batch"))
    return "add", {
        "worker": draw.choice("XXXYZ"),
        "task": draw.randrange(len(TASKS)),
        "deps": draw.choice((set(), set(), set(), {1}, {2}, {1, 3})),
        "priority": draw.choice((0, 0, 0, 0, 1)),
        "resources": draw.choice(RESOURCES[:3] if family == "Batch" else RESOURCES),
        "family": family,
        "param": draw.choice("uuuv"),
        "status": draw.choice((PENDING,) * 20 + (DONE, DISABLED, UNKNOWN)),
        "runnable": draw.random() < 0.9,
        "assistant": draw.random() < 0.1,
    }


def calls(draw: random.Random) -> list[tuple]:
    """Return a sequence of calls: first tasks, then all that can happen to them."""
    kinds = {
        add: 2,
        lambda draw: ("get", draw.choice("XXXYZ"), draw.random() < 0.15, draw.random() < 0.5): 8,
        lambda draw: ("end", draw.randrange(10), draw.choice((DONE, DONE, DONE, FAILED, PENDING))): 4,
        lambda draw: ("more", draw.randrange(10), draw.randrange(len(TASKS))): 1,
        lambda draw: ("wait", draw.choice((1, 5, 14))): 0.5,
        lambda draw: ("prune",): 1,
        lambda draw: ("workers", draw.choice(WORKERS), draw.randint(1, 3)): 0.5,
        lambda draw: ("disable", draw.choice(WORKERS)): 0.1,
        lambda draw: ("forgive", draw.choice(TASKS)): 0.3,
        lambda draw: ("enable", draw.choice(TASKS)): 0.3,
        lambda draw: ("mark", draw.choice(TASKS)): 0.3,
    }
    chosen = draw.choices(list(kinds), list(kinds.values()), k=60)
    return [add(draw) for _ in range(draw.randint(3, 16))] + [kind(draw) for kind in chosen]


class AtItsOwnTime:
    """Makes tasks of which no two are of the same moment: of those, none is promised to come first."""

    def __init__(self, make):
        self.make, self.count = make, 0

    def __call__(self, **arguments):
        self.count += 1
        task = self.make(**arguments)
        task.time += self.count * 1e-6
        return task


class Driver:
    """One scheduler, driven by calls; `seen` has what it has answered."""

    def __init__(self, kind: type, batch_size: float):
        self.scheduler = kind(resources={"a": 2, "b": 1}, **CONFIG)
        self.scheduler._make_task = AtItsOwnTime(self.scheduler._make_task)
        self.running: dict[str, set[str]] = {worker: set() for worker in WORKERS}
        for worker in WORKERS:
            self.scheduler.add_task_batcher(
                worker=worker, task_family="Batch", batched_args=["n"], max_batch_size=batch_size
            )

    def call(self, what: str, *arguments):
        return getattr(self, what)(*arguments)

    def add(self, call: dict):
        name, batch = TASKS[call["task"]], call["family"] == "Batch"
        # A dependency comes before what depends on it, so that there are no circles.
        deps = [TASKS[call["task"] - below] for below in call["deps"] if call["task"] >= below]
        if call["status"] == UNKNOWN:
            # As Luigi's worker does where complete() fails.
            deps = []
        self.scheduler.add_task(
            worker=call["worker"],
            task_id=name,
            deps=deps,
            priority=call["priority"],
            resources=call["resources"],
            family=call["family"],
            params={"n": name, "p": call["param"]},
            status=call["status"],
            runnable=call["runnable"],
            assistant=call["assistant"],
            batchable=batch,
        )

    def get(self, worker: str, assistant: bool, knows: bool):
        current = sorted(self.running[worker]) if knows else None
        reply = self.scheduler.get_work(worker=worker, assistant=assistant, current_tasks=current)
        if reply["task_id"]:
            self.running[worker].add(reply["task_id"])
        if "batch_id" in reply:
            # As Luigi's worker does: a task of its own stands for the batch.
            name = "batch-" + reply["batch_id"][:6]
            self.scheduler.add_task(
                worker=worker, task_id=name, family="Batch", status="RUNNING", batch_id=reply["batch_id"], deps=[]
            )
            self.running[worker].add(name)
        reply["running_tasks"] = sorted(map(str, reply["running_tasks"]))
        return reply

    def _one_running(self, number: int):
        running = sorted((worker, name) for worker, names in self.running.items() for name in names)
        return running[number % len(running)] if running else (None, None)

    def end(self, number: int, status: str):
        worker, name = self._one_running(number)
        if name:
            self.running[worker].discard(name)
            self.scheduler.add_task(worker=worker, task_id=name, status=status, expl="")

    def more(self, number: int, dep: int):
        """A running task asks for another while it runs."""
        worker, name = self._one_running(number)
        if name and not (name in TASKS and TASKS.index(name) <= dep):
            self.running[worker].discard(name)
            self.scheduler.add_task(worker=worker, task_id=name, status=PENDING, new_deps=[TASKS[dep]])

    def wait(self, seconds: int):
        pass

    def prune(self):
        self.scheduler.prune()
        state = self.scheduler._state
        for worker in state.get_active_workers():
            # Luigi goes on to count those that it has just removed, while the worker has few others.
            worker.tasks = {task for task in worker.tasks if state.get_task(task.id) is task}

    def workers(self, worker: str, count: int):
        self.scheduler.add_worker(worker, {"workers": count})

    def disable(self, worker: str):
        self.scheduler.disable_worker(worker)

    def forgive(self, name: str):
        return self.scheduler.forgive_failures(name)

    def enable(self, name: str):
        self.scheduler.re_enable_task(name)

    def mark(self, name: str):
        return self.scheduler.mark_as_done(name)

    def known(self) -> dict:
        tasks = {
            task.id: (task.status, task.worker_running, task.priority, sorted(task.workers), sorted(task.stakeholders))
            for task in self.scheduler._state.get_active_tasks()
        }
        counted = [self.scheduler.count_pending(worker) for worker in sorted(self.scheduler._state.get_worker_ids())]
        for one in counted:
            one["running_tasks"] = sorted(map(str, one["running_tasks"]))
        return {"tasks": tasks, "counted": counted}


@pytest.mark.parametrize("seed", range(0, 200 * int(os.environ.get("NEUROLUIGI_SEQUENCES", 4)), 200))
def test_any_calls_have_the_same_answers(seed, monkeypatch):
    clock, seen = [1000.0], Counter()
    monkeypatch.setattr(time, "time", lambda: clock[0])
    for number in range(seed, seed + 200):
        draw = random.Random(number)
        batch_size = draw.choice((2, 3, float("inf")))
        drivers = [Driver(kind.Scheduler, batch_size) for kind in (luigi.scheduler, scheduler)]
        for step, (what, *arguments) in enumerate(calls(draw)):
            clock[0] += arguments[0] if what == "wait" else 0.01
            answers = [driver.call(what, *arguments) for driver in drivers]
            assert answers[0] == answers[1], (number, step, what, arguments)
            known = [driver.known() for driver in drivers]
            assert known[0] == known[1], (number, step, what, arguments)
            if step == 40:
                drivers[1].scheduler = pickle.loads(pickle.dumps(drivers[1].scheduler))
            seen["tasks"] += what == "get" and bool(answers[0]["task_id"])
            seen["batches"] += what == "get" and len(answers[0].get("batch_task_ids", ())) > 1
            seen.update(status for status, *_ in known[0]["tasks"].values())
    # The calls reach what they are to compare.
    assert seen["tasks"] > 500 and seen["batches"] > 20 and all(seen[status] > 50 for status in STATUSES), seen


def test_what_others_could_start_holds_resources_back():
    for kind in (luigi.scheduler, scheduler):
        one = kind.Scheduler(resources={"a": 2})
        one.add_worker("Y", {"workers": 2})
        assert one.get_work(worker="Y")["task_id"] is None
        for name in ("first", "second"):
            one.add_task(worker="Y", task_id=name, resources={"a": 1}, priority=1)
        one.add_task(worker="X", task_id="third", resources={"a": 1})
        assert one.get_work(worker="X")["task_id"] is None
        assert one.get_work(worker="Y")["task_id"] == "first"
        one.add_task(worker="Y", task_id="first", status=DONE)
        assert one.get_work(worker="X")["task_id"] == "third"
        assert one.get_work(worker="Y")["task_id"] == "second"


# Graphs at work: the same tasks.py under both, through the `luigi` command and through luigi.build.

GRAPHS = '''
import os, pathlib, time
import luigi

HERE = pathlib.Path(__file__).parent


class Base(luigi.Task):
    name = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(str(HERE / "out" / f"{type(self).__name__}-{self.name}"))

    def ran(self):
        with open(HERE / "ran.txt", "a") as file:
            file.write(f"{type(self).__name__}-{self.name}\\n")

    def run(self):
        self.ran()
        self.output().makedirs()
        with self.output().open("w"):
            pass


class Ranked(Base):
    """A higher priority goes first."""
    @property
    def priority(self):
        return int(self.name) * 7 % 10


class Priorities(luigi.WrapperTask):
    def requires(self):
        return [Ranked(str(n)) for n in range(10)]


class Pool(Base):
    @property
    def resources(self):
        return {"pool": 1 + int(self.name) % 2}

    def run(self):
        mine = HERE / f"in-{self.name}"
        mine.touch()
        with open(HERE / "together.txt", "a") as file:
            file.write(f"{sum(1 + int(one.name[3:]) % 2 for one in HERE.glob('in-*'))}\\n")
        time.sleep(0.05)
        mine.unlink()
        super().run()


class Resources(luigi.WrapperTask):
    def requires(self):
        return [Pool(str(n)) for n in range(8)]


class Broken(Base):
    def run(self):
        self.ran()
        if not (HERE / "mended").exists():
            raise RuntimeError("broken")
        super().run()


class Flaky(Base):
    """Fails the first time; is tried again where retry_delay allows."""
    def run(self):
        tried = HERE / f"tried-{self.name}"
        self.ran()
        if not tried.exists():
            tried.touch()
            raise RuntimeError("flaky")
        self.output().makedirs()
        with self.output().open("w"):
            pass


class Above(Base):
    below = luigi.TaskParameter()

    def requires(self):
        return self.below(self.name)


class Failures(luigi.WrapperTask):
    def requires(self):
        return [Above("a", below=Broken), Above("b", below=Ranked_), Base("c"), Above("d", below=Broken)]


class Ranked_(Base):
    pass


class Retries(luigi.WrapperTask):
    def requires(self):
        return [Above(str(n), below=Flaky) for n in range(3)]


class Missing(luigi.ExternalTask):
    name = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(str(HERE / "missing"))


class Off(Base):
    disabled = True


class External(luigi.WrapperTask):
    def requires(self):
        return [Above("a", below=Missing), Base("b"), Above("c", below=Off), Base("d")]


class Dynamic(Base):
    """Asks for others while it runs, one after the other and several at once."""
    def run(self):
        self.ran()
        first = yield Base(f"{self.name}1")
        yield [Base(f"{self.name}{n}") for n in (2, 3, 4)]
        assert first.exists()
        super().run()


class DynamicFailure(Base):
    def run(self):
        self.ran()
        yield Broken(self.name)
        super().run()


class Dynamics(luigi.WrapperTask):
    def requires(self):
        return [Dynamic("x"), Dynamic("y"), DynamicFailure("z"), Base("x1")]


class Spawner(Base):
    def run(self):
        self.ran()
        yield [Together(f"{self.name}{n}") for n in range(5)]
        super().run()


class Together(Base):
    name = luigi.Parameter(batch_method=",".join)
    max_batch_size = 3

    def run(self):
        self.ran()
        for name in self.name.split(","):
            one = luigi.LocalTarget(str(HERE / "out" / f"Together-{name}"))
            one.makedirs()
            with one.open("w"):
                pass

    def complete(self):
        return all((HERE / "out" / f"Together-{name}").exists() for name in self.name.split(","))


class Batches(luigi.WrapperTask):
    def requires(self):
        return [*(Together(str(n)) for n in range(7)), Spawner("s"), Base("z")]


class Wrapped(luigi.WrapperTask):
    def requires(self):
        return [Priorities(), Batches()]
'''

# name, workers, settings, whether the order is promised, exit code
RUNS = [
    ("Priorities", 1, [], True, 0),
    ("Priorities", 3, [], False, 0),
    ("Resources", 3, [], False, 0),
    ("Failures", 1, [], False, 30),
    ("Failures", 2, [], False, 30),
    ("Retries", 1, ["--scheduler-retry-delay", "0", "--scheduler-retry-count", "3", "--worker-keep-alive"], False, 0),
    ("Retries", 2, ["--scheduler-retry-delay", "0", "--scheduler-retry-count", "1"], False, 30),
    ("External", 1, [], False, 25),
    ("External", 2, [], False, 25),
    ("Dynamics", 1, [], False, 30),
    ("Dynamics", 3, [], False, 30),
    ("Batches", 1, [], False, 0),
    ("Batches", 2, [], False, 0),
    ("Wrapped", 1, [], False, 0),
    ("Wrapped", 3, [], False, 0),
]


def run_graph(folder: Path, root: str, workers: int, arguments: list[str], linear: bool) -> dict:
    """Run a graph in a folder of its own; return what ran in which order, the summary, and the exit code."""
    folder.mkdir()
    (folder / "graphs.py").write_text(GRAPHS)
    (folder / "luigi.cfg").write_text("[resources]\npool = 2\n[worker]\nwait_interval = 0.05\n")
    command = [BIN / "luigi", "--module", "graphs", root, "--local-scheduler", "--workers", str(workers), *arguments]
    done = subprocess.run(
        [*command, "--neuroluigi-fast-scheduler", str(linear).lower()],
        cwd=folder,
        # Tasks that become known at the same moment come in the order of their hashes.
        env={**clean_environment(), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert "===== Luigi Execution Summary =====" in said, said
    summary = said.split("===== Luigi Execution Summary =====")[1]
    ran = folder / "ran.txt"
    return {
        "ran": ran.read_text().split() if ran.exists() else [],
        "summary": sorted(line for line in summary.splitlines() if "Worker" not in line),
        "code": done.returncode,
        "there": sorted(path.name for path in (folder / "out").glob("*")),
        "folder": folder,
    }


@pytest.mark.parametrize(("root", "workers", "arguments", "is_ordered", "code"), RUNS)
def test_a_graph_ends_alike(tmp_path, root, workers, arguments, is_ordered, code):
    theirs, ours = (run_graph(tmp_path / str(linear), root, workers, arguments, linear) for linear in (False, True))
    assert ours["code"] == theirs["code"] == code
    assert ours["there"] == theirs["there"]
    if workers == 1:
        assert ours["ran"] == theirs["ran"]
    elif root in ("Dynamics", "Batches", "Wrapped"):
        # How often a step is resumed, and what makes a batch, depends on what has ended by then.
        for one in (ours, theirs):
            one["summary"] = [line for line in one["summary"] if "(name=" not in line and "scheduled" not in line]
            one["summary"] = [re.sub(r"^\* \d+ (ran|complete)", r"* \1", line) for line in one["summary"]]
    else:
        assert Counter(ours["ran"]) == Counter(theirs["ran"])
    assert ours["summary"] == theirs["summary"]
    if is_ordered:
        ranks = [int(name.partition("-")[2]) * 7 % 10 for name in ours["ran"]]
        assert ranks == sorted(ranks, reverse=True) and len(ranks) == 10
    if root == "Resources":
        together = [int(line) for line in (ours["folder"] / "together.txt").read_text().split()]
        assert len(together) == 8 and max(together) <= 2


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_it_survives_every_way_to_start_a_process(tmp_path, method):
    (tmp_path / "graphs.py").write_text(GRAPHS)
    program = f"""
import multiprocessing
if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
    import luigi, graphs
    from neuroluigi import scheduler
    scheduler.install()
    assert isinstance(luigi.interface._WorkerSchedulerFactory().create_local_scheduler(), scheduler.Scheduler)
    assert luigi.build([graphs.Wrapped()], local_scheduler=True, workers=2, no_lock=True)
"""
    (tmp_path / "program.py").write_text(program)
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=clean_environment(), check=True, timeout=300)
    assert len(list((tmp_path / "out").iterdir())) == 10 + 7 + 5 + 2


def test_importing_changes_nothing_of_luigi_and_one_line_does(monkeypatch):
    factory = luigi.interface._WorkerSchedulerFactory
    assert factory.__module__ == "luigi.interface"
    monkeypatch.setattr(luigi.interface, "_WorkerSchedulerFactory", factory)
    scheduler.install()
    assert type(luigi.interface._WorkerSchedulerFactory().create_local_scheduler()) is scheduler.Scheduler


def test_a_task_is_looked_at_as_often_however_many_there_are(monkeypatch):
    looked_at = Counter()
    for name in ("_settle", "link"):
        real = getattr(scheduler.State, name)

        def counting(self, task, real=real, name=name):
            looked_at[name] += 1
            return real(self, task)

        monkeypatch.setattr(scheduler.State, name, counting)
    per_task = []
    for count in (100, 1000):
        looked_at.clear()
        one = scheduler.Scheduler(prune_on_get_work=True)
        one.add_task(worker="w", task_id="all", deps=[f"{n}-2" for n in range(count)])
        for number in range(count):
            for step in range(3):
                deps = [f"{number}-{step - 1}"] if step else []
                one.add_task(worker="w", task_id=f"{number}-{step}", deps=deps)
        ran = 0
        while name := one.get_work(worker="w", current_tasks=[])["task_id"]:
            one.add_task(worker="w", task_id=name, status=DONE)
            ran += 1
        assert ran == 3 * count + 1
        per_task.append(looked_at.total() / ran)
    assert per_task[1] == pytest.approx(per_task[0], rel=0.05) and per_task[1] < 20
