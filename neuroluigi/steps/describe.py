"""What a run record has of one attempt at a step: its inputs, its times, and why it failed."""

import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from neuroluigi.provenance.access import why_denied
from neuroluigi.provenance.contents import checksum, describe, measure
from neuroluigi.provenance.files import path_in_root
from neuroluigi.provenance.parts import with_final_names
from neuroluigi.provenance.record import read_record, timestamp
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.steps.config import RunStopped, results_root
from neuroluigi.steps.target import DamagedError, RecordingTarget, ResultTarget


class StepError(RuntimeError):
    """A step that failed; the message has the step, the reason, and the path of its log."""


# Errors whose message is for the user as it is.
_EXPLAINED = (StepError, DamagedError, RecordingsError, RunStopped, OSError)


def start_clock() -> dict:
    """Return the time of now on three clocks, for describe_times at the end of the step."""
    return {"started": timestamp(), "monotonic": time.monotonic(), "cpu": time.process_time()}


def describe_error(error: BaseException) -> str:
    """Return the message of an error; of one that comes from a step's own code, its class and the line too.

    A file of the step that it names has its final name: the temporary one is gone when the message is read.
    """
    text = str(error)
    if isinstance(error, PermissionError) and isinstance(error.filename, str):
        text = why_denied(Path(with_final_names(error.filename)), results_root()) or text
    if not (isinstance(error, _EXPLAINED) or type(error).__module__.startswith("neuroluigi.")):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {text} ({Path(frame.filename).name}, line {frame.lineno})"
    return with_final_names(text)


def describe_times(start: Mapping) -> dict:
    """Return start and end (ISO 8601), and seconds of wall clock and processor since `start` of start_clock."""
    return {
        "started": start["started"],
        "ended": timestamp(),
        "seconds": round(time.monotonic() - start["monotonic"], 3),
        "cpu_seconds": round(time.process_time() - start["cpu"], 6),
    }


def describe_input(one: Any, roots: Mapping[str, Path], runs: Path) -> dict:
    """Return path, bytes, mtime_ns and sha256 of an input, a file or a folder, as contents.describe.

    It is hashed only where no record has its checksum: that of the step that made it, or one of those in `runs`.
    Raises StepError where a recording is not the one that the table describes.
    """
    path = Path(one.path)
    recorded: Iterable[dict]
    if isinstance(one, ResultTarget):
        recorded = (read_record(one.record) or {}).get("outputs", ())
    else:
        recorded = (known for record in runs.glob("*.json") for known in (read_record(record) or {}).get("inputs", ()))
    place = path_in_root(path, roots)
    there = [described for described in recorded if place.items() <= described.items()]
    # As its own record: both have to say the same of the same content.
    ignore = there[0].get("ignore", ()) if there else getattr(one, "ignore", ())
    found = measure(path, ignore)
    known = next((described["sha256"] for described in there if found and found.matches(described)), None)
    described = describe(path, roots, known, ignore)
    if isinstance(one, RecordingTarget):
        described["recording"] = one.recording
    if isinstance(one, RecordingTarget) and one.sha256 and one.sha256 != described["sha256"]:
        raise StepError(
            f"{path} is not the file that the table describes: its sha256 is {described['sha256']}, the table says"
            f" {one.sha256}"
        )
    return described


def stamp_of(path: str | Path) -> tuple[int, int]:
    """Return what changes where a file is replaced by another one, though size and time stay. Raises OSError."""
    found = Path(path).stat()
    return found.st_ino, found.st_ctime_ns


def has_changed(path: str | Path, before: Mapping, stamp: tuple[int, int]) -> bool:
    """Return whether a file or folder is another one than `before`, of describe_input; `stamp` is of stamp_of then.

    Its content is read again only where size and time are the same and the stamp is not. Raises OSError.
    """
    ignore = before.get("ignore", ())
    found = measure(path, ignore)
    if not found or not found.matches(before):
        return True
    # A link or other permissions change the stamp too.
    return stamp_of(path) != stamp and checksum(path, ignore) != before["sha256"]
