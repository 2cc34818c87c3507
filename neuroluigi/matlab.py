"""MatlabTask: a step that is one call of an M-function, by Matlab, Octave or a NumPy stand-in."""

import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import luigi

from neuroluigi.calls import call_function
from neuroluigi.engines import Engine, EngineError, find_engine
from neuroluigi.settings import recordings, setting
from neuroluigi.sources import function_sources, matlab_sources, python_sources
from neuroluigi.task import Step


class matlab(luigi.Config):
    """Which engine runs M-functions, and where they are."""

    engine = luigi.ChoiceParameter(
        default="auto",
        choices=("auto", "matlab", "octave", "numpy"),
        description="auto: the first that is installed of matlab and octave; numpy: stand-ins without an engine",
    )
    command = luigi.Parameter(default="matlab", description="the command that starts Matlab")
    octave_command = luigi.Parameter(default="octave-cli", description="the command that starts Octave")
    folder = luigi.Parameter(default="matlab", description="folder of the M-files")


class MatlabTask(Step):
    """A step whose `function` is an M-function, called with `arguments`.

    Mixed with GroupTask, RecordingTask or StudyTask. `standin`, where there is one, is a Python function that takes
    the same arguments and writes the same files.
    """

    function: str
    standin: Callable | None = None

    def arguments(self, out) -> Sequence[object]:
        """Return the arguments of the call, as a Matlab user would give them by hand; `out` as in Step.make."""
        raise TypeError(f"{self.task_family} does not say what {self.function} is called with: it has no arguments()")

    @property
    def resources(self) -> dict[str, int]:
        """One seat of [resources] matlab, which Octave and the stand-ins do without."""
        try:
            return {"matlab": 1} if self.engine().name == "matlab" else {}
        except EngineError:
            return {}

    def engine(self) -> Engine:
        """Return the engine that will run this step. Raises EngineError where none can."""
        settings = setting(matlab)
        commands = {"matlab": _words(settings.command), "octave": _words(settings.octave_command)}
        engine = find_engine(settings.engine, commands, may_stand_in=not setting(recordings).are_real())
        if engine.name == "numpy" and not self.standin:
            raise EngineError(
                f"{self.task_family} has no NumPy stand-in for {self.function}.m; the engines that it can use are"
                " matlab and octave: install one, or set [matlab] engine (--matlab-engine)"
            )
        if engine.name != "numpy" and not (_folder() / f"{self.function}.m").is_file():
            raise EngineError(
                f"{self.task_family}: there is no M-file {self.function}.m in {_folder()}; see [matlab] folder"
            )
        return engine

    def make(self, out):
        engine = self.engine()
        arguments = self.arguments(out)
        print(f"% {engine.name}: {_as_typed(self.function, arguments)}")
        if engine.name == "numpy":
            type(self).standin(*arguments)
            self.tool = {"engine": "numpy", "version": engine.version()}
        else:
            facts = call_function(engine, self.function, arguments, _folder(), self.log)
            self.tool = {"engine": engine.name, "command": list(engine.command), **facts}

    def sources(self, engine: str) -> list[dict]:
        own = python_sources(type(self))
        if engine == "numpy":
            return own + (function_sources(type(self).standin) if self.standin else [])
        return own + matlab_sources(_folder(), self.function)

    def wanted_tool(self) -> dict[str, str]:
        wanted = setting(matlab).engine
        if wanted == "auto":
            return {}
        try:
            engine = self.engine()
        except EngineError:
            return {"engine": wanted}
        version = "release" if wanted == "matlab" else "version"
        return {"engine": wanted, version: engine.version()}


def _folder() -> Path:
    return Path(os.path.abspath(setting(matlab).folder))  # noqa: PTH100 (resolve() would follow links)


def _words(command: str) -> tuple[str, ...]:
    if shutil.which(command):  # a path with a space in it
        return (command,)
    # On Windows a backslash is part of the path.
    words = shlex.split(command, posix=os.name == "posix")
    return tuple(word.strip('"') for word in words) or ("",)


def _as_typed(function: str, arguments: Sequence[object]) -> str:
    """Return the call as a Matlab user would type it, for the log."""

    def text(value: object) -> str:
        if isinstance(value, (str, os.PathLike)):
            return "'" + os.fspath(value).replace("'", "''") + "'"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (list, tuple)):
            opening, closing = "[]" if all(isinstance(v, (bool, int, float)) for v in value) else "{}"
            return opening + "; ".join(map(text, value)) + closing
        return "[]" if value is None else str(value)

    return f"{function}({', '.join(map(text, arguments))})"
