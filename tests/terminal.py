"""A terminal in which a command runs, and whose screen is read as a user sees it."""

import codecs
import os
import select
import struct
import time

import pytest

from tests.conftest import clean_environment

pyte = pytest.importorskip("pyte")
fcntl, pty, termios = map(pytest.importorskip, ("fcntl", "pty", "termios"))

SECONDS = 60


class Terminal:
    """A terminal of that size in which a command runs; `screen` is what it shows, `text` all that it ever got."""

    def __init__(self, command, folder, columns=80, rows=24, env=None):
        self.text, self.is_quiet = "", False
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream = pyte.Stream(self.screen)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.pid, self._master = pty.fork()
        if not self.pid:
            os.chdir(folder)
            environment = {**clean_environment(), "TERM": "xterm-256color", **(env or {})}
            os.execvpe(command[0], command, environment)
        self.resize(columns, rows)

    def resize(self, columns, rows):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def press(self, keys):
        os.write(self._master, keys)

    def read(self, seconds=0.05):
        """Take in what came; false when nothing more will."""
        self.is_quiet = not select.select([self._master], [], [], seconds)[0]
        if not self.is_quiet:
            try:
                data = self._decode(os.read(self._master, 1 << 16))
            except OSError:
                return False
            self.text += data
            self._stream.feed(data)
        return True

    def wait_for(self, condition, seconds=SECONDS):
        """Read until the condition, a text on the screen or a function, holds, and nothing is half drawn."""
        deadline = time.monotonic() + seconds
        while not (self.is_quiet and (condition() if callable(condition) else condition in self.shown())):
            assert self.read() and time.monotonic() < deadline, f"{condition}: it did not happen\n{self.shown()}"

    def end(self, seconds=SECONDS):
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < deadline, f"it did not end\n{self.shown()}"
        self.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        """Have the terminal disappear, as when its window is closed."""
        os.close(self._master)

    def shown(self):
        """Return the lines of the screen as they are."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def everything(self):
        """Return all lines that are there if one scrolls up."""
        above = ["".join(line[x].data for x in range(self.screen.columns)).rstrip() for line in self.screen.history.top]
        return "\n".join([*above, self.shown()])
