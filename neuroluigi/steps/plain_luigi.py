"""What tasks need where Luigi itself runs them, by luigi.build or `python -m luigi`, without the command around them.

Luigi takes an error of complete() or requires() for one of that task: it logs it as a warning with a traceback, and at
a log level above that not at all.
"""

import contextlib
import logging
import multiprocessing
import threading
from collections.abc import Iterator

from luigi.worker import KeepAliveThread, TaskProcess

from neuroluigi.steps.config import RunStopped

logger = logging.getLogger("luigi-interface")

# How a traceback in a text names an error of the whole.
_IN_TRACEBACK = f"{RunStopped.__module__}.{RunStopped.__qualname__}: "

# The thread of the last run, also in the processes that it has forked for its steps.
_thread: KeepAliveThread | None = None


def plain_run() -> object | None:
    """Return what stands for the run that Luigi is in, another object for each run; None outside of one.

    Luigi keeps no run anywhere, but each has a thread from before its first task until after its last one.
    """
    global _thread
    process = multiprocessing.current_process()
    if isinstance(process, TaskProcess):
        return _thread or process
    _thread = next((one for one in threading.enumerate() if isinstance(one, KeepAliveThread)), None)
    return _thread


@contextlib.contextmanager
def logged_in_one_line() -> Iterator[None]:
    """Log an error of the whole in one line at a level that every run shows, if Luigi is to get it."""
    global _logged
    try:
        yield
    except RunStopped as error:
        if plain_run():
            _logged = str(error)
            logger.critical("%s", error)
        raise


# The line that was logged last, until Luigi has logged it too.
_logged = ""


def _without_traceback(record: logging.LogRecord) -> bool:
    """Have Luigi log an error of the whole in complete() or requires() in one line, and only where no one has yet."""
    global _logged
    text = record.msg if isinstance(record.msg, str) and record.msg.startswith("Will not run ") else ""
    line = text.rpartition(_IN_TRACEBACK)[2].strip() if _IN_TRACEBACK in text else ""
    is_known, _logged = bool(line) and line == _logged, "" if line else _logged
    record.msg = line or record.msg
    return not is_known


logger.addFilter(_without_traceback)
