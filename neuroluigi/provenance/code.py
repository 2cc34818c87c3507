"""What code a result was made with: the source files that matter to one step, with their checksums."""

import ast
import functools
import hashlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
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


def matlab_sources(folder: Path, function: str) -> list[dict]:
    """Return the M-files of `folder`, and of private/ in it, that a call of `function` can reach by name."""
    files = (*folder.glob("*.m"), *folder.glob("private/*.m"))
    found = [(path, path.stat()) for path in sorted(files)]
    return _matlab_sources_once(folder, function, tuple((path, s.st_size, s.st_mtime_ns) for path, s in found))


@functools.lru_cache(maxsize=256)
def _matlab_sources_once(folder: Path, function: str, files: tuple) -> list[dict]:
    reached, to_read = {}, [function]
    while to_read:
        name = to_read.pop()
        places = (folder / f"{name}.m", folder / "private" / f"{name}.m")
        file = next((place for place in places if place.is_file()), None)
        if name in reached or not file:
            continue
        text = file.read_bytes()
        path = f"{folder.name}/{file.relative_to(folder).as_posix()}"
        reached[name] = {"path": path, "sha256": hashlib.sha256(text).hexdigest()}
        to_read += set(_M_WORD.findall(_M_COMMENT.sub(_keep_literals, text.decode("utf-8", errors="replace"))))
    return [reached[name] for name in sorted(reached)]


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
