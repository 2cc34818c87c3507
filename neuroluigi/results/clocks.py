"""The clocks of streams on that of a reference, by aligned.json of their session where it is there and in order."""

import contextlib
import itertools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luigi.task_register import Register

from neuroluigi.provenance import state
from neuroluigi.provenance.files import read_json
from neuroluigi.recordings.groups import VARIANT_SIGN, split_row
from neuroluigi.recordings.sample_times import ClockMap
from neuroluigi.results.recorded import RecordedResult, differs, recorded_results
from neuroluigi.results.status import ResultStatus
from neuroluigi.steps.config import shown_path
from neuroluigi.steps.plan import status_of
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.tasks import SESSIONS
from neuroluigi.steps.variants import folder_of, in_force

_FILE = "aligned.json"
_NEEDED = frozenset({"clock", "counters", "seconds", "before", "after"})


def clock_maps(layout: Mapping[str, Any], folder: Path) -> dict[tuple[str, str], ClockMap]:
    """Return the maps of the clocks of a group's sessions, by session and clock.

    `layout` is its aggregate.json, `folder` that of its results, or of those of a variant: where a session has a folder
    of that variant, its clocks are those.
    """
    sessions = {row["session"] for row in layout["recordings"] if row.get("clock")}
    return {
        (session, stream["clock"]): ClockMap.of(stream)
        for session in sessions
        if _result(path := _clock_file(session, folder))
        for stream in _streams(path) or ()
    }


def clock_warnings(sessions: Iterable[str], folder: Path) -> list[str]:
    """Return a sentence on each aligned.json of some sessions that is not as its step made it, or would make it.

    For `folder` see clock_maps().
    """
    paths = ((one, _clock_file(one, folder)) for one in sessions)
    found = ((path, _warning(session, path)) for session, path in paths if path.is_file())
    return [f"{shown_path(path)} {warning}" for path, warning in found if warning]


def _clock_file(session: str, folder: Path) -> Path:
    """Return the file with the clocks of a session for the results in a folder: that of their variant, if any."""
    of_base = folder.parent / SESSIONS / session
    own = folder_of(of_base, split_row(folder.name)[1]) / _FILE
    return own if own.is_file() else of_base / _FILE


def _warning(session: str, path: Path) -> str:
    result = _result(path)
    if result is None:
        return "is not used for seconds: no run record tells of it"
    variant = path.parent.name.removeprefix(session).removeprefix(VARIANT_SIGN)
    of_variant = f" --variants {variant}" if variant else ""
    made_again = f"make it again: neuroluigi run {result.step} --session {session}{of_variant}"
    if not _streams(path):
        return f"is not used for seconds: it is damaged; {made_again}"
    if differs(path, result.outputs[path]):
        return (
            "was changed since it was made, by its checksum; seconds are by what it says now. To keep that, use"
            f" neuroluigi accept; else remove it, and {made_again}"
        )
    with in_force(variant):
        entry = _status_of(session, result)
    # What a run would leave as it is, such as after a change of code alone, is as good as ever.
    if entry is None or not entry.status.todo:
        return ""
    reasons = "; ".join(filter(None, [*(reason.text for reason in entry.status.reasons), entry.failure]))
    return f"is {_in_words(entry)}{f' ({reasons})' if reasons else ''}, and seconds are by it; {made_again}"


def _in_words(entry: ResultStatus) -> str:
    if entry.failure:
        return "of before its step failed"
    return "perhaps not of today" if entry.status.state == state.DONE else entry.status.state


def _status_of(session: str, result: RecordedResult) -> ResultStatus | None:
    """Return how the step of a result stands; None where it is not known, as without the recordings."""
    with contextlib.suppress(Exception):
        task = Register.get_task_cls(result.step)(session)
        if isinstance(task, ResultTask) and task.record_path == result.path:
            return ResultStatus("", result.step, task, status_of(task))
    return None


def _result(path: Path) -> RecordedResult | None:
    """Return the result that a file is of; None where no record names it."""
    return next((one for one in recorded_results(path.parent) if path in one.outputs), None)


def _streams(path: Path) -> list[Mapping[str, Any]] | None:
    """Return what a file says of each stream; None where it is damaged."""
    streams = (read_json(path) or {}).get("streams")
    is_whole = isinstance(streams, list) and all(isinstance(one, dict) and _is_map(one) for one in streams)
    return streams if is_whole else None


def _is_map(stream: Mapping[str, Any]) -> bool:
    if not stream.keys() >= _NEEDED:
        return False
    columns = [stream["counters"], stream["seconds"]]
    if not all(isinstance(one, list) and one for one in columns) or len(columns[0]) != len(columns[1]):
        return False
    numbers = [*columns[0], *columns[1], stream["before"], stream["after"]]
    if not all(isinstance(one, (int, float)) and math.isfinite(one) for one in numbers):
        return False
    return all(a < b for column in columns for a, b in itertools.pairwise(column)) and min(numbers[-2:]) > 0
