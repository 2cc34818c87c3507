"""The engines that can run an M-function: where each is found, how it is started, and its version.

Facts about Matlab are from its documentation: `-batch` (R2019a on) takes one line and exits with 0 or 1, and the
launcher is a shell script that would expand parts of that line. So the line is always the same plain ASCII text, and
everything else travels in files, in a folder that an environment variable names.
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
from neuroluigi.engines.supervisor import FOLDER_VARIABLE
from neuroluigi.provenance.record import package_versions

# neuroluigiServe.m finds its calls in the folder of the session.
_STATEMENT = f"cd(getenv('{FOLDER_VARIABLE}'));neuroluigiServe"

# Where installers put Matlab; only some add it to PATH.
_MATLAB_INSTALLATIONS = {
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
    """An engine that can't be found or used; the message says which, where it was searched, and what to do."""


@dataclass(frozen=True)
class Engine:
    """A program that runs M-functions, or "numpy" (without a command) for the NumPy functions that replace them.

    `command` is the program, an absolute path, and its first arguments.
    """

    name: str
    command: tuple[str, ...] = ()

    def __str__(self) -> str:
        version = self.version()
        return f"{self.name}{' ' + version if version else ''}{f' ({self.command[0]})' if self.command else ''}"

    def session_command(self) -> list[str]:
        """Return the command line that starts a session, as a list: no shell reads it."""
        if self.name == "octave":
            flags = ["--norc", "--no-history", "--quiet", "--no-window-system", "--no-line-editing"]
            return [*self.command, *flags, "--eval", _STATEMENT]
        wait = ["-wait"] if sys.platform == "win32" else []
        # The user's startup.m may have added anything to the path.
        return [*self.command, *wait, "-batch", f"restoredefaultpath;{_STATEMENT}"]

    def version(self) -> str:
        """Return Octave's or NumPy's version, or Matlab's release as far as it is known without a start; else ""."""
        if self.name == "numpy":
            # Without importing it, which a run that has nothing to do need not.
            return package_versions(("numpy",)).get("numpy", "")
        if self.name == "matlab":
            return _matlab_release(Path(self.command[0]))
        return _octave_version(self.command)


def find_engine(wanted: str, commands: Mapping[str, tuple[str, ...]], may_use_numpy: bool) -> Engine:
    """Return the engine that `wanted` names (matlab, octave, numpy), or for "auto" the first that is installed.

    `commands` has the commands of "matlab" and "octave", each split into words. "auto" takes "numpy" only where
    `may_use_numpy`. Raises EngineError.
    """
    if wanted == "numpy":
        return Engine("numpy")
    missing = []
    for name in ("matlab", "octave") if wanted == "auto" else (wanted,):
        candidates = _candidates(name, commands[name])
        for candidate in candidates:
            if program := shutil.which(candidate):
                return Engine(name, (os.path.abspath(program), *map(absolute_word, commands[name][1:])))  # noqa: PTH100
        missing.append(f"{name} (looked for {', '.join(candidates)} on PATH)")
    if wanted != "auto":
        raise EngineError(
            f"engine {missing[0]} is not there; {CURE[wanted]}, or choose another engine with [matlab] engine"
            " (--matlab-engine)"
        )
    if may_use_numpy:
        return Engine("numpy")
    raise EngineError(
        f"there is neither {' nor '.join(missing)}, and real recordings are analysed by NumPy functions only where you"
        f" choose so; {CURE['octave']}; or set [matlab] engine = numpy (--matlab-engine numpy) to run these instead"
    )


def _candidates(name: str, command: tuple[str, ...]) -> list[str]:
    """Return the names and paths under which an engine may be found, the best first."""
    candidates = [command[0]]
    if command == ("matlab",):
        for pattern in _MATLAB_INSTALLATIONS.get(sys.platform, ()):
            candidates += sorted(glob.glob(pattern), reverse=True)  # noqa: PTH207 (an absolute pattern)
    if command == ("octave-cli",):
        candidates.append("octave")
    return candidates


def _matlab_release(program: Path) -> str:
    """Return the release, such as R2022b, from a file of the installation; "" where a wrapper script hides it."""
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
