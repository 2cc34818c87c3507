"""Commands that show the pipeline and its results, and run nothing: from status to report."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from luigi.task_register import Register
from rich.text import Text

from neuroluigi.cli import doctor
from neuroluigi.cli.pipeline import JSON_OPTION, LUIGI_OPTIONS, answered, optional_argument, pipeline_of
from neuroluigi.cli.status_table import print_states
from neuroluigi.cli.table_options import (
    COLUMNS_OPTION,
    COUNTS_OPTION,
    SORT_OPTION,
    WHERE_OPTION,
    output_options,
    words_of,
    write_blocks,
    write_rows,
)
from neuroluigi.cli.tables import console, print_json, print_table
from neuroluigi.cluster import slurm
from neuroluigi.provenance.record import read_record
from neuroluigi.recordings.groups import split_row
from neuroluigi.recordings.recording import Group
from neuroluigi.results.bad_channels import candidates_line, find_candidates
from neuroluigi.results.clocks import clock_warnings
from neuroluigi.results.events import read_events
from neuroluigi.results.output import write_text
from neuroluigi.results.own_files import files_of_groups, not_ours
from neuroluigi.results.query import check_known
from neuroluigi.results.report import diagram
from neuroluigi.results.report.page import report_path, update_report
from neuroluigi.results.status import (
    FAILED,
    SIGNS,
    STUDY,
    ResultStatus,
    collect_statuses,
    explain_status,
    is_all_done,
    look_over,
    orphan_folders,
    reason_lines,
    select_statuses,
    status_as_data,
)
from neuroluigi.results.table import collect_table, select_rows
from neuroluigi.results.variant_cost import variant_costs
from neuroluigi.runner.luigi_script import NAMES, restore_scripts
from neuroluigi.steps.config import RunStopped, results_root, shown_path
from neuroluigi.steps.discovery import groups

# So many files that are not ours are named.
_MOST_FILES = 3


@click.command("status", context_settings=LUIGI_OPTIONS)
@click.option("--only", default="", metavar="STATE,...", help="Only results in these states, such as stale,failed.")
@click.option("--group", "rows", multiple=True, metavar="GROUP", help="Only this group. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def status_command(context, only, rows, as_json):
    """Show the state of every result, and what a run would do and why.

    \b
    Examples:
      neuroluigi status --only stale,failed --group a-even
      neuroluigi status --variants strict

    Variants are those that have results, and with --variants others: what is to be made of each, and how long that took
    in the base.

    Exit status 0 when everything is done, 1 when not.
    """
    with pipeline_of(context) as root:
        today = groups()
        # JSON names the task of each.
        entries, files = look_over(root, today, is_each_named=as_json)
        orphans, foreign = orphan_folders(results_root(), today), not_ours(files)
        wanted = [name.strip() for name in only.split(",") if name.strip()]
        for name in wanted:
            answered(check_known, "state", name, list(SIGNS))
        for name in rows:
            answered(check_known, "group", name, [*today, STUDY])
        shown = select_statuses(entries, wanted, rows)
        cluster = slurm.queue_lines(results_root(), {e.row for e in entries if e.status.todo})
        if as_json:
            listed = {
                "results": [status_as_data(entry) for entry in shown],
                "orphans": orphans,
                "not_ours": [str(path) for path in foreign],
                "slurm": cluster,
                "variants": [{**dataclasses.asdict(one), "results": one.results} for one in variant_costs(shown)],
            }
            print_json(listed)
        else:
            _print_status(shown, today, orphans) if shown else click.echo("No results in these states.")
            if foreign:
                console().print(Text(f"\n{_foreign_line(foreign)}"))
            if cluster:
                console().print(Text("\n" + "\n".join(cluster)))
    sys.exit(0 if is_all_done(entries) else 1)


def _print_status(entries: list[ResultStatus], groups: dict[str, Group], orphans: list[str]) -> None:
    print_states(entries)
    screen = console()
    if lines := reason_lines(entries, groups):
        screen.print(Text("\n" + "\n".join(lines)))
    if costs := list(variant_costs(entries)):
        screen.print(Text("\n" + "\n".join(map(str, costs))))
    if orphans:
        screen.print(Text(f"\nResults of no group of today: {', '.join(orphans)}; see neuroluigi clean --orphans"))


def _foreign_line(paths: Sequence[Path]) -> str:
    """Return a line on files and hidden folders that neither a step nor a run record names."""
    count = f"{len(paths):,} {'file or folder' if len(paths) == 1 else 'files or folders'}"
    named = ", ".join(shown_path(path) for path in paths[:_MOST_FILES])
    return f"Not ours, left alone: {count}{', such as' if len(paths) > _MOST_FILES else ':'} {named}"


@click.command("why", context_settings=LUIGI_OPTIONS)
@click.argument("step")
@click.argument("row", metavar="GROUP", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: state, reasons and the whole run record.")
@click.pass_context
def why_command(context, step, row, as_json):
    """Print how a result was made and, if it is not done, why; STEP and GROUP come before all settings.

    \b
    Example:
      neuroluigi why Edges a-even

    Exit status 0 when it is done, 1 when not.
    """
    if step.startswith("-"):
        raise RunStopped("neuroluigi: the step comes first: neuroluigi why STEP [GROUP] [OPTIONS]")
    row = optional_argument(context, row)
    with pipeline_of(context) as root:
        entries = collect_statuses(root, groups())
        steps = list(dict.fromkeys(e.step for e in entries))
        if step not in (*steps, root.task_family) and step in Register.task_names():
            raise RunStopped(
                f"neuroluigi: {root.task_family} does not require {step}: let it, or name a task that does with --task"
                " before the command"
            )
        answered(check_known, "step", step, steps)
        entries = [entry for entry in entries if entry.step == step]
        rows = list(dict.fromkeys(e.row for e in entries))
        if not row and STUDY not in rows:
            raise RunStopped(f"neuroluigi: which group? For example: neuroluigi why {step} {rows[0]}")
        row = row or STUDY
        answered(check_known, "group", row, rows)
        entries = [entry for entry in entries if entry.row == row]
        records = [read_record(e.record_path) if e.record_path else None for e in entries]
        if as_json:
            listed = [{**status_as_data(e), "record": one} for e, one in zip(entries, records, strict=True)]
            print_json(listed)
        else:
            explained = map(explain_status, entries, records)
            click.echo("\n\n".join("\n".join(lines) for lines in explained))
    sys.exit(0 if is_all_done(entries) else 1)


@click.command("results", context_settings=LUIGI_OPTIONS)
@WHERE_OPTION
@SORT_OPTION
@COLUMNS_OPTION
@COUNTS_OPTION
@output_options
@click.pass_context
def results_command(context, where, sort, columns, as_counts, form, is_raw):
    """Print the numbers of all results: a row per group, variant and channel.

    \b
    Example:
      neuroluigi results --where session=a --where 'mean>120' --sort -edges --columns group,mean,max,edges

    The columns are those of the recordings (values that differ within a group are joined by |), the values in the JSON
    files of the group, and the number of events in each of its .npy files of events. A column that holds numbers alone
    is compared and sorted as numbers, any other one, group and session as text; blank cells come last. What the table
    of recordings says is printed as it was written. Where a step failed, or its file is not there, the cells are blank,
    with the sign of the state (see neuroluigi status).

    Where scale and unit of a channel are known, min, max, mean and std are in that unit, which is in the column unit;
    else, and where unit is blank, they are raw counts, as in the files. Digital channels have neither mean nor std.

    A terminal shows the columns that vary, with long values shortened, and in a line below what all rows share; with
    --columns, and in files, with --csv and --json, everything is there as it is.
    """
    with pipeline_of(context) as root:
        today = groups()
        table = collect_table(today, files_of_groups(root, today), results_root(), as_counts)
    named = words_of(columns)
    shown, rows = answered(select_rows, table, where, sort, named)
    write_rows(table, shown, rows, form, is_raw, bool(named))
    if not form and (line := candidates_line(find_candidates(table, rows))):
        console().print(Text(f"\n{line}"))


@click.command("events", context_settings=LUIGI_OPTIONS)
@click.argument("group")
@click.option("--name", default="", help="The array: results/GROUP/NAME.npy; by default the only one with events.")
@WHERE_OPTION
@COUNTS_OPTION
@output_options
@click.pass_context
def events_command(context, group, name, where, as_counts, form, is_raw):
    """Print the events of a group, or of a variant of it (a-even@strict); GROUP comes before all settings.

    \b
    Examples:
      neuroluigi events a-even --csv > edges.csv
      neuroluigi events a-even --name spikes --where channel=16 --where 'amplitude<-50'

    \b
    session, index               the recording
    sample                       since the beginning of the group's first recording
    seconds                      since that of the group's first one of this session
    recording_sample,
    recording_seconds            since the beginning of this recording
    channel                      counted from 0, as samples are
    name                         of the channel, where it has one
    end, peak                    sample after the event, and that of its extremum
    polarity                     1 a rise, -1 a fall
    amplitude                    value at the peak, in the unit of the channel
    bit, line, value             of digital lines: with its name; 1 a rise, 0 a fall

    Amplitudes are without the offset of the channel where they were band-passed; in counts, as in the file, where no
    unit is known, and with --counts.

    Seconds have the samples that are missing by a counter of the headers. They are blank where the sampling rate, or
    how many samples are missing, is not known; without a counter, recordings are taken to follow each other at once.
    Where the session is Aligned, they are those since its first sample on the reference stream. An aligned.json that
    was changed, is stale, or damaged and so not used, is told of on stderr, and as "warning" of each event with --json.
    """
    if group.startswith("-"):
        raise RunStopped("neuroluigi: the group comes first: neuroluigi events GROUP [OPTIONS]")
    with pipeline_of(context) as root:
        today, (key, _) = groups(), split_row(group)
        answered(check_known, "group", key, list(today))
        of_variants = files_of_groups(root, [key])
        answered(check_known, "group", group, list(of_variants))
        files, folder = of_variants[group], results_root() / group
        warnings = clock_warnings(dict.fromkeys(one.session for one in today[key].recordings), folder)
    for warning in warnings:
        click.echo(f"neuroluigi: {warning}", err=True)
    for one in files:
        if one.hidden == FAILED and one.path.suffix == ".npy" and name in ("", one.path.stem) and one.path.is_file():
            click.echo(f"neuroluigi: {one.path.name} is of before its step failed, see neuroluigi status", err=True)
    columns, blocks = answered(read_events, folder, [one.path for one in files], name, where, as_counts)
    if form == "json" and warnings:
        # Who reads this by a program sees nothing else.
        text = "; ".join(warnings)
        columns, blocks = [*columns, "warning"], ([(*row, text) for row in rows] for rows in blocks)
    if form:
        write_blocks(form, is_raw, columns, blocks)
    else:
        write_text(columns, blocks, sys.stdout, precise=("seconds", "recording_seconds"))


def _fix_commands() -> None:
    """Make the commands that Luigi has too this package's; it needs neither tasks.py nor a luigi.cfg that is right."""
    try:
        fixed = restore_scripts()
    except OSError as error:
        raise RunStopped(
            f"neuroluigi: {error}; install it anew (pip install --force-reinstall --no-deps neuroluigi, in a checkout"
            " -e .), or use neuroluigi run"
        ) from error
    for path in fixed:
        click.echo(f"{path} is neuroluigi's now.")
    if not fixed:
        click.echo(f"{' and '.join(NAMES)} are neuroluigi's.")


@click.command("doctor", context_settings=LUIGI_OPTIONS)
@click.option("--fix", is_flag=True, help="Make the commands luigi and luigid neuroluigi's, and do nothing else.")
@JSON_OPTION
@click.pass_context
def doctor_command(context, fix, as_json):
    """Print what a run would find on this machine, and its problems: engines, seats, folders, settings.

    \b
    Example:
      neuroluigi doctor --matlab-command /opt/R2022b/bin/matlab

    Starts each engine once. Exit status 1 when a run could not start.
    """
    if fix:
        _fix_commands()
        return
    with pipeline_of(context) as root:
        found = list(doctor.examine(root))
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        print_table(("what", "found"), [(one.what, one.text) for one in found])
        for one in found:
            if one.problem:
                console().print(Text(f"\n{one.what}: {one.problem}", style="red" if one.is_fatal else "yellow"))
        if not any(one.problem for one in found):
            click.echo("\nNothing is wrong.")
    sys.exit(1 if any(one.is_fatal for one in found) else 0)


@click.command("diagram", context_settings=LUIGI_OPTIONS)
@click.pass_context
def diagram_command(context):
    """Print the pipeline as an SVG picture: steps, their files, and what each requires.

    \b
    Example:
      neuroluigi diagram > docs/pipeline.svg

    Neither an engine nor a result is needed.
    """
    with pipeline_of(context) as root:
        picture = diagram.draw(root.task_family, diagram.boxes(root))
    # The same bytes whatever letters standard output has.
    click.echo(picture.encode("ascii", "xmlcharrefreplace").decode())


@click.command("report", context_settings=LUIGI_OPTIONS)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there instead."
)
@click.pass_context
def report_command(context, output):
    """Write results/report.html: one page that shows the whole pipeline, before, during and after a run.

    \b
    Examples:
      neuroluigi report --results-root /backup/results
      neuroluigi report --results-root /archive/results --output report.html

    Nothing is written while the page is up to date.
    """
    with pipeline_of(context) as root:
        page = output.absolute() if output else report_path()
        update_report(root, page)
        click.echo(str(page))


COMMANDS = (
    status_command,
    why_command,
    results_command,
    events_command,
    doctor_command,
    diagram_command,
    report_command,
)
