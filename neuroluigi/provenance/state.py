"""The state of a result and the reasons for it, computed from plain data: nothing here knows Luigi or starts anything.

A result is done when its files are there and nothing in its run record contradicts what is expected today. The
scheduler, a step before it runs and every report use the status that is computed here.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from neuroluigi.provenance.checksums import Checksums, FolderListings
from neuroluigi.provenance.contents import Measure, measure
from neuroluigi.provenance.differences import (
    changed_code,
    changed_fingerprint,
    changed_other_inputs,
    changed_parameters,
    changed_requirements,
    changed_tool,
)
from neuroluigi.provenance.expected import Expected, Reason
from neuroluigi.provenance.files import path_in_root
from neuroluigi.provenance.inputs import Inputs, key_of
from neuroluigi.provenance.record import (
    is_outdated,
    made_by,
    read_failure,
    read_record,
    read_stamped_record,
    sibling_path,
)
from neuroluigi.provenance.state_index import Known, StateIndex, stamps_of

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

# What a run does about a result.
NOTHING, MAKE, MAYBE = "", "make", "maybe"


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one result, the reasons for it, and what a run does (`todo`): NOTHING, MAKE or MAYBE.

    MAYBE makes the result if one of the inputs named in `waits_for` (file names) changes. `is_there`: all files exist.
    `is_dropped`: they were removed by `neuroluigi drop`, and count as if they were there. `failure` is the error of the
    last attempt at the step; "" where there is none, or where it is history: the result is done, or another attempt
    would not be the same one. `problem`, of what is to be made: what is wrong with the recordings that it, or what it
    requires, is made from, so that a run fails; "" for nothing. `made_by` is the tool with its version from the record.
    `checksums` maps the path of each output to its sha256 of today (None where it is known only after the result is
    made). `rests_on_work`: a run makes, or may make, a result that this one is made from, directly or not. `inputs` is
    the digest of the checksums of today's inputs, None where one is not known. `moved` has the path today of each input
    that lies elsewhere than recorded, by its position in the record. `is_touched`: a file has another size or time than
    recorded, though what counts in it may be the same.
    """

    state: str
    reasons: tuple[Reason, ...] = ()
    todo: str = NOTHING
    waits_for: tuple[str, ...] = ()
    is_there: bool = True
    is_dropped: bool = False
    rests_on_work: bool = False
    failure: str = ""
    problem: str = ""
    made_by: str = ""
    checksums: Mapping[str, str | None] = field(default_factory=dict)
    inputs: str | None = None
    moved: Mapping[int, str] = field(default_factory=dict)
    is_touched: bool = False

    @property
    def may_name_other_places(self) -> bool:
        """Whether a file of the result may name places of its inputs, within their roots, where they don't lie now."""
        # Of what was edited it is not known where its inputs were, and the edit may be of places alone.
        return bool(self.moved) or self.is_touched or self.state == MODIFIED

    @property
    def is_simply_done(self) -> bool:
        """Whether the result is done and stays so: nothing about it needs to be shown."""
        return self.state == DONE and not self.todo

    @property
    def is_complete(self) -> bool:
        """Whether a step that requires the result can run now: the value of Luigi's complete()."""
        # Luigi does not visit the requirements of a complete task, so what is to be made there would not be made.
        return self.todo == NOTHING and self.is_there and not self.rests_on_work


# Of a result that a run had not flushed to the disk, as its register says.
IN_DOUBT = Status(
    state=MISSING,
    reasons=(Reason("", "the machine stopped while a run wrote it; the next run reads it again"),),
    todo=MAKE,
    is_there=False,
)


def check_result(
    expected: Expected, checksums: Checksums, folders: FolderListings, index: StateIndex | None = None
) -> Status:
    """Return the status of a result, by the first of STATES that applies. Never raises for the result's own data.

    Where an index knows that it is done, its record is not read.
    """
    if index and (known := index.find(expected)) and not folders.have(sibling_path(expected.record, ".pending.json")):
        found = dict(zip(expected.outputs, known.checksums, strict=True))
        return Status(DONE, made_by=known.made_by, checksums=found, inputs=known.inputs)
    record, found_record = read_stamped_record(expected.record)
    inputs = Inputs(record.get("inputs", ()), expected, checksums) if record else None
    status = _status(expected, record, inputs, checksums, folders)
    if index and record and inputs and found_record and _says_all(status, expected, record):
        # As they were before they were compared: the files of a result that is done are as recorded.
        outputs = [Measure(one["bytes"], one["mtime_ns"], one.get("files")) for one in _in_order(expected, record)]
        engine, files = record.get("tool", {}).get("engine", ""), [one or "" for one in status.checksums.values()]
        known = Known(engine, status.made_by, files, status.inputs)
        index.note(expected, stamps_of(found_record, [*outputs, *inputs.measures]), known)
    # Of what is dropped, the plan finds out later whether it is made again.
    is_made = status.todo or status.is_dropped
    if is_made and expected.problem:
        status = replace(status, problem=expected.problem)
    if not is_made or not folders.have(sibling_path(expected.record, ".failed.json")):
        return status
    return replace(status, failure=_failure(expected, checksums))


def _says_all(status: Status, expected: Expected, record: Mapping) -> bool:
    """Whether a result is done, and nothing else is to be said of it than what an index keeps."""
    files = {path: one for path, one in status.checksums.items() if one}
    plain = Status(DONE, made_by=status.made_by, checksums=files, inputs=status.inputs)
    if status != plain or [*files] != [*expected.outputs]:
        return False
    recorded = _recorded_outputs(record, expected)
    # What it says of a folder holds for what is ignored today.
    return all(tuple(recorded[path].get("ignore", ())) == tuple(one) for path, one in expected.folders.items())


def _in_order(expected: Expected, record: Mapping) -> list[Mapping]:
    recorded = _recorded_outputs(record, expected)
    return [recorded[path] for path in expected.outputs]


def _failure(expected: Expected, checksums: Checksums) -> str:
    """Return the error of the last attempt; "" where it is history: another attempt would not be the same one."""
    failed = read_failure(expected.record)
    if not failed or is_outdated(failed, read_record(expected.record) or {}):
        return ""
    # A problem of the recordings was its reason, or else was not there.
    if expected.problem not in failed["error"] if expected.problem else failed.get("problem"):
        return ""
    # What a note lacks contradicts nothing.
    today = {"parameters": dict(expected.parameters), "fingerprint": dict(expected.fingerprint or {})}
    inputs = Inputs(failed.get("inputs", ()), expected, checksums)
    changed = _contradictions(
        {**today, **failed}, replace(expected, problem=""), inputs if "inputs" in failed else None
    )
    return "" if any(changed) else failed["error"]


def _status(
    expected: Expected,
    record: Mapping | None,
    inputs: Inputs | None,
    checksums: Checksums,
    folders: FolderListings,
) -> Status:
    recorded = _recorded_outputs(record, expected) if record else {}
    # What a record says that it ignored makes it comparable with what is there.
    ignored = {path: recorded.get(path, {}).get("ignore", expected.folders.get(path, ())) for path in expected.outputs}
    found = {path: measure(path, ignored.get(path, ())) for path in expected.outputs}
    is_there = all(found.values())
    if folders.have(sibling_path(expected.record, ".pending.json")):
        reason = Reason("", "a commit was interrupted; the next run finishes it")
        return Status(MISSING, (reason,), MAKE, is_there=False)
    is_dropped = bool(record and record.get("dropped")) and not is_there
    lacking = ", ".join(os.path.basename(path) for path, one in found.items() if not one)
    missing = Reason("", f"{lacking} is not there")
    gone = (*(() if expected.allow_missing else inputs.missing), *expected.gone) if inputs else ()
    if gone:
        # Modified or not, the next steps are made from the file that is there.
        now, _ = _check_outputs(expected, recorded, found, ignored, checksums)
        reasons = tuple(Reason("inputs", f"{name} is not there any more") for name in gone)
        reasons += () if is_there or is_dropped else (missing,)
        return Status(INPUT_MISSING, reasons, is_there=is_there, is_dropped=is_dropped, checksums=now)
    if not is_there and not is_dropped:
        return Status(MISSING, (missing,), MAKE, is_there=False)

    now, wrong = _check_outputs(expected, recorded, found, ignored, checksums)
    if wrong:
        state, reason = wrong
        if state == DAMAGED:
            return Status(DAMAGED, (reason,), MAKE)
        digest = inputs.digest if inputs else None
        return Status(MODIFIED, (reason,), checksums=now, inputs=digest)
    if not record or not inputs:
        others = tuple(_of_others(expected))
        return Status(STALE, others, MAKE, checksums=dict.fromkeys(now)) if others else Status(UNTRACKED, checksums=now)

    reasons = tuple(_contradictions(record, expected, inputs))
    to_rerun = tuple(reason for reason in reasons if reason.kind in expected.rerun_on)
    tool = made_by(record)
    if to_rerun:
        return Status(STALE, to_rerun, MAKE, (), is_there, is_dropped, made_by=tool)
    is_other_code = any(reason.kind in ("code", "tools") for reason in reasons)
    state = CODE_CHANGED if is_other_code else STALE if reasons else DONE
    waits_for = tuple(_waits_for(record, expected, inputs))
    todo = (MAKE if is_dropped else MAYBE) if waits_for else NOTHING
    reasons += tuple(Reason("", f"{old} moved, not yet checked: the next run reads it") for old, _ in inputs.unchecked)
    if is_dropped and todo:
        reasons = (*reasons, Reason("", f"it is dropped, and {waits_for[0]} may be made again"))
    known = dict.fromkeys(now) if todo else now
    moved = {} if todo else inputs.moved
    return Status(
        state=state,
        reasons=reasons,
        todo=todo,
        waits_for=waits_for,
        is_there=is_there,
        is_dropped=is_dropped,
        made_by=tool,
        checksums=known,
        inputs=inputs.digest,
        moved=moved,
        is_touched=any(one and not one.matches(recorded[path]) for path, one in found.items() if path in recorded),
    )


def _of_others(expected: Expected) -> Iterator[Reason]:
    """Yield a reason for each file that the record of another result in the folder names as its own."""
    ours = {path_in_root(path, expected.roots)["path"]: os.path.basename(path) for path in expected.outputs}
    for path in sorted(Path(expected.record).parent.glob("*.json")):
        record = read_record(path) if path != Path(expected.record) else None
        for one in (record or {}).get("outputs", ()):
            if one["path"] in ours:
                yield Reason("", f"{ours[one['path']]} is a result of {path.stem}")


def _waits_for(record: Mapping, expected: Expected, inputs: Inputs) -> Iterator[str]:
    """Yield the names of the files on which it depends whether the result is to be made again."""
    yield from (os.path.basename(one.path) for one in expected.inputs if one.is_pending)
    yield from (one.name for one in expected.other_inputs if one.is_pending)
    yield from (os.path.basename(path) for _, path in inputs.unchecked)
    if "requires" in record:
        yield from (name for one in expected.requires for name in one.pending)


def _contradictions(record: Mapping, expected: Expected, inputs: Inputs | None) -> Iterator[Reason]:
    """Yield what differs between the record and what is expected today; without `inputs` these are not compared."""
    changed = [Reason("inputs", expected.problem)] if expected.problem else inputs.reasons if inputs else ()
    yield from changed
    if "other_inputs" in record:
        yield from changed_other_inputs(record["other_inputs"], expected.other_inputs)
    yield from changed_parameters(record.get("parameters", {}), expected)
    if not changed:
        # Where the inputs are others, so is what is read of them.
        yield from changed_fingerprint(record.get("fingerprint", {}), expected)
    yield from changed_requirements(record.get("requires", ()), expected.requires)
    tool = record.get("tool", {})
    if "sources" in record:
        today = expected.sources(tool.get("engine", ""))
        yield from changed_code(record["sources"], today, record.get("changed_meanwhile", ()))
    yield from changed_tool(tool, expected.tool)


def _recorded_outputs(record: Mapping, expected: Expected) -> dict[str, Mapping]:
    """Return the entry of the record for each of today's outputs, by path; those without one are left out."""
    recorded = {key_of(output): output for output in record.get("outputs", ())}
    keys = {path: key_of(path_in_root(path, expected.roots)) for path in expected.outputs}
    return {path: recorded[key] for path, key in keys.items() if key in recorded}


def _check_outputs(
    expected: Expected,
    recorded: Mapping[str, Mapping],
    measures: Mapping[str, Measure | None],
    ignored: Mapping[str, Sequence[str]],
    checksums: Checksums,
) -> tuple[dict[str, str | None], tuple[str, Reason] | None]:
    """Return the checksums of the outputs of today, and DAMAGED or MODIFIED with the reason where one differs."""
    now: dict[str, str | None] = {}
    modified = None
    for path, check in expected.outputs.items():
        known, found, name = recorded.get(path), measures[path], os.path.basename(path)
        if found is None:  # dropped
            now[path] = known["sha256"] if known else None
            continue
        what, other = ("folder", "file") if path in expected.folders else ("file", "folder")
        if (found.files is not None) != (what == "folder"):
            return now, (DAMAGED, Reason("", f"{name} is a {other}, and its step makes a {what} of that name"))
        if known and found.matches(known):
            now[path] = known["sha256"]
            continue
        try:
            if known and found.may_be(known):
                now[path] = checksums.of(path, ignored[path])
                if now[path] == known["sha256"]:
                    continue
            check(Path(path))
            # What is damaged is not read to its end: a sparse file may have terabytes.
            now[path] = checksums.of(path, ignored[path])
        except (OSError, ValueError) as error:
            return now, (DAMAGED, Reason("", str(error)))
        except Exception as error:
            # A lab's own check raises anything for content that it does not expect, such as KeyError.
            return now, (DAMAGED, Reason("", f"{name} can't be checked: {type(error).__name__}: {error}"))
        if known and found.bytes < known["bytes"] and path in expected.without_format:
            reason = f"{name} has {found.bytes} bytes, its run record says {known['bytes']}"
            return now, (DAMAGED, Reason("", reason))
        if known:
            modified = modified or (MODIFIED, Reason("", f"{name} is not the {what} that its run record describes"))
    return now, modified
