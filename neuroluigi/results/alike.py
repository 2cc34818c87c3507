"""What is wrong in several groups for one cause, said once: the first in full, and how many there are.

Two texts are alike where they differ only in the names of their groups: keys, paths, and rows of the table.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath

from neuroluigi.recordings.recording import Group

# Of the groups the first ones are named.
_MOST_NAMED = 5


def names_in(group: Group | None) -> re.Pattern[str]:
    """Return what texts on a group call it and its recordings, as whole words; of no group, what matches nothing."""
    listed = (*group.recordings, *group.excluded) if group else ()
    # A recording has several files, which differ in their extension.
    paths = (str(PurePath(path).with_suffix("")) for one in listed for path in (one.path, one.name) if path)
    names = {group.key if group else "", *(one.origin for one in listed), *paths}
    # One letter may be a word of the text.
    names = {name for name in names if len(name) > 1}
    any_of_them = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{any_of_them})(?!\w)" if names else "(?!)")


def problem_lines(groups: Mapping[str, Group], keys: Collection[str] | None = None) -> list[str]:
    """Return a line for each cause of problems in the groups, of those with the keys alone where these are given."""
    of_cause: dict[str, list[tuple[str, str]]] = {}
    for key, group in groups.items():
        if group.problems and (keys is None or key in keys):
            names = names_in(group)
            for text in group.problems:
                of_cause.setdefault(names.sub("…", text), []).append((key, text))
    return [_line(found) for found in of_cause.values()]


def _line(found: Sequence[tuple[str, str]]) -> str:
    (first, text), keys = found[0], dict.fromkeys(key for key, _ in found)
    if len(found) == 1:
        return f"problem in {first}: {text}"
    where = first if len(keys) == 1 else f"{len(keys)} groups ({some(list(keys))})"
    count = f"{len(found)} problems" if len(found) > len(keys) else "the same problem"
    return f"{count} in {where}, the first: {text}"


def some(names: Sequence[str], between: str = ", ") -> str:
    """Return the names, of many the first."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return between.join(names[:_MOST_NAMED]) + more
