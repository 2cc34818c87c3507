"""The `neuroluigi` command: looks at the pipeline without running it, and without any engine.

Options that it does not know go to Luigi's command line parser, so that --recordings-root and all others work alike.
"""

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import luigi
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from neuroluigi import (
    crate,
    doctor,
    graph,
    housekeeping,
    query,
    records,
    report,
    running,
    runs,
    slurm,
    status,
    task,
)
from neuroluigi.recordings import Group, Recording, RecordingsError, measure
from neuroluigi.settings import shown_path

_LUIGI_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}

# A page of paper or a log is wide enough for everything.
_FULL_WIDTH = 10_000

_MOST_NAMED = 20

# rich takes a second for a table of so many rows.
_MOST_RICH_ROWS = 1_000


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--module", default="tasks", show_default=True, help="The module of the current folder that has the tasks."
)
@click.option(
    "--task", "root", default="PlotAll", show_default=True, help="The task that stands for the whole pipeline."
)
@click.version_option(package_name="neuroluigi")
@click.pass_context
def main(context, module, root):
    """Look at a pipeline of neural recordings. It is run by: luigi --module tasks PlotAll --local-scheduler"""
    running.prepare_process()
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
        partial_sample = task.setting(task.recordings).partial_sample
    if as_json:
        listed = {key: _group_as_data(group, partial_sample) for key, group in groups.items()}
        click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        _print_groups(groups, partial_sample)
    sys.exit(1 if any(group.problems for group in groups.values()) else 0)


@contextlib.contextmanager
def _settings(context: click.Context, needs_tasks: bool = True) -> Iterator[luigi.Task]:
    """Let luigi.cfg and the options that this command does not know hold, as they do in a run; give the root task.

    A command that reads records alone does without the pipeline: results travel without it.
    """
    module, root = context.obj
    try:
        running.use_current_folder(module)
    except task.RunStopped:
        if needs_tasks:
            raise
        module, root = "neuroluigi.settings", "results"
    with running.command_line([root, "--module", module, *context.args]) as task_of_root:
        # A report needs nothing itself; what it shows is the pipeline.
        yield task_of_root.shows() if isinstance(task_of_root, report.ReportTask) else task_of_root


def _group_as_data(group: Group, partial_sample: str) -> dict:
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
                "samples": _samples(r, partial_sample),
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


def _samples(recording: Recording, partial_sample: str) -> int | None:
    """Return samples per channel, or None where the file is not there (yet) or can't be measured."""
    if recording.problems or not Path(recording.path).is_file():
        return None
    try:
        return measure(recording, partial_sample)[0]
    except RecordingsError:
        return None


def _print_groups(groups: dict[str, Group], partial_sample: str) -> None:
    rows = []
    for key, group in groups.items():
        for position, r in enumerate((*group.recordings, *group.excluded)):
            samples = _samples(r, partial_sample)
            note = ""
            if r.made and samples is None:
                note = " (to be made)"
            elif position >= len(group.recordings):
                note = f" (left out: {r.columns.get('reason') or 'use = no'})"
            known = ("?" if cell is None else cell for cell in (r.index, r.dtype, r.channels))
            path = shown_path(r.path) + note
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
        table.add_row(*(cell if isinstance(cell, Text) else Text(query.as_text(cell)) for cell in row))
    _console().print(table)


@main.command("status", context_settings=_LUIGI_OPTIONS)
@click.option("--only", default="", metavar="STATE,...", help="Only results in these states, such as stale,failed.")
@click.option("--group", "rows", multiple=True, metavar="GROUP", help="Only this group. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def status_command(context, only, rows, as_json):
    """Show the state of every result, and what a run would do and why.

    \b
    Example:
      neuroluigi status --only stale,failed --group a-even

    Exit status 0 when everything is done, 1 when not.
    """
    with _settings(context) as root:
        groups = task.groups()
        entries = status.collect(root, groups)
        orphans = status.orphans(task.results_root(), groups)
        wanted = [name.strip() for name in only.split(",") if name.strip()]
        for name in wanted:
            _answered(query.check_name, "state", name, list(status.SIGNS))
        for name in rows:
            _answered(query.check_name, "group", name, [*groups, status.STUDY])
        shown = status.select(entries, wanted, rows)
        cluster = slurm.tell(task.results_root(), {e.row for e in entries if e.verdict.todo})
        if as_json:
            listed = {"results": [status.as_data(entry) for entry in shown], "orphans": orphans, "slurm": cluster}
            click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
        else:
            _print_status(shown, groups, orphans) if shown else click.echo("No results in these states.")
            if cluster:
                _console().print(Text("\n" + "\n".join(cluster)))
    sys.exit(0 if status.is_all_done(entries) else 1)


def _print_status(entries: list[status.Entry], groups: dict[str, Group], orphans: list[str]) -> None:
    steps, rows = status.table(entries)
    is_terminal = sys.stdout.isatty()

    def cell(name: str) -> query.Cell | Text:
        sign, colour = status.SIGNS.get(name, ("", ""))
        return Text(f"{sign} {name}", style=colour) if is_terminal else f"{sign} {name}".strip()

    counted = status.progress(entries)
    marked = [[key, *map(cell, states)] for key, *states in rows]
    below = ["", *(f"{bar} {done}/{total}" for _, done, total, bar in counted)]
    _print_table(("group", *steps), [*marked, below])
    console = _console()
    if lines := status.reasons(entries, groups):
        console.print(Text("\n" + "\n".join(lines)))
    if orphans:
        console.print(Text(f"\nResults of no group of today: {', '.join(orphans)}; see neuroluigi clean --orphans"))


@main.command("why", context_settings=_LUIGI_OPTIONS)
@click.argument("step")
@click.argument("row", metavar="GROUP", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: state, reasons and the whole run record.")
@click.pass_context
def why_command(context, step, row, as_json):
    """Say how a result was made, and if it is not done, why; STEP and GROUP come before the options that are Luigi's.

    \b
    Example:
      neuroluigi why Edges a-even

    Exit status 0 when it is done, 1 when not.
    """
    if step.startswith("-"):
        raise task.RunStopped("neuroluigi: the step comes first: neuroluigi why STEP [GROUP] [OPTIONS]")
    if row.startswith("-"):  # an option that is Luigi's
        context.args.insert(0, row)
        row = ""
    with _settings(context) as root:
        entries = status.collect(root, task.groups())
        _answered(query.check_name, "step", step, list(dict.fromkeys(e.step for e in entries)))
        entries = [entry for entry in entries if entry.step == step]
        rows = list(dict.fromkeys(e.row for e in entries))
        if not row and status.STUDY not in rows:
            raise task.RunStopped(f"neuroluigi: say of which group: neuroluigi why {step} {rows[-1]}")
        row = row or status.STUDY
        _answered(query.check_name, "group", row, rows)
        entries = [entry for entry in entries if entry.row == row]
        if as_json:
            listed = [{**status.as_data(e), "record": records.read(e.task.record_path)} for e in entries]
            click.echo(json.dumps(listed, indent=1, ensure_ascii=False))
        else:
            click.echo("\n\n".join("\n".join(status.explain(e, records.read(e.task.record_path))) for e in entries))
    sys.exit(0 if status.is_all_done(entries) else 1)


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


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@main.command("doctor", context_settings=_LUIGI_OPTIONS)
@_JSON
@click.pass_context
def doctor_command(context, as_json):
    """Say what a run would find on this machine, and what is wrong with it: engines, seats, folders, settings.

    \b
    Example:
      neuroluigi doctor --matlab-command /opt/R2022b/bin/matlab

    Starts each engine once. Exit status 1 when a run could not start.
    """
    with _settings(context) as root:
        found = list(doctor.examine(root))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=1, ensure_ascii=False))
    else:
        _print_table(("what", "found"), [(one.what, one.text) for one in found])
        for one in found:
            if one.problem:
                _console().print(Text(f"\n{one.what}: {one.problem}", style="red" if one.is_fatal else "yellow"))
        if not any(one.problem for one in found):
            click.echo("\nNothing is wrong.")
    sys.exit(1 if any(one.is_fatal for one in found) else 0)


_GROUPS = click.option("--group", "groups", multiple=True, metavar="GROUP", help="Only this group. Repeatable.")


def _asking_options(command):
    for option in (
        _JSON,
        click.option("--dry-run", is_flag=True, help="Only list."),
        click.option("--yes", is_flag=True, help="Don't ask."),
    ):
        command = option(command)
    return command


@main.command("clean", context_settings=_LUIGI_OPTIONS)
@_GROUPS
@click.option("--step", default="", help="Only this step and all that depend on it.")
@click.option("--orphans", is_flag=True, help="Instead, results folders of no group of today; --group names folders.")
@click.option("--modified", is_flag=True, help="Also results that were modified by hand.")
@_asking_options
@click.pass_context
def clean_command(context, groups, step, orphans, modified, yes, dry_run, as_json):
    """Remove results, with their records and logs, after listing them and asking.

    \b
    Examples:
      neuroluigi clean --step Edges --group a-even
      neuroluigi clean --orphans --dry-run

    Only files that a run record names are removed, and recordings only when the step that makes them is named by
    --step. What is left behind is listed with the reason.
    """
    with _settings(context) as root:
        plan = _answered(housekeeping.plan_clean, root, groups, step, orphans, modified)
        _carry_out(plan, housekeeping.clean, "removed", yes, dry_run, as_json)


@main.command("drop", context_settings=_LUIGI_OPTIONS)
@click.option("--step", required=True, help="The step whose results are dropped.")
@_GROUPS
@_asking_options
@click.pass_context
def drop_command(context, step, groups, yes, dry_run, as_json):
    """Remove the bytes of results and keep their records: they count as done until a step needs them.

    \b
    Example:
      neuroluigi drop --step Aggregate
    """
    with _settings(context) as root:
        plan = _answered(housekeeping.plan_drop, root, step, groups)
        _carry_out(plan, housekeeping.drop, "dropped", yes, dry_run, as_json)


def _carry_out(plan: housekeeping.Plan, do, done: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """List what was planned, ask, do it, and say what was done and what was not."""
    if plan.entries and not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
        raise task.RunStopped(f"neuroluigi: nothing was {done}, as nobody can be asked: add --yes or --dry-run")
    listed = {entry.path: _entry_as_data(entry) for entry in plan.entries}
    what = f"{len(plan.entries)} results, {decimal(plan.bytes)}"
    if not as_json:
        _print_plan(list(listed.values()), plan.left)
    if not plan.entries or dry_run:
        lines, entries = f"Nothing to be {done}." if not plan.entries else f"Would be {done}: {what}.", plan.entries
    else:
        yes or click.confirm(f"{what} will be {done}. Go on?", abort=True)
        if at_work := runs.running(task.results_root()):
            raise task.RunStopped(f"neuroluigi: nothing was {done}: a run is at work on these results: {at_work[0]}")
        known = len(plan.left)
        entries = do(plan)
        left = [f"left: {shown_path(path)} ({why})" for path, why in plan.left[known:]]
        lines = "\n".join([*left, f"{done.capitalize()}: {len(entries)} of {what}."])
    if as_json:
        results = [listed[entry.path] for entry in entries]
        left = [{"path": str(path), "why": why} for path, why in plan.left]
        total = sum(one["bytes"] for one in results)
        data = {"dry_run": dry_run, done: results, "bytes": total, "left": left}
        lines = json.dumps(data, indent=1, ensure_ascii=False)
    click.echo(lines)
    sys.exit(0 if len(entries) == len(plan.entries) else 1)


def _entry_as_data(entry: housekeeping.Entry) -> dict:
    files = entry.files
    return {
        "step": entry.step,
        "group": entry.group,
        "record": str(entry.path),
        "files": [str(path) for path in files],
        "bytes": sum(path.stat().st_size for path in files),
    }


def _print_plan(results: Sequence[dict], left: Sequence[tuple[Path, str]]) -> None:
    rows = [
        (
            shown_path(Path(one["record"]).parent.parent),
            one["step"],
            " ".join(Path(path).name for path in one["files"]) or "(only logs)",
            decimal(one["bytes"]),
        )
        for one in results
    ]
    if rows:
        _print_table(("folder", "step", "files", "size"), rows)
    for path, why in left:
        _console().print(Text(f"left: {shown_path(path)} ({why})"))


@main.command("accept", context_settings=_LUIGI_OPTIONS)
@click.argument("file")
@click.option("--reason", required=True, help="Why the file is right as it is.")
@_JSON
@click.pass_context
def accept_command(context, file, reason, as_json):
    """Take a modified file as the result, and write into its run record who did so, when and why.

    \b
    Example:
      neuroluigi accept a-even/edges.npy --reason "artefact at 12 s removed by hand"

    FILE is relative to the current folder or to the one of results; it comes before the options that are Luigi's.
    """
    if file.startswith("-"):
        raise task.RunStopped("neuroluigi: the file comes first: neuroluigi accept FILE --reason WHY [OPTIONS]")
    with _settings(context) as root:
        path = housekeeping.accept(root, file, reason)
    click.echo(json.dumps({"accepted": str(path)}) if as_json else f"Accepted: {shown_path(path)}")


@main.command("verify", context_settings=_LUIGI_OPTIONS)
@_JSON
@click.pass_context
def verify_command(context, as_json):
    """Read every result again, and compare it with its run record.

    \b
    Example:
      neuroluigi verify --results-root /backup/results

    Neither recordings nor engines are needed. Exit status 1 when a file is changed, damaged or missing.
    """
    with _settings(context, needs_tasks=False):
        entries = housekeeping.entries_to_verify()
        total = sum(output["bytes"] for entry in entries for output in entry.outputs.values())
        # quiet, not disable: with that rich 13 ends on a blank line.
        console = Console(stderr=True, quiet=not sys.stderr.isatty())
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("reading results", total=total)
            found = housekeeping.verify(entries, lambda path, size: progress.advance(bar, size))
    if as_json:
        problems = [{"state": what, "path": str(path), "why": why} for what, path, why in found.problems]
        data = {"files": found.files, "bytes": found.bytes, "dropped": found.dropped, "problems": problems}
        data["untracked"] = [str(path) for path in found.untracked]
        click.echo(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        for what, path, why in found.problems:
            click.echo(f"{what}: {shown_path(path)} {why}")
        for path in found.untracked[:_MOST_NAMED]:
            click.echo(f"untracked: {shown_path(path)}")
        if len(found.untracked) > _MOST_NAMED:
            click.echo(f"untracked: {len(found.untracked) - _MOST_NAMED} files more")
        dropped = f", {found.dropped} more are dropped" if found.dropped else ""
        answer = f"{len(found.problems)} are not as their run records say" if found.problems else "all as recorded"
        click.echo(f"{found.files} files, {decimal(found.bytes)}{dropped}: {answer}.")
    sys.exit(1 if found.problems else 0)


@main.group("export")
def export_group():
    """Describe or convert all results for archives and other programs."""


@export_group.command("rocrate", context_settings=_LUIGI_OPTIONS)
@click.option("--name", default="", help="What the results are called.")
@click.option("--description", default="", help="What they are, in a sentence or two.")
@click.option("--license", "licence", default="", metavar="URL", help="The licence under which others may use them.")
@click.option("--organization", nargs=2, metavar="URL NAME", help="The institute that made and publishes them.")
@click.pass_context
def crate_command(context, name, description, licence, organization):
    """Describe all results in an RO-Crate, as archives want it: who made what from what, when, and with which tool.

    \b
    Example:
      neuroluigi export rocrate --name "Edges of 2026" --license https://creativecommons.org/licenses/by/4.0/

    Writes ro-crate-metadata.json into the folder of results, which then is a crate; nothing is copied or changed.
    Write it again when results were made again; neuroluigi verify, before, makes sure of every byte. It tells the names
    of users and machines, as the run records do.
    """
    about = crate.About(name, description, licence, organization)
    with _settings(context, needs_tasks=False):
        at_work = runs.running(task.results_root())
        written = crate.write(about)
    click.echo(
        f"{shown_path(written.path)}: {written.results} results and {written.failures} failures;"
        f" {written.files} files that are there, {written.elsewhere} that are not."
    )
    notes = [f"left out: {shown_path(path)} is no run record that can be read" for path in written.unreadable]
    notes += [f"a run is at work on these results, write the crate again after it: {run}" for run in at_work]
    for note in (*notes, *about.missing()):
        click.echo(note)


@main.command("diagram", context_settings=_LUIGI_OPTIONS)
@click.pass_context
def diagram_command(context):
    """Print the pipeline as a picture, as SVG: steps, their files, and what each is made from.

    \b
    Example:
      neuroluigi diagram > docs/pipeline.svg

    Neither an engine nor a result is needed.
    """
    with _settings(context) as root:
        picture = graph.draw(root.task_family, graph.boxes(root))
    # The same bytes whatever letters standard output has.
    click.echo(picture.encode("ascii", "xmlcharrefreplace").decode())


@main.command("report", context_settings=_LUIGI_OPTIONS)
@click.pass_context
def report_command(context):
    """Write results/report.html: one page that shows the whole pipeline, before, during and after a run.

    \b
    Example:
      neuroluigi report --results-root /backup/results

    Nothing is written where the page shows how things stand already.
    """
    with _settings(context) as root:
        report.update(root)
        click.echo(str(report.path()))


@main.command("slurm", context_settings=_LUIGI_OPTIONS)
@click.argument("root", default="")
@click.option("--groups-per-job", default=4, show_default=True, type=click.IntRange(1), help="Groups of an element.")
@click.option("--time", default="", help="Walltime of each element; it must be enough for the longest step.")
@click.option("--mem", default="", help="Memory of each element, such as 8G.")
@click.option("--cpus", default=1, show_default=True, type=click.IntRange(1), help="Steps of an element at a time.")
@click.option("--partition", default="")
@click.option("--account", default="")
@click.option("--licenses", default="", help="Licences of each element, such as matlab:1; so many Matlabs it opens.")
@click.option("--max-jobs", type=click.IntRange(1), help="Elements that run at the same time.")
@click.option(
    "--sbatch", "others", multiple=True, metavar="NAME[=VALUE]", help="Any other option of sbatch. Repeatable."
)
@click.option("--settle", default=60.0, show_default=True, help="Seconds a shared disk may take to show results.")
@click.option("--print", "only_print", is_flag=True, help="Print the scripts; submit nothing.")
@click.pass_context
def slurm_command(context, root, groups_per_job, cpus, max_jobs, others, settle, only_print, **flags):
    """Run the pipeline on a Slurm cluster: a job array over the groups that are not done, and a job for the rest.

    \b
    Example:
      neuroluigi slurm PlotAll --groups-per-job 4 --time 08:00:00 --mem 8G --cpus 4 --Edges-threshold 0.6

    ROOT, by default that of --task, comes before the options that are Luigi's. Where a node is lost or the walltime
    ends, an element is queued again and goes on; neuroluigi status says where each is. To go on after anything else,
    or to add what is new, submit again: what is done is not made again.
    """
    if root.startswith("-"):  # an option that is Luigi's
        context.args.insert(0, root)
        root = ""
    module, root = context.obj = (context.obj[0], root or context.obj[1])
    with _settings(context) as root_task:
        results, groups = task.results_root(), task.groups()
        undone, has_more = slurm.undone(root_task)
        job = slurm.Job(
            root=root,
            words=["--module", module, *slurm.global_options(root_task, context.args)],
            lab=Path.cwd(),
            folder=slurm.next_folder(results),
            python=sys.executable,
            flags={
                **slurm.check_flags(others),
                "cpus-per-task": str(cpus),
                **{name: value for name, value in flags.items() if value},
            },
            max_jobs=max_jobs,
            settle=settle,
        )
        elements = slurm.chunks({name: slurm.size_of(groups[name]) for name in undone}, groups_per_job)
        if only_print:
            scripts = [slurm.array_script(job, len(elements))] if elements else []
            click.echo("\n".join([*scripts, slurm.last_script(job)]), nl=False)
        elif not (elements or has_more):
            click.echo("Nothing to make: everything is there.")
        else:
            ids = slurm.submit(job, elements, ["neuroluigi", *sys.argv[1:]])
            what = f"{len(undone)} groups in {len(elements)} elements, then the rest" if elements else "what is left"
            click.echo(f"Submitted as Slurm job {', '.join(ids)}: {what}.\nLogs: {shown_path(job.folder)}")
