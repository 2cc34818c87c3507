"""Text for people: without what would control the terminal that shows it, now or when a log is read.

A name, a value, a message and a log can hold anything: sequences that move the cursor, change what stands there or set
the terminal up, and characters that turn the direction of what follows.
"""

import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

# All of Unicode that controls a terminal, but for line ends and tabs: C0, DEL, C1, directions, other line separators.
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"
_REMOVED = re.compile(f"{_SEQUENCE}|[{_CONTROL}]")
_ESCAPED = re.compile(f"[{_CONTROL}]")


def plain(text: str) -> str:
    """Return a text without control sequences and control characters; line ends and tabs stay."""
    return _REMOVED.sub("", text)


def plain_json(text: str) -> str:
    """Return the same JSON without a control character in it: they are escaped."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class PlainStream:
    """A stream that writes plain text to another one, `unfiltered`, which does all the rest."""

    def __init__(self, unfiltered: TextIO):
        self.unfiltered = unfiltered

    def write(self, text: str) -> int:
        """Write a text without control characters."""
        self.unfiltered.write(plain(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines without control characters."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)


def use_plain_streams() -> None:
    """Have all that this process prints be plain text, in whatever encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, PlainStream):
            continue
        # A name that the encoding of a stream lacks letters for is written all the same, with escapes.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, PlainStream(stream))


def unfiltered(stream: TextIO) -> TextIO:
    """Return the stream to which control characters of one's own can be written."""
    return stream.unfiltered if isinstance(stream, PlainStream) else stream
