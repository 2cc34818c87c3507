"""What code a result was made with: the source files that matter to one step, with their checksums."""

import ast
import functools
import hashlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent

# The machinery of every step: its changes are changes of version, not of one step. What analyses and draws is not.
_ANALYSIS = ("signals", "ephys")
_MACHINERY = {
    path for path in _PACKAGE.rglob("*.py") if path.parent.name not in _ANALYSIS or path.name == "__init__.py"
}

# Literals, with what a comment sign in them would hide, and comments.
_M_COMMENT = re.compile(r"\'(?:[^\'\n]|\'\')*\'|\"(?:[^\"\n]|\"\")*\"|%[^\n]*")
_M_WORD = re.compile(r"[A-Za-z]\w*")


def python_sources(step: type) -> list[dict]:
    """Return the source of a step's class, and of what it names from its own project, each with sha256.

    Functions and classes of the step's own file count one by one, other files of the project as a whole. A stand-in is
    the business of the engine that runs it.
    """
    return list(_reached(step).values())


@functools.cache
def function_sources(function: object) -> tuple[dict, ...]:
    """Return the source of one function, with sha256."""
    return (_described(function),) if _source_of(function) else ()


def m_files(folder: Path) -> list[Path]:
    """Return the M-files that an engine reaches with `folder` on its path: also of private, @class and +package."""
    if not folder.is_dir():
        return []
    inside = (sub for sub in folder.iterdir() if sub.name[0] in "@+" or sub.name == "private")
    return sorted([*folder.glob("*.m"), *(file for sub in inside for file in sub.rglob("*.m"))])


def matlab_sources(folders: Mapping[Path, str], function: str) -> list[dict]:
    """Return the M-files that a call of `function` can reach by name, each with sha256.

    `folders` are those on the engine's path, the one that wins first, with their names in records. A function of a
    package, such as tools.countSpikes, and the files of a class are reached from code that has each name of their path.
    """
    found = ((file, folder, file.stat()) for folder in folders for file in m_files(folder))
    files = tuple((file, folder, one.st_size, one.st_mtime_ns) for file, folder, one in found)
    return _matlab_sources_once(tuple(folders.items()), function, files)


@functools.lru_cache(maxsize=256)
def _matlab_sources_once(folders: tuple[tuple[Path, str], ...], function: str, files: tuple) -> list[dict]:
    names_of_folders = dict(folders)
    reached: dict[Path, dict] = {}
    candidates = [(file, folder, _m_names(file, folder)) for file, folder, *_ in files]
    to_read: list[tuple[Path | None, set[str]]] = [(None, set(function.split(".")))]
    while to_read:
        home, words = to_read.pop()
        called: dict[object, tuple[Path, Path]] = {}
        for file, folder, names in candidates:
            if names <= words and (not _is_private(file) or home in (file.parent, file.parent.parent)):
                # Octave does not call a private function of a package where the path has another one: both count.
                called.setdefault((names, file.stem, _is_private(file)), (file, folder))
        for file, folder in called.values():
            if file not in reached:
                text = file.read_bytes()
                path = f"{names_of_folders[folder]}/{file.relative_to(folder).as_posix()}"
                reached[file] = {"path": path, "sha256": hashlib.sha256(text).hexdigest()}
                code = _M_COMMENT.sub(_keep_literals, text.decode("utf-8", errors="replace"))
                to_read.append((file.parent, set(_M_WORD.findall(code))))
    return sorted(reached.values(), key=lambda one: one["path"])


def _is_private(file: Path) -> bool:
    return file.parent.name == "private"


def _m_names(file: Path, folder: Path) -> frozenset[str]:
    """Return the names by which code reaches an M-file: those of its packages, and of its class or itself."""
    parts = () if _is_private(file) else file.relative_to(folder).parts
    packages = [part[1:] for part in parts if part.startswith("+")]
    classes = [part[1:] for part in parts if part.startswith("@")]
    return frozenset([*packages, *(classes or [file.stem])])


def _keep_literals(match: re.Match) -> str:
    return "" if match[0].startswith("%") else match[0]


# What was imported stays as it is throughout a process, whatever becomes of its file.
@functools.cache
def _reached(step: type) -> dict[str, dict]:
    found: dict[str, dict] = {}
    project = _file_of(step).parent if _file_of(step) else Path.cwd()
    to_read: list[object] = [one for one in step.__mro__ if _counts(_file_of(one), project)]
    while to_read:
        current = to_read.pop()
        if not _source_of(current) or _described(current)["path"] in found:
            continue
        described = _described(current)
        found[described["path"]] = described
        home = _file_of(current)
        module = sys.modules[current.__module__]
        for name in _names(_source_of(current)):
            other = getattr(module, name, None)
            file = _file_of(other)
            if file == home and not inspect.ismodule(other):
                # Another step is what it is made from, not how.
                if inspect.isfunction(other):
                    to_read.append(other)
            elif _counts(file, project):
                found[_named(file)] = {"path": _named(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return dict(sorted(found.items()))


def _names(source: str) -> Iterator[str]:
    """Yield the names in a piece of code, but for what a class gives as its stand-in."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [one for one in node.body if not _gives_standin(one)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id


def _gives_standin(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Name) and t.id == "numpy_function" for t in node.targets
    )


def _counts(file: Path | None, project: Path) -> bool:
    """Whether code in a file is the business of a step: the project's own, or the package's analysis."""
    if file is None or file in _MACHINERY:
        return False
    return _PACKAGE in file.parents or (
        project in file.parents and "site-packages" not in file.relative_to(project).parts
    )


def _named(file: Path) -> str:
    """Return how records name a file of code: one of the package by its path in it, another by its name."""
    return f"neuroluigi/{file.relative_to(_PACKAGE).as_posix()}" if _PACKAGE in file.parents else file.name


def _described(thing: object) -> dict:
    path = f"{_named(_file_of(thing))}:{thing.__name__}"
    return {"path": path, "sha256": hashlib.sha256(_source_of(thing).encode()).hexdigest()}


def _source_of(thing: object) -> str:
    """Return the text of a class or function; none for one typed into a notebook or a shell."""
    try:
        return inspect.getsource(thing) if _file_of(thing) else ""
    except (OSError, TypeError):
        return ""


def _file_of(value: object) -> Path | None:
    try:
        return Path(inspect.getsourcefile(value)).resolve()
    except (OSError, TypeError):
        return None
