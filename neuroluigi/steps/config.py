"""The settings of luigi.cfg and the command line: the sections of this package, and the folders that they name."""

import contextlib
import difflib
import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import luigi
from luigi.cmdline_parser import CmdlineParser

from neuroluigi.provenance import register, run_lock
from neuroluigi.provenance.disks import can_flush_disks, is_local
from neuroluigi.provenance.expected import KINDS
from neuroluigi.recordings.recording import Declaration, RecordingsError, check_folder_name
from neuroluigi.steps.lab_folder import current_folder, is_relative_root, recordings_to_make
from neuroluigi.steps.settings_file import RunStopped, check_settings_file

if TYPE_CHECKING:
    # Luigi 3.6 has no types.
    _ParameterOfWords = luigi.Parameter[tuple[str, ...]]
else:
    _ParameterOfWords = luigi.Parameter

Section = TypeVar("Section", bound=luigi.Config)


# The same as in the luigi.cfg of this repository, which gives the reasons; for a folder without one.
_DEFAULTS = {
    "core": {"no_lock": "true", "log_level": "INFO"},
    "worker": {"check_complete_on_run": "true", "wait_interval": "0.1", "wait_jitter": "0"},
    "scheduler": {
        "state_path": "luigid.pickle",
        "retry_delay": "-1",
        "worker_disconnect_delay": "30",
        "remove_delay": "86400",
        "stable_done_cooldown_secs": "0",
    },
    "retcode": {
        "already_running": "10",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
}


def set_defaults() -> None:
    """Set what luigi.cfg leaves open and where Luigi's own default would make a failed run look like success.

    Raises RunStopped where luigi.cfg can't be read.
    """
    check_settings_file()
    config = luigi.configuration.get_config()
    for section, settings in _DEFAULTS.items():
        for name, value in settings.items():
            if not config.has_option(section, name):
                config.set(section, name, value)


class WordsParameter(_ParameterOfWords):
    """A tuple of words; in luigi.cfg and on the command line with commas between them."""

    def parse(self, x):
        return tuple(word.strip() for word in x.split(",") if word.strip())

    def serialize(self, x):
        return ", ".join(x)

    def normalize(self, x):
        return self.parse(x) if isinstance(x, str) else tuple(x)


class KindsParameter(WordsParameter):
    """What a result is remade for: any of inputs, parameters, code and tools."""

    def normalize(self, x):
        kinds = super().normalize(x)
        if wrong := set(kinds) - set(KINDS):
            raise ValueError(f"{', '.join(sorted(wrong))}: results are remade for {', '.join(KINDS)}")
        return kinds


class ContiguousParameter(luigi.ChoiceParameter):
    """One of auto, true and false, in upper or lower case, as true and false are everywhere else."""

    def normalize(self, x):
        return super().normalize(str(x).lower())


class neuroluigi(luigi.Config):
    """The task that stands for the whole pipeline, and the local scheduler of a run."""

    task = luigi.Parameter(default="", description="the task that stands for the whole pipeline, such as PlotAll")
    variants = WordsParameter(
        default=(), description="variants to make beside the base, of those that [variants] declares, or all"
    )
    fast_scheduler = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="false: Luigi's own local scheduler, whose time grows with the square of the number of tasks",
    )


# Settings of what is made of the recordings.
_NOT_DECLARED = ("contiguous", "gap_tolerance", "bad_channels")


class recordings(luigi.Config):
    """Where the recordings are, how they are grouped, and what holds where the table has no value."""

    root = luigi.Parameter(default="", description="folder of real recordings; blank: the fake ones")
    table = luigi.Parameter(default="", description="CSV file that describes them; blank: recordings.csv in root")
    pattern = luigi.Parameter(
        default="{session}/rec_{index}.bin", description="where there is no table: paths, with fields as columns"
    )
    format = WordsParameter(
        default=("auto",), description="formats to look for; auto: by the pattern, else by headers; raw: by the pattern"
    )
    metadata = luigi.Parameter(default="", description="CSV file with more columns; joined by those that both have")
    select = WordsParameter(default=(), description="column=value, ...: take these recordings alone")
    group_by = WordsParameter(
        default=(),
        description="columns that make a group; blank: by the format, for raw samples session (fake: and parity)",
    )
    dtype = luigi.Parameter(default="uint8", description="type of a sample, where the table has none")
    channels = luigi.IntParameter(default=1, description="number of channels, where the table has none")
    sampling_rate_hz = luigi.OptionalFloatParameter(default=None, description="sampling rate, where the table has none")
    header_bytes = luigi.IntParameter(default=0, description="bytes before the samples, where the table has none")
    scale = luigi.OptionalFloatParameter(default=None, description="physical = counts * scale + offset")
    offset = luigi.OptionalFloatParameter(default=None, description="physical = counts * scale + offset; blank: 0")
    unit = luigi.Parameter(default="", description="physical unit, such as mV")
    bad_channels = WordsParameter(
        default=(), description="names or positions of channels to leave out, where groups have them; also a column"
    )
    contiguous = ContiguousParameter(
        default="auto",
        choices=("auto", "true", "false"),
        description="whether the recordings of a group follow each other without a gap; auto: by their counters",
    )
    gap_tolerance = luigi.IntParameter(default=0, description="samples that may be missing without a gap, by a counter")
    allow_missing = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="make groups from what is left of their recordings",
    )
    partial_sample = luigi.ChoiceParameter(
        default="fail", choices=("fail", "drop"), description="a file that ends in the middle of a sample"
    )

    def are_real(self) -> bool:
        """Whether root or table name existing recordings."""
        return bool(self.root or self.table)

    def declaration(self) -> Declaration:
        """Return the settings as the plain data that neuroluigi.recordings takes."""
        values = {name: value for name, value in self.param_kwargs.items() if name not in _NOT_DECLARED}
        values["group_by"] = self.group_by or (() if self.are_real() else ("session", "parity"))
        return Declaration(**values, made_folder=recordings_to_make(), results_folder=setting(results).root)


class results(luigi.Config):
    """Where the results go, and when one is made again."""

    root = luigi.Parameter(default="results", description="folder of all results")
    rerun_on = KindsParameter(
        default=("inputs", "parameters"), description=f"remake a result when these changed: {', '.join(KINDS)}"
    )
    trust_existing = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="Luigi's own rule: a file that exists is done",
    )
    durable = luigi.ChoiceParameter(
        default="",
        choices=("", "run", "step"),
        significant=False,
        description="when results are flushed to the disk: run, every minute and at the end; step, each before the next"
        " one; blank: run on local disks of Linux, step elsewhere",
    )

    def is_flushed_by_run(self) -> bool:
        """Whether a run flushes all that it wrote at once, and not each step."""
        return can_flush_disks() and (self.durable or ("run" if is_local(results_root()) else "step")) == "run"


def setting(section: type[Section]) -> Section:
    """Return a section of the settings: of the command line, else of luigi.cfg, else the defaults.

    Raises RunStopped where a value can't be read.
    """
    run = CmdlineParser.get_instance()
    if run is None:
        return _read_setting(section)
    read = _sections_of_run(run)
    if section not in read:
        read[section] = _read_setting(section)
    return read[section]


@functools.lru_cache(maxsize=1)
def _sections_of_run(run: CmdlineParser) -> dict[type[luigi.Config], Any]:
    """Return the sections that a run has read so far."""
    return {}


def _read_setting(section: type[Section]) -> Section:
    check_settings_file()
    try:
        return section()
    except ValueError as error:
        raise RunStopped(f"luigi: [{section.__name__}] in luigi.cfg or on the command line: {error}") from error


def whole_pipeline(option: str = "--task", words: Sequence[str] = ()) -> str:
    """Return the name of the task that stands for the whole pipeline, as words of a command line or luigi.cfg have it.

    Raises RunStopped where neither names one; `option` is how the command in question names it instead.
    """
    given = [word.partition("=")[2] for word in words if word.startswith("--neuroluigi-task=")]
    given += [name for word, name in itertools.pairwise(words) if word == "--neuroluigi-task"]
    name = given[-1] if given else setting(neuroluigi).task
    if not name:
        raise RunStopped(
            "neuroluigi: there is no task for the whole pipeline: set [neuroluigi] task in luigi.cfg, or give"
            f" {option}{_meant_as('neuroluigi', 'task')}"
        )
    return name


def _meant_as(section: str, name: str) -> str:
    """Return a question about the setting in luigi.cfg that may be meant as this one; "" where there is none."""
    config = luigi.configuration.get_config()
    there = [f"[{one}] {setting}" for one in config.sections() for setting in config.options(one)]
    near = difflib.get_close_matches(f"[{section}] {name}", there, n=1, cutoff=0.8)
    return f"; did you mean that with {near[0]}?" if near else ""


def results_root() -> Path:
    """Return the absolute folder of all results."""
    return roots_of_paths()["results"]


def recordings_root() -> Path:
    """Return the absolute folder of the recordings."""
    return roots_of_paths()["recordings"]


@functools.lru_cache(maxsize=1 << 16)
def path_of(*parts: str) -> Path:
    """Return the path of these parts, the same object for the same parts: paths take long to make."""
    return Path(*parts)


def folder_name(name: str, what: str) -> str:
    """Return the name if a folder can have it; RunStopped for one that leads elsewhere, such as ../a."""
    try:
        check_folder_name(name, what)
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error
    return name


def roots_of_paths() -> dict[str, Path]:
    """Return the absolute folders that paths in run records are relative to, by name: results and recordings.

    A step whose own folder is elsewhere changes neither.
    """
    run = CmdlineParser.get_instance()
    return _roots_once(run) if run else _absolute_roots()


@functools.lru_cache(maxsize=1)
def _roots_once(run: CmdlineParser) -> dict[str, Path]:
    return _absolute_roots()


def declared_roots(folder: Path) -> dict[str, str]:
    """Return the same folders as a file in `folder` names them: relative to it where they are declared as relative.

    They are absolute too where no relative path leads there.
    """
    found = {}
    for name, root in roots_of_paths().items():
        # On Windows there is no way from one drive to another.
        is_absolute = _folders_of_roots()[name].is_absolute() and not is_relative_root(name)
        is_absolute |= root.drive != folder.drive
        path = root if is_absolute else Path(os.path.relpath(root, folder))
        # Where `folder` is reached by a link, the system goes up from where the link leads.
        leads_there = is_absolute or os.path.realpath(folder / path) == os.path.realpath(root)
        found[name] = (path if leads_there else root).as_posix()
    return found


def _folders_of_roots() -> dict[str, Path]:
    return {"results": Path(setting(results).root), "recordings": setting(recordings).declaration().folder}


def _absolute_roots() -> dict[str, Path]:
    # resolve() would follow links.
    return {name: Path(os.path.normpath(current_folder() / folder)) for name, folder in _folders_of_roots().items()}


def record_folders() -> list[Path]:
    """Return the folders in which there may be run records; steps write nothing among real recordings."""
    return [results_root()] if setting(recordings).are_real() else list(roots_of_paths().values())


@contextlib.contextmanager
def registered(command: str) -> Iterator[None]:
    """Have a register for what is written in this context, that of the run around it or one of its own."""
    if register.current(results_root()):
        yield
    else:
        with run_lock.registered(results_root(), command, record_folders()):
            yield


def shown_path(path: str | Path) -> str:
    """Return a path for messages: relative to the current folder where it is below that."""
    # As texts, and not as Path: a list may have a hundred thousand of them.
    text, here = os.fspath(path), os.getcwd().rstrip(os.sep) + os.sep  # noqa: PTH109
    is_below = os.path.normcase(text.rstrip(os.sep) + os.sep).startswith(os.path.normcase(here))
    return (text[len(here) :] or ".") if is_below else text
