"""Names that a disk can't hold are refused before anything is made: while it is written, a file has a longer one."""

import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import luigi

from neuroluigi.provenance.parts import ADDED_BYTES
from neuroluigi.steps.config import RunStopped, roots_of_paths
from neuroluigi.steps.result_task import ResultTask

# Of all that lies beside a record, the progress has the longest name.
_ADDED_TO_RECORD = ADDED_BYTES + len(".progress")


def refuse_long_names(tasks: Iterable[luigi.Task], outputs: Mapping[str, list]) -> None:
    """Raise RunStopped for a file, folder or run record whose name is too long, or will be while it is written.

    `outputs` are the targets of the tasks that make results, by the id of the task.
    """
    limit = min(map(_longest_name_in, roots_of_paths().values()))
    for task in tasks:
        if not isinstance(task, ResultTask):
            continue
        record, folder = str(task.record_path), str(task.record_path.parent.parent)
        names = [(one.path, ADDED_BYTES) for one in outputs[task.task_id]]
        for path, added in (*names, (record, _ADDED_TO_RECORD), (folder, 0)):
            size = _size(os.path.basename(path))  # noqa: PTH119 (there may be hundreds of thousands)
            if size + added > limit:
                raise RunStopped(
                    f"luigi: {task} can't be made: the name of {path} has {size} bytes, {size + added - limit} more"
                    f" than fit: a name may have {limit} on this disk, {added} of them for what is added while it is"
                    " written; shorten the values in it"
                )


def _size(name: str) -> int:
    # Windows counts what UTF-16 has of two bytes.
    return len(name.encode("utf-16-le", "surrogatepass")) // 2 if os.name == "nt" else len(os.fsencode(name))


@functools.lru_cache
def _longest_name_in(folder: Path) -> int:
    """Return how many bytes a name may have in a folder, which may not be there yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    except (OSError, ValueError):
        return 255
