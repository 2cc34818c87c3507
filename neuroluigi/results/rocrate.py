"""`neuroluigi export rocrate`: the run records as a Workflow Run RO-Crate, for archives and other programs.

The profile is Process Run Crate 0.5 on RO-Crate 1.1. The crate is the folder of results as it is, with one file more:
nothing is copied. The entity of a file is named by its path where the file exists with the bytes that are meant, else
by a name within the document (`#...`): a recording, a result that was dropped, removed, or modified since.
"""

import contextlib
import datetime
import functools
import json
import math
import mimetypes
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from neuroluigi.provenance.checksums import Checksums
from neuroluigi.provenance.contents import measure, why_not_read
from neuroluigi.provenance.expected import name_of_other
from neuroluigi.provenance.files import path_in_root, write_text
from neuroluigi.provenance.record import is_outdated, made_by, read_record, recorded_code, sibling_path, timestamp
from neuroluigi.provenance.run_record import read_run_record, run_log_path, run_record_path
from neuroluigi.provenance.secret_values import masked, without_seals
from neuroluigi.results import recorded
from neuroluigi.results.status import ResultStatus
from neuroluigi.steps.config import RunStopped, record_folders, registered, results_root, roots_of_paths
from neuroluigi.steps.plan import status_of
from neuroluigi.steps.result_task import ResultTask

CRATE = "ro-crate-metadata.json"

_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]

# What each engine is, and its home page.
_TOOLS: Mapping[str, tuple[str, str]] = {
    "matlab": ("MATLAB", "https://www.mathworks.com/products/matlab.html"),
    "octave": ("GNU Octave", "https://octave.org/"),
    "numpy": ("NumPy, standing in for M-functions", "https://numpy.org/"),
    "python": ("Python", "https://www.python.org/"),
}

# The address of a content in this archive is its checksum, whether it was handed in there or not. A definition in
# Python, which has the checksum of what it says, has one too: the profile wants an address of all that made a result.
_CONTENT = "https://archive.softwareheritage.org/browse/content/sha256:{}/"

_URL = re.compile(r'https?://[^\s<>"{}|\\^`]+')

_ELSEWHERE = "it lies outside of the folder of results"


@dataclass(frozen=True)
class About:
    """Facts on the crate as a whole that are in no record; "" where not given. `organization` is a URL and a name."""

    name: str = ""
    description: str = ""
    license: str = ""
    organization: tuple[str, str] | None = None

    def missing(self) -> list[str]:
        """Return a line for each thing that those who get the crate will miss."""
        lines = []
        if not self.license:
            lines.append("no licence: nobody may use the results; add --license URL, such as that of CC BY 4.0")
        if not self.organization:
            lines.append("no organization that answers for the results; add --organization URL NAME")
        return lines


@dataclass
class Written:
    """The crate that was written: its numbers of results and failures, and of files within it and elsewhere."""

    path: Path
    results: int = 0
    failures: int = 0
    files: int = 0
    elsewhere: int = 0
    unreadable: list[Path] = field(default_factory=list)


def write_crate(about: About, steps: Mapping[Path, ResultTask]) -> Written:
    """Write the crate of all run records; RunStopped where there are none, or where it can't be written.

    `steps` are those of today, where these are known, by the paths of their records.
    """
    for url in filter(None, (about.license, *(about.organization or ())[:1])):
        if not _URL.fullmatch(url):
            raise RunStopped(f"neuroluigi: {url!r} is no URL, such as https://creativecommons.org/licenses/by/4.0/")
    root = results_root()
    entries = list(recorded.recorded_results(*record_folders(), planned=steps))
    if not any(entry.path.is_relative_to(root) for entry in entries):
        raise RunStopped(f"neuroluigi: there are no run records in {root}")
    graph = _Graph(_files_of_today(entries, root), about)
    found = Written(root / CRATE, unreadable=[one.path for one in entries if one.record is None and one.path.exists()])
    for entry in entries:
        graph.add_outputs(entry)
    for entry in entries:
        found.results += graph.add_action(entry, entry.record)
        found.failures += graph.add_action(entry, _failure(entry, steps.get(entry.path)), ".failed")
    run = read_run_record(root)
    for path in (run_record_path(root), root / run["log"] if run else run_log_path(root)):
        if path.is_file():
            graph.add_beside(path)
    found.files = len(graph.parts)
    found.elsewhere = sum(one["@type"] in ("File", "Dataset") for one in graph.entities.values()) - found.files
    with recorded.writing(root), registered("neuroluigi export rocrate"):
        write_text(found.path, _as_text(graph.crate(timestamp()[:10])))
    return found


def _failure(entry: recorded.RecordedResult, step: ResultTask | None) -> dict | None:
    """Return the note of the last failure unless it is history: by the status of today's step, else by the records."""
    failed = read_record(sibling_path(entry.path, ".failed.json"))
    if not failed or not isinstance(failed.get("error"), str):
        return None
    if step is not None:
        with contextlib.suppress(Exception):
            return failed if ResultStatus("", entry.step, step, status_of(step)).failure else None
    return None if is_outdated(failed, entry.record or {}) else failed


def _as_text(graph: Iterable[Mapping]) -> str:
    """Return JSON with a line per entity, so that two crates can be compared."""
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in graph)
    return f'{{"@context": {json.dumps(_CONTEXT)}, "@graph": [\n{lines}\n]}}\n'


def _files_of_today(entries: Iterable[recorded.RecordedResult], root: Path) -> dict[str, dict]:
    """Return bytes and sha256 of each file of the records that is there, by its path below `root`."""
    checksums, found = Checksums(root), {}
    for entry in entries:
        for path, one in entry.outputs.items():
            if one.get("root") != "results" or ".." in PurePosixPath(one["path"]).parts or why_not_read(path):
                continue
            with contextlib.suppress(OSError):
                ignore = one.get("ignore", ())
                if there := measure(path, ignore):
                    sha256 = one["sha256"] if there.matches(one) else checksums.of(os.fspath(path), ignore)
                    found[one["path"]] = {**there.described(), "sha256": sha256}
    return found


class _Graph:
    """The entities of a crate by their @id; `parts` are the files that are in it, `actions` what made them."""

    def __init__(self, there: Mapping[str, Mapping], about: About):
        self.entities: dict[str, dict] = {}
        self.parts: list[str] = []
        self.actions: list[str] = []
        self.steps: set[str] = set()
        self._there = there
        self._about = about
        self._roots = roots_of_paths()

    def add(self, entity: dict) -> str:
        """Add an entity unless it is known, and return its @id."""
        return self.entities.setdefault(entity["@id"], entity)["@id"]

    def add_outputs(self, entry: recorded.RecordedResult) -> None:
        """Add the files that a record names, with what only the record of their maker knows of them."""
        record = entry.record or {}
        edits = {str(one.get("path")): one for one in record.get("accepted", ())}
        for one in record.get("outputs", ()):
            notes = [_acceptance(edits[one["path"]])] if one["path"] in edits else []
            if record.get("dropped"):
                notes.append(f"its bytes were dropped on {record['dropped']}")
            self.add_file(one, notes)
            today = self._there.get(one["path"]) if one.get("root") == "results" else None
            if today and today["sha256"] != one["sha256"]:
                self.add_file({**one, **today}, [f"modified since {entry.step} made it"])

    def add_file(self, one: Mapping, notes: Sequence[str] = ()) -> str:
        """Add a file that a record describes, and return its @id."""
        root, path = one.get("root"), one["path"]
        is_there = root == "results" and self._there.get(path, {}).get("sha256") == one["sha256"]
        if not is_there:
            why = "no file of this name has these bytes" if root == "results" else _ELSEWHERE
            notes = [*notes, f"not in this crate: {why}"]
        local = f"{_local(one)}@{one['sha256'][:12]}"
        identifier, kind = quote(path) if is_there else local, "File"
        known = {"contentSize": str(one["bytes"]), "sha256": one["sha256"]}
        if one.get("ignore") and "files" not in one:
            # Where other files lie is rewritten, and with it the size.
            known = {}
            notes = [f"sha256 {one['sha256']} of its content without {', '.join(one['ignore'])}", *notes]
        if "files" in one:
            # Of a folder, the crate has no size and no checksum.
            identifier, kind, known = f"{identifier}/", "Dataset", {}
            notes = [f"{one['files']} files, {one['bytes']} bytes, manifest with sha256 {one['sha256']}", *notes]
        return self._add_file(identifier, path, is_there, {**known, "description": "; ".join(notes)}, kind)

    def add_beside(self, path: Path) -> str:
        """Add a file that is there and that no record describes, such as a log, and return its @id."""
        place = path_in_root(path, self._roots)
        is_there = place.get("root") == "results"
        known = {} if is_there else {"description": f"not in this crate: {_ELSEWHERE}"}
        return self._add_file(quote(place["path"]) if is_there else _local(place), place["path"], is_there, known)

    def _add_file(self, identifier: str, name: str, is_there: bool, known: Mapping, kind: str = "File") -> str:
        if identifier not in self.entities and is_there:
            self.parts.append(identifier)
        encoding = _encoding(PurePosixPath(name).suffix.lower()) if kind == "File" else ""
        return self.add(_entity(identifier, kind, name=name, encodingFormat=encoding, **known))

    def add_action(self, entry: recorded.RecordedResult, record: Mapping | None, failed: str = "") -> bool:
        """Add the run that a record describes, or its failure (`failed`); return whether there is such a record."""
        if not record:
            return False
        files = [entry.path.with_suffix(f"{failed}{kind}") for kind in (".log", ".json", ".sha256")]
        place = path_in_root(files[1], self._roots)
        inputs = [self.add_file(one) for one in record.get("inputs", ())]
        inputs += [self._add_other_input(one) for one in record.get("other_inputs", ())]
        outputs = [self.add_file(one) for one in record.get("outputs", ())]
        action = _entity(
            f"#run/{_local(place)[1:]}",
            "CreateAction",
            name=f"{entry.path.stem} in {PurePosixPath(place['path']).parent.parent}",
            description=_details(record),
            startTime=_utc(record.get("started")),
            endTime=_utc(record.get("ended")),
            instrument=_ids([self._add_tool(record), *map(self._add_source, recorded_code(record))]),
            agent=_ids([self._add_agent(record.get("host", {}))]),
            object=_ids([*inputs, *self._add_parameters(record)]),
            result=_ids([*outputs, *(self.add_beside(file) for file in files if file.is_file())]),
            actionStatus=f"http://schema.org/{'Failed' if failed else 'Completed'}ActionStatus",
            error=record["error"] if failed else None,
        )
        self.actions.append(self.add(action))
        self.steps.add(entry.step)
        return True

    def _add_other_input(self, one: Mapping[str, str]) -> str:
        kind, name = one.get("class", ""), name_of_other(one)
        note = f"{kind}; no file, and not in this crate"
        return self.add(
            _entity(f"#input/{quote(f'{kind} {name}', safe='')}", "CreativeWork", name=name, description=note)
        )

    def _add_tool(self, record: Mapping) -> str:
        tool = record.get("tool", {})
        engine = str(tool.get("engine") or record.get("step"))
        version = tool.get("release") or tool.get("version")
        if engine == "python":
            version = record.get("versions", {}).get("python")
        version = str(version or "")
        name, page = _TOOLS.get(engine, (engine, str(tool.get("home_page"))))
        page = page.partition("#")[0] if _URL.fullmatch(page) else ""
        identifier = f"{page}#{quote(version)}" if page else f"#program/{quote(engine, safe='')}@{quote(version)}"
        return self.add(_entity(identifier, "SoftwareApplication", name=name, url=page, softwareVersion=version))

    def _add_source(self, source: Mapping) -> str:
        address = _CONTENT.format(quote(source["sha256"]))
        return self.add(
            _entity(
                address,
                "SoftwareSourceCode",
                name=source["path"],
                url=address,
                version=source["sha256"],
                programmingLanguage="MATLAB" if source["path"].endswith(".m") else "Python",
            )
        )

    def _add_agent(self, host: Mapping) -> str:
        user, machine = str(host.get("user") or ""), str(host.get("name") or "")
        name = user or f"unknown user of {machine or 'an unknown machine'}"
        identifier = f"#person/{quote(user, safe='')}@{quote(machine, safe='')}"
        return self.add(_entity(identifier, "Person", name=name, affiliation=_ids(self._organization())))

    def _add_parameters(self, record: Mapping) -> Iterator[str]:
        variant = {"variant": record["variant"]} if record.get("variant") else {}
        for name, value in {**variant, **masked(record.get("parameters", {}))}.items():
            # A parameter that is blank says nothing.
            if value not in (None, "", []):
                shown = without_seals(str(value)) if isinstance(value, str) or not _has_json(value) else value
                fragment = quote(f"{name}={json.dumps(shown, ensure_ascii=False)}", safe="")
                yield self.add(_entity(f"#parameter/{fragment}", "PropertyValue", name=name, value=shown))

    def _organization(self) -> list[str]:
        return [self._about.organization[0]] if self._about.organization else []

    def crate(self, date: str) -> list[dict]:
        """Return all entities, those that every crate has first."""
        about, licence = self._about, self._about.license
        people = [one["@id"] for one in self.entities.values() if one["@type"] == "Person"]
        root = _entity(
            "./",
            "Dataset",
            conformsTo=_ids([_PROFILE]),
            name=about.name or "Results of a neuroluigi pipeline",
            description=about.description or f"{len(self.actions)} runs of the steps {', '.join(sorted(self.steps))}",
            datePublished=date,
            license=_ids([licence]) if licence else "No licence is given: ask those who made it before you use it.",
            author=_ids(people),
            publisher=_ids(self._organization()),
            hasPart=_ids(self.parts),
            mentions=_ids(self.actions),
        )
        descriptor = _entity(
            CRATE, "CreativeWork", conformsTo=_ids(["https://w3id.org/ro/crate/1.1"]), about=_ids(["./"])
        )
        profile = _entity(_PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
        first = [descriptor, root, profile]
        if licence:
            first.append(_entity(licence, "CreativeWork", name=licence, url=licence))
        if about.organization:
            url, name = about.organization
            first.append(_entity(url, "Organization", name=name, url=url))
        return [*first, *self.entities.values()]


def _entity(identifier: str, kind: str, **properties: object) -> dict:
    """Return an entity with those properties that have a value."""
    known = {name: value for name, value in properties.items() if value not in (None, "", [])}
    return {"@id": identifier, "@type": kind, **known}


def _ids(identifiers: Iterable[str]) -> dict | list[dict]:
    """Return references, a single one as itself: RO-Crate knows no lists of one."""
    found = [{"@id": one} for one in dict.fromkeys(identifiers)]
    return found[0] if len(found) == 1 else found


def _local(place: Mapping) -> str:
    """Return the name that a place in a record has in this document alone."""
    return f"#{quote(str(place.get('root', '')))}/{quote(place['path'])}"


@functools.cache
def _encoding(suffix: str) -> str:
    known = {".log": "text/plain", ".sha256": "text/plain"}
    # Not mimetypes.guess_type: that asks the machine, too, and the answer differs.
    return known.get(suffix) or mimetypes.MimeTypes().guess_type(f"x{suffix}")[0] or "application/octet-stream"


def _utc(time: object) -> str:
    """Return a time of a record in the form that readers of the profile accept; "" where it is not a time."""
    try:
        parsed = datetime.datetime.fromisoformat(str(time)).astimezone(datetime.timezone.utc)
        return parsed.isoformat(timespec="milliseconds")
    except (TypeError, ValueError):
        return ""


def _details(record: Mapping) -> str:
    host = record.get("host", {})
    variant = f" of variant {record['variant']}" if record.get("variant") else ""
    where = f"{record.get('step')}{variant}, {made_by(record)} on {host.get('name', '?')} ({host.get('platform', '?')})"
    values = [f"{name} {value}" for name, value in masked(record.get("parameters", {})).items() if value is not None]
    return without_seals("; ".join([where, *values, f"{record.get('seconds', '?')} s"]))


def _acceptance(one: Mapping) -> str:
    by = one.get("by", {})
    return f"modified by hand and accepted by {by.get('user', '?')} on {one.get('at', '?')}: {one.get('reason', '')}"


def _has_json(value: object) -> bool:
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))
