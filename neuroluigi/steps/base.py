"""The base of every step: a step declares what it requires, outputs, and how it is made; the rest is here."""

import contextlib
import functools
import json
import logging
import math
import multiprocessing
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

import luigi
import psutil
from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.commit import commit, put_aside, recover
from neuroluigi.provenance.files import describe_file, part_path, path_in_root, remove_path, write_json
from neuroluigi.provenance.record import SCHEMA, describe_host, made_by, package_versions, read_record, timestamp
from neuroluigi.recordings.recording import RecordingsError, check_folder_name
from neuroluigi.steps.config import RunStopped, path_of, results, roots_of_paths, setting, shown_path
from neuroluigi.steps.plan import ResultTask, discard_statuses, status_of
from neuroluigi.steps.renamed import STEP_ATTRIBUTES, STEP_METHODS, refusal
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.target import DamagedError, RecordingTarget, ResultTarget

logger = logging.getLogger("luigi-interface")

# The exit code of a shell for a process that ended by Ctrl-C.
INTERRUPTED = 130

# What came of a step that ran.
MADE, UNCHANGED = "made", "unchanged"


# A step that reports all the time is heard so often.
_TELL_SECONDS = 5
# And shown so often.
_SHOW_SECONDS = 0.2


class StepError(RuntimeError):
    """A step that failed; the message says which, why, and where its log is."""


AnyParameter = TypeVar("AnyParameter", bound=luigi.Parameter)


@overload
def setting_of_step(**options) -> luigi.OptionalStrParameter: ...


@overload
def setting_of_step(parameter: type[AnyParameter], **options) -> AnyParameter: ...


def setting_of_step(parameter=luigi.OptionalStrParameter, **options):
    """Return a parameter that is a setting of one kind of step, in its section of luigi.cfg.

    It is not significant: two results that differ only in it are the same result.
    """
    return parameter(default=None, significant=False, positional=False, **options)


class Step(CarriesSettings, ResultTask):
    """One step of the pipeline for one group, recording or study: `requires`, `output` and `make`.

    `run()` is final: it calls `make`, checks the files, hashes them, writes the run record and commits all or nothing.
    """

    # The parameters that tell several results of this step in one folder apart; the names of their files have them too.
    filename_parameters: tuple[str, ...] = ()

    # Modules that `make` imports and that take long: with several workers the run imports them once, for all.
    preload: tuple[str, ...] = ()

    # Set while `make` runs: where the step's output goes, and what a tool said of itself for the record.
    log: Path
    tool: Mapping[str, Any] = {}
    _told_at = _shown_at = float("-inf")
    _seconds = 0.0

    # Where a step that runs says how far it is, for the process that shows it; that process sets it.
    progress_path: Path | None = None

    # Luigi sets these while the step runs.
    set_progress_percentage: Callable | None = None
    set_status_message: Callable | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for old, new in STEP_ATTRIBUTES.items():
            if old in cls.__dict__:
                raise TypeError(refusal(f"attribute of {cls.__name__}", old, new))

    def __getattr__(self, name: str):
        if name in STEP_METHODS:
            raise AttributeError(refusal(f"method of {self.task_family}", name, STEP_METHODS[name]))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def folder(self) -> Path:
        """The folder of this step's files."""
        raise TypeError(f"{self.task_family} is neither a GroupTask, a RecordingTask nor a StudyTask")

    @property
    def record_path(self) -> Path:
        """The run record, beside the files; see records.py."""
        apart = (folder_name(str(self.param_kwargs[name]), name) for name in self.filename_parameters)
        return path_of(self.folder, "runs", f"{'-'.join((self.task_family, *apart))}.json")

    def result(self, name: str, kind: type[ResultTarget] = ResultTarget) -> ResultTarget:
        """Return the target of a file in this step's folder, for output()."""
        return kind(os.path.join(self.folder, name), self.record_path)  # noqa: PTH118 (targets hold text)

    def make(self, out):
        """Make the files. `out` has the shape of output(), with a temporary Path in place of each target."""
        raise TypeError(f"{self.task_family} does not say how it is made: it has no make()")

    def tool_label(self) -> tuple[str, str]:
        """Return what makes the result, for people: the engine, and what it calls ("" where that has no name)."""
        return "Python", ""

    def made_by(self) -> str:
        """Return the engine that made the result, with its version, as its record has it; "" without a record."""
        return made_by(read_record(self.record_path) or {})

    def report_progress(self, k: float, n: float, message: str = "") -> None:
        """Tell how far the step is while it is made: k of n, and a message. What are no numbers says nothing."""
        try:
            k, n = float(k), float(n)
        except (TypeError, ValueError):
            return
        if not (math.isfinite(k) and math.isfinite(n)):
            return
        self._tell({"k": k, "n": n, "message": str(message), "log": str(self.log)})
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            logger.info("%s: %g/%g %s", self, k, n, message)

    def _tell(self, said: Mapping) -> None:
        if self.progress_path:
            with contextlib.suppress(OSError):
                part = part_path(self.progress_path)
                part.write_text(json.dumps(said), encoding="utf-8")
                part.replace(self.progress_path)
        # The parent of a process that runs one step passes on what is in that file.
        is_due = time.monotonic() - self._shown_at >= _SHOW_SECONDS
        if multiprocessing.parent_process() is None and self.set_status_message and is_due:
            # Where the log is it says once, right before how far it is.
            self._shown_at = time.monotonic() if "k" in said else self._shown_at
            self.set_status_message(status_message(said))
            self.set_progress_percentage(percentage(said))

    def kept_log(self, is_good: bool) -> Path:
        """The log of the step after it ran: of its success, or of its failure."""
        return self._paths(".log" if is_good else ".failed.log")

    def complete(self):
        """Whether the files are there and nothing contradicts them, here or in what they are made from."""
        if setting(results).trust_existing:
            return all(one.exists() for one in flatten(self.output()))
        return status_of(self).is_complete

    def on_success(self):
        """Tell Luigi's parent process what came of the step, and how long it took if it was made."""
        return {"outcome": self._outcome, "seconds": self._seconds}

    def on_failure(self, exception):
        """Tell Luigi's parent process why the step failed; the traceback is in its log."""
        return str(exception) if isinstance(exception, StepError) else super().on_failure(exception)

    def run(self):
        """Make what is missing; not to be overridden."""
        _end_with_parent()
        try:
            self._outcome = self._run()
        except KeyboardInterrupt:
            if multiprocessing.parent_process() is None:
                raise
            # The parent says what happened; a traceback from each child says nothing more.
            os._exit(INTERRUPTED)
        finally:
            discard_statuses()

    def _run(self) -> str:
        try:
            self.record_path.parent.mkdir(parents=True, exist_ok=True)
            recover(self.record_path, self.folder)
        except OSError as error:
            raise StepError(f"{self}: can't write to {self.folder}: {error}") from error
        if self._is_done():
            logger.info("%s unchanged", self)
            return UNCHANGED
        self.log = part_path(self.record_path.with_suffix(".log"))
        self.tool = {}
        output = self.output()
        temporary = {one: part_path(Path(one.path)) for one in flatten(output)}
        start = start_clock()
        try:
            status = status_of(self)
            if status.state == state.INPUT_MISSING:
                raise StepError("; ".join(reason.text for reason in status.reasons))
            for part in temporary.values():
                part.parent.mkdir(parents=True, exist_ok=True)
            record = self._make_and_describe(output, temporary, start)
            if status.state == state.DAMAGED:
                for kept in put_aside(Path(one.path) for one in temporary):
                    logger.warning("%s: what was there is kept as %s", self, shown_path(kept))
            parts = {part: Path(one.path) for one, part in temporary.items()}
            log, failed = self._paths(".log"), (self._paths(".failed.json"), self._paths(".failed.log"))
            is_mine = commit({**parts, self.log: log}, self.record_path, record, failed, self._is_done)
        except (Exception, SystemExit) as error:
            raise self._record_failure(error, start) from error
        finally:
            for part in filter(None, (*temporary.values(), self.log, self.progress_path)):
                with contextlib.suppress(OSError):
                    remove_path(part)
        if not is_mine:
            logger.info("%s unchanged: another run has made it meanwhile", self)
            return UNCHANGED
        self._seconds = record["seconds"]
        logger.info("%s made in %.1f s", self, self._seconds)
        return MADE

    def _is_done(self) -> bool:
        """Whether the result is there and right as of now, whatever was remembered."""
        discard_statuses()
        return self.complete()

    def _paths(self, suffix: str) -> Path:
        return self.record_path.with_suffix(suffix)

    def _make_and_describe(self, output, temporary: Mapping[ResultTarget, Path], start: Mapping) -> dict:
        roots = roots_of_paths()
        with self.log.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as stream:
            logger.debug("%s logs to %s", self, self.log)
            # What a Python step prints is its log, as what Matlab prints is.
            with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
                try:
                    self._tell({"log": str(self.log)})
                    inputs = [_describe_input(one, roots, self.record_path.parent) for one in flatten(self.input())]
                    self.make(_shaped_like(output, temporary.__getitem__))
                except (Exception, SystemExit):
                    traceback.print_exc()
                    raise
        for one, part in temporary.items():
            one.check(part)
        for one, before in zip(flatten(self.input()), inputs, strict=True):
            stat = Path(one.path).stat()
            if (stat.st_size, stat.st_mtime_ns) != (before["bytes"], before["mtime_ns"]):
                raise StepError(f"{one.path} was changed while it was being read; run again")
        outputs = [
            {**describe_file(part, roots), **path_in_root(Path(one.path), roots)} for one, part in temporary.items()
        ]
        return {
            "schema": SCHEMA,
            **self._identity(),
            "facts": self.fingerprint(),
            "inputs": inputs,
            "outputs": outputs,
            **self._made_with(),
            "log": self._paths(".log").name,
            **_timing(start),
        }

    def _identity(self) -> dict:
        """Return the part of the record that is known before the step runs."""
        return {
            "step": self.task_family,
            "parameters": self.significant_parameters(),
            "host": describe_host(),
        }

    def _made_with(self) -> dict:
        """Return the part of the record that says which code ran, on which tool; known once `make` has begun."""
        tool = {"engine": "python", **self.tool}
        return {"sources": self.sources(tool["engine"]), "tool": tool, "versions": package_versions()}

    def note_failure(self, reason: str, start: Mapping) -> None:
        """Write beside the record that the step failed, and why; `start` is what begin() returned."""
        log = self._paths(".failed.log").name
        record = {"schema": SCHEMA, **self._identity(), **self._made_with(), **_timing(start)}
        record |= {"error": reason, "log": log}
        write_json(self._paths(".failed.json"), record)

    def _record_failure(self, error: BaseException, start: Mapping) -> StepError:
        """Keep the log and say why; touch neither result nor record."""
        log = self._paths(".failed.log")
        reason = str(error) if isinstance(error, (StepError, RecordingsError, RunStopped)) else _reason(error)
        failure = StepError(f"{self}: {reason}; see {shown_path(log)}")
        try:
            self.log.touch()
            self.log.replace(log)
            self.note_failure(reason, start)
        except Exception as other:
            return StepError(f"{self}: {reason} (and this could not be recorded in {log.parent}: {other})")
        return failure


def start_clock() -> dict:
    """Return the moment from which the times of a step are counted."""
    return {"started": timestamp(), "monotonic": time.monotonic(), "cpu": time.process_time()}


def percentage(said: Mapping) -> int | None:
    """Return k of n, of what a step says of itself, in per cent; None where that is no number from 0 to 100."""
    k, n = said.get("k", 0), said.get("n", 0)
    return round(100 * k / n) if n > 0 and 0 <= k <= n else None


def status_message(said: Mapping) -> str:
    """Return what a step says of itself as text: how far it is, and where its log is."""
    how_far = [f"{said['k']:g}/{said['n']:g} {said['message']}"] if "k" in said else []
    return "\n".join([*how_far, f"{socket.gethostname()}: {said['log']}"])


def _reason(error: BaseException) -> str:
    """Return the message of an error; of one that comes from Python code, its kind and the line too."""
    if isinstance(error, (DamagedError, OSError)) or type(error).__module__.startswith("neuroluigi."):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"


def _timing(start: Mapping) -> dict:
    return {
        "started": start["started"],
        "ended": timestamp(),
        "seconds": round(time.monotonic() - start["monotonic"], 3),
        "cpu_seconds": round(time.process_time() - start["cpu"], 6),
    }


def _describe_input(one: luigi.Target, roots: Mapping[str, Path], runs: Path) -> dict:
    """Describe an input; its bytes are read only where no record says what they are, such as those in `runs`."""
    path = Path(one.path)
    if isinstance(one, ResultTarget):
        said = (read_record(one.record) or {}).get("outputs", ())
    else:
        said = (known for record in runs.glob("*.json") for known in (read_record(record) or {}).get("inputs", ()))
    stat = path.stat()
    here = {**path_in_root(path, roots), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    known = next((described["sha256"] for described in said if here.items() <= described.items()), None)
    described = describe_file(path, roots, known)
    if isinstance(one, RecordingTarget) and one.sha256 and one.sha256 != described["sha256"]:
        raise StepError(
            f"{path} is not the file that the table describes: its sha256 is {described['sha256']}, the table says"
            f" {one.sha256}"
        )
    return described


def _shaped_like(output, convert: Callable):
    if isinstance(output, Mapping):
        return {name: _shaped_like(one, convert) for name, one in output.items()}
    if isinstance(output, (list, tuple)):
        return [_shaped_like(one, convert) for one in output]
    return convert(output)


@functools.cache
def _end_with_parent() -> None:
    """In a process that Luigi made for a step: end, with all that was started, as soon as the parent is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch():
        parent.join()
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.terminate()
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, daemon=True).start()


def folder_name(name: str, what: str) -> str:
    """Return a name that a folder can have; RunStopped for one that leads elsewhere."""
    try:
        check_folder_name(name, what)
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error
    return name
