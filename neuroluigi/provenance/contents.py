"""What lies at the path of a result: a file, or a folder that is one result, with all files in it.

Number, size and times of a folder's files come from one walk, and tell whether to read them. Its checksum is that of
its manifest: the names of its files with their checksums. A link counts as the text of where it leads, and is not
followed; folders count by the files in them. What is ignored doesn't count: of a folder, files by their names; of a
JSON file, values by theirs, such as the places of other files.
"""

import contextlib
import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neuroluigi.provenance.files import (
    describe_file,
    hash_file,
    is_flushed_at_once,
    path_in_root,
    read_bytes,
    sync_file,
    sync_folder,
    write_text,
)


class Measure(NamedTuple):
    """Bytes and latest mtime of a file, or of all files in a folder, and of a folder their number."""

    bytes: int
    mtime_ns: int
    files: int | None = None

    def described(self) -> dict[str, int]:
        """Return the measure as a record has it."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def matches(self, described: Mapping) -> bool:
        """Whether a record describes a file, or a folder, of this measure."""
        return self == (described["bytes"], described["mtime_ns"], described.get("files"))

    def may_be(self, described: Mapping) -> bool:
        """Whether what a record describes can have this measure, whatever its time; else it need not be read."""
        # What a JSON file ignores has any length.
        is_any = self.files is None and bool(described.get("ignore"))
        return is_any or (self.bytes, self.files) == (described["bytes"], described.get("files"))


def measure(path: str | Path, ignore: Sequence[str] = ()) -> Measure | None:
    """Return the measure of a file or folder, None where there is neither.

    That of a folder that can't be read to its end is of what can: it is another than recorded, and not missing.
    `ignore` are names of files in a folder that don't count, at any depth, or patterns of them as in a shell; of
    folders with a slash at the end.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISDIR(found.st_mode):
        return Measure(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
    size, newest, count = 0, 0, 0
    with contextlib.suppress(OSError):
        for _, entry in _walk(path, ignore):
            of_file = entry.stat(follow_symlinks=False)
            size, newest, count = size + of_file.st_size, max(newest, of_file.st_mtime_ns), count + 1
    return Measure(size, newest, count)


def why_not_read(path: Path) -> str:
    """Return why what lies at the path of a result is not read; "" for a file, a folder, or nothing."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return ""
    if stat.S_ISLNK(mode):
        return "is a link, which is not followed"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "is neither a file nor a folder"


def _walk(folder: str | Path, ignore: Sequence[str], above: str = "") -> Iterator[tuple[str, os.DirEntry]]:
    """Yield the files and links below a folder, with their names relative to it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name, is_folder = f"{above}{entry.name}", entry.is_dir(follow_symlinks=False)
            if any(_is_meant(name, is_folder, pattern) for pattern in ignore):
                continue
            if is_folder:
                yield from _walk(entry.path, ignore, f"{name}/")
            elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                yield name, entry


def _is_meant(name: str, is_folder: bool, pattern: str) -> bool:
    wanted = pattern.rstrip("/")
    is_named = fnmatch.fnmatchcase(name, wanted) or fnmatch.fnmatchcase(name.rpartition("/")[2], wanted)
    return is_named and is_folder == pattern.endswith("/")


def manifest(
    folder: str | Path, ignore: Sequence[str] = (), hash_one: Callable[[str], str] = hash_file
) -> dict[str, str]:
    """Return the sha256 of each file below a folder by its name there, sorted; "link:" and that of its text for a link.

    Raises OSError.
    """
    found = {}
    for name, entry in _walk(folder, ignore):
        if entry.is_symlink():
            found[name] = f"link:{hashlib.sha256(os.fsencode(os.readlink(entry.path))).hexdigest()}"
        else:
            found[name] = hash_one(entry.path)
    return dict(sorted(found.items()))


def digest_of_manifest(checksums: Mapping[str, str]) -> str:
    """Return the checksum of a folder: that of its manifest, whatever the folder is called."""
    return hashlib.sha256(_as_text(checksums).encode("utf-8", "surrogateescape")).hexdigest()


def checksum(path: str | Path, ignore: Sequence[str] = (), hash_one: Callable[[str], str] = hash_file) -> str:
    """Return the sha256 of a file, or the checksum of a folder; of a JSON file that ignores something, of the rest.

    Raises OSError.
    """
    if os.path.isdir(path):
        return digest_of_manifest(manifest(path, ignore, hash_one))
    return digest_of_json(read_bytes(path), ignore) if ignore else hash_one(os.fspath(path))


def digest_of_json(content: bytes, ignore: Sequence[str]) -> str:
    """Return the checksum of JSON without the values of these names, at any depth; that of its bytes if it is none."""
    try:
        text = json.dumps(_without(json.loads(content), frozenset(ignore)), sort_keys=True)
    except (ValueError, RecursionError):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _without(value: Any, ignore: Container[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, ignore) for name, one in value.items() if name not in ignore}
    return [_without(one, ignore) for one in value] if isinstance(value, list) else value


def describe(
    path: Path, roots: Mapping[str, Path], sha256: str | None = None, ignore: Sequence[str] = ()
) -> dict[str, int | str | list[str]]:
    """Return path (relative to one of `roots`), bytes, mtime and sha256 of a file, or of a folder; of that the number
    of files too, and what is ignored. Raises OSError.
    """
    if not path.is_dir() and not ignore:
        return describe_file(path, roots, sha256)
    # Before they are read, so that a change in between shows.
    found = measure(path, ignore)
    if found is None:
        raise OSError(f"{path} can't be read")
    known = {**path_in_root(path, roots), **found.described(), "sha256": sha256 or checksum(path, ignore)}
    return {**known, "ignore": list(ignore)} if ignore else known


def name_in_manifest(path: Path, record_path: Path) -> str:
    """Return what the manifest beside a run record calls a file or folder: its path in the folder of the step."""
    return os.path.relpath(path, record_path.parent.parent).replace(os.sep, "/")


def write_manifest(path: Path, checksums: Mapping[str, str]) -> None:
    """Write the checksums of files by their names, as `sha256sum --check` reads them; it passes over links."""
    write_text(path, _as_text(checksums), errors="surrogateescape")


def read_manifest(path: Path) -> dict[str, str]:
    """Return the checksums of a manifest by the names of the files, {} where it can't be read."""
    found = {}
    with contextlib.suppress(OSError):
        for line in read_bytes(path).decode("utf-8", "surrogateescape").split("\n")[:-1]:
            sha256, _, name = line.removeprefix("\\").partition("  ")
            found[_unescaped(name) if line.startswith("\\") else name] = sha256
    return found


def within(checksums: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the part of a manifest that is about one of its folders, by the names of the files there."""
    above = f"{folder}/"
    return {name[len(above) :]: sha256 for name, sha256 in checksums.items() if name.startswith(above)}


def _as_text(checksums: Mapping[str, str]) -> str:
    return "".join(map(_as_line, checksums.items()))


def _as_line(one: tuple[str, str]) -> str:
    # As GNU's sha256sum writes names that would break a line.
    name = one[0].replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if name == one[0] else chr(92)}{one[1]}  {name}\n"


def _unescaped(name: str) -> str:
    parts = (part.replace("\\n", "\n").replace("\\r", "\r") for part in name.split("\\\\"))
    return "\\".join(parts)


def sync(path: Path) -> None:
    """Make a file, or all files in a folder, durable against a power cut."""
    if not is_flushed_at_once():
        return
    if not path.is_dir():
        sync_file(path)
        return
    for top, _, names in os.walk(path, topdown=False):
        for name in names:
            file = os.path.join(top, name)
            if os.path.isfile(file) and not os.path.islink(file):
                sync_file(file)
        sync_folder(Path(top))
