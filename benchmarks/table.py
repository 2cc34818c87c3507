"""The rows of the table: what was done, in which time or memory, against what, and what is to be reached."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A lab has what Python compiled of its modules; with this, every start would compile them again, of ours alone: pip has
# compiled those of others.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

REPOSITORY = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Row:
    """One line. `ratio` of the two figures, or a figure that stands alone, is held against `at_most` or `at_least`."""

    work: str
    ours: str
    against: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def wanted(self) -> str:
        """What is to be reached, and whether it is."""
        if self.at_most is None and self.at_least is None:
            return ""
        is_reached = self.value <= self.at_most if self.at_least is None else self.value >= self.at_least
        limit = f"<= {self.at_most:g}" if self.at_least is None else f">= {self.at_least:g}"
        return f"{limit}{'' if is_reached else '  NOT REACHED'}"

    def __str__(self) -> str:
        return f"{self.work:62} {self.ours:>16}  {self.against:36} {self.value:8.2f}  {self.wanted}"


@dataclass(frozen=True)
class Usage:
    """What a process took, seconds on the clock and of the processor, and what it printed.

    `peak_bytes` is its memory, at least that of the process of the benchmark which started it.
    """

    seconds: float
    cpu_seconds: float
    output: str
    peak_bytes: int


def run(command: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None) -> Usage:
    """Run a program to its end, as a whole process. One that fails ends the benchmark, with what it printed."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(env or {})}, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        output.seek(0)
        printed = output.read()
    if status:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{printed}")
    return Usage(seconds, used.ru_utime + used.ru_stime, printed, used.ru_maxrss * 1024)


WRITER = """
import os, sys
with open(sys.argv[1], "wb", buffering=0) as file:
    while True:
        file.seek(0)
        for _ in range(64):
            file.write(bytes(1 << 20))
            os.fsync(file)
"""


@contextlib.contextmanager
def busy_disk(folder: Path) -> Iterator[None]:
    """Have the disk of a folder busy: a process writes to it, and waits until that is on the disk, all the time."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, folder / "written"])
    try:
        yield
    finally:
        writer.kill()
        writer.wait()


def make_lab(folder: Path, tasks: str = "") -> Path:
    """Make a lab of this pipeline, or of a tasks.py of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tasks.py", "targets.py", "luigi.cfg", "matlab"):
        (folder / name).symlink_to(REPOSITORY / name)
    if tasks:
        (folder / "tasks.py").unlink()
        (folder / "tasks.py").write_text(tasks)
    return folder


def luigi(lab: Path, *options: str, root: str = "PlotAll", env: Mapping[str, str] | None = None) -> Usage:
    """Run the pipeline of a lab, quietly."""
    command = [BIN / "luigi", "--module", "tasks", root, "--local-scheduler", "--log-level", "WARNING"]
    return run([*command, *options], lab, env)


def plain_luigi(folder: Path, module: str, *options: str, root: str = "PlotAll") -> Usage:
    """Run a module of plain Luigi tasks as Luigi's users do: its own command and its own scheduler."""
    command = [sys.executable, "-m", "luigi", "--module", module, root, "--local-scheduler", "--log-level", "WARNING"]
    return run([*command, *options], folder)
