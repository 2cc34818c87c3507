"""What is wrong with a luigi.cfg that can't be read, in one line.

Luigi reads it when it is imported, before any command could handle an error. So the package imports this module first,
and the error is raised where settings are needed.
"""

import configparser
import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuroluigi.provenance.record import RunStopped
from neuroluigi.provenance.secret_values import MASK, is_secret_name, masked
from neuroluigi.steps.late_imports import imported_when_used

# The variable of the environment that asks for the traceback of an error of the whole.
TRACEBACK_VARIABLE = "NEUROLUIGI_TRACEBACK"


def read_problem(error: Exception) -> str:
    """Return the file, the line and what is wrong there, for an error of reading a settings file."""
    if isinstance(error, UnicodeDecodeError):
        path, line = _place_of_bytes(error)
        return f"{path}{line}: a byte that is no {error.encoding.upper()}; save the file as UTF-8"
    if isinstance(error, configparser.MissingSectionHeaderError):
        aside = "; save the file without a byte order mark" if not error.line.isascii() else ""
        return f"{error.source}, line {error.lineno}: {error.line.strip()!r} comes before the first [section]{aside}"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"{error.source}, line {error.lineno}: there is a section [{error.section}] already; join the two"
    if isinstance(error, configparser.DuplicateOptionError):
        return (
            f"{error.source}, line {error.lineno}: [{error.section}] {error.option} is set already; keep one of the two"
        )
    if isinstance(error, configparser.ParsingError) and error.errors:
        number, line = error.errors[0]
        # Python writes the text as it would be in code, up to its end.
        text = line.strip().removesuffix("\\n'").strip("'\"")
        text = MASK if is_secret_name(text) else masked(text)
        return f"{error.source}, line {number}: {text!r} is neither a [section] nor NAME = VALUE"
    return " ".join(str(error).split())


def _place_of_bytes(error: UnicodeDecodeError) -> tuple[str, str]:
    """Return the settings file that has the bytes of an error, and its line as text."""
    paths = [os.environ.get("LUIGI_CONFIG_PATH", ""), "luigi.cfg", "client.cfg", "/etc/luigi/luigi.cfg"]
    for path in [Path(one) for one in paths if one and Path(one).is_file()]:
        data = path.read_bytes()
        if (start := data.find(error.object)) >= 0:
            line = data.count(b"\n", 0, start + error.start) + 1
            return str(path), f", line {line}"
    return "luigi.cfg", ""


def wants_traceback() -> bool:
    """Return whether errors of the whole are to be shown as Python shows exceptions."""
    return bool(os.environ.get(TRACEBACK_VARIABLE))


# Set where Luigi could not read it; then it has none.
_unreadable: RunStopped | None = None


def check_settings_file() -> None:
    """Raise RunStopped where Luigi could not read luigi.cfg."""
    if _unreadable:
        raise _unreadable


@contextlib.contextmanager
def _settings_read_by(read: Any) -> Iterator[None]:
    # With unittest.mock every command would import all of unittest.
    inherited = configparser.ConfigParser.read
    configparser.ConfigParser.read = read  # type: ignore[method-assign]
    try:
        yield
    finally:
        configparser.ConfigParser.read = inherited  # type: ignore[method-assign]


# Without an encoding, Python reads a file on Windows in that of old programs.
_read_as_utf8 = functools.partialmethod(configparser.ConfigParser.read, encoding="utf-8")

# They take half of the time of all of Luigi, for a luigid and for parameters with a schema.
with imported_when_used("jsonschema", "requests"):
    try:
        with _settings_read_by(_read_as_utf8):
            import luigi
    except (configparser.Error, UnicodeDecodeError) as _error:
        _unreadable = RunStopped(f"luigi: {read_problem(_error)}")
        _unreadable.__cause__ = _error
        for _name in [name for name in sys.modules if name.partition(".")[0] == "luigi"]:
            del sys.modules[_name]
        with _settings_read_by(lambda *paths, **options: []):
            import luigi  # noqa: F401
