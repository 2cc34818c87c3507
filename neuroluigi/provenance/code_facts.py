"""Facts about the text of modules, kept from one start to the next, so that it need not be parsed each time.

A fact is what follows from a text alone, such as the digest of a function; what a name leads to does not. It is kept by
the sha256 of the text, of the version of Python that read it, and of the code here that finds facts: so nothing that
changes makes a kept one wrong. They lie in .code of the folder of results (see kept_lines.py). A fact of another shape
counts as none.
"""

import functools
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neuroluigi.provenance.kept_lines import KeptLines, line_of, name_of

FACTS_FILE = ".code"

# Of more texts, those are left out of which nobody asked for longest.
_MOST_TEXTS = 1_000

# The modules that find facts.
_FINDERS = ("syntax.py", "modules.py")


class Facts:
    """Facts about texts, in the folder `root`; without one, for this process alone."""

    def __init__(self, root: Path | None):
        self._lines = KeptLines(root and root / FACTS_FILE, "code 1")
        self._known: dict[str, dict[str, Any]] = {}
        self._saved = 0

    def about(self, package: str, parts: Iterable[bytes]) -> dict[str, Any]:
        """Return what is known of the text of a module in `package`, by question; what is found is added there."""
        whole = hashlib.sha256(_finders())
        for one in (package.encode(), *parts):
            whole.update(b"%d " % len(one) + one)
        name = name_of(whole.digest())
        if name not in self._known:
            kept = self._lines.value(name)
            self._known[name] = kept if isinstance(kept, dict) else {}
            self._saved += len(self._known[name])
        return self._known[name]

    def save(self) -> None:
        """Write the facts if there are new ones; where they can't be written, they are found again."""
        count = sum(map(len, self._known.values()))
        if count != self._saved:
            lines = {name: line_of(name, facts) for name, facts in self._known.items()}
            if self._lines.save(lines, _MOST_TEXTS):
                self._saved = count


@functools.cache
def _finders() -> bytes:
    """Return the digest of what facts depend on beside the text."""
    own = (Path(__file__).with_name(name).read_bytes() for name in _FINDERS)
    return hashlib.sha256(b"".join([sys.version.encode(), *own])).digest()


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
