"""The settings of luigi.cfg and the command line, and today's recordings as they declare them.

Settings are resolved once, in the parent: a task brings them along into a process that was not forked.
"""

import argparse
import configparser
import contextlib
import functools
import logging
import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.setup_logging import InterfaceLogging
from luigi.task_register import Register

from neuroluigi import recordings as found
from neuroluigi import records
from neuroluigi.recordings import Group, Recording, RecordingsError
from neuroluigi.state import KINDS

logger = logging.getLogger("luigi-interface")

# Tasks that make recordings, in the order in which they were defined; the last one counts.
recording_makers: list[type] = []


class RunStopped(SystemExit):
    """An error of the whole: it ends the run with one line before anything is made.

    Luigi logs any other exception of requires() with a traceback, and goes on with the rest.
    """


# The same as in luigi.cfg, which says why; for a folder without one.
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
    """Set what luigi.cfg leaves open and Luigi by itself sets so that a failed run looks like success."""
    config = luigi.configuration.get_config()
    for section, settings in _DEFAULTS.items():
        for name, value in settings.items():
            if not config.has_option(section, name):
                config.set(section, name, value)


class WordsParameter(luigi.Parameter):
    """Words with commas between them, as a tuple."""

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
    allow_missing = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="make groups from what is left of their recordings",
    )
    partial_sample = luigi.ChoiceParameter(
        default="fail", choices=("fail", "drop"), description="a file that ends in the middle of a sample"
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


def setting(section: type[luigi.Config]) -> luigi.Config:
    """Return a section of luigi.cfg, with what the command line says in place of it."""
    run = CmdlineParser.get_instance()
    return _setting_once(section, run) if run else _read_setting(section)


@functools.lru_cache(maxsize=32)
def _setting_once(section: type[luigi.Config], run: CmdlineParser) -> luigi.Config:
    return _read_setting(section)


def _read_setting(section: type[luigi.Config]) -> luigi.Config:
    try:
        return section()
    except ValueError as error:
        raise RunStopped(f"luigi: [{section.__name__}] in luigi.cfg or on the command line: {error}") from error


class InForce(NamedTuple):
    """A setting of this package or of a step: [Section] name, its value as in luigi.cfg ("" for blank), its source."""

    name: str
    value: str
    source: str


def in_force(root: luigi.Task) -> list[InForce]:
    """Return the settings that are in force in a run of `root`, this package's first, and where each comes from."""
    own, of_steps = [], []
    for section, _, name, parameter in Register.get_all_params():
        owner = Register.get_task_cls(section)
        is_own = owner.__module__.startswith("neuroluigi.")
        if not issubclass(owner, luigi.Config if is_own else CarriesSettings) or _is_secret(parameter):
            continue
        value, source = _value_and_source(section, name, parameter, root)
        shown = _as_text(parameter, value)
        if source and (is_own or shown or source != "default"):
            (own if is_own else of_steps).append(InForce(f"[{section}] {name}", shown, source))
    return own + of_steps


def _as_text(parameter: luigi.Parameter, value: object) -> str:
    if value is None:
        return ""
    try:
        return parameter.serialize(value)
    except Exception:
        # A default that no step has used may be of another type than it is declared with.
        return str(value)


def _is_secret(parameter: luigi.Parameter) -> bool:
    """Whether Luigi would not show a parameter either, such as a password."""
    return parameter.visibility != luigi.parameter.ParameterVisibility.PUBLIC


def without_secrets(words: Sequence[str]) -> list[str]:
    """Return the words of a command line as they may be written down."""
    secret = {
        f"--{option.replace('_', '-')}"
        for section, _, name, parameter in Register.get_all_params()
        if _is_secret(parameter)
        for option in (name, f"{section}_{name}")
    }
    shown, is_value = [], False
    for word in words:
        option, equals, _ = word.partition("=")
        shown.append("***" if is_value else f"{option}=***" if equals and option in secret else word)
        is_value = word in secret
    return shown


def _value_and_source(section: str, name: str, parameter: luigi.Parameter, root: luigi.Task) -> tuple[object, str]:
    """Return what is in force and luigi.cfg, command line or default; (None, "") where nothing is."""
    run, is_set = CmdlineParser.get_instance(), parameter.has_task_value(section, name)
    value = parameter.task_value(section, name) if is_set else None
    given = root.param_kwargs.get(name, value) if section == root.task_family else value
    if given != value or (run and getattr(run.known_args, f"{section}_{name}", None) is not None):
        return given, "command line"
    if not is_set:
        return None, ""
    is_declared = luigi.configuration.get_config().has_option(section, name)
    return value, "luigi.cfg" if is_declared else "default"


def results_root() -> Path:
    """Return the absolute folder of all results."""
    return roots_of_paths()["results"]


def recordings_root() -> Path:
    """Return the absolute folder of the recordings."""
    return roots_of_paths()["recordings"]


@functools.lru_cache(maxsize=1 << 16)
def path_of(*parts: str) -> Path:
    """Return the path of these parts, the same object for the same parts: paths are slow to make."""
    return Path(*parts)


def roots_of_paths() -> dict[str, Path]:
    """Return the folders that paths in run records are relative to; a step that goes elsewhere moves neither."""
    run = CmdlineParser.get_instance()
    return _roots_once(run) if run else _absolute_roots()


@functools.lru_cache(maxsize=1)
def _roots_once(run: CmdlineParser) -> dict[str, Path]:
    return _absolute_roots()


def _absolute_roots() -> dict[str, Path]:
    folders = {"results": setting(results).root, "recordings": setting(recordings).declaration().folder}
    # resolve() would follow links.
    return {name: Path(os.path.normpath(Path.cwd() / folder)) for name, folder in folders.items()}


def shown_path(path: str | Path) -> str:
    """Return a path as it is shown: from the current folder where it is below that."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


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
    run = CmdlineParser.get_instance()
    return _look_once(run or (int(time.monotonic()), setting(recordings), setting(results)))


@functools.lru_cache(maxsize=1)
def _look_once(run: object):
    try:
        by_key = _find_groups()
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error
    _check_apart(by_key)
    return by_key, {r.identity: r for group in by_key.values() for r in group.recordings}


def check_results_root() -> None:
    """RunStopped where the first results would lie among the recordings, to which not even a lock is written."""
    root = results_root()
    if root.is_dir() and not any(root.glob("*/runs")):
        with contextlib.suppress(RecordingsError):  # what else is wrong is for those who need the recordings to say
            _check_apart(_find_groups())


def _check_apart(by_key: dict[str, Group]) -> None:
    try:
        found.check_apart(by_key, results_root())
    except RecordingsError as error:
        raise RunStopped(f"luigi: {error}") from error


def _find_groups() -> dict[str, Group]:
    declaration = setting(recordings).declaration()
    # Results that were copied to a machine without the recordings tell what they were made from.
    is_elsewhere = declaration.root and not declaration.folder.exists()
    by_key = found.groups_of_layouts(_recorded_layouts(), declaration) if is_elsewhere else {}
    if by_key:
        logger.warning("%s is not there; the groups are those of the results", declaration.folder)
        return by_key
    return found.find_groups(declaration, [dict(row) for row in _made_recordings()])


def _recorded_layouts() -> dict[str, dict]:
    layouts = {}
    for path in sorted(results_root().glob("*/runs/*.json")):
        facts = (records.read(path) or {}).get("facts", {})
        layout = facts.get("layout")
        if found.is_layout(layout) and {"dtype", "channels"} <= layout.keys() and "path" in layout["recordings"][0]:
            layouts[path.parent.parent.name] = layout
    return layouts


def _made_recordings() -> tuple:
    if setting(recordings).are_real():
        return ()
    return recording_makers[-1](session="", index=0).declared() if recording_makers else ()


@functools.lru_cache(maxsize=1)
def _values_of_run(run: CmdlineParser) -> dict:
    return {}


class CarriedHandler(logging.Handler):
    """A log handler that goes along into a process that was not forked; to be pickled, it says how it is made."""

    def install(self) -> None:
        """Hear of each log line of this process from now on."""
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on; one that can't be formatted fails no step, as with Python's own handlers."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
        else:
            self.pass_on(line)

    def pass_on(self, line: str) -> None:
        """Take a line to where this handler takes them."""
        raise NotImplementedError


class CarriesSettings(luigi.Task):
    """A task that brings luigi.cfg and the command line with it into a process that was not forked.

    Luigi keeps both in memory of the parent, where spawn and forkserver do not find them.
    """

    @classmethod
    def get_params(cls):
        """Return Luigi's answer; it looks through the whole class each time, and is asked for every task."""
        if "_known_params" not in cls.__dict__:
            cls._known_params = super().get_params()
        return cls._known_params

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """Return Luigi's answer; what it takes from luigi.cfg and the command line is the same throughout a run."""
        run = CmdlineParser.get_instance()
        if run is None:
            return super().get_param_values(params, args, kwargs)
        known = _values_of_run(run)
        key = (cls, args, tuple(kwargs.items()))
        try:
            if key in known:
                return known[key]
        except TypeError:  # a value that can't be a key
            return super().get_param_values(params, args, kwargs)
        if cls not in known:
            known[cls] = cls._declared_values(params)
        values, by_name = known[cls], dict(params)
        positional = (name for name, parameter in params if parameter.positional)
        given = {**dict(zip(positional, args, strict=False)), **kwargs}
        if len(given) < len(args) + len(kwargs) or values.keys() | given.keys() != by_name.keys():
            return super().get_param_values(params, args, kwargs)  # which says what is wrong
        values = {**values, **{name: by_name[name].normalize(value) for name, value in given.items()}}
        known[key] = [(name, tuple(v) if isinstance(v := values[name], (list, set)) else v) for name in by_name]
        return known[key]

    @classmethod
    def _declared_values(cls, params):
        """Return what luigi.cfg, the command line and the defaults say of each parameter."""
        family = cls.get_task_family()
        return {name: one.task_value(family, name) for name, one in params if one.has_task_value(family, name)}

    def __getstate__(self):
        if multiprocessing.context.get_spawning_popen() is None:
            return self.__dict__
        parser, config = CmdlineParser.get_instance(), luigi.configuration.get_config()
        sections = {}
        if isinstance(config, configparser.ConfigParser):
            sections = {name: dict(config.items(name, raw=True)) for name in config.sections()}
        arguments = vars(parser.known_args) if parser else None
        handlers = [one for one in logger.handlers if isinstance(one, CarriedHandler)]
        return {**self.__dict__, "_settings": (arguments, sections, logger.filters, handlers)}

    def __setstate__(self, state):
        carried = state.pop("_settings", None)
        self.__dict__.update(state)
        if carried is None or CmdlineParser.get_instance() is not None:
            return
        arguments, sections, filters, handlers = carried
        luigi.configuration.get_config().read_dict(sections)
        if arguments is not None:
            parser = object.__new__(CmdlineParser)
            parser.known_args = argparse.Namespace(**arguments)
            CmdlineParser._instance = parser
        InterfaceLogging.setup(luigi.interface.core())
        for one in filters:
            logger.addFilter(one)
        for one in handlers:
            one.install()
