"""Luigi's worker, which counts what came of each step, and outlives a step's process that dies in any way."""

import contextlib
import gc
import importlib
import json
import logging
import multiprocessing
import os
import queue
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.connection import Connection, wait

import luigi.scheduler
import luigi.worker
from luigi import execution_summary

from neuroluigi.provenance.files import part_path, read_json
from neuroluigi.provenance.record import package_versions
from neuroluigi.runner import luigid
from neuroluigi.steps.base import MADE, UNCHANGED, Step, percentage, status_message
from neuroluigi.steps.plan import discard_statuses
from neuroluigi.steps.spawn import CarriesSettings

logger = logging.getLogger("luigi-interface")

# So many waits in vain, and the steps that run are long ones.
_IDLE_WAITS = 3


class ResultPipes:
    """The results of steps, each from a pipe of its process's own.

    Luigi's way is one queue for all. It has one lock for all, which a process that is killed while it writes never
    gives back; then the others, and so the run, wait for ever.
    """

    def __init__(self, while_idle: Callable[[], None]):
        self._while_idle = while_idle
        self._waited = 0
        self._own: deque = deque()
        self._pipes: list[Connection] = []

    def add_process(self) -> "Sender":
        """Return what a new process sends its result with."""
        reader, writer = multiprocessing.Pipe(duplex=False)
        self._pipes.append(reader)
        return Sender(writer)

    def put(self, result: tuple) -> None:
        """Add a result of this process."""
        self._own.append(result)

    def get(self, timeout: float) -> tuple:
        """Return the next result. Raises queue.Empty where there is none in time."""
        # The word of a process comes first: it may have died after it was done.
        ready = wait(self._pipes, 0 if self._own else timeout)
        self._waited = 0 if ready or self._own else self._waited + 1
        for pipe in ready:
            try:
                return pipe.recv()
            except (EOFError, OSError):
                self._pipes.remove(pipe)
                pipe.close()
        if self._own:
            return self._own.popleft()
        if self._waited > _IDLE_WAITS:
            self._while_idle()
        raise queue.Empty

    def close(self) -> None:
        """Close all pipes."""
        for pipe in self._pipes:
            pipe.close()


class Sender:
    """The end of a pipe that a step's process holds."""

    def __init__(self, writer: Connection):
        self._writer = writer

    def put(self, result: tuple) -> None:
        """Send a result."""
        self._writer.send(result)

    def close(self) -> None:
        """Close this process's copy, so that the pipe ends when its owner does."""
        self._writer.close()


# What ends a run. In the moment of a fork it would be lost: the system's handlers around one swallow what they raise.
_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep signals that end a run until the context ends; in a process that is forked meanwhile they count at once."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING))


class Worker(luigi.worker.Worker):
    """Luigi's worker with results of its own way, and a count of what came of each step."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._task_result_queue.close()
        self._task_result_queue = ResultPipes(self.import_next)
        self._imports: list[str] = []
        self._progress: dict[str, dict] = {}
        self.outcomes: dict[str, Counter] = {MADE: Counter(), UNCHANGED: Counter()}
        self.seconds: dict[str, float] = {}
        # In the end, the tasks that failed, or could not even be looked at.
        self.failed: list[str] = []

    def run(self):
        """Return whether all went well; a run that luigid has forgotten tells it again, and goes on."""
        try:
            is_good = super().run()
            while isinstance(self._scheduler, luigid.RemoteScheduler) and not self._scheduler.is_known:
                logger.warning("luigid does not know this run any more; telling it again")
                self.add(self._scheduled_tasks[self._first_task])
                is_good = super().run()
            return is_good
        except luigid.LuigidGone:
            logger.warning("the steps that run now are finished yet")
            for process in self._running_tasks.values():
                if process.use_multiprocessing:
                    process.join()
            raise

    def _keep_alive(self, get_work_response):
        # With luigid: what another run is at may come to this one, and with it what depends on it.
        if isinstance(self._scheduler, luigid.RemoteScheduler) and not self._stop_requesting_work:
            return self._scheduler.may_have_work
        return super()._keep_alive(get_work_response)

    def __exit__(self, type, value, traceback):
        # Later the command line, by which tasks know what they require, is forgotten. What goes wrong here goes wrong
        # again for Luigi, and hides no error by which the run ends.
        with contextlib.suppress(Exception):
            by_status = execution_summary._summary_dict(self)
            self.failed = sorted(str(task) for task in (*by_status["failed"], *by_status["scheduling_error"]))
        result = super().__exit__(type, value, traceback)
        if isinstance(self._scheduler, luigid.RemoteScheduler):
            self._scheduler.say_goodbye(self._id)
        return result

    def prepare_for(self, steps: Iterable[Step]) -> None:
        """Do once what each of these steps' processes would do anew, where it begins with a copy of this one."""
        kinds = {type(step): step for step in steps}
        imports = sorted({name for kind in kinds for name in kind.preload})
        if not self._is_forking():
            # With one worker they are imported while the engine starts.
            self._imports = imports if self.worker_processes == 1 else []
            return
        package_versions()
        for step in kinds.values():
            step.sources("")
        # What is there now stays; looked through for garbage, each process would have a copy of its own.
        gc.freeze()
        self._imports = imports

    def _is_forking(self) -> bool:
        """Whether each step gets a process that begins with a copy of this one."""
        has_processes = self._config.force_multiprocessing or self.worker_processes > 1
        return has_processes and multiprocessing.get_start_method() == "fork"

    def import_next(self) -> None:
        """Import one of the modules that steps will, while there is nothing else to do."""
        if self._imports:
            self._import(self._imports[0])

    def _import(self, name: str) -> None:
        self._imports.remove(name)
        # A step whose module is not there says so.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)

    def _create_task_process(self, task):
        process = super()._create_task_process(task)
        if process.use_multiprocessing:
            process.result_queue = self._task_result_queue.add_process()
            is_local = isinstance(self._scheduler, luigi.scheduler.Scheduler)
            if is_local and multiprocessing.get_start_method() != "fork":
                # What a process tells its copy nobody hears; an empty one costs nothing to send.
                process.status_reporter._scheduler = type(self._scheduler)()
            for name in [name for name in self._imports if isinstance(task, Step) and name in task.preload]:
                self._import(name)
        return process

    def _run_task(self, task_id):
        task = self._scheduled_tasks[task_id]
        if isinstance(task, Step):
            task.progress_path = part_path(task.record_path.with_suffix(".progress.json"))
        self.begin(task)
        with _signals_kept() if self._is_forking() else contextlib.nullcontext():
            super()._run_task(task_id)
        process = self._running_tasks.get(task_id)
        if process is not None and process.use_multiprocessing:
            process.result_queue.close()

    def _handle_next_task(self):
        self._pass_on_progress()
        super()._handle_next_task()
        # A step that ran in a process of its own may have changed what was looked at here.
        discard_statuses()

    def _pass_on_progress(self) -> None:
        """Tell the scheduler what steps in processes of their own said of how far they are."""
        for task_id, process in self._running_tasks.items():
            if not (process.use_multiprocessing and isinstance(process.task, Step)):
                continue
            said = read_json(process.task.progress_path)
            if said and said != self._progress.get(task_id):
                self._progress[task_id] = said
                self._show(task_id, said)

    def _show(self, task_id: str, said: Mapping) -> None:
        self._scheduler.set_task_status_message(task_id, status_message(said))
        self._scheduler.set_task_progress_percentage(task_id, percentage(said))

    def _add_task(self, *args, **kwargs):
        task_id = kwargs["task_id"]
        task = self._scheduled_tasks.get(task_id)
        # Of a task that was not run there is no explanation.
        if task is not None and kwargs.get("expl"):
            said = json.loads(kwargs["expl"])
            self.hear(task, kwargs["status"], said)
            is_failure = kwargs["status"] == luigi.worker.FAILED and isinstance(task, Step) and isinstance(said, str)
            if is_failure and isinstance(self._scheduler, luigid.RemoteScheduler):
                kwargs["expl"] = json.dumps(luigid.failure_text(said, task.kept_log(False)))
        if kwargs.get("params") and isinstance(task, Step) and not kwargs.get("batchable"):
            # For people to read.
            kwargs["params"] = task.to_str_params(only_significant=True)
        super()._add_task(*args, **kwargs)
        if isinstance(task, Step) and task_id in self._running_tasks:
            log = task.kept_log(kwargs["status"] == luigi.worker.DONE)
            self._show(task_id, {"log": str(log)})
            with contextlib.suppress(OSError):
                task.progress_path.unlink()

    def begin(self, task: luigi.Task) -> None:
        """Hear that a task is about to run."""

    def hear(self, task: luigi.Task, status: str, said: object) -> None:
        """Count what came of a task that ran, and what it said of that."""
        # A step with an on_success() of its own may say anything.
        outcome = said.get("outcome") if isinstance(said, dict) else None
        if status == luigi.worker.DONE and isinstance(task, CarriesSettings) and outcome in self.outcomes:
            self.outcomes[outcome][task.task_family] += 1
            if outcome == MADE:
                self.seconds[str(task)] = said["seconds"]
