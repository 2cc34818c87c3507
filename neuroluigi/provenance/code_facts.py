"""Facts about the text of modules, kept from one start to the next, so that it need not be parsed each time.

A fact is what follows from a text alone, such as the digest of a function; what a name leads to does not. It is kept by
the sha256 of the text, of the version of Python that read it, and of the code here that finds facts: so nothing that
changes makes a kept one wrong. They lie in .code of the folder of results, as plain JSON, and may be deleted at any
time. A line that is not whole, and a fact of another shape, count as none.
"""

import contextlib
import functools
import hashlib
import json
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neuroluigi.provenance.files import only_regular, read_bytes

FACTS_FILE = ".code"

# A line is the name of a text, its checksum, and the facts as JSON.
_FIRST_LINE = b"neuroluigi code 1"
_NAME, _CHECKSUM = 64, 8

# Of more texts, those are left out of which nobody asked for longest.
_MOST_TEXTS = 1_000

# The modules that find facts.
_FINDERS = ("syntax.py", "modules.py")


class Facts:
    """Facts about texts, in the folder `root`; without one, for this process alone."""

    def __init__(self, root: Path | None):
        self._path = root and root / FACTS_FILE
        self._known: dict[bytes, dict[str, Any]] = {}
        self._saved = 0

    def about(self, package: str, parts: Iterable[bytes]) -> dict[str, Any]:
        """Return what is known of the text of a module in `package`, by question; what is found is added there."""
        whole = hashlib.sha256(_finders())
        for one in (package.encode(), *parts):
            whole.update(b"%d " % len(one) + one)
        name = whole.hexdigest().encode()
        if name not in self._known:
            self._known[name] = _facts_of(self._kept.get(name, b""))
            self._saved += len(self._known[name])
        return self._known[name]

    def save(self) -> None:
        """Write the facts if there are new ones; where they can't be written, they are found again."""
        count = sum(map(len, self._known.values()))
        if not self._path or count == self._saved:
            return
        lines = [_line_of(name, facts) for name, facts in self._known.items()]
        lines += [line for name, line in self._kept.items() if name not in self._known]
        # Of two processes that write at once, each line is whole, or is none.
        part = self._path.with_name(f"{FACTS_FILE}.new")
        with contextlib.suppress(OSError):
            with open(part, "wb", opener=only_regular) as file:
                file.write(b"\n".join([_FIRST_LINE, *lines[:_MOST_TEXTS], b""]))
            part.replace(self._path)
            self._saved = count

    @functools.cached_property
    def _kept(self) -> dict[bytes, bytes]:
        """The lines of the file, by name."""
        try:
            first, *lines = read_bytes(self._path).split(b"\n") if self._path else [b""]
        except OSError:
            return {}
        return {line[:_NAME]: line for line in lines if line} if first == _FIRST_LINE else {}


@functools.cache
def _finders() -> bytes:
    """Return the digest of what facts depend on beside the text."""
    own = (Path(__file__).with_name(name).read_bytes() for name in _FINDERS)
    return hashlib.sha256(b"".join([sys.version.encode(), *own])).digest()


def _line_of(name: bytes, facts: dict[str, Any]) -> bytes:
    text = json.dumps(facts, separators=(",", ":")).encode("ascii")
    return b"%b%08x%b" % (name, zlib.crc32(name + text), text)


def _facts_of(line: bytes) -> dict[str, Any]:
    name, text = line[:_NAME], line[_NAME + _CHECKSUM :]
    if b"%08x" % zlib.crc32(name + text) == line[_NAME : _NAME + _CHECKSUM]:
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(found := json.loads(text), dict):
                return found
    return {}


def fits(value: Any, shape: Any) -> bool:
    """Whether a value of JSON has a shape: [str] is a list of texts, (str, [int]) a list of these two."""
    if isinstance(shape, type):
        return type(value) is shape
    if type(value) is not list:
        return False
    if isinstance(shape, tuple):
        return len(value) == len(shape) and all(map(fits, value, shape))
    inner = shape[0]
    return {*map(type, value)} <= {inner} if isinstance(inner, type) else all(fits(one, inner) for one in value)
