"""The run record of one result: how it was made, in a JSON file beside it.

Paths in a record are relative to a root that it names ("results", "recordings"), so that records stay true when the
folders are copied or moved; a path outside both is absolute.
"""

import contextlib
import datetime
import functools
import getpass
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import psutil

SCHEMA = 1

# Packages whose versions can change a result.
PACKAGES = ("neuroluigi", "luigi", "numpy", "matplotlib")

_BLOCK = 1 << 20
# The last lines of a log are looked for in so much of it.
_TAIL_BYTES = 1 << 16
_PART = re.compile(r".*\.part-(?P<host>.+)-(?P<pid>\d+)-\d+(\.\w+)?")
_counter = count()


def read(path: str | Path) -> dict | None:
    """Return the run record at `path`; None where there is none that can be read, or that this version understands."""
    record = read_json(path)
    return record if record and _is_record(record) else None


def read_json(path: str | Path) -> dict | None:
    """Return the content of a JSON file, None where it is no object or can't be read."""
    try:
        # Half the system calls of open(); a look reads tens of thousands.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            text = os.read(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def made_by(record: Mapping) -> str:
    """Return the tool that made a result, with its release or version."""
    tool = record.get("tool", {})
    return f"{tool.get('engine', '')} {tool.get('release') or tool.get('version') or ''}".strip()


def maker(record: Mapping) -> tuple[str, str]:
    """Return the engine that made a result, and its release or version; of a Python step that of Python."""
    tool = record.get("tool", {})
    version = tool.get("release") or tool.get("version") or record.get("versions", {}).get("python", "")
    return str(tool.get("engine", "?")), str(version)


def failure(record_path: str | Path) -> dict:
    """Return what is recorded of a failure of the step whose record that is: error and started; {} without one."""
    failed = read_json(beside(record_path, ".failed.json")) or {}
    return failed if isinstance(failed.get("error"), str) else {}


def _is_record(record: Mapping) -> bool:
    """Whether a record has what it should, as it should be: others read it without looking twice."""
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


def write(path: Path, record: dict) -> None:
    """Write a record so that a kill or a power cut leaves the old one or the new one whole."""
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file whole, as `write` does."""
    part = part_path(path)
    try:
        # A folder's name may have bytes that are no text; Python's json reads them back.
        with part.open("w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def part_path(path: Path) -> Path:
    """Return a temporary path in the folder of `path`, with its extension, that says which process it belongs to."""
    owner = f"{socket.gethostname()}-{os.getpid()}-{next(_counter)}"
    return path.with_name(f"{path.stem}.part-{owner}{path.suffix}")


def remove(path: Path) -> None:
    """Remove a file, or the folder that a step made in place of one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_abandoned(part: Path) -> bool:
    """Whether the process that a temporary path belongs to is gone; false for one of another host: who knows."""
    match = _PART.fullmatch(part.name)
    return is_of(part, socket.gethostname()) and not psutil.pid_exists(int(match["pid"]))


def clear_away(folder: Path, pattern: str = "*.part-*") -> None:
    """Remove the temporary files in a folder whose processes, of this host, are gone. Raises OSError."""
    for part in folder.glob(pattern):
        if is_abandoned(part):
            remove(part)


def is_of(part: Path, host: str) -> bool:
    """Whether a temporary path belongs to a process of that host."""
    match = _PART.fullmatch(part.name)
    return bool(match) and match["host"] == host


def sync_folder(folder: Path) -> None:
    """Make the renames in `folder` last through a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def describe_file(path: Path, roots: Mapping[str, Path], sha256: str | None = None) -> dict:
    """Return path (relative to one of `roots`), size, mtime and sha256 of a file."""
    stat = path.stat()
    return {
        **place(path, roots),
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": sha256 or hash_file(path),
    }


def place(path: str | Path, roots: Mapping[str, str | Path]) -> dict:
    """Return {"root": name, "path": path within it} of an absolute path; {"path": path} where it is in no root."""
    text = os.fspath(path)
    for name, root in roots.items():
        top = os.fspath(root).rstrip(os.sep)
        if text.startswith(top) and text[len(top)] == os.sep:
            return {"root": name, "path": text[len(top) + 1 :].replace(os.sep, "/")}
    return {"path": text.replace(os.sep, "/")}


def beside(record_path: str | Path, suffix: str) -> str:
    """Return the path of a file that lies beside a record, such as its log: ".log" in place of ".json"."""
    return os.fspath(record_path).removesuffix(".json") + suffix


def last_lines(path: str | Path, count: int) -> list[str]:
    """Return the last lines of a log; none where it can't be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []


def hash_file(path: str | Path, say: Callable[[int], None] = lambda size: None) -> str:
    """Return the sha256 of a file's bytes, as hexadecimal digits; `say` hears of each block that is read, its bytes."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            say(len(block))
    return digest.hexdigest()


def now() -> str:
    """Return the time with its zone, to the millisecond."""
    return datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")


def host() -> dict:
    """Return where and by whom something is made. No environment variables: they hold passwords and tokens."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # Windows; a container without an entry for this user
        user = ""
    return {"name": platform.node(), "platform": platform.platform(), "cpus": os.cpu_count(), "user": user}


@functools.cache
def versions() -> dict:
    """Return the versions of Python and of the packages that can change a result."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
