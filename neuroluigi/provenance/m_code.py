"""The M-files that a call can reach by name, with their checksums, and what they leave behind in the engine."""

import contextlib
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from neuroluigi.provenance.m_effects import lasting_effects

# Literals, with what a comment sign in them would hide, and comments.
_LITERAL = r"\'(?:[^\'\n]|\'\')*\'|\"(?:[^\"\n]|\"\")*\""
_COMMENT = re.compile(rf"{_LITERAL}|%[^\n]*")
_WORD = re.compile(r"[A-Za-z]\w*")

# Texts that may name a folder: the arguments of fullfile(...), a literal, and the words of the command addpath.
_FULLFILE = re.compile(rf"\bfullfile\s*\(((?:{_LITERAL}|[^()\'\"]|\([^()]*(?:\([^()]*\)[^()]*)*\))*)\)")
_TEXT = re.compile(_LITERAL)
_COMMAND = re.compile(r"\baddpath[ \t]+([^\s;,()=]+)")


# What changes where a file is written (time and id), and where one of the same size and time takes its place.
Stamp = tuple[int, int, int, int]


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_ino, found.st_size, found.st_ctime_ns


def m_files(folder: Path) -> list[Path]:
    """Return the M-files that an engine reaches with `folder` on its path: also of private, @class and +package."""
    return [file for file in code_files(folder) if file.suffix == ".m"]


def code_files(folder: Path) -> list[Path]:
    """Return the M-files that an engine reaches with `folder` on its path, and the functions that are compiled."""
    if not folder.is_dir():
        return []
    here = list(folder.iterdir())
    inside = (sub for sub in here if sub.name[0] in "@+" or sub.name == "private")
    return sorted(file for file in [*here, *(file for sub in inside for file in sub.rglob("*"))] if _is_code(file))


def _is_code(file: Path) -> bool:
    return file.suffix in (".m", ".p", ".oct") or file.suffix.startswith(".mex")


def code_files_on(folders: Iterable[Path]) -> Iterator[tuple[Path, Path, os.stat_result]]:
    """Yield the files of code that an engine reaches with `folders` on its path, each with its folder and its stat().

    With them are those of the folders that an M-file itself puts on the path by addpath, as far as these are below the
    parent of the folder at the top of its own: a project's other folders, not a toolbox.
    """
    waiting = list(dict.fromkeys(folders))
    tops = [one for one in waiting if not any(other in one.parents for other in waiting)]
    roots = {one: next(top.parent for top in tops if top == one or top in one.parents) for one in waiting}
    for folder in waiting:
        for file in code_files(folder):
            found = file.stat()
            yield file, folder, found
            for added in _added_folders(file, roots[folder], _stamp(found)):
                if added not in roots:
                    roots[added] = roots[folder]
                    waiting.append(added)


@functools.lru_cache(maxsize=4096)
def _added_folders(file: Path, root: Path, stamp: Stamp) -> tuple[Path, ...]:
    """Return the folders below `root` that an M-file may put on the path: each that one of its texts can name."""
    code = _without_comments(file.read_bytes()) if file.suffix == ".m" else ""
    if "addpath" not in code:
        return ()
    literals = [_TEXT.findall(code), *(_TEXT.findall(inside) for inside in _FULLFILE.findall(code))]
    names = [text[1:-1] for text in literals[0]] + _COMMAND.findall(code)
    names += ["/".join(text[1:-1] for text in some if text[1:-1] != "fullpath") for some in literals[1:]]
    # The folder of the file, and one higher for each further fileparts(...).
    bases = [file.parent, *file.parents[1 : max(1, code.count("fileparts"))]]
    paths = [*bases[1:], *(base / name.lstrip("/") for name in names for base in bases), *map(Path, names)]
    found = dict.fromkeys(Path(os.path.normpath(path)) for path in paths if path.is_absolute())
    added = [path for path in found if root in (path, *path.parents) and os.path.isdir(path)]
    return tuple(dict.fromkeys(below for path in added for below in _with_m_files(path, "genpath" in code)))


def _with_m_files(top: Path, is_deep: bool) -> Iterator[Path]:
    """Yield a folder, and those of the folders below it that genpath names and that have M-files."""
    yield top
    for folder, subfolders, files in os.walk(top) if is_deep else ():
        if any(one.endswith(".m") for one in files) or any(one[0] in "@+" for one in subfolders):
            yield Path(folder)
        subfolders[:] = (one for one in subfolders if one[0] not in "@+." and one != "private")


# Files of code as they are now, each with its folder on the path.
Files = tuple[tuple[Path, Path, Stamp], ...]


@dataclass(frozen=True)
class _Reached:
    """A file of code that a call can reach: its folder on the path, its checksum, and what it leaves in the engine."""

    folder: Path
    sha256: str
    effects: Sequence[str]


# What one_look_at_code() has found so far, by the folders on the path; None where each call looks for itself.
_seen: ContextVar[dict[tuple[Path, ...], Files] | None] = ContextVar("seen", default=None)


@contextlib.contextmanager
def one_look_at_code() -> Iterator[None]:
    """Look once at each folder of code that is asked for in this context, or in the one around it."""
    seen = _seen.get()
    token = _seen.set({} if seen is None else seen)
    try:
        yield
    finally:
        _seen.reset(token)


def found_files(folders: Iterable[Path]) -> Files:
    """Return the files of code that an engine reaches with `folders` on its path."""
    folders, seen = tuple(folders), _seen.get()
    if seen is None:
        seen = {}
    if folders not in seen:
        seen[folders] = tuple((file, folder, _stamp(one)) for file, folder, one in code_files_on(folders))
    return seen[folders]


def reached_files(folders: Iterable[Path], function: str) -> list[Path]:
    """Return the M-files that a call of `function` can reach by name, as they are now; see matlab_sources()."""
    folders = tuple(folders)
    return [file for file in _reached(folders, function, found_files(folders)) if file.suffix == ".m"]


def matlab_sources(folders: Mapping[Path, str], function: str) -> list[dict]:
    """Return the M-files that a call of `function` can reach by name, each with sha256, as they are now.

    `folders` are those on the engine's path, the one that wins first, with their names in records. A function of a
    package, such as tools.countSpikes, and the files of a class are reached from code that has each name of their path.
    """
    reached = _reached(tuple(folders), function, found_files(folders))
    sources = (
        {"path": _recorded_path(file, one.folder, folders), "sha256": one.sha256}
        for file, one in reached.items()
        if file.suffix == ".m"
    )
    return sorted(sources, key=lambda one: one["path"])


def matlab_writes(folders: Mapping[Path, str], function: str) -> dict[str, tuple[int, int]]:
    """Return when the files of code that a call of `function` can reach were written, and which files they are.

    A file that is changed and changed back is another one then, or of another time: what was read of it meanwhile is
    not known.
    """
    files = found_files(folders)
    reached, stamps = _reached(tuple(folders), function, files), {file: stamp for file, _, stamp in files}
    return {_recorded_path(file, one.folder, folders): stamps[file][:2] for file, one in reached.items()}


def lasting_effects_of(folders: Iterable[Path], function: str, files: Files) -> list[str]:
    """Return what a call of `function` may leave behind in the engine: ["meanOnce.m: setenv"].

    `files` are what found_files() finds in `folders`, those on the engine's path.
    """
    reached = _reached(tuple(folders), function, files)
    return sorted(f"{file.name}: {', '.join(one.effects)}" for file, one in reached.items() if one.effects)


@functools.lru_cache(maxsize=256)
def _reached(folders: tuple[Path, ...], function: str, files: Files) -> Mapping[Path, _Reached]:
    reached: dict[Path, _Reached] = {}
    candidates = [(file, folder, _names(file, folder)) for file, folder, _ in files]
    to_read: list[tuple[Path | None, set[str]]] = [(None, set(function.split(".")))]
    while to_read:
        home, words = to_read.pop()
        called: dict[object, tuple[Path, Path]] = {}
        for file, folder, names in candidates:
            if names <= words and (not _is_private(file) or home in (file.parent, file.parent.parent)):
                # Octave does not call a private function of a package where the path has another one: both count. So do
                # those of folders that M-files add to the path, which come first or last; and what is compiled.
                added = None if folder in folders else folder
                called.setdefault((names, file.stem, _is_private(file), added, file.suffix), (file, folder))
        for file, folder in called.values():
            if file not in reached:
                text = file.read_bytes()
                is_compiled = file.suffix != ".m"
                effects = ["compiled code"] if is_compiled else lasting_effects(text.decode("utf-8", errors="replace"))
                reached[file] = _Reached(folder, hashlib.sha256(text).hexdigest(), effects)
                if not is_compiled:
                    to_read.append((file.parent, set(_WORD.findall(_without_comments(text)))))
    return reached


def _recorded_path(file: Path, folder: Path, names: Mapping[Path, str]) -> str:
    if folder in names:
        return f"{names[folder]}/{file.relative_to(folder).as_posix()}"
    # Of a folder that an M-file adds: from the nearest folder that has one on the path.
    root = next(above for above in file.parents if any(above in one.parents for one in names))
    return file.relative_to(root).as_posix()


def _is_private(file: Path) -> bool:
    return file.parent.name == "private"


def _names(file: Path, folder: Path) -> frozenset[str]:
    """Return the names by which code reaches an M-file: those of its packages, and of its class or itself."""
    parts = () if _is_private(file) else file.relative_to(folder).parts
    packages = [part[1:] for part in parts if part.startswith("+")]
    classes = [part[1:] for part in parts if part.startswith("@")]
    return frozenset([*packages, *(classes or [file.stem])])


def _without_comments(text: bytes) -> str:
    return _COMMENT.sub(lambda found: "" if found[0][0] == "%" else found[0], text.decode("utf-8", errors="replace"))
