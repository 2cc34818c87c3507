"""When a recording began, as headers write it: text in ISO 8601, with a zone where the header's time has one."""

import re
from datetime import datetime, timedelta, timezone

# Clocks of rigs that were never set begin at such years.
_FIRST_YEAR = 1980
_LAST_YEAR = 2200
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{6})", re.ASCII)
_SOFTWARE_TIME = re.compile(
    r"Software Time \(milliseconds since midnight Jan 1st 1970 UTC\): *(\d{1,14})\s*(\n|$)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def start_of_text(text: str) -> str:
    """Return the start that a text in ISO 8601 with date and time is, such as 2022-05-19T17:37:47; "" for another."""
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return ""
    return _start(found) if len(text.strip()) > len("2022-05-19") else ""


def start_of_digits(text: str) -> str:
    """Return the start in 20 digits from year to microsecond, as BrainVision writes it; "" for anything else."""
    match = _DIGITS.fullmatch(text.strip())
    return start_of_numbers(*map(int, match.groups())) if match else ""


def start_of_numbers(*numbers: int, is_utc: bool = False) -> str:
    """Return the start of these numbers, year to second or to microsecond; "" where there is no such time."""
    try:
        year, month, day, hour, minute, second, microsecond = (*numbers, 0)[:7]
        found = datetime(year, month, day, hour, minute, second, microsecond, timezone.utc if is_utc else None)
    except ValueError:
        return ""
    return _start(found)


def start_of_format(text: str, form: str) -> str:
    """Return the start in a text of such a form, as strptime() has it; "" for anything else."""
    try:
        return _start(datetime.strptime(text.strip(), form))
    except ValueError:
        return ""


def start_of_messages(text: str) -> str:
    """Return the start that sync_messages.txt of Open Ephys tells, in UTC; "" where it has a count without a date."""
    match = _SOFTWARE_TIME.search(text)
    return _start(_EPOCH + timedelta(milliseconds=int(match[1]))) if match else ""


def later(start: str, seconds: float) -> str:
    """Return a start so many seconds later; "" where that is no time."""
    try:
        return _start(datetime.fromisoformat(start) + timedelta(seconds=seconds)) if start else ""
    except (ValueError, OverflowError):
        return ""


def _start(found: datetime) -> str:
    return found.isoformat() if _FIRST_YEAR <= found.year < _LAST_YEAR else ""
