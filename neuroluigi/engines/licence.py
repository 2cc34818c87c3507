"""Matlab's licence errors: their numbers in what Matlab prints, what each means, and whether waiting helps."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

_PATTERN = re.compile(r"(?:License Manager|MathWorks Licensing) Error\s+(-?\d+)")

# An error without a number: a toolbox can't be checked out while Matlab runs.
CHECKOUT_IDENTIFIER = "MATLAB:license:checkouterror"

_FIRST_PAUSE, _LONGEST_PAUSE = 10, 300  # seconds


@dataclass(frozen=True)
class Licence:
    """What a licence error means, and how often another try is worth it (None: as long as there is time)."""

    meaning: str
    tries: int | None = 0


_WAIT = None
_KNOWN = {
    -4: Licence("all licences are in use", _WAIT),
    -15: Licence("the licence server can't be reached", 5),
    -96: Licence("the licence server's host is not known", 5),
    -97: Licence("the licence server's vendor daemon is down", 5),
    4402: Licence("online licensing is in trouble", _WAIT),
    5001: Licence("online licensing is in trouble", _WAIT),
    5006: Licence("online licensing is in trouble", _WAIT),
    4410: Licence("the licence token is more than a day old", 1),
    -9: Licence("the licence is for another host or user, or in use on another computer", 1),
    -18: Licence("the licence file does not fit the server, or the server was not started properly", 1),
    -1: Licence("there is no licence file"),
    -5: Licence("the licence has no such product"),
    -8: Licence("the licence key does not fit its data"),
    -10: Licence("the licence has expired"),
    -39: Licence("this user or host may not use the licence"),
    -114: Licence("the licence server is too old for this release"),
}
_UNKNOWN = Licence("a licence error that is not known here")


class LicenceError(RuntimeError):
    """Matlab got no licence; `code` is the number of the error, None where it has none."""

    def __init__(self, code: int | None, text: str):
        self.code = code
        self.licence = Licence("a toolbox has no licence left", _WAIT) if code is None else _KNOWN.get(code, _UNKNOWN)
        super().__init__(text)


def find_licence_error(text: str, identifier: str = "") -> LicenceError | None:
    """Return the licence error in a text that Matlab printed, or of an error with this identifier; None without one."""
    match = _PATTERN.search(text)
    if match or identifier == CHECKOUT_IDENTIFIER:
        return LicenceError(int(match[1]) if match else None, text.strip())
    return None


class Patience:
    """How long to wait for a licence: growing pauses, `seconds` in all."""

    def __init__(self, seconds: float):
        self._until = time.monotonic() + seconds
        self._pauses = self._growing(min(_FIRST_PAUSE, seconds / 20))
        self._tried: dict[int | None, int] = {}

    @staticmethod
    def _growing(pause: float) -> Iterator[float]:
        while True:
            yield min(pause, _LONGEST_PAUSE)
            pause *= 2

    def pause(self, error: LicenceError) -> float | None:
        """Return the seconds to wait before the next try, or None where the call is to fail."""
        tried = self._tried[error.code] = self._tried.get(error.code, 0) + 1
        pause, tries = next(self._pauses), error.licence.tries
        is_hopeless = tries is not None and tried > tries
        return None if is_hopeless or time.monotonic() + pause > self._until else pause
