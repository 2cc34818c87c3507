"""The code of a step: its class, ready-made ones that it inherits from, and what these name."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import neuroluigi
from neuroluigi.provenance.code import function_sources, matlab_sources, python_sources
from neuroluigi.signals import numpy_functions

PACKAGE = Path(neuroluigi.__file__).parent
TASKS = """
import helper
from neuroluigi import ephys
from neuroluigi.ephys import Plot as ReadyPlot

def scaled(value):
    return twice(value)

def twice(value):
    return 2 * value

def unused():
    return 0

class Stats(ephys.Stats):
    def requires(self):
        return []

class Edges(ephys.Edges):
    def requires(self):
        return Stats(self.group)

    def levels(self):
        return scaled(helper.LEVELS)

class Plot(ReadyPlot):
    def requires(self):
        return []
"""


def loaded(folder: Path, name: str, tasks: str = TASKS):
    """Return the module of a project in `folder`, a fresh one each time."""
    folder.mkdir()
    (folder / "helper.py").write_text("LEVELS = [1]\n")
    (folder / "tasks.py").write_text(tasks)
    spec = importlib.util.spec_from_file_location(name, folder / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(folder))
    sys.modules.pop("helper", None)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


@pytest.fixture
def project(tmp_path):
    """Load a project of its own: project(TASKS)."""
    names = []

    def load(tasks: str = TASKS):
        names.append(f"code_of_{tmp_path.name}_{len(names)}")
        return loaded(tmp_path / names[-1], names[-1], tasks)

    yield load
    for name in (*names, "helper"):
        sys.modules.pop(name, None)


def by_path(step: type) -> dict[str, str]:
    return {one["path"]: one["sha256"] for one in python_sources(step)}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_classes_functions_and_files_of_a_step(project):
    sources = by_path(project().Edges)
    own = {"tasks.py:Edges", "tasks.py:scaled", "tasks.py:twice", "helper.py"}
    assert own < sources.keys()
    assert {"neuroluigi/ephys/edges.py:Edges", "neuroluigi/ephys/targets.py"} < sources.keys()
    assert list(sources) == sorted(sources)
    assert sources["neuroluigi/ephys/targets.py"] == sha256(PACKAGE / "ephys" / "targets.py")
    # Neither another step, nor what serves every step, nor what an engine runs in place of the M-function.
    assert not [path for path in sources if "Stats" in path or "steps/" in path or "numpy_functions" in path]


def test_what_is_drawn_with_counts_for_plots_alone(project):
    tasks = project()
    assert by_path(tasks.Plot)["neuroluigi/signals/plotting.py"] == sha256(PACKAGE / "signals" / "plotting.py")
    assert "neuroluigi/signals/plotting.py" not in by_path(tasks.Edges)


def changed(project, old: str, new: str) -> dict[str, set[str]]:
    """Return the sources of each step that change with tasks.py."""
    assert old in TASKS
    before, after = project(), project(TASKS.replace(old, new))
    found = {}
    for step in ("Stats", "Edges", "Plot"):
        one, other = (by_path(getattr(tasks, step)) for tasks in (before, after))
        found[step] = {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}
    return found


def test_a_change_of_a_lab_s_own_override_is_one_of_its_step_alone(project):
    assert changed(project, "scaled(helper.LEVELS)", "scaled([1])") == {
        "Stats": set(),
        "Edges": {"tasks.py:Edges", "helper.py"},
        "Plot": set(),
    }


def test_a_change_of_a_function_is_one_of_the_steps_that_reach_it(project):
    assert changed(project, "2 * value", "3 * value") == {"Stats": set(), "Edges": {"tasks.py:twice"}, "Plot": set()}
    assert changed(project, "return 0", "return 1") == {"Stats": set(), "Edges": set(), "Plot": set()}


def test_a_change_of_the_method_of_a_ready_made_step(tmp_path):
    """On a copy of the package, as a lab would change it; plotting.py likewise."""
    program = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import neuroluigi.ephys as ephys
from neuroluigi.provenance.code import python_sources
class Edges(ephys.Edges):
    pass
print(json.dumps([[one["path"], one["sha256"]] for step in (Edges, ephys.Plot) for one in python_sources(step)]))
"""
    copy = tmp_path / "copy" / "neuroluigi"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def sources():
        command = [sys.executable, "-c", program, str(copy.parent)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))

    before = sources()
    # The class itself was typed in, so it has no file; what it inherits has one.
    assert "neuroluigi/ephys/edges.py:Edges" in before and not [path for path in before if path.startswith("-c")]
    changes = {"ephys/edges.py": "    def levels(self)", "signals/plotting.py": "def plot_group("}
    for name, text in changes.items():
        file = copy / name
        assert text in file.read_text()
        indent = text[: len(text) - len(text.lstrip())]
        file.write_text(file.read_text().replace(text, f"{indent}# changed\n{text}", 1))
    after = sources()
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == {
        "neuroluigi/ephys/edges.py:Edges",
        "neuroluigi/signals/plotting.py",
    }


def test_source_of_a_numpy_function():
    (source,) = function_sources(numpy_functions.find_rising_edges)
    assert source["path"] == "neuroluigi/signals/numpy_functions.py:find_rising_edges"
    assert function_sources(len) == ()


def test_m_files_that_a_call_reaches(tmp_path):
    folder = tmp_path / "matlab"
    (folder / "private").mkdir(parents=True)
    files = {
        "stats.m": "x = 'in a literal: %'; y = helper(x); % unused\n",
        "helper.m": "fopen('a'); deep(1);\n",
        "private/deep.m": "stats;\n",
        "unused.m": "",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    found = matlab_sources({folder: "matlab"}, "stats")
    assert [one["path"] for one in found] == ["matlab/helper.m", "matlab/private/deep.m", "matlab/stats.m"]
    assert found[2]["sha256"] == sha256(folder / "stats.m")
    (folder / "helper.m").write_text("1;\n")
    os.utime(folder / "helper.m", (1, 1))
    assert [one["path"] for one in matlab_sources({folder: "matlab"}, "stats")] == ["matlab/helper.m", "matlab/stats.m"]
    assert matlab_sources({folder: "matlab"}, "none") == []
