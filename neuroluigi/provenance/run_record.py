"""The record of the last run on a folder of results: results/run.json, and where its log is."""

import contextlib
import datetime
import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroluigi.provenance import run_lock
from neuroluigi.provenance.files import read_json, write_json

SCHEMA = 1

# Git gets no more time than that.
_GIT_SECONDS = 5

_TYPES = {"command": list, "host": dict, "git": dict, "settings": list, "made": dict, "failed": list, "log": str}


def run_record_path(results: Path) -> Path:
    """Return the path of the record of the last run on these results."""
    return results / "run.json"


def run_log_path(results: Path) -> Path:
    """Return the path of the log of the last run on these results."""
    return results / "run.log"


def read_run_record(results: Path) -> dict | None:
    """Return the record of the last run on these results; None where there is none that this version understands."""
    record = read_json(run_record_path(results))
    return record if record and _is_record(record) else None


def _is_record(record: Mapping) -> bool:
    """Whether a record has all fields, of the right types, so that its readers need no further checks."""
    seconds, log = record.get("seconds", 0), record.get("log")
    return (
        isinstance(record.get("schema"), int)
        and record["schema"] <= SCHEMA
        and all(isinstance(record.get(name), kind) for name, kind in _TYPES.items())
        and _is_time(record.get("started"))
        and _is_time(record.get("ended", record["started"]))
        and isinstance(seconds, (int, float))
        and math.isfinite(seconds)
        and str(log).isascii()
        and str(log).isprintable()
    )


def _is_time(text: Any) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


def was_killed(results: Path, record: Mapping) -> bool:
    """Whether the run of that record has ended without recording its end."""
    of_process = (record["host"].get("name", ""), record.get("pid", 0))
    return "ended" not in record and not run_lock.is_running(results, str(record.get("run", "")), *of_process)


def write_run_record(results: Path, record: Mapping) -> None:
    """Write the record of a run, if that is possible."""
    with contextlib.suppress(OSError):
        write_json(run_record_path(results), record)


def git_state(folder: Path, without: Sequence[Path]) -> dict:
    """Return {"commit": hash, "is_clean": whether all files are as committed}; {} without Git or a repository.

    Files in the folders `without` do not count: data, not code.
    """
    top = folder.absolute()
    excluded = [path.relative_to(top).as_posix() for path in without if path.is_relative_to(top) and path != top]
    patterns = [f":(exclude,literal){path}" for path in excluded] + [":(exclude,glob)**/__pycache__/**"]
    # Without a lock that would stop a commit at the same time.
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--", ".", *patterns]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "")
    is_commit = len(commit) >= 40 and set(commit) <= set("0123456789abcdef")
    return {"commit": commit, "is_clean": all(line.startswith("#") for line in lines)} if is_commit else {}
