"""One attempt at a step: made at temporary paths, checked, recorded and committed, all or nothing; or why it failed."""

import contextlib
import inspect
import logging
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import luigi
from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.access import why_denied
from neuroluigi.provenance.commit import commit, folder_lock, pending_path, put_aside, recover
from neuroluigi.provenance.contents import (
    describe,
    digest_of_manifest,
    manifest,
    name_in_manifest,
    why_not_read,
    write_manifest,
)
from neuroluigi.provenance.earlier_code import differing
from neuroluigi.provenance.files import path_in_root, remove_path, with_known_time, write_json
from neuroluigi.provenance.parts import part_path
from neuroluigi.provenance.record import (
    SCHEMA,
    accepted_names,
    checked_record,
    describe_host,
    package_versions,
    read_record,
)
from neuroluigi.provenance.secret_values import may_make_key, without_values
from neuroluigi.steps.config import results_root, roots_of_paths, shown_path
from neuroluigi.steps.describe import (
    StepError,
    describe_error,
    describe_input,
    describe_times,
    has_changed,
    stamp_of,
    start_clock,
)
from neuroluigi.steps.discovery import one_look
from neuroluigi.steps.expectation import recorded_fingerprint
from neuroluigi.steps.parameters import secrets_of
from neuroluigi.steps.plan import discard_statuses, problem_of, requirements_of, status_of
from neuroluigi.steps.progress_report import ProgressReporter
from neuroluigi.steps.reading import only_required
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.step_log import printed_to
from neuroluigi.steps.surroundings import own_surroundings
from neuroluigi.steps.target import ResultFolder, ResultTarget, describe_target, files_beside, local_path, written_to

if TYPE_CHECKING:
    from neuroluigi.steps.base import Step

logger = logging.getLogger("luigi-interface")

# The outcome of a step that ran and did not fail.
MADE, UNCHANGED = "made", "unchanged"


class Outcome(NamedTuple):
    """What came of a run of a task: MADE or UNCHANGED, in how many seconds; or why it failed, and then no `what`."""

    what: str = ""
    seconds: float | None = None
    failure: str = ""


class Attempt:
    """What happens once when a step runs, and what is known of it on the way."""

    def __init__(self, step: "Step"):
        self.reporter = ProgressReporter(step)
        self._step = step
        self._record_path = step.record_path
        # Once it begins: what output() returned, and the final and the temporary path of each target of it.
        self._output: object = None
        self._finals: dict[ResultTarget, Path] = {}
        self._parts: dict[ResultTarget, Path] = {}
        # Where the checksums of the files in folders are that it makes, one by one; None without any.
        self._manifest: Path | None = None
        self._stamps: Sequence[tuple[int, int]] = ()
        # What the note of a failure has of it: what was wrong with the recordings, or what it was made from.
        self._known: dict[str, Any] = {}

    def run(self) -> Outcome:
        """Make the result unless it is done. Raises StepError where that fails."""
        step = self._step
        try:
            _make_folder(self._record_path.parent)
            may_make_key(results_root())
            if recover(self._record_path):
                discard_statuses()
            if step.complete():
                # Where that can't be written, a later run does it.
                with contextlib.suppress(OSError):
                    step.update_places(is_moved=True)
                logger.info("%s unchanged", step)
                return Outcome(UNCHANGED)
            if denied := why_denied(self._record_path.parent, results_root()):
                # Neither the result nor that it failed could be written.
                raise StepError(f"{step}: {denied}")
            step.log = part_path(self._beside(".log"))
            self._output = step.output()
            self._finals = {one: Path(one.path) for one in flatten(self._output)}
            self._parts = {one: part_path(path) for one, path in self._finals.items()}
        except OSError as error:
            why = f"can't write to {step.results_folder}: {describe_error(error)}"
            raise StepError(f"{step}: {why_denied(self._record_path.parent, results_root()) or why}") from error
        step.tool, step._code = {}, None
        start = start_clock()
        try:
            seconds = self._make_and_commit(start)
        except (Exception, SystemExit) as error:
            raise self._record_failure(error, start) from error
        finally:
            for part in filter(None, (*self._parts.values(), step.log, self._manifest, step.progress_path)):
                with contextlib.suppress(OSError):
                    remove_path(part)
        if seconds is None:
            logger.info("%s unchanged: another run has made it meanwhile", step)
            return Outcome(UNCHANGED)
        logger.info("%s made in %.1f s", step, seconds)
        return Outcome(MADE, seconds)

    def _beside(self, suffix: str) -> Path:
        return self._record_path.with_suffix(suffix)

    def _make_and_commit(self, start: Mapping) -> float | None:
        """Make the files at temporary paths and commit them; return the seconds, None where another run was first."""
        step = self._step
        status = status_of(step)
        is_missing = status.state == state.INPUT_MISSING
        if problem := "; ".join(reason.text for reason in status.reasons) if is_missing else problem_of(step):
            self._known = {"problem": problem}
            raise StepError(problem)
        requires = requirements_of(step)
        for task, _ in requires:
            _update_places(task)
        self._known = {"requires": [one.as_recorded(is_tool_read=False) for _, one in requires]}
        for one, part in self._parts.items():
            _make_folder(part if isinstance(one, ResultFolder) else part.parent)
        with written_to({one.path: part for one, part in self._parts.items()}), self._untouched():
            inputs, asked_for_tool = self._make_logged([task for task, _ in requires])
        for one, part in self._parts.items():
            # A link could lead to a file of somebody else, who would then change the result.
            if why := why_not_read(part):
                raise StepError(f"{self._finals[one].name} {why}: make() has to write the file, or the folder, itself")
            one.check(part)
        self._check_unchanged(inputs)
        record = {
            **self._describe(start),
            **{name: self._known[name] for name in ("inputs", "other_inputs") if name in self._known},
            "requires": [one.as_recorded(task.task_id in asked_for_tool) for task, one in requires],
        }
        if changed := self._changed_code():
            # What ran is as it was before, but for what was loaded after the edit.
            record["changed_meanwhile"] = changed
            logger.warning("%s: %s changed while it was made", step, ", ".join(changed))
        self._keep_what_nothing_makes_again(is_damaged=status.state == state.DAMAGED)
        return record["seconds"] if self._commit(record) else None

    def _keep_what_nothing_makes_again(self, is_damaged: bool) -> None:
        """Put aside what is damaged, and what somebody changed by hand and accepted: new files get their names."""
        if is_damaged:
            kept = put_aside(self._finals.values())
        else:
            accepted, roots = accepted_names(read_record(self._record_path)), roots_of_paths()
            finals = [path for path in self._finals.values() if path_in_root(path, roots)["path"] in accepted]
            kept = put_aside(finals, "accepted")
        for path in kept:
            logger.warning("%s: what was there is kept as %s", self._step, shown_path(path))

    def _commit(self, record: Mapping) -> bool:
        """Commit the files with the record and what lies beside it; False where another run was first."""
        files = {part: self._finals[one] for one, part in self._parts.items()}
        beside = {".log": self._step.log, ".sha256": self._manifest}
        # A log in which nothing was printed is none.
        kept = {part: self._beside(suffix) for suffix, part in beside.items() if part and _has_bytes(part)}
        obsolete = {*map(self._beside, (".failed.json", ".failed.log", *beside))} - {*kept.values()}

        def is_done_meanwhile() -> bool:
            return any(map(os.path.lexists, (self._record_path, *files.values()))) and self._is_done()

        return commit({**files, **kept}, self._record_path, checked_record(record), obsolete, is_done_meanwhile)

    def _is_done(self) -> bool:
        """Return whether the result is complete as of now, whatever is remembered."""
        discard_statuses()
        return self._step.complete()

    @contextlib.contextmanager
    def _untouched(self) -> Iterator[None]:
        """Put aside what `make` writes to the final paths itself, and fail: no record would say what it is."""
        others = [self._record_path, pending_path(self._record_path)]
        # Another run changes one of these before its files, or after: so they are asked first here, and last below.
        of_others, before = list(map(_stamp, others)), self._stamps_of_finals()
        if any(of_others):
            # One that is under way has changed it already, and will yet rename its files.
            with folder_lock(self._record_path.parent):
                of_others, before = list(map(_stamp, others)), self._stamps_of_finals()
        try:
            yield
        finally:
            written = [path for path, known in before.items() if _stamp(path) not in (None, known)]
            if written:
                # What another run writes comes with its record; what a viewer adds to a folder is its own.
                with folder_lock(self._record_path.parent):
                    is_own = list(map(_stamp, others)) == of_others
                written = [path for path in written if is_own and not (path.is_dir() and before[path])]
            for path, kept in zip(written, put_aside(written), strict=True):
                logger.warning(
                    "%s wrote to %s itself; it is kept as %s", self._step, shown_path(path), shown_path(kept)
                )
        if written:
            raise StepError(
                f"make() wrote to {', '.join(path.name for path in written)} itself: write to the path in `out`, or"
                " through self.output().open(), so that all or nothing is kept"
            )

    def _stamps_of_finals(self) -> dict[Path, tuple[int, int, int] | None]:
        return {path: _stamp(path) for path in self._finals.values()}

    def _make_logged(self, required: Sequence[luigi.Task]) -> tuple[list[dict], set[str]]:
        """Call `make`, with all that it prints in the log.

        Returns the inputs as they were before it, and the ids of the tasks of which it asked for the tool.
        """
        step = self._step
        logger.debug("%s logs to %s", step, step.log)
        with printed_to(step.log) as stream, self.reporter.running():
            try:
                inputs = self._note_inputs()
                step.note_code("python")
                with only_required(step, required) as asked_for_tool, own_surroundings():
                    returned = step.make(_shaped_like(self._output, self._parts))
                if inspect.isgenerator(returned) or inspect.isawaitable(returned):
                    raise StepError(
                        "make() returned a generator, which nothing runs: what it yields has to be in requires()"
                    )
            except (Exception, SystemExit):
                print(without_values(traceback.format_exc(), secrets_of(step)), end="", file=stream)
                raise
        return inputs, asked_for_tool

    def _note_inputs(self) -> list[dict]:
        """Note the inputs as they are before `make`, and return those that are files as they are described."""
        roots = roots_of_paths()
        files, others = self._inputs()
        self._stamps = [stamp_of(one.path) for one in files]
        read_ns = time.time_ns()
        inputs = [describe_input(one, roots, self._record_path.parent) for one in files]
        self._known["inputs"] = [with_known_time(one, read_ns) for one in inputs]
        if others:
            self._known["other_inputs"] = [describe_target(one) for one in others]
        return inputs

    def _inputs(self) -> tuple[list, list]:
        """Return the inputs that are files of this machine, and the others."""
        required = flatten(self._step.input())
        inputs = [*required, *files_beside(required)]
        return [one for one in inputs if local_path(one)], [one for one in inputs if not local_path(one)]

    def input_checksums(self) -> dict[str, str]:
        """Return the sha256 of each input that is a file, by its path."""
        files, _ = self._inputs()
        return {one.path: known["sha256"] for one, known in zip(files, self._known["inputs"], strict=True)}

    def _check_unchanged(self, inputs: list[dict]) -> None:
        files, _ = self._inputs()
        for one, before, stamp in zip(files, inputs, self._stamps, strict=True):
            if has_changed(one.path, before, stamp):
                raise StepError(f"{one.path} was changed while it was being read; run again")

    @one_look()
    def _changed_code(self) -> list[str]:
        """Return the paths of the code that changed since it was noted, also what was changed back."""
        step, engine = self._step, self._engine()
        return sorted({*differing(step._code or (), step.sources(engine)), *step.changed_on_disk(engine)})

    def _engine(self) -> str:
        return self._step.tool.get("engine", "python")

    def _describe(self, start: Mapping) -> dict:
        """Return the run record of the files at their temporary paths, under their final names; without its inputs."""
        roots, now_ns = roots_of_paths(), time.time_ns()
        outputs, checksums = [], {}
        for one, part in self._parts.items():
            final, sha256 = self._finals[one], None
            if isinstance(one, ResultFolder):
                found = manifest(part, one.ignore)
                sha256 = digest_of_manifest(found)
                above = name_in_manifest(final, self._record_path)
                checksums.update({f"{above}/{name}": one for name, one in found.items()})
            # Nobody else changes a file between its last byte and its commit: the clock's tick makes no difference.
            described = with_known_time(describe(part, roots, sha256, one.ignore), now_ns, tick_ns=0)
            outputs.append({**described, **path_in_root(final, roots)})
        if checksums:
            self._manifest = part_path(self._beside(".sha256"))
            write_manifest(self._manifest, checksums)
        return {
            "schema": SCHEMA,
            **self._identity(),
            "fingerprint": recorded_fingerprint(self._step),
            "outputs": outputs,
            **self._made_with(),
            "log": self._beside(".log").name,
            **describe_times(start),
        }

    def _identity(self) -> dict:
        """Return the part of the record that is known before the step runs."""
        step = self._step
        variant = {"variant": step.variant} if step.variant else {}
        return {
            "step": step.task_family,
            **variant,
            "parameters": step.significant_parameters(),
            "host": describe_host(),
        }

    def _made_with(self) -> dict:
        """Return the code and the tool of the record; they are known once `make` has begun."""
        step, engine = self._step, self._engine()
        return {
            "sources": step.sources(engine) if step._code is None else step._code,
            "tool": {"engine": engine, **step.tool},
            "versions": package_versions(step.imported_distributions(engine)),
        }

    def note_failure(self, reason: str, start: Mapping) -> None:
        """Write runs/<step>.failed.json: that the step failed, and why; `start` is of start_clock."""
        step, log = self._step, self._beside(".failed.log").name
        # Where it failed before it had the tool, that is the one that it would have used.
        step.tool = step.tool or step.wanted_tool()
        known = dict(self._known)
        with contextlib.suppress(Exception):
            # Of inputs that are wrong it can't be known.
            known["fingerprint"] = recorded_fingerprint(step)
        record = {"schema": SCHEMA, **self._identity(), **known, **self._made_with(), **describe_times(start)}
        write_json(self._beside(".failed.json"), {**record, "error": reason, "log": log})

    def _record_failure(self, error: BaseException, start: Mapping) -> StepError:
        """Keep the log, note the failure, and return the error to raise; neither result nor record is touched."""
        step, log = self._step, self._beside(".failed.log")
        reason = without_values(describe_error(error), secrets_of(step))
        try:
            step.log.touch()
            step.log.replace(log)
            self.note_failure(reason, start)
        except Exception as other:
            return StepError(
                f"{step}: {reason} (and this could not be recorded in {log.parent}: {describe_error(other)})"
            )
        return StepError(f"{step}: {reason}; see {shown_path(log)}")


def _update_places(task: luigi.Task) -> None:
    """Have a required result name the places of today, which a run does at its start, and luigi.build does not."""
    if isinstance(task, ResultTask):
        # Where that can't be written, what reads it says which file is not there.
        with contextlib.suppress(OSError):
            task.update_places(status_of(task).may_name_other_places)


def _make_folder(path: Path) -> None:
    # It nearly always is there, which is soon told.
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


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
