"""The `luigi` script beside this Python: whether it is this package's, or Luigi's own that came after it."""

import sys
from importlib import metadata
from pathlib import Path

_MODULE = "neuroluigi.runner.run"

CURE = "run pip install --force-reinstall --no-deps neuroluigi (in a checkout: -e .), or use neuroluigi run"


def script_path() -> Path:
    """Return the path of the `luigi` command that belongs to this Python."""
    return Path(sys.executable).with_name("luigi.exe" if sys.platform == "win32" else "luigi")


def script_problem(folder: Path | None = None) -> str:
    """Return what is wrong with the `luigi` script in a folder, "" if nothing; by default beside this Python.

    A package that is installed later replaces the script of one that came before, as pip install -U luigi does.
    """
    folder = folder or script_path().parent
    paths = [path for name in ("luigi", "luigi.exe", "luigi-script.py") if (path := folder / name).is_file()]
    if not paths:
        return f"there is no luigi in {folder}; {CURE}"
    # The .exe of pip and uv ends with the script in a zip archive that is not compressed, or else by the RECORD.
    if any(_MODULE.encode() in path.read_bytes() for path in paths):
        return ""
    if any(path.suffix == ".exe" for path in paths) and _is_recorded(paths):
        return ""
    return f"{paths[0]} is Luigi's own, not neuroluigi's: it does not look for tasks.py in this folder; {CURE}"


def _is_recorded(paths: list[Path]) -> bool:
    """Return whether a script has the size that the RECORD of this package has for it."""
    try:
        files = metadata.distribution("neuroluigi").files or []
    except metadata.PackageNotFoundError:
        return False
    recorded = {Path(str(file.locate())).resolve(): file.size for file in files}
    return any(recorded.get(path.resolve()) == path.stat().st_size for path in paths)
