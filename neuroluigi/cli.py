"""The `neuroluigi` command: looks at the pipeline without running it, and without any engine.

Options that it does not know go to Luigi's command line parser, so that --recordings-root and all others work alike.
"""

import json
import sys
from pathlib import Path

import click
from luigi.cmdline_parser import CmdlineParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from neuroluigi import running, task
from neuroluigi.recordings import Group, Recording, RecordingsError, measure

_LUIGI_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}

# A page of paper or a log is wide enough for everything.
_FULL_WIDTH = 10_000


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--module", default="tasks", show_default=True, help="The module of the current folder that has the tasks."
)
@click.option("--root", default="PlotAll", show_default=True, help="The task that stands for the whole pipeline.")
@click.version_option(package_name="neuroluigi")
@click.pass_context
def main(context, module, root):
    """Look at a pipeline of neural recordings. It is run by: luigi --module tasks PlotAll --local-scheduler"""
    context.obj = (module, root)


@main.command("recordings", context_settings=_LUIGI_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def recordings_command(context, as_json):
    """Print the recordings that there are and how they are grouped, before any run.

    \b
    Example:
      neuroluigi recordings --recordings-root /data/2026 --recordings-group-by session,probe

    Exit status 1 when something is wrong with a recording; the problems are listed last.
    """
    module, root = context.obj
    running.use_current_folder(module)
    argv = [root, "--module", module, *context.args]
    running.parse_command_line(argv)
    with CmdlineParser.global_instance(argv):
        groups = task.groups()
        incomplete = task.setting(task.recordings).incomplete
    if as_json:
        listed = {key: _group_as_data(group, incomplete) for key, group in groups.items()}
        click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        _print_groups(groups, incomplete)
    sys.exit(1 if any(group.problems for group in groups.values()) else 0)


def _group_as_data(group: Group, incomplete: str) -> dict:
    return {
        "values": dict(group.values),
        "recordings": [
            {
                "session": r.session,
                "index": r.index,
                "path": r.path,
                "dtype": r.dtype,
                "channels": r.channels,
                "sampling_rate_hz": r.sampling_rate_hz,
                "samples": _samples(r, incomplete),
                "columns": dict(r.columns),
            }
            for r in group.recordings
        ],
        "excluded": [
            {"session": r.session, "index": r.index, "path": r.path, "reason": r.columns.get("reason", "")}
            for r in group.excluded
        ],
        "problems": list(group.problems),
    }


def _samples(recording: Recording, incomplete: str) -> int | None:
    """Return samples per channel, or None where the file is not there (yet) or can't be measured."""
    if recording.problems or not Path(recording.path).is_file():
        return None
    try:
        return measure(recording, incomplete)[0]
    except RecordingsError:
        return None


def _print_groups(groups: dict[str, Group], incomplete: str) -> None:
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    if not sys.stdout.isatty():
        console.width = _FULL_WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("group", "session", "index", "dtype", "channels", "rate [Hz]", "samples", "file"):
        is_number = name in ("index", "channels", "rate [Hz]", "samples")
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for key, group in groups.items():
        for position, r in enumerate((*group.recordings, *group.excluded)):
            samples = _samples(r, incomplete)
            note = ""
            if r.made and samples is None:
                note = " (to be made)"
            elif r in group.excluded:
                note = f" (left out: {r.columns.get('reason') or 'use = no'})"
            rate = "" if r.sampling_rate_hz is None else f"{r.sampling_rate_hz:g}"
            cells = [
                "" if position else key, r.session, r.index, r.dtype, r.channels, rate,
                "" if samples is None else samples, _shown_path(r.path) + note,
            ]  # fmt: skip
            # Text, not str: a bracket in a name is no markup.
            table.add_row(*(Text("?" if cell is None else str(cell)) for cell in cells))
    console.print(table)
    recordings, excluded = (sum(len(getattr(g, name)) for g in groups.values()) for name in ("recordings", "excluded"))
    console.print(Text(f"\n{recordings} recordings in {len(groups)} groups, {excluded} left out."))
    for key, group in groups.items():
        for problem in group.problems:
            console.print(Text(f"problem in {key}: {problem}", style="red"))


def _shown_path(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
