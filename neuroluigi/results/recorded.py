"""Results as their run records describe them: each with its files, logs and record."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroluigi.provenance.files import hash_file
from neuroluigi.provenance.record import read_failure, read_record
from neuroluigi.steps.config import RunStopped, recordings, recordings_root, results_root, roots_of_paths, setting

COMMIT_INTERRUPTED = "a commit was interrupted, or is under way; the next run finishes it"


@dataclass(frozen=True)
class RecordedResult:
    """One result as its run record, or the note of its failure, describes it. `path` is the path of the record.

    `group` is "" for a result that belongs to no group of today, or to all.
    """

    path: Path
    record: Mapping | None
    step: str
    group: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the files that the record names."""
        return self.path.parent.parent

    @property
    def outputs(self) -> dict[Path, Mapping]:
        """The recorded description of each file."""
        return {located(one): one for one in (self.record or {}).get("outputs", ())}

    @property
    def files(self) -> list[Path]:
        """The files of the record that exist."""
        return [path for path in self.outputs if path.is_file()]

    @property
    def traces(self) -> list[Path]:
        """The files beside the results that exist: notes of a failure, logs, and last the record."""
        suffixes = (".failed.json", ".failed.log", ".log", ".json")
        return [path for suffix in suffixes if (path := self.path.with_suffix(suffix)).is_file()]


def recorded_results(*folders: Path) -> Iterator[RecordedResult]:
    """Yield the results that were made, or failed, in these folders, by their records alone."""
    for folder in run_folders(folders):
        names = {re.sub(r"(\.failed|\.pending)?\.json$", ".json", path.name) for path in folder.glob("*.json")}
        for path in sorted(folder / name for name in names if ".part-" not in name):
            record = read_record(path)
            known = record or read_failure(path)
            yield RecordedResult(path, record, str(known.get("step", "")))


def run_folders(folders: Iterable[Path]) -> list[Path]:
    """Return all folders of run records below these folders, sorted."""
    found = {Path(top, "runs") for root in folders for top, below, _ in os.walk(root) if "runs" in below}
    return sorted(found)


def record_folders() -> list[Path]:
    """Return the folders in which there may be run records; steps write nothing among real recordings."""
    return [results_root()] if setting(recordings).are_real() else [results_root(), recordings_root()]


def located(place: Mapping) -> Path:
    """Return today's path of a file that a record names; an absolute path stays as it is."""
    return roots_of_paths().get(place.get("root", ""), Path()) / place["path"]


def differs(path: Path, output: Mapping) -> bool:
    """Return whether a file has other bytes than recorded. Raises OSError."""
    stat = path.stat()
    if (stat.st_size, stat.st_mtime_ns) == (output["bytes"], output["mtime_ns"]):
        return False
    return stat.st_size != output["bytes"] or hash_file(path) != output["sha256"]


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError while writing into a RunStopped with one line."""
    try:
        yield
    except OSError as error:
        raise RunStopped(f"neuroluigi: can't write to {folder}: {error}") from error
