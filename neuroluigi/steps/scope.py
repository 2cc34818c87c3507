"""Which group a task belongs to: by its parameters, by its recording, or by all that it requires."""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import luigi
from luigi.task import flatten

from neuroluigi.steps.config import results_root
from neuroluigi.steps.discovery import groups, groups_of_sessions
from neuroluigi.steps.tasks import SESSIONS, GroupTask, SessionTask, StudyTask
from neuroluigi.steps.variants import declared, folder_of

# The group of a task that depends on no group, or on more than one; no group has such a key.
NO_GROUP, SEVERAL = "", "/"


def recording_of(task: luigi.Task) -> tuple | None:
    """Return the identity of the recording that a task is for (see Recording.identity); None for any other task."""
    values = task.param_kwargs
    # A step for groups, for a session or for the study may have parameters of any name.
    if isinstance(task, (GroupTask, SessionTask, StudyTask)) or not {"session", "index"} <= values.keys():
        return None
    return values["session"], values["index"], values.get("group", "")


def group_of(task: luigi.Task, of_recording: Mapping[tuple, str]) -> str:
    """Return the group that a task is for, itself or by its recording; "" for none."""
    if identity := recording_of(task):
        return of_recording.get(identity, NO_GROUP)
    return NO_GROUP if isinstance(task, (SessionTask, StudyTask)) else task.param_kwargs.get("group", NO_GROUP)


def groups_of_recordings() -> dict[tuple, str]:
    """Return the key of the group of each recording, by Recording.identity."""
    return {one.identity: key for key, group in groups().items() for one in group.recordings}


def folders_of_groups() -> dict[Path, str]:
    """Return the group of each folder of results of today's recordings and variants; "" for sessions and the study."""
    today, root = groups(), results_root()
    of_recordings = {
        root / "recordings" / one.session / str(one.index) / one.group: key
        for key, group in today.items()
        for one in group.recordings
    }
    of_sessions = {root / SESSIONS / session: NO_GROUP for session in groups_of_sessions()}
    base = {root / "study": NO_GROUP, **of_sessions, **of_recordings, **{root / key: key for key in today}}
    return {folder_of(folder, one): key for one in ("", *declared()) for folder, key in base.items()}


def owners(root: luigi.Task, within: Container[str] | None = None) -> Iterator[tuple[luigi.Task, str]]:
    """Yield a task and all below it, each after what it requires, with the one group that it depends on.

    NO_GROUP or SEVERAL where it is not one. With `within`, what tasks of other groups require is left out.
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
            # A task that requires itself is entered already; the plan reports it.
            waiting = [one for one in below if one.task_id not in found and one.task_id not in entered]
            if waiting:
                stack += waiting
                continue
        depends_on = {group, *(found.get(one.task_id, NO_GROUP) for one in below)} - {NO_GROUP}
        found[current.task_id] = depends_on.pop() if len(depends_on) == 1 else SEVERAL if depends_on else NO_GROUP
        yield current, found[current.task_id]
        stack.pop()
