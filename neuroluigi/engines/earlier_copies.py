"""Copies of the package's M-files of earlier releases, which took other arguments: `neuroluigi init` gave them to labs.

On the path they come before the package's own.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from neuroluigi.engines.mfiles import package_folder
from neuroluigi.provenance.m_code import reached_files

# What each took, and how many of it there had to be.
_TOOK = {
    "computeStats": ("dataFile, statsFile, dtype, channels", 4),
    "findRisingEdges": ("dataFile, edgesFile, dtype, channels, level, segments", 5),
    "readBlock": ("fid, name, dtype, channels", 4),
}


def problem_of_copies(folders: Mapping[Path, str], function: str, arguments: int) -> str:
    """Return what is wrong with a call of `function` with so many arguments; "" where it reaches no such copy.

    `folders` are those on the engine's path. A copy may go on where all code is as it was, and it is given all that it
    takes.
    """
    files = {file.stem: file for file in reached_files(folders, function)}
    copies = sorted(name for name in _TOOK.keys() & files.keys() if _parameters(files[name]) == _TOOK[name][0])
    if not copies or ("readAggregate" not in files and not (function in copies and arguments < _TOOK[function][1])):
        return ""
    name = function if function in copies else copies[0]
    return (
        f"{files[name]} is a copy of what came with an earlier release, which took other arguments; remove it, so that"
        f" the package's own is called, or change it as {package_folder() / files[name].name} was changed"
    )


def _parameters(file: Path) -> str:
    found = re.match(rb"\s*function[^(]*\(([^)]*)\)", file.read_bytes())
    return found[1].decode(errors="replace") if found else ""
