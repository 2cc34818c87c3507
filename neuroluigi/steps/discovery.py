"""Today's recordings and groups as the settings declare them, found once per run, or else once per call."""

import contextlib
import functools
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

import luigi
from luigi.cmdline_parser import CmdlineParser

from neuroluigi.provenance.m_code import one_look_at_code
from neuroluigi.provenance.record import has_its_name, read_record
from neuroluigi.recordings.concatenation import is_concatenation
from neuroluigi.recordings.groups import VARIANT_SIGN, check_apart, find_groups, groups_of_concatenations
from neuroluigi.recordings.recording import Group, Recording, RecordingsError, is_missing
from neuroluigi.steps.config import RunStopped, recordings, recordings_root, results_root, setting
from neuroluigi.steps.lab_folder import without_settings
from neuroluigi.steps.plain_luigi import plain_run
from neuroluigi.steps.two_processes import in_parts

logger = logging.getLogger("luigi-interface")

# The classes of a pipeline that make recordings, those that provide existing ones, and those that decode these, as they
# were defined; the last one of each is used.
recording_makers: list[type] = []
existing_recordings: list[type] = []
decoders: list[type[luigi.Task]] = []


def groups() -> dict[str, Group]:
    """Return the groups of today's recordings by their key; RunStopped where the settings name none."""
    return _search()[0]


def groups_of_sessions() -> dict[str, list[str]]:
    """Return the keys of the groups that have recordings of each session, in order."""
    found: dict[str, list[str]] = {}
    for key, group in groups().items():
        for session in dict.fromkeys(recording.session for recording in group.recordings):
            found.setdefault(session, []).append(key)
    return found


def find_recording(*identity: object) -> Recording:
    """Return the recording of session, index and group (see Recording.identity); RunStopped where there is none."""
    recording = _search()[1].get(identity)
    if recording is None:
        session, index, _ = identity
        raise RunStopped(f"luigi: there is no recording {index} of session {session!r}; see: neuroluigi recordings")
    return recording


# What one_look() is open, by an object of its own.
_look: ContextVar[object] = ContextVar("look", default=None)


@contextlib.contextmanager
def one_look() -> Iterator[None]:
    """Search once for all that is asked in this context; inside another look that is so anyway.

    In a run, recordings are searched for once, and M-files at each look.
    """
    token = _look.set(_look.get() or object())
    try:
        with one_look_at_code():
            yield
    finally:
        _look.reset(token)


# Whether this only shows what there is; a run tells what is doubtful about the recordings.
_only_looks = False

# Of these sentences, a run logs the first ones.
_MOST_NOTES = 5


@contextlib.contextmanager
def only_looking() -> Iterator[None]:
    """Look at recordings and results without what a run does, which takes as long as one or has been told by it.

    Plans read no recording that may have moved, and what is doubtful about the recordings is not logged.
    """
    global _only_looks
    before, _only_looks = _only_looks, True
    try:
        yield
    finally:
        _only_looks = before


def only_looks() -> bool:
    """Return whether only_looking() is in force."""
    return _only_looks


def notes_on_recordings() -> list[str]:
    """Return the sentences on what is left out of today's recordings, and what is doubtful about them."""
    return list(_search()[2])


def _search() -> tuple[dict[str, Group], dict[tuple, Recording], list[str]]:
    # Each search without any of these (a notebook) is a new one.
    return _search_once(CmdlineParser.get_instance() or plain_run() or _look.get() or object())


@functools.lru_cache(maxsize=1)
def _search_once(asker: object) -> tuple[dict[str, Group], dict[tuple, Recording], list[str]]:
    notes: list[str] = []
    try:
        by_key = _find_groups(_warn_once, notes.append)
    except RecordingsError as error:
        # What was left out may be why.
        _log_notes(notes)
        raise RunStopped(f"luigi: {error}") from error
    if not _only_looks:
        _log_notes(notes)
    _check_apart(by_key)
    return by_key, {r.identity: r for group in by_key.values() for r in group.recordings}, notes


def _log_notes(notes: list[str]) -> None:
    for note in notes[:_MOST_NOTES]:
        _warn_once(note)
    if len(notes) > _MOST_NOTES:
        _warn_once(f"and {len(notes) - _MOST_NOTES} more warnings about recordings; see: neuroluigi recordings")


@functools.cache
def _warn_once(note: str) -> None:
    """Log a warning, once per run: it searches again when it is over, and in processes that were not forked."""
    if multiprocessing.parent_process() is None:
        logger.warning("%s", note)


def check_results_root() -> None:
    """Raise RunStopped where the first results would be among the recordings: not even a lock is written there."""
    root = results_root()
    if root.is_dir() and not any(root.glob("*/runs")):
        with contextlib.suppress(RecordingsError):  # other errors are raised where the recordings are needed
            _check_apart(_find_groups(lambda note: None, lambda note: None))


def _check_apart(by_key: dict[str, Group]) -> None:
    try:
        check_apart(by_key, results_root())
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error


def _find_groups(notify: Callable[[str], object], note: Callable[[str], object]) -> dict[str, Group]:
    """Find the groups; `notify` gets what they are in place of those declared, `note` what is doubtful about them."""
    declaration = setting(recordings).declaration()
    # Where the recordings are missing, as with results copied to another machine, the records name them.
    is_elsewhere = declaration.root and is_missing(declaration.folder)
    by_key = groups_of_concatenations(_recorded_layouts(), declaration) if is_elsewhere else {}
    if by_key:
        notify(f"{declaration.folder} is not there; the groups are those of the results")
        return by_key
    made = [dict(row) for row in _made_recordings()]
    if made and (reason := without_settings()):
        notify(f"{reason}: the recordings are fake ones, and the results go to {results_root()}")
    return find_groups(declaration, made, note, in_parts)


def missing_folder() -> Path | None:
    """Return the folder of the recordings where it is not there, and is not said to be one that may be missing."""
    section = setting(recordings)
    folder = recordings_root()
    return folder if section.root and not section.allow_missing and is_missing(folder) else None


def _recorded_layouts() -> dict[str, dict]:
    layouts = {}
    for path in sorted(results_root().glob("*/runs/*.json")):
        record, group = read_record(path) or {}, path.parent.parent.name
        if VARIANT_SIGN in group:
            continue
        # A copy of a record, or of a folder of results, is no group.
        paths = [one["path"] for one in record.get("outputs", ())]
        is_copy = paths and not any(one.startswith(f"{group}/") for one in paths)
        if is_copy or not has_its_name(path, record):
            continue
        layout = record.get("fingerprint", {}).get("layout")
        if is_concatenation(layout) and {"dtype", "channels"} <= layout.keys():
            rows = _with_paths(layout["recordings"], record)
            # Those that were decoded for it are, and so is what is required of them today.
            for row, required in zip(rows, record.get("requires", ()), strict=False):
                row["is_encoded"] = any(one.get_task_family() == required["step"] for one in decoders)
            layouts[group] = {**layout, "recordings": rows}
    return layouts


def _with_paths(rows: list[dict], record: Mapping) -> list[dict]:
    """Return the rows of a recorded concatenation with the paths that its inputs had."""
    # The recordings are before their headers.
    inputs = record.get("inputs", [])[: len(rows)]
    are_recordings = len(inputs) == len(rows) and all(one.get("root") != "results" for one in inputs)
    # Where a step stands between, its own record has the path.
    paths = [one["path"] for one in inputs] if are_recordings else [f"{r['session']}/{r['index']}" for r in rows]
    return [{**row, "path": path} for row, path in zip(rows, paths, strict=True)]


def _made_recordings() -> tuple:
    if setting(recordings).are_real():
        return ()
    return recording_makers[-1](session="", index=0).declared() if recording_makers else ()
