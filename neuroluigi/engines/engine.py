"""The engines that can run an M-function: where each is, its command line, its version, without starting a run.

Facts about Matlab rest on its documentation: `-batch` (R2019a on) takes one line, exits 0 or 1, and its launcher is a
shell script that would expand what stands in the line. So the line is always the same plain ASCII text, and everything
else travels in files of the folder that the environment names.
"""

import functools
import glob
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroluigi.engines.program import absolute_word

# The folder of the session, in which neuroluigiServe.m takes calls.
SESSION_FOLDER_VARIABLE = "NEUROLUIGI_SESSION"
_STATEMENT = f"cd(getenv('{SESSION_FOLDER_VARIABLE}'));neuroluigiServe"

# Where installers put Matlab without adding it to PATH.
_MATLAB_PLACES = {
    "linux": ("/usr/local/MATLAB/R*/bin/matlab", "/opt/MATLAB/R*/bin/matlab"),
    "darwin": ("/Applications/MATLAB_R*.app/bin/matlab",),
    "win32": (r"C:\Program Files\MATLAB\R*\bin\matlab.exe",),
}

CURE = {
    "matlab": "put matlab on PATH or set [matlab] command in luigi.cfg",
    "octave": "install GNU Octave (Debian: apt-get install octave; conda: conda install -c conda-forge octave) or set"
    " [matlab] octave_command in luigi.cfg",
}


class EngineError(RuntimeError):
    """An engine that is not there; the message says which, where it was looked for, and what to install or set."""


@dataclass(frozen=True)
class Engine:
    """A program that runs M-functions, or the NumPy stand-ins (no command)."""

    name: str
    command: tuple[str, ...] = ()

    def __str__(self) -> str:
        version = self.version()
        return f"{self.name}{' ' + version if version else ''}{f' ({self.command[0]})' if self.command else ''}"

    def session_command(self) -> list[str]:
        """Return the argument list that starts a session; never through a shell."""
        if self.name == "octave":
            flags = ["--norc", "--no-history", "--quiet", "--no-window-system", "--no-line-editing"]
            return [*self.command, *flags, "--eval", _STATEMENT]
        wait = ["-wait"] if sys.platform == "win32" else []
        # The user's startup.m may have put anything on the path.
        return [*self.command, *wait, "-batch", f"restoredefaultpath;{_STATEMENT}"]

    def version(self) -> str:
        """Return the version as far as it is known without starting Matlab ("" where it is not)."""
        if self.name == "numpy":
            import numpy as np

            return np.__version__
        if self.name == "matlab":
            return _matlab_release(Path(self.command[0]))
        return _octave_version(self.command)


def find_engine(wanted: str, commands: Mapping[str, tuple[str, ...]], may_use_numpy: bool) -> Engine:
    """Return the engine that `wanted` names, or the first that is installed for "auto".

    `commands` are the words of luigi.cfg for "matlab" and "octave"; "auto" takes the NumPy stand-ins only where
    `may_use_numpy`. Raises EngineError.
    """
    if wanted == "numpy":
        return Engine("numpy")
    looked = []
    for name in ("matlab", "octave") if wanted == "auto" else (wanted,):
        places = _places(name, commands[name])
        for place in places:
            if program := shutil.which(place):
                return Engine(name, (os.path.abspath(program), *map(absolute_word, commands[name][1:])))  # noqa: PTH100
        looked.append(f"{name} (looked for {', '.join(places)} on PATH)")
    if wanted != "auto":
        raise EngineError(
            f"engine {looked[0]} is not there; {CURE[wanted]}, or choose another engine with [matlab] engine"
            " (--matlab-engine)"
        )
    if may_use_numpy:
        return Engine("numpy")
    raise EngineError(
        f"there is neither {' nor '.join(looked)}, and real recordings are not left to stand-ins unasked;"
        f" {CURE['octave']}; or set [matlab] engine = numpy (--matlab-engine numpy) to run NumPy stand-ins of the"
        " M-functions"
    )


def _places(name: str, command: tuple[str, ...]) -> list[str]:
    places = [command[0]]
    if command == ("matlab",):
        for pattern in _MATLAB_PLACES.get(sys.platform, ()):
            places += sorted(glob.glob(pattern), reverse=True)  # noqa: PTH207 (an absolute pattern)
    if command == ("octave-cli",):
        places.append("octave")
    return places


def _matlab_release(program: Path) -> str:
    """Return the release, such as R2022b, from the file beside the program; "" behind a wrapper script elsewhere."""
    try:
        root = Path(os.path.realpath(program)).parent.parent
        return xml.etree.ElementTree.parse(root / "VersionInfo.xml").findtext("release", "").strip()
    except (OSError, xml.etree.ElementTree.ParseError):
        return ""


@functools.cache
def _octave_version(command: tuple[str, ...]) -> str:
    try:
        out = subprocess.run(
            [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = out.decode(errors="replace").split("\n", 1)[0].split()
    return words[-1] if words else ""
