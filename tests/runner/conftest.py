"""Fixtures of the tests of runs."""

import signal
import sys

import pytest
from luigi.configuration import LuigiConfigParser
from luigi.task_register import Register

from neuroluigi.runner.run import command_line
from tests.runner.luigid_lab import Luigid
from tests.steps.conftest import declare  # noqa: F401 (a fixture)


@pytest.fixture
def luigid(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    one = Luigid(tmp_path / "luigid")
    yield one
    if one.process.poll() is None:
        one.end(signal.SIGKILL)


@pytest.fixture
def parsed(pipeline, monkeypatch):
    """Return a function that puts words of a command line in force in a lab, in this process."""
    modules = [name for name in ("tasks", "targets") if name not in sys.modules]
    monkeypatch.chdir(pipeline.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(
        Register, "_reg", [one for one in Register._reg if one.__module__.startswith(("luigi", "neuro"))]
    )

    def parse(*words):
        monkeypatch.setattr(LuigiConfigParser, "_instance", None)
        return command_line(["--module", "tasks", *words])

    yield parse
    for name in modules:
        sys.modules.pop(name, None)
