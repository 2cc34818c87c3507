"""The text of Python modules as this process imported them.

A process keeps the code that it imported, also when the file changes. So a module is read when the first class of steps
after its import is defined; one that is not imported by then, when its code is first asked for. Nothing is imported
here.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = "neuroluigi"

# The package's own code that analyses and draws. All other code of it serves every step: it changes with the version.
_ANALYSIS = ("neuroluigi.signals", "neuroluigi.ephys")

# Python's own library, and the names of the folders of installed distributions.
_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")
_OF_DISTRIBUTIONS = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Place:
    """Where a module is: its file, "" where that is no Python, and the folders in which a package has its modules."""

    file: str
    folders: tuple[str, ...] = ()
    is_package: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether it is of Python's own library or an installed distribution, which change by their version."""
        path = self.file or next(iter(self.folders), "")
        return path.startswith(_LIBRARY) or any(f"{os.sep}{name}{os.sep}" in path for name in _OF_DISTRIBUTIONS)


@dataclass(frozen=True)
class Text:
    """The text of a module: its parts in the order in which they ran, which are the cells of a notebook.

    `state` is size and mtime_ns of its file as it was read, None where there is none. `spec` is what the module was
    loaded by: another one, once it is loaded again.
    """

    parts: tuple[bytes, ...]
    file: str = ""
    state: tuple[int, int] | None = None
    spec: Any = None

    def is_on_disk(self) -> bool:
        """Whether the file still has the size and the time that it had when it was read."""
        return not self.file or _state_of(self.file) == self.state


def read_text(file: str, spec: Any = None) -> Text:
    """Return the text of a file as it is now, empty where it can't be read."""
    # First its time: where it is changed meanwhile, it is not as it was read.
    state = _state_of(file)
    with contextlib.suppress(OSError):
        return Text((Path(file).read_bytes(),), file, state, spec)
    return Text((), file, None, spec)


def _state_of(file: str) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = os.stat(file)
        return found.st_size, found.st_mtime_ns
    return None


def is_analysis(name: str) -> bool:
    """Whether a module is the package's own analysis."""
    return ".".join(name.split(".")[:2]) in _ANALYSIS


def is_followed(name: str, place: Place, own: Collection[str]) -> bool:
    """Whether the code of a module is followed, and does not change by a version; `own` are a lab's own packages."""
    top = name.partition(".")[0]
    if top == PACKAGE:
        return name == PACKAGE or is_analysis(name)
    return bool(place.file or place.folders) and top != "luigi" and (top in own or not place.is_installed)


# By name of the module; and the names at which remember_imported() has looked.
_texts: dict[str, Text] = {}
_seen: set[str] = set()


def remember_imported(step: type) -> None:
    """Read the modules that were imported so far; to be called when a class of steps is defined."""
    new = sys.modules.keys() - _seen
    _seen.update(new)
    for name in new & _texts.keys():
        # Read before it was imported.
        if _texts[name].spec is None:
            del _texts[name]
    own = (step.__module__.partition(".")[0],)
    for name in (*new, step.__module__):
        place = place_of(name)
        if place and place.file and is_followed(name, place, own):
            text_as_imported(name, place.file)


def text_as_imported(name: str, file: str) -> Text:
    """Return the text of a module as it was imported; one that is not imported yet would be imported as it is now."""
    known, spec = _texts.get(name), values_of(name).get("__spec__")
    if known and known.file == file and known.spec is None and spec is not None and not known.is_on_disk():
        # Imported and changed since it was read, in an order that nobody knows: no text is what was imported.
        _texts[name] = known = Text((), file, None, spec)
    is_known = known and known.file == file and known.spec is spec
    if not known or not is_known or not (name in sys.modules or known.is_on_disk()):
        _texts[name] = known = read_text(file, spec)
    return known


def is_imported_first(name: str) -> bool:
    """Whether a module was imported before the last class of steps was defined, and not only by a step that ran."""
    return name in _seen


def cells() -> tuple[bytes, ...]:
    """Return the cells of this notebook or IPython shell that were run so far, in order; () elsewhere."""
    found = values_of("__main__").get("In")
    return tuple(str(one).encode() for one in found) if isinstance(found, list) else ()


def place_of(name: str, folders_above: Sequence[str] | None = None) -> Place | None:
    """Return where a module is, loaded or not; None for one that is not there.

    folders_above: those of the package that it is in, for one that is not loaded.
    """
    if loaded := values_of(name):
        return _place(loaded.get("__file__"), loaded.get("__path__"))
    found = None
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        if folders_above is None:
            found = importlib.util.find_spec(name)
        else:
            # find_spec() of importlib.util would import the package above.
            found = importlib.machinery.PathFinder.find_spec(name, list(folders_above))
    return _place(found.origin, found.submodule_search_locations) if found else None


def is_installed(name: str) -> bool:
    """Whether a module that is loaded is of Python's own library or an installed distribution, or has no file."""
    place = place_of(name)
    return place is None or not (place.file or place.folders) or place.is_installed


def values_of(name: str) -> Mapping[str, Any]:
    """Return the values of a module that is loaded, {} of another one; a __getattr__ of its own is not asked."""
    return getattr(sys.modules.get(name), "__dict__", {})


def _place(file: object, folders: Any) -> Place:
    is_python = isinstance(file, str) and file.endswith(".py")
    return Place(_absolute(str(file)) if is_python else "", tuple(folders or ()), folders is not None)


def _absolute(file: str) -> str:
    return file if os.path.isabs(file) else os.path.abspath(file)
