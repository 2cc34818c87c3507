"""The state of every result and the reason for it, over plain data: nothing here knows of Luigi or starts anything.

A result is done when its files are there and nothing in its run record contradicts today. What is judged here once is
what the scheduler, a step before it runs, and every report go by.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neuroluigi.provenance.checksums import Checksums, FolderListings
from neuroluigi.provenance.files import path_in_root
from neuroluigi.provenance.record import is_version, made_by, read_failure, read_record, sibling_path

# In the order in which they are judged.
INPUT_MISSING = "input missing"
MISSING = "missing"
DAMAGED = "damaged"
MODIFIED = "modified"
STALE = "stale"
CODE_CHANGED = "code changed"
UNTRACKED = "untracked"
DONE = "done"
STATES = (INPUT_MISSING, MISSING, DAMAGED, MODIFIED, STALE, CODE_CHANGED, UNTRACKED, DONE)

# What a result can be out of date by; a run remakes it for those that rerun_on names, and reports the others.
KINDS = ("inputs", "parameters", "code", "tools")

# What a run does about a result.
NOTHING, MAKE, MAYBE = "", "make", "maybe"


@dataclass(frozen=True)
class Reason:
    """Why a result is not simply done: one of KINDS, or "" for what its files show; a sentence; old and new."""

    kind: str
    text: str
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """The state of one result, why, and what a run does: nothing, make, or make if one of `waits_for` changes.

    `checksums` has the sha256 of each output as it stands (None where that is not known before it is made).
    `made_by` is the tool that made it, with its version, as its record has it.
    `rests_on_work`: a run does something about a result that this one is made from, directly or not.
    """

    state: str
    reasons: tuple[Reason, ...] = ()
    todo: str = NOTHING
    waits_for: tuple[str, ...] = ()
    is_there: bool = True
    is_dropped: bool = False
    rests_on_work: bool = False
    failure: str = ""
    made_by: str = ""
    checksums: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def is_simply_done(self) -> bool:
        """Whether there is nothing to say of the result."""
        return self.state == DONE and not self.todo

    @property
    def is_complete(self) -> bool:
        """Whether a step that needs the result finds it, as it should be."""
        # Luigi does not look below what is complete, and would leave undone what is to be done there.
        return self.todo == NOTHING and self.is_there and not self.rests_on_work


@dataclass(frozen=True)
class Input:
    """A file that a result is made from.

    `is_pending`: a step may make it anew first. `sha256` is None where no other status knows it.
    """

    path: str
    sha256: str | None
    is_pending: bool = False


@dataclass(frozen=True)
class Expected:
    """What today says of one result: the other side of its run record.

    `outputs` are its files, each with a check that raises for one that is not whole. Paths are absolute, and plain
    text: a look handles hundreds of thousands. `fingerprint` is None where they can't be known yet. `problem` says what is
    wrong with the recordings that it would be made from.
    `sources` gives the code by engine. `tool` is what is asked for by name, else empty.
    """

    outputs: Mapping[str, Callable[[Path], None]]
    record: str
    parameters: Mapping[str, object]
    defaults: Mapping[str, object]
    fingerprint: Mapping[str, object] | None
    inputs: tuple[Input, ...]
    sources: Callable[[str], list[dict]]
    tool: Mapping[str, str]
    rerun_on: frozenset[str]
    roots: Mapping[str, str]
    problem: str = ""
    allow_missing: bool = False


def check_result(expected: Expected, checksums: Checksums, folders: FolderListings) -> Status:
    """Return the state of a result, as the table of states has it, judged in its order. Never raises for its data."""
    record = read_record(expected.record)
    has_failed = folders.have(sibling_path(expected.record, ".failed.json"))
    failure = read_failure(expected.record).get("error", "") if has_failed else ""
    there = {path: _stat(path) for path in expected.outputs}
    is_there = all(there.values())
    if folders.have(sibling_path(expected.record, ".pending.json")):
        reason = Reason("", "a commit was interrupted; the next run finishes it")
        return Status(MISSING, (reason,), MAKE, is_there=False, failure=failure)
    is_dropped = bool(record and record.get("freed")) and not is_there
    lacking = ", ".join(os.path.basename(path) for path, found in there.items() if not found)
    missing = Reason("", f"{lacking} is not there")
    if record and not expected.allow_missing and (gone := _gone(record, expected)):
        # Edited or not, what stays is what the next steps are made from.
        now, _ = _check_outputs(expected, record, there, checksums)
        gone += () if is_there or is_dropped else (missing,)
        return Status(INPUT_MISSING, gone, is_there=is_there, is_dropped=is_dropped, failure=failure, checksums=now)
    if not is_there and not is_dropped:
        return Status(MISSING, (missing,), MAKE, is_there=False, failure=failure)

    now, wrong = _check_outputs(expected, record, there, checksums)
    if wrong:
        state, reason = wrong
        if state == DAMAGED:
            return Status(DAMAGED, (reason,), MAKE, failure=failure)
        return Status(MODIFIED, (reason,), failure=failure, checksums=now)

    reasons = tuple(_contradictions(record, expected, checksums)) if record else ()
    pressing = tuple(reason for reason in reasons if reason.kind in expected.rerun_on)
    tool = made_by(record) if record else ""
    common = {"is_there": is_there, "is_dropped": is_dropped, "failure": failure, "made_by": tool}
    if pressing:
        return Status(STALE, pressing, MAKE, **common)
    state = CODE_CHANGED if reasons else DONE if record else UNTRACKED
    waits_for = tuple(os.path.basename(one.path) for one in expected.inputs if one.is_pending)
    # Without a record nothing says what the result was made from.
    todo = (MAKE if is_dropped else MAYBE) if waits_for and record else NOTHING
    if is_dropped and todo:
        reasons = (*reasons, Reason("", f"it is dropped, and {waits_for[0]} may be made again"))
    return Status(state, reasons, todo, waits_for, checksums=dict.fromkeys(now) if todo else now, **common)


def _stat(path: str) -> os.stat_result | None:
    """Return what the system says of a file, None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _recorded_outputs(record: Mapping, expected: Expected) -> dict[str, Mapping]:
    """Return what the record says of each of today's outputs."""
    by_place = {_key(output): output for output in record.get("outputs", ())}
    places = {path: _key(path_in_root(path, expected.roots)) for path in expected.outputs}
    return {path: by_place[key] for path, key in places.items() if key in by_place}


def _key(place: Mapping) -> tuple:
    return place.get("root"), place["path"]


def _gone(record: Mapping, expected: Expected) -> tuple[Reason, ...]:
    """Return the recordings that the record names and that can't be found."""
    root = expected.roots["recordings"]
    made = {one.path for one in expected.inputs if one.is_pending}
    return tuple(
        Reason("inputs", f"{one['path']} is not there any more")
        for one in record.get("inputs", ())
        if one.get("root") == "recordings"
        # One that a step makes is missing, not gone.
        and (path := os.path.join(root, one["path"].replace("/", os.sep))) not in made
        and _stat(path) is None
    )


def _check_outputs(
    expected: Expected, record: Mapping | None, there: Mapping[str, os.stat_result | None], checksums: Checksums
) -> tuple[dict[str, str | None], tuple[str, Reason] | None]:
    """Return the checksums of the outputs as they stand, and DAMAGED or MODIFIED with the reason where one differs."""
    recorded = _recorded_outputs(record, expected) if record else {}
    now: dict[str, str | None] = {}
    modified = None
    for path, check in expected.outputs.items():
        known, found, name = recorded.get(path), there[path], os.path.basename(path)
        if found is None:  # dropped
            now[path] = known["sha256"] if known else None
            continue
        if known and (found.st_size, found.st_mtime_ns) == (known["bytes"], known["mtime_ns"]):
            now[path] = known["sha256"]
            continue
        try:
            now[path] = sha256 = checksums.of(path)
        except OSError as error:
            return now, (DAMAGED, Reason("", str(error)))
        if known and sha256 == known["sha256"]:
            continue
        try:
            check(Path(path))
        except (OSError, ValueError) as error:
            return now, (DAMAGED, Reason("", str(error)))
        except Exception as error:
            # A lab's own check stumbles over what it does not expect, such as a key that is not there.
            return now, (DAMAGED, Reason("", f"{name} can't be checked: {type(error).__name__}: {error}"))
        if known and found.st_size < known["bytes"]:
            reason = f"{name} has {found.st_size} bytes, its run record says {known['bytes']}"
            return now, (DAMAGED, Reason("", reason))
        if known:
            modified = modified or (MODIFIED, Reason("", f"{name} is not the file that its run record describes"))
    return now, modified


def _contradictions(record: Mapping, expected: Expected, checksums: Checksums) -> Iterator[Reason]:
    """Yield what is not today as the record has it."""
    if expected.problem:
        inputs = [Reason("inputs", expected.problem)]
    else:
        inputs = list(_changed_inputs(record.get("inputs", []), expected, checksums))
    yield from inputs
    recorded = record.get("parameters", {})
    for name, value in expected.parameters.items():
        old = recorded[name] if name in recorded else _plain(expected.defaults.get(name))
        new = _plain(value)
        if old != new:
            yield Reason("parameters", f"{name} {_shown(old)}, now {_shown(new)}")
    facts = record.get("facts", {})
    if expected.fingerprint is not None and not inputs and expected.fingerprint != facts:
        differences = list(_differences(facts, _plain(expected.fingerprint)))
        yield from (Reason("parameters", text) for text in differences[:3])
    tool = record.get("tool", {})
    yield from _changed_sources(record.get("sources", ()), expected.sources(tool.get("engine", "")))
    for name in ("engine", "release", "version"):
        wanted = expected.tool.get(name)
        if wanted and tool.get(name) and not is_version(str(tool[name]), wanted):
            yield Reason("tools", f"{name} {tool[name]}, now {wanted}")
            return  # the version of another engine says nothing more


def _changed_sources(recorded: list[Mapping], sources: list[Mapping]) -> Iterator[Reason]:
    if recorded == sources:
        return
    before, today = ({one["path"]: one["sha256"] for one in some} for some in (recorded, sources))
    for path in sorted(before.keys() | today.keys()):
        if before.get(path) != today.get(path):
            what = "changed" if path in before and path in today else "is new" if path in today else "is not used now"
            yield Reason("code", f"{path} {what}", _old_and_new(before.get(path), today.get(path)))


def _old_and_new(old: str | None, new: str | None) -> str:
    old, new = (f"{sha256[:12]}..." if sha256 else "none" for sha256 in (old, new))
    return f"sha256 {old}, now {new}"


def _changed_inputs(recorded: list[Mapping], expected: Expected, checksums: Checksums) -> Iterator[Reason]:
    # Files that were only renamed are the same files.
    if [None if one.is_pending else one.sha256 for one in expected.inputs] == [old["sha256"] for old in recorded]:
        return
    before = {_key(old): old for old in recorded}
    today = {_key(path_in_root(one.path, expected.roots)): one for one in expected.inputs}
    now = {key: _current(one, before.get(key), checksums) for key, one in today.items()}
    if list(now.values()) == [old["sha256"] for old in recorded]:
        return
    for key, one in today.items():
        if key not in before:
            yield Reason("inputs", f"{os.path.basename(one.path)} is new")
        elif now[key] not in (None, old := before[key]["sha256"]):
            yield Reason("inputs", f"{os.path.basename(one.path)} changed", _old_and_new(old, now[key]))
    yield from (Reason("inputs", f"{key[1]} is not used now") for key in before if key not in today)
    if before.keys() == today.keys() and list(before) != list(today):
        yield Reason("inputs", "the order of the inputs changed")


def _current(one: Input, old: Mapping | None, checksums: Checksums) -> str | None:
    """Return the sha256 of an input as it is now, or None where it may be made anew first."""
    if one.is_pending or one.sha256:
        return None if one.is_pending else one.sha256
    found = _stat(one.path)
    if old and found and (found.st_size, found.st_mtime_ns) == (old["bytes"], old["mtime_ns"]):
        return old["sha256"]
    try:
        return checksums.of(one.path)
    except OSError:
        return "can't be read"


def _differences(old: object, new: object, name: str = "") -> Iterator[str]:
    """Yield the leaves in which two pieces of plain data differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for position, pair in enumerate(zip(old, new, strict=True)):
            yield from _differences(*pair, f"{name}[{position}]")
    elif old != new:
        yield f"{name} {_shown(old)}, now {_shown(new)}"


def _plain(value: object) -> object:
    """Return a value as a record has it after a trip through JSON."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return json.loads(json.dumps(value, default=str))


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, float):
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
