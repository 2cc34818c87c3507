"""When a session began: what somebody wrote, or else what the headers of its recordings say."""

from collections.abc import Iterable
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from neuroluigi.recordings.recording import Recording

_FORM = "date and time in ISO 8601, such as 2026-01-31T14:30:00+01:00"


class StartUnknownError(ValueError):
    """What is lacking or wrong; `key` is the name under which it is to be written."""

    def __init__(self, key: str, why: str):
        super().__init__(why)
        self.key = key


def session_start(recordings: Iterable[Recording], given: str, zone: str) -> datetime:
    """Return the time at which the first recording began, with its zone.

    `given` counts where it is not blank, `zone` for times without one of their own. Raises StartUnknownError.
    """
    of_zone = _zone(zone)
    if given:
        return _with_zone(given, of_zone, "it")
    found = [(Path(one.path).name, one.recorded.started) for one in recordings if one.recorded and one.recorded.started]
    if not found:
        raise StartUnknownError("session_start_time", f"no header says it; {_FORM}")
    return min(_with_zone(text, of_zone, path) for path, text in found)


def _zone(name: str) -> tzinfo | None:
    if name.upper() == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise StartUnknownError(
            "timezone",
            f"there is no zone {name!r}; a name such as Europe/Zurich, or UTC (on Windows, pip install tzdata)",
        ) from None


def _with_zone(text: str, zone: tzinfo | None, what: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        found = None
    if found is None or len(text.strip()) <= len("2026-01-31"):
        raise StartUnknownError("session_start_time", f"{text!r} is no {_FORM}")
    if found.tzinfo is None and zone is None:
        raise StartUnknownError("timezone", f"{what} says {text}, the time of the place; a zone such as Europe/Zurich")
    return found if found.tzinfo else _at_the_place(found, zone, what)


def _at_the_place(found: datetime, zone: tzinfo | None, what: str) -> datetime:
    """Return a time of the place with its zone. Raises StartUnknownError where clocks skipped it, or had it twice."""
    first, second = (found.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        is_skipped = first.astimezone(timezone.utc).astimezone(zone).replace(tzinfo=None) != found
        raise StartUnknownError(
            "session_start_time",
            f"{what} says {found.isoformat()}, which {'was never' if is_skipped else 'was twice'} in {zone}, as clocks"
            f" were {'put forward' if is_skipped else 'put back'}; {_FORM}",
        )
    return first
