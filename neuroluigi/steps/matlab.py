"""MatlabTask: a step that is one call of an M-function, by Matlab, Octave or its NumPy function."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import luigi

from neuroluigi.engines.call import call_function
from neuroluigi.engines.earlier_copies import problem_of_copies
from neuroluigi.engines.engine import Engine, EngineError, find_engine
from neuroluigi.engines.mfiles import has_function, listed_folders, relative_path, search_path
from neuroluigi.engines.program import split_command
from neuroluigi.engines.secret_arguments import without_secrets
from neuroluigi.engines.session import Limits
from neuroluigi.engines.typed import typed_call
from neuroluigi.engines.values import Node, encode, encode_arguments
from neuroluigi.provenance.m_code import matlab_sources, matlab_writes
from neuroluigi.provenance.record import is_version
from neuroluigi.provenance.secret_values import masked_words
from neuroluigi.steps.base import Step, setting_of_step
from neuroluigi.steps.config import WordsParameter, recordings, results_root, setting
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.discovery import one_look
from neuroluigi.steps.parameters import secrets_of
from neuroluigi.steps.returned import ReturnedTarget, check_names, split_name, write_returned

# An environment variable: the folder of the seats of this run alone, where something else counts those of all runs.
SEATS_VARIABLE = "NEUROLUIGI_SEATS"

# Their names in luigi.cfg, and for people.
_ENGINES = {"auto": "Matlab or Octave", "matlab": "Matlab", "octave": "Octave", "numpy": "NumPy"}


class matlab(luigi.Config):
    """Which engine runs M-functions, and where they are."""

    engine = luigi.ChoiceParameter(
        default="auto",
        choices=tuple(_ENGINES),
        description="auto: the first that is installed of matlab and octave; numpy: NumPy functions, without an engine",
    )
    command = luigi.Parameter(default="matlab", description="the command that starts Matlab")
    octave_command = luigi.Parameter(default="octave-cli", description="the command that starts Octave")
    folder = WordsParameter(
        default=("matlab",), description="folders of your M-files, the one that wins first; the package's own come last"
    )
    warm = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="an engine serves one call after the other; false: one process per call",
    )
    seats = luigi.IntParameter(default=1, description="Matlabs that may be open at the same time, idle ones included")
    licence_wait = luigi.FloatParameter(default=1800, description="seconds to wait for a licence")
    call_timeout = luigi.OptionalFloatParameter(default=None, description="seconds that a call may take; blank: any")


class MatlabTask(Step):
    """A step whose `function` is an M-function, called with `arguments`.

    Mixed with GroupTask, RecordingTask, SessionTask or StudyTask. `function` is its name as it is called in Matlab,
    such as computeStats or, in a +package, tools.countSpikes. `numpy_function`, where there is one, is a function of
    Python that takes the same arguments and writes the same files.

    `returns` names the values that the function returns, where it is one that does: each is kept in a file of its own,
    "count" in count.json, "spikes.npy", an array of numbers, in spikes.npy; output() is {"count": ..., "spikes": ...}.
    The NumPy function then returns them as a tuple, one alone as it is.
    """

    engine = setting_of_step(
        luigi.OptionalChoiceParameter, choices=tuple(_ENGINES), description="instead of [matlab] engine"
    )
    matlab_command = setting_of_step(description="instead of [matlab] command")
    matlab_release = setting_of_step(description="the release that Matlab must be of, such as R2019a")
    octave_command = setting_of_step(description="instead of [matlab] octave_command")
    octave_version = setting_of_step(description="the version that Octave must be of, such as 8 or 8.4.0")
    call_timeout = setting_of_step(luigi.OptionalFloatParameter, description="instead of [matlab] call_timeout")

    function: str
    numpy_function: Callable | None = None
    returns: tuple[str, ...] = ()

    # The M-files of the call, as they were noted before it.
    _written: Mapping[str, tuple[int, int]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        check_names(cls.returns, f"returns of {cls.__name__}")

    def output(self):
        """Return the targets of the values that `returns` names; the names of the files end in filename_parameters."""
        if not self.returns:
            return super().output()
        ends = "".join(f"-{one}" for one in self.filename_values())
        return {
            stem: self.result(f"{stem}{ends}{suffix}", ReturnedTarget) for stem, suffix in map(split_name, self.returns)
        }

    def arguments(self, out: Any) -> Sequence[object]:
        """Return the arguments of the call, as a Matlab user would type them; `out` as in Step.make."""
        raise TypeError(f"{self.task_family} does not say what {self.function} is called with: it has no arguments()")

    def calls_engine(self) -> bool:
        """Return whether make() calls the M-function; a step whose make() may do without it says here when it does."""
        return True

    def process_resources(self) -> dict[str, int]:
        """Return what the scheduler counts: with Matlab, one of [matlab] seats beside the step's own resources."""
        may_be_matlab = self._wanted_engine() in ("auto", "matlab")
        try:
            needs_seat = may_be_matlab and self.calls_engine() and self.found_engine().name == "matlab"
        except EngineError:
            needs_seat = False
        # A step may need more seats than one: for a pool of Matlab processes, say.
        return {"matlab": 1, **self.resources} if needs_seat else self.resources

    def tool_label(self) -> tuple[str, str]:
        return _ENGINES[self._wanted_engine()], f"{self.function}.m"

    def found_engine(self) -> Engine:
        """Return the engine that will run this step. Raises EngineError where there is none, or not as declared."""
        settings = setting(matlab)
        commands = {
            "matlab": split_command(self.matlab_command or settings.command),
            "octave": split_command(self.octave_command or settings.octave_command),
        }
        engine = find_engine(self._wanted_engine(), commands, may_use_numpy=not setting(recordings).are_real())
        declared = self._declared_version(engine)
        if declared and (found := engine.version()) and not is_version(found, declared):
            raise EngineError(
                f"{self.task_family} is declared to run on {engine.name} {declared}, and {engine} was found; see"
                f" [{self.task_family}] {engine.name}_command in luigi.cfg"
            )
        if engine.name == "numpy" and not self.numpy_function:
            raise EngineError(
                f"{self.task_family} has no NumPy function for {self.function}.m; the engines that it can use are"
                " matlab and octave: install one, or set [matlab] engine (--matlab-engine)"
            )
        if engine.name != "numpy" and not has_function(m_folders(), self.function):
            searched = (f"{folder}{'' if folder.is_dir() else ' (no such folder)'}" for folder in m_folders())
            raise EngineError(
                f"{self.task_family}: there is no M-file {relative_path(self.function)} in {', '.join(searched)}, or"
                " below; see [matlab] folder"
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
        names = [split_name(one)[0] for one in self.returns]
        if names and not (isinstance(out, Mapping) and out.keys() == set(names)):
            raise StepError(
                f"output() has to be a dict with the names of what {self.function} returns: {', '.join(names)}"
            )
        arguments = list(self.arguments(out))
        encoded = encode_arguments(arguments)
        if engine.name != "numpy" and (problem := problem_of_copies(m_path(), self.function, len(arguments))):
            raise StepError(problem)
        self.note_code(engine.name)
        shown = without_secrets(encoded, secrets_of(self))
        print(f"% {engine.name}:\n{typed_call(self.function, shown, names)}")
        if engine.name == "numpy":
            values = self._call_numpy_function(arguments, names)
        else:
            limits = self._limits(engine)
            facts, values = call_function(
                engine, self.function, encoded, m_path(), self.log, limits, self._pass_on, names
            )
            self.tool = {"engine": engine.name, "command": masked_words(engine.command), **facts}
        for name, value in zip(names, values, strict=True):
            write_returned(out[name], value, name)

    def _call_numpy_function(self, arguments: Sequence[object], names: Sequence[str]) -> list[Node]:
        numpy_function = type(self).numpy_function
        assert numpy_function, "found_engine() refuses a step without one"
        returned = numpy_function(*arguments)
        values = (returned,) if len(names) == 1 else returned if names else ()
        if not isinstance(values, tuple) or len(values) != len(names):
            raise StepError(
                f"{numpy_function.__name__} has to return a tuple of {', '.join(names)}, and returned {returned!r:.80}"
            )
        return [encode(value, name) for name, value in zip(names, values, strict=True)]

    def _pass_on(self, progress: Mapping) -> None:
        """Report the progress that the M-function reported by reportProgress(k, n, message)."""
        self.report_progress(progress["k"], progress["n"], progress["message"])

    def unused_functions(self, engine: str) -> Sequence[Callable]:
        found = [vars(one).get("numpy_function") for one in type(self).__mro__]
        used = type(self).numpy_function if engine == "numpy" else None
        return [one for one in found if callable(one) and one is not used]

    @one_look()
    def note_code(self, engine: str) -> None:
        self._written = self._writes(engine)
        super().note_code(engine)

    def changed_on_disk(self, engine: str) -> list[str]:
        written = self._writes(engine)
        changed = (path for path, before in self._written.items() if written.get(path) != before)
        return [*super().changed_on_disk(engine), *changed]

    def _writes(self, engine: str) -> dict[str, tuple[int, int]]:
        return {} if engine in ("numpy", "python") else matlab_writes(m_path(), self.function)

    def sources(self, engine: str) -> list[dict]:
        is_called = engine not in ("numpy", "python")
        return super().sources(engine) + (matlab_sources(m_path(), self.function) if is_called else [])

    def wanted_tool(self) -> dict[str, str]:
        wanted = self._wanted_engine()
        if wanted == "auto":
            return {}
        try:
            return _as_tool(self.found_engine())
        except EngineError:
            return {"engine": wanted}


def _as_tool(engine: Engine) -> dict[str, str]:
    """Return engine and version for the record, as far as they are known without starting it."""
    return {"engine": engine.name, "release" if engine.name == "matlab" else "version": engine.version()}


def seats_folder() -> str:
    """Return the folder of the locks of Matlab's seats, which all runs on the same results share."""
    return os.environ.get(SEATS_VARIABLE) or str(results_root() / ".seats")


def m_folders() -> dict[Path, str]:
    """Return the absolute folders of the M-files, the one that wins first, with their names in run records."""
    return listed_folders(setting(matlab).folder)


def m_path() -> dict[Path, str]:
    """Return all folders on an engine's path, subfolders too, the one that wins first, with their names in records."""
    return dict(search_path(m_folders()))
