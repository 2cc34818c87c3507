"""Tasks that can't be in one pipeline: what they would make can't be apart, or have its name."""

import itertools
import os
from collections.abc import Mapping

import luigi

from neuroluigi.recordings.recording import folder_identity
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.long_names import refuse_long_names
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.target import ResultFolder, ResultTarget

# Of tasks, by their ids: what is directly below each, and its targets.
Below = Mapping[str, list[luigi.Task]]
Outputs = Mapping[str, list]


def refuse_clashes(tasks: list[luigi.Task], below: Below, outputs: Outputs) -> None:
    """Raise RunStopped where what two tasks would make can't be apart, or have its name."""
    refuse_long_names(tasks, outputs)
    _refuse_twins(tasks, below)
    _refuse_same_files(tasks, outputs)
    _refuse_files_in_folders(tasks, outputs)


def _refuse_twins(tasks: list[luigi.Task], below: Below) -> None:
    """Raise RunStopped where two tasks differ in secret values alone: for Luigi they are one task."""
    known: dict[str, luigi.Task] = {}
    for one in itertools.chain(tasks, *(below[task.task_id] for task in tasks)):
        other = known.setdefault(one.task_id, one)
        names = [
            name
            for name, parameter in (one.get_params() if other is not one else ())
            if parameter.significant and one.param_kwargs[name] != other.param_kwargs[name]
        ]
        if names:
            raise RunStopped(
                f"luigi: two tasks {one} differ in what is secret alone, {', '.join(names)}, and would be one result;"
                " give them the same values, or another parameter in which they differ"
            )


def name_on_any_disk(path: str) -> str:
    """Return what two paths have in common that are one file on a disk that ignores case or normalises Unicode."""
    return path.lower() if path.isascii() else folder_identity(path)


def _refuse_same_files(tasks: list[luigi.Task], outputs: Outputs) -> None:
    """Raise RunStopped where two tasks would make the same file, or share a run record, on any kind of disk."""
    makers: dict[str, tuple[luigi.Task, str]] = {}
    for task in tasks:
        targets = outputs[task.task_id] if isinstance(task, ResultTask) else []
        paths = [one.path for one in targets]
        if len(paths) > len(set(paths)):
            twice = next(one for one in paths if paths.count(one) > 1)
            raise RunStopped(f"luigi: {task} makes {twice} twice; give its files different names")
        for path in dict.fromkeys((*paths, *(one.record for one in targets if isinstance(one, ResultTarget)))):
            other, others = makers.setdefault(name_on_any_disk(path), (task, path))
            if path != others:
                raise RunStopped(
                    f"luigi: {other} and {task} would make {others} and {path}, one file on a disk that ignores case or"
                    " normalises Unicode; give them names that differ in more than that"
                )
            if other.task_id == task.task_id:
                continue
            if path in paths:
                raise RunStopped(
                    f"luigi: {other} and {task} both make {path}; give them different files, or the same parameters"
                )
            raise RunStopped(
                f"luigi: {other} and {task} would share the run record {path}; name the parameters in which they"
                f" differ in {task.task_family}: filename_parameters = ('NAME',)"
            )


def _refuse_files_in_folders(tasks: list[luigi.Task], outputs: Outputs) -> None:
    """Raise RunStopped where a task would make a file within a folder that is one result."""
    makers = [(one, task) for task in tasks if isinstance(task, ResultTask) for one in outputs[task.task_id]]
    folders = {target.path: task for target, task in makers if isinstance(target, ResultFolder)}
    for target, task in makers if folders else ():
        for path in (target.path, getattr(target, "record", "")):
            above = path
            while (above := os.path.dirname(above)) not in ("", os.path.dirname(above)):
                if above in folders:
                    raise RunStopped(
                        f"luigi: {task} would write {path} into {above}, a folder that is one result of"
                        f" {folders[above]}; give them names beside each other"
                    )
