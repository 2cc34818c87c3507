"""Read every result again and compare it with its run record."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuroluigi.provenance.commit import pending_path
from neuroluigi.provenance.contents import (
    checksum,
    digest_of_manifest,
    manifest,
    name_in_manifest,
    read_manifest,
    why_not_read,
    within,
)
from neuroluigi.provenance.record import read_record
from neuroluigi.results.recorded import (
    COMMIT_INTERRUPTED,
    RecordedResult,
    recorded_results,
    run_folders,
)
from neuroluigi.steps.config import RunStopped, record_folders, results_root

# What verify finds.
CHANGED, DAMAGED, MISSING, UNREADABLE, UNFINISHED = "changed", "damaged", "missing", "unreadable", "unfinished"
OUTSIDE = "outside"


@dataclass
class Verified:
    """What was read again: how many files and bytes, how many are dropped, and what is wrong: (state, path, why).

    `untracked` are files of today's steps that no run record names, so that there is nothing to compare them with.
    """

    files: int = 0
    bytes: int = 0
    dropped: int = 0
    untracked: list[Path] = field(default_factory=list)
    problems: list[tuple[str, Path, str]] = field(default_factory=list)


def results_to_verify(steps: Collection[Path] = ()) -> list[RecordedResult]:
    """Return all run records of results and of recordings that steps made; RunStopped where there are none.

    `steps` are the records of today's steps, where these are known.
    """
    everything = recorded_results(*record_folders(), planned=steps)
    found = [one for one in everything if one.path.exists() or pending_path(one.path).exists()]
    if not found:
        raise RunStopped(f"neuroluigi: there are no run records in {results_root()}")
    return found


def verify(
    entries: Sequence[RecordedResult],
    of_steps: Iterable[Path] = (),
    on_read: Callable[[Path, int], None] = lambda path, size: None,
) -> Verified:
    """Read all recorded files again, and find those `of_steps` that no record names.

    `on_read` is called with path and bytes of each that was read.
    """
    found = Verified()
    for entry in entries:
        if pending_path(entry.path).exists():
            found.problems.append((UNFINISHED, entry.path, COMMIT_INTERRUPTED))
        elif entry.record is None:
            found.problems.append((UNREADABLE, entry.path, "is no run record that can be read"))
        else:
            _verify_files(entry, found, on_read)
    named = {path for entry in entries for path in entry.outputs}
    found.untracked = sorted(path for path in of_steps if path not in named and path.exists())

    def unreadable(error: OSError) -> None:
        found.problems.append((UNREADABLE, Path(error.filename), f"can't be read: {error.strerror}"))

    for _, below, _ in os.walk(results_root(), onerror=unreadable):
        below[:] = sorted(name for name in below if name != "runs" and not name.startswith("."))
    for folder in run_folders([results_root()]):
        if not os.access(folder, os.R_OK | os.X_OK):
            found.problems.append((UNREADABLE, folder, "can't be read"))
    return found


def _verify_files(entry: RecordedResult, found: Verified, on_read: Callable[[Path, int], None]) -> None:
    for path in entry.elsewhere:
        found.problems.append((OUTSIDE, entry.path, f"names {path}, which is not among the results of its folder"))
    for path, output in entry.outputs.items():
        if (entry.record or {}).get("dropped") and not path.exists():
            found.dropped += 1
            continue
        wrong = list(_compare(path, output, entry.path))
        # A run may have made it again since the record was read.
        if wrong and (now := RecordedResult(entry.path, read_record(entry.path), entry.step)).record != entry.record:
            wrong = list(_compare(path, now.outputs.get(path, output), entry.path))
        found.problems += wrong
        found.files += output.get("files", 1)
        found.bytes += output["bytes"]
        on_read(path, output["bytes"])


def _compare(path: Path, output: Mapping, record_path: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield what is wrong with a file, or with a folder and the files in it, and why, by the bytes alone."""
    if why := why_not_read(path):
        yield CHANGED, path, why
        return
    try:
        if "files" in output:
            yield from _compare_folder(path, output, record_path)
            return
        # Sizes first: a file may be a sparse one that takes hours to read.
        size, ignore = path.stat().st_size, output.get("ignore", ())
        if size < output["bytes"] and not ignore:
            yield DAMAGED, path, f"has {size} bytes, its run record says {output['bytes']}"
        elif (size > output["bytes"] and not ignore) or checksum(path, ignore) != output["sha256"]:
            yield CHANGED, path, f"has other {'values' if ignore else 'bytes'} than its run record says"
    except FileNotFoundError:
        yield MISSING, path, "is not there"
    except OSError as error:
        yield DAMAGED, path, f"can't be read: {error}"


def _compare_folder(path: Path, output: Mapping, record_path: Path) -> Iterator[tuple[str, Path, str]]:
    now = manifest(path, output.get("ignore", ()))
    if digest_of_manifest(now) == output["sha256"]:
        return
    list_of_files = record_path.with_suffix(".sha256")
    recorded = within(read_manifest(list_of_files), name_in_manifest(path, record_path))
    if digest_of_manifest(recorded) != output["sha256"]:
        yield CHANGED, path, f"has other files than its run record says; which, {list_of_files.name} does not say"
        return
    for name in sorted({*recorded, *now}):
        if name not in now:
            yield MISSING, path / name, "is not there"
        elif name not in recorded:
            yield CHANGED, path / name, "is new"
        elif now[name] != recorded[name]:
            yield CHANGED, path / name, "has other bytes than its run record says"
