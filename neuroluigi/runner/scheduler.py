"""A local scheduler that decides as Luigi's own does, at a cost per task that does not grow with their number.

Whenever Luigi's own gives out a task, it prunes all tasks, sorts all that wait, looks at all their dependencies, and
counts all that are left. Here every task knows how many of its dependencies are not done, and what changes is told to
those that depend on it; so what is ready, and how many are left, is known at any time. Luigi's code still takes every
decision: it is only shown the few tasks that can matter to it.

The `luigi` command of this package uses it. In a lab's own tasks.py or script, one line does:

    neuroluigi.scheduling.install()
"""

import contextlib
import functools
import heapq
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from heapq import heappop, heappush

import luigi.interface
import luigi.scheduler
from luigi.scheduler import BATCH_RUNNING, DISABLED, DONE, FAILED, PENDING, RUNNING

from neuroluigi.steps.config import neuroluigi, setting


class Task(luigi.scheduler.Task):
    """A task, and what the state derived from it and its dependencies."""

    # What a task that is not there tells those that depend on it: (it is not done, it bars them).
    ABSENT = (1, 0)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.forget()

    def forget(self) -> None:
        """Forget what was derived."""
        self.number = 0
        self.linked: set[str] = set()
        self.unfinished = 0
        self.barred = 0
        self.told = self.ABSENT
        self.counted: tuple = ()
        self.place: tuple | None = None

    def word(self) -> tuple[int, int]:
        """Return what those that depend on this task must know: whether it is not done, whether it bars them."""
        return int(self.status != DONE), int(self.bars())

    def bars(self) -> bool:
        """Whether it, or what it rests on, is given up, and what depends on it is not waited for."""
        return self.status == DISABLED or (self.status == PENDING and self.barred > 0)

    def is_left(self) -> bool:
        """Whether a worker may wait for it."""
        return self.status == FAILED or (self.status == PENDING and not self.barred)


class Worker(luigi.scheduler.Worker):
    """A worker, as the scheduler sees it."""

    def is_trivial_worker(self, state: "State") -> bool:
        """Return whether none of its tasks needs a resource, so that no other worker's tasks matter."""
        return not self.assistant and not state.counts["needing", self.id]

    def get_tasks(self, state: "State", *statuses: str) -> Iterator[Task]:
        """Return its tasks of these statuses; of those that get_work looks through, the ones that can matter."""
        if statuses == (PENDING, RUNNING):
            return itertools.chain(state.candidates(self), self.get_tasks(state, RUNNING))
        return (task for task in state.get_active_tasks_by_status(*statuses) if self.id in task.workers)


class Ready:
    """Ready tasks in groups, best first: heaps of their places, which are (rank, kind).

    A heap keeps a place that its task has left, and drops it when it comes to the top.
    """

    def __init__(self, tasks: dict[str, Task]):
        self._tasks = tasks
        self._heaps: dict[tuple, list[tuple]] = {}
        # A heap of the groups by their tops; an entry holds while it is the group's latest.
        self._tops: list[tuple] = []
        self._latest: dict[tuple, tuple] = {}

    def add(self, group: tuple, place: tuple) -> None:
        """Add a task by its place."""
        heap = self._heaps.setdefault(group, [])
        heappush(heap, place)
        if heap[0] is place:
            self._rank(group, place)

    def _rank(self, group: tuple, place: tuple) -> None:
        self._latest[group] = place
        heappush(self._tops, (place, group))

    def first(self, group: tuple, count: float, suits: Callable[[Task], bool] = bool) -> list[Task]:
        """Return the best tasks of a group that suit, as many as there are up to `count`."""
        heap, found, passed_over = self._heaps.get(group, []), [], []
        while heap and len(found) < count:
            place = heappop(heap)
            task = self._tasks.get(place[0][-1])
            if task is not None and task.place is place:
                (found if suits(task) else passed_over).append(task)
        for task in found + passed_over:
            heappush(heap, task.place)
        return found

    def best(self) -> Iterator[tuple["Ready", tuple, Task]]:
        """Yield this, each group, and its best task; best first."""
        seen = []
        try:
            while self._tops:
                place, group = heappop(self._tops)
                if self._latest.get(group) is not place:
                    continue
                best = self.first(group, 1)
                if not best:
                    del self._heaps[group], self._latest[group]
                elif best[0].place is not place:
                    self._rank(group, best[0].place)
                else:
                    seen.append((place, group))
                    yield self, group, best[0]
        finally:
            for entry in seen:
                heappush(self._tops, entry)


class State(luigi.scheduler.SimpleTaskState):
    """Luigi's state of all tasks, and what follows from it, brought up to date with each change."""

    def __init__(self, state_path):
        super().__init__(state_path)
        self._start_afresh()
        # What get_work has to look at; the scheduler knows.
        self.candidates: Callable[..., list[Task]] = lambda worker=None: []

    def _start_afresh(self) -> None:
        # (what, worker): how many tasks.
        self.counts: Counter = Counter()
        # By worker; "" has what none can run.
        self.ready: dict[str, Ready] = {}
        self._numbers = 0
        self._dependents: dict[str, set[str]] = defaultdict(set)
        self._batches: dict[str, dict[str, Task]] = defaultdict(dict)
        # By family and batched parameters, then by what else must agree: the ready tasks that go into one batch.
        self._mates: dict[str, dict[tuple, Ready]] = defaultdict(dict)
        # What prune has to look at: tasks that changed, and others when their time comes.
        self._changed: dict[str, Task] = dict(self._tasks)
        self._due: list[tuple[float, str]] = []

    def load(self):
        super().load()
        self._start_afresh()
        for task in self._tasks.values():
            task.forget()
            self._number(task)
        for task in self._tasks.values():
            self.link(task)
            if task.status == BATCH_RUNNING:
                self._batches[task.batch_id][task.id] = task

    def _number(self, task: Task) -> None:
        self._numbers += 1
        task.number = self._numbers

    # What is derived

    def link(self, task: Task) -> None:
        """Take over what a task depends on now."""
        for dep in task.deps ^ task.linked:
            sign = 1 if dep in task.deps else -1
            unfinished, bar = self._tasks[dep].told if dep in self._tasks else Task.ABSENT
            task.unfinished += sign * unfinished
            task.barred += sign * bar
            (self._dependents[dep].add if sign > 0 else self._dependents[dep].discard)(task.id)
        task.linked = set(task.deps)
        self.settle(task)

    def settle(self, task: Task) -> None:
        """Take over a change of a task, and tell those that depend on it."""
        self._changed[task.id] = task
        self._tell(task, task.word())
        self._settle(task)

    def _settle(self, task: Task) -> None:
        self._count(task, task.workers)
        is_ready = task.status == PENDING and not task.unfinished
        self._place(task, self._place_of(task) if is_ready else None)

    def _tell(self, task: Task, word: tuple[int, int]) -> None:
        waiting = self._tell_next(task, word)
        while waiting:
            task = waiting.pop()
            waiting += self._tell_next(task, task.word())

    def _tell_next(self, task: Task, word: tuple[int, int]) -> list[Task]:
        unfinished, barred = (now - before for now, before in zip(word, task.told, strict=True))
        task.told = word
        if not (unfinished or barred):
            return []
        dependents = [self._tasks[name] for name in self._dependents.get(task.id, ())]
        for dependent in dependents:
            dependent.unfinished += unfinished
            dependent.barred += barred
            self._settle(dependent)
        return dependents

    def _count(self, task: Task, workers: Collection[str]) -> None:
        is_left = task.is_left()
        counted = [("pending", worker) for worker in workers if is_left]
        if is_left and len(workers) == 1:
            counted.append(("unique", *workers))
        if is_left and workers:
            counted.append(("last", task.workers.peek()))
        if task.status == PENDING and task.resources:
            counted += [("needing", worker) for worker in workers]
        if tuple(counted) != task.counted:
            self.counts.subtract(task.counted)
            self.counts.update(counted)
            task.counted = tuple(counted)

    @staticmethod
    def _place_of(task: Task) -> tuple:
        kind = (_items(task.resources), tuple(task.workers), task.runnable, task.batchable)
        return (-_priority(task), task.time, task.number, task.id), kind

    def _place(self, task: Task, place: tuple | None) -> None:
        if place == task.place:
            return
        task.place = place
        if place:
            for worker in task.workers or [""]:
                if worker not in self.ready:
                    self.ready[worker] = Ready(self._tasks)
                self.ready[worker].add(place[1], place)
            for names in self._mates.get(task.family, ()):
                self._add_mate(task, names)

    def _add_mate(self, task: Task, names: tuple[str, ...]) -> None:
        if task.batchable and task.params.keys() >= set(names):
            self._mates[task.family][names].add(self._batch_of(task, names), task.place)

    @staticmethod
    def _batch_of(task: Task, names: tuple[str, ...]) -> tuple:
        rest = frozenset((name, value) for name, value in task.params.items() if name not in names)
        return rest, _items(task.resources)

    # What get_work and prune ask for

    def get_active_tasks_by_status(self, *statuses):
        """Return the tasks of these statuses; of those that get_work looks through, the ones that can matter."""
        if statuses == (PENDING, RUNNING):
            return itertools.chain(self.candidates(), super().get_active_tasks_by_status(RUNNING))
        return super().get_active_tasks_by_status(*statuses)

    def mates(self, task: Task, worker: str = "") -> list[Task]:
        """Return what goes into one batch with a ready task: from it on, ready ones (that a worker can run)."""

        def suits(other: Task) -> bool:
            return other.place[0] >= task.place[0] and (not worker or worker in other.workers)

        found = []
        for batchers in self._task_batchers.values():
            names, most = batchers.get(task.family, (None, 1))
            if not (names and task.batchable):
                continue
            names = tuple(names)
            if names not in self._mates[task.family]:
                self._mates[task.family][names] = Ready(self._tasks)
                for other in self._status_tasks[PENDING].values():
                    if other.place and other.family == task.family:
                        self._add_mate(other, names)
            found += self._mates[task.family][names].first(self._batch_of(task, names), most, suits)
        return found

    def changed(self) -> Iterable[Task]:
        """Return, once, the tasks that changed or whose time has come."""
        now = time.time()
        while self._due and self._due[0][0] <= now:
            name = heappop(self._due)[1]
            if name in self._tasks:
                self._changed[name] = self._tasks[name]
        changed, self._changed = self._changed, {}
        return [task for task in changed.values() if self._tasks.get(task.id) is task]

    def remind(self, task: Task, config: luigi.scheduler.scheduler) -> None:
        """See to it that `changed` returns a task again when its time has come: for a retry, or to be removed."""
        times = [] if task.remove is None else [task.remove]
        if task.status == FAILED and config.retry_delay >= 0:
            times.append(task.retry)
        if task.status == DISABLED and task.scheduler_disable_time is not None:
            times.append(task.scheduler_disable_time + config.disable_persist)
        if times:
            heappush(self._due, (min(times), task.id))

    # Changes

    def get_task(self, task_id, default=None, setdefault=None):
        is_new = setdefault is not None and task_id not in self._tasks
        task = super().get_task(task_id, default, setdefault)
        if is_new:
            self._number(task)
            self._changed[task_id] = task
        return task

    def set_status(self, task, new_status, config=None):
        if new_status != BATCH_RUNNING:
            self._leave_batch(task)
        super().set_status(task, new_status, config)
        self.settle(task)

    def _leave_batch(self, task: Task) -> None:
        if task.status == BATCH_RUNNING:
            self._batches[task.batch_id].pop(task.id, None)
            if not self._batches[task.batch_id]:
                del self._batches[task.batch_id]

    def set_batch_running(self, task, batch_id, worker_id):
        super().set_batch_running(task, batch_id, worker_id)
        self._batches[batch_id][task.id] = task

    def get_batch_running_tasks(self, batch_id):
        return list(self._batches.get(batch_id, {}).values())

    def batches(self) -> dict[str, list[Task]]:
        """Return the batches that run or are about to, by id."""
        return {batch_id: list(tasks.values()) for batch_id, tasks in self._batches.items()}

    def inactivate_tasks(self, delete_tasks):
        gone = [self._tasks[name] for name in delete_tasks]
        super().inactivate_tasks(delete_tasks)
        for task in gone:
            self._leave_batch(task)
            self._count(task, ())
            self._place(task, None)
            for dep in task.linked:
                self._dependents[dep].discard(task.id)
        for task in gone:
            self._tell(task, Task.ABSENT)

    def _remove_workers_from_tasks(self, workers, remove_stakeholders=True):
        # Every prune comes here, nearly always for nobody.
        if not workers:
            return
        super()._remove_workers_from_tasks(workers, remove_stakeholders)
        for task in self._tasks.values():
            self.settle(task)

    def get_worker(self, worker_id):
        return self._active_workers.setdefault(worker_id, Worker(worker_id))


def _priority(task: Task) -> float:
    return task.priority if isinstance(task.priority, (int, float)) else Task.DEFAULT_PRIORITY


def _items(resources: dict[str, int] | None) -> frozenset:
    return frozenset((resources or {}).items())


class Scheduler(luigi.scheduler.Scheduler):
    """Luigi's scheduler, at a cost per task that does not grow with their number."""

    state_class, task_class = State, Task

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        collector = self._state._metrics_collector
        self._state = self.state_class(self._config.state_path)
        self._state._metrics_collector = collector
        self._state.candidates = self._candidates
        self._make_task = functools.partial(self.task_class, retry_policy=self._config._get_retry_policy())

    def add_task(self, task_id=None, *args, **kwargs):
        super().add_task(task_id, *args, **kwargs)
        task = self._state.get_task(task_id)
        if task is not None:
            self._state.link(task)

    def _update_priority(self, task, prio, worker):
        task.priority = prio = max(prio, _priority(task))
        raised = [task]
        while raised:
            task = raised.pop()
            self._state.settle(task)
            for dep in task.deps:
                other = self._state.get_task(dep)
                if other is not None and prio > other.priority:
                    other.priority = prio
                    raised.append(other)

    def _candidates(self, worker: Worker | None = None) -> list[Task]:
        """Return the ready tasks that get_work can choose, or that hold resources back from those.

        All of them, or a worker's. Of tasks that need the same resources and can run on the same workers, only the
        first can be chosen, and no more than there are workers can hold anything back. Nothing after a task that is
        certain to be chosen matters, unless it goes into one batch with it.
        """
        state = self._state
        workers = list(state.get_active_workers()) if worker is None else [worker]
        everyone = {one.id for one in workers}
        slots = sum(one.info.get("workers", 1) for one in workers)
        used = self._used_resources()
        # What at most is taken when get_work comes to a task.
        held = defaultdict(int, used)
        found: dict[str, Task] = {}
        with contextlib.ExitStack() as stack:
            readies = state.ready.values() if worker is None else [state.ready.get(worker.id, Ready({}))]
            groups = [stack.enter_context(contextlib.closing(ready.best())) for ready in readies]
            for ready, group, best in heapq.merge(*groups, key=lambda one: one[2].place):
                is_certain = everyone <= set(best.workers) and self._has_resources(best.resources, held)
                shown = ready.first(group, 1 if is_certain else max(1, slots))
                if self._has_resources(best.resources, used):
                    shown += state.mates(best, worker.id if worker else "")
                found.update((task.id, task) for task in shown)
                if is_certain:
                    break
                for task in shown:
                    for resource, amount in (task.resources or {}).items():
                        held[resource] += amount
        return list(found.values())

    def _schedulable(self, task):
        return task.status == PENDING and not task.unfinished

    def _reset_orphaned_batch_running_tasks(self, worker_id):
        running = {
            task.batch_id
            for task in self._state.get_active_tasks_by_status(RUNNING)
            if task.worker_running == worker_id
        }
        for batch_id, tasks in self._state.batches().items():
            for task in tasks if batch_id not in running else ():
                if task.worker_running == worker_id:
                    self._state.set_status(task, PENDING)

    def count_pending(self, worker):
        asking = self._state.get_worker(worker)
        running = []
        for task in asking.get_tasks(self._state, RUNNING):
            other = self._state.get_worker(task.worker_running)
            running.append({"task_id": task.id, "worker": str(other), **other.info})
        counts = self._state.counts
        return {
            "n_pending_tasks": counts["pending", worker],
            "n_unique_pending": counts["unique", worker],
            "n_pending_last_scheduled": counts["last", worker],
            "worker_state": asking.state,
            "running_tasks": running,
        }

    def _prune_tasks(self):
        assistants = {worker.id for worker in self._state.get_assistants()}
        gone = []
        for task in self._state.changed():
            self._state.fail_dead_worker_task(task, self._config, assistants)
            self._state.update_status(task, self._config)
            if self._state.may_prune(task):
                gone.append(task.id)
            else:
                self._state.remind(task, self._config)
        self._state.inactivate_tasks(gone)


class Factory(luigi.interface._WorkerSchedulerFactory):
    """Luigi's factory of what a run needs, with this scheduler unless [neuroluigi] fast_scheduler is false."""

    def create_local_scheduler(self):
        if not setting(neuroluigi).fast_scheduler:
            return super().create_local_scheduler()
        return Scheduler(prune_on_get_work=True, record_task_history=False)


def install() -> None:
    """Use this scheduler in all runs of this process from now on: luigi.run, luigi.build and `python -m luigi`."""
    luigi.interface._WorkerSchedulerFactory = Factory
