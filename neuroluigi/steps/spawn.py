"""Settings in other processes: a task carries them into one that was started anew (spawn, forkserver)."""

import argparse
import configparser
import contextlib
import functools
import logging
import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator

import luigi
import psutil
from luigi.cmdline_parser import CmdlineParser
from luigi.setup_logging import InterfaceLogging
from luigi.task import flatten

from neuroluigi.provenance.plain_text import plain, use_plain_streams
from neuroluigi.steps.discovery import one_look
from neuroluigi.steps.lab_folder import use_settings_of
from neuroluigi.steps.parameters import ResolvedParameters
from neuroluigi.steps.plain_luigi import logged_in_one_line
from neuroluigi.steps.variants import in_own_variant

logger = logging.getLogger("luigi-interface")

# The exit code of a shell for a process that ended by Ctrl-C.
INTERRUPTED = 130


class CarriedHandler(logging.Handler):
    """A log handler that a task carries into a process that was not forked; a subclass has its __reduce__."""

    def install(self) -> None:
        """Attach this handler to the logger."""
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on as a line; one that can't be formatted fails no step, as with Python's own handlers."""
        try:
            line = plain(self.format(record))
        except Exception:
            self.handleError(record)
        else:
            self.pass_on(line)

    def pass_on(self, line: str) -> None:
        """Send a formatted line to its destination."""
        raise NotImplementedError


def _behind_plain_wrappers(tasks: Iterable[luigi.Task]) -> Iterator[luigi.Task]:
    """Yield what wrappers of Luigi's own require, which have one id in all variants: Luigi knows those of the base."""
    for one in tasks:
        if isinstance(one, luigi.WrapperTask) and not isinstance(one, ResolvedParameters):
            below = flatten(one.requires())
            yield from (*below, *_behind_plain_wrappers(below))


class CarriesSettings(ResolvedParameters):
    """A task that brings luigi.cfg and the command line with it into a process that was not forked.

    Luigi keeps both in memory of the parent, where spawn and forkserver do not find them.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        use_settings_of(cls.__module__)

    @one_look()
    @logged_in_one_line()
    def deps(self):
        """Return what Luigi asks of it when it schedules: the tasks that it requires."""
        with in_own_variant(self):
            found = super().deps()
            return [*found, *_behind_plain_wrappers(found)] if self.variant else found

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
        config = luigi.configuration.get_config()
        # This process has read luigi.cfg as it is now; the run goes by what it was at its start.
        for one in config.sections():
            config.remove_section(one)
        config.read_dict(sections)
        if arguments is not None:
            parser = object.__new__(CmdlineParser)
            parser.known_args = argparse.Namespace(**arguments)
            CmdlineParser._instance = parser
        use_plain_streams()
        InterfaceLogging.setup(luigi.interface.core())
        for one in filters:
            logger.addFilter(one)
        for one in handlers:
            one.install()


@functools.cache
def end_with_parent() -> None:
    """In a process that Luigi started for a step: end, with all child processes, as soon as the parent has ended."""
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
