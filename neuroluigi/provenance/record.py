"""The run record of one result: how it was made, in a JSON file beside it.

Paths in a record are relative to a root that it names ("results", "recordings"), so that records stay true when the
folders are copied or moved; a path outside both is absolute.

Readers pass over fields that they don't know, and a field that a record lacks contradicts nothing. So a later release
adds fields, such as the part of a raw file that an input is, without making an earlier result undone; `schema` grows
where a field changes its meaning, and read_record() gives records of every earlier schema as today's.
"""

import contextlib
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroluigi.provenance.files import as_object, read_json, read_stamped
from neuroluigi.provenance.locks import user_name

SCHEMA = 2

# The distributions whose code every step runs.
_OF_EVERY_STEP = ("neuroluigi", "luigi")

# What a step can be called, with the values of its filename_parameters.
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(-.*)?", re.DOTALL)


class RunStopped(Exception):
    """An error of the whole pipeline, in one line: a run ends with it before anything is made.

    Any other exception of requires() or complete() concerns one task: Luigi logs it and goes on with the rest.
    """


class NewerRecordError(RunStopped):
    """A run record of a later version, which this one can't read; the message has both versions, and what to do."""


def read_record(path: str | Path) -> dict | None:
    """Return the run record at `path`, in today's schema; None where there is none that can be read.

    Raises NewerRecordError for one of a later version: whether its result is done, this version can't tell.
    """
    return read_stamped_record(path)[0]


def read_stamped_record(path: str | Path) -> tuple[dict | None, os.stat_result | None]:
    """Return what read_record() does, and what the disk said of the file that was read."""
    try:
        content, found = read_stamped(path)
    except OSError:
        return None, None
    return _checked(path, as_object(content)), found


def _checked(path: str | Path, record: dict | None) -> dict | None:
    if not record:
        return None
    if _is_newer(path, record):
        versions = record.get("versions")
        writer = versions.get("neuroluigi") if isinstance(versions, Mapping) else None
        raise NewerRecordError(
            f"neuroluigi: {os.fspath(path)} was written by neuroluigi {writer or 'of a later version'}, with schema"
            f" {record['schema']}; this is neuroluigi {_version_of('neuroluigi')}, which reads up to schema {SCHEMA}:"
            " update it, or name another folder with --results-root"
        )
    return _in_todays_schema(record) if _is_record(record) else None


def _is_newer(path: str | Path, record: Mapping) -> bool:
    """Whether a later version wrote this record; not where it is a copy by another name."""
    schema = record.get("schema")
    if not (isinstance(schema, int) and schema > SCHEMA and isinstance(record.get("step"), str)):
        return False
    path = Path(path)
    return has_its_name(path.with_name(f"{path.name.removesuffix('.json').removesuffix('.pending')}.json"), record)


def checked_record(record: Mapping) -> dict:
    """Return a record as it will be read again; ValueError for one that would not be read as what it is."""
    read = json.loads(json.dumps(record))
    wrong = [name for name in record if read.get(name) != record[name]]
    if wrong or not _is_record(read):
        raise ValueError(f"{', '.join(map(str, wrong)) or 'it'} would not be read again from the run record as it is")
    return read


def has_its_name(path: Path, record: Mapping) -> bool:
    """Whether a record, or the note of a failure, has the name that its step and parameters gave it.

    A copy by another name, of a person or of a program that synchronises, is of no result. `path` is that of the
    record; `record` is {} where nothing there can be read.
    """
    if isinstance(log := record.get("log"), str):
        return log in (f"{path.stem}.log", f"{path.stem}.failed.log")
    if isinstance(step := record.get("step"), str):
        return f"{path.stem}-".startswith(f"{step}-")
    # It may have been ours, unless it has another content.
    content = read_json(path)
    return (not content or "schema" in content) and _NAME.fullmatch(path.stem) is not None


def without_paths(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fingerprint without the paths of recordings that a concatenation names: where they lie changes nothing.

    What they are is in the record's inputs, by checksum.
    """
    return {name: _without_paths_of_rows(one) if isinstance(one, Mapping) else one for name, one in fingerprint.items()}


def _without_paths_of_rows(concatenation: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(concatenation)
    for name in ("recordings", "excluded", "parts"):
        if isinstance(rows := found.get(name), (list, tuple)) and all(isinstance(row, Mapping) for row in rows):
            found[name] = [{key: value for key, value in row.items() if key != "path"} for row in rows]
    return found


def _in_todays_schema(record: dict) -> dict:
    if record["schema"] >= SCHEMA:
        return record
    # Schema 1 named code by another scheme: it is shown, and not compared.
    renamed = {"facts": "fingerprint", "freed": "dropped", "sources": "earlier_sources"}
    record = {renamed.get(name, name): value for name, value in record.items()}
    # It did not say which inputs are recordings.
    inputs = [one if one.get("root") == "results" else {**one, "recording": ""} for one in record.get("inputs", ())]
    fingerprint = without_paths(record.get("fingerprint", {}))
    return {**record, "schema": SCHEMA, "fingerprint": fingerprint, **({"inputs": inputs} if inputs else {})}


def is_recording(recorded: Mapping) -> bool:
    """Whether an input that a record names is a recording, and no other file of one: a/0, but not a/0/info.rhd."""
    name = recorded.get("recording", "")
    return name.count("/") == 1 or (not name and recorded.get("root") == "recordings")


def made_by(record: Mapping) -> str:
    """Return the engine that made a result, with its release or version: "octave 8.3.0"; "" if not recorded."""
    tool = record.get("tool", {})
    return f"{tool.get('engine', '')} {tool.get('release') or tool.get('version') or ''}".strip()


def engine_and_version(record: Mapping) -> tuple[str, str]:
    """Return (engine, release or version) of a result; the version of Python for a Python step."""
    tool = record.get("tool", {})
    version = tool.get("release") or tool.get("version") or record.get("versions", {}).get("python", "")
    return str(tool.get("engine", "?")), str(version)


def accepted_names(record: Mapping | None) -> set[str]:
    """Return the paths, in their root, of the outputs that somebody changed by hand and accepted: work of a person."""
    return {str(one.get("path")) for one in (record or {}).get("accepted", ())}


def recorded_code(record: Mapping) -> list[dict]:
    """Return the code that made a result, each {"path", "sha256"}; records of schema 1 named it by another scheme."""
    return record.get("sources") or record.get("earlier_sources") or []


def read_failure(record_path: str | Path) -> dict:
    """Return the note of the last failure of the step with that record; {} without one.

    It has the fields of a record as far as they were known, and `error`; `problem` where a recording was the reason.
    """
    failed = read_json(sibling_path(record_path, ".failed.json")) or {}
    if not isinstance(failed.get("error"), str):
        return {}
    # Of a note that is no whole record, what says what failed.
    texts = {name: failed[name] for name in ("error", "step", "log", "started") if isinstance(failed.get(name), str)}
    return failed if _is_record(failed) else texts


def _is_record(record: Mapping) -> bool:
    """Whether a record has all fields, of the right types, so that its readers need no further checks."""
    try:
        return (
            record["schema"] <= SCHEMA
            and all(isinstance(record.get(name, {}), dict) for name in _OBJECTS)
            and all(_is_file(one) for name in ("inputs", "outputs") for one in record.get(name, ()))
            and all(_are_sources(record[name]) for name in ("sources", "earlier_sources") if name in record)
            and all(isinstance(one.get("parameters", {}), dict) for one in record.get("requires", ()))
            and all(isinstance(value, str) for one in record.get("other_inputs", ()) for value in one.values())
            and all(isinstance(one.get("by", {}), dict) for one in record.get("accepted", ()))
            and all(isinstance(path, str) for path in record.get("changed_meanwhile", ()))
            and all(isinstance(record.get("tool", {}).get(name), (str, type(None))) for name in _TOOL)
        )
    except (KeyError, TypeError, AttributeError):
        return False


_OBJECTS = ("parameters", "fingerprint", "facts", "tool", "host", "versions")
_TOOL = ("engine", "release", "version")


def _are_sources(sources: Sequence[Mapping]) -> bool:
    # A record has dozens of them, and a plan reads tens of thousands of records.
    texts = [text for one in sources for text in (one["path"], one["sha256"])]
    return set(map(type, texts)) <= {str} and "\0" not in "".join(texts)


def _is_named(one: Mapping) -> bool:
    is_path = isinstance(one["path"], str) and "\0" not in one["path"]
    return is_path and isinstance(one.get("root"), (str, type(None))) and isinstance(one["sha256"], str)


def _is_file(one: Mapping) -> bool:
    is_measured = one["bytes"] >= 0 and isinstance(one["mtime_ns"], (int, type(None)))
    ignored = one.get("ignore", ())
    return _is_named(one) and is_measured and set(map(type, ignored)) <= {str} and not isinstance(ignored, str)


def is_outdated(failed: Mapping, record: Mapping) -> bool:
    """Whether the note of a failure is of an attempt before the one that made the result; not where that is unknown."""
    try:
        failed_at, made_at = (datetime.datetime.fromisoformat(str(one.get("ended"))) for one in (failed, record))
        return failed_at < made_at
    except (ValueError, TypeError):
        # No times, or times of which only one has a zone.
        return False


def sibling_path(record_path: str | Path, suffix: str) -> str:
    """Return the path of a file that lies beside a record, such as its log: ".log" in place of ".json"."""
    return os.fspath(record_path).removesuffix(".json") + suffix


def timestamp() -> str:
    """Return the time with its zone, to the millisecond."""
    return datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")


def describe_host() -> dict:
    """Return name, platform, cpus and user of this host. No environment variables: they hold passwords and tokens."""
    return dict(_host())


@functools.cache
def _host() -> dict:
    return {"name": platform.node(), "platform": platform.platform(), "cpus": os.cpu_count(), "user": user_name()}


def package_versions(distributions: Iterable[str] = ()) -> dict[str, str]:
    """Return the versions of Python, of what every step runs on, and of other installed distributions, by name."""
    found = {"python": sys.version.split()[0]}
    for name in dict.fromkeys((*_OF_EVERY_STEP, *distributions)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = _version_of(name)
    return found


@functools.cache
def _version_of(distribution: str) -> str:
    return importlib.metadata.version(distribution)


def is_version(found: str, wanted: str) -> bool:
    """Whether a version is the wanted one, or one below it: 8.3.1 is 8, and 8.3, but not 8.30 nor 83."""
    return found == wanted or found.startswith((f"{wanted}.", f"{wanted} "))
