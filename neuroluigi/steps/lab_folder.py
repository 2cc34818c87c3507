"""The luigi.cfg beside tasks.py, for a notebook, a test or a command that is in another folder.

Luigi reads that of the current folder alone; without one, a pipeline of real recordings would make fake ones.
"""

import configparser
import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import luigi
from luigi.configuration import LuigiConfigParser

from neuroluigi.steps.settings_file import RunStopped, check_settings_file, read_problem

logger = logging.getLogger("luigi-interface")

_PACKAGE = Path(__file__).parents[1]

# The settings that are folders or files, and those that are several; relative ones count from where luigi.cfg is.
_PATHS = (
    ("results", "root"),
    ("recordings", "root"),
    ("recordings", "table"),
    ("recordings", "metadata"),
    ("matlab", "folder"),
)
_SEVERAL = ("matlab", "folder")

# What they are where a luigi.cfg does not say.
_DEFAULTS = {("results", "root"): "results", ("matlab", "folder"): "matlab"}

# The folders in which steps are defined, and the one whose luigi.cfg was read though it is not the current one.
_folders: set[Path] = set()
_lab: Path | None = None
# The sections whose root was relative there.
_relative_roots: frozenset[str] = frozenset()
# The folder of a lab that is opened in Python, in place of the current one.
_opened: Path | None = None


def current_folder() -> Path:
    """Return the folder that a command would be in: that of the lab that is opened, else the current one."""
    return _opened or Path.cwd()


def opened_folder() -> Path | None:
    """Return the folder of the lab that is opened in Python, None where none is."""
    return _opened


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Have paths of settings count from the absolute folder of a lab, wherever the process is.

    The settings in force have to be those of that lab: relative paths in them become absolute. Several threads, as a
    run has, see the same lab.
    """
    global _folders, _lab, _relative_roots, _opened
    before = _folders, _lab, _relative_roots, _opened
    _folders, _opened = {folder}, folder
    _use_paths_of(folder, luigi.configuration.get_config())
    try:
        yield
    finally:
        _folders, _lab, _relative_roots, _opened = before


def is_relative_root(section: str) -> bool:
    """Return whether the root of [results] or [recordings] is relative to the lab's folder, though it is absolute."""
    return section in _relative_roots


def recordings_to_make() -> str:
    """Return the folder of recordings that steps make."""
    return str(_lab / "recordings") if _lab else "recordings"


def use_settings_of(module: str) -> None:
    """Use the luigi.cfg beside a module that defines steps, as use_settings_beside() does."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file:
        use_settings_beside(Path(os.path.abspath(file)).parent)  # noqa: PTH100 (resolve() would follow links)


def use_settings_beside(folder: Path) -> None:
    """Read the luigi.cfg in an absolute folder, unless Luigi has read another one: then say which, once.

    Luigi reads that of the current folder, and what LUIGI_CONFIG_PATH names. Raises RunStopped where it can't be read.
    """
    if folder in _folders or _PACKAGE in (folder, *folder.parents):
        return
    check_settings_file()
    _folders.add(folder)
    config, file = luigi.configuration.get_config(), folder / "luigi.cfg"
    if not isinstance(config, LuigiConfigParser) or not file.is_file():
        return
    if _lab and _lab != folder:
        logger.warning("the settings are those of %s; %s, where other steps are defined, is not read", _lab, file)
        return
    if taken := _taken():
        if not taken.samefile(file):
            logger.warning("the settings are those of %s; %s, where steps are defined, is not read", taken, file)
            return
        if _is_read(file, config):
            return
    try:
        config.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise RunStopped(f"luigi: {read_problem(error)}") from error
    if folder != Path.cwd():
        _use_paths_of(folder, config)


def _use_paths_of(folder: Path, config: LuigiConfigParser) -> None:
    """Make the paths in settings absolute that are relative to a folder."""
    global _lab, _relative_roots
    _lab, relative = folder, set()
    for section, name in _PATHS:
        value = config.get(section, name, _DEFAULTS.get((section, name), ""))
        if name == "root" and not Path(value).is_absolute():
            relative.add(section)
        paths = value.split(",") if (section, name) == _SEVERAL else [value]
        absolute = ", ".join(str(folder / path.strip()) for path in paths if path.strip())
        config.set(section, name, absolute.replace("%", "%%"))
    _relative_roots = frozenset(relative)


def _taken() -> Path | None:
    """Return the luigi.cfg that Luigi itself takes here, None where there is none."""
    named = [os.environ.get("LUIGI_CONFIG_PATH", ""), "luigi.cfg", "client.cfg"]
    return next((Path.cwd() / name for name in named if name and Path(name).is_file()), None)


def _is_read(file: Path, config: configparser.ConfigParser) -> bool:
    """Return whether a file is in force: not where it came to be the one of the current folder after Luigi looked."""
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        found.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return all(config.has_option(section, name) for section in found.sections() for name in found[section])


def without_settings() -> str:
    """Return that no luigi.cfg was found where steps are defined in another folder than the current one, else ""."""
    here = Path.cwd()
    if _taken() or _lab or not _folders or here in _folders:
        return ""
    return f"there is no luigi.cfg in {here}, nor in {' or '.join(map(str, sorted(_folders)))}"
