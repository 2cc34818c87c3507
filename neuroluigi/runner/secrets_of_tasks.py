"""What Luigi writes of a task has no secret value: its text and id, its parameters for luigid, summaries, e-mails."""

import functools
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import luigi
import luigi.execution_summary
import luigi.notifications
import luigi.worker
from luigi.parameter import ParameterVisibility

from neuroluigi.provenance.secret_values import is_secret_name, masked, without_values
from neuroluigi.runner.options import without_secrets
from neuroluigi.runner.patches import Patch
from neuroluigi.steps.parameters import is_secret, secrets_of, shown_task


def hide_secrets() -> None:
    """Make private what is secret by its name, and let no text of a task have what is private.

    For good, from the import of this package on: tasks are made, and written into logs, before a run begins.
    """
    _replace(luigi.Task, "to_str_params", _to_str_params)
    _replace(luigi.execution_summary, "_get_str", _summary)
    _replace(luigi.notifications, "format_task_error", _mail)
    _replace(luigi.Task, "on_failure", _traceback)
    for name in ("_log_complete_error", "_log_dependency_error", "_announce_scheduling_failure"):
        _replace(luigi.worker.Worker, name, _write_traceback)
    Patch(luigi.Task, "get_params", classmethod(functools.partial(_get_params, luigi.Task.get_params.__func__))).apply()
    Patch(luigi.Task, "_warn_on_wrong_param_types", _warn_of_types).apply()
    Patch(luigi.Task, "__repr__", shown_task).apply()


def _replace(owner: Any, name: str, function: Callable) -> None:
    luigis = getattr(owner, name)
    Patch(owner, name, functools.wraps(luigis)(lambda *args, **kwargs: function(luigis, *args, **kwargs))).apply()


def _get_params(luigis: Callable, task: type[luigi.Task]) -> list[tuple[str, luigi.Parameter]]:
    parameters = luigis(task)
    for name, one in parameters:
        if is_secret_name(name):
            one.visibility = ParameterVisibility.PRIVATE
    return parameters


def _to_str_params(
    luigis: Callable, task: luigi.Task, only_significant: bool = False, only_public: bool = False
) -> dict[str, str]:
    values = luigis(task, only_significant, only_public)
    # From all of them, Luigi makes the task anew elsewhere.
    return masked(values) if only_significant else values


def _warn_of_types(task: luigi.Task) -> None:
    """Let Luigi warn of a value that is not of the type of its parameter, unless it is secret."""
    for name, parameter in task.get_params():
        if not is_secret(parameter):
            parameter._warn_on_wrong_param_type(name, task.param_kwargs[name])


class _Counted:
    """What stands for a task in Luigi's summary of a run, where it is to be counted and not described."""

    def get_params(self) -> list[tuple[str, None]]:
        """Return what takes so much room that Luigi leaves it out, as Fetch(...)."""
        return [("parameters" * 10, None)]


def _summary(luigis: Callable, tasks: Mapping[str, Iterable[luigi.Task]], *options: Any) -> str:
    """Return the lines of a summary, which has the values of all parameters; of tasks with secrets only the number."""
    shown = {name: [_Counted() for _ in of] if any(map(secrets_of, of)) else of for name, of in tasks.items()}
    return luigis(shown, *options)


def _traceback(luigis: Callable, task: luigi.Task, error: BaseException) -> str:
    """Return the traceback of an error in the run of a task, which is for luigid and e-mails."""
    return without_values(luigis(task, error), secrets_of(task))


def _write_traceback(luigis: Callable, worker: luigi.worker.Worker, task: luigi.Task, traceback: str) -> None:
    """Log the traceback of an error in another method of a task, or tell luigid."""
    luigis(worker, task, without_values(traceback, secrets_of(task)))


def _mail(luigis: Callable, headline: str, task: luigi.Task, command: str, *others: Any, **named: Any) -> str:
    """Return the text of an e-mail about an error, which has the command line and all parameters."""
    command = subprocess.list2cmdline(without_secrets(sys.argv))
    return without_values(luigis(headline, task, command, *others, **named), secrets_of(task))
