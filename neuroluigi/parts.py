"""The part of a pipeline that rests on some groups alone, for runs side by side on several machines.

    luigi --module tasks neuroluigi.Part --of PlotAll --groups '["a-even", "b-odd"]' --local-scheduler

It selects work, not recordings: every result means what it means in a run of the whole, so that runs of several parts,
and one of the whole, may go on at the same time. A step over several groups is of no part.
"""

import functools
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import luigi
from luigi.task import flatten
from luigi.task_register import Register

from neuroluigi.settings import RunStopped, groups, results_root
from neuroluigi.task import WrapperTask

# What rests on no group, and what rests on more than one; no group has such a name.
NO_GROUP, SEVERAL = "", "/"


class Part(WrapperTask):
    """All that a task needs and that rests on these groups alone."""

    # A pipeline may have a Part of its own.
    task_namespace = "neuroluigi"

    of = luigi.Parameter(default="PlotAll", description="the task that stands for the whole pipeline")
    groups = luigi.ListParameter(description='keys of groups, as JSON: ["a-even", "b-odd"]')

    def requires(self):
        return self._last_steps

    @functools.cached_property
    def _last_steps(self) -> list[luigi.Task]:
        known = groups()
        if unknown := [name for name in self.groups if name not in known]:
            raise RunStopped(f"luigi: there is no group {unknown[0]!r}; the groups are: {', '.join(known)}")
        root = Register.get_task_cls(self.of)()
        part = [one for one, owner in owners(root, set(self.groups)) if owner in self.groups]
        below = {one.task_id for above in part for one in flatten(above.requires())}
        return [one for one in part if one.task_id not in below]


def group_of(task: luigi.Task, of_recording: Mapping[tuple, str]) -> str:
    """Return the group that a task is for, itself or by its recording; "" for none."""
    values = task.param_kwargs
    if "session" in values and "index" in values:
        return of_recording.get((values["session"], values["index"], values.get("group", "")), "")
    return values.get("group", "")


def groups_of_recordings() -> dict[tuple, str]:
    """Return the group of each recording, by what tells it from every other one."""
    return {one.identity: key for key, group in groups().items() for one in group.recordings}


def folders_of_groups() -> dict[Path, str]:
    """Return the group of every folder of results of today; "" for the one of all groups."""
    today, root = groups(), results_root()
    of_recordings = {
        root / "recordings" / one.session / str(one.index) / one.group: key
        for key, group in today.items()
        for one in group.recordings
    }
    return {root / "study": "", **of_recordings, **{root / key: key for key in today}}


def owners(root: luigi.Task, within: Container[str] | None = None) -> Iterator[tuple[luigi.Task, str]]:
    """Yield a task and all that it needs, each after what it needs itself, and the group that it rests on alone.

    That is NO_GROUP or SEVERAL where it is not one. Where `within` names groups, what tasks of others need is left out.
    """
    known, of_recording = groups(), groups_of_recordings()
    found: dict[str, str] = {}
    entered: set[str] = set()
    stack = [root]
    while stack:
        current = stack[-1]
        if current.task_id in found:
            stack.pop()
            continue
        group = group_of(current, of_recording)
        group = group if group in known else NO_GROUP
        is_foreign = within is not None and group != NO_GROUP and group not in within
        below = [] if is_foreign else flatten(current.requires())
        if current.task_id not in entered:
            entered.add(current.task_id)
            # One that requires itself is entered already; a look says so.
            waiting = [one for one in below if one.task_id not in found and one.task_id not in entered]
            if waiting:
                stack += waiting
                continue
        rests_on = {group, *(found.get(one.task_id, NO_GROUP) for one in below)} - {NO_GROUP}
        found[current.task_id] = rests_on.pop() if len(rests_on) == 1 else SEVERAL if rests_on else NO_GROUP
        yield current, found[current.task_id]
        stack.pop()
