"""The scripts `luigi` and `luigid` of this Python: whose they are, and how they become this package's again.

Luigi has scripts of the same names, which do not look for tasks.py in the current folder. What is installed last has
its own there: after pip install -U luigi that is Luigi, after uv pip install either of the two.
"""

import contextlib
import re
import shutil
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from neuroluigi.provenance.parts import part_path

NAMES = ("luigi", "luigid")

CURE = "run neuroluigi doctor --fix; or use neuroluigi run, or python -m luigi"

# How a script of pip or uv, or the end of their .exe where it is not compressed, names the package that it starts.
_STARTED = re.compile(rb"from (neuroluigi|luigi)\.[\w.]+ import")


def script_path(name: str = "luigi", folder: Path | None = None) -> Path:
    """Return the path of a command in a folder, by default in that of the commands of this Python."""
    return (folder or Path(sysconfig.get_path("scripts"))) / (f"{name}.exe" if sys.platform == "win32" else name)


def script_owner(path: Path) -> str:
    """Return the package whose command a script is, neuroluigi or luigi. Raises OSError where there is no script."""
    found = _STARTED.search(path.read_bytes())
    if found:
        return found[1].decode()
    return "neuroluigi" if _is_recorded(path) or _is_copy(path) else "luigi"


def script_problem(name: str = "luigi", folder: Path | None = None) -> str:
    """Return what is wrong with the script of a command, "" if nothing."""
    path = script_path(name, folder)
    try:
        owner = script_owner(path)
    except OSError:
        return f"there is no {name} in {path.parent}; {CURE}"
    if owner == "neuroluigi":
        return ""
    lacks = "it does not look for tasks.py in this folder" if name == "luigi" else "it listens on all addresses"
    return f"{path} is Luigi's own, not neuroluigi's: {lacks}; {CURE}"


def restore_scripts(folder: Path | None = None) -> list[Path]:
    """Make the scripts of the commands this package's, and return those that were not.

    Each is a copy of the script `neuroluigi`, which starts what it is named: so it fits this Python and this system,
    whichever program installed it, and needs none to be written. Raises OSError.
    """
    restored = []
    source = script_path("neuroluigi", folder)
    for path in (script_path(name, folder) for name in NAMES if script_problem(name, folder)):
        part = part_path(path)
        try:
            shutil.copy2(source, part)
            part.replace(path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        restored.append(path)
    return restored


def _is_recorded(path: Path) -> bool:
    """Return whether a script has the size that the RECORD of this package has for it."""
    try:
        files = metadata.distribution("neuroluigi").files or []
    except metadata.PackageNotFoundError:
        return False
    recorded = {Path(str(file.locate())).resolve(): file.size for file in files}
    return recorded.get(path.resolve()) == path.stat().st_size


def _is_copy(path: Path) -> bool:
    source = script_path("neuroluigi", path.parent)
    return source.is_file() and source.read_bytes() == path.read_bytes()
