"""Results as their run records describe them: each with its files, logs and record."""

import contextlib
import itertools
import os
import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroluigi.provenance.commit import pending_path
from neuroluigi.provenance.contents import Measure, checksum, measure, why_not_read
from neuroluigi.provenance.record import has_its_name, read_failure, read_record
from neuroluigi.steps.config import (
    RunStopped,
    roots_of_paths,
    shown_path,
)

# What a step leaves in runs/, the record last.
TRACES = (".failed.json", ".failed.log", ".log", ".sha256", ".json")
# What lies beside a record and has its name: the note of a failure, a commit that is under way.
_NOTE = re.compile(r"(\.failed|\.pending)?\.json$")

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
        """The recorded description of each file in the folder of the record."""
        return {path: one for path, one in self._named.items() if speaks_of(self.path, path)}

    @property
    def elsewhere(self) -> list[Path]:
        """What the record names outside of its folder: nothing there is read, changed or removed for it."""
        return [path for path in self._named if not speaks_of(self.path, path)]

    @property
    def _named(self) -> dict[Path, Mapping]:
        return {located(one): one for one in (self.record or {}).get("outputs", ())}

    @property
    def files(self) -> list[Path]:
        """The files and folders of the record that exist."""
        return list(self._measures)

    @property
    def bytes(self) -> int:
        """How much these take, without what folders ignore."""
        return sum(one.bytes for one in self._measures.values())

    @property
    def _measures(self) -> dict[Path, Measure]:
        found = {path: measure(path, one.get("ignore", ())) for path, one in self.outputs.items()}
        return {path: one for path, one in found.items() if one}

    @property
    def traces(self) -> list[Path]:
        """The files beside the results that exist: notes of a failure, logs, and last the record."""
        return [path for suffix in TRACES if (path := self.path.with_suffix(suffix)).is_file()]


def recorded_results(*folders: Path, planned: Collection[Path] = ()) -> Iterator[RecordedResult]:
    """Yield the results that were made, or failed, in these folders, by their records alone.

    `planned` are the records of today's steps, which count whatever is in them, also where their folder is a link.
    """
    for folder in sorted({*run_folders(folders), *(path.parent for path in planned)}):
        for path in record_paths(folder):
            if found := recorded_result(path, planned):
                yield found


def record_paths(folder: Path) -> list[Path]:
    """Return the paths of the records of which something is in a folder of run records, sorted."""
    with contextlib.suppress(OSError):
        # os.listdir, because this is asked of thousands of folders
        names = {_NOTE.sub(".json", name) for name in os.listdir(folder) if name.endswith(".json")}  # noqa: PTH208
        return [folder / name for name in sorted(names) if ".part-" not in name]
    return []


def recorded_result(path: Path, planned: Container[Path] = ()) -> RecordedResult | None:
    """Return the result of the record at `path`, by that or by the note of its failure; None where it is not ours."""
    record = read_record(path)
    known = record or read_failure(path) or read_record(pending_path(path)) or {}
    is_ours = path in planned or (has_its_name(path, known) and not _is_copy(path, known))
    return RecordedResult(path, record, str(known.get("step", ""))) if is_ours else None


def _is_copy(path: Path, known: Mapping) -> bool:
    """Whether all files of a record lie in other folders: it came here with a copy of its folder, or of all results."""
    named = [located(one) for one in known.get("outputs", ())]
    return bool(named) and not any(speaks_of(path, one) for one in named)


def speaks_of(record_path: Path, path: Path) -> bool:
    """Whether a run record can describe the file or folder at a path: one in its own folder, with links resolved.

    Not what is in a folder below that has run records of its own, such as a group's where a record lies above it.
    """
    folder = record_path.parent.parent
    if path.parent == folder:
        return path.name != ".."
    top, above = (Path(os.path.realpath(one)) for one in (folder, path.parent))
    between = [one for one in (above, *above.parents) if one != top and one.is_relative_to(top)]
    return above.is_relative_to(top) and path.name != ".." and not any(_has_records(one / "runs") for one in between)


def _has_records(runs: Path) -> bool:
    return any(read_record(path) for path in record_paths(runs))


def why_kept(entry: RecordedResult) -> str:
    """Return why no command removes or changes the files of a result; "" where nothing stands against it."""
    if pending_path(entry.path).exists():
        return COMMIT_INTERRUPTED
    if entry.elsewhere:
        return f"its run record names {entry.elsewhere[0]}, which is not among the results of its folder"
    return why_not_written(entry.path, entry.outputs)


def why_not_written(record_path: Path, paths: Iterable[Path]) -> str:
    """Return why no command changes a record and what lies at these paths of its files; "" where nothing is against it.

    A link below the folders of results and recordings may lead anywhere: it is not followed. A folder that has run
    records is no part of another result.
    """
    for path in (record_path, *paths):
        if link := _link_on_the_way(path, record_path.parent.parent):
            return f"{shown_path(link)} is a link, which is not followed"
        if why := why_not_read(path):
            return f"{shown_path(path)} {why}"
        if path.is_dir() and (inner := next(filter(_has_records, [path, *run_folders([path])]), None)):
            return f"{shown_path(inner)} has run records of its own"
    return ""


def _link_on_the_way(path: Path, folder: Path) -> Path | None:
    """Return the uppermost link between a path and the folders that records name, None where there is none.

    `folder` is that of the record: one that lies in none of those is as the lab says.
    """
    roots = list(roots_of_paths().values())
    tops = roots if any(folder.is_relative_to(root) for root in roots) else [folder]
    way = [path, *itertools.takewhile(lambda one: one not in tops, path.parents)]
    return next((one for one in reversed(way) if one.is_symlink()), None)


def run_folders(folders: Iterable[Path]) -> list[Path]:
    """Return all folders of run records below these folders, sorted; those that are hidden are of other programs.

    None that is a link.
    """
    found = set()
    for root in folders:
        for top, below, _ in os.walk(root):
            below[:] = [name for name in below if not name.startswith(".")]
            if "runs" in below and not (runs := Path(top, "runs")).is_symlink():
                found.add(runs)
    return sorted(found)


def located(place: Mapping) -> Path:
    """Return today's path of a file that a record names; an absolute path stays as it is."""
    return roots_of_paths().get(place.get("root", ""), Path()) / place["path"]


def differs(path: Path, output: Mapping) -> bool:
    """Return whether a file or folder is another than recorded; not where there is none. Raises OSError."""
    ignore = output.get("ignore", ())
    found = measure(path, ignore)
    if found is None:
        return os.path.lexists(path)  # what is neither file nor folder
    if found.matches(output):
        return False
    return not found.may_be(output) or checksum(path, ignore) != output["sha256"]


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError while writing into a RunStopped with one line."""
    try:
        yield
    except OSError as error:
        raise RunStopped(f"neuroluigi: can't write to {folder}: {error}") from error
