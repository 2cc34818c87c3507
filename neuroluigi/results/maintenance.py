"""Remove results, drop the bytes of large ones, and accept those that were modified by hand.

Run records define which files are results. A file that no record names is never removed.
"""

import contextlib
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import luigi
from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.commit import folder_lock, pending_path, recover
from neuroluigi.provenance.contents import describe, manifest, name_in_manifest, read_manifest, sync, write_manifest
from neuroluigi.provenance.files import remove_whole, sync_folder, write_json
from neuroluigi.provenance.parts import is_part
from neuroluigi.provenance.record import accepted_names, describe_host, read_record, timestamp
from neuroluigi.provenance.run_record import read_run_record
from neuroluigi.results.own_files import original_of, planned_steps, put_aside
from neuroluigi.results.query import check_known
from neuroluigi.results.recorded import (
    RecordedResult,
    differs,
    located,
    recorded_results,
    why_kept,
    why_not_written,
    writing,
)
from neuroluigi.steps.config import (
    RunStopped,
    record_folders,
    recordings,
    registered,
    results_root,
    roots_of_paths,
    setting,
    shown_path,
)
from neuroluigi.steps.discovery import groups
from neuroluigi.steps.plan import discard_statuses, status_of, tasks_below
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.scope import folders_of_groups, group_of, groups_of_recordings
from neuroluigi.steps.tasks import RecordingMaker


@dataclass
class Plan:
    """What is to be removed, and what is left though it was asked for, or lies there: (path, why)."""

    entries: list[RecordedResult] = field(default_factory=list)
    left: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """How much the results take that are to be removed."""
        return sum(entry.bytes for entry in self.entries)


def plan_clean(
    root: luigi.Task, of_groups: Sequence[str] = (), step: str = "", orphans: bool = False, modified: bool = False
) -> Plan:
    """Return what there is to remove: `step` and all that depends on it, or all steps, in some groups or in all.

    `orphans`: in the folders that belong to no group of today instead; `of_groups` are names of such folders then.
    Raises QueryError for a name that there is not.
    """
    ours, lost = _told_apart(root)
    if orphans:
        _check_recordings_of_last_run()
    known = sorted({entry.group for entry in lost}) if orphans else list(groups())
    for name in of_groups:
        check_known("folder without a group" if orphans else "group", name, known)
    steps = _steps_from(step, list(tasks_below(root)), [*ours, *lost])
    chosen = [
        entry
        for entry in (lost if orphans else ours)
        if entry.step in steps and (not of_groups or entry.group in of_groups)
    ]
    plan = Plan()
    for entry in chosen:
        if why := _why_kept(entry, modified):
            plan.left += [(path, why) for path in [*entry.elsewhere, *entry.files] or [entry.path]]
        else:
            plan.entries.append(entry)
    # Of a record that can't be read, nothing is known.
    named = {path for entry in (*ours, *lost) if entry.step for path in (*entry.outputs, *entry.traces)}
    plan.left += _unknown_files({entry.folder for entry in chosen}, named)
    return plan


def _told_apart(root: luigi.Task) -> tuple[list[RecordedResult], list[RecordedResult]]:
    """Return what belongs to the pipeline of today, and what lies in results folders of no group of today.

    The latter have the name of their folder for a group.
    """
    of_recording = groups_of_recordings()
    of_folder = folders_of_groups()
    of_record = {path: group_of(one, of_recording) for path, one in planned_steps(root).items()}
    ours, lost = [], []
    for entry in recorded_results(*record_folders(), planned=of_record):
        group = of_record.get(entry.path, of_folder.get(entry.folder))
        if group is not None:
            ours.append(RecordedResult(entry.path, entry.record, entry.step, group))
        elif entry.folder.is_relative_to(results_root()):
            name = entry.folder.relative_to(results_root()).as_posix()
            lost.append(RecordedResult(entry.path, entry.record, entry.step, name))
    return ours, lost


def _steps_from(step: str, tasks: Sequence[luigi.Task], entries: Sequence[RecordedResult]) -> set[str]:
    """Return the names of a step and of all that depend on it; without one, of all that make no recordings."""
    makers = {one.task_family for one in tasks if isinstance(one, RecordingMaker)}
    known = {entry.step for entry in entries if entry.step} | {
        one.task_family for one in tasks if isinstance(one, ResultTask)
    }
    if not step:
        return known - makers
    check_known("step", step, sorted(known))
    needs = {(one.task_family, below.task_family) for one in tasks for below in flatten(one.requires())}
    # Steps that are not below the root of today are known by their records.
    maker_of = {path: entry.step for entry in entries for path in entry.outputs}
    needs |= {
        (entry.step, maker_of.get(located(one), ""))
        for entry in entries
        for one in (entry.record or {}).get("inputs", ())
    }
    found, newest = set(), {step}
    while newest:
        found |= newest
        newest = {above for above, below in needs if below in newest} - found
    return found


def _why_kept(entry: RecordedResult, modified: bool) -> str:
    """Return why a result is not removed; one of several files is reason enough, as a run replaces all of them."""
    if why := why_kept(entry):
        return why
    accepted = accepted_names(entry.record)
    for path, output in entry.outputs.items():
        if not modified and differs(path, output):
            what = "file" if output.get("files") is None else "folder"
            return f"{path.name} is not the {what} that its run record describes; --modified removes it too"
        if not modified and output["path"] in accepted:
            return f"{path.name} was modified by hand and accepted; --modified removes it too"
    return ""


def _check_recordings_of_last_run() -> None:
    """Raise RunStopped where the last run had other recordings than this command: its groups are not today's."""
    run = read_run_record(results_root())
    if setting(recordings).are_real() or not run:
        return
    for one in run["settings"]:
        name = one.get("name") if isinstance(one, dict) else None
        if name in ("[recordings] root", "[recordings] table") and one.get("value"):
            option = f"--recordings-{name.split()[1]} {one['value']}"
            raise RunStopped(f"neuroluigi: the last run on these results had {option}; give it here too")


def _unknown_files(folders: Iterable[Path], named: set[Path]) -> list[tuple[Path, str]]:
    """Return the files below results folders that no run record names."""
    found = set()
    for folder in folders:
        for top, below, names in os.walk(folder):
            # A folder that is a result, or was to be one, has nothing else in it.
            below[:] = [name for name in below if (path := Path(top, name)) not in named and not is_part(path)]
            found |= {Path(top, name) for name in names}
    results = (path for path in found if path.is_relative_to(results_root()))
    return [
        (path, "no run record names it")
        for path in sorted(results)
        if path not in named and path.name != ".lock" and not is_part(path)
    ]


@registered("neuroluigi clean")
def clean(plan: Plan) -> list[RecordedResult]:
    """Remove what was planned, then the folders that are empty; return what was removed, and add to what is left."""
    removed = []
    for entry in plan.entries:
        try:
            if why := why_kept(entry):
                plan.left.append((entry.path, why))
                continue
            recover(entry.path)
            with folder_lock(entry.path.parent):
                if _is_other(entry):
                    plan.left.append((entry.path, "it was made again meanwhile"))
                    continue
                # The record goes last: a result without one is taken as done, a record without its file is made again.
                files = list(entry.files)
                for path in files:
                    remove_whole(path)
                for folder in {path.parent for path in files}:
                    sync_folder(folder)
                for path in entry.traces:
                    remove_whole(path)
            removed.append(entry)
        except OSError as error:
            plan.left.append((entry.path, f"can't be removed: {error}"))
    for folder in {entry.path.parent for entry in removed}:
        _remove_empty(folder)
    return removed


def _is_other(entry: RecordedResult) -> bool:
    """Return whether the record has changed since it was read."""
    return read_record(entry.path) != entry.record or pending_path(entry.path).exists()


def _remove_empty(folder: Path) -> None:
    """Remove a runs folder that has nothing but its lock, and the folders above it that are empty then."""
    if [path.name for path in folder.iterdir()] == [".lock"]:
        with contextlib.suppress(OSError):
            (folder / ".lock").unlink()
    kept = roots_of_paths().values()
    while folder not in kept:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def plan_drop(root: luigi.Task, step: str, of_groups: Sequence[str] = ()) -> Plan:
    """Return the results of a step whose bytes a run could make again.

    Raises QueryError for a name that there is not, RunStopped for a step whose results are not dropped.
    """
    today = groups()
    for name in of_groups:
        check_known("group", name, list(today))
    tasks = list(tasks_below(root))
    steps = [one for one in tasks if isinstance(one, ResultTask)]
    check_known("step", step, sorted({one.task_family for one in steps}))
    steps = [one for one in steps if one.task_family == step]
    if isinstance(steps[0], RecordingMaker):
        raise RunStopped(
            f"neuroluigi: {step} makes recordings, which are not dropped; see neuroluigi clean --step {step}"
        )
    needed = {below.task_id for one in tasks if isinstance(one, ResultTask) for below in flatten(one.requires())}
    if not any(one.task_id in needed for one in steps):
        raise RunStopped(f"neuroluigi: no step needs {step}, so that the next run would make again what was dropped")
    of_recording = groups_of_recordings()
    plan = Plan()
    for one in sorted(steps, key=lambda one: one.record_path):
        group = group_of(one, of_recording)
        if of_groups and group not in of_groups:
            continue
        entry = RecordedResult(one.record_path, read_record(one.record_path), step, group)
        status = status_of(one)
        if status.is_dropped and not entry.files:
            continue
        if why := why_kept(entry) or _why_not_dropped(one, status):
            plan.left.append((entry.path, why))
        else:
            plan.entries.append(entry)
    return plan


def _why_not_dropped(step: ResultTask, status: state.Status) -> str:
    if status.state != state.DONE:
        return f"{status.state}: {'; '.join(reason.text for reason in status.reasons)}"
    if accepted_names(read_record(step.record_path)):
        return "it was modified by hand and accepted: no run can make that again"
    if status.todo:
        return f"it may be made again first: {', '.join(status.waits_for)} is to be made"
    stack = flatten(step.requires())
    while stack:
        below = stack.pop()
        is_dropped = isinstance(below, ResultTask) and status_of(below).is_dropped
        if is_dropped and status_of(below).state == state.DONE:
            stack += flatten(below.requires())
        elif not all(one.exists() for one in flatten(below.output())):
            return f"it could not be made again: what {below} makes is not there"
    return ""


@registered("neuroluigi drop")
def drop(plan: Plan) -> list[RecordedResult]:
    """Remove the bytes of what was planned, and keep the records; return what was dropped, and add to what is left."""
    dropped = []
    for entry in plan.entries:
        try:
            with folder_lock(entry.path.parent):
                if _is_other(entry):
                    plan.left.append((entry.path, "it was made again meanwhile"))
                    continue
                # First the record: a file that is not there, and not dropped, is made again.
                write_json(entry.path, {**(entry.record or {}), "dropped": timestamp()})
                for path in entry.files:
                    remove_whole(path)
            dropped.append(entry)
        except OSError as error:
            plan.left.append((entry.path, f"can't be dropped: {error}"))
    return dropped


@registered("neuroluigi accept")
def accept(root: luigi.Task, name: str, reason: str) -> Path:
    """Make the run record describe a modified file or folder, with who accepted it, when and why; return its path.

    Raises RunStopped for a file that is not modified, and for one that the next run would replace all the same.
    """
    if not reason.strip():
        raise RunStopped("neuroluigi: --reason is blank; say why, for those who read the record later")
    path, step = _find_made(root, name)
    if why := why_not_written(step.record_path, [path]):
        raise RunStopped(f"neuroluigi: {path} can't be accepted: {why}")
    status = status_of(step)
    is_shortened = status.state == state.DAMAGED and _is_whole(step, path)
    if status.state != state.MODIFIED and not is_shortened:
        reasons = "".join(f": {one.text}" for one in status.reasons[:1])
        aside = "".join(f"; {_how_to_take(one, path)}" for one in put_aside(path)[-1:])
        raise RunStopped(f"neuroluigi: {path} is not modified, its state is: {status.state}{reasons}{aside}")
    with writing(step.record_path.parent), folder_lock(step.record_path.parent):
        old = read_record(step.record_path) or {}
        new = {located(one): one for one in old.get("outputs", ())}
        described = describe(path, roots_of_paths(), ignore=new.get(path, {}).get("ignore", ()))
        if path not in new or new[path]["sha256"] == described["sha256"]:
            raise RunStopped(f"neuroluigi: {path} is not modified: it is as recorded; another file of the step is not")
        new[path] = described
        # It can't be made again.
        sync(path)
        by = {"path": described["path"], "by": describe_host(), "at": timestamp(), "reason": reason}
        accepted = [*old.get("accepted", ()), by]
        write_json(step.record_path, {**old, "outputs": list(new.values()), "accepted": accepted})
        discard_statuses()
        status = status_of(step)
        # As long as its state was modified, no run replaced it.
        if status.todo == state.MAKE:
            write_json(step.record_path, old)
            reasons = "; ".join(one.text for one in status.reasons)
            raise RunStopped(
                f"neuroluigi: {path} can't be accepted: the next run would replace it, as it is {status.state}"
                f" ({reasons}); give the settings that it is for"
            )
        if path.is_dir():
            _accept_files(path, step.record_path, new[path].get("ignore", ()))
    return path


def _accept_files(folder: Path, record_path: Path, ignore: Sequence[str]) -> None:
    """Make the manifest beside a run record describe the files that are in a folder."""
    path, above = record_path.with_suffix(".sha256"), f"{name_in_manifest(folder, record_path)}/"
    others = {name: sha256 for name, sha256 in read_manifest(path).items() if not name.startswith(above)}
    write_manifest(path, others | {above + name: sha256 for name, sha256 in manifest(folder, ignore).items()})


def _is_whole(step: ResultTask, path: Path) -> bool:
    """Whether a file can be read as what it should be, if shorter than it was."""
    try:
        for one in flatten(step.output()):
            if Path(one.path) == path:
                one.check(path)
    except Exception:
        # Labs write checks of their own, and these may stumble over anything.
        return False
    return True


def _find_made(root: luigi.Task, name: str) -> tuple[Path, ResultTask]:
    """Return the path of a file of a step, and the step; relative to the current folder or to the one of results."""
    candidates = [Path(os.path.abspath(folder / name)) for folder in (Path.cwd(), results_root())]  # noqa: PTH100
    there = [path for path in candidates if path.exists()]
    aside = [one for path in candidates for one in put_aside(path)[-1:]]
    if not there:
        where = f"neither in {Path.cwd()} nor in {results_root()}"
        more = f"; {_how_to_take(aside[0], original_of(aside[0]))}" if aside else ""
        raise RunStopped(f"neuroluigi: {name} is not there, {where}{more}")
    steps = {Path(one.path): step for step in planned_steps(root).values() for one in flatten(step.output())}
    for path in there:
        if path in steps:
            return path, steps[path]
        if above := next((one for one in path.parents if one in steps), None):
            raise RunStopped(f"neuroluigi: {path} is a part of the result {above}: accept that")
        if (original := original_of(path)) in steps:
            raise RunStopped(f"neuroluigi: {path} is no result: {_how_to_take(path, original)}")
    raise RunStopped(f"neuroluigi: {there[0]} is of no step below {root.task_family}; see neuroluigi --task")


def _how_to_take(aside: Path, path: Path | None) -> str:
    """Return where a file is that was put aside, and how it becomes the result after all."""
    there = path or aside
    move = f"mv {shlex.join([shown_path(aside), shown_path(there)])}"
    if there.is_dir():
        # mv would move it into the other folder.
        move = f"rm -r {shlex.quote(shown_path(there))} && {move}"
    what = aside.name.removeprefix(there.name).lstrip(".").partition("-")[0]
    return (
        f"{shown_path(aside)} was put aside as {what} when {shown_path(there)} was made again; if it is right, move it"
        f" there ({move}) and accept that"
    )
