"""Group recordings by the values of their columns, and describe every problem of a group."""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from neuroluigi.recordings.concatenation import count_channels
from neuroluigi.recordings.formats.find import FORMATS
from neuroluigi.recordings.formats.library_process import one_process
from neuroluigi.recordings.formats.raw import checked
from neuroluigi.recordings.formats.reader import Channel, Part, RecordedFile
from neuroluigi.recordings.found import Headers
from neuroluigi.recordings.metadata import with_metadata
from neuroluigi.recordings.pattern import Row
from neuroluigi.recordings.recording import (
    RAW,
    Declaration,
    Group,
    Recording,
    RecordingsError,
    as_folder_name,
    check_folder_name,
    folder_identity,
)
from neuroluigi.recordings.seams import join
from neuroluigi.recordings.table import declared_rows, describe, made_rows, selected

# Recordings by their rows, and the files that were looked at for that.
Described = tuple[list[Recording], dict[str, tuple[int, int]]]
InParts = Callable[[Sequence[Row], Callable[[Iterable[Row]], Described]], Iterable[Described]]

# Between the key of a group and the name of a variant, in the names of folders of results.
VARIANT_SIGN = "@"

# Names in the folder of results that are not those of groups.
RESERVED_KEYS = (
    *("recordings", "sessions", "study", "runs"),
    *("run.json", "run.log", "report.html", "ro-crate-metadata.json"),
)

# What all recordings of a group have in common.
_ALIKE = ("dtype", "channels", "sampling_rate_hz", "scale", "offset", "unit")

# Of many problems of one kind the first ones are named.
_MOST_NAMED = 5


@one_process()
def find_groups(
    declaration: Declaration,
    made: Iterable[Mapping[str, str]] = (),
    notify: Callable[[str], object] = warnings.warn,
    in_parts: InParts = lambda rows, describe_rows: [describe_rows(rows)],
) -> dict[str, Group]:
    """Find all recordings and group them.

    `made` are rows (session, index, path) of recordings that the pipeline makes itself, used where neither root nor
    table is set. `notify` is called with a sentence for each kind of files that look like recordings and are left out,
    and for what is doubtful about recordings that are taken. `in_parts` has rows described, some of them elsewhere.
    Raises RecordingsError for errors that concern all groups; those of one are in its `problems`.
    """
    is_made = not (declaration.root or declaration.table)
    headers = Headers()
    rows = made_rows(list(made)) if is_made else declared_rows(declaration, headers, notify)
    if declaration.metadata:
        rows = with_metadata(rows, Path(declaration.metadata), notify)

    @one_process()
    def describe_rows(some: Iterable[Row]) -> Described:
        return [describe(row, origin, declaration, is_made, headers) for origin, row in some], checked

    chosen = selected(rows, declaration.select)
    recordings: list[Recording] = []
    # What many headers said takes longer to send than the rows take that these have already described.
    for described, seen in in_parts(chosen, describe_rows) if headers.are_unread else [describe_rows(chosen)]:
        recordings += described
        checked.update(seen)
    # The streams of a folder have some in common.
    for warning in dict.fromkeys(w for r in recordings if r.recorded for w in r.recorded.warnings):
        notify(warning)
    return _group(recordings, declaration)


def _group_by(recording: Recording, declaration: Declaration) -> tuple[str, ...]:
    """Return the columns by whose values a recording is grouped."""
    if declaration.group_by:
        return declaration.group_by
    format = FORMATS.get(recording.columns.get("format", ""))
    # A table need not have all columns of a format.
    return tuple(one for one in format.GROUP_BY if one in recording.columns) if format else ("session",)


def _group(recordings: list[Recording], declaration: Declaration) -> dict[str, Group]:
    members: dict[tuple[tuple[str, str], ...], list[Recording]] = {}
    for recording in recordings:
        columns = _group_by(recording, declaration)
        for column in columns:
            if column not in recording.columns:
                raise RecordingsError(
                    f"[recordings] group_by = {', '.join(columns)}: {recording.origin} has no column"
                    f" {column}; its columns are: {', '.join(recording.columns)}"
                )
        members.setdefault(tuple((column, recording.columns[column]) for column in columns), []).append(recording)
    groups: dict[str, Group] = {}
    key_of: dict[str, str] = {}
    for values, rows in members.items():
        named = ", ".join(f"{c}={v}" for c, v in values)
        key = _key(values, rows[0])
        check_folder_name(key, f"group {named}")
        if VARIANT_SIGN in key:
            raise RecordingsError(
                f"group {named}: its key has a {VARIANT_SIGN}, behind which folders of results have the name of a"
                " variant; change [recordings] group_by or the names"
            )
        if folder_identity(key) in RESERVED_KEYS:
            raise RecordingsError(f"group {named}: in the folder of results, {key} is kept for what is not a group's")
        if other := groups.get(key_of.setdefault(folder_identity(key), key)):
            declared = ", ".join(f"{c}={v}" for c, v in other.values.items())
            raise RecordingsError(
                f"two groups have the {_clash('key', key, other.key)}: {declared} ({other.recordings[0].origin}) and"
                f" {named} ({rows[0].origin}); change [recordings] group_by or the names"
            )
        used = sorted(
            (r for r in rows if r.columns["use"] == "yes"), key=lambda r: (r.session, r.index is None, r.index)
        )
        if used:
            problems = [p for r in used for p in r.problems]
            # There is nothing to compare one recording with.
            if used[1:]:
                problems += _processed_twice(used) or _duplicates(used)
                problems = problems or [*_listed_twice(used), *_differences(used), *_covered(used)]
            groups[key] = Group(
                key=key,
                values=dict(values),
                recordings=tuple(used),
                excluded=tuple(r for r in rows if r.columns["use"] == "no"),
                problems=_first(problems),
            )
    if not groups:
        raise RecordingsError("every recording is left out by use = no; there is nothing to analyse")
    _check_sessions(groups)
    return _distinguished(groups)


def split_row(row: str) -> tuple[str, str]:
    """Return the group and the variant ("" for the base) of a row of results, such as a-even@strict."""
    key, _, variant = row.partition(VARIANT_SIGN)
    return key, variant


def _key(values: tuple[tuple[str, str], ...], first: Recording) -> str:
    """Return the key of a group. Raises RecordingsError for a value that can't be part of a folder's name."""
    if first.columns.get("format", "") in FORMATS:
        # Not every header fills every column, and people have named no stream for folders.
        return "-".join(as_folder_name(value).replace(VARIANT_SIGN, "_") for _, value in values if value)
    for column, value in values:
        if not value and first.problems:
            raise RecordingsError(f"{first.problems[0]}; so its group is not known")
        check_folder_name(value, f"{first.origin}, column {column}")
    return "-".join(value for _, value in values)


def _clash(what: str, name: str, other: str) -> str:
    """Return how two names, or one, are the same folder."""
    if name == other:
        return f"{what} {name}"
    return f"same folder for the {what}s {other!r} and {name!r} where case or the form of Unicode does not count"


def _check_sessions(groups: Mapping[str, Group]) -> None:
    """Raise RecordingsError where two sessions would share a folder of results, which steps per recording have."""
    first: dict[str, Recording] = {}
    for group in groups.values():
        for recording in group.recordings:
            other = first.setdefault(folder_identity(recording.session), recording)
            if other.session != recording.session:
                raise RecordingsError(
                    f"two sessions have the {_clash('session', recording.session, other.session)}: {other.origin} and"
                    f" {recording.origin}; change the names"
                )


def groups_of_concatenations(layouts: Mapping[str, Mapping], declaration: Declaration) -> dict[str, Group]:
    """Return groups by key from the concatenations that were recorded, for when their recordings can't be found."""
    groups = {}
    for key, layout in layouts.items():
        recordings = tuple(
            Recording(
                session=row["session"],
                index=row["index"],
                path=os.path.abspath(os.path.join(declaration.folder, row["path"])),
                name=row["path"],
                dtype=layout["dtype"],
                channels=count_channels(layout),
                sampling_rate_hz=layout.get("sampling_rate_hz"),
                header_bytes=declaration.header_bytes,
                scale=layout.get("scale"),
                offset=layout.get("offset"),
                unit=layout.get("unit", ""),
                sha256="",
                columns={**{name: str(row[name]) for name in ("session", "index", "path")}, "use": "yes"},
                origin=f"the run record of {key}",
                recorded=_recorded(layout, row, os.path.abspath(os.path.join(declaration.folder, row["path"]))),
                is_encoded=row.get("is_encoded", False),
            )
            for row in layout["recordings"]
        )
        groups[key] = Group(key=key, values={}, recordings=recordings, excluded=(), problems=())
    return _distinguished(groups)


def _recorded(layout: Mapping, row: Mapping, path: str) -> RecordedFile | None:
    """Return what the header of a recording said, as far as a concatenation has it; None where there was none."""
    if not isinstance(layout["channels"], list):
        return None
    samples = row["samples"] + row.get("dropped_samples", 0)
    return RecordedFile(
        # Of what was copied into one file no header is needed, nor known of.
        format="" if "parts" in layout else RAW,
        path=path,
        columns={},
        dtype=layout["dtype"],
        sampling_rate_hz=layout.get("sampling_rate_hz"),
        samples=samples,
        parts=(Part(path, 0, samples),),
        channels=tuple(Channel(**{"name": "", **one}) for one in layout["channels"]),
    )


def check_apart(groups: Mapping[str, Group], results: Path) -> None:
    """Raise RecordingsError if the files of a group would be written among recordings."""
    folder = f"{results}{os.sep}"
    for group in groups.values():
        for recording in group.recordings:
            if recording.path.startswith(folder):
                top = Path(recording.path).relative_to(results).parts
                if len(top) == 1 or top[0] in groups:
                    raise RecordingsError(
                        f"the results would lie among the recordings, such as {recording.path}; choose another folder"
                        " with [results] root (--results-root)"
                    )


def _first(problems: list[str], most: int = 20) -> tuple[str, ...]:
    more = [f"and {len(problems) - most} more problems of this group"] if len(problems) > most else []
    return (*problems[:most], *more)


def _distinguished(groups: dict[str, Group]) -> dict[str, Group]:
    """Give recordings of several groups that share session and index their group's key."""
    owners: dict[tuple[str, int], str] = {}
    shared: set[tuple[str, int]] = set()
    for key, group in groups.items():
        for recording in group.recordings:
            identity = (recording.session, recording.index)
            if owners.setdefault(identity, key) != key:
                shared.add(identity)
    if not shared:
        return groups
    return {
        key: replace(
            group,
            recordings=tuple(replace(r, group=key) if (r.session, r.index) in shared else r for r in group.recordings),
        )
        for key, group in groups.items()
    }


def _processed_twice(recordings: list[Recording]) -> list[str]:
    """Return the problem of a group that has what was recorded, and what CatGT made of that too."""
    first = {r.columns["processing"]: r for r in recordings if r.columns.get("processing")}
    if len(first) < 2:
        return []
    lines = " or ".join(f"select = processing={name}" for name in first)
    files = ", ".join(r.path for r in first.values())
    return [f"what was recorded and what was made of it are both there ({files}); say which in [recordings]: {lines}"]


def _duplicates(recordings: list[Recording]) -> list[str]:
    by_identity: dict[tuple[str, int], list[Recording]] = {}
    for recording in recordings:
        if recording.index is not None:
            by_identity.setdefault((recording.session, recording.index), []).append(recording)
    twice = [same for same in by_identity.values() if len(same) > 1]
    if not twice:
        return []
    first, *others = twice[0]
    is_there = "twice" if len(others) == 1 else f"{len(others) + 1} times"
    return [
        f"{first.origin}, columns session and index: {first.session}/{first.index} is there {is_there}, also at"
        f" {', '.join(r.origin for r in others[:_MOST_NAMED])}{_so_are(twice[1:])}; to tell them apart, group by"
        " another column too, select, or name a session anew in a table (neuroluigi recordings --csv)"
    ]


def _so_are(others: list[list[Recording]]) -> str:
    named = ", ".join(f"{one[0].session}/{one[0].index}" for one in others[:_MOST_NAMED])
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return f"; so {'are' if others[1:] else 'is'} {named}{more}" if others else ""


def _listed_twice(recordings: list[Recording]) -> list[str]:
    first: dict[tuple, Recording] = {}
    return [
        f"{recording.origin}, column path: {recording.name!r} is in this group already, at {first[key].origin}"
        for recording in recordings
        # There are files with several recordings.
        if first.setdefault(key := _which(recording), recording) is not recording
    ]


def _which(recording: Recording) -> tuple:
    """Return what tells a recording from another one in the same file."""
    columns = recording.recorded.columns if recording.recorded else {}
    return recording.path, *columns.items()


def _covered(recordings: list[Recording]) -> tuple[str, ...]:
    """Return the problems of recordings that have nothing which the one before does not have too, by their counters."""
    recorded = [r.recorded for r in recordings if r.recorded]
    return join(recorded).problems if len(recorded) == len(recordings) else ()


def _differences(recordings: list[Recording]) -> list[str]:
    """Return a problem for each way in which recordings differ from the first one."""
    first = recordings[0]
    unlike: dict[tuple[tuple[str, object], ...], list[Recording]] = {}
    for other in recordings[1:]:
        values = tuple((name, getattr(other, name)) for name in _ALIKE if getattr(first, name) != getattr(other, name))
        unlike.setdefault(values, []).append(other)
    unlike.pop((), None)
    differences = [_difference(first, others, values) for values, others in unlike.items()]
    return differences or [problem for other in recordings[1:] for problem in _differing_channels(first, other)]


def _difference(first: Recording, others: list[Recording], values: tuple[tuple[str, object], ...]) -> str:
    names = [name for name, _ in values]
    have = f"{others[0].path} and {len(others) - 1} more have" if others[1:] else f"{others[0].path} has"
    # Where headers describe the recordings, these are found by their path.
    origins = [one.origin for one in (first, others[0]) if one.origin != one.path]
    return (
        f"recordings of one group differ in {_listed(names)}: {first.path} has"
        f" {_listed(getattr(first, name) for name in names)}, {have} {_listed(value for _, value in values)}"
        + (f" ({'; '.join(origins)})" if origins else "")
    )


def _listed(values: Iterable[object]) -> str:
    return " and ".join(map(str, values))


def _differing_channels(first: Recording, other: Recording) -> list[str]:
    """Return the problem of two recordings of whose channels headers, or rows, say different things."""
    is_said = [one.recorded is not None for one in (first, other)]
    # What a header says, a row of raw samples need not repeat.
    if not any(is_said) or (not all(is_said) and first.is_by_header != other.is_by_header):
        return []
    pairs = zip(_channels_said(first), _channels_said(other), strict=True)
    return [
        f"recordings of one group differ in channel {number} (from 0): {first.path} has {name}"
        f" {getattr(one, name)}, {other.path} has {getattr(another, name)} ({first.origin}; {other.origin})"
        for number, (one, another) in enumerate(pairs)
        for name in ("kind", "scale", "offset", "unit")
        if getattr(one, name) != getattr(another, name)
    ][:1]


def _channels_said(recording: Recording) -> tuple[Channel, ...]:
    return recording.recorded.channels if recording.recorded else (Channel(""),) * recording.channels
