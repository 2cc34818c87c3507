"""The import contracts of pyproject.toml: the package keeps them, and a line that one forbids breaks it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, REPOSITORY

# The wing of a new module, what is in it, and what is reported of it.
BREAKS = [
    ("provenance", "import neuroluigi.recordings.table", "provenance may not import neuroluigi.recordings.table"),
    ("recordings", "import neuroluigi.provenance.code", "recordings may not import neuroluigi.provenance.code"),
    ("signals", "from neuroluigi import recordings", "signals may not import neuroluigi.recordings"),
    ("engines", "from neuroluigi.signals import blocks", "engines may not import neuroluigi.signals.blocks"),
    ("steps", "from neuroluigi import runner", "steps may not import neuroluigi.runner"),
    ("steps", "import neuroluigi", "steps may not import neuroluigi"),
    ("ephys", "from neuroluigi.results import table", "ephys may not import neuroluigi.results.table"),
    ("runner", "from neuroluigi import cluster", "runner may not import neuroluigi.cluster"),
    ("cluster", "from neuroluigi import results", "cluster may not import neuroluigi.results"),
    ("results", "from neuroluigi.engines import call", "results may not import neuroluigi.engines.call"),
    ("results", "def f():\n    from neuroluigi import runner", "results may not import neuroluigi.runner"),
    ("cli", "from neuroluigi import __main__", "cli may not import neuroluigi.__main__"),
    ("a_new_wing", "from neuroluigi import provenance", "a_new_wing may not import neuroluigi.provenance"),
    ("", "from neuroluigi import ephys", "__init__ may not import neuroluigi.ephys"),
    ("", "from neuroluigi import cli", "__init__ may not import neuroluigi.cli"),
    ("recordings", "import luigi", "-> luigi (l.1)"),
    ("signals", "def f():\n    import luigi.task", "-> luigi (l.2)"),
    ("provenance", "from luigi import Task", "-> luigi (l.1)"),
    ("engines", "from luigi.worker import Worker", "-> luigi (l.1)"),
    ("results", "import tasks", "-> tasks (l.1)"),
    ("cli", "from targets import read", "-> targets (l.1)"),
    ("signals", "import scipy.signal", "scipy.signal is imported inside functions alone"),
    ("recordings", "from neo import io", "neo is imported inside functions alone"),
    ("results", "class C:\n    import pandas", "pandas is imported inside functions alone"),
    ("ephys", "try:\n    import matplotlib\nfinally:\n    pass", "matplotlib is imported inside functions alone"),
]

ALLOWED = [
    ("recordings", "from neuroluigi.provenance.files import write_json"),
    ("signals", "def draw():\n    import matplotlib.figure, scipy.signal"),
    ("results", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas"),
]


def report(folder: Path) -> tuple[int, list[str]]:
    """Check the package in a folder; return the exit code and the lines printed."""
    done = subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, re.sub(r"\x1b\[\d*m", "", done.stdout).splitlines()


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """What is reported of a copy of the package that has a new module for each of BREAKS and ALLOWED."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(REPOSITORY / "neuroluigi", folder / "neuroluigi", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    for name in ("pyproject.toml", "tests/__init__.py", "tests/contracts.py"):
        shutil.copy(REPOSITORY / name, folder / name)
    for kind, modules in (("forbidden", BREAKS), ("allowed", ALLOWED)):
        for number, (wing, text, *_) in enumerate(modules):
            (folder / "neuroluigi" / wing).mkdir(exist_ok=True)
            (folder / "neuroluigi" / wing / "__init__.py").touch()
            name = f"{kind}_{number}.py" if wing else "__init__.py"
            with (folder / "neuroluigi" / wing / name).open("a") as file:
                file.write(text + "\n")
    code, lines = report(folder)
    assert code == 1
    return lines


@pytest.mark.parametrize("number", range(len(BREAKS)))
def test_a_line_that_a_contract_forbids_is_reported(reported, number):
    wing, text, expected = BREAKS[number]
    module = Path("neuroluigi", wing, f"forbidden_{number}.py" if wing else "__init__.py")
    names = (str(module), ".".join(module.with_suffix("").parts))
    assert [line for line in reported if any(name in line for name in names) and line.endswith(expected)], text


def test_what_the_contracts_allow_is_not_reported(reported):
    assert not [line for line in reported if "allowed_" in line]


def test_the_package_keeps_its_contracts():
    code, lines = report(REPOSITORY)
    assert code == 0, "\n".join(lines)
