"""Which group a task belongs to: by its parameters, by its recording, or by all that it requires."""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import luigi
from luigi.task import flatten

from neuroluigi.steps.config import results_root
from neuroluigi.steps.discovery import groups

# What rests on no group, and what rests on more than one; no group has such a name.
NO_GROUP, SEVERAL = "", "/"


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
