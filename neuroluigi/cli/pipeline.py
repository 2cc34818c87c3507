"""The pipeline that a command works on: its module, task and settings hold as they do in a run."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import click
import luigi

from neuroluigi.results.query import QueryError
from neuroluigi.results.report.page import ReportTask
from neuroluigi.runner.run import command_line, use_current_folder
from neuroluigi.steps.config import RunStopped, whole_pipeline
from neuroluigi.steps.discovery import only_looking

# Options that a command does not know go to Luigi's command line parser, so that all settings work as they do in a run.
LUIGI_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


T = TypeVar("T")


@contextlib.contextmanager
def pipeline_of(context: click.Context, needs_tasks: bool = True) -> Iterator[luigi.Task]:
    """Apply luigi.cfg and the options that this command does not know, as in a run; give the task of the pipeline.

    A command that only reads records (not `needs_tasks`) works without tasks.py too: results travel without it.
    """
    module, task = context.obj
    try:
        use_current_folder(module)
    except RunStopped:
        if needs_tasks:
            raise
        module, task = "neuroluigi.steps.config", "results"
    words = [task or whole_pipeline(words=context.args), "--module", module, *context.args]
    own_options = [name for one in context.command.params for name in one.opts if name.startswith("--")]
    with only_looking(), command_line(words, own_options) as root:
        # A report requires nothing itself; what it shows is the pipeline.
        yield root.shows() if isinstance(root, ReportTask) else root


def task_of_pipeline(module: str, words: Sequence[str]) -> str:
    """Return the task that stands for the whole pipeline, [neuroluigi] task, with the current folder importable."""
    use_current_folder(module)
    return whole_pipeline(words=words)


def optional_argument(context: click.Context, value: str) -> str:
    """Return an argument that may be left out; "" where an option that is Luigi's was taken for it."""
    if value.startswith("-"):
        context.args.insert(0, value)
        return ""
    return value


def answered(ask: Callable[..., T], *arguments: object) -> T:
    """Return the answer to a query; one that has none ends the command with one line."""
    try:
        return ask(*arguments)
    except QueryError as error:
        raise RunStopped(f"neuroluigi: {error}") from error
