"""M-files in a folder, and calls of them by a real engine: what the tests of calls, sessions and licences share."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from neuroluigi.engines.call import CallError, call_function
from neuroluigi.engines.engine import Engine
from neuroluigi.engines.pool import close_pool, open_pool
from neuroluigi.engines.session import Limits
from neuroluigi.engines.supervisor import FOLDER_VARIABLE
from neuroluigi.engines.values import decode, encode_arguments


class Lab:
    """M-files, and calls of them; with `is_warm` one engine serves all."""

    def __init__(self, folder: Path, is_warm: bool):
        self.folder = folder
        self.log = folder / "call.log"
        self.matlab = folder / "m files"
        self.matlab.mkdir()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.limits = Limits(is_warm=is_warm)
        self.engine = Engine("octave", (shutil.which("octave-cli"),))
        self.progress = []
        # Where the fake `matlab` writes down its starts and ends.
        self.starts_file = folder / "starts.txt"

    def write(self, signature: str, *body: str) -> None:
        """Write an M-file, such as quick or say(varargin), with its body from line 2 on."""
        name, _, inputs = signature.partition("(")
        text = "\n".join([f"function {name}({inputs or ')'}", *body, "end", ""])
        (self.matlab / f"{name}.m").write_text(text)

    def call(self, name: str, *arguments) -> dict:
        return self._call(name, arguments)[0]

    def values(self, call: str, *arguments) -> list:
        """Return what a call such as "[a, b] = f" returns."""
        returns, name = call.split(" = ")
        return [decode(one) for one in self._call(name, arguments, returns.strip("[]").split(", "))[1]]

    def _call(self, name: str, arguments: tuple, returns: list[str] | tuple = ()) -> tuple[dict, list]:
        encoded = encode_arguments(arguments)
        call = (self.engine, name, encoded, [self.matlab], self.log, self.limits, self.progress.append, returns)
        return call_function(*call)

    def printed(self, name: str, *arguments) -> str:
        """Return what a call prints."""
        self.log.unlink(missing_ok=True)
        self.call(name, *arguments)
        return self.log.read_text()

    def failure(self, name: str, *arguments) -> str:
        """Return the error of a call that has to fail."""
        with pytest.raises(CallError) as error:
            self.call(name, *arguments)
        return str(error.value)

    def fails_with(self, *body: str) -> str:
        """Return the error of a call of a function with this body."""
        self.write("failing", *body)
        return self.failure("failing")

    def process(self) -> int:
        """Return the id of the process that the next call finds."""
        if not (self.matlab / "whoAmI.m").exists():
            self.write("whoAmI", "printf('%d', getpid());")
        return int(self.printed("whoAmI"))

    def calling_code(self, name: str) -> str:
        """Return Python code that makes a call."""
        arguments = (
            f"{self.engine!r}, {name!r}, encode_arguments([]), [Path({str(self.matlab)!r})], Path({str(self.log)!r})"
        )
        return (
            "from pathlib import Path\n"
            "from neuroluigi.engines.call import call_function\n"
            "from neuroluigi.engines.engine import Engine\n"
            "from neuroluigi.engines.session import Limits\n"
            "from neuroluigi.engines.values import encode_arguments\n"
            f"call_function({arguments}, {self.limits!r})\n"
        )

    def in_another_run(self, name: str, code: str = "", **options) -> subprocess.Popen:
        """Make a call in a process that has nothing to do with this one, and run `code` after it."""
        return subprocess.Popen([sys.executable, "-c", self.calling_code(name) + code], **options)

    def in_another_process(self, name: str) -> subprocess.Popen:
        """Make a call as a process that Luigi forks for a step does."""
        open_pool()
        code = "import multiprocessing, sys\nclass Parent: pid = int(sys.argv[1])\n"
        code += "multiprocessing.parent_process = lambda: Parent\n" + self.calling_code(name)
        return subprocess.Popen([sys.executable, "-c", code, str(os.getpid())])

    def processes(self) -> list[psutil.Process]:
        """Return what runs on behalf of this lab's calls."""
        return [one for one in psutil.process_iter() if self._is_its_own(one)]

    def _is_its_own(self, process: psutil.Process) -> bool:
        try:
            session = process.environ().get(FOLDER_VARIABLE, "")
            return str(self.temporary) in session and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def starts(self) -> Counter:
        """Return how often the fake `matlab` was started ("start") and has ended ("end")."""
        return Counter(self.starts_file.read_text().split()) if self.starts_file.exists() else Counter()


def use_temporary_folder(folder: Path, monkeypatch) -> None:
    """Have all temporary files made in a folder, also those of the run that this process is for its tests."""
    close_pool()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)


def wait_for(condition, seconds: float = 60):
    """Return what `condition` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return value
