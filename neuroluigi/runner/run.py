"""The `luigi` command: Luigi's own, plus what a run on the command line needs around it.

It looks for the module in the current folder, refuses before anything is made what can't work, treats SIGTERM as
Ctrl-C, and prints at the end where the results are. Nothing of it is in force when a module is imported in a notebook
or a test.
"""

import _thread
import atexit
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import luigi
import luigi.retcodes
from luigi.cmdline_parser import CmdlineParser

from neuroluigi.engines.engine import EngineError
from neuroluigi.engines.pool import close_pool, open_pool
from neuroluigi.provenance import run_lock, state
from neuroluigi.provenance.access import why_denied
from neuroluigi.provenance.commit import follow_moved
from neuroluigi.provenance.plain_text import use_plain_streams
from neuroluigi.provenance.run_record import run_log_path
from neuroluigi.provenance.secret_values import may_make_key
from neuroluigi.runner import luigid, patches, scheduler
from neuroluigi.runner.closing import Ending, closing_lines, ending
from neuroluigi.runner.command_line import exit_on_error, named_module, parse, use_current_folder, with_long_options
from neuroluigi.runner.flushing import Flushing
from neuroluigi.runner.options import deciding_settings, without_secrets
from neuroluigi.runner.progress import Display
from neuroluigi.runner.run_log import RunRecorder
from neuroluigi.runner.worker import Worker
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import (
    RunStopped,
    record_folders,
    results_root,
    roots_of_paths,
    set_defaults,
    setting,
    shown_path,
)
from neuroluigi.steps.discovery import check_results_root
from neuroluigi.steps.matlab import MatlabTask, matlab
from neuroluigi.steps.plan import discard_statuses, plan_together, status_of, walk_statuses
from neuroluigi.steps.spawn import INTERRUPTED, CarriesSettings

logger = logging.getLogger("luigi-interface")


def log_replacements(steps: Iterable[Step]) -> None:
    """Log which results are made again because a parameter has another value now."""
    statuses = ((step.task_family, status_of(step)) for step in steps)
    changes = Counter(
        (family, reason.text)
        for family, status in statuses
        if status.state == state.STALE
        for reason in status.reasons
        if reason.kind == "parameters"
    )
    for (family, text), count in sorted(changes.items()):
        logger.warning("%s: %d made with %s", family, count, text)


def follow_moved_recordings(root: luigi.Task) -> None:
    """Bring results and records up to date whose recordings lie elsewhere now; their bytes are the same."""
    roots = roots_of_paths()
    for step, status in walk_statuses(root):
        # Where that can't be written, the next run finds it again.
        with contextlib.suppress(OSError):
            if status.is_complete:
                step.update_places(status.may_name_other_places)
            if status.moved:
                follow_moved(step.record_path, status.moved, roots)


def check_engines(steps: Iterable[Step]) -> None:
    """Log, once, which engines the steps will run on; RunStopped where one can't run."""
    engines = {}
    for task in steps:
        if isinstance(task, MatlabTask) and type(task) not in engines and task.calls_engine():
            try:
                engines[type(task)] = task.found_engine()
            except EngineError as error:
                raise RunStopped(f"luigi: {error}") from error
    for engine in set(engines.values()):
        logger.info("M-functions run on %s", engine)


def check_folders(steps: Sequence[Step]) -> None:
    """Raise RunStopped where none of the steps could write its result: one line says why, not one for each of them."""
    denied = (why_denied(one.record_path.parent, results_root()) for one in steps)
    if steps and (first := next(denied)) and all(denied):
        raise RunStopped(f"luigi: {first}")


def check_tasks(roots: Sequence[luigi.Task]) -> None:
    """Raise RunStopped for what is wrong with a run of these tasks as a whole."""
    try:
        plan_together(roots)
    except RunStopped:
        raise
    except Exception:
        # It is raised again for Luigi, which logs of which task.
        return


class CheckingWorker(Worker):
    """A worker that refuses before the first step what can't work, and passes on what happens to record and display."""

    def __init__(self, recorder: RunRecorder, display: Display, flushing: Flushing, **options: Any):
        super().__init__(**options)
        self._recorder, self._display, self._flushing = recorder, display, flushing
        # The tasks that were asked for; what could not be scheduled of them is left out.
        self._asked_for: dict[str, luigi.Task] = {}
        # Set when the run ends without an exception.
        self.ending = Ending()
        self.has_run = False
        recorder.log.install()

    def add(self, task, *args, **kwargs):
        check_tasks([task])
        self._asked_for[task.task_id] = task
        is_added = super().add(task, *args, **kwargs)
        # Luigi asks for nothing below a task of its own that is complete; what is to be made there, is made.
        with contextlib.suppress(Exception):
            known = {one.task_id for one in self.scheduled_tasks}
            for step, status in walk_statuses(task):
                if status.todo and step.task_id not in known:
                    is_added &= super().add(step, *args, **kwargs)
        return is_added

    def run(self):
        self.has_run = True
        scheduled = {one.task_id for one in self.scheduled_tasks}
        for root in self._asked_for.keys() & scheduled:
            follow_moved_recordings(self._asked_for[root])
        steps = [one for one in self.scheduled_tasks if isinstance(one, Step)]
        # By their statuses, not complete(): a step whose complete() raises fails alone.
        steps = [one for one in steps if not status_of(one).is_complete]
        check_folders(steps)
        log_replacements(steps)
        check_engines(steps)
        # What needs not be made is left alone after a power cut, such as a file without a record.
        self._flushing.begin(one for one in steps if status_of(one).todo)
        self.prepare_for(steps)
        # Before the first fork: all processes of the run share its sessions. Where there is no space, steps say so.
        if steps:
            with contextlib.suppress(OSError):
                open_pool(while_starting=self.import_next)
        try:
            return super().run()
        finally:
            self.wait_for_processes()
            close_pool()

    def on_started(self, task):
        # The record and report are about the last run that made results: they begin with the first one. Of the tasks
        # that carry settings, steps alone make results.
        is_maker = isinstance(task, Step) or not isinstance(task, (CarriesSettings, luigi.WrapperTask))
        if is_maker and self.root and self._recorder.begin(self.root, self):
            self._display.start(self.root, self.worker_processes)
        self._display.begin(task)

    def on_waiting(self):
        self._display.check()

    def on_finished(self, task, is_done, outcome):
        super().on_finished(task, is_done, outcome)
        if is_done and isinstance(task, Step):
            self._flushing.note_done(task)
        self._display.end(task, is_done, outcome.failure)

    def __exit__(self, type, value, traceback):
        # Right after, Luigi forgets the command line, and with it the statuses.
        if type is None and self.root is not None:
            statuses = list(walk_statuses(self.root))
            self._display.count(statuses)
            self.ending = ending(self.root, statuses, self.made)
        return super().__exit__(type, value, traceback)


class _Factory(scheduler.Factory):
    """Makes what one run needs; `worker` is its worker, once it is made."""

    def __init__(self, recorder: RunRecorder, display: Display, flushing: Flushing):
        self._of_run = recorder, display, flushing
        self.worker: CheckingWorker | None = None

    def resources(self):
        # So that steps don't queue for a seat while others could fill the workers.
        return {**super().resources(), "matlab": setting(matlab).seats}

    def create_remote_scheduler(self, url):
        return luigid.RemoteScheduler(url, results_root(), setting(matlab).seats)

    def create_worker(self, scheduler, worker_processes, assistant=False):
        options = {"scheduler": scheduler, "worker_processes": worker_processes, "assistant": assistant}
        self.worker = CheckingWorker(*self._of_run, **options)
        return self.worker


class RecordedRun:
    """What stands around one run: other runs that decide otherwise are waited for, its record, log and display.

    `factory` makes its scheduler and worker. Needs the command line, as far as the run has one; raises RunStopped where
    the results would be among the recordings. One that is not whole is a part of a run whose record somebody else
    writes. `display` is the one that shows it, by default that of a terminal.
    """

    def __init__(
        self,
        command: Sequence[str],
        roots: Sequence[luigi.Task],
        is_whole: bool = True,
        display: Display | None = None,
    ):
        check_results_root()
        self._results = results_root()
        may_make_key(self._results)
        self._deciding = {name: value for root in roots for name, value in deciding_settings(root).items()}
        self._command = " ".join(without_secrets(command))
        self._display = display or Display(run_log_path(self._results))
        self.recorder = RunRecorder(command, self._results if is_whole else None)
        self._flushing = Flushing(self._results)
        self.factory = _Factory(self.recorder, self._display, self._flushing)

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Give the context in which Luigi runs."""
        alone = run_lock.side_by_side(self._results, self._deciding, self._command, record_folders())
        with alone, self.recorder, self._display:
            with self._flushing:
                yield
            if self._flushing.has_failed and not self.recorder.exit_code:
                self.recorder.exit_code = 1

    def reasons(self) -> str:
        """Return where the reasons of failures are, for the last lines of a run."""
        return f"are in {shown_path(run_log_path(self._results))}" if self._display.was_there else "stand above"


class Run:
    """One run of Luigi with the words of a command line.

    One that is not whole is a part of a run whose record somebody else writes.
    """

    def __init__(self, argv: list[str], is_whole: bool = True):
        self._argv, self._is_whole = with_long_options(argv), is_whole
        # What ran, as soon as anything did.
        self.worker: CheckingWorker | None = None

    def execute(self) -> int:
        """Run it and return its exit code; RunStopped where it can't begin, or can't go on."""
        if module := named_module(self._argv):
            use_current_folder(module)
        set_defaults()
        changes = (
            patches.one_exact_parser(),
            patches.options_of_sections(),
            patches.whole_errors_pass(),
            patches.plain_log_lines(),
            patches.processes_end(),
        )
        with patches.applied(*changes), _interruptible():
            return self._execute(parse(self._argv))

    def _execute(self, root: luigi.Task) -> int:
        with CmdlineParser.global_instance(self._argv):
            recorded = RecordedRun(["luigi", *self._argv], [root], self._is_whole)
        factory = recorded.factory
        try:
            with recorded.under_way(), patches.applied(patches.factory(lambda: factory)):
                recorded.recorder.exit_code = self._run_luigi(factory)
        except KeyboardInterrupt:
            print("luigi: interrupted; what is finished stays, run the same command to go on", file=sys.stderr)
            return INTERRUPTED
        finally:
            self.worker = factory.worker if factory.worker and factory.worker.has_run else None
        code = recorded.recorder.exit_code
        lines = closing_lines(self.worker, self.worker.ending, code, recorded.reasons()) if self.worker else []
        _print_last(lines)
        return code

    def _run_luigi(self, factory: _Factory) -> int:
        """Run Luigi itself; return its exit code, or that for missing data where the recordings are missing."""
        code = self._code_of_luigi(factory)
        lacks_recordings = factory.worker is not None and factory.worker.ending.lacks_recordings
        return luigi.retcodes.retcode().missing_data if lacks_recordings and not code else code

    def _code_of_luigi(self, factory: _Factory) -> int:
        """Return the exit code of Luigi, which it raises, if at all."""
        try:
            luigi.retcodes.run_with_retcodes(self._argv)
        except SystemExit as stopped:
            if isinstance(stopped.code, RunStopped):
                raise stopped.code from None
            if not isinstance(stopped.code, int):
                raise
            # What other runs with the same luigid made, Luigi counts as running elsewhere, or as not run.
            codes = luigi.retcodes.retcode()
            is_done = factory.worker is not None and factory.worker.ending.is_done
            return 0 if is_done and stopped.code in (codes.already_running, codes.not_run) else stopped.code
        return 0


def _print_last(lines: Iterable[str]) -> None:
    """Print the last lines of a run; a closed or full standard output does not make it fail if it did not."""
    try:
        print("\n".join(lines), flush=True)
    except OSError:
        # Python writes what is left when it ends, and where it can't, exits with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def luigi_command(argv: list[str]) -> int:
    """Run Luigi with the words of a command line and return its exit code."""
    return Run(argv).execute()


@contextlib.contextmanager
def command_line(argv: list[str], others: Iterable[str] = ()) -> Iterator[luigi.Task]:
    """Put luigi.cfg and a command line in force, as they are in a run; give the root task. `others` as for parse."""
    argv = with_long_options(argv)
    if module := named_module(argv):
        use_current_folder(module)
    with patches.applied(patches.one_exact_parser(), patches.options_of_sections()):
        parse(argv, others)
        with CmdlineParser.global_instance(argv) as parser:
            try:
                yield parser.get_task_obj()
            finally:
                discard_statuses()


def interrupt(signum, frame):
    """Handle a signal as Ctrl-C."""
    raise KeyboardInterrupt


# An interrupted run has ended, with its engines, before this.
_AGAIN_SECONDS = 20


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """End what runs in this context by Ctrl-C or SIGTERM, by KeyboardInterrupt in both cases.

    Python loses the exception of a signal that comes while it collects garbage, in a lock's __del__ say: where the run
    has not ended in time, the signal comes again.
    """
    timers: list[threading.Timer] = []

    def end(number: int, frame: object) -> None:
        timers.append(threading.Timer(_AGAIN_SECONDS, _signal_main_thread, [number]))
        timers[-1].daemon = True
        timers[-1].start()
        interrupt(number, frame)

    # Where Ctrl-C is ignored, as for what a script starts in the background, it stays so.
    numbers = [signal.SIGTERM, *([signal.SIGINT] if signal.getsignal(signal.SIGINT) != signal.SIG_IGN else [])]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in timers:
            timer.cancel()


def _signal_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def prepare_process() -> None:
    """Set this process up for a command: it writes any text, and collects garbage less often, at its end not at all."""
    # The statuses of 40,000 results are millions of objects that stay; by default collecting takes a sixth of the time.
    gc.set_threshold(100_000, 50, 100)
    # Python looks through all of them once more when it ends, which takes a quarter of a run that has nothing to do.
    atexit.register(gc.freeze)
    use_plain_streams()


def main() -> None:
    """Serve as the `luigi` command."""
    prepare_process()
    with exit_on_error():
        sys.exit(luigi_command(sys.argv[1:]))
