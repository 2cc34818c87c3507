"""A pipeline that is done, and the `neuroluigi` command in it."""

import subprocess

import pytest

from tests import commands
from tests.conftest import BIN, OF_THE_RUN, clean_environment
from tests.lab import Lab
from tests.steps.conftest import declare  # noqa: F401 (a fixture)

FAKES = ["--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A pipeline that is done; for copying."""
    lab = Lab(tmp_path_factory.mktemp("house") / "lab")
    lab.go()
    return lab


@pytest.fixture
def lab(first, tmp_path):
    return first.copied_to(tmp_path / "lab")


def ask(lab, *arguments, code=0, notes=None):
    """Run `neuroluigi` in the lab; return its output, or the one line of its error.

    `notes` is a list for the lines that it may print on standard error though it succeeds.
    """
    done = commands.run(
        [BIN / "neuroluigi", *map(str, arguments), *([] if lab.real else FAKES)],
        cwd=lab.folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert code in (None, done.returncode) and "Traceback" not in done.stderr, done
    if notes is not None:
        notes += done.stderr.splitlines()
        return done.stdout
    if done.stderr:
        assert code == 1 and len(done.stderr.splitlines()) == 1 and not done.stdout, done
    return done.stderr or done.stdout


def everything(lab):
    """Return all files but the cache of checksums, locks and what the last run says, with their content."""
    return {
        path.relative_to(lab.folder).as_posix(): path.read_bytes()
        for top in (lab.results, lab.folder / "recordings")
        for path in top.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.name not in OF_THE_RUN
    }
