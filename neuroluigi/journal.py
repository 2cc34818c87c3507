"""The record of the last run of the `luigi` command, results/run.json, and its log lines, results/run.log.

A run that starts no step leaves those of the last one that did. Where they can't be written the run goes on without.
"""

import contextlib
import datetime
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import luigi

from neuroluigi import records, runs
from neuroluigi.settings import CarriedHandler, in_force, recordings_root, without_secrets
from neuroluigi.task import INTERRUPTED
from neuroluigi.worker import Worker

logger = logging.getLogger("luigi-interface")

SCHEMA = 1

# Longer than that Git is not waited for.
_GIT_SECONDS = 5

_TYPES = {"command": list, "host": dict, "git": dict, "settings": list, "made": dict, "failed": list, "log": str}


def record_path(results: Path) -> Path:
    """Return the path of the record of the last run on these results."""
    return results / "run.json"


def log_path(results: Path) -> Path:
    """Return the path of the log of the last run on these results."""
    return results / "run.log"


def read(results: Path) -> dict | None:
    """Return the record of the last run on these results; None where there is none that this version understands."""
    record = records.read_json(record_path(results))
    return record if record and _is_record(record) else None


def _is_record(record: Mapping) -> bool:
    """Whether a record has what it should, as it should be: who reads it does not look twice."""
    seconds, log = record.get("seconds", 0), record.get("log")
    return (
        isinstance(record.get("schema"), int)
        and record["schema"] <= SCHEMA
        and all(isinstance(record.get(name), kind) for name, kind in _TYPES.items())
        and _is_time(record.get("started"))
        and _is_time(record.get("ended", record["started"]))
        and isinstance(seconds, (int, float))
        and math.isfinite(seconds)
        and log.isascii()
        and log.isprintable()
    )


def _is_time(text: object) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


def was_killed(results: Path, record: Mapping) -> bool:
    """Whether the run of that record ended without a word."""
    return "ended" not in record and not runs.is_running(results, record["host"].get("name", ""), record.get("pid", 0))


class RunLog(CarriedHandler):
    """Appends each log line of the run, and of its processes, to one file.

    One write per line and no buffer, so that lines of several processes don't mix and a fork copies nothing half
    written.
    """

    def __init__(self, path: Path | None = None):
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._waiting: list[bytes] = []
        if path:
            self.open(path)

    def __reduce__(self):
        return RunLog, (self._path,)

    def open(self, path: Path, is_emptied: bool = False) -> None:
        """Write to `path` from now on, first of all what was said before."""
        self._path = path
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if is_emptied else 0)
            self._descriptor = os.open(path, flags, 0o666)
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            self._write(line)

    def pass_on(self, line: str) -> None:
        """Append a line, or keep it until there is a file."""
        data = f"{line}\n".encode(errors="backslashreplace")
        if self._path:
            self._write(data)
        else:
            self._waiting.append(data)

    def _write(self, line: bytes) -> None:
        # A full disk makes no run fail.
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, line)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        super().close()


def about(root: luigi.Task, command: Sequence[str], results: Path) -> dict:
    """Return what a record says of a run before anything is made. Needs a command line."""
    return {
        "schema": SCHEMA,
        "command": without_secrets(command),
        "folder": str(Path.cwd()),
        "root": root.task_family,
        "started": records.now(),
        "host": records.host(),
        "versions": records.versions(),
        "git": git_state(_folder_of(root), (results, recordings_root())),
        "settings": [one._asdict() for one in in_force(root)],
        "made": {},
        "unchanged": {},
        "failed": [],
        "log": log_path(results).name,
    }


def write(results: Path, record: Mapping) -> None:
    """Write the record of a run, if that is possible."""
    with contextlib.suppress(OSError):
        records.write(record_path(results), record)


class Journal:
    """Keeps the record and the log of one run, as a context around it: it ends with the run, however that ends.

    Without `results` it keeps nothing: for a part of a run whose record somebody else writes.
    """

    def __init__(self, argv: Sequence[str], results: Path | None):
        self._command = ["luigi", *argv]
        self._results = results
        self._started, self._monotonic = records.now(), time.monotonic()
        self._record: dict | None = None
        self._worker: Worker | None = None
        # How the run ends, unless something stops it.
        self.exit_code = 0
        self.log = RunLog() if results else RunLog(Path(os.devnull))

    def __enter__(self) -> "Journal":
        return self

    def begin(self, root: luigi.Task, worker: Worker) -> bool:
        """Write down that the run is about to start its first step; false where it has started one."""
        if self._worker is not None:
            return False
        self._worker = worker
        if self._results:
            of_process = {"started": self._started, "pid": os.getpid(), "workers": worker.worker_processes}
            with contextlib.suppress(OSError):
                records.clear_away(self._results, "run.part-*")
            self._record = {**about(root, self._command, self._results), **of_process}
            write(self._results, self._record)
            self.log.open(log_path(self._results), is_emptied=not runs.others(self._results))
        return True

    def __exit__(self, kind, error, traceback) -> None:
        logger.removeHandler(self.log)
        self.log.close()
        if self._record is None:
            return
        counts = {what: dict(sorted(of.items())) for what, of in self._worker.outcomes.items()}
        seconds = round(time.monotonic() - self._monotonic, 3)
        self._record.update(ended=records.now(), seconds=seconds, failed=self._worker.failed, **counts)
        if error:
            self.exit_code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        self._record["exit_code"] = self.exit_code
        write(self._results, self._record)


def _folder_of(task: luigi.Task) -> Path:
    file = getattr(sys.modules.get(type(task).__module__), "__file__", None)
    return Path(file).absolute().parent if file else Path.cwd()


def git_state(folder: Path, without: Sequence[Path]) -> dict:
    """Return the commit of a folder, and whether all in it is as committed; {} without Git or a repository.

    `without` are folders whose files do not count: data, not code.
    """
    top = folder.absolute()
    apart = [path.relative_to(top).as_posix() for path in without if path.is_relative_to(top) and path != top]
    excluded = [f":(exclude,literal){path}" for path in apart] + [":(exclude,glob)**/__pycache__/**"]
    # No lock that could be in the way of someone who commits meanwhile.
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--", ".", *excluded]
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
