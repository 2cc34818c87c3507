"""M-files of the folder matlab/ as a user calls them: scripts on Octave, and values as literals in them."""

import re
import subprocess
from pathlib import Path

import numpy as np

from tests.conftest import REPOSITORY

MATLAB = REPOSITORY / "matlab"
PUBLIC = sorted(file.stem for file in MATLAB.glob("*.m"))
# In samples; and in bytes, of concatenateFiles.m.
BLOCK_VALUES = 2**18
BLOCK_BYTES = 2**20


def octave(folder: Path, script: str, *before: str) -> str:
    """Run a script on Octave in `folder`, with matlab/ on its path, and return what it printed."""
    (folder / "script_.m").write_text(f"1;\naddpath('{MATLAB}');\n{script}\n")
    command = [*before, "octave-cli", "--norc", "--no-history", "--no-window-system", "script_.m"]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def m(value) -> str:
    """Return the Matlab literal of a text, a number, or a list of numbers (a row) or of texts (a cell)."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, (list, tuple, np.ndarray)):
        is_cell = len(value) and isinstance(value[0], str)
        return ("{%s}" if is_cell else "[%s]") % ", ".join(map(m, value))
    return f"{value:.17g}"


def samples_of(dtype: str, samples: int, channels: int) -> np.ndarray:
    random = np.random.default_rng(samples + channels)
    if dtype.startswith("float"):
        return (random.standard_normal((samples, channels)) * 1000 + 37).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, (samples, channels), dtype=dtype, endpoint=True)


def documented_errors(name: str) -> set[str]:
    """Return the identifiers after `Errors:` in a help text."""
    text = "".join(re.findall(r"^ *%(.*\n)", (MATLAB / f"{name}.m").read_text(), re.M))
    part = re.search(r"Errors:((?:.*\S.*\n)+)", text)
    return set(re.findall(r"\w+:\w+", part.group(1))) if part else set()
