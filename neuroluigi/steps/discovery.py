"""Today's recordings and groups as the settings declare them, found once per run."""

import contextlib
import functools
import logging
import time

from luigi.cmdline_parser import CmdlineParser

from neuroluigi.provenance.record import read_record
from neuroluigi.recordings.concatenation import is_concatenation
from neuroluigi.recordings.groups import check_apart, find_groups, groups_of_concatenations
from neuroluigi.recordings.recording import Group, Recording, RecordingsError
from neuroluigi.steps.config import RunStopped, recordings, results, results_root, setting

logger = logging.getLogger("luigi-interface")

# The tasks of a pipeline that make recordings, and those that provide existing ones, in the order in which they were
# defined; the last one of each counts.
recording_makers: list[type] = []
existing_recordings: list[type] = []


def groups() -> dict[str, Group]:
    """Return the groups of today's recordings by their key; RunStopped where there are none to speak of."""
    return _look()[0]


def find_recording(*identity) -> Recording:
    """Return the recording of that session, index and (see Recording) group; RunStopped where there is none."""
    recording = _look()[1].get(identity)
    if recording is None:
        session, index, _ = identity
        raise RunStopped(f"luigi: there is no recording {index} of session {session!r}; see: neuroluigi recordings")
    return recording


def _look() -> tuple[dict[str, Group], dict[tuple, Recording]]:
    # A run looks once. Without a command line (a notebook) a look is good for about a second.
    run = CmdlineParser.get_instance()
    return _look_once(run or (int(time.monotonic()), setting(recordings), setting(results)))


@functools.lru_cache(maxsize=1)
def _look_once(run: object):
    try:
        by_key = _find_groups()
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error
    _check_apart(by_key)
    return by_key, {r.identity: r for group in by_key.values() for r in group.recordings}


def check_results_root() -> None:
    """RunStopped where the first results would lie among the recordings, to which not even a lock is written."""
    root = results_root()
    if root.is_dir() and not any(root.glob("*/runs")):
        with contextlib.suppress(RecordingsError):  # what else is wrong is for those who need the recordings to say
            _check_apart(_find_groups())


def _check_apart(by_key: dict[str, Group]) -> None:
    try:
        check_apart(by_key, results_root())
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error


def _find_groups() -> dict[str, Group]:
    declaration = setting(recordings).declaration()
    # Results that were copied to a machine without the recordings tell what they were made from.
    is_elsewhere = declaration.root and not declaration.folder.exists()
    by_key = groups_of_concatenations(_recorded_layouts(), declaration) if is_elsewhere else {}
    if by_key:
        logger.warning("%s is not there; the groups are those of the results", declaration.folder)
        return by_key
    return find_groups(declaration, [dict(row) for row in _made_recordings()])


def _recorded_layouts() -> dict[str, dict]:
    layouts = {}
    for path in sorted(results_root().glob("*/runs/*.json")):
        facts = (read_record(path) or {}).get("facts", {})
        layout = facts.get("layout")
        if is_concatenation(layout) and {"dtype", "channels"} <= layout.keys() and "path" in layout["recordings"][0]:
            layouts[path.parent.parent.name] = layout
    return layouts


def _made_recordings() -> tuple:
    if setting(recordings).are_real():
        return ()
    return recording_makers[-1](session="", index=0).declared() if recording_makers else ()
