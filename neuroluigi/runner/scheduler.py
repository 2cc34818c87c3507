"""A local scheduler that decides as Luigi's own does, at a cost per task that does not grow with their number.

Whenever Luigi's own gives out a task, it prunes all tasks, sorts all that wait, checks all their dependencies, and
counts all that are left. Here the state (see scheduler_state.py) knows all this at any time. Luigi's code still takes
every decision: it only gets the few tasks to see that can matter to it.

The `luigi` command of this package uses it. In a lab's own tasks.py or script, one line does:

    neuroluigi.scheduler.install()
"""

import contextlib
import functools
import heapq
from collections import defaultdict
from typing import Any

import luigi.interface
import luigi.scheduler
from luigi.scheduler import PENDING, RUNNING

from neuroluigi.runner import patches
from neuroluigi.runner.scheduler_state import Ready, State, Task, Worker, priority_of
from neuroluigi.steps.config import neuroluigi, setting


class Scheduler(luigi.scheduler.Scheduler):
    """Luigi's scheduler, at a cost per task that does not grow with their number."""

    state_class: type[State] = State
    task_class: type[Task] = Task
    _state: State
    _make_task: Any

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
        task.priority = prio = max(prio, priority_of(task))
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
        """Return the ready tasks that get_work can choose, or that reserve resources which those need.

        All of them, or a worker's. Of tasks that need the same resources and can run on the same workers, only the
        first can be chosen, and no more than there are workers can reserve anything. Nothing after a task that is
        certain to be chosen matters, unless it goes into one batch with it.
        """
        state = self._state
        workers = list(state.get_active_workers()) if worker is None else [worker]
        everyone = {one.id for one in workers}
        slots = sum(one.info.get("workers", 1) for one in workers)
        used = self._used_resources()
        # The most that can be taken when get_work comes to a task.
        reserved = defaultdict(int, used)
        found: dict[str, Task] = {}
        with contextlib.ExitStack() as stack:
            readies = state.ready.values() if worker is None else [state.ready.get(worker.id, Ready({}))]
            groups = [stack.enter_context(contextlib.closing(ready.best())) for ready in readies]
            for ready, group, key, best in heapq.merge(*groups, key=lambda one: one[2]):
                is_certain = everyone <= set(best.workers) and self._has_resources(best.resources, reserved)
                chosen = ready.first(group, 1 if is_certain else max(1, slots))
                if self._has_resources(best.resources, used):
                    chosen += state.batch_mates(best, key, worker.id if worker else "")
                found.update((task.id, task) for task in chosen)
                if is_certain:
                    break
                for task in chosen:
                    for resource, amount in (task.resources or {}).items():
                        reserved[resource] += amount
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
        removable = []
        for task in self._state.changed():
            self._state.fail_dead_worker_task(task, self._config, assistants)
            self._state.update_status(task, self._config)
            if self._state.may_prune(task):
                removable.append(task.id)
            else:
                self._state.remind(task, self._config)
        self._state.inactivate_tasks(removable)


class Factory(luigi.interface._WorkerSchedulerFactory):
    """Luigi's factory of what a run needs, with this scheduler unless [neuroluigi] fast_scheduler is false."""

    def create_local_scheduler(self):
        kind = Scheduler if setting(neuroluigi).fast_scheduler else luigi.scheduler.Scheduler
        return kind(prune_on_get_work=True, record_task_history=False, resources=self.resources())

    def resources(self) -> dict[str, int]:
        """Return how much there is of each resource of [resources]."""
        return luigi.configuration.get_config().getintdict("resources")


def install() -> None:
    """Use this scheduler in all runs of this process from now on: luigi.run, luigi.build and `python -m luigi`."""
    patches.factory(Factory).apply()
