"""Step, the base of every step: it declares what it requires, outputs and how it is made; run() does the rest."""

import functools
import multiprocessing
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task import flatten

from neuroluigi.provenance.power_cut import in_doubt
from neuroluigi.provenance.record import made_by, read_record
from neuroluigi.steps.attempt import Attempt, Outcome
from neuroluigi.steps.config import RunStopped, folder_name, path_of, registered, results, results_root, setting
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.discovery import one_look
from neuroluigi.steps.overrides import refuse_overrides
from neuroluigi.steps.parameters import public_value
from neuroluigi.steps.plan import discard_statuses_after, status_of
from neuroluigi.steps.reading import answer_of, asked_once, note_tool_read
from neuroluigi.steps.renamed import STEP_ATTRIBUTES, STEP_METHODS, RenamedMethod, refusal, take_facts_as_fingerprint
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.spawn import INTERRUPTED, CarriesSettings, end_with_parent
from neuroluigi.steps.target import ResultFolder, ResultTarget
from neuroluigi.steps.variants import folder_of, in_own_variant

AnyParameter = TypeVar("AnyParameter", bound="luigi.Parameter[Any]")


@overload
def setting_of_step(**options: Any) -> luigi.OptionalStrParameter: ...


@overload
def setting_of_step(parameter: type[AnyParameter], **options: Any) -> AnyParameter: ...


def setting_of_step(parameter=luigi.OptionalStrParameter, **options):
    """Return a parameter that is a setting of one kind of step, in its section of luigi.cfg.

    It is not significant: two results that differ only in it are the same result.
    """
    return parameter(default=None, significant=False, positional=False, **options)


class Step(CarriesSettings, ResultTask):
    """One step of the pipeline for one group, recording, session or study: `requires`, `output` and `make`.

    `run()` is final: it calls `make`, checks the files, hashes them, writes the run record and commits all or nothing.
    """

    # Parameters in which several results of this step in one folder differ; output() has to name the files by them.
    filename_parameters: tuple[str, ...] = ()

    # Parameters that are not significant, and yet decide which files are made: of two runs that differ in one of them,
    # one waits for the other.
    deciding_settings: tuple[str, ...] = ()

    # Modules that `make` imports and that take long to import: with several workers the run imports them once, for all.
    preload: tuple[str, ...] = ()

    # Set while `make` runs: the file of the step's printed output, and what the record has of the tool.
    log: Path
    tool: Mapping[str, Any] = {}
    # What the record has of the code, noted before it runs.
    _code: Sequence[Mapping] | None = None
    _attempt: Attempt

    # Set by run(); what on_success() and on_failure() return is for Luigi alone.
    run_outcome = Outcome()

    # The file for the progress of a running step, set by the process that shows it.
    progress_path: Path | None = None

    # Luigi sets these while the step runs.
    set_progress_percentage: Callable | None = None
    set_status_message: Callable | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for old, new in STEP_ATTRIBUTES.items():
            if hasattr(cls, old):
                raise TypeError(refusal(f"attribute of {cls.__name__}", old, new))
        take_facts_as_fingerprint(cls)
        refuse_overrides(cls, Step)

    def __getstate__(self):
        state = super().__getstate__()
        return {**state, "_code_of_run": self.code_for_process()} if "_settings" in state else state

    @property
    def folder(self) -> Path:
        """The folder of this step's files."""
        raise TypeError(f"{self.task_family} is neither a GroupTask, a RecordingTask, a SessionTask nor a StudyTask")

    @property
    def results_folder(self) -> Path:
        """The folder of its files: `folder`, or of what a variant touches <folder>@<variant>."""
        return answer_of(self, "results_folder", lambda: folder_of(self.folder, self.variant))

    @property
    def record_path(self) -> Path:
        """The path of the run record: runs/<step>.json beside the files, with the filename_parameters in its name."""
        return answer_of(self, "record_path", self._find_record_path)

    def _find_record_path(self) -> Path:
        return path_of(self.results_folder, "runs", f"{'-'.join((self.task_family, *self.filename_values()))}.json")

    def filename_values(self) -> list[str]:
        """Return the values of the filename_parameters, as they are in names of files."""
        return list(self._filename_values)

    @functools.cached_property
    def _filename_values(self) -> list[str]:
        return [folder_name(str(public_value(self, name)), name) for name in self.filename_parameters]

    def result(self, name: str, kind: type[ResultTarget] = ResultTarget, **options: Any) -> ResultTarget:
        """Return the target of a file in this step's folder, for output(); `options` are of its class: format=Nop."""
        return kind(self._path_within(name), self.record_path, **options)

    def result_folder(
        self, name: str, kind: type[ResultFolder] = ResultFolder, ignore: str | Sequence[str] = ()
    ) -> ResultFolder:
        """Return the target of a folder that is one result, in this step's folder, for output().

        `ignore` are names in it that don't count, at any depth: "phy.log", patterns such as "*.tmp", and folders with a
        slash at the end, ".phy/".
        """
        return kind(self._path_within(name), self.record_path, ignore=ignore)

    def _path_within(self, name: str) -> str:
        """Return the path of a file or folder in this step's folder; RunStopped for one that would be elsewhere."""
        is_above = ".." in name and ".." in re.split(r"[/\\]", name)
        if is_above or os.path.isabs(name):  # noqa: PTH117 (there are thousands)
            raise RunStopped(
                f"luigi: {type(self).__name__}.output() names {name!r}, which is not in the step's own folder,"
                f" {self.results_folder}: give a name in it, such as {os.path.basename(name)!r}"  # noqa: PTH119
            )
        return os.path.join(self.results_folder, name)  # noqa: PTH118 (targets hold text)

    def make(self, out):
        """Make the files. `out` has the shape of output(), with a temporary Path in place of each target.

        That of a folder is there, and empty.
        """
        raise TypeError(f"{self.task_family} does not say how it is made: it has no make()")

    def tool_label(self) -> tuple[str, str]:
        """Return what makes the result, for people: the engine, and what it calls ("" where that has no name)."""
        return "Python", ""

    def made_by(self) -> str:
        """Return the engine that made the result, with its version, as its record has it; "" without a record."""
        note_tool_read(self)
        return made_by(read_record(self.record_path) or {})

    def report_progress(self, k: float, n: float, message: str = "") -> None:
        """Report k of n, and a message, while the step is made; values that are not finite numbers are ignored."""
        self._attempt.reporter.report(k, n, message)

    def kept_log(self, is_good: bool) -> Path:
        """Return the path of the log after the step ran: of its success, or of its failure."""
        return self.record_path.with_suffix(".log" if is_good else ".failed.log")

    def complete(self):
        """Return whether the files are there and nothing contradicts them, here or in what they are made from."""
        if setting(results).trust_existing and os.fspath(self.record_path) not in in_doubt(results_root()):
            return all(one.exists() for one in flatten(self.output()))
        with in_own_variant(self):
            return status_of(self).is_complete

    def on_failure(self, exception):
        """Return the reason of a failure, for Luigi's page and e-mails; the traceback is in the log of the step."""
        return str(exception) if isinstance(exception, StepError) else super().on_failure(exception)

    def run(self):
        """Make the result unless it is done; not to be overridden. Raises StepError where the step fails."""
        end_with_parent()
        self.run_outcome = Outcome()
        try:
            with in_own_variant(self), registered(f"the step {self}"), asked_once():
                self._attempt = Attempt(self)
                self.run_outcome = self._attempt.run()
        except StepError as error:
            self.run_outcome = Outcome(failure=str(error))
            raise
        except KeyboardInterrupt:
            if multiprocessing.parent_process() is None:
                raise
            # The parent reports the interruption; a traceback from each child would add nothing.
            os._exit(INTERRUPTED)
        finally:
            discard_statuses_after(self)

    def input_checksums(self) -> dict[str, str]:
        """Return the sha256 of each input that is a file, by its path, while the step is made."""
        return self._attempt.input_checksums()

    @one_look()
    def note_code(self, engine: str) -> None:
        """Note for the record the code that is about to run on an engine.

        Raises StepError where it is no longer the code that this process imported: the record would name neither.
        """
        if changed := self.changed_on_disk(engine):
            how = "" if CmdlineParser.get_instance() else " after importlib.reload() of the module"
            raise StepError(f"changed since this run imported it: {', '.join(changed)}; run again{how}")
        self._code = self.sources(engine)


for _old, _new in STEP_METHODS.items():
    setattr(Step, _old, RenamedMethod(_old, _new))
