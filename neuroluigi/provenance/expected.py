"""What the pipeline expects of a result today, as plain data, to be compared with its run record."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What can differ from the run record; a run makes the result again for those in rerun_on, and reports the others.
KINDS = ("inputs", "parameters", "code", "tools")


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
class Input:
    """A file that a result is made from.

    `path` is absolute; `sha256` is None where no status of another result has it. `is_pending`: a step of this run may
    make the file again first. `is_made`: a step makes it, so it is no recording or other file from outside.
    `recording` is session and index of an existing recording: "a/0".
    """

    path: str
    sha256: str | None
    is_pending: bool = False
    is_made: bool = False
    recording: str = ""


@dataclass(frozen=True)
class OtherInput:
    """An input that is no file of this machine, such as a table of a database: it counts by whether it is there.

    `described` is its entry in a record, `class` and `name`. `is_pending`: a task of this run makes it first.
    """

    described: Mapping[str, str]
    is_pending: bool = False

    @property
    def name(self) -> str:
        """What it is called, for people."""
        return name_of_other(self.described)


def name_of_other(described: Mapping[str, str]) -> str:
    """Return what an input that is no file is called, for people: its name, or else that of its class."""
    return described.get("name") or described.get("class", "?")


@dataclass(frozen=True)
class Requirement:
    """What a step can read of one task that it requires, beside the content of its files.

    `parameters` are its significant ones, and of a recording how it is described; `defaults` hold for those that a
    record lacks. `fingerprint` and `inputs` are digests of what the task adds to its record and of the checksums of
    its own inputs, None while they are not known. `made_by` is the tool that made it, with its version. Of a task
    inside a wrapper, whose files are no inputs of the step, `files` is the digest of theirs, and `pending` names those
    that a run may make again first.
    """

    step: str
    parameters: Mapping[str, Any]
    defaults: Mapping[str, Any]
    fingerprint: str | None = None
    inputs: str | None = None
    files: str | None = None
    pending: tuple[str, ...] = ()
    made_by: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """The digest of all that it says."""
        known = (self.fingerprint, self.inputs, self.files, self.pending, self.made_by)
        return _digest((self.step, self.parameters, self.defaults, known))

    def as_recorded(self, is_tool_read: bool) -> dict[str, Any]:
        """Return what a run record has of it; the tool only where the step asked for it."""
        known = {name: getattr(self, name) for name in ("fingerprint", "inputs", "files")}
        known["made_by"] = self.made_by if is_tool_read else ""
        return {"step": self.step, "parameters": dict(self.parameters), **{k: v for k, v in known.items() if v}}


@dataclass(frozen=True)
class Expected:
    """What the pipeline expects of one result today, to be compared with its run record.

    Paths are absolute and plain text, as a plan has hundreds of thousands of them.

    outputs: path of each file or folder -> a check that raises for one that is not whole
    record: path of the run record
    parameters: significant parameters by name; `defaults` are used for those that the record does not have
    fingerprint: what the step adds to its record; None where it can't be known before an input is made
    inputs: the files that the result is made from, in order
    other_inputs: what else it is made from
    gone: the names of inputs from outside, other than recordings, that are not there
    requires: the tasks that the step requires, in order
    sources: engine -> code that the step runs there, each {"path", "sha256"}
    of_kind: engine -> digest of what is the same for all results of a kind: code, tool, defaults, roots, settings
    tool: engine, release, version as far as a setting asks for them by name
    rerun_on: those of KINDS for which the result is made again
    roots: folders that records name ("results", "recordings") -> path
    problem: what is wrong with the recordings that the result would be made from, "" for nothing
    allow_missing: whether recordings that can't be found are left out instead of leaving the result alone
    reads_moved: whether files are read to find out which of them is a recording that moved
    folders: those outputs that are folders -> the names in them that don't count
    without_format: the outputs whose check knows no format, and can't tell a file that was cut short from a whole one
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
    of_kind: Callable[[str], str] = lambda engine: ""
    requires: tuple[Requirement, ...] = ()
    other_inputs: tuple[OtherInput, ...] = ()
    gone: tuple[str, ...] = ()
    problem: str = ""
    allow_missing: bool = False
    reads_moved: bool = True
    folders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    without_format: frozenset[str] = frozenset()

    def digest(self, engine: str) -> str:
        """Return the digest of all that is expected of a result that an engine made."""
        inputs = [(one.path, one.sha256, one.is_pending, one.is_made, one.recording) for one in self.inputs]
        others = [(one.described, one.is_pending) for one in self.other_inputs]
        made_from = (inputs, others, self.gone, [one.digest for one in self.requires])
        own = (
            self.record,
            [*self.outputs],
            self.folders,
            sorted(self.without_format),
            sorted(self.rerun_on),
            self.problem,
        )
        return _digest((self.of_kind(engine), own, self.parameters, self.fingerprint, made_from))


def _digest(value: tuple) -> str:
    # Of a path that is no text, too.
    return hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
