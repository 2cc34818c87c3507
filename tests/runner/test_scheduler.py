"""The local scheduler against Luigi's own, in memory: the same calls, the same answers."""

import os
import pickle
import random
import time
from collections import Counter

import luigi
import luigi.interface
import luigi.scheduler
import pytest
from luigi.scheduler import BATCH_RUNNING, DISABLED, DONE, FAILED, PENDING, RUNNING, UNKNOWN

from neuroluigi.runner import scheduler

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
