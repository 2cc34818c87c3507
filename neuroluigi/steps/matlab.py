"""MatlabTask: a step that is one call of an M-function, by Matlab, Octave or a NumPy stand-in."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import luigi

from neuroluigi.engines.call import call_function
from neuroluigi.engines.engine import Engine, EngineError, find_engine
from neuroluigi.engines.program import split_command
from neuroluigi.engines.session import Limits
from neuroluigi.provenance.code import function_sources, matlab_sources, python_sources
from neuroluigi.provenance.record import is_version
from neuroluigi.steps.base import Step, setting_of_step
from neuroluigi.steps.config import recordings, results_root, setting

# Where it is set, the folder of the seats of this run alone: something else counts the licences of all runs.
SEATS_VARIABLE = "NEUROLUIGI_SEATS"

# What luigi.cfg calls them, and what people do.
_ENGINES = {"auto": "Matlab or Octave", "matlab": "Matlab", "octave": "Octave", "numpy": "NumPy stand-in"}


class matlab(luigi.Config):
    """Which engine runs M-functions, and where they are."""

    engine = luigi.ChoiceParameter(
        default="auto",
        choices=tuple(_ENGINES),
        description="auto: the first that is installed of matlab and octave; numpy: stand-ins without an engine",
    )
    command = luigi.Parameter(default="matlab", description="the command that starts Matlab")
    octave_command = luigi.Parameter(default="octave-cli", description="the command that starts Octave")
    folder = luigi.Parameter(default="matlab", description="folder of the M-files")
    warm = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="an engine serves one call after the other; false: one process per call",
    )
    seats = luigi.IntParameter(default=1, description="Matlabs that may be open at the same time, idle ones included")
    licence_wait = luigi.FloatParameter(default=1800, description="seconds to wait for a licence")
    call_timeout = luigi.OptionalFloatParameter(default=None, description="seconds that a call may take; blank: any")


class _OwnMatlabCommand(luigi.OptionalStrParameter):
    """A step's matlab_command: of the task that is run, Luigi would call it --matlab-command, which [matlab] has."""

    class _Stored(argparse._StoreAction):
        def __init__(self, option_strings, **options):
            super().__init__(["--own-matlab-command"], **options)

    @classmethod
    def _parser_kwargs(cls, param_name, task_name=None):
        options = super()._parser_kwargs(param_name, task_name)
        return options if task_name else {**options, "action": cls._Stored}


class MatlabTask(Step):
    """A step whose `function` is an M-function, called with `arguments`.

    Mixed with GroupTask, RecordingTask or StudyTask. `numpy_function`, where there is one, is a Python function that takes
    the same arguments and writes the same files.
    """

    engine = setting_of_step(
        luigi.OptionalChoiceParameter, choices=tuple(_ENGINES), description="instead of [matlab] engine"
    )
    matlab_command = setting_of_step(_OwnMatlabCommand, description="instead of [matlab] command")
    matlab_release = setting_of_step(description="the release that Matlab must be of, such as R2019a")
    octave_command = setting_of_step(description="instead of [matlab] octave_command")
    octave_version = setting_of_step(description="the version that Octave must be of, such as 8 or 8.4.0")
    call_timeout = setting_of_step(luigi.OptionalFloatParameter, description="instead of [matlab] call_timeout")

    function: str
    numpy_function: Callable | None = None

    def arguments(self, out) -> Sequence[object]:
        """Return the arguments of the call, as a Matlab user would give them by hand; `out` as in Step.make."""
        raise TypeError(f"{self.task_family} does not say what {self.function} is called with: it has no arguments()")

    @property
    def resources(self) -> dict[str, int]:
        """One of [matlab] seats, which Octave and the stand-ins do without."""
        try:
            return {"matlab": 1} if self.found_engine().name == "matlab" else {}
        except EngineError:
            return {}

    def tool_label(self) -> tuple[str, str]:
        return _ENGINES[self._wanted_engine()], f"{self.function}.m"

    def found_engine(self) -> Engine:
        """Return the engine that will run this step. Raises EngineError where none can, or not the declared one."""
        settings = setting(matlab)
        commands = {
            "matlab": split_command(self.matlab_command or settings.command),
            "octave": split_command(self.octave_command or settings.octave_command),
        }
        engine = find_engine(self._wanted_engine(), commands, may_use_numpy=not setting(recordings).are_real())
        declared, found = self._declared_version(engine), engine.version()
        if declared and found and not is_version(found, declared):
            raise EngineError(
                f"{self.task_family} is declared to run on {engine.name} {declared}, and {engine} was found; see"
                f" [{self.task_family}] {engine.name}_command in luigi.cfg"
            )
        if engine.name == "numpy" and not self.numpy_function:
            raise EngineError(
                f"{self.task_family} has no NumPy stand-in for {self.function}.m; the engines that it can use are"
                " matlab and octave: install one, or set [matlab] engine (--matlab-engine)"
            )
        if engine.name != "numpy" and not (m_folder() / f"{self.function}.m").is_file():
            raise EngineError(
                f"{self.task_family}: there is no M-file {self.function}.m in {m_folder()}; see [matlab] folder"
            )
        return engine

    def _wanted_engine(self) -> str:
        declared = "matlab" if self.matlab_release else "octave" if self.octave_version else None
        return self.engine or declared or setting(matlab).engine

    def _declared_version(self, engine: Engine) -> str:
        return {"matlab": self.matlab_release, "octave": self.octave_version}.get(engine.name) or ""

    def _limits(self, engine: Engine) -> Limits:
        settings = setting(matlab)
        seats = (seats_folder(), settings.seats) if engine.name == "matlab" else None
        return Limits(
            is_warm=settings.warm,
            call_seconds=self.call_timeout or settings.call_timeout,
            licence_seconds=settings.licence_wait,
            seats=seats,
            release=self._declared_version(engine),
        )

    def make(self, out):
        engine = self.found_engine()
        self.tool = _as_tool(engine)
        arguments = self.arguments(out)
        print(f"% {engine.name}: {_as_typed(self.function, arguments)}")
        if engine.name == "numpy":
            type(self).numpy_function(*arguments)
        else:
            limits = self._limits(engine)
            facts = call_function(engine, self.function, arguments, m_folder(), self.log, limits, self._pass_on)
            self.tool = {"engine": engine.name, "command": list(engine.command), **facts}

    def _pass_on(self, progress: Mapping) -> None:
        """Pass on what reportProgress said."""
        self.report_progress(progress["k"], progress["n"], progress["message"])

    def sources(self, engine: str) -> list[dict]:
        own = python_sources(type(self))
        if engine == "numpy":
            return own + (list(function_sources(type(self).numpy_function)) if self.numpy_function else [])
        return own + matlab_sources(m_folder(), self.function)

    def wanted_tool(self) -> dict[str, str]:
        wanted = self._wanted_engine()
        if wanted == "auto":
            return {}
        try:
            return _as_tool(self.found_engine())
        except EngineError:
            return {"engine": wanted}


def _as_tool(engine: Engine) -> dict[str, str]:
    """Return engine and version, as far as they are known without starting it."""
    return {"engine": engine.name, "release" if engine.name == "matlab" else "version": engine.version()}


def seats_folder() -> str:
    """Return the folder of the locks of Matlab's seats: all runs on the same results share it."""
    return os.environ.get(SEATS_VARIABLE) or str(results_root() / ".seats")


def m_folder() -> Path:
    """Return the absolute folder of the M-files."""
    return Path(os.path.abspath(setting(matlab).folder))  # noqa: PTH100 (resolve() would follow links)


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
