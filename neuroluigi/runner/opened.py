"""A lab that is opened in Python: its luigi.cfg, its modules and its steps, in force only while something is asked.

Luigi's settings and its register of steps, and Python's modules, are those of the process. So that several labs can be
opened in one, each call puts its lab in their place and takes it away again; one call at a time.
"""

import configparser
import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import LuigiConfigParser
from luigi.task_register import Register

from neuroluigi.provenance import imported, modules
from neuroluigi.runner.patches import Patch, applied
from neuroluigi.runner.run import command_line
from neuroluigi.steps import discovery, settings_file, variants
from neuroluigi.steps.config import RunStopped, neuroluigi, setting
from neuroluigi.steps.lab_folder import opened
from neuroluigi.steps.settings_file import read_problem

# What a lab has in place of steps, and of a task for its whole pipeline, where it has none.
_NO_MODULE, _NO_TASK = "neuroluigi.steps.config", "results"

# Lists of classes, in the order in which they were defined; a lab's own are in none of another lab.
_REGISTERS: tuple[list, ...] = (
    Register._reg,
    discovery.recording_makers,
    discovery.existing_recordings,
    discovery.decoders,
)

# What is in the registers without any lab, while one is in force.
_of_process: list[list[type]] | None = None

# One lab is in force at a time, for all threads.
_lock = threading.RLock()


class OpenedLab:
    """The settings, modules and steps of the lab in an absolute folder; `module` is where its steps are defined."""

    def __init__(self, folder: Path, module: str = "tasks"):
        self.folder, self.module = folder, module
        # The task of the call that has it in force now.
        self._root: luigi.Task | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin anew, as a process that has imported nothing of the lab."""
        self._modules: dict[str, ModuleType] = {}
        self._states: dict[str, tuple[int, int]] = {}
        self._registers: list[list[type]] = [[] for _ in _REGISTERS]
        # The code that this process imported: a module of another lab may have the same name.
        self._code: tuple[dict, set, dict] = (dict(imported._texts), set(imported._seen) - self._names(), {})

    @contextlib.contextmanager
    def in_force(self, settings: Mapping[tuple[str, str], str] | None = None) -> Iterator[luigi.Task]:
        """Have the lab in force in this context, as in a command; give the task of [neuroluigi] task, or one of none.

        luigi.cfg is read each time, and all modules of the lab are imported again where one of their files changed.
        `settings`, by section and name, count over luigi.cfg; within a context that has it in force, that goes on, as
        for a step that asks for the lab. Raises RunStopped where something is wrong with any of them.
        """
        with _lock:
            if self._root is not None:
                yield self._root
                return
            if self._has_changed():
                self._forget()
            with self._in_place():
                config = luigi.configuration.get_config()
                for (section, name), value in (settings or {}).items():
                    config.set(section, name, value.replace("%", "%%"))
                with command_line(self._words()) as self._root:
                    try:
                        yield self._root
                    finally:
                        self._root = None

    def imported_module(self) -> ModuleType:
        """Return the module of the lab's steps; the lab has to be in force."""
        return importlib.import_module(self._module_or_none())

    def _words(self) -> list[str]:
        module = self._module_or_none()
        task = setting(neuroluigi).task if module != _NO_MODULE else ""
        return [task or _NO_TASK, "--module", module]

    def _module_or_none(self) -> str:
        # Results travel without tasks.py.
        is_missing = self.module == "tasks" and not (self.folder / "tasks.py").is_file()
        return _NO_MODULE if is_missing else self.module

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        """Put the lab in place of whatever is in force in this process, and take it away again."""
        texts, seen, views = self._code
        patches = (
            Patch(LuigiConfigParser, "_instance", _read_config(self.folder)),
            Patch(settings_file, "_unreadable", None),
            Patch(CmdlineParser, "_instance", None),
            # The same parameters are another task in another lab.
            Patch(Register, "_Register__instance_cache", {}),
            Patch(variants, "_current", ""),
            Patch(imported, "_texts", texts),
            Patch(imported, "_seen", seen),
            Patch(modules, "_views", views),
        )
        with applied(*patches), opened(self.folder), self._with_classes(), self._with_modules():
            yield

    @contextlib.contextmanager
    def _with_classes(self) -> Iterator[None]:
        """Have the lab's classes in the registers, and take those away again that are its own."""
        global _of_process
        before, outer = [list(one) for one in _REGISTERS], _of_process
        _of_process = outer or before
        for register, others, own in zip(_REGISTERS, _of_process, self._registers, strict=True):
            register[:] = _without_namesakes(others, own) + own
        counts = [len(one) for one in _REGISTERS]
        try:
            yield
        finally:
            for register, own, others, count in zip(_REGISTERS, self._registers, before, counts, strict=True):
                new = register[count:]
                own += [one for one in new if one.__module__ in self._modules]
                # What is installed is imported once, for all labs; what could not be imported is nowhere.
                register[:] = others + [one for one in new if one.__module__ in sys.modules]
            _of_process = outer

    @contextlib.contextmanager
    def _with_modules(self) -> Iterator[None]:
        """Have the lab's modules in place of those of the same names, and undo what is imported meanwhile."""
        path, names = list(sys.path), self._names()
        hidden = {
            name: one
            for name, one in list(sys.modules.items())
            if name.partition(".")[0] in names and not imported.is_installed(name)
        }
        for name in hidden:
            del sys.modules[name]
        before = set(sys.modules)
        sys.modules.update(self._modules)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            own = [name for name in sys.modules.keys() - before if self._has(sys.modules[name])]
            self._modules = {name: sys.modules.pop(name) for name in own}
            files = filter(None, (one.__file__ for one in self._modules.values()))
            self._states |= {file: state for file in files if (state := _state_of(file)) and file not in self._states}
            sys.modules.update(hidden)
            sys.path[:] = path

    def _names(self) -> set[str]:
        """Return the names of the modules and packages in the lab's folder."""
        with contextlib.suppress(OSError):
            found = [*self.folder.glob("*.py"), *(one.parent for one in self.folder.glob("*/__init__.py"))]
            return {one.stem for one in found}
        return set()

    def _has(self, module: ModuleType) -> bool:
        file: str | None = getattr(module, "__file__", None)
        return file is not None and self.folder in Path(os.path.abspath(file)).parents  # noqa: PTH100

    def _has_changed(self) -> bool:
        return any(_state_of(file) != state for file, state in self._states.items())


def _without_namesakes(classes: Sequence[type], own: Sequence[type]) -> list[type]:
    """Return the classes that are none of a lab's own by their name; of a cell that was run again those of the last."""
    names = {one.__name__ for one in own}
    last = {(one.__module__, one.__qualname__): one for one in classes}
    return [one for (module, _), one in last.items() if _is_ours(module) or one.__name__ not in names]


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "neuroluigi"


def _state_of(file: str) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = os.stat(file)  # noqa: PTH116
        return found.st_size, found.st_mtime_ns
    return None


def _read_config(folder: Path) -> LuigiConfigParser:
    """Return what Luigi would read in a folder; RunStopped where it can't be read."""
    config = LuigiConfigParser()
    # The paths that are absolute stay so.
    paths = [folder / one for one in LuigiConfigParser._config_paths]
    try:
        config.read(paths, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise RunStopped(f"luigi: {read_problem(error)}") from error
    return config
