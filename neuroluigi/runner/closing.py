"""The lines at the end of a run: what was made, failed, or was left as it is; last where the results are."""

import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import luigi
from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.state import Status
from neuroluigi.runner.worker import Worker
from neuroluigi.steps.config import results, setting, shown_path
from neuroluigi.steps.discovery import missing_folder
from neuroluigi.steps.plan import status_of, walk_tasks
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.target import local_path

_MOST_NAMED = 5
_PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Ending:
    """What there is at the end of a run; needs the command line, which Luigi forgets before the lines are printed.

    `undone` and `left_alone` are lines about results that are not simply done, `results` the files of the root task.
    `lacks_recordings`: results were left alone because the folder of all recordings is not there.
    """

    is_done: bool = False
    lacks_recordings: bool = False
    undone: Sequence[str] = ()
    left_alone: Sequence[str] = ()
    results: Sequence[Path] = ()


def ending(root: luigi.Task, statuses: Iterable[tuple[ResultTask, Status]], made: Container[str] = ()) -> Ending:
    """Return how a run of `root` ended: from the statuses of all results below it, and the ids of what it made."""
    others = [(step, status) for step, status in statuses if not status.is_simply_done]
    missing = any(status.state == state.INPUT_MISSING for _, status in others)
    folder = missing_folder() if missing else None
    left_alone = [*left_alone_lines(others, folder), *_lines_on_plain_tasks(root, made)]
    return Ending(status_of(root).is_complete, bool(folder), undone_lines(others), left_alone, _results_of(root))


def _lines_on_plain_tasks(root: luigi.Task, made: Container[str]) -> Iterator[str]:
    """Yield a line on tasks of Luigi's own that lack their output, and on those whose requirements are newer."""
    absent, older = [], []
    for task, status in walk_tasks(root):
        if isinstance(task, (ResultTask, CarriesSettings, luigi.WrapperTask)):
            continue
        if isinstance(task, luigi.ExternalTask):
            absent += [str(task)] if status.state == state.INPUT_MISSING else []
        elif status.state == state.DONE and task.task_id not in made:
            older += [str(task)] if any(one.task_id in made for one in task.deps()) else []
    if absent:
        yield f"Not there: {_some(absent)}. No run makes what an ExternalTask has."
    if older:
        yield (
            f"Older than what they require: {_some(older)}. A task of Luigi's own is done while its output is there;"
            " to have it made again, delete that."
        )


def closing_lines(worker: Worker, end: Ending, code: int, reasons: str) -> list[str]:
    """Return the lines to print for a run that ended with exit code `code`; `reasons` says where its errors are."""
    lines = [f"{what.capitalize()}: {_counted(counts)}." for what, counts in worker.outcomes.items() if counts]
    if worker.failed:
        lines.append(f"Failed: {_some(worker.failed)}.")
    elif code and not end.lacks_recordings:
        lines.append(f"Not everything could be made; the reasons {reasons}.")
    elif end.undone:
        lines += end.undone
    elif not lines:
        lines.append("Nothing to make." if end.left_alone else "Nothing to make: everything is there.")
    if worker.seconds:
        slowest = sorted(worker.seconds.items(), key=lambda one: -one[1])[:_MOST_NAMED]
        lines.append(f"Slowest: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in slowest)}.")
    lines += end.left_alone
    if end.results:
        lines.append(line_on_files(end.results))
    return lines


def _results_of(root: luigi.Task) -> list[Path]:
    """Return the existing files of a task, or of those that it wraps."""
    tasks = root.deps() if isinstance(root, luigi.WrapperTask) else [root]
    paths = (local_path(one) for task in tasks for one in flatten(task.output()))
    return [Path(path) for path in paths if path and os.path.exists(path)]  # noqa: PTH110 (there are thousands)


def _some(names: Sequence[str], sign: str = ", ") -> str:
    """Return the names, of many the first."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return sign.join(names[:_MOST_NAMED]) + more


def _counted(counts: Counter) -> str:
    return ", ".join(f"{count} {family}" for family, count in sorted(counts.items()))


def undone_lines(statuses: Iterable[tuple[ResultTask, Status]]) -> list[str]:
    """Return a line if something is to be made though a run just ended: inputs changed while others were made."""
    changed = Counter(
        f"{step.task_family}: {'; '.join(reason.text for reason in status.reasons)}"
        for step, status in statuses
        if status.todo == state.MAKE
    )
    if not changed:
        return []
    why = "; ".join(f"{count} {text}" for text, count in sorted(changed.items()))
    return [f"Changed during the run: {changed.total()} results ({why}). Run the same command again to make them."]


def left_alone_lines(statuses: Iterable[tuple[ResultTask, Status]], folder: Path | None = None) -> list[str]:
    """Return a line for each way in which results that were not made again are not simply done.

    `folder` is that of the recordings, where it is not there.
    """
    code_changed: Counter[str] = Counter()
    kinds: set[str] = set()
    missing: Counter[str] = Counter()
    modified: list[str] = []
    untracked: Counter[str] = Counter()
    for step, status in statuses:
        if status.state == state.CODE_CHANGED:
            code_changed[f"{step.task_family}: {'; '.join(reason.text for reason in status.reasons)}"] += 1
            kinds |= {reason.kind for reason in status.reasons}
        elif status.state == state.MODIFIED:
            modified += [shown_path(Path(one.path)) for one in flatten(step.output())]
        elif status.state == state.INPUT_MISSING:
            missing["; ".join(reason.text for reason in status.reasons)] += 1
        elif status.state == state.UNTRACKED:
            untracked[step.task_family] += 1
    lines = []
    if code_changed:
        rerun_on = ",".join([*setting(results).rerun_on, *sorted(kinds - set(setting(results).rerun_on))])
        why = "; ".join(f"{count} {text}" for text, count in sorted(code_changed.items()))
        lines.append(
            f"Code changed, left as they are: {code_changed.total()} ({why})."
            f" To remake them: --results-rerun-on {rerun_on}"
        )
    if modified:
        lines.append(f"Modified by hand, taken as done: {_some(modified)}. To have one remade, delete it.")
    if missing and folder:
        lines.append(
            f"Left alone: {missing.total()} results, as the folder of the recordings, {folder}, is not"
            " there: correct [recordings] root (--recordings-root), or have its disk mounted"
        )
    elif missing:
        lines.append(
            f"Left alone: {missing.total()} results whose inputs are missing ({_some(sorted(missing), '; ')})."
            " To make them from what is left: --recordings-allow-missing true"
        )
    if untracked:
        lines.append(f"Untracked (without a run record), taken as done: {_counted(untracked)}.")
    return lines


def line_on_files(paths: Sequence[Path]) -> str:
    """Return a line on files: how many there are, and where; of several kinds, with the pictures, which are opened."""
    pictures = [path for path in paths if path.suffix in _PICTURES]
    if len({path.name for path in paths}) > 1 and len(pictures) not in (0, len(paths)):
        what = "pictures" if len(pictures) > 1 else "a picture"
        return f"{len(paths)} results, {len(pictures)} of them {what}: {shared_pattern(pictures)}"
    return f"{count_of_files(paths)}: {shared_pattern(paths)}"


def count_of_files(paths: Sequence[Path]) -> str:
    """Return the number of files and what they are by their names, such as "10 plots"."""
    stem, *others = {path.stem for path in paths}
    what = "picture" if all(path.suffix in _PICTURES for path in paths) else "result"
    is_plural = len(paths) > 1
    # One trials.csv is not one trial.
    what = what if others or (stem.endswith("s") and not is_plural) else stem
    return f"{len(paths)} {what}{'s' if is_plural and not what.endswith('s') else ''}"


def shared_pattern(paths: Sequence[Path]) -> str:
    """Return the one path, or the pattern that all paths share."""
    if len(paths) == 1:
        return shown_path(paths[0])
    top = Path(os.path.commonpath(paths))
    depths = {len(path.relative_to(top).parts) for path in paths}
    names, ends = {path.name for path in paths}, {path.suffix for path in paths}
    end = ends.pop() if len(ends) == 1 else ""
    begin = os.path.commonprefix([name.removesuffix(end) for name in names])  # noqa: RUF071 (of names, not of folders)
    name = names.pop() if len(names) == 1 else f"{begin}*{end}"
    middle = ["*"] * (depths.pop() - 1) if len(depths) == 1 else ["**"]
    return shown_path(top.joinpath(*middle, name))
