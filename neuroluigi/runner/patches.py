"""What this package changes of Luigi's own code: each change a function here, in force only inside `applied`."""

import argparse
import contextlib
import copy
import functools
import logging
import multiprocessing
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import luigi.cmdline_parser
import luigi.interface
import luigi.worker
import psutil
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register
from luigi.worker import TaskException

from neuroluigi.provenance.secret_values import without_values
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.parameters import secrets_of

if TYPE_CHECKING:
    # A run needs no server.
    import tornado.routing
    import tornado.web

logger = logging.getLogger("luigi-interface")

# What Luigi logs of every task at level INFO, where one line of the step itself says more.
_CHATTER = (
    "Informed scheduler that task",
    "[pid %s] Worker %s running",
    "[pid %s] Worker %s done",
    "Worker Worker(",
    "Running Worker with",
    "Done scheduling tasks",
    # Every second, where the run has logged once that it waits.
    "Failed pinging scheduler",
)


class Patch(NamedTuple):
    """A new value for an attribute of a module, a class or an object of Luigi."""

    owner: Any
    name: str
    value: Any

    def apply(self) -> None:
        """Set the attribute, for good."""
        setattr(self.owner, self.name, self.value)


@contextlib.contextmanager
def applied(*patches: Patch) -> Iterator[None]:
    """Apply patches for the time of a context; it may be inside another one."""
    with contextlib.ExitStack() as undo:
        for patch in patches:
            undo.callback(setattr, patch.owner, patch.name, vars(patch.owner)[patch.name])
            patch.apply()
        yield


def factory(make: Callable[[], luigi.interface._WorkerSchedulerFactory]) -> Patch:
    """Scheduler and worker come from `make()`: only luigi.build takes a factory, the command line does not."""
    return Patch(luigi.interface, "_WorkerSchedulerFactory", make)


# Python before 3.14 knows neither -1e2 nor -inf, and takes them for options.
_NEGATIVE_NUMBER = re.compile(r"-((\d+\.?\d*|\.\d+)(e[-+]?\d+)?|inf|infinity|nan)$", re.IGNORECASE)


class _Parser(argparse.ArgumentParser):
    """A parser of which two options may have the same name: the first has it."""

    def add_argument(self, *names: Any, **options: Any) -> Any:
        try:
            return super().add_argument(*names, **options)
        except argparse.ArgumentError:
            # Luigi looks for its value all the same.
            self.set_defaults(**{options["dest"]: None})


class _ExactParser(_Parser):
    """The same, without abbreviated options."""

    def __init__(self, **options: Any):
        super().__init__(**options, allow_abbrev=False)
        self._negative_number_matcher = _NEGATIVE_NUMBER


def _parser_of(kind: type[argparse.ArgumentParser]) -> Patch:
    # Its name in Luigi's module alone: argparse itself looks for its class by that name.
    return Patch(luigi.cmdline_parser, "argparse", SimpleNamespace(**{**vars(argparse), "ArgumentParser": kind}))


def options_may_share_a_name() -> Patch:
    """The option of a section may be that of the task that is run too: --matlab-command of [matlab] and a MatlabTask.

    In force from the import of this package on, for `python -m luigi`, which makes its parser after that.
    """
    return _parser_of(_Parser)


def one_exact_parser() -> Patch:
    """Options are not abbreviated, as --n of a step would be Luigi's --no-lock; and the parser is made once per run.

    A negative number is the value of the option before it, in whichever way it is written. Luigi makes the parser
    fifteen times in a run, and each takes as long as there are parameters.
    """
    luigis = CmdlineParser._build_parser

    # A module that is imported meanwhile adds tasks.
    @functools.lru_cache(maxsize=8)
    def parser_of(root_task: str | None, help_all: bool, tasks: int) -> argparse.ArgumentParser:
        with applied(_parser_of(_ExactParser)):
            return luigis(root_task, help_all)

    def build_parser(root_task: str | None = None, help_all: bool = False) -> argparse.ArgumentParser:
        return parser_of(root_task, help_all, len(Register.task_names()))

    return Patch(CmdlineParser, "_build_parser", staticmethod(build_parser))


def options_of_sections() -> Patch:
    """An option that a section and the task that is run both have is the section's, as --matlab-command is [matlab]'s.

    A parameter of that task has a short option beside --TASK-PARAMETER; Luigi has one place for the values of both.
    """
    luigis = CmdlineParser.get_task_obj

    def get_task_obj(parser: CmdlineParser) -> luigi.Task:
        of_sections = {f"{section}_{name}" for section, _, name, _ in Register.get_all_params()}
        names = [name for name, _ in Register.get_task_cls(parser.known_args.root_task).get_params()]
        own = copy.copy(parser)
        own.known_args = argparse.Namespace(
            **{**vars(parser.known_args), **dict.fromkeys(of_sections.intersection(names))}
        )
        return luigis(own)

    return Patch(CmdlineParser, "get_task_obj", get_task_obj)


def whole_errors_pass() -> Patch:
    """An error of the whole leaves Luigi's run as the code of a SystemExit: of any other it logs the traceback."""
    luigis = luigi.interface._run

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return luigis(*args, **kwargs)
        except RunStopped as error:
            raise SystemExit(error) from error

    return Patch(luigi.interface, "_run", run)


def empty_command_line() -> Patch:
    """A command line without words is in force, as luigi.build has none: with it tasks know that they are in a run."""
    parser = object.__new__(CmdlineParser)
    parser.known_args = argparse.Namespace()
    return Patch(CmdlineParser, "_instance", parser)


def plain_log_lines() -> Patch:
    """What Luigi logs of every task, tracebacks of errors that say all, and secret values of others are left out."""
    return Patch(logger, "filters", [*logger.filters, _PlainLines()])


class _PlainLines(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.WARNING and str(record.msg).startswith(_CHATTER):
            return False
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (StepError, RunStopped)):
            record.msg, record.args, record.exc_info = str(error), (), None
        elif isinstance(error, TaskException) and (step := _step_of(record)):
            # It was made, and complete() says that it is not: of what it is made from, something is new.
            record.msg = f"{step}: what it is made from changed while it was made; run the same command again"
            record.args, record.exc_info = (), None
        elif record.levelno >= logging.WARNING:
            _take_secrets_out(record)
        return True


def _step_of(record: logging.LogRecord) -> Step | None:
    """Return the step that a log record is about, None for another task or none."""
    about = record.args if isinstance(record.args, tuple) else ()
    return next((one for one in about if isinstance(one, Step)), None)


def _take_secrets_out(record: logging.LogRecord) -> None:
    """Take the secret values of the tasks that a log record is about out of its message and its traceback."""
    about = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    if secrets := [value for one in about if isinstance(one, luigi.Task) for value in secrets_of(one)]:
        record.msg, record.args = without_values(record.getMessage(), secrets), ()
        if record.exc_info:
            record.exc_text = without_values(logging.Formatter().formatException(record.exc_info), secrets)


# A process is told twice to end, and then killed.
_GRACE_SECONDS = 5


def processes_end() -> Patch:
    """A step's process that is told to end, and does not, is killed: Luigi would wait for it without end.

    Python runs no handler of a signal in the middle of a long call of C, and loses the exception of one where it
    collects garbage or looks for a module.
    """

    def terminate(process: luigi.worker.TaskProcess) -> None:
        try:
            below = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        for _ in range(2):
            multiprocessing.Process.terminate(process)
            process.join(_GRACE_SECONDS)
            if not process.is_alive():
                break
        else:
            process.kill()
            process.join()
        for one in below:
            with contextlib.suppress(psutil.Error):
                one.terminate()

    return Patch(luigi.worker.TaskProcess, "terminate", terminate)


def luigid_scheduler(make: Callable[..., luigi.scheduler.Scheduler]) -> Patch:
    """The scheduler of luigid comes from `make`: Luigi's server names its class, and takes no other."""
    import luigi.server

    return Patch(luigi.server, "Scheduler", make)


def luigid_server(guard: Callable[["tornado.web.Application"], "tornado.routing.Router"]) -> Patch:
    """All requests to luigid come to `guard(server)` first; `server` is Luigi's own, whose handlers ask for nothing."""
    import luigi.server

    luigis = luigi.server.app
    return Patch(luigi.server, "app", lambda scheduler: guard(luigis(scheduler)))


def luigid_ends_between_calls() -> Patch:
    """A signal ends luigid between two calls: raised amid a line of its log, as Luigi does, it may be lost."""
    import luigi.server
    import tornado.ioloop

    def set_handler(number: int, luigis: object) -> None:
        current: Any = tornado.ioloop.IOLoop.current()
        loop = current.asyncio_loop
        # What Luigi does at its end it does in any case, by atexit.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(loop.stop))

    return Patch(luigi.server, "signal", SimpleNamespace(**{**vars(signal), "signal": set_handler}))


def pages_from_luigid_alone() -> Patch:
    """The browser fetches nothing from elsewhere, as Luigi's pages do, and shows them within no other page."""
    import tornado.web

    def set_default_headers(handler: tornado.web.RequestHandler) -> None:
        own = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data:; frame-ancestors 'none'; base-uri 'none'"
        handler.set_header("Content-Security-Policy", own)
        handler.set_header("Cross-Origin-Resource-Policy", "same-origin")
        handler.set_header("X-Content-Type-Options", "nosniff")

    return Patch(tornado.web.RequestHandler, "set_default_headers", set_default_headers)


def no_log_line_per_call() -> Patch:
    """Calls that succeed are not logged: every run makes several per second."""
    access = logging.getLogger("tornado.access")
    return Patch(access, "filters", [*access.filters, lambda record: record.levelno >= logging.WARNING])
