"""Find recordings by a pattern of paths; what looks like one and is left out is named, with the reason."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from neuroluigi.recordings.formats.signatures import COMPRESSED
from neuroluigi.recordings.recording import RecordingsError

# Where a row is declared, and its columns.
Row = tuple[str, Mapping[str, str]]

# Of many names with one reason the first ones are named.
_MOST_NAMED = 5

_COMPRESSED = f"(?P<_compressed>{'|'.join(map(re.escape, COMPRESSED))})?"


class UnlistedError(RecordingsError):
    """The pattern finds nothing where it can look, and there is a folder that can't be listed."""


def pattern_rows(root: Path, pattern: str, notify: Callable[[str], object]) -> list[Row]:
    """Return (path, columns) of each file below the root that a pattern matches, in the order of their names.

    Of several ways to read a name the one counts whose first field is the longest. A link that leads nowhere is a row
    too. `notify` gets a sentence for each reason why names that nearly match are left out. Raises RecordingsError for
    a pattern that can't be used, and for a folder that can't be listed.
    """
    return _Search(root, pattern).rows(notify)


class _Search:
    """One search below a root: what it has left out so far, and why."""

    def __init__(self, root: Path, pattern: str):
        self._root, self._pattern = os.fspath(root), pattern
        # A field and what stands before it take turns; the last piece stands after the last field.
        pieces = re.split(r"\{(\w+)\}", "/".join(part for part in pattern.split("/") if part))
        self._check(pieces)
        self._longest = re.compile(_expression(pieces, "+"))
        self._shortest = re.compile(_expression(pieces, "+?"))
        self._in_any_case = re.compile(_expression(pieces, "+"), re.IGNORECASE)
        self._nearly = re.compile(_expression(pieces, "+", is_any_index=True) + _COMPRESSED, re.IGNORECASE)
        # Where no folder or file has several fields, there is nothing between them to take for a part of one.
        self._is_ambiguous = any(part.count("{") > 1 for part in pattern.split("/"))
        self._left_out: dict[str, list[str]] = {}
        self._unlisted: list[str] = []

    def _check(self, pieces: list[str]) -> None:
        names = pieces[1::2]
        for name in ("session", "index"):
            if name not in names:
                raise RecordingsError(
                    f"[recordings] pattern {self._pattern} has no {{{name}}}; an example: {{session}}/rec_{{index}}.bin"
                )
        if unusable := [name for name in names if not name.isidentifier() or name.startswith("_")]:
            raise RecordingsError(
                f"[recordings] pattern {self._pattern}: {{{unusable[0]}}} is no name of a column; it has to begin with"
                " a letter"
            )
        for first, between, second in zip(names, pieces[2::2], names[1:], strict=False):
            # Where an index begins and ends is known by its digits.
            if not between and "index" not in (first, second):
                raise RecordingsError(
                    f"[recordings] pattern {self._pattern}: nothing between {{{first}}} and {{{second}}} tells where"
                    " one ends and the other begins"
                )

    def rows(self, notify: Callable[[str], object]) -> list[Row]:
        start = "/" if self._pattern.startswith("/") else ""
        rows: list[Row] = []
        readings: dict[str, str] = {}
        for name in sorted(self._names(start, [part for part in self._pattern.split("/") if part])):
            match = self._longest.fullmatch(name, len(start))
            if not match:
                self._note_near_miss(name, len(start))
                continue
            fields = match.groupdict()
            rows.append((os.path.join(self._root, name), {**fields, "path": name}))
            other = self._shortest.fullmatch(name, len(start)) if self._is_ambiguous else None
            if other and other.groups() != match.groups():
                readings[name] = f"{_as_text(fields)}, and not as {_as_text(other.groupdict())}"
        if self._unlisted:
            raise (RecordingsError if rows else UnlistedError)(self._unlisted[0])
        # Folders are listed in no order, each disk in its own.
        for reason, names in sorted(self._left_out.items(), key=lambda item: min(item[1])):
            notify(f"left out of the recordings in {self._root}: {_first(sorted(names))}: {reason}")
        for name, reading in list(readings.items())[:1]:
            notify(
                f"{_first(list(readings))}: pattern {self._pattern} allows more than one reading; {name} is read as"
                f" {reading}; a table (recordings.csv) leaves no doubt"
            )
        return rows

    def _names(self, folder: str, parts: list[str]) -> Iterator[str]:
        """Yield the paths of files below a folder that match the parts of the pattern, or nearly."""
        part, *rest = parts
        if part in (".", "..") or ("{" not in part and os.path.lexists(os.path.join(self._root, folder, part))):
            yield from self._below(os.path.join(folder, part), rest)
            return
        wildcard = _wildcard(part, is_last=not rest)
        prefix = os.path.join(folder, "")
        for entry in self._entries(folder):
            # As in a shell, a leading dot has to be in the pattern.
            if wildcard.fullmatch(entry.name) and entry.name.startswith(".") == part.startswith("."):
                yield from self._below(prefix + entry.name, rest, entry)

    def _below(self, name: str, rest: list[str], entry: os.DirEntry | None = None) -> Iterator[str]:
        path = entry.path if entry else os.path.join(self._root, name)
        try:
            is_folder = entry.is_dir() if entry else os.path.isdir(path)
        except OSError as error:
            if rest:
                self._note_unlisted(path, error)
            is_folder = False
        if is_folder and rest:
            yield from self._names(name, rest)
        elif is_folder:
            if self._longest.fullmatch(name):
                self._leave_out(name, "it is a folder")
        elif not rest:
            yield name
        elif os.path.islink(path) and not os.path.exists(path):
            self._leave_out(name, "the folder is a link to what is not there")

    def _entries(self, folder: str) -> list[os.DirEntry]:
        path = os.path.join(self._root, folder) if folder else self._root
        try:
            with os.scandir(path) as found:
                entries = list(found)
        except OSError as error:
            self._note_unlisted(path, error)
            return []
        if folder and not entries:
            self._leave_out(folder, "the folder is empty; with DataLad, get it first")
        return entries

    def _note_near_miss(self, name: str, start: int) -> None:
        match = self._nearly.fullmatch(name, start)
        if not match:
            return
        if match["_compressed"]:
            self._leave_out(name, "it is compressed")
        elif self._in_any_case.fullmatch(name, start):
            self._leave_out(name, f"it differs from {self._pattern} in upper and lower case")
        else:
            self._leave_out(name, f"no number can be read for {{index}} in {self._pattern}")

    def _note_unlisted(self, path: str, error: OSError) -> None:
        self._unlisted.append(
            f"can't look for recordings in the folder {path}: {error.strerror}; make it readable, or describe the"
            " recordings in a table, see [recordings] table"
        )

    def _leave_out(self, name: str, reason: str) -> None:
        self._left_out.setdefault(reason, []).append(name)


def _expression(pieces: list[str], repeat: str, is_any_index: bool = False) -> str:
    """Return the regular expression of a pattern.

    `repeat` is "+" for fields as long as they can be, "+?" for short ones. `is_any_index`: an index needs no digits.
    """
    expression = re.escape(pieces[0])
    for position in range(1, len(pieces), 2):
        before, name, after = pieces[position - 1 : position + 2]
        if name in pieces[1:position:2]:
            expression += f"(?P={name})"
        elif name == "index" and not is_any_index:
            # Beside another field it has all the digits.
            starts = "(?<![0-9])" if position > 1 and not before else ""
            ends = "(?![0-9])" if position < len(pieces) - 2 and not after else ""
            expression += f"{starts}(?P<index>[0-9]{repeat}){ends}"
        else:
            expression += f"(?P<{name}>[^/]{repeat})"
        expression += re.escape(after)
    return expression


def _wildcard(part: str, is_last: bool) -> re.Pattern[str]:
    """Return what the name of a file or folder matches that may match a part of the pattern, or nearly."""
    pieces = re.split(r"\{\w+\}", part)
    return re.compile(".+".join(map(re.escape, pieces)) + (_COMPRESSED if is_last else ""), re.IGNORECASE | re.DOTALL)


def _as_text(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in fields.items())


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
