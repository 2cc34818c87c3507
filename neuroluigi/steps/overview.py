"""All statuses of a study of many groups, some groups at a time: what was told of these is forgotten for the next ones.

A plan keeps all tasks, with all that is known of each: 25 KB for a group of four results. Where nothing has to be known
of all groups together, this finds the same with a fraction of that, in less time.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import luigi
from luigi.task_register import Register

from neuroluigi.provenance import state
from neuroluigi.steps.clashes import name_on_any_disk
from neuroluigi.steps.discovery import one_look
from neuroluigi.steps.long_names import refuse_long_names
from neuroluigi.steps.parameters import is_secret
from neuroluigi.steps.plan import Plan, check_below, directly_below, plan_of_run, use_plan
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.target import ResultFolder, ResultTarget, local_path
from neuroluigi.steps.tasks import GroupTask, RecordingTask
from neuroluigi.steps.two_processes import by_two, is_worth_sharing
from neuroluigi.steps.variants import in_command

Entry = TypeVar("Entry")

# So many tasks right below the root are planned together; those of one group follow each other.
_TOGETHER = 200
# A step that requires more is one over all groups.
_MOST_REQUIRED = 1_000


class PlannedFiles:
    """Which files and run records the tasks of today have: the hashes of their paths, as there may be a million.

    The lock of a folder is among the files.
    """

    def __init__(self) -> None:
        self.outputs: set[int] = set()
        self.records: set[int] = set()

    def note(self, targets: Iterable[object]) -> None:
        """Note the targets of a task."""
        for one in targets:
            if path := local_path(one):
                self.outputs.add(hash(path))
            if isinstance(one, ResultTarget) and one.record:
                self.records.add(hash(one.record))
                # The lock of its folder.
                self.outputs.add(hash(os.path.join(os.path.dirname(one.record), ".lock")))  # noqa: PTH118, PTH120

    def update(self, other: "PlannedFiles") -> None:
        """Note what another one has."""
        self.outputs |= other.outputs
        self.records |= other.records


class _KnownTogetherError(Exception):
    """Something has to be known of all groups together."""


class _Overview(Generic[Entry]):
    """What was told of the tasks, and which files are theirs. Tasks and names of files are hashes, too.

    The names are paths as disks know them that ignore case: no two tasks may have the same one.
    """

    def __init__(self) -> None:
        self.files = PlannedFiles()
        # By task: its entry, and the names of its files.
        self.told: dict[int, tuple[Entry | None, tuple[int, ...]]] = {}
        self._names: set[int] = set()

    def note(self, task: int, entry: Entry | None, names: tuple[int, ...]) -> None:
        """Note what is told of a task. Raises _KnownTogetherError where another one has a file of the same name."""
        if task not in self.told:
            if not self._names.isdisjoint(names):
                raise _KnownTogetherError
            self._names.update(names)
            self.told[task] = entry, names

    def entries(self) -> list[Entry]:
        """Return the entries, in order."""
        return [entry for entry, _ in self.told.values() if entry is not None]


@one_look()
def overview(
    root: luigi.Task, tell: Callable[[luigi.Task, state.Status], Entry | None]
) -> tuple[list[Entry], PlannedFiles] | None:
    """Return what tell() says of each task below one with its status, in the order of walk_tasks(), and their files.

    None for few groups, and where something has to be known of several together, such as whether a step over all groups
    needs what was dropped, or where something is wrong with the whole: who plans it together then, finds it.
    """
    plan = plan_of_run()
    units = directly_below(root, plan)
    is_of_groups = all(isinstance(one, (GroupTask, RecordingTask)) for one in units)
    if not (is_worth_sharing(units) and is_of_groups and isinstance(root, luigi.WrapperTask)) or in_command():
        return None
    plan.forget()

    def look(some: Iterable[luigi.Task]) -> tuple[_Overview[Entry], dict[str, bytes]]:
        use_plan(plan)
        found = _Overview[Entry]()
        for batch in _batches(some):
            _tell(batch, plan, tell, found)
        return found, plan.index.found

    try:
        (found, _), second = by_two(units, look)
        if second is None:
            return None
        for task, known in second[0].told.items():
            found.note(task, *known)
        found.files.update(second[0].files)
    except _KnownTogetherError:
        return None
    finally:
        plan.forget()
    plan.index.found.update(second[1])
    plan.index.save()
    return found.entries(), found.files


def _batches(units: Iterable[luigi.Task]) -> Iterator[list[luigi.Task]]:
    units = iter(units)
    while batch := list(itertools.islice(units, _TOGETHER)):
        yield batch


def _tell(
    units: list[luigi.Task],
    plan: Plan,
    tell: Callable[[luigi.Task, state.Status], Entry | None],
    found: _Overview[Entry],
) -> None:
    """Plan some tasks and all below them, note what is told of each, and forget them."""
    for one in units:
        check_below(one)
    tasks = _all_below(units, plan)
    refuse_long_names(tasks, plan.outputs)
    for task in tasks:
        status, targets = plan.statuses[task.task_id], plan.outputs[task.task_id]
        if status.is_dropped or _needs_all(task, plan):
            raise _KnownTogetherError
        found.files.note(targets)
        found.note(hash(task.task_id), tell(task, status), _names_of(task, targets))
    plan.forget()
    Register.clear_instance_cache()


def _names_of(task: luigi.Task, targets: list) -> tuple[int, ...]:
    """Return the names of the files that a task makes; _KnownTogetherError where two of them have the same one."""
    if not isinstance(task, ResultTask):
        return ()
    paths = {path for one in targets for path in (one.path, one.record)}
    names = {hash(name_on_any_disk(path)) for path in paths}
    if len(names) < len(paths):
        raise _KnownTogetherError
    # A set takes three times as much, and there are hundreds of thousands.
    return tuple(names)


def _all_below(units: Iterable[luigi.Task], plan: Plan) -> list[luigi.Task]:
    """Return tasks and all below them, each after those that it requires."""
    known: dict[str, luigi.Task] = {}
    stack = list(units)
    while stack:
        current = stack.pop()
        if current.task_id not in known:
            known[current.task_id] = current
            stack += plan.below[current.task_id]
    return [known[one] for one in plan.statuses]


def _needs_all(task: luigi.Task, plan: Plan) -> bool:
    """Return whether all of the study has to be known for a task: it may clash with, or requires, any other."""
    if any(isinstance(one, ResultFolder) for one in plan.outputs[task.task_id]):
        # In which another task may have a file.
        return True
    has_secrets = any(one.significant and is_secret(one) for _, one in task.get_params())
    return has_secrets or len(plan.below[task.task_id]) > _MOST_REQUIRED
