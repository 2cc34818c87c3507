"""The log of a step: all that it prints, line by line, in a file that is made for the first of them.

To make a file takes longer than a short step, on a disk that is nearly full or has just been cleared.
"""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from neuroluigi.provenance.files import only_regular
from neuroluigi.steps.log_limit import kept_short


@contextlib.contextmanager
def printed_to(log: Path) -> Iterator[TextIO]:
    """Have all that Python prints in this context added to a log, which stays short; gives the stream to it.

    Where nothing is printed there is no log, unless that takes long: then whoever waits finds an empty one.
    """
    # What a program prints that inherits the stream, or is given the path, comes in between.
    with (
        io.TextIOWrapper(
            io.BufferedWriter(_Appended(log)), encoding="utf-8", errors="backslashreplace", line_buffering=True
        ) as stream,
        kept_short(log),
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        yield stream


class _Appended(io.RawIOBase):
    """A file to add to, opened as soon as something is written to it, or its descriptor is asked for."""

    def __init__(self, path: Path):
        self.name = os.fspath(path)
        self._descriptor: int | None = None

    def fileno(self) -> int:
        if self._descriptor is None:
            descriptor = only_regular(self.name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            # Its name can be read before there is a file of it.
            if os.fstat(descriptor).st_nlink > 1:
                os.close(descriptor)
                raise OSError(errno.EEXIST, "is another name of a file that is there already", self.name)
            self._descriptor = descriptor
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return os.write(self.fileno(), data)

    def close(self) -> None:
        if self._descriptor is not None and not self.closed:
            os.close(self._descriptor)
        super().close()
