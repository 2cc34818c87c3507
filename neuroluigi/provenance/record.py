"""The run record of one result: how it was made, in a JSON file beside it.

Paths in a record are relative to a root that it names ("results", "recordings"), so that records stay true when the
folders are copied or moved; a path outside both is absolute.
"""

import contextlib
import datetime
import functools
import getpass
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from neuroluigi.provenance.files import read_json

SCHEMA = 1

# Packages whose versions can change a result.
PACKAGES = ("neuroluigi", "luigi", "numpy", "matplotlib")


def read_record(path: str | Path) -> dict | None:
    """Return the run record at `path`; None where there is none, or none that this version can read."""
    record = read_json(path)
    return record if record and _is_record(record) else None


def made_by(record: Mapping) -> str:
    """Return the engine that made a result, with its release or version: "octave 8.3.0"; "" if not recorded."""
    tool = record.get("tool", {})
    return f"{tool.get('engine', '')} {tool.get('release') or tool.get('version') or ''}".strip()


def engine_and_version(record: Mapping) -> tuple[str, str]:
    """Return (engine, release or version) of a result; the version of Python for a Python step."""
    tool = record.get("tool", {})
    version = tool.get("release") or tool.get("version") or record.get("versions", {}).get("python", "")
    return str(tool.get("engine", "?")), str(version)


def read_failure(record_path: str | Path) -> dict:
    """Return the recorded failure of the step with that record, with its keys error and started; {} without one."""
    failed = read_json(sibling_path(record_path, ".failed.json")) or {}
    return failed if isinstance(failed.get("error"), str) else {}


def _is_record(record: Mapping) -> bool:
    """Whether a record has all fields, of the right types, so that its readers need no further checks."""
    try:
        return (
            record["schema"] <= SCHEMA
            and all(isinstance(record.get(name, {}), dict) for name in _OBJECTS)
            and all(_is_file(one) for name in ("inputs", "outputs") for one in record.get(name, ()))
            and all(_is_named(one) for one in record.get("sources", ()))
            and all(isinstance(one.get("by", {}), dict) for one in record.get("accepted", ()))
            and all(isinstance(record.get("tool", {}).get(name), (str, type(None))) for name in _TOOL)
        )
    except (KeyError, TypeError, AttributeError):
        return False


_OBJECTS = ("parameters", "facts", "tool", "host", "versions")
_TOOL = ("engine", "release", "version")


def _is_named(one: Mapping) -> bool:
    is_path = isinstance(one["path"], str) and "\0" not in one["path"]
    return is_path and isinstance(one.get("root"), (str, type(None))) and isinstance(one["sha256"], str)


def _is_file(one: Mapping) -> bool:
    return _is_named(one) and one["bytes"] >= 0 and one["mtime_ns"] >= 0


def sibling_path(record_path: str | Path, suffix: str) -> str:
    """Return the path of a file that lies beside a record, such as its log: ".log" in place of ".json"."""
    return os.fspath(record_path).removesuffix(".json") + suffix


def timestamp() -> str:
    """Return the time with its zone, to the millisecond."""
    return datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")


def describe_host() -> dict:
    """Return name, platform, cpus and user of this host. No environment variables: they hold passwords and tokens."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # Windows; a container without an entry for this user
        user = ""
    return {"name": platform.node(), "platform": platform.platform(), "cpus": os.cpu_count(), "user": user}


@functools.cache
def package_versions() -> dict:
    """Return the versions of Python and of the packages that can change a result."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def is_version(found: str, wanted: str) -> bool:
    """Whether a version is the wanted one, or one below it: 8.3.1 is 8, and 8.3, but not 8.30 nor 83."""
    return found == wanted or found.startswith((f"{wanted}.", f"{wanted} "))
