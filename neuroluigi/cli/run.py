"""`neuroluigi run`: `luigi --module tasks TASK --local-scheduler` in short."""

import sys

import click

from neuroluigi.cli.pipeline import LUIGI_OPTIONS, optional_argument, task_of_pipeline
from neuroluigi.runner.run import luigi_command


@click.command("run", context_settings={**LUIGI_OPTIONS, "help_option_names": ["-h", "--help"]})
@click.argument("task", default="")
@click.pass_context
def run_command(context, task):
    """Make what is missing or out of date of TASK and of all that it requires; by default of the whole pipeline.

    \b
    Examples:
      neuroluigi run
      neuroluigi run Stats --group a-even
      neuroluigi run --workers 4 --Edges-threshold 0.6

    It is short for: luigi --module tasks TASK --local-scheduler. All settings and options of that command work here.
    """
    module, whole = context.obj
    task = optional_argument(context, task) or whole
    sys.exit(
        luigi_command(
            [task or task_of_pipeline(module, context.args), "--module", module, *context.args, "--local-scheduler"]
        )
    )
