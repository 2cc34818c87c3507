"""A run of a lab from Python: what is to be run, and what came of it."""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luigi
from luigi.task_register import Register, TaskClassException

from neuroluigi.notebook.frame import html_table
from neuroluigi.notebook.progress import Progress
from neuroluigi.provenance.run_record import run_log_path
from neuroluigi.runner.build import run_tasks
from neuroluigi.runner.logging_of_run import own_logging
from neuroluigi.runner.opened import OpenedLab
from neuroluigi.steps.attempt import MADE, UNCHANGED
from neuroluigi.steps.config import RunStopped, results_root, whole_pipeline
from neuroluigi.steps.discovery import groups, groups_of_sessions

# How a run is within another process: that keeps its signals, and its current folder, from which steps may differ.
_WITHIN = {("worker", "no_install_shutdown_handler"): "true"}
_IN_PROCESSES = {("worker", "force_multiprocessing"): "true"}


@dataclass(frozen=True)
class RunResult:
    """What came of a run; it is true where all that was asked for is there.

    `made` and `unchanged`, made again with the same bytes, have the number of results of each step; `failed` the
    reason of each task that failed. `notes` are sentences on what was left as it is. `log` is the file of log lines, of
    the last run that made something.
    """

    is_done: bool
    made: Mapping[str, int]
    unchanged: Mapping[str, int]
    failed: Mapping[str, str]
    notes: Sequence[str]
    log: Path

    def __bool__(self) -> bool:
        return self.is_done

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {what}" for name, what in self._lines())

    def _repr_html_(self) -> str:
        return html_table(("", ""), list(self._lines()))

    def _lines(self) -> Iterator[tuple[str, str]]:
        for name, counts in (("made", self.made), ("unchanged", self.unchanged)):
            if counts:
                yield name, ", ".join(f"{count} {step}" for step, count in sorted(counts.items()))
        yield from ((f"failed: {task}", reason) for task, reason in self.failed.items())
        yield from (("note", one) for one in self.notes)
        if not (self.made or self.unchanged or self.failed or self.notes):
            yield "made", "nothing: everything is there" if self.is_done else "nothing"


def run_lab(
    lab: OpenedLab,
    asked_for: Sequence[Any],
    workers: int,
    keys: Sequence[str],
    given: Mapping[str, Any],
    has_progress: bool,
) -> RunResult:
    """Run what is asked for, see Lab.run()."""
    settings = _WITHIN | dict(_as_setting(*one) for one in given.items())
    if multiprocessing.get_start_method() == "fork":
        settings |= _IN_PROCESSES
    with lab.in_force(settings), own_logging():
        tasks = tasks_of(asked_for or [whole_pipeline()], keys)
        progress = Progress(tasks, has_progress)
        _, code, worker = run_tasks(["lab.run"], tasks, {"workers": workers}, progress)
        failed = {} if worker is None else {one: progress.failures.get(one, "") for one in worker.failed}
        # Those of variants have the same names.
        failed |= progress.failures
        log = run_log_path(results_root())
        return RunResult(
            is_done=code == 0,
            made=dict(worker.outcomes[MADE]) if worker else {},
            unchanged=dict(worker.outcomes[UNCHANGED]) if worker else {},
            failed={task: why.removeprefix(f"{task}: ") or f"see {log}" for task, why in failed.items()},
            # What failed is still to be made, as every run says.
            notes=[*([] if code else worker.ending.undone), *worker.ending.left_alone] if worker else [],
            log=log,
        )


def _as_setting(name: str, value: Any) -> tuple[tuple[str, str], str]:
    """Return section, name and text, as luigi.cfg has it, of a setting such as Edges.level; RunStopped for none."""
    section, dot, own_name = name.rpartition(".")
    if not dot:
        raise RunStopped(f"neuroluigi: the setting {name!r} has no section: give it as Edges.level or results.rerun_on")
    listed = isinstance(value, (list, tuple))
    return (section, own_name), ",".join(map(str, value)) if listed else "" if value is None else str(value)


def tasks_of(asked_for: Sequence[Any], keys: Sequence[str] = ()) -> list[luigi.Task]:
    """Return the tasks of names, classes or objects; of a step for a group one for each of `keys`, by default all."""
    return [task for one in asked_for for task in _tasks_of(one, keys)]


def _tasks_of(asked_for: Any, keys: Sequence[str]) -> list[luigi.Task]:
    """Return the tasks of a name, a class or an object; RunStopped for what is none."""
    if isinstance(asked_for, luigi.Task):
        # Made elsewhere, it has the settings of there.
        args, kwargs = getattr(asked_for, "given", ((), asked_for.param_kwargs))
        return [_class_of(type(asked_for))(*args, **kwargs)]
    step = _class_of(asked_for)
    of_what = {"group": keys or groups, "session": groups_of_sessions}
    missing = [name for name, one in step.get_params() if one.has_task_value(step.get_task_family(), name) is False]
    if not missing:
        return [step()]
    if len(missing) > 1 or missing[0] not in of_what:
        raise RunStopped(
            f"neuroluigi: {step.__name__} needs {', '.join(missing)}: give the task itself, {step.__name__}(...)"
        )
    values = of_what[missing[0]]
    return [step(**{missing[0]: one}) for one in (values() if callable(values) else values)]


def _class_of(what: Any) -> type[luigi.Task]:
    """Return the class of tasks of a name, or of a class, which may have been defined again since."""
    name = what if isinstance(what, str) else getattr(what, "__name__", "")
    try:
        found = Register.get_task_cls(name)
    except TaskClassException as error:
        raise RunStopped(f"neuroluigi: {' '.join(str(error).split())}") from None
    is_of_cell = isinstance(what, type) and what.__module__ != found.__module__
    return what if is_of_cell else found
