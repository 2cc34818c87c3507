"""Settings on their way into other processes: a task carries them into a process that was not forked."""

import argparse
import configparser
import functools
import logging
import multiprocessing

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.setup_logging import InterfaceLogging

logger = logging.getLogger("luigi-interface")


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
