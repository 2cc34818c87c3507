"""Where M-functions are: the folders on an engine's path, and the file of a function in them."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent

# Matlab reaches what is in these from the folder that they are in; on its path they would be wrong.
_REACHED_FROM_ABOVE = ("private", "resources")


def package_folder() -> Path:
    """Return the folder of the M-files that come with the package: installed with it, or the checkout's matlab/."""
    installed = _PACKAGE / "mfiles"
    return installed if installed.is_dir() else _PACKAGE.parent / "matlab"


def listed_folders(own: Iterable[str]) -> dict[Path, str]:
    """Return the absolute folders in which M-functions are looked for, the one that wins first, with their names.

    These are `own`, a lab's, and at last the package's, where that is none of them. The names are those of run records.
    """
    folders = [Path(os.path.abspath(folder)) for folder in own]  # noqa: PTH100 (resolve() would follow links)
    names = {folder: folder.name for folder in folders}
    if not any(folder.is_dir() and folder.samefile(package_folder()) for folder in folders):
        names[package_folder()] = "neuroluigi/mfiles"
    return names


def search_path(folders: Mapping[Path, str]) -> Iterator[tuple[Path, str]]:
    """Yield each folder of an engine's path, the one that wins first, with its name in run records.

    Each of `folders`, as listed_folders() returns them, is followed by its subfolders, without private, resources,
    @class and +package, which Matlab reaches by themselves, without hidden ones, and without links to folders; one that
    is not there is left out.
    """
    found = set()
    for top, name in folders.items():
        # Yielded as they are found: a function in the first folder costs no walk through the others.
        for folder, subfolders, _ in os.walk(top):
            subfolders[:] = sorted(sub for sub in subfolders if sub[0] not in "@+." and sub not in _REACHED_FROM_ABOVE)
            if folder not in found:
                found.add(folder)
                yield Path(folder), Path(name, os.path.relpath(folder, top)).as_posix()


def relative_path(function: str) -> str:
    """Return the path of a function's file from its folder on the path: tools.countSpikes is +tools/countSpikes.m."""
    *packages, name = function.split(".")
    return "/".join([*(f"+{package}" for package in packages), f"{name}.m"])


def has_function(folders: Mapping[Path, str], function: str) -> bool:
    """Whether a function, such as computeStats or tools.countSpikes, is in one of `folders` or below it."""
    return any((folder / relative_path(function)).is_file() for folder, _ in search_path(folders))
