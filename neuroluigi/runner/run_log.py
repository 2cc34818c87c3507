"""The record of a run, results/run.json, and its log lines, results/run.log.

A run that starts no step keeps those of the last one that did. Where they can't be written the run goes on without.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import luigi

from neuroluigi.provenance import register, run_lock
from neuroluigi.provenance.record import describe_host, package_versions, timestamp
from neuroluigi.provenance.run_record import SCHEMA, git_state, run_log_path, write_run_record
from neuroluigi.runner.options import in_force, without_secrets
from neuroluigi.runner.worker import Worker
from neuroluigi.steps.config import recordings_root
from neuroluigi.steps.lab_folder import current_folder
from neuroluigi.steps.spawn import INTERRUPTED, CarriedHandler

logger = logging.getLogger("luigi-interface")


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
        """Write to `path` from now on; first the lines so far."""
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


def describe_run(root: luigi.Task, command: Sequence[str], results: Path) -> dict:
    """Return the record of a run before anything is made. Needs a command line."""
    return {
        "schema": SCHEMA,
        "command": without_secrets(command),
        "folder": str(current_folder()),
        "root": root.task_family,
        "started": timestamp(),
        "host": describe_host(),
        "versions": package_versions(),
        "git": git_state(_folder_of(root), (results, recordings_root())),
        "settings": [one._asdict() for one in in_force(root)],
        "made": {},
        "unchanged": {},
        "failed": [],
        "log": run_log_path(results).name,
    }


class RunRecorder:
    """Keeps the record and the log of one run, as a context around it: they end with the run, however it ends.

    Without `results` it keeps nothing: for a part of a run whose record is written elsewhere.
    """

    def __init__(self, command: Sequence[str], results: Path | None):
        self._command = command
        self._results = results
        self._started, self._monotonic = timestamp(), time.monotonic()
        self._record: dict | None = None
        self._worker: Worker | None = None
        # How the run ends, unless something stops it.
        self.exit_code = 0
        self.log = RunLog() if results else RunLog(Path(os.devnull))

    def __enter__(self) -> "RunRecorder":
        return self

    def begin(self, root: luigi.Task, worker: Worker) -> bool:
        """Begin record and log, before the first step; return False where they have begun."""
        if self._worker is not None:
            return False
        self._worker = worker
        if self._results:
            of_process = {"started": self._started, "pid": os.getpid(), "workers": worker.worker_processes}
            if own := register.current(self._results):
                of_process["run"] = own.id
            self._record = {**describe_run(root, self._command, self._results), **of_process}
            write_run_record(self._results, self._record)
            self.log.open(run_log_path(self._results), is_emptied=not run_lock.others(self._results))
        return True

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        logger.removeHandler(self.log)
        self.log.close()
        if self._record is None or self._worker is None or self._results is None:
            return
        counts = {what: dict(sorted(of.items())) for what, of in self._worker.outcomes.items()}
        seconds = round(time.monotonic() - self._monotonic, 3)
        self._record.update(ended=timestamp(), seconds=seconds, failed=self._worker.failed, **counts)
        if error:
            self.exit_code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        self._record["exit_code"] = self.exit_code
        write_run_record(self._results, self._record)


def _folder_of(task: luigi.Task) -> Path:
    file = getattr(sys.modules.get(type(task).__module__), "__file__", None)
    return Path(file).absolute().parent if file else current_folder()
