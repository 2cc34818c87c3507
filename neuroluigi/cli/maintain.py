"""Commands that change or check what is there: clean, drop, accept, verify, export."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from luigi.task import flatten
from luigi.task_register import Register
from rich.filesize import decimal
from rich.progress import Progress
from rich.text import Text

from neuroluigi.cli.init import begin_here
from neuroluigi.cli.pipeline import JSON_OPTION, LUIGI_OPTIONS, answered, pipeline_of
from neuroluigi.cli.tables import console, error_console, print_json, print_table
from neuroluigi.provenance import run_lock
from neuroluigi.results import maintenance, recorded, rocrate, verification
from neuroluigi.results.own_files import planned_where_known
from neuroluigi.runner.run import luigi_command
from neuroluigi.steps.config import RunStopped, results_root, shown_path
from neuroluigi.steps.tasks import SESSIONS

_MOST_NAMED = 20


_GROUPS = click.option("--group", "groups", multiple=True, metavar="GROUP", help="Only this group. Repeatable.")


def _asking_options(command):
    for option in (
        JSON_OPTION,
        click.option("--dry-run", is_flag=True, help="Only list."),
        click.option("--yes", is_flag=True, help="Don't ask."),
    ):
        command = option(command)
    return command


@click.command("clean", context_settings=LUIGI_OPTIONS)
@_GROUPS
@click.option("--step", default="", help="Only this step and all that depend on it.")
@click.option("--orphans", is_flag=True, help="Instead, results folders of no group of today; --group names folders.")
@click.option("--modified", is_flag=True, help="Also results that were modified by hand.")
@_asking_options
@click.pass_context
def clean_command(context, groups, step, orphans, modified, yes, dry_run, as_json):
    """Remove results, with their records and logs, after a list and a question.

    \b
    Examples:
      neuroluigi clean --step Edges --group a-even
      neuroluigi clean --orphans --dry-run

    Only files that a run record names are removed, and recordings only when the step that makes them is named by
    --step. What is left behind is listed with the reason.
    """
    with pipeline_of(context) as root:
        plan = answered(maintenance.plan_clean, root, groups, step, orphans, modified)
        _carry_out(plan, maintenance.clean, "removed", yes, dry_run, as_json)


@click.command("drop", context_settings=LUIGI_OPTIONS)
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
    with pipeline_of(context) as root:
        plan = answered(maintenance.plan_drop, root, step, groups)
        _carry_out(plan, maintenance.drop, "dropped", yes, dry_run, as_json)


def _carry_out(plan: maintenance.Plan, do: Callable, done: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """List what was planned, ask, do it, and print what was done and what was not."""
    if plan.entries and not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
        raise RunStopped(
            f"neuroluigi: nothing was {done}, as there is no terminal for the question: add --yes or --dry-run"
        )
    listed = {entry.path: _entry_as_data(entry) for entry in plan.entries}
    what = f"{len(plan.entries)} results, {decimal(plan.bytes)}"
    if not as_json:
        _print_plan(list(listed.values()), plan.left)
    if not plan.entries or dry_run:
        lines, entries = f"Nothing to be {done}." if not plan.entries else f"Would be {done}: {what}.", plan.entries
    else:
        yes or click.confirm(f"{what} will be {done}. Go on?", abort=True)
        if at_work := run_lock.running(results_root()):
            raise RunStopped(f"neuroluigi: nothing was {done}: a run is working on these results: {at_work[0]}")
        known = len(plan.left)
        entries = do(plan)
        left = [f"left: {shown_path(path)} ({why})" for path, why in plan.left[known:]]
        lines = "\n".join([*left, f"{done.capitalize()}: {len(entries)} of {what}."])
    if as_json:
        results = [listed[entry.path] for entry in entries]
        not_done = [{"path": str(path), "why": why} for path, why in plan.left]
        total = sum(one["bytes"] for one in results)
        data = {"dry_run": dry_run, done: results, "bytes": total, "left": not_done}
        print_json(data)
    else:
        click.echo(lines)
    sys.exit(0 if len(entries) == len(plan.entries) else 1)


def _entry_as_data(entry: recorded.RecordedResult) -> dict:
    files = entry.files
    return {
        "step": entry.step,
        "group": entry.group,
        "record": str(entry.path),
        "files": [str(path) for path in files],
        "bytes": entry.bytes,
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
        print_table(("folder", "step", "files", "size"), rows)
    for path, why in left:
        console().print(Text(f"left: {shown_path(path)} ({why})"))


@click.command("accept", context_settings=LUIGI_OPTIONS)
@click.argument("file")
@click.option("--reason", required=True, help="Why the file is right as it is.")
@JSON_OPTION
@click.pass_context
def accept_command(context, file, reason, as_json):
    """Accept a modified file or folder as the result, and record who did so, when and why.

    \b
    Example:
      neuroluigi accept a-even/edges.npy --reason "artefact at 12 s removed by hand"

    FILE is relative to the current folder or to the folder of results; it comes before all settings.
    """
    if file.startswith("-"):
        raise RunStopped("neuroluigi: the file comes first: neuroluigi accept FILE --reason WHY [OPTIONS]")
    with pipeline_of(context) as root:
        path = maintenance.accept(root, file, reason)
    print_json({"accepted": str(path)}, indent=None) if as_json else click.echo(f"Accepted: {shown_path(path)}")


@click.command("verify", context_settings=LUIGI_OPTIONS)
@JSON_OPTION
@click.pass_context
def verify_command(context, as_json):
    """Read every result again, and compare it with its run record.

    \b
    Example:
      neuroluigi verify --results-root /backup/results

    Neither recordings nor engines are needed. Exit status 1 when a file is changed, damaged or missing.
    """
    with pipeline_of(context, needs_tasks=False) as root:
        steps = planned_where_known(root)
        entries = verification.results_to_verify(steps)
        of_steps = {Path(one.path) for step in steps.values() for one in flatten(step.output())}
        total = sum(output["bytes"] for entry in entries for output in entry.outputs.values())
        with Progress(console=error_console(), transient=True) as progress:
            bar = progress.add_task("reading results", total=total)
            found = verification.verify(entries, of_steps, lambda path, size: progress.advance(bar, size))
    if as_json:
        problems = [{"state": what, "path": str(path), "why": why} for what, path, why in found.problems]
        data = {"files": found.files, "bytes": found.bytes, "dropped": found.dropped, "problems": problems}
        data["untracked"] = [str(path) for path in found.untracked]
        print_json(data)
    else:
        for what, path, why in found.problems:
            click.echo(f"{what}: {shown_path(path)} {why}")
        for path in found.untracked[:_MOST_NAMED]:
            click.echo(f"untracked: {shown_path(path)}")
        if len(found.untracked) > _MOST_NAMED:
            click.echo(f"untracked: {len(found.untracked) - _MOST_NAMED} files more")
        dropped = f", {found.dropped} more are dropped" if found.dropped else ""
        answer = f"{len(found.problems)} are not as recorded" if found.problems else "all as recorded"
        click.echo(f"{found.files} files, {decimal(found.bytes)}{dropped}: {answer}.")
    sys.exit(1 if found.problems else 0)


@click.group("export")
def export_group():
    """Describe or convert all results for archives and other programs."""


@export_group.command("rocrate", context_settings=LUIGI_OPTIONS)
@click.option("--name", default="", help="What the results are called.")
@click.option("--description", default="", help="What they are, in a sentence or two.")
@click.option("--license", "licence", default="", metavar="URL", help="The licence under which others may use them.")
@click.option("--organization", nargs=2, metavar="URL NAME", help="The institute that made and publishes them.")
@click.pass_context
def rocrate_command(context, name, description, licence, organization):
    """Describe all results in an RO-Crate for archives: who made what from what, when, and with which tool.

    \b
    Example:
      neuroluigi export rocrate --name "Edges of 2026" --license https://creativecommons.org/licenses/by/4.0/

    Writes ro-crate-metadata.json into the folder of results, which then is a crate; nothing is copied or changed.
    Write it again after results were made again, and run neuroluigi verify before, which checks every byte. The crate
    has the names of users and machines, as the run records do.
    """
    about = rocrate.About(name, description, licence, organization)
    with pipeline_of(context, needs_tasks=False) as root:
        at_work = run_lock.running(results_root())
        written = rocrate.write_crate(about, planned_where_known(root))
    click.echo(
        f"{shown_path(written.path)}: {written.results} results and {written.failures} failures;"
        f" {written.files} files that are there, {written.elsewhere} that are not."
    )
    notes = [f"left out: {shown_path(path)} is no run record that can be read" for path in written.unreadable]
    notes += [f"a run is working on these results, write the crate again after it: {run}" for run in at_work]
    for note in (*notes, *about.missing()):
        click.echo(note)


@export_group.command("nwb", context_settings=LUIGI_OPTIONS)
@click.option("--session", default="", help="Only this session.")
@click.option("--data", default="", help="Begin a pipeline on the recordings of this folder first, if none is here.")
@click.pass_context
def nwb_command(context, session, data):
    """Write an NWB file of each session, with all that it needs, and list the files.

    \b
    Examples:
      neuroluigi export nwb --NWB-species "Mus musculus" --NWB-sex F --NWB-age P90D
      neuroluigi export nwb --session m1 --NWB-raw copy
      neuroluigi export nwb --data /nas/raw --recordings-metadata /nas/sessions.csv

    It runs NWBAll of tasks.py, or NWB of one session, as any other task: what is done stays done, each file is
    validated before it is there, and what is lacking to describe a session is named before anything is made. With
    --data it writes the files that a pipeline in the current folder lacks, as neuroluigi init does.
    """
    module, _ = context.obj
    if data:
        context.args += begin_here(data)
    name, words = ("NWB", ["--session", session]) if session else ("NWBAll", [])
    with pipeline_of(context):
        if name not in Register.task_names():
            raise RunStopped(
                f"neuroluigi: {module}.py has no class {name}: add the lines that docs/nwb.md has for a pipeline of"
                " your own"
            )
    code = luigi_command([name, *words, "--module", module, *context.args, "--local-scheduler"])
    with pipeline_of(context):
        folder = results_root() / SESSIONS
        made = [path for one in recorded.recorded_results(folder) if one.step == "NWB" for path in one.files]
    wanted = [path for path in made if not session or path.parent.name == session]
    if wanted:
        print_table(
            ("session", "file", "size"),
            [(path.parent.name, shown_path(path), decimal(path.stat().st_size)) for path in wanted],
        )
    sys.exit(code)


COMMANDS = (clean_command, drop_command, accept_command, verify_command, export_group)
