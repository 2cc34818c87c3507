"""Step, the base of every step: it declares what it requires, outputs and how it is made; run() does the rest."""

import contextlib
import inspect
import logging
import multiprocessing
import os
import re
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.access import why_denied
from neuroluigi.provenance.code import differing
from neuroluigi.provenance.commit import commit, pending_path, put_aside, recover
from neuroluigi.provenance.contents import (
    describe,
    digest_of_manifest,
    manifest,
    name_in_manifest,
    why_not_read,
    write_manifest,
)
from neuroluigi.provenance.files import only_new, path_in_root, remove_path, with_known_time, write_json
from neuroluigi.provenance.parts import part_path
from neuroluigi.provenance.power_cut import in_doubt
from neuroluigi.provenance.record import (
    SCHEMA,
    checked_record,
    describe_host,
    made_by,
    package_versions,
    read_record,
)
from neuroluigi.provenance.secret_values import may_make_key, without_values
from neuroluigi.steps.config import (
    RunStopped,
    folder_name,
    path_of,
    registered,
    results,
    results_root,
    roots_of_paths,
    setting,
    shown_path,
)
from neuroluigi.steps.describe import (
    StepError,
    describe_error,
    describe_input,
    describe_times,
    has_changed,
    stamp_of,
    start_clock,
)
from neuroluigi.steps.expectation import recorded_fingerprint
from neuroluigi.steps.log_limit import kept_short
from neuroluigi.steps.overrides import refuse_overrides
from neuroluigi.steps.parameters import public_value, secrets_of
from neuroluigi.steps.plan import (
    discard_statuses,
    problem_of,
    requirements_of,
    status_of,
)
from neuroluigi.steps.progress_report import ProgressReporter
from neuroluigi.steps.reading import note_tool_read, only_required
from neuroluigi.steps.renamed import STEP_ATTRIBUTES, STEP_METHODS, RenamedMethod, refusal, take_facts_as_fingerprint
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.spawn import INTERRUPTED, CarriesSettings, end_with_parent
from neuroluigi.steps.surroundings import own_surroundings
from neuroluigi.steps.target import (
    ResultFolder,
    ResultTarget,
    describe_target,
    files_beside,
    local_path,
    written_to,
)

logger = logging.getLogger("luigi-interface")

# The outcome of a step that ran and did not fail.
MADE, UNCHANGED = "made", "unchanged"


class Outcome(NamedTuple):
    """What came of a run of a task: MADE or UNCHANGED, in how many seconds; or why it failed, and then no `what`."""

    what: str = ""
    seconds: float | None = None
    failure: str = ""


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
    """One step of the pipeline for one group, recording or study: `requires`, `output` and `make`.

    `run()` is final: it calls `make`, checks the files, hashes them, writes the run record and commits all or nothing.
    """

    # Parameters in which several results of this step in one folder differ; output() has to name the files by them.
    filename_parameters: tuple[str, ...] = ()

    # Modules that `make` imports and that take long to import: with several workers the run imports them once, for all.
    preload: tuple[str, ...] = ()

    # Set while `make` runs: the file of the step's printed output, and what the record has of the tool.
    log: Path
    tool: Mapping[str, Any] = {}
    # The checksums of the files in folders that it makes, one by one.
    _manifest: Path
    _reporter: ProgressReporter
    _stamps: Sequence[tuple[int, int]] = ()

    # What the record has of the code, noted before it runs.
    _code: Sequence[Mapping] | None = None
    # What the note of a failure has of the attempt: what was wrong with the recordings, or what it was made from.
    _attempt: Mapping[str, Any] = {}

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
        raise TypeError(f"{self.task_family} is neither a GroupTask, a RecordingTask nor a StudyTask")

    @property
    def record_path(self) -> Path:
        """The path of the run record: runs/<step>.json beside the files, with the filename_parameters in its name."""
        return path_of(self.folder, "runs", f"{'-'.join((self.task_family, *self.filename_values()))}.json")

    def filename_values(self) -> list[str]:
        """Return the values of the filename_parameters, as they are in names of files."""
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
        if os.path.isabs(name) or ".." in re.split(r"[/\\]", name):  # noqa: PTH117 (there are thousands)
            raise RunStopped(
                f"luigi: {type(self).__name__}.output() names {name!r}, which is not in the step's own folder,"
                f" {self.folder}: give a name in it, such as {os.path.basename(name)!r}"  # noqa: PTH119
            )
        return os.path.join(self.folder, name)  # noqa: PTH118 (targets hold text)

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
        self._reporter.report(k, n, message)

    def kept_log(self, is_good: bool) -> Path:
        """Return the path of the log after the step ran: of its success, or of its failure."""
        return self._beside_record(".log" if is_good else ".failed.log")

    def complete(self):
        """Return whether the files are there and nothing contradicts them, here or in what they are made from."""
        if setting(results).trust_existing and os.fspath(self.record_path) not in in_doubt(results_root()):
            return all(one.exists() for one in flatten(self.output()))
        return status_of(self).is_complete

    def on_failure(self, exception):
        """Return the reason of a failure, for Luigi's page and e-mails; the traceback is in the log of the step."""
        return str(exception) if isinstance(exception, StepError) else super().on_failure(exception)

    def run(self):
        """Make the result unless it is done; not to be overridden. Raises StepError where the step fails."""
        end_with_parent()
        self.run_outcome = Outcome()
        try:
            with registered(f"the step {self}"):
                self.run_outcome = self._run()
        except StepError as error:
            self.run_outcome = Outcome(failure=str(error))
            raise
        except KeyboardInterrupt:
            if multiprocessing.parent_process() is None:
                raise
            # The parent reports the interruption; a traceback from each child would add nothing.
            os._exit(INTERRUPTED)
        finally:
            discard_statuses()

    def _run(self) -> Outcome:
        try:
            self.record_path.parent.mkdir(parents=True, exist_ok=True)
            may_make_key(results_root())
            if recover(self.record_path):
                discard_statuses()
            if self.complete():
                logger.info("%s unchanged", self)
                return Outcome(UNCHANGED)
            if denied := why_denied(self.record_path.parent, results_root()):
                # Neither the result nor that it failed could be written.
                raise StepError(f"{self}: {denied}")
            self.log, self._manifest = (part_path(self._beside_record(suffix)) for suffix in (".log", ".sha256"))
            output = self.output()
            temporary = {one: part_path(Path(one.path)) for one in flatten(output)}
        except OSError as error:
            why = why_denied(self.record_path.parent, results_root()) or f"can't write to {self.folder}: {error}"
            raise StepError(f"{self}: {why}") from error
        self.tool, self._attempt, self._reporter, self._code = {}, {}, ProgressReporter(self), None
        start = start_clock()
        try:
            seconds = self._make_and_commit(output, temporary, start)
        except (Exception, SystemExit) as error:
            raise self._record_failure(error, start) from error
        finally:
            for part in filter(None, (*temporary.values(), self.log, self._manifest, self.progress_path)):
                with contextlib.suppress(OSError):
                    remove_path(part)
        if seconds is None:
            logger.info("%s unchanged: another run has made it meanwhile", self)
            return Outcome(UNCHANGED)
        logger.info("%s made in %.1f s", self, seconds)
        return Outcome(MADE, seconds)

    def _is_done(self) -> bool:
        """Return whether the result is complete as of now, whatever is remembered."""
        discard_statuses()
        return self.complete()

    def _beside_record(self, suffix: str) -> Path:
        return self.record_path.with_suffix(suffix)

    def _make_and_commit(self, output: object, temporary: Mapping[ResultTarget, Path], start: Mapping) -> float | None:
        """Make the files at temporary paths and commit them; return the seconds, None where another run was first."""
        status = status_of(self)
        is_missing = status.state == state.INPUT_MISSING
        if problem := "; ".join(reason.text for reason in status.reasons) if is_missing else problem_of(self):
            self._attempt = {"problem": problem}
            raise StepError(problem)
        requires = requirements_of(self)
        self._attempt = {"requires": [one.as_recorded(is_tool_read=False) for _, one in requires]}
        for one, part in temporary.items():
            folder = part if isinstance(one, ResultFolder) else part.parent
            folder.mkdir(parents=True, exist_ok=True)
        finals = {part: Path(one.path) for one, part in temporary.items()}
        with written_to({one.path: part for one, part in temporary.items()}), self._untouched(finals.values()):
            inputs, asked_for_tool = self._make_logged(_shaped_like(output, temporary), [task for task, _ in requires])
        for one, part in temporary.items():
            # A link could lead to a file of somebody else, who would then change the result.
            if why := why_not_read(part):
                raise StepError(f"{Path(one.path).name} {why}: make() has to write the file, or the folder, itself")
            one.check(part)
        self._check_unchanged(inputs)
        record = {
            **self._describe(temporary, start),
            **{name: self._attempt[name] for name in ("inputs", "other_inputs") if name in self._attempt},
            "requires": [one.as_recorded(task.task_id in asked_for_tool) for task, one in requires],
        }
        if status.state == state.DAMAGED:
            for kept in put_aside(finals.values()):
                logger.warning("%s: what was there is kept as %s", self, shown_path(kept))
        beside = {self.log: self._beside_record(".log"), self._manifest: self._beside_record(".sha256")}
        files = {**finals, **{part: final for part, final in beside.items() if part.exists()}}
        obsolete = {*map(self._beside_record, (".failed.json", ".failed.log")), *beside.values()} - {*files.values()}

        def is_done_meanwhile() -> bool:
            return any(map(os.path.lexists, (self.record_path, *finals.values()))) and self._is_done()

        is_mine = commit(files, self.record_path, checked_record(record), obsolete, is_done_meanwhile)
        return record["seconds"] if is_mine else None

    @contextlib.contextmanager
    def _untouched(self, finals: Iterable[Path]) -> Iterator[None]:
        """Put aside what `make` writes to these final paths itself, and fail: no record would say what it is."""
        others = [self.record_path, pending_path(self.record_path)]
        # A commit of another run changes these before its files, and after them: so they are asked first, and last.
        of_others = list(map(_stamp, others))
        before = {path: _stamp(path) for path in finals}
        try:
            yield
        finally:
            # What another run commits meanwhile comes with its record; what a viewer adds to a folder is its own.
            written = [path for path, known in before.items() if path.exists() and _stamp(path) != known]
            is_own = list(map(_stamp, others)) == of_others
            written = [path for path in written if is_own and not (path.is_dir() and before[path])]
            for path, kept in zip(written, put_aside(written), strict=True):
                logger.warning("%s wrote to %s itself; it is kept as %s", self, shown_path(path), shown_path(kept))
        if written:
            raise StepError(
                f"make() wrote to {', '.join(path.name for path in written)} itself: write to the path in `out`, or"
                " through self.output().open(), so that all or nothing is kept"
            )

    def _make_logged(self, out: object, required: Sequence[luigi.Task]) -> tuple[list[dict], set[str]]:
        """Call `make`, with all that it prints in the log.

        Returns the inputs as they were before it, and the ids of the tasks of which it asked for the tool.
        """
        roots = roots_of_paths()
        logger.debug("%s logs to %s", self, self.log)
        with (
            open(self.log, "a", buffering=1, encoding="utf-8", errors="backslashreplace", opener=only_new) as stream,
            kept_short(self.log),
            contextlib.redirect_stdout(stream),
            contextlib.redirect_stderr(stream),
        ):
            try:
                self._reporter.report_start()
                files, others = self._inputs()
                self._stamps = [stamp_of(one.path) for one in files]
                read_ns = time.time_ns()
                inputs = [describe_input(one, roots, self.record_path.parent) for one in files]
                self._attempt = {**self._attempt, "inputs": [with_known_time(one, read_ns) for one in inputs]}
                if others:
                    self._attempt["other_inputs"] = [describe_target(one) for one in others]
                self.note_code("python")
                with only_required(self, required) as asked_for_tool, own_surroundings():
                    returned = self.make(out)
                if inspect.isgenerator(returned) or inspect.isawaitable(returned):
                    raise StepError(
                        "make() returned a generator, which nothing runs: what it yields has to be in requires()"
                    )
            except (Exception, SystemExit):
                print(without_values(traceback.format_exc(), secrets_of(self)), end="", file=stream)
                raise
        return inputs, asked_for_tool

    def _inputs(self) -> tuple[list, list]:
        """Return the inputs that are files of this machine, and the others."""
        required = flatten(self.input())
        inputs = [*required, *files_beside(required)]
        return [one for one in inputs if local_path(one)], [one for one in inputs if not local_path(one)]

    def _check_unchanged(self, inputs: list[dict]) -> None:
        files, _ = self._inputs()
        for one, before, stamp in zip(files, inputs, self._stamps, strict=True):
            if has_changed(one.path, before, stamp):
                raise StepError(f"{one.path} was changed while it was being read; run again")
        engine = self._recorded_engine()
        changed = {*differing(self._code or (), self.sources(engine)), *self.changed_on_disk(engine)}
        if changed:
            raise StepError(f"changed while the step ran: {', '.join(sorted(changed))}; run again")

    def note_code(self, engine: str) -> None:
        """Note for the record the code that is about to run on an engine.

        Raises StepError where it is no longer the code that this process imported: the record would name neither.
        """
        if changed := self.changed_on_disk(engine):
            how = "" if CmdlineParser.get_instance() else " after importlib.reload() of the module"
            raise StepError(f"changed since this run imported it: {', '.join(changed)}; run again{how}")
        self._code = self.sources(engine)

    def _recorded_engine(self) -> str:
        return self.tool.get("engine", "python")

    def _describe(self, temporary: Mapping[ResultTarget, Path], start: Mapping) -> dict:
        """Return the run record of the files at their temporary paths, under their final names; without its inputs."""
        roots, now_ns = roots_of_paths(), time.time_ns()
        outputs, checksums = [], {}
        for one, part in temporary.items():
            final, sha256 = Path(one.path), None
            if isinstance(one, ResultFolder):
                found = manifest(part, one.ignore)
                sha256 = digest_of_manifest(found)
                above = name_in_manifest(final, self.record_path)
                checksums.update({f"{above}/{name}": one for name, one in found.items()})
            # Nobody else changes a file between its last byte and its commit: the clock's tick makes no difference.
            described = with_known_time(describe(part, roots, sha256, one.ignore), now_ns, tick_ns=0)
            outputs.append({**described, **path_in_root(final, roots)})
        if checksums:
            write_manifest(self._manifest, checksums)
        return {
            "schema": SCHEMA,
            **self._identity(),
            "fingerprint": recorded_fingerprint(self),
            "outputs": outputs,
            **self._made_with(),
            "log": self._beside_record(".log").name,
            **describe_times(start),
        }

    def _identity(self) -> dict:
        """Return the part of the record that is known before the step runs."""
        return {"step": self.task_family, "parameters": self.significant_parameters(), "host": describe_host()}

    def _made_with(self) -> dict:
        """Return the code and the tool of the record; they are known once `make` has begun."""
        engine = self._recorded_engine()
        return {
            "sources": self.sources(engine) if self._code is None else self._code,
            "tool": {"engine": engine, **self.tool},
            "versions": package_versions(self.imported_distributions(engine)),
        }

    def note_failure(self, reason: str, start: Mapping) -> None:
        """Write runs/<step>.failed.json: that the step failed, and why; `start` is of start_clock."""
        log = self._beside_record(".failed.log").name
        # Where it failed before it had the tool, that is the one that it would have used.
        self.tool = self.tool or self.wanted_tool()
        attempt = dict(self._attempt)
        with contextlib.suppress(Exception):
            # Of inputs that are wrong it can't be known.
            attempt["fingerprint"] = recorded_fingerprint(self)
        record = {"schema": SCHEMA, **self._identity(), **attempt, **self._made_with(), **describe_times(start)}
        write_json(self._beside_record(".failed.json"), {**record, "error": reason, "log": log})

    def _record_failure(self, error: BaseException, start: Mapping) -> StepError:
        """Keep the log, note the failure, and return the error to raise; neither result nor record is touched."""
        log, reason = self._beside_record(".failed.log"), without_values(describe_error(error), secrets_of(self))
        try:
            self.log.touch()
            self.log.replace(log)
            self.note_failure(reason, start)
        except Exception as other:
            return StepError(
                f"{self}: {reason} (and this could not be recorded in {log.parent}: {describe_error(other)})"
            )
        return StepError(f"{self}: {reason}; see {shown_path(log)}")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes where a file is written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _shaped_like(output: Any, paths: Mapping[ResultTarget, Path]) -> Any:
    """Return `output`, a target or dicts and lists of them, with the path of each target in its place."""
    if isinstance(output, Mapping):
        return {name: _shaped_like(one, paths) for name, one in output.items()}
    if isinstance(output, (list, tuple)):
        return [_shaped_like(one, paths) for one in output]
    return paths[output]


for _old, _new in STEP_METHODS.items():
    setattr(Step, _old, RenamedMethod(_old, _new))
