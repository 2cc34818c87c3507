"""The code that a result is made with: the sources of one step, with their checksums."""

import ast
import functools
import hashlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

_PACKAGE = Path(__file__).parent.parent

# The package's own code that analyses and draws. All other code of it serves every step: it changes with the version.
_ANALYSIS = ("signals", "ephys")
_MACHINERY = {
    path for path in _PACKAGE.rglob("*.py") if path.parent.name not in _ANALYSIS or path.name == "__init__.py"
}

# Literals, with what a comment sign in them would hide, and comments.
_M_COMMENT = re.compile(r"\'(?:[^\'\n]|\'\')*\'|\"(?:[^\"\n]|\"\")*\"|%[^\n]*")
_M_WORD = re.compile(r"[A-Za-z]\w*")


def python_sources(step: type) -> list[dict]:
    """Return the sources of a step: [{"path": "tasks.py:Stats", "sha256": ...}], sorted by path.

    They are its class and the classes that it inherits from, functions of the same files that these name, and other
    files that they name, each as a whole: of the project (the folder of the step's file) and of the package's analysis.
    A NumPy function is not among them; see function_sources.
    """
    return list(_reached(step).values())


@functools.cache
def function_sources(function: FunctionType) -> tuple[dict, ...]:
    """Return the source of one function, as python_sources does; () where it has no file."""
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


# A process keeps the code that it imported, also if the file changes.
@functools.cache
def _reached(step: type) -> dict[str, dict]:
    found: dict[str, dict] = {}
    own_file = _file_of(step)
    project = own_file.parent if own_file else Path.cwd()
    to_read: list[type | FunctionType] = [one for one in step.__mro__ if _counts(_file_of(one), project)]
    while to_read:
        current = to_read.pop()
        if not _source_of(current) or _described(current)["path"] in found:
            continue
        described = _described(current)
        found[described["path"]] = described
        file_of_current = _file_of(current)
        module = sys.modules[current.__module__]
        for name in _names(_source_of(current)):
            other = getattr(module, name, None)
            file = _file_of(other)
            if file == file_of_current and not inspect.ismodule(other):
                # Another class is another step: what it does is in its own record.
                if inspect.isfunction(other):
                    to_read.append(other)
            elif file and _counts(file, project):
                found[_named(file)] = {"path": _named(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return dict(sorted(found.items()))


def _names(source: str) -> Iterator[str]:
    """Yield the names in a piece of code, without that of a class's `numpy_function`."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [one for one in node.body if not _sets_numpy_function(one)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id


def _sets_numpy_function(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Name) and t.id == "numpy_function" for t in node.targets
    )


def _counts(file: Path | None, project: Path) -> bool:
    """Whether code of a file belongs to a step: it is the project's own, or the package's analysis."""
    if file is None or file in _MACHINERY:
        return False
    return _PACKAGE in file.parents or (
        project in file.parents and "site-packages" not in file.relative_to(project).parts
    )


def _named(file: Path) -> str:
    """Return the path of a file in records: within the package neuroluigi/..., else its name."""
    return f"neuroluigi/{file.relative_to(_PACKAGE).as_posix()}" if _PACKAGE in file.parents else file.name


def _described(thing: type | FunctionType) -> dict:
    """Describe a class or function that has a file."""
    file = _file_of(thing)
    assert file
    path = f"{_named(file)}:{thing.__name__}"
    return {"path": path, "sha256": hashlib.sha256(_source_of(thing).encode()).hexdigest()}


def _source_of(thing: Any) -> str:
    """Return the text of a class or function, "" for one typed into a notebook or a shell."""
    try:
        return inspect.getsource(thing) if _file_of(thing) else ""
    except (OSError, TypeError):
        return ""


def _file_of(value: Any) -> Path | None:
    try:
        file = inspect.getsourcefile(value)
    except (OSError, TypeError):
        return None
    return Path(file).resolve() if file else None
