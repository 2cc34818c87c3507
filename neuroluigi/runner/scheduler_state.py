"""What the local scheduler knows of tasks: how many of a task's dependencies are unfinished, which tasks are ready.

Every task knows how many of its dependencies are not done, and passes changes of itself on to those that depend on it;
so which tasks are ready, and how many are left, is known at any time, and costs the same however many there are.
"""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from heapq import heappop, heappush

import luigi.scheduler
from luigi.scheduler import BATCH_RUNNING, DISABLED, DONE, FAILED, PENDING, RUNNING

# (rank, kind): a ready task's rank among all of them, (-priority, time, number, id), smallest first; and what it has in
# common with tasks of which a worker can run either all or none: (resources, workers, is runnable, is batchable).
RankKey = tuple[tuple, tuple]


class Task(luigi.scheduler.Task):
    """A task, and what the state derived from it and its dependencies."""

    # The summary of a task that is not known.
    ABSENT = (1, 0)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.reset()

    def reset(self) -> None:
        """Forget what was derived."""
        self.number = 0
        self.linked: set[str] = set()
        # How many of its dependencies are unfinished, and how many block it; the summary that it last passed on.
        self.unfinished = 0
        self.blocking = 0
        self.last_sent = self.ABSENT
        self.counted: tuple = ()
        # None where it is not ready.
        self.rank_key: RankKey | None = None

    def summary(self) -> tuple[int, int]:
        """Return what its dependents count: (1 if it is unfinished, 1 if it blocks them)."""
        return int(self.status != DONE), int(self.blocks())

    def blocks(self) -> bool:
        """Return whether it, or something it depends on, is given up, so that nothing waits for its dependents."""
        return self.status == DISABLED or (self.status == PENDING and self.blocking > 0)

    def is_left(self) -> bool:
        """Return whether a worker may wait for it."""
        return self.status == FAILED or (self.status == PENDING and not self.blocking)


class Worker(luigi.scheduler.Worker):
    """A worker, as the scheduler sees it."""

    def is_trivial_worker(self, state: "State") -> bool:
        """Return whether none of its tasks needs a resource, so that no other worker's tasks matter."""
        return not self.assistant and not state.counts["needing", self.id]

    def get_tasks(self, state: "State", *statuses: str) -> Iterator[Task]:
        """Return its tasks of these statuses; where get_work asks, only those that can matter."""
        if statuses == (PENDING, RUNNING):
            return itertools.chain(state.candidates(self), self.get_tasks(state, RUNNING))
        return (task for task in state.get_active_tasks_by_status(*statuses) if self.id in task.workers)


class Ready:
    """Ready tasks in groups, best first: heaps of their rank keys.

    A heap keeps the former rank key of a task, and drops it when it comes to the top.
    """

    def __init__(self, tasks: dict[str, Task]):
        self._tasks = tasks
        self._heaps: dict[tuple, list[RankKey]] = {}
        # A heap of the groups by their tops; an entry is valid while it is the group's latest.
        self._tops: list[tuple[RankKey, tuple]] = []
        self._latest: dict[tuple, RankKey] = {}

    def add(self, group: tuple, key: RankKey) -> None:
        """Add a task by its rank key."""
        heap = self._heaps.setdefault(group, [])
        heappush(heap, key)
        if heap[0] is key:
            self._put_top(group, key)

    def _put_top(self, group: tuple, key: RankKey) -> None:
        self._latest[group] = key
        heappush(self._tops, (key, group))

    def first(self, group: tuple, count: float, suits: Callable[[Task], bool] = bool) -> list[Task]:
        """Return the best tasks of a group that suit, up to `count`."""
        heap = self._heaps.get(group, [])
        found: list[Task] = []
        keys: list[RankKey] = []
        while heap and len(found) < count:
            key = heappop(heap)
            task = self._tasks.get(key[0][-1])
            if task is not None and task.rank_key is key:
                keys.append(key)
                if suits(task):
                    found.append(task)
        for key in keys:
            heappush(heap, key)
        return found

    def best(self) -> Generator[tuple["Ready", tuple, RankKey, Task], None, None]:
        """Yield this object, each group, and the rank key of its best task, and that; best first."""
        seen = []
        try:
            while self._tops:
                key, group = heappop(self._tops)
                if self._latest.get(group) is not key:
                    continue
                best = self.first(group, 1)
                if not (best and best[0].rank_key):
                    del self._heaps[group], self._latest[group]
                elif best[0].rank_key is not key:
                    self._put_top(group, best[0].rank_key)
                else:
                    seen.append((key, group))
                    yield self, group, key, best[0]
        finally:
            for entry in seen:
                heappush(self._tops, entry)


class State(luigi.scheduler.SimpleTaskState):
    """Luigi's state of all tasks, and what is derived from it, updated with each change."""

    # What Luigi declares with its own class of tasks.
    _tasks: dict[str, Task]

    def __init__(self, state_path):
        super().__init__(state_path)
        self._reset()
        # What get_work has to choose from; the scheduler sets it.
        self.candidates: Callable[..., list[Task]] = lambda worker=None: []

    def _reset(self) -> None:
        # (what, worker): how many tasks.
        self.counts: Counter[tuple[str, str]] = Counter()
        # By worker; "" for tasks that none can run.
        self.ready: dict[str, Ready] = {}
        self._numbers = 0
        self._dependents: dict[str, set[str]] = defaultdict(set)
        self._batches: dict[str | None, dict[str, Task]] = defaultdict(dict)
        # By family and batched parameters, then by what else must be equal: the ready tasks that go into one batch.
        self._batch_mates: dict[str, dict[tuple, Ready]] = defaultdict(dict)
        # What prune has to check: tasks that changed, and others when their time comes.
        self._changed: dict[str, Task] = dict(self._tasks)
        self._due: list[tuple[float, str]] = []

    def set_state(self, state):
        """Take over a state that was saved."""
        super().set_state(state)
        self._status_tasks = defaultdict(dict)
        self._reset()
        for task in self._tasks.values():
            self._status_tasks[task.status][task.id] = task
            task.reset()
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
        """Update what is derived from a task whose dependencies may have changed."""
        for dep in task.deps ^ task.linked:
            sign = 1 if dep in task.deps else -1
            unfinished, blocks = self._tasks[dep].last_sent if dep in self._tasks else Task.ABSENT
            task.unfinished += sign * unfinished
            task.blocking += sign * blocks
            (self._dependents[dep].add if sign > 0 else self._dependents[dep].discard)(task.id)
        task.linked = set(task.deps)
        self.settle(task)

    def settle(self, task: Task) -> None:
        """Update what is derived from a task that changed, and from all that depend on it."""
        self._changed[task.id] = task
        self._send(task, task.summary())
        self._settle(task)

    def _settle(self, task: Task) -> None:
        self._count(task, task.workers)
        is_ready = task.status == PENDING and not task.unfinished
        self._set_rank_key(task, self._rank_key_of(task) if is_ready else None)

    def _send(self, task: Task, summary: tuple[int, int]) -> None:
        waiting = self._send_to_dependents(task, summary)
        while waiting:
            task = waiting.pop()
            waiting += self._send_to_dependents(task, task.summary())

    def _send_to_dependents(self, task: Task, summary: tuple[int, int]) -> list[Task]:
        unfinished, blocking = (now - before for now, before in zip(summary, task.last_sent, strict=True))
        task.last_sent = summary
        if not (unfinished or blocking):
            return []
        dependents = [self._tasks[name] for name in self._dependents.get(task.id, ())]
        for dependent in dependents:
            dependent.unfinished += unfinished
            dependent.blocking += blocking
            self._settle(dependent)
        return dependents

    def _count(self, task: Task, workers: Collection[str]) -> None:
        is_left = task.is_left()
        counted = [("pending", worker) for worker in workers if is_left]
        if is_left and len(workers) == 1:
            counted += [("unique", worker) for worker in workers]
        if is_left and workers:
            counted.append(("last", task.workers.peek()))
        if task.status == PENDING and task.resources:
            counted += [("needing", worker) for worker in workers]
        if tuple(counted) != task.counted:
            self.counts.subtract(task.counted)
            self.counts.update(counted)
            task.counted = tuple(counted)

    @staticmethod
    def _rank_key_of(task: Task) -> RankKey:
        kind = (_items(task.resources), tuple(task.workers), task.runnable, task.batchable)
        return (-priority_of(task), task.time, task.number, task.id), kind

    def _set_rank_key(self, task: Task, key: RankKey | None) -> None:
        if key == task.rank_key:
            return
        task.rank_key = key
        if key:
            for worker in task.workers or [""]:
                if worker not in self.ready:
                    self.ready[worker] = Ready(self._tasks)
                self.ready[worker].add(key[1], key)
            for names in self._batch_mates.get(task.family, ()):
                self._add_batch_mate(task, names, key)

    def _add_batch_mate(self, task: Task, names: tuple[str, ...], key: RankKey) -> None:
        if task.batchable and task.params.keys() >= set(names):
            self._batch_mates[task.family][names].add(self._batch_of(task, names), key)

    @staticmethod
    def _batch_of(task: Task, names: tuple[str, ...]) -> tuple:
        rest = frozenset((name, value) for name, value in task.params.items() if name not in names)
        return rest, _items(task.resources)

    # What get_work and prune ask for

    def get_active_tasks_by_status(self, *statuses):
        """Return the tasks of these statuses; where get_work asks, only those that can matter."""
        if statuses == (PENDING, RUNNING):
            return itertools.chain(self.candidates(), super().get_active_tasks_by_status(RUNNING))
        return super().get_active_tasks_by_status(*statuses)

    def batch_mates(self, task: Task, key: RankKey, worker: str = "") -> list[Task]:
        """Return the ready tasks that go into one batch with a ready task, from its rank on.

        Only those that `worker` can run, if one is given.
        """

        def suits(other: Task) -> bool:
            is_after = other.rank_key is not None and other.rank_key[0] >= key[0]
            return is_after and (not worker or worker in other.workers)

        found = []
        for batchers in self._task_batchers.values():
            batched, most = batchers.get(task.family, (None, 1))
            if not (batched and task.batchable):
                continue
            names = tuple(batched)
            if names not in self._batch_mates[task.family]:
                self._batch_mates[task.family][names] = Ready(self._tasks)
                for other in self._status_tasks[PENDING].values():
                    if other.rank_key and other.family == task.family:
                        self._add_batch_mate(other, names, other.rank_key)
            found += self._batch_mates[task.family][names].first(self._batch_of(task, names), most, suits)
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
        """Have `changed` return a task again when its time has come: for a retry, or to be removed."""
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

    def batches(self) -> dict[str | None, list[Task]]:
        """Return the batches that run or are about to, by id."""
        return {batch_id: list(tasks.values()) for batch_id, tasks in self._batches.items()}

    def inactivate_tasks(self, delete_tasks):
        deleted = [self._tasks[name] for name in delete_tasks]
        super().inactivate_tasks(delete_tasks)
        for task in deleted:
            self._leave_batch(task)
            self._count(task, ())
            self._set_rank_key(task, None)
            for dep in task.linked:
                self._dependents[dep].discard(task.id)
        for task in deleted:
            self._send(task, Task.ABSENT)

    def _remove_workers_from_tasks(self, workers, remove_stakeholders=True):
        # Every prune calls this, nearly always for no worker.
        if not workers:
            return
        super()._remove_workers_from_tasks(workers, remove_stakeholders)
        for task in self._tasks.values():
            self.settle(task)

    def get_worker(self, worker_id):
        return self._active_workers.setdefault(worker_id, Worker(worker_id))


def priority_of(task: luigi.scheduler.Task) -> float:
    """Return the priority of a task as a number: it may be anything."""
    return task.priority if isinstance(task.priority, (int, float)) else Task.DEFAULT_PRIORITY


def _items(resources: dict[str, int] | None) -> frozenset:
    return frozenset((resources or {}).items())
