"""Logging as it was: what a run within another process logs is in its run.log alone."""

import contextlib
import logging
from collections.abc import Iterator

from luigi.setup_logging import InterfaceLogging

from neuroluigi.runner.patches import Patch, applied

logger = logging.getLogger("luigi-interface")


@contextlib.contextmanager
def own_logging() -> Iterator[None]:
    """Have the log lines of a run for its run.log, and for no handler of the process; Luigi sets nothing up."""
    before = logger.level, list(logger.handlers), logger.propagate
    with applied(Patch(InterfaceLogging, "_configured", True)):
        logger.setLevel(logging.INFO)
        # Python prints what no handler takes.
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        try:
            yield
        finally:
            logger.setLevel(before[0])
            logger.handlers[:], logger.propagate = before[1:]
