"""The `neuroluigi` command: runs the pipeline, shows it, and maintains its results."""

import sys
from pathlib import Path

import click

from neuroluigi.runner.command_line import exit_on_error
from neuroluigi.runner.luigid import main as run_luigid
from neuroluigi.runner.run import main as run_luigi
from neuroluigi.runner.run import prepare_process
from neuroluigi.steps.late_imports import imported_when_used
from neuroluigi.steps.renamed import COMMANDS, OPTIONS, refusal

# Most commands make no use of it.
with imported_when_used("numpy"):
    from neuroluigi.cli import compare, init, maintain, recordings, run, show, slurm


class _Commands(click.Group):
    """A group of commands that refuses one of an earlier release with its new name; its errors are one line."""

    def resolve_command(self, context, args):
        if args and args[0] in COMMANDS:
            raise click.UsageError(refusal("command", args[0], COMMANDS[args[0]]))
        return super().resolve_command(context, args)

    def main(self, *arguments, **options):
        # neuroluigi doctor --fix makes copies of this script with these names.
        others = {"luigi": run_luigi, "luigid": run_luigid}
        if other := others.get(Path(sys.argv[0]).stem):
            return other()
        return super().main(*arguments, **options)

    def invoke(self, context):
        with exit_on_error():
            return super().invoke(context)


def _refuse_root(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(refusal("option", "--root", f"--{OPTIONS['root']}"))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--module", default="tasks", show_default=True, help="The module of the current folder that has the tasks."
)
@click.option("--task", default="", help="The task that stands for the whole pipeline.  [default: [neuroluigi] task]")
@click.option("--root", hidden=True, expose_value=False, callback=_refuse_root)
@click.version_option(package_name="neuroluigi")
@click.pass_context
def main(context, module, task):
    """Run a pipeline of neural recordings, show it, and maintain its results."""
    prepare_process()
    context.obj = (module, task)


_FIRST = (init.init_command, run.run_command, recordings.recordings_command)

for command in (*_FIRST, *show.COMMANDS, compare.compare_command, *maintain.COMMANDS, slurm.slurm_command):
    main.add_command(command)
