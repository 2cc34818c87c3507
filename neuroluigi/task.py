"""The base of every step: a step says what it requires, what it outputs and how it is made; the rest is here.

`GroupTask`, `RecordingTask` and `StudyTask` say what one result is about, and so in which folder it lies.
"""

import argparse
import configparser
import contextlib
import functools
import logging
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import luigi
import psutil
from luigi.cmdline_parser import CmdlineParser
from luigi.setup_logging import InterfaceLogging
from luigi.task import flatten

from neuroluigi import recordings as found
from neuroluigi import records, target
from neuroluigi.recordings import Group, Recording, RecordingsError
from neuroluigi.sources import python_sources
from neuroluigi.target import RecordingTarget, ResultTarget

logger = logging.getLogger("luigi-interface")

# The exit code of a shell for a process that ended by Ctrl-C.
INTERRUPTED = 130


class RunStopped(SystemExit):
    """An error of the whole: it ends the run with one line before anything is made.

    Luigi logs any other exception of requires() with a traceback, and goes on with the rest.
    """


class StepError(RuntimeError):
    """A step that failed; the message says which, why, and where its log is."""


class WordsParameter(luigi.Parameter):
    """Words with commas between them, as a tuple."""

    def parse(self, x):
        return tuple(word.strip() for word in x.split(",") if word.strip())

    def serialize(self, x):
        return ", ".join(x)

    def normalize(self, x):
        return self.parse(x) if isinstance(x, str) else tuple(x)


class recordings(luigi.Config):
    """Where the recordings are, how they are grouped, and what holds where no table tells."""

    root = luigi.Parameter(default="", description="folder of real recordings; blank: the fake ones")
    table = luigi.Parameter(default="", description="CSV file that describes them; blank: recordings.csv in root")
    pattern = luigi.Parameter(
        default="{session}/rec_{index}.bin", description="where there is no table: paths, with fields as columns"
    )
    select = WordsParameter(default=(), description="column=value, ...: take these recordings alone")
    group_by = WordsParameter(default=(), description="columns that make a group; blank: session (fake: and parity)")
    dtype = luigi.Parameter(default="uint8", description="where the table has none")
    channels = luigi.IntParameter(default=1, description="where the table has none")
    sampling_rate_hz = luigi.OptionalFloatParameter(default=None, description="where the table has none")
    header_bytes = luigi.IntParameter(default=0, description="where the table has none: bytes before the samples")
    scale = luigi.OptionalFloatParameter(default=None, description="physical = counts * scale + offset")
    offset = luigi.OptionalFloatParameter(default=None, description="physical = counts * scale + offset")
    unit = luigi.Parameter(default="", description="physical unit, such as mV")
    contiguous = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="the recordings of a group follow each other without a gap",
    )
    incomplete = luigi.ChoiceParameter(
        default="fail", choices=("fail", "trim"), description="a file that ends in the middle of a sample"
    )

    def are_real(self) -> bool:
        """Whether root or table name recordings that are there already."""
        return bool(self.root or self.table)

    def declaration(self) -> found.Declaration:
        """Return the settings as the plain data that neuroluigi.recordings takes."""
        values = {name: value for name, value in self.param_kwargs.items() if name != "contiguous"}
        values["group_by"] = self.group_by or (("session",) if self.are_real() else ("session", "parity"))
        return found.Declaration(**values)


class results(luigi.Config):
    """Where the results go."""

    root = luigi.Parameter(default="results", description="folder of all results")


def setting(section: type[luigi.Config]) -> luigi.Config:
    """Return a section of luigi.cfg, with what the command line says in place of it."""
    try:
        return section()
    except ValueError as error:
        raise RunStopped(f"luigi: [{section.__name__}] in luigi.cfg or on the command line: {error}") from error


def results_root() -> Path:
    """Return the absolute folder of all results."""
    return Path(os.path.abspath(setting(results).root))  # noqa: PTH100 (resolve() would follow links)


def groups() -> dict[str, Group]:
    """Return the groups of today's recordings by their key; RunStopped where there are none to speak of."""
    return _look()[0]


def find_recording(*identity) -> Recording:
    """Return the recording of that session, index and (see Recording) group; RunStopped where there is none."""
    recording = _look()[1].get(identity)
    if recording is None:
        session, index, _ = identity
        raise RunStopped(f"luigi: there is no recording {index} of session {session!r}; see: neuroluigi recordings")
    return recording


def _look() -> tuple[dict[str, Group], dict[tuple, Recording]]:
    # A run looks once. Without a command line (a notebook) a look is good for about a second.
    run = CmdlineParser.get_instance() or int(time.monotonic())
    return _look_once(setting(recordings).declaration(), _made_recordings(), run)


@functools.lru_cache(maxsize=1)
def _look_once(declaration: found.Declaration, made: tuple, run: object):
    try:
        by_key = found.find_groups(declaration, [dict(row) for row in made])
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error
    return by_key, {r.identity: r for group in by_key.values() for r in group.recordings}


def _made_recordings() -> tuple:
    if setting(recordings).are_real():
        return ()
    makers = RecordingMaker.__subclasses__()
    return makers[-1](session="", index=0).declared() if makers else ()


class CarriesSettings(luigi.Task):
    """A task that brings luigi.cfg and the command line with it into a process that was not forked.

    Luigi keeps both in memory of the parent, where spawn and forkserver do not find them.
    """

    def __getstate__(self):
        if multiprocessing.context.get_spawning_popen() is None:
            return self.__dict__
        parser, config = CmdlineParser.get_instance(), luigi.configuration.get_config()
        sections = {}
        if isinstance(config, configparser.ConfigParser):
            sections = {name: dict(config.items(name, raw=True)) for name in config.sections()}
        arguments = vars(parser.known_args) if parser else None
        return {**self.__dict__, "_settings": (arguments, sections, logger.filters)}

    def __setstate__(self, state):
        arguments, sections, filters = state.pop("_settings", (None, {}, []))
        self.__dict__.update(state)
        if not sections or CmdlineParser.get_instance() is not None:
            return
        luigi.configuration.get_config().read_dict(sections)
        if arguments is not None:
            parser = object.__new__(CmdlineParser)
            parser.known_args = argparse.Namespace(**arguments)
            CmdlineParser._instance = parser
        InterfaceLogging.setup(luigi.interface.core())
        for one in filters:
            logger.addFilter(one)


class WrapperTask(CarriesSettings, luigi.WrapperTask):
    """A task that is done when what it requires is."""


class Step(CarriesSettings):
    """One step of the pipeline for one group, recording or study: `requires`, `output` and `make`.

    `run()` is final: it calls `make`, checks the files, hashes them, writes the run record and commits all or nothing.
    """

    # Set while `make` runs: where the step's output goes, and what a tool said of itself for the record.
    log: Path
    tool: Mapping[str, object]

    @property
    def folder(self) -> Path:
        """The folder of this step's files."""
        raise TypeError(f"{self.task_family} is neither a GroupTask, a RecordingTask nor a StudyTask")

    @property
    def record_path(self) -> Path:
        """The run record, beside the files; see records.py."""
        return self.folder / "runs" / f"{self.task_family}.json"

    def result(self, name: str, kind: type[ResultTarget] = ResultTarget) -> ResultTarget:
        """Return the target of a file in this step's folder, for output()."""
        return kind(self.folder / name, self.record_path)

    def make(self, out):
        """Make the files. `out` has the shape of output(), with a temporary Path in place of each target."""
        raise TypeError(f"{self.task_family} does not say how it is made: it has no make()")

    def made_by(self) -> str:
        """Return the engine that made the result, with its version, as its record has it; "" without a record."""
        tool = (records.read(self.record_path) or {}).get("tool", {})
        return f"{tool.get('engine', '')} {tool.get('release') or tool.get('version', '')}".strip()

    def facts(self) -> dict:
        """Return what decides over the result beside parameters, inputs and code; goes into the record."""
        return {}

    def sources(self) -> list[dict]:
        """Return the code that makes the result: [{"path": ..., "sha256": ...}]."""
        return python_sources(type(self))

    def run(self):
        """Make what is missing; not to be overridden."""
        _end_with_parent()
        try:
            self._run()
        except KeyboardInterrupt:
            if multiprocessing.parent_process() is None:
                raise
            # The parent says what happened; a traceback from each child says nothing more.
            os._exit(INTERRUPTED)

    def _run(self):
        folder = self.folder
        try:
            self.record_path.parent.mkdir(parents=True, exist_ok=True)
            target.recover(self.record_path, folder)
        except OSError as error:
            raise StepError(f"{self}: can't write to {folder}: {error}") from error
        if self.complete():
            logger.info("%s unchanged", self)
            return
        self.log = records.part_path(self.record_path.with_suffix(".log"))
        self.tool = {}
        output = self.output()
        temporary = {one: records.part_path(Path(one.path)) for one in flatten(output)}
        start = {"started": records.now(), "monotonic": time.monotonic(), "cpu": time.process_time()}
        try:
            record = self._make_and_describe(output, temporary, start)
            parts = {part: Path(one.path) for one, part in temporary.items()}
            log, failed = self._paths(".log"), (self._paths(".failed.json"), self._paths(".failed.log"))
            is_mine = target.commit({**parts, self.log: log}, self.record_path, record, failed, self.complete)
        except Exception as error:
            raise self._record_failure(error, start) from error
        finally:
            for part in (*temporary.values(), self.log):
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
        if is_mine:
            logger.info("%s made in %.1f s", self, record["seconds"])
        else:
            logger.info("%s unchanged: another run has made it meanwhile", self)

    def _paths(self, suffix: str) -> Path:
        return self.record_path.with_suffix(suffix)

    def _make_and_describe(self, output, temporary: Mapping[ResultTarget, Path], start: Mapping) -> dict:
        roots = {"results": results_root(), "recordings": _recordings_root()}
        with self.log.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as stream:
            logger.debug("%s logs to %s", self, self.log)
            # What a Python step prints is its log, as what Matlab prints is.
            with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
                try:
                    inputs = [_describe_input(one, roots) for one in flatten(self.input())]
                    self.make(_shaped_like(output, temporary.__getitem__))
                except Exception:
                    traceback.print_exc()
                    raise
        for one, part in temporary.items():
            one.check(part)
        for one, before in zip(flatten(self.input()), inputs, strict=True):
            stat = Path(one.path).stat()
            if (stat.st_size, stat.st_mtime_ns) != (before["bytes"], before["mtime_ns"]):
                raise StepError(f"{one.path} was changed while it was being read; run again")
        outputs = [
            {**records.describe_file(part, roots), **records.place(Path(one.path), roots)}
            for one, part in temporary.items()
        ]
        return {
            "schema": records.SCHEMA,
            **self._identity(),
            "facts": self.facts(),
            "inputs": inputs,
            "outputs": outputs,
            "sources": self.sources(),
            "tool": {"engine": "python", **self.tool},
            "versions": records.versions(),
            "log": self._paths(".log").name,
            **_timing(start),
        }

    def _identity(self) -> dict:
        """Return the part of the record that is known before the step runs."""
        significant = {name for name, parameter in self.get_params() if parameter.significant}
        return {
            "step": self.task_family,
            "parameters": {name: value for name, value in self.param_kwargs.items() if name in significant},
            "host": records.host(),
        }

    def _record_failure(self, error: Exception, start: Mapping) -> StepError:
        """Keep the log and say why; touch neither result nor record."""
        log = self._paths(".failed.log")
        place = log
        with contextlib.suppress(ValueError):
            place = log.relative_to(Path.cwd())
        reason = str(error) if isinstance(error, (StepError, RecordingsError)) else _reason(error)
        failure = StepError(f"{self}: {reason}; see {place}")
        try:
            self.log.touch()
            self.log.replace(log)
            record = {"schema": records.SCHEMA, **self._identity(), "error": reason, "log": log.name, **_timing(start)}
            records.write(self._paths(".failed.json"), record)
        except OSError as other:
            return StepError(f"{self}: {reason} (and this could not be recorded in {log.parent}: {other})")
        return failure


def _reason(error: Exception) -> str:
    """Return the message of an error; of one that comes from Python code, its kind and the line too."""
    if isinstance(error, (target.DamagedError, OSError)) or type(error).__module__.startswith("neuroluigi."):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"


def _timing(start: Mapping) -> dict:
    return {
        "started": start["started"],
        "ended": records.now(),
        "seconds": round(time.monotonic() - start["monotonic"], 3),
        "cpu_seconds": round(time.process_time() - start["cpu"], 3),
    }


def _recordings_root() -> Path:
    return Path(os.path.abspath(setting(recordings).declaration().folder))  # noqa: PTH100 (resolve() follows links)


def _describe_input(one: luigi.Target, roots: Mapping[str, Path]) -> dict:
    path, known = Path(one.path), None
    if isinstance(one, ResultTarget) and (record := records.read(one.record)):
        here = {**records.place(path, roots), "bytes": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
        known = next((o["sha256"] for o in record["outputs"] if here.items() <= o.items()), None)
    described = records.describe_file(path, roots, known)
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


class GroupTask(Step):
    """A step for one group of recordings; its files are in results/<group>/."""

    group = luigi.Parameter(description="key of the group, such as a-even")

    @property
    def folder(self) -> Path:
        return results_root() / self.group

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """The group's recordings in order, for requires(); none where one has a problem, which layout() then tells."""
        group = self._group()
        return () if group.problems else group.recordings

    def layout(self) -> dict:
        """Return dtype, channels, rate and where each recording begins in the concatenation of this step's inputs.

        Raises RecordingsError where something is wrong with one of the group's recordings.
        """
        settings = setting(recordings)
        files = [(one.path, one.header_bytes) for one in flatten(self.input())]
        return found.lay_out(self._group(), files, settings.incomplete, settings.contiguous)

    def _group(self) -> Group:
        known = groups()
        if self.group not in known:
            raise RunStopped(f"luigi: there is no group {self.group!r}; the groups are: {', '.join(known)}")
        return known[self.group]


class OfRecording(luigi.Task):
    """The parameters of a task for one recording: RecordingTask(*recording.identity)."""

    session = luigi.Parameter(description="session of the recording")
    index = luigi.IntParameter(description="number of the recording in its session")
    group = luigi.Parameter(default="", description="its group, where another one has the same session and index")

    @property
    def recording(self) -> Recording:
        """The row that describes the recording."""
        return find_recording(self.session, self.index, self.group)


class RecordingTask(OfRecording, Step):
    """A step for one recording; its files are in results/recordings/<session>/<index>/."""

    @property
    def folder(self) -> Path:
        # One that shares session and index with another has a folder more.
        return results_root() / "recordings" / self.session / str(self.index) / self.group


class StudyTask(Step):
    """A step over all groups; its files are in results/study/."""

    @property
    def folder(self) -> Path:
        return results_root() / "study"


class ExistingRecording(OfRecording, CarriesSettings, luigi.ExternalTask):
    """A recording that is there already, as the table or the pattern says."""

    def output(self):
        recording = self.recording
        return RecordingTarget(recording.path, recording.header_bytes, recording.sha256)


class RecordingMaker(Step):
    """A step that makes recordings, where luigi.cfg names none that are there: recordings/<session>/rec_<index>.bin."""

    session = luigi.Parameter(description="session of the recording")
    index = luigi.IntParameter(description="number of the recording in its session")
    sessions = WordsParameter(default=("a", "b", "c", "d", "e"), significant=False, description="names of the sessions")
    count = luigi.IntParameter(default=4, significant=False, description="recordings of each session")

    @property
    def folder(self) -> Path:
        return _recordings_root() / self.session

    @property
    def record_path(self) -> Path:
        # The recordings of a session share a folder.
        return self.folder / "runs" / f"{self.task_family}-{self.index}.json"

    def output(self):
        return self.result(f"rec_{self.index}.bin")

    def declared(self) -> tuple:
        """Return a row, as items of a dict, for each recording that there is to make."""
        return tuple(
            (
                ("session", session),
                ("index", str(index)),
                ("path", f"{session}/rec_{index}.bin"),
            )
            for session in self.sessions
            for index in range(self.count)
        )
