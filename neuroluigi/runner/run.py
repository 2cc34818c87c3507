"""The `luigi` command: Luigi's own, plus what a run on the command line needs around it.

It looks for the module in the current folder, refuses before anything is made what can't work, treats SIGTERM as
Ctrl-C, and says at the end where the results are. Nothing of it is in force when a module is imported in a notebook or
a test.
"""

import argparse
import configparser
import contextlib
import difflib
import functools
import gc
import importlib
import importlib.util
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import luigi.interface
import luigi.retcodes
from luigi.cmdline_parser import CmdlineParser
from luigi.parameter import ParameterException
from luigi.task import flatten
from luigi.task_register import Register, TaskClassException

from neuroluigi.engines.engine import EngineError
from neuroluigi.engines.session import close_pool, open_pool
from neuroluigi.provenance import run_lock, state
from neuroluigi.provenance.run_record import run_log_path
from neuroluigi.runner import luigid, scheduler
from neuroluigi.runner.options import without_secrets
from neuroluigi.runner.progress import Display
from neuroluigi.runner.run_log import RunRecorder
from neuroluigi.runner.worker import Worker
from neuroluigi.steps.base import INTERRUPTED, Step, StepError
from neuroluigi.steps.config import (
    RunStopped,
    neuroluigi,
    recordings,
    recordings_root,
    results,
    results_root,
    set_defaults,
    setting,
    shown_path,
)
from neuroluigi.steps.discovery import check_results_root
from neuroluigi.steps.matlab import MatlabTask, matlab
from neuroluigi.steps.plan import discard_statuses, plan_below, status_of, walk_statuses
from neuroluigi.steps.renamed import SETTINGS, refusal, setting_in_file, setting_option
from neuroluigi.steps.spawn import CarriesSettings

logger = logging.getLogger("luigi-interface")

# What Luigi says of every task at level INFO, where one line of the step itself says more.
_CHATTER = (
    "Informed scheduler that task",
    "[pid %s] Worker %s running",
    "[pid %s] Worker %s done",
    "Worker Worker(",
    "Running Worker with",
    "Done scheduling tasks",
    # Every second, where the run has said once that it waits.
    "Failed pinging scheduler",
)

_MOST_NAMED = 5

# The sections of luigi.cfg that are this package's; Luigi's own are Luigi's to check.
_SECTIONS = (neuroluigi, recordings, results, matlab)


def say_replacements(steps: Iterable[Step]) -> None:
    """Say which results are made again because a parameter has another value now."""
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


def check_engines(steps: Iterable[Step]) -> None:
    """Say, once, which engines the steps that are not done will run on; RunStopped where one can't run."""
    engines = {}
    for task in steps:
        if isinstance(task, MatlabTask) and type(task) not in engines:
            try:
                engines[type(task)] = task.found_engine()
            except EngineError as error:
                raise RunStopped(f"luigi: {error}") from error
    for engine in set(engines.values()):
        logger.info("M-functions run on %s", engine)


class CheckingWorker(Worker):
    """A worker that refuses before the first step what can't work."""

    latest: "CheckingWorker | None" = None
    left_alone: Sequence[str] = ()
    undone: Sequence[str] = ()
    results: Sequence[Path] = ()
    # Whether, at the end, the task that was asked for is done.
    is_done = False

    def __init__(self, journal: RunRecorder, display: Display, **options):
        super().__init__(**options)
        self._journal, self._display = journal, display
        journal.log.install()

    def add(self, task, *args, **kwargs):
        # What goes wrong here goes wrong again for Luigi, who says of which task.
        with contextlib.suppress(Exception):
            plan_below(task)
        return super().add(task, *args, **kwargs)

    def run(self):
        CheckingWorker.latest = self
        steps = [one for one in self._scheduled_tasks.values() if isinstance(one, Step)]
        # Not by their own word: one whose complete() raises fails alone.
        steps = [one for one in steps if not status_of(one).is_complete]
        say_replacements(steps)
        check_engines(steps)
        self.prepare_for(steps)
        # Before the first fork: all processes of the run share its sessions.
        open_pool(while_starting=self.import_next)
        try:
            return super().run()
        finally:
            close_pool()

    def begin(self, task):
        root = self._scheduled_tasks[self._first_task]
        # A report is about the last run that made results, and is none itself.
        if isinstance(task, Step) and self._journal.begin(root, self):
            self._display.start(root, self.worker_processes)
        self._display.begin(task)

    def _handle_next_task(self):
        self._display.check()
        super()._handle_next_task()

    def hear(self, task, status, said):
        super().hear(task, status, said)
        why = said or "it is not done" if status == luigi.worker.FAILED else ""
        self._display.end(task, status == luigi.worker.DONE, str(why))

    def __exit__(self, type, value, traceback):
        # Right after, Luigi forgets the command line, and with it what was looked at.
        if type is None and self._first_task in self._scheduled_tasks:
            root = self._scheduled_tasks[self._first_task]
            everything = list(walk_statuses(root))
            self._display.count(everything)
            found = [(step, status) for step, status in everything if not status.is_simply_done]
            self.left_alone, self.undone = _left_alone(found), _undone(found)
            self.results = _results_of(root)
            self.is_done = status_of(root).is_complete
        return super().__exit__(type, value, traceback)


class _Factory(scheduler.Factory):
    def __init__(self, *kept: RunRecorder | Display):
        self._kept = kept

    def create_remote_scheduler(self, url):
        return luigid.RemoteScheduler(url, results_root(), setting(matlab).seats)

    def create_worker(self, scheduler, worker_processes, assistant=False):
        options = {"scheduler": scheduler, "worker_processes": worker_processes, "assistant": assistant}
        return CheckingWorker(*self._kept, **options)


class _Plain(logging.Filter):
    """Leave out chatter, and the traceback of a step that has said what is wrong."""

    def filter(self, record):
        if record.levelno <= logging.WARNING and str(record.msg).startswith(_CHATTER):
            return False
        if record.exc_info and isinstance(record.exc_info[1], StepError):
            record.msg, record.args, record.exc_info = str(record.exc_info[1]), (), None
        return True


def use_current_folder(module: str) -> None:
    """Put the current folder first on the import path, as `python -m luigi` does; RunStopped without the module."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        is_there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        file = module.replace(".", "/") + ".py"
        raise RunStopped(
            f"luigi: there is no {file} in {here}, and no module {module} among the packages of {sys.prefix};"
            f" go to the folder that has {file}, or name another module with --module"
        )


def parse_command_line(argv: list[str]) -> luigi.Task:
    """Return the root task; RunStopped with one line where the command line or luigi.cfg can't be understood."""
    CmdlineParser._build_parser = staticmethod(_build_parser)
    try:
        _check_options(argv)
        with CmdlineParser.global_instance(argv) as parser:
            _check_settings()
            # So that steps don't queue for a seat while others could fill the workers.
            luigi.configuration.get_config().set("resources", "matlab", str(setting(matlab).seats))
            return parser.get_task_obj()
    except (ParameterException, TaskClassException) as error:
        hint = "" if named_module(argv) else "; is --module tasks missing?"
        raise RunStopped(f"luigi: {' '.join(str(error).split())}{hint}") from error


_LUIGIS_PARSER = CmdlineParser._build_parser


def _build_parser(root_task: str | None = None, help_all: bool = False) -> argparse.ArgumentParser:
    """Return Luigi's parser, to which --n of a step is not short for its own --no-lock."""
    return _parser_of(root_task, help_all, len(Register.task_names()))


@functools.lru_cache(maxsize=8)
def _parser_of(root_task: str | None, help_all: bool, tasks: int) -> argparse.ArgumentParser:
    """Return the parser, which Luigi would make fifteen times in a run, for the tasks that are known by now."""
    parser = _LUIGIS_PARSER(root_task, help_all)
    parser.allow_abbrev = False
    return parser


def _check_options(argv: list[str]) -> None:
    """Refuse an option that there is not; Luigi would print its usage, or take it for a longer one."""
    if module := named_module(argv):
        importlib.import_module(module)
    known = {"--help"}
    for section, is_without_section, name, _ in Register.get_all_params():
        option = name if is_without_section else f"{section}_{name}"
        known |= {f"--{word.replace('_', '-')}" for word in ((option, name) if section in argv else (option,))}
    for word in argv:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in known:
            if renamed_to := {setting_option(old): setting_option(new) for old, new in SETTINGS.items()}.get(option):
                raise RunStopped(f"luigi: {refusal('option', option, renamed_to)}")
            near = difflib.get_close_matches(option, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise RunStopped(f"luigi: there is no option {option}{hint}")


def _check_settings() -> None:
    """Refuse a setting that can't be read, or that no task has: Luigi sees neither before the task is needed."""
    known: dict[str, list[str]] = {}
    for section, _, name, parameter in Register.get_all_params():
        known.setdefault(section, []).append(name)
        try:
            parameter.has_task_value(section, name) and parameter.task_value(section, name)
        except configparser.InterpolationError as error:
            why = " ".join(str(error).split())
            raise RunStopped(f"luigi: luigi.cfg, [{section}] {name}: {why}; write %% for a per cent sign") from error
        except ValueError as error:
            raise RunStopped(f"luigi: [{section}] {name} (--{section}-{name.replace('_', '-')}): {error}") from error
    if (workers := luigi.interface.core().workers) < 1:
        raise RunStopped(f"luigi: --workers {workers}: there has to be at least one")
    config = luigi.configuration.get_config()
    ours = [name for name in known if issubclass(Register.get_task_cls(name), (CarriesSettings, *_SECTIONS))]
    for old, new in SETTINGS.items():
        if config.has_option(*old.split(".")):
            raise RunStopped(f"luigi: luigi.cfg: {refusal('setting', setting_in_file(old), setting_in_file(new))}")
    for section in set(config.sections()) - known.keys():
        if near := difflib.get_close_matches(section, ours, n=1, cutoff=0.8):
            raise RunStopped(f"luigi: luigi.cfg: there is no step or section [{section}]; did you mean [{near[0]}]?")
    for section in known.keys() & set(config.sections()):
        owner = Register.get_task_cls(section)
        if not issubclass(owner, CarriesSettings) and owner not in _SECTIONS:
            continue
        for name in config.options(section):
            # ConfigParser folds case, and Luigi takes a dash for an underscore.
            if name.replace("-", "_") not in map(str.lower, known[section]):
                raise RunStopped(
                    f"luigi: luigi.cfg, [{section}] {name}: there is no such setting; there are:"
                    f" {', '.join(sorted(known[section]))}"
                )


def named_module(argv: list[str]) -> str:
    """Return what --module names; Luigi itself can't parse the rest before the module is loaded."""
    for position, word in enumerate(argv):
        if word == "--module" and position + 1 < len(argv):
            return argv[position + 1]
        if word.startswith("--module="):
            return word.partition("=")[2]
    return ""


def _deciding_settings(root: luigi.Task) -> dict[str, str]:
    """Return the settings that decide over what the results are, by name."""
    found = {}
    for section, _, name, parameter in Register.get_all_params():
        owner = Register.get_task_cls(section)
        is_of_step = issubclass(owner, Step) and parameter.significant
        if (is_of_step or owner in (recordings, results)) and parameter.has_task_value(section, name):
            found[f"{section}.{name}"] = str(parameter.task_value(section, name))
    for name, parameter in root.get_params():
        if f"{root.task_family}.{name}" in found and parameter.significant:
            found[f"{root.task_family}.{name}"] = str(root.param_kwargs[name])
    return {**found, "recordings.root": str(recordings_root()), "results.root": str(results_root())}


def interrupt(signum, frame):
    """Handle a signal as Ctrl-C."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def command_line(argv: list[str]) -> Iterator[luigi.Task]:
    """Let luigi.cfg and a command line hold, as they do in a run; give the root task."""
    if module := named_module(argv):
        use_current_folder(module)
    parse_command_line(argv)
    with CmdlineParser.global_instance(argv) as parser:
        try:
            yield parser.get_task_obj()
        finally:
            discard_statuses()


def luigi_command(argv: list[str], is_whole: bool = True) -> int:
    """Run Luigi with `argv` and return its exit code; if it is not the whole of a run, it keeps no record of one."""
    if module := named_module(argv):
        use_current_folder(module)
    set_defaults()
    root = parse_command_line(argv)
    with CmdlineParser.global_instance(argv):
        check_results_root()
        results_folder, deciding = results_root(), _deciding_settings(root)
        command = f"luigi {' '.join(without_secrets(argv))}"
    logger.addFilter(_Plain())
    signal.signal(signal.SIGTERM, interrupt)
    on_terminal = Display(run_log_path(results_folder))
    try:
        with (
            run_lock.side_by_side(results_folder, deciding, command),
            RunRecorder(argv, results_folder if is_whole else None) as journal,
            on_terminal,
        ):
            # Luigi looks its factory up when a run starts. This is the one place where it is replaced.
            luigi.interface._WorkerSchedulerFactory = functools.partial(_Factory, journal, on_terminal)
            journal.exit_code = code = _run_luigi(argv)
    except KeyboardInterrupt:
        print("luigi: interrupted; what is finished stays, run the same command to go on", file=sys.stderr)
        return INTERRUPTED
    reasons = f"are in {shown_path(run_log_path(results_folder))}" if on_terminal.was_there else "stand above"
    lines = _closing_lines(CheckingWorker.latest, code, reasons) if CheckingWorker.latest else []
    # A closed or full standard output does not make a run fail that did not.
    with contextlib.suppress(OSError):
        print("\n".join(lines), flush=True)
    return code


def _run_luigi(argv: list[str]) -> int:
    """Run Luigi itself; return its exit code, which it raises, if at all."""
    try:
        luigi.retcodes.run_with_retcodes(argv)
    except SystemExit as stopped:
        if not isinstance(stopped.code, int):
            raise
        # What other runs with the same luigid made, Luigi counts as running elsewhere, or as not run.
        codes = luigi.retcodes.retcode()
        is_done = CheckingWorker.latest and CheckingWorker.latest.is_done
        return 0 if is_done and stopped.code in (codes.already_running, codes.not_run) else stopped.code
    return 0


def _closing_lines(worker: CheckingWorker, code: int, reasons: str) -> list[str]:
    """Say what was made, failed, or left as it is though it is not as of today; last where the results are."""
    failed = worker.failed
    lines = [f"{what.capitalize()}: {_counted(counts)}." for what, counts in worker.outcomes.items() if counts]
    if failed:
        lines.append(f"Failed: {_some(failed)}.")
    elif code:
        lines.append(f"Not everything could be made; the reasons {reasons}.")
    elif worker.undone:
        lines += worker.undone
    elif not lines:
        lines.append("Nothing to make." if worker.left_alone else "Nothing to make: everything is there.")
    if worker.seconds:
        slowest = sorted(worker.seconds.items(), key=lambda one: -one[1])[:_MOST_NAMED]
        lines.append(f"Slowest: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in slowest)}.")
    lines += worker.left_alone
    if worker.results:
        lines.append(f"{_plural(worker.results)}: {_where(worker.results)}")
    return lines


def _results_of(root: luigi.Task) -> list[Path]:
    """Return the files that are there of a task, or of those that it wraps."""
    tasks = root.deps() if isinstance(root, luigi.WrapperTask) else [root]
    paths = (one.path for task in tasks for one in flatten(task.output()) if hasattr(one, "path"))
    return [Path(path) for path in paths if os.path.isfile(path)]  # noqa: PTH113 (there are thousands)


def _some(names: Sequence[str], sign: str = ", ") -> str:
    """Return the names, of many the first."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return sign.join(names[:_MOST_NAMED]) + more


def _counted(counts: Counter) -> str:
    return ", ".join(f"{count} {family}" for family, count in sorted(counts.items()))


def _undone(found: Iterable[tuple[Step, state.Status]]) -> list[str]:
    """Return a line if something is to be made though a run just ended: inputs changed while others were made."""
    changed = Counter(
        f"{step.task_family}: {'; '.join(reason.text for reason in status.reasons)}"
        for step, status in found
        if status.todo == state.MAKE
    )
    if not changed:
        return []
    why = "; ".join(f"{count} {text}" for text, count in sorted(changed.items()))
    return [f"Changed during the run: {changed.total()} results ({why}). Run the same command again to make them."]


def _left_alone(found: Iterable[tuple[Step, state.Status]]) -> list[str]:
    """Return a line for each way in which results that were not made again are not simply done."""
    code_changed, kinds, gone, modified, untracked = Counter(), set(), Counter(), [], Counter()
    for step, status in found:
        if status.state == state.CODE_CHANGED:
            code_changed[f"{step.task_family}: {'; '.join(reason.text for reason in status.reasons)}"] += 1
            kinds |= {reason.kind for reason in status.reasons}
        elif status.state == state.MODIFIED:
            modified += [shown_path(Path(one.path)) for one in flatten(step.output())]
        elif status.state == state.INPUT_MISSING:
            gone["; ".join(reason.text for reason in status.reasons)] += 1
        elif status.state == state.UNTRACKED:
            untracked[step.task_family] += 1
    lines = []
    if code_changed:
        rerun_on = ",".join([*setting(results).rerun_on, *sorted(kinds - set(setting(results).rerun_on))])
        why = "; ".join(f"{count} {text}" for text, count in sorted(code_changed.items()))
        lines.append(
            f"Code changed, left as they are: {code_changed.total()} ({why}). To remake them: --results-rerun-on {rerun_on}"
        )
    if modified:
        lines.append(f"Modified by hand, taken as done: {_some(modified)}. To have one remade, delete it.")
    if gone:
        lines.append(
            f"Left alone: {gone.total()} results whose recordings are missing ({_some(sorted(gone), '; ')})."
            " To make them from what is left: --recordings-allow-missing true"
        )
    if untracked:
        lines.append(f"Untracked (without a run record), taken as done: {_counted(untracked)}.")
    return lines


def _plural(paths: list[Path]) -> str:
    stems = {path.stem for path in paths}
    what = f"{stems.pop()}" if len(stems) == 1 else "result"
    return f"{len(paths)} {what}{'s' if len(paths) != 1 and not what.endswith('s') else ''}"


def _where(paths: list[Path]) -> str:
    """Return the one path, or the pattern that all paths share."""
    if len(paths) == 1:
        return shown_path(paths[0])
    top = Path(os.path.commonpath(paths))
    depths = {len(path.relative_to(top).parts) for path in paths}
    name = paths[0].name if len({path.name for path in paths}) == 1 else "*"
    middle = ["*"] * (depths.pop() - 1) if len(depths) == 1 else ["**"]
    return shown_path(top.joinpath(*middle, name))


def prepare_process() -> None:
    """Set this process up for a command: it writes any text, and does not look for garbage over and over."""
    # A look at 40,000 results makes millions of objects that stay; by default collecting takes a sixth of its time.
    gc.set_threshold(100_000, 50, 100)
    # A name that standard output has no letters for is written all the same, with escapes.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Serve as the `luigi` command."""
    prepare_process()
    sys.exit(luigi_command(sys.argv[1:]))
