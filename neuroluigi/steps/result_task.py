"""A task whose results have run records, and what its status is computed from."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from neuroluigi.provenance.code import changed_on_disk, python_distributions, python_sources
from neuroluigi.provenance.earlier_code import differing
from neuroluigi.provenance.imported import remember_imported
from neuroluigi.steps.config import KindsParameter, results_root
from neuroluigi.steps.parameters import ResolvedParameters
from neuroluigi.steps.reading import guard, read_input


class ResultTask(ResolvedParameters):
    """A task whose results have run records, with what its status depends on; base.Step is one."""

    rerun_on = KindsParameter(
        default=(),
        significant=False,
        positional=False,
        description="remade for these instead of [results] rerun_on",
    )

    # Whether the step itself reads sections of luigi.cfg such as [Aligned:nidq], of what it has several of.
    reads_own_sections = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        guard(cls)
        remember_imported(cls)

    def input(self):
        """Return the targets of what the step requires, in the shape of requires()."""
        return read_input(self, super().input)

    # Set where requires() asked for recordings and got none, because one of them has a problem.
    lacks_recordings = False

    def recordings_problem(self) -> str:
        """Return what is wrong with the recordings of the step's group, or with its recording; "" for nothing."""
        return ""

    @property
    def record_path(self) -> Path:
        """The path of the run record."""
        raise NotImplementedError

    def update_places(self, is_moved: bool) -> None:
        """Write into a finished result where files lie today that it names, if it names any. Raises OSError.

        `is_moved`: one of its inputs may lie elsewhere within its root than recorded.
        """

    def fingerprint(self) -> dict:
        """Return what the result depends on beside parameters, inputs and code, as JSON; it is kept in the record."""
        return {}

    def unused_functions(self, engine: str) -> Sequence[Callable]:
        """Return the functions that the class has as attributes and that are not called with an engine."""
        return ()

    def sources(self, engine: str) -> list[dict]:
        """Return the code that makes the result on an engine: [{"path": ..., "sha256": ...}].

        Python as this process imported it, other code as its files are now.
        """
        return python_sources(type(self), self.unused_functions(engine), results_root())

    # In a process that imported the code anew: that of the run, by engine.
    _code_of_run: Mapping[str, Sequence[Mapping]] = {}

    def code_for_process(self) -> dict[str, list[dict]]:
        """Return the Python code, by engine, for a process that imports it anew: it may have changed by then."""
        return {engine: ResultTask.sources(self, engine) for engine in ("", "numpy")}

    def changed_on_disk(self, engine: str) -> list[str]:
        """Return the paths of the Python code whose files have changed since this run imported it."""
        unused = self.unused_functions(engine)
        of_run = self._code_of_run.get("numpy" if engine == "numpy" else "")
        anew = () if of_run is None else differing(of_run, ResultTask.sources(self, engine))
        return sorted({*anew, *changed_on_disk(type(self), unused, results_root())})

    def imported_distributions(self, engine: str) -> list[str]:
        """Return the names of the installed distributions that the step's code imports."""
        return python_distributions(type(self), self.unused_functions(engine), results_root())

    def wanted_tool(self) -> dict[str, str]:
        """Return engine and version that the settings ask for by name, as far as known without starting the engine."""
        return {}
