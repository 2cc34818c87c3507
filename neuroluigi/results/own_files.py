"""Which files among the results are ours: those that a step of today or a run record names, and what lies beside them.

All others were left there by people and programs: copies in conflict, what a file browser or an editor leaves.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import luigi
from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.checksums import FolderListings
from neuroluigi.provenance.code_facts import FACTS_FILE
from neuroluigi.provenance.commit import pending_path
from neuroluigi.provenance.parts import is_part
from neuroluigi.provenance.record import sibling_path
from neuroluigi.provenance.run_record import read_run_record, run_log_path, run_record_path
from neuroluigi.provenance.secret_values import KEY_FILE
from neuroluigi.provenance.state_index import INDEX_FILE
from neuroluigi.recordings.groups import split_row
from neuroluigi.results.recorded import (
    TRACES,
    record_paths,
    recorded_result,
)
from neuroluigi.results.status import DROPPED, FAILED, ResultStatus
from neuroluigi.steps.config import recordings, recordings_root, results_root, setting
from neuroluigi.steps.overview import PlannedFiles
from neuroluigi.steps.plan import status_of, tasks_below
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.variants import folder_of, in_command

# Right in the folder of results: folders and files of runs, and what the commands write there.
_OF_RUNS = (
    *(".runs", ".seats", ".slurm", ".luigid", ".checksums.jsonl", KEY_FILE, INDEX_FILE, FACTS_FILE),
    *("report.html", "ro-crate-metadata.json"),
)
_ASIDE_SIGNS = (".damaged", ".accepted")
_ASIDE = re.compile(r"(?P<name>.+)\.(damaged|accepted)(-\d+)?", re.DOTALL)


@dataclass(frozen=True)
class OwnFile:
    """A file of results. `hidden` is the state for which what is in it is not shown, "" where it is shown.

    `in_counts` are the values in it that are in counts, `shown` those that tables show; see ResultTarget.
    """

    path: Path
    hidden: str = ""
    in_counts: Mapping[str, str] = field(default_factory=dict)
    shown: Sequence[str] | None = None


def planned_steps(root: luigi.Task) -> dict[Path, ResultTask]:
    """Return today's steps by the paths of their records."""
    return {one.record_path: one for one in tasks_below(root) if isinstance(one, ResultTask)}


def planned_where_known(root: luigi.Task) -> dict[Path, ResultTask]:
    """Return today's steps by the paths of their records; none where they are not known."""
    # Results travel without the recordings, or the settings, that their pipeline needs.
    if setting(recordings).are_real() and not recordings_root().exists():
        return {}
    with contextlib.suppress(Exception):
        return planned_steps(root)
    return {}


def files_of_groups(
    root: luigi.Task, groups: Iterable[str], entries: Sequence[ResultStatus] | None = None
) -> dict[str, list[OwnFile]]:
    """Return the files of each group, there or not, in order: other kinds by name, then arrays.

    Behind each group come those of its variants (a-even@strict), if they have any of their own: these are in place of
    the files of the base of the same names, all others are those of the base.

    Where no `entries` say how all results stand, the status is computed of those alone that failed or are not there.
    """
    shown = None if entries is None else {one.record_path: one for one in entries}
    folders = FolderListings()
    names = ("", *in_command())
    found: dict[Path, dict[str, OwnFile]] = {
        folder_of(results_root() / key, variant): {} for key in groups for variant in names
    }
    steps = planned_steps(root)
    for record, step in steps.items():
        outputs = {Path(one.path): one for one in flatten(step.output())}
        ours = [path for path in outputs if path.parent in found]
        if ours:
            hidden = _hidden(step, list(outputs), folders) if shown is None else _hidden_by(shown[record])
            for path in ours:
                said = (getattr(outputs[path], "in_counts", {}), getattr(outputs[path], "shown", None))
                found[path.parent][path.name] = OwnFile(path, hidden, *said)
    for folder, files in found.items():
        for record in record_paths(folder / "runs"):
            recorded = None if record in steps else recorded_result(record)
            for path in recorded.outputs if recorded else ():
                if path.parent == folder:
                    files.setdefault(path.name, OwnFile(path))
    rows = {folder.name: files for folder, files in found.items()}
    return {
        key: _in_order({**rows[split_row(key)[0]], **files})
        for key, files in rows.items()
        if files or not split_row(key)[1]
    }


def _in_order(files: Mapping[str, OwnFile]) -> list[OwnFile]:
    return [files[name] for name in sorted(files, key=lambda name: (name.endswith(".npy"), name))]


def _hidden(step: ResultTask, paths: Sequence[Path], folders: FolderListings) -> str:
    """Return the state for which what is in the files of a step is not shown, asking only where there is one."""
    looked_for = (sibling_path(step.record_path, ".failed.json"), pending_path(step.record_path))
    if all(folders.have(os.fspath(path)) for path in paths) and not any(folders.have(str(path)) for path in looked_for):
        return ""
    return _hidden_by(ResultStatus("", step.task_family, step, status_of(step)))


def _hidden_by(entry: ResultStatus) -> str:
    status = entry.status
    if status.is_there and entry.shown_state not in (FAILED, state.DAMAGED):
        return ""
    return DROPPED if status.is_dropped and not status.todo else entry.shown_state


def not_ours(planned: PlannedFiles) -> list[Path]:
    """Return all files among the results, and hidden folders, that neither a task of today nor a run record names."""
    top = results_root()
    run = read_run_record(top)
    of_run = (run_record_path(top), run_log_path(top), *([top / run["log"]] if run else []))
    known = PlannedFiles()
    known.update(planned)
    known.outputs.update(hash(os.fspath(path)) for path in (*of_run, *(top / name for name in _OF_RUNS)))
    left = _left_below(top, known)
    # What a record of another step names, or that of a step of today beside the files of today; only where something is
    # left is it read.
    folders = {folder for path in left for folder in Path(path).parents if folder.is_relative_to(top)}
    for record in (one for folder in folders for one in record_paths(folder / "runs")):
        is_planned = hash(os.fspath(record)) in planned.records
        if recorded := recorded_result(record, planned=[record] if is_planned else ()):
            known.outputs.update(hash(os.fspath(one)) for one in recorded.outputs)
            known.records.add(hash(os.fspath(record)))
    paths = map(Path, left)
    return [path for path in paths if not any(_is_ours(str(one), known) for one in (path, *path.parents))]


def _left_below(top: Path, known: PlannedFiles) -> list[str]:
    """Return the files below a folder that are not ours, and hidden folders and links as a whole, sorted."""
    left = list[str]()
    stack = [os.fspath(top)]
    while stack:
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as entries:
            for entry in entries:
                # What is in a folder that is a result, or is to be one or was, is a part of it.
                if not _is_ours(entry.path, known):
                    is_walked = entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
                    (stack if is_walked else left).append(entry.path)
    return sorted(left)


# What lies beside a run record, in place of its .json.
_BESIDE = (*TRACES, ".pending.json")


def _is_ours(path: str, known: PlannedFiles) -> bool:
    if hash(path) in known.outputs:
        return True
    if os.path.basename(os.path.dirname(path)) == "runs":  # noqa: PTH119, PTH120
        endings = [one for one in _BESIDE if path.endswith(one)]
        if any(hash(f"{path.removesuffix(one)}.json") in known.records for one in endings):
            return True
    return any(sign in path for sign in (".part-", *_ASIDE_SIGNS)) and _belongs_to(Path(path), known)


def _belongs_to(path: Path, known: PlannedFiles) -> bool:
    """Whether a file is temporary, or was put aside for one of ours."""
    original = original_of(path)
    # A group may be called like a temporary file: where there are records, it is a folder of results.
    is_temporary = is_part(path) and not (path / "runs").is_dir()
    return is_temporary or (original is not None and hash(os.fspath(original)) in known.outputs)


def put_aside(path: Path) -> list[Path]:
    """Return the files that were put aside when a file was made again: the accepted ones last, of each the latest."""
    beside = [
        one for one in path.parent.glob("*") if (found := _ASIDE.fullmatch(one.name)) and found["name"] == path.name
    ]
    return sorted(beside, key=lambda one: (".accepted" in one.name[len(path.name) :], len(one.name), one.name))


def original_of(aside: Path) -> Path | None:
    """Return the path that a file had before it was put aside; None for a file that was not."""
    found = _ASIDE.fullmatch(aside.name)
    return aside.with_name(found["name"]) if found else None
