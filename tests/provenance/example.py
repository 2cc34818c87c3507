"""A result that is done, with real files and a run record; changes of it; and cases that say which status follows."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neuroluigi.provenance.checksums import Checksums, FolderListings
from neuroluigi.provenance.expected import Expected, Input
from neuroluigi.provenance.files import describe_file
from neuroluigi.provenance.state import Status, check_result

THRESHOLD = {"threshold": 0.75, "level": None}
FINGERPRINT = {"layout": {"dtype": "uint8", "segments": [0, 3]}}
SOURCES = [{"path": "matlab/count.m", "sha256": "1" * 64}, {"path": "tasks.py:Edges", "sha256": "2" * 64}]
TOOL = {"engine": "octave", "version": "8.3.1"}


def is_json_object(path: Path) -> None:
    """Raise for a file that is not whole, as the checks of targets do; KeyError as a careless one does."""
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no object")
    content["count"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Result:
    """A result of two files, made from two recordings and another step's file, that is done: all is as recorded.

    `record` is written before the status is computed (None: there is none); `expected` is what a case changes.
    """

    def __init__(self, folder: Path):
        self.results, self.recordings = folder / "results", folder / "recordings"
        self.json = self.write(self.results / "g" / "edges.json", b'{"count": 3}')
        self.npy = self.write(self.results / "g" / "edges.npy", b"12345678")
        self.stats = self.write(self.results / "g" / "stats.json", b"{}")
        self.first = self.write(self.recordings / "a" / "rec_0.bin", b"first")
        self.second = self.write(self.recordings / "a" / "rec_1.bin", b"second")
        self.record_path = self.results / "g" / "runs" / "Edges.json"
        self.record_path.parent.mkdir()
        self.inputs = [Input(str(self.first), None), Input(str(self.second), None)]
        self.inputs += [Input(str(self.stats), sha256(b"{}"))]
        self.engines_asked: list[str] = []
        self.expected = Expected(
            outputs={str(self.json): is_json_object, str(self.npy): lambda path: None},
            record=str(self.record_path),
            parameters=THRESHOLD,
            defaults={"threshold": 0.75, "level": None},
            fingerprint=FINGERPRINT,
            inputs=tuple(self.inputs),
            sources=self.sources,
            tool={},
            without_format=frozenset({str(self.npy)}),
            rerun_on=frozenset({"inputs", "parameters"}),
            roots={"results": str(self.results), "recordings": str(self.recordings)},
        )
        self.record: dict | None = {
            "schema": 2,
            "parameters": dict(THRESHOLD),
            "fingerprint": FINGERPRINT,
            "inputs": [self.described(path) for path in (self.first, self.second, self.stats)],
            "outputs": [self.described(path) for path in (self.json, self.npy)],
            "sources": SOURCES,
            "tool": TOOL,
        }

    @staticmethod
    def write(path: Path, content: bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def described(self, path: Path) -> dict:
        return describe_file(path, {"results": self.results, "recordings": self.recordings})

    def sources(self, engine: str) -> list[dict]:
        self.engines_asked.append(engine)
        return SOURCES

    def expect(self, **changes) -> None:
        self.expected = dataclasses.replace(self.expected, **changes)

    def expect_input(self, position: int, **changes) -> None:
        inputs = list(self.expected.inputs)
        inputs[position] = dataclasses.replace(inputs[position], **changes)
        self.expect(inputs=tuple(inputs))

    def expect_parameter(self, **values) -> None:
        self.expect(parameters={**THRESHOLD, **values})

    def sibling(self, suffix: str, content: str) -> None:
        self.record_path.with_suffix(suffix).write_text(content)

    def status(self) -> Status:
        if self.record is not None:
            self.record_path.write_text(json.dumps(self.record))
        return check_result(self.expected, Checksums(self.results), FolderListings())


Change = Callable[[Result], object]


def together(*changes: Change) -> Change:
    return lambda result: [change(result) for change in changes]


def touch(*names: str) -> Change:
    return lambda result: [os.utime(getattr(result, name), (1, 1)) for name in names]


def write(name: str, content: bytes) -> Change:
    return lambda result: getattr(result, name).write_bytes(content)


def remove(*names: str) -> Change:
    return lambda result: [getattr(result, name).unlink() for name in names]


def expect(**changes) -> Change:
    return lambda result: result.expect(**changes)


def expect_parameter(**values) -> Change:
    return lambda result: result.expect_parameter(**values)


def fingerprint(**layout) -> Change:
    return expect(fingerprint={"layout": {**FINGERPRINT["layout"], **layout}})


def code(*sources: dict) -> Change:
    return expect(sources=lambda engine: list(sources))


def record(**changes) -> Change:
    return lambda result: result.record.update(changes)


def no_record(result: Result) -> None:
    result.record = None


def broken_record(content: str) -> Change:
    return together(no_record, lambda result: result.record_path.write_text(content))


def pending(position: int) -> Change:
    """Let a step make an input again first; its checksum is not known then."""
    return lambda result: result.expect_input(position, is_pending=True, sha256=None)


def inputs(*positions: int) -> Change:
    """Expect these of the inputs, in this order."""
    return lambda result: result.expect(inputs=tuple(result.inputs[position] for position in positions))


def no_first(result: Result) -> None:
    """Remove a recording, so that it is not found any more either."""
    result.first.unlink()
    result.expect(inputs=tuple(result.inputs[1:]))


def renamed_input(is_known: bool) -> Change:
    """Give a recording another name; `is_known`: the checksums of all recordings of today are."""

    def change(result: Result) -> None:
        new = result.first.rename(result.first.with_name("session.bin"))
        result.expect(allow_missing=True)
        result.expect_input(0, path=str(new), sha256=sha256(b"first") if is_known else None)
        result.expect_input(1, sha256=sha256(b"second") if is_known else None)

    return change


def failed(*only: str, **changes) -> Change:
    """Leave the note of an attempt that failed, as today's would; `only` these of its fields, with these changes."""

    def change(result: Result) -> None:
        assert result.record
        names = ("schema", "parameters", "fingerprint", "inputs", "sources", "tool")
        note = {name: result.record[name] for name in names}
        note |= {"error": "out of memory", "ended": "2024-05-01T12:00:00.000+00:00", **changes}
        result.sibling(".failed.json", json.dumps({name: note[name] for name in only or note}))

    return change


def interrupted(result: Result) -> None:
    result.sibling(".pending.json", '{"schema": 1}')


dropped = together(record(dropped={"at": "2024-05-01"}), remove("json", "npy"))


@dataclass
class Case:
    """What differs from a result that is done, and the status that follows; `more` are further attributes of it."""

    name: str
    change: Change
    state: str
    todo: str
    reasons: list[str]
    more: dict


def make(name: str, change: Change, state: str, *reasons: str, **more) -> Case:
    return Case(name, change, state, "make", list(reasons), more)


def maybe(name: str, change: Change, state: str, *reasons: str, **more) -> Case:
    return Case(name, change, state, "maybe", list(reasons), more)


def leave(name: str, change: Change, state: str, *reasons: str, **more) -> Case:
    return Case(name, change, state, "", list(reasons), more)
