"""What the tests share: a pipeline in a folder of its own, run through the real `luigi` command."""

import compileall
import logging
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import luigi.setup_logging
import psutil
import pytest

from tests import commands
from tests.browser import browser  # noqa: F401 (a fixture for all)
from tests.commands import BIN, clean_environment

REPOSITORY = Path(__file__).parent.parent
REAL_RECORDINGS = REPOSITORY.parent / "shared" / "data" / "recordings"
FORMATS = REPOSITORY.parent / "shared" / "data" / "formats"

# A program that imitates what Matlab's documentation says of the command `matlab`.
FAKE_MATLAB = Path(__file__).parent / "fake_matlab" / "bin" / "matlab"

# Where the tests run in the background of a script, Ctrl-C is ignored, and so it would be by all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Where nothing writes bytecode, each process that starts from nothing would compile the package again.
compileall.compile_dir(REPOSITORY / "neuroluigi", quiet=1)

# A step waits until its files are on the disk; in memory that takes no time, and no test needs more than a little.
IN_MEMORY = Path("/dev/shm")
if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# What a run leaves of itself beside the folders of its results.
OF_THE_RUN = ("run.json", "run.log", ".code")

# make torture tries all that could happen, with a seed of its own; the suite has a part of it.
TORTURE = bool(os.environ.get("NEUROLUIGI_TORTURE"))
SEED = int(os.environ.get("NEUROLUIGI_SEED", "0")) or (random.randrange(1 << 32) if TORTURE else 1)

HAS_OCTAVE = shutil.which("octave-cli") is not None
needs_octave = pytest.mark.skipif(not HAS_OCTAVE, reason="octave-cli is not installed")
needs_formats = pytest.mark.skipif(not FORMATS.is_dir(), reason="no files of other formats beside the clone")
needs_real_recordings = pytest.mark.skipif(not REAL_RECORDINGS.is_dir(), reason="no real recordings beside the clone")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: some tests wait for Slurm, luigid or a browser."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no process is alone at the end; the tests of a module stay together."""
    items.sort(key=lambda item: item.path.name not in ("test_slurm_cluster.py", "test_install.py"))


class Pipeline:
    """A folder with this repository's tasks.py, targets.py, matlab/ and luigi.cfg, in which `luigi` is run."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("tasks.py", "targets.py", "luigi.cfg"):
            shutil.copy(REPOSITORY / name, folder)
        shutil.copytree(REPOSITORY / "matlab", folder / "matlab")

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def add(self, code: str) -> None:
        """Add steps, or what else there is, at the end of tasks.py; all names that the package exports are known."""
        with (self.folder / "tasks.py").open("a", encoding="utf-8") as file:
            file.write(f"\n\nfrom neuroluigi import *\n\n{code}")

    def override(self, step: str, *lines: str) -> None:
        """Add lines to the class of a step in tasks.py, over what it inherits."""
        tasks = self.folder / "tasks.py"
        head, rest = tasks.read_text(encoding="utf-8").split(f"\nclass {step}(", 1)
        base, body = rest.split('"""\n', 1)
        added = "".join(f"    {line}\n" for line in lines)
        tasks.write_text(f'{head}\nclass {step}({base}"""\n\n{added}{body}', encoding="utf-8")

    def start(self, *arguments, env=None, forks=True) -> subprocess.Popen | commands.Forked:
        """Start `luigi --module tasks ARGUMENTS --local-scheduler`; standard error goes to the same pipe as output."""
        command = [BIN / "luigi", "--module", "tasks", *map(str, arguments), "--local-scheduler"]
        return commands.start(
            command,
            cwd=self.folder,
            env={**clean_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            forks=forks,
        )

    def run(self, *arguments, env=None, code: int | None = 0, forks=True) -> str:
        """Run it to its end, expect the exit code (None: any but 0), and return what it printed."""
        process = self.start(*arguments, env=env, forks=forks)
        out = process.communicate(timeout=300)[0]
        assert process.returncode == code if code is not None else process.returncode != 0, out
        return out

    def files(self) -> dict[str, bytes]:
        """Return all results but records, logs and the cache of checksums, by path."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in sorted(self.results.rglob("*"))
            if path.is_file() and not {"runs", ".runs", ".seats", ".checksums.jsonl", *OF_THE_RUN} & set(path.parts)
        }


def folders(results: Path) -> list[str]:
    """Return the names of the folders of results, and of nothing else, as there should be nothing else."""
    names = {path.name for path in results.iterdir()}
    assert all((results / name).is_dir() for name in names - {*OF_THE_RUN})
    return sorted(names - {*OF_THE_RUN})


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that ended and that nobody has asked for is none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(autouse=True)
def luigis_logging():
    """Leave Luigi's logging as it was: it is set up by the first luigi.build of a process, for all that follow."""
    logger, setup = logging.getLogger("luigi-interface"), luigi.setup_logging.InterfaceLogging
    before = logger.level, list(logger.handlers), setup._configured
    yield
    logger.setLevel(before[0])
    logger.handlers[:], setup._configured = before[1:]


@pytest.fixture
def pipeline(tmp_path) -> Pipeline:
    return Pipeline(tmp_path / "lab")
