"""Luigi's worker that counts the outcomes of tasks, and outlives a step's process that dies in any way."""

import contextlib
import gc
import importlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import luigi.scheduler
import luigi.worker
from luigi import execution_summary
from luigi.scheduler import DONE, FAILED

from neuroluigi.provenance.files import read_json
from neuroluigi.provenance.parts import part_path
from neuroluigi.provenance.record import package_versions
from neuroluigi.provenance.secret_values import masked
from neuroluigi.runner import luigid
from neuroluigi.runner.result_pipes import ResultPipes, outcome_of
from neuroluigi.steps.attempt import MADE, UNCHANGED, Outcome
from neuroluigi.steps.base import Step
from neuroluigi.steps.late_imports import import_now
from neuroluigi.steps.plan import discard_statuses
from neuroluigi.steps.progress_report import percentage, status_message

logger = logging.getLogger("luigi-interface")

# A process that has sent its result ends within a few hundredths of a second.
_ENDING_SECONDS = 2.0

if sys.platform == "win32":
    # No process is forked there.
    _signals_blocked = contextlib.nullcontext
else:
    # What ends a run. In the moment of a fork it would be lost: the system's handlers around one swallow exceptions.
    _ENDING = (signal.SIGINT, signal.SIGTERM)

    @contextlib.contextmanager
    def _signals_blocked() -> Iterator[None]:
        """Delay signals that end a run until the context ends; but not in a process that is forked meanwhile."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING))


@contextlib.contextmanager
def _interrupted_afterwards() -> Iterator[None]:
    """Put off the first signal that ends a run until the context ends, where it would be lost; not a second one.

    While a module is imported Python looks for others and collects garbage, and swallows exceptions of either.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    # Another thread than the main one gets no signals, and may set no handlers.
    is_main = threading.current_thread() is threading.main_thread()
    known = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM) if is_main}
    before = {number: handler for number, handler in known.items() if callable(handler)}
    try:
        for number in before:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


class Worker(luigi.worker.Worker):
    """Luigi's worker with a pipe for each process, progress of steps, and a count of what came of each step."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._task_result_queue.close()
        # What came of the tasks that ran in processes of their own, until their results are read.
        self._sent: dict[str, Outcome] = {}
        self._pipes = ResultPipes(self.import_next, self._sent.__setitem__)
        # Of a queue, Luigi calls get, put and close.
        self._task_result_queue = self._pipes  # type: ignore[assignment]
        self._imports: list[str] = []
        self._progress: dict[str, dict] = {}
        self.outcomes: dict[str, Counter] = {MADE: Counter(), UNCHANGED: Counter()}
        self.seconds: dict[str, float] = {}
        # The ids of the tasks that made something.
        self.made: set[str] = set()
        # At the end, the tasks that failed, or whose status could not be determined.
        self.failed: list[str] = []

    @property
    def root(self) -> luigi.Task | None:
        """The task that was asked for, None where it could not be scheduled."""
        return self._scheduled_tasks.get(self._first_task)

    @property
    def scheduled_tasks(self) -> list[luigi.Task]:
        """All tasks of the run that are known so far."""
        return list(self._scheduled_tasks.values())

    @property
    def running_tasks(self) -> list[luigi.Task]:
        """The tasks that run now; of a run that was interrupted, those that ran then."""
        return [process.task for process in self._running_tasks.values()]

    def run(self):
        """Return whether all went well; a run that luigid has forgotten is registered again, and goes on."""
        try:
            is_good = super().run()
            while isinstance(self._scheduler, luigid.RemoteScheduler) and not self._scheduler.is_known:
                logger.warning("luigid does not know this run any more; telling it again")
                self.add(self.root)
                is_good = super().run()
            return is_good
        except luigid.LuigidGone:
            logger.warning("the steps that run now are finished yet")
            for process in self._running_tasks.values():
                if process.use_multiprocessing:
                    process.join()
            raise

    def _keep_alive(self, get_work_response):
        # With luigid: what another run makes now may come to this one, and with it what depends on it.
        if isinstance(self._scheduler, luigid.RemoteScheduler) and not self._stop_requesting_work:
            return self._scheduler.may_have_work
        return super()._keep_alive(get_work_response)

    def __exit__(self, type, value, traceback):
        # Later the command line, by which tasks know what they require, is forgotten. An exception here is raised
        # again for Luigi, and must not hide the error by which the run ends.
        with contextlib.suppress(Exception):
            by_status = execution_summary._summary_dict(self)
            self.failed = sorted(str(task) for task in (*by_status["failed"], *by_status["scheduling_error"]))
        result = super().__exit__(type, value, traceback)
        if isinstance(self._scheduler, luigid.RemoteScheduler):
            self._scheduler.unregister(self._id)
        return result

    def prepare_for(self, steps: Iterable[Step]) -> None:
        """Do once what each of these steps' processes would do again, where they begin as copies of this one."""
        kinds = {type(step): step for step in steps}
        imports = sorted({name for kind in kinds for name in kind.preload})
        if not self._is_forking():
            # With one worker they are imported while the engine starts.
            self._imports = imports if self.worker_processes == 1 else []
            return
        # Each step has random generators of its own, NumPy's among them.
        if kinds:
            import_now("numpy")
        for step in kinds.values():
            step.sources("")
            package_versions(step.imported_distributions(""))
        # These objects stay; a garbage collection would write to them, and each process would get a copy of its own.
        gc.freeze()
        self._imports = imports

    def _is_forking(self) -> bool:
        """Whether each step gets a process that begins with a copy of this one."""
        has_processes = self._config.force_multiprocessing or self.worker_processes > 1
        return has_processes and multiprocessing.get_start_method() == "fork"

    def wait_for_processes(self) -> None:
        """Wait until processes have ended that have sent their results: the run's register is theirs too."""
        until = time.monotonic() + _ENDING_SECONDS
        for process in multiprocessing.active_children():
            if isinstance(process, luigi.worker.TaskProcess):
                process.join(max(0.0, until - time.monotonic()))

    def import_next(self) -> None:
        """Import one of the modules that steps will, while there is nothing else to do."""
        if self._imports:
            self._import(self._imports[0])

    def _import(self, name: str) -> None:
        self._imports.remove(name)
        # A step whose module is not there says so.
        with _interrupted_afterwards(), contextlib.suppress(ImportError):
            importlib.import_module(name)

    def _create_task_process(self, task):
        process = super()._create_task_process(task)
        if process.use_multiprocessing:
            process.result_queue = self._pipes.add_process(task)
            is_local = isinstance(self._scheduler, luigi.scheduler.Scheduler)
            if is_local and multiprocessing.get_start_method() != "fork":
                # Nothing reads the copy of the scheduler in that process; an empty one costs nothing to send.
                process.status_reporter._scheduler = type(self._scheduler)()
            for name in [name for name in self._imports if isinstance(task, Step) and name in task.preload]:
                self._import(name)
        elif isinstance(self._scheduler, luigid.RemoteScheduler):
            # Another run may have made since the plan what it requires; a process of its own looks for itself.
            discard_statuses()
        return process

    def _run_task(self, task_id):
        task = self._scheduled_tasks[task_id]
        if isinstance(task, Step):
            # Where that can't be written the step fails with the reason.
            with contextlib.suppress(OSError):
                task.progress_path = part_path(task.record_path.with_suffix(".progress.json"))
        self.on_started(task)
        with _signals_blocked() if self._is_forking() else contextlib.nullcontext():
            super()._run_task(task_id)
        process = self._running_tasks.get(task_id)
        if process is not None and process.use_multiprocessing:
            process.result_queue.close()

    def _handle_next_task(self):
        self.on_waiting()
        self._pass_on_progress()
        super()._handle_next_task()

    def _pass_on_progress(self) -> None:
        """Pass the progress of steps in processes of their own on to the scheduler."""
        for task_id, process in self._running_tasks.items():
            if not (process.use_multiprocessing and isinstance(process.task, Step) and process.task.progress_path):
                continue
            progress = read_json(process.task.progress_path)
            if progress and progress != self._progress.get(task_id):
                self._progress[task_id] = progress
                self._show(task_id, progress)

    def _show(self, task_id: str, progress: Mapping) -> None:
        self._scheduler.set_task_status_message(task_id, status_message(progress))
        self._scheduler.set_task_progress_percentage(task_id, percentage(progress))

    def _add_task(self, *args, **kwargs):
        task_id = kwargs["task_id"]
        task = self._scheduled_tasks.get(task_id)
        # A task that was not run has no explanation.
        if task is not None and kwargs.get("expl"):
            # Where it ran in a process of its own, this one has not seen what it changed.
            if type(task).run is not luigi.Task.run:
                discard_statuses()
            outcome = self._sent.pop(task_id, None) or outcome_of(task)
            if kwargs["status"] == FAILED:
                explanation = json.loads(kwargs["expl"])
                why = outcome.failure or (explanation if isinstance(explanation, str) else "") or "it is not done"
                if isinstance(task, Step) and isinstance(self._scheduler, luigid.RemoteScheduler):
                    kwargs["expl"] = json.dumps(luigid.failure_text(why, task.kept_log(False)))
                outcome = Outcome(failure=why)
            self.on_finished(task, kwargs["status"] == DONE, outcome)
        if kwargs.get("params") and not kwargs.get("batchable"):
            # For people to read.
            kwargs["params"] = task.to_str_params(True, True) if isinstance(task, Step) else masked(kwargs["params"])
        super()._add_task(*args, **kwargs)
        if isinstance(task, Step) and task_id in self._running_tasks:
            log = task.kept_log(kwargs["status"] == DONE)
            self._show(task_id, {"log": str(log)} if log.exists() else {})
            if task.progress_path:
                with contextlib.suppress(OSError):
                    task.progress_path.unlink()

    # What a subclass may add to

    def on_started(self, task: luigi.Task) -> None:
        """Called when a task is about to run."""

    def on_waiting(self) -> None:
        """Called again and again while tasks run."""

    def on_finished(self, task: luigi.Task, is_done: bool, outcome: Outcome) -> None:
        """Called when a task has run; counts its outcome."""
        if is_done and outcome.what and not isinstance(task, luigi.WrapperTask):
            self.outcomes[outcome.what][task.task_family] += 1
            self.made |= {task.task_id} if outcome.what == MADE else set()
            if outcome.seconds is not None:
                self.seconds[str(task)] = outcome.seconds
