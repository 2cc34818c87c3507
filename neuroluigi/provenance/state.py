"""The state of a result and the reasons for it, computed from plain data: nothing here knows Luigi or starts anything.

A result is done when its files are there and nothing in its run record contradicts what is expected today. The
scheduler, a step before it runs and every report use the status that is computed here.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from neuroluigi.provenance.checksums import Checksums, FolderListings
from neuroluigi.provenance.files import path_in_root
from neuroluigi.provenance.record import is_version, made_by, read_failure, read_record, sibling_path

# In the order in which they are checked.
INPUT_MISSING = "input missing"
MISSING = "missing"
DAMAGED = "damaged"
MODIFIED = "modified"
STALE = "stale"
CODE_CHANGED = "code changed"
UNTRACKED = "untracked"
DONE = "done"
STATES = (INPUT_MISSING, MISSING, DAMAGED, MODIFIED, STALE, CODE_CHANGED, UNTRACKED, DONE)

# What can differ from the run record; a run makes the result again for those in rerun_on, and reports the others.
KINDS = ("inputs", "parameters", "code", "tools")

# What a run does about a result.
NOTHING, MAKE, MAYBE = "", "make", "maybe"


@dataclass(frozen=True)
class Reason:
    """Why a result is not simply done.

    `kind` is one of KINDS, or "" for what its files show; `text` a sentence; `detail` old and new value where the
    sentence does not name them.
    """

    kind: str
    text: str
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """The state of one result, the reasons for it, and what a run does (`todo`): NOTHING, MAKE or MAYBE.

    MAYBE makes the result if one of the inputs named in `waits_for` (file names) changes. `is_there`: all files exist.
    `is_dropped`: they were removed by `neuroluigi drop`, and count as if they were there. `failure` is the error of the
    last run of the step, "" without one. `made_by` is the tool with its version from the record. `checksums` maps the
    path of each output to its sha256 of today (None where it is known only after the result is made).
    `rests_on_work`: a run makes, or may make, a result that this one is made from, directly or not.
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
        """Whether the result is done and stays so: nothing about it needs to be shown."""
        return self.state == DONE and not self.todo

    @property
    def is_complete(self) -> bool:
        """Whether a step that requires the result can run now: the value of Luigi's complete()."""
        # Luigi does not visit the requirements of a complete task, so what is to be made there would not be made.
        return self.todo == NOTHING and self.is_there and not self.rests_on_work


@dataclass(frozen=True)
class Input:
    """A file that a result is made from.

    `path` is absolute; `sha256` is None where no status of another result has it. `is_pending`: a step of this run may
    make the file again first.
    """

    path: str
    sha256: str | None
    is_pending: bool = False


@dataclass(frozen=True)
class Expected:
    """What the pipeline expects of one result today, to be compared with its run record.

    Paths are absolute and plain text, as a plan has hundreds of thousands of them.

    outputs: path of each file -> a check that raises for a file that is not whole
    record: path of the run record
    parameters: significant parameters by name; `defaults` are used for those that the record does not have
    fingerprint: what the step adds to its record; None where it can't be known before an input is made
    inputs: the files that the result is made from, in order
    sources: engine -> code that the step runs there, each {"path", "sha256"}
    tool: engine, release, version as far as a setting asks for them by name
    rerun_on: those of KINDS for which the result is made again
    roots: folders that records name ("results", "recordings") -> path
    problem: what is wrong with the recordings that the result would be made from, "" for nothing
    allow_missing: whether recordings that can't be found are left out instead of leaving the result alone
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
    """Return the status of a result, by the first of STATES that applies. Never raises for the result's own data."""
    record = read_record(expected.record)
    has_failed = folders.have(sibling_path(expected.record, ".failed.json"))
    failure = read_failure(expected.record).get("error", "") if has_failed else ""
    found = {path: _stat(path) for path in expected.outputs}
    is_there = all(found.values())
    if folders.have(sibling_path(expected.record, ".pending.json")):
        reason = Reason("", "a commit was interrupted; the next run finishes it")
        return Status(MISSING, (reason,), MAKE, is_there=False, failure=failure)
    is_dropped = bool(record and record.get("freed")) and not is_there
    lacking = ", ".join(os.path.basename(path) for path, stat in found.items() if not stat)
    missing = Reason("", f"{lacking} is not there")
    if record and not expected.allow_missing and (reasons := _missing_inputs(record, expected)):
        # Modified or not, the next steps are made from the file that is there.
        now, _ = _check_outputs(expected, record, found, checksums)
        reasons += () if is_there or is_dropped else (missing,)
        return Status(INPUT_MISSING, reasons, is_there=is_there, is_dropped=is_dropped, failure=failure, checksums=now)
    if not is_there and not is_dropped:
        return Status(MISSING, (missing,), MAKE, is_there=False, failure=failure)

    now, wrong = _check_outputs(expected, record, found, checksums)
    if wrong:
        state, reason = wrong
        if state == DAMAGED:
            return Status(DAMAGED, (reason,), MAKE, failure=failure)
        return Status(MODIFIED, (reason,), failure=failure, checksums=now)

    reasons = tuple(_contradictions(record, expected, checksums)) if record else ()
    to_rerun = tuple(reason for reason in reasons if reason.kind in expected.rerun_on)
    tool = made_by(record) if record else ""
    status = Status(STALE, to_rerun, MAKE, (), is_there, is_dropped, failure=failure, made_by=tool)
    if to_rerun:
        return status
    state = CODE_CHANGED if reasons else DONE if record else UNTRACKED
    waits_for = tuple(os.path.basename(one.path) for one in expected.inputs if one.is_pending)
    # Without a record it is not known what the result was made from.
    todo = (MAKE if is_dropped else MAYBE) if waits_for and record else NOTHING
    if is_dropped and todo:
        reasons = (*reasons, Reason("", f"it is dropped, and {waits_for[0]} may be made again"))
    known = dict.fromkeys(now) if todo else now
    return replace(status, state=state, reasons=reasons, todo=todo, waits_for=waits_for, checksums=known)


def _stat(path: str) -> os.stat_result | None:
    """Return os.stat of a regular file, None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _recorded_outputs(record: Mapping, expected: Expected) -> dict[str, Mapping]:
    """Return the entry of the record for each of today's outputs, by path; those without one are left out."""
    recorded = {_key(output): output for output in record.get("outputs", ())}
    keys = {path: _key(path_in_root(path, expected.roots)) for path in expected.outputs}
    return {path: recorded[key] for path, key in keys.items() if key in recorded}


def _key(file: Mapping) -> tuple[str | None, str]:
    return file.get("root"), file["path"]


def _missing_inputs(record: Mapping, expected: Expected) -> tuple[Reason, ...]:
    """Return the recordings that the record names and that can't be found."""
    root = expected.roots["recordings"]
    made = {one.path for one in expected.inputs if one.is_pending}
    return tuple(
        Reason("inputs", f"{one['path']} is not there any more")
        for one in record.get("inputs", ())
        if one.get("root") == "recordings"
        # One that a step makes will be there again.
        and (path := os.path.join(root, one["path"].replace("/", os.sep))) not in made
        and _stat(path) is None
    )


def _check_outputs(
    expected: Expected, record: Mapping | None, stats: Mapping[str, os.stat_result | None], checksums: Checksums
) -> tuple[dict[str, str | None], tuple[str, Reason] | None]:
    """Return the checksums of the outputs of today, and DAMAGED or MODIFIED with the reason where one differs."""
    recorded = _recorded_outputs(record, expected) if record else {}
    now: dict[str, str | None] = {}
    modified = None
    for path, check in expected.outputs.items():
        known, found, name = recorded.get(path), stats[path], os.path.basename(path)
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
            # A lab's own check raises anything for content that it does not expect, such as KeyError.
            return now, (DAMAGED, Reason("", f"{name} can't be checked: {type(error).__name__}: {error}"))
        if known and found.st_size < known["bytes"]:
            reason = f"{name} has {found.st_size} bytes, its run record says {known['bytes']}"
            return now, (DAMAGED, Reason("", reason))
        if known:
            modified = modified or (MODIFIED, Reason("", f"{name} is not the file that its run record describes"))
    return now, modified


def _contradictions(record: Mapping, expected: Expected, checksums: Checksums) -> Iterator[Reason]:
    """Yield what differs between the record and what is expected today."""
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
    yield from _changed_sources(record.get("sources", []), expected.sources(tool.get("engine", "")))
    for name in ("engine", "release", "version"):
        wanted = expected.tool.get(name)
        if wanted and tool.get(name) and not is_version(str(tool[name]), wanted):
            yield Reason("tools", f"{name} {tool[name]}, now {wanted}")
            return  # the version of another engine can't be compared


def _changed_sources(recorded: Sequence[Mapping], sources: Sequence[Mapping]) -> Iterator[Reason]:
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
        elif now[key] == _UNREADABLE:
            yield Reason("inputs", f"{os.path.basename(one.path)} can't be read")
        elif now[key] not in (None, old := before[key]["sha256"]):
            yield Reason("inputs", f"{os.path.basename(one.path)} changed", _old_and_new(old, now[key]))
    yield from (Reason("inputs", f"{key[1]} is not used now") for key in before if key not in today)
    if before.keys() == today.keys() and list(before) != list(today):
        yield Reason("inputs", "the order of the inputs changed")


_UNREADABLE = ""


def _current(one: Input, old: Mapping | None, checksums: Checksums) -> str | None:
    """Return the sha256 of an input today, None where it may be made again first, or _UNREADABLE."""
    if one.is_pending or one.sha256:
        return None if one.is_pending else one.sha256
    found = _stat(one.path)
    if old and found and (found.st_size, found.st_mtime_ns) == (old["bytes"], old["mtime_ns"]):
        return old["sha256"]
    try:
        return checksums.of(one.path)
    except OSError:
        return _UNREADABLE


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
    """Return a value as it is in a record: as JSON has it."""
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
