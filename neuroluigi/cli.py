"""The `neuroluigi` command: looks at the pipeline without running it, and without any engine.

Options that it does not know go to Luigi's command line parser, so that --recordings-root and all others work alike.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from luigi.cmdline_parser import CmdlineParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from neuroluigi import query, running, task
from neuroluigi.recordings import Group, Recording, RecordingsError, measure

_LUIGI_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}

# A page of paper or a log is wide enough for everything.
_FULL_WIDTH = 10_000

# rich takes a second for a table of so many rows.
_MOST_RICH_ROWS = 1_000


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
    with _settings(context):
        groups = task.groups()
        incomplete = task.setting(task.recordings).incomplete
    if as_json:
        listed = {key: _group_as_data(group, incomplete) for key, group in groups.items()}
        click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        _print_groups(groups, incomplete)
    sys.exit(1 if any(group.problems for group in groups.values()) else 0)


@contextlib.contextmanager
def _settings(context: click.Context) -> Iterator[None]:
    """Let luigi.cfg and the options that this command does not know hold, as they do in a run."""
    module, root = context.obj
    running.use_current_folder(module)
    argv = [root, "--module", module, *context.args]
    running.parse_command_line(argv)
    with CmdlineParser.global_instance(argv):
        yield


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
    rows = []
    for key, group in groups.items():
        for position, r in enumerate((*group.recordings, *group.excluded)):
            samples = _samples(r, incomplete)
            note = ""
            if r.made and samples is None:
                note = " (to be made)"
            elif r in group.excluded:
                note = f" (left out: {r.columns.get('reason') or 'use = no'})"
            known = ("?" if cell is None else cell for cell in (r.index, r.dtype, r.channels))
            path = _shown_path(r.path) + note
            rows.append(("" if position else key, r.session, *known, r.sampling_rate_hz, samples, path))
    _print_table(("group", "session", "index", "dtype", "channels", "rate [Hz]", "samples", "file"), rows)
    console = _console()
    recordings, excluded = (sum(len(getattr(g, name)) for g in groups.values()) for name in ("recordings", "excluded"))
    console.print(Text(f"\n{recordings} recordings in {len(groups)} groups, {excluded} left out."))
    for key, group in groups.items():
        for problem in group.problems:
            console.print(Text(f"problem in {key}: {problem}", style="red"))


def _console() -> Console:
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    if not sys.stdout.isatty():
        console.width = _FULL_WIDTH
    return console


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[query.Cell]]) -> None:
    """Print a table: plain text in full width where the output is no terminal."""
    if not sys.stdout.isatty() or len(rows) > _MOST_RICH_ROWS:
        query.write_text(columns, [rows], sys.stdout)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_right in zip(columns, query.right_aligned(columns, rows), strict=True):
        # Text, not str: a bracket in a name is no markup.
        table.add_column(Text(name), justify="right" if is_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(query.as_text(cell)) for cell in row))
    _console().print(table)


def _shown_path(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _output_options(command):
    for form in ("json", "csv"):
        command = click.option(f"--{form}", "form", flag_value=form, help=f"Print {form.upper()}, all digits.")(command)
    return command


_WRITERS = {"csv": query.write_csv, "json": query.write_json}


@main.command("results", context_settings=_LUIGI_OPTIONS)
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only rows for which this holds: a column, one of = != < <= > >=, a value ('note=': blank). Repeatable: and.",
)
@click.option(
    "--sort", multiple=True, metavar="[-]COLUMN", help="Sort by a column, downwards with a minus before it. Repeatable."
)
@click.option("--columns", default="", metavar="COLUMN,...", help="Only these columns, in this order.")
@_output_options
@click.pass_context
def results_command(context, where, sort, columns, form):
    """Print the numbers of all results: a row per group and channel.

    \b
    Example:
      neuroluigi results --where session=a --where 'mean>120' --sort -edges --columns group,mean,max,edges

    The columns are what the recordings say of themselves (what differs within a group is joined by |), the values in
    the JSON files of the group, and the number of events in each of its .npy files of events. Values are compared and
    sorted as numbers where they are numbers; blank cells come last.
    """
    with _settings(context):
        table = query.collect(task.groups(), task.results_root())
    named = [name.strip() for name in columns.split(",") if name.strip()]
    shown, rows = _answered(query.select, table, where, sort, named)
    for note in table.notes:
        click.echo(f"neuroluigi: {note}", err=True)
    if form:
        _WRITERS[form](shown, [rows], sys.stdout)
    elif named or not sys.stdout.isatty():
        _print_table(shown, rows)
    else:
        _print_fitting(shown, rows, table.described)


def _answered(ask, *arguments):
    """Return the answer to a question; a question that has none ends the command with one line."""
    try:
        return ask(*arguments)
    except query.QueryError as error:
        raise task.RunStopped(f"neuroluigi: {error}") from error


def _print_fitting(columns: Sequence[str], rows: Sequence[Sequence[query.Cell]], described: Sequence[str]) -> None:
    """Print what fits the terminal, and name the columns that don't."""
    shown = query.fitting(columns, rows, _console().width, described)
    positions = [columns.index(name) for name in shown]
    _print_table(shown, [tuple(row[position] for position in positions) for row in rows])
    if hidden := [name for name in columns if name not in shown]:
        _console().print(Text(f"\nToo wide to show, see --columns: {', '.join(hidden)}", style="dim"))


@main.command("events", context_settings=_LUIGI_OPTIONS)
@click.argument("group")
@click.option("--name", default="edges", show_default=True, help="The array: results/GROUP/NAME.npy.")
@_output_options
@click.pass_context
def events_command(context, group, name, form):
    """Print every event of a group; GROUP comes before the options that are Luigi's.

    \b
    Example:
      neuroluigi events a-even --csv > edges.csv

    \b
    session, index               the recording
    sample, seconds              from the beginning of the group's first recording
    recording_sample,
    recording_seconds            from the beginning of this recording
    channel                      from 0, as samples

    Seconds are blank where the sampling rate is not known; gaps between recordings are not counted.
    """
    if group.startswith("-"):
        raise task.RunStopped("neuroluigi: the group comes first: neuroluigi events GROUP [OPTIONS]")
    with _settings(context):
        groups, root = task.groups(), task.results_root()
    _answered(query.check_name, "group", group, list(groups))
    blocks = _answered(query.read_events, root / group, name)
    if form:
        _WRITERS[form](query.EVENT_COLUMNS, blocks, sys.stdout)
    else:
        # Ten digits tell the samples of ten hours apart.
        query.write_text(query.EVENT_COLUMNS, blocks, sys.stdout, digits=10)
