"""What code a result was made with: the source files that matter to one step, with their checksums."""

import ast
import hashlib
import inspect
import re
import sys
import textwrap
from pathlib import Path

_PACKAGE = Path(__file__).parent

# The machinery of every step: its changes are changes of version, not of one step.
_MACHINERY = {_PACKAGE / f"{name}.py" for name in ("__init__", "task", "matlab", "target", "records", "recordings")}

# Comments, and char literals with what a comment sign in them would hide.
_M_COMMENT = re.compile(r"'(?:[^'\n]|'')*'|%[^\n]*")
_M_WORD = re.compile(r"[A-Za-z]\w*")


def python_sources(step: type, follow: bool = True) -> list[dict]:
    """Return the source of a step's class, and of what it names from its own project, each with sha256.

    A function or class that the step's source names counts with its whole file; so does a module.
    """
    try:
        text = inspect.getsource(step)
    except (OSError, TypeError):  # typed into a notebook or a shell
        return []
    file = Path(inspect.getsourcefile(step)).resolve()
    found = [{"path": f"{file.name}:{step.__name__}", "sha256": hashlib.sha256(text.encode()).hexdigest()}]
    if follow:
        names = {node.id for node in ast.walk(ast.parse(textwrap.dedent(text))) if isinstance(node, ast.Name)}
        module = sys.modules[step.__module__]
        files = {_file_of(getattr(module, name, None)) for name in names}
        project = file.parent
        found += [
            {"path": other.name, "sha256": _hash(other)}
            for other in sorted(f for f in files if f)
            if other != file
            and other not in _MACHINERY
            and (project in other.parents or _PACKAGE in other.parents)
            and "site-packages" not in other.relative_to(project if project in other.parents else _PACKAGE).parts
        ]
    return found


def matlab_sources(folder: Path, function: str) -> list[dict]:
    """Return the M-files of `folder` that a call of `function` can reach by name, each with sha256."""
    reached, to_read = {}, [function]
    while to_read:
        name = to_read.pop()
        file = folder / f"{name}.m"
        if name in reached or not file.is_file():
            continue
        text = file.read_bytes()
        reached[name] = {"path": f"{folder.name}/{file.name}", "sha256": hashlib.sha256(text).hexdigest()}
        to_read += set(_M_WORD.findall(_M_COMMENT.sub(_keep_literals, text.decode("utf-8", errors="replace"))))
    return [reached[name] for name in sorted(reached)]


def _keep_literals(match: re.Match) -> str:
    return match[0] if match[0].startswith("'") else ""


def _file_of(value: object) -> Path | None:
    try:
        return Path(inspect.getsourcefile(value)).resolve()
    except (OSError, TypeError):
        return None


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
