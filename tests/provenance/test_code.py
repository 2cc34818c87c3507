"""The Python code of a step: what counts, by which path, and what changes it."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import neuroluigi
from neuroluigi.ephys import Edges, Plot
from neuroluigi.provenance import code, imported
from neuroluigi.provenance.code import changed_on_disk, python_distributions, python_sources
from neuroluigi.provenance.earlier_code import differing
from neuroluigi.signals import events

PACKAGE = Path(neuroluigi.__file__).parent
_, *CASES = (Path(__file__).parent / "code_cases.txt").read_text().split("\n=== ")
BEGIN = "from neuroluigi import GroupTask, MatlabTask, ResultTarget, StudyTask, WrapperTask\n"


class Project:
    """A project in a folder: its files are written, and its tasks.py is imported anew by load()."""

    def __init__(self, folder: Path):
        self.folder = folder
        # What is in site-packages counts as installed.
        self.path = [str(folder), str(folder / "site-packages")]
        sys.path[:0] = self.path

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(BEGIN + text if name == "tasks.py" else text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{old!r} in {name}"
        (self.folder / name).write_text(text.replace(old, new))

    def forget(self) -> None:
        for name, module in list(sys.modules.items()):
            spec = getattr(module, "__spec__", None)
            places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
            if any(str(one).startswith(str(self.folder)) for one in places):
                del sys.modules[name]
                imported._seen.discard(name)
        importlib.invalidate_caches()

    def load(self, name: str = "tasks"):
        self.forget()
        return importlib.import_module(name)

    def end(self) -> None:
        self.forget()
        for one in self.path:
            sys.path.remove(one)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Iterator[Project]:
    # An edit within one second that keeps the length would run the bytecode of before.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = Project(tmp_path)
    yield found
    found.end()


def paths(step: type) -> list[str]:
    return [one["path"] for one in python_sources(step)]


def project_of(case: str) -> tuple[dict[str, str], str]:
    """Return the files of a case, and the path of the code that is another one when its 1 is 2."""
    title, text = case.split("\n", 1)
    tasks, *others = f"\n{text}".split("\n--- ")
    files = {name: text for name, _, text in (one.partition("\n") for one in others)}
    return {"tasks.py": tasks, **files}, title.rpartition(": ")[2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.split("\n")[0])
def test_which_code_counts(project, case):
    files, changed = project_of(case)
    project.write({"h.py": "def f(): return 0\ndef g1(): pass\ndef g2(): pass\n", **files})
    before = python_sources(project.load().A)
    # Facts that are kept, once they are found and once they are known, say the same.
    kept = [python_sources(project.load().A, kept_in=project.folder) for _ in range(2)]
    (file,) = [name for name, text in files.items() if "1" in text]
    project.replace(file, "1", "2")
    expected = [] if changed == "nothing" else [changed]
    assert kept == [before, before] and differing(before, python_sources(project.load().A)) == expected
    assert differing(before, python_sources(project.load().A, kept_in=project.folder)) == expected
    assert before == sorted(before, key=lambda one: one["path"]) != []


def test_of_a_step_that_is_required_counts_what_is_asked_of_it(project):
    project.write(
        {
            "tasks.py": "class B(GroupTask):\n  level = 1\n  def requires(self): return []\n"
            "  def output(self): return self.result('b')\n  def make(self, out): pass\n"
            "class A(GroupTask):\n  def requires(self): return B(self.group)\n"
            "  def make(self, out): return self.input(), self.requires().level\n"
        }
    )
    assert paths(project.load().A) == ["tasks.py:A", "tasks.py:B.level", "tasks.py:B.output"]


def test_steps_of_a_package_are_keyed_from_where_python_finds_it(project):
    project.write(
        {
            "labpipe/__init__.py": "",
            "labpipe/util.py": "def f(): return 1\n",
            "labpipe/steps.py": f"{BEGIN}from labpipe.util import f\n"
            "class A(GroupTask):\n  def make(self, out): return f()\n",
        }
    )
    assert paths(project.load("labpipe.steps").A) == ["labpipe/steps.py:A", "labpipe/util.py:f"]


def test_an_installed_package_counts_by_its_version_unless_steps_are_defined_in_it(project):
    steps = "from labpipe.util import f\nimport other\nclass A(GroupTask):\n  def make(self, out): f(), other.f()\n"
    project.write(
        {
            "site-packages/other.py": "def f(): return 1\n",
            "site-packages/labpipe/util.py": "def f(): return 1\n",
            "site-packages/labpipe/steps.py": BEGIN + steps,
            "tasks.py": "from labpipe.util import f\nclass B(GroupTask):\n  def make(self, out): f()\n",
        }
    )
    assert paths(project.load("labpipe.steps").A) == ["labpipe/steps.py:A", "labpipe/util.py:f"]
    assert paths(project.load().B) == ["tasks.py:B"]


def test_python_is_the_code_that_was_imported(project):
    project.write(
        {
            "h.py": "def f(): return 1\n",
            "tasks.py": "import h\nclass A(GroupTask):\n  g = h.f\nclass B(GroupTask): pass\n",
        }
    )
    tasks = project.load()
    before = {one["path"]: one["sha256"] for one in python_sources(tasks.A)}
    assert changed_on_disk(tasks.A) == []
    project.replace("h.py", "return 1", "return 1  # one")
    assert changed_on_disk(tasks.A) == []
    project.replace("h.py", "return 1", "return 2")
    assert changed_on_disk(tasks.A) == ["h.py:f"] and changed_on_disk(tasks.B) == []
    assert {one["path"]: one["sha256"] for one in python_sources(tasks.A)} == before
    # A notebook that loads a module again runs what is there now.
    importlib.reload(tasks.h)
    assert changed_on_disk(tasks.A) == []
    assert {one["path"] for one in python_sources(tasks.A) if before[one["path"]] != one["sha256"]} == {"h.py:f"}
    (project.folder / "h.py").unlink()
    assert changed_on_disk(tasks.A) == ["h.py:f"]


def test_code_that_was_changed_before_it_was_asked_for_is_what_was_imported(project):
    project.write({"h.py": "def f(): return 1\n", "tasks.py": "import h\nclass A(GroupTask):\n  g = h.f\n"})
    before = python_sources(project.load().A)
    step = project.load().A
    project.replace("h.py", "1", "2")
    assert python_sources(step) == before and changed_on_disk(step) == ["h.py:f"]


def test_a_module_that_a_step_imports_while_it_runs_changes_nothing(project):
    """With a class of steps in it, of which other things count than of any other class."""
    (case,) = (one for one in CASES if one.startswith("a step of a module that a function imports"))
    project.write(project_of(case)[0])
    step = project.load().A
    before = python_sources(step)
    importlib.import_module("other")
    assert python_sources(step) == before and changed_on_disk(step) == []


NOTEBOOK = """
import json
In = [""]
def run(text):
    In.append(text)
    exec(compile(text, f"<ipython-input-{len(In)}>", "exec"), globals())
run("from neuroluigi import GroupTask\\nfrom neuroluigi.provenance.code import python_sources")
run("FACTOR = 1")
run("def f(): return FACTOR")
run("class A(GroupTask):\\n  def make(self, out): return f()")
def code():
    return {one["path"]: one["sha256"] for one in python_sources(A)}
found = [code()]
timed = "get_ipython().run_cell_magic('time', '', 'def f(): return 2 * FACTOR')"
def get_ipython():
    return type("Shell", (), {"run_cell_magic": lambda self, name, line, cell: exec(cell, globals())})()
for cell in ("unrelated = 1", "FACTOR = 2", "FACTOR = 1", timed):
    run(cell)
    found.append(code())
print(json.dumps(found))
"""


def test_a_step_of_a_notebook_is_the_cells_that_define_it():
    """What IPython does for a program: __main__ has the cells that were run as In."""
    done = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=True)
    begin, unrelated, changed, back, other = json.loads(done.stdout)
    assert begin.keys() == {"__main__:A", "__main__:FACTOR", "__main__:f"}
    assert begin == unrelated == back
    assert {name for name in begin if begin[name] != changed[name]} == {"__main__:FACTOR"}
    assert {name for name in begin if begin[name] != other[name]} == {"__main__:f"}


def test_a_step_of_a_script(tmp_path):
    script = tmp_path / "pipeline.py"
    script.write_text(
        f"{BEGIN}import json\nfrom neuroluigi.provenance.code import python_sources\ndef f(): return 1\n"
        "class A(GroupTask):\n  def make(self, out): return f()\n"
        "if __name__ == '__main__':\n  print(json.dumps([one['path'] for one in python_sources(A)]))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path.parent, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["pipeline.py:A", "pipeline.py:f"]


def test_distributions_are_those_that_the_code_imports(project):
    tasks = """
import csv, click, rich.table
def shown(): return rich.table.Table()
class A(GroupTask):
    def make(self, out):
        import numpy.linalg
        numpy.linalg.norm([csv, shown()])
class B(GroupTask):
    def make(self, out):
        from PIL import Image
        return Image, self.missing()
    def missing(self):
        import no_such_module
        no_such_module.f()
"""
    project.write({"tasks.py": tasks})
    found = project.load()
    assert python_distributions(found.A) == ["numpy", "rich"]
    assert python_distributions(found.B) == ["pillow"]


def test_the_list_of_files_of_a_distribution_is_read_once(project, monkeypatch):
    """It takes milliseconds, and code uses a hundred names of NumPy."""
    project.write({"tasks.py": "import numpy\nclass A(GroupTask):\n  used = numpy.zeros, numpy.ones, numpy.full\n"})
    read = []
    monkeypatch.setattr(importlib.metadata, "files", lambda name: read.append(name) or [f"{name}/__init__.py"])
    for cached in (code._distributions_of, code._has_module):
        cached.cache_clear()
    assert python_distributions(project.load().A) == ["numpy"]
    assert read == ["numpy"]


class PlotOfALab(Plot):
    pass


class EdgesOfALab(Edges):
    def output(self):
        return self.result("edges.npy")


def test_the_package_s_own_analysis_counts_by_name():
    plot = paths(PlotOfALab)
    assert {"neuroluigi:plot_group", "neuroluigi:envelope", "neuroluigi:blocks", "neuroluigi:BLOCK_VALUES"} < set(plot)
    unused = [events.find_rising_edges]
    edges = [one["path"] for one in python_sources(EdgesOfALab, unused)]
    assert {"neuroluigi:Edges", "neuroluigi:levels"} < set(edges)
    assert "neuroluigi:find_rising_edges" not in edges and "neuroluigi:find_rising_edges" in paths(EdgesOfALab)
    # What serves every step changes with the version.
    assert not {one for one in (*plot, *edges) if "MatlabTask" in one or "GroupTask" in one or "ResultTarget" in one}
    assert python_distributions(PlotOfALab) == ["luigi", "matplotlib", "numpy"]


def test_of_the_package_s_analysis_only_what_it_computes_counts(tmp_path):
    """On a copy of the package, as its developers would change it."""
    program = """
import json, sys
sys.path.insert(0, sys.argv[1])
from neuroluigi.ephys import Plot
from neuroluigi.provenance.code import python_sources
print(json.dumps(python_sources(Plot)))
"""
    copy = tmp_path / "copy" / "neuroluigi"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def sources():
        command = [sys.executable, "-c", program, str(copy.parent)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def edit(name: str, old: str, new: str):
        text = (copy / name).read_text()
        assert text.count(old) == 1
        (copy / name).write_text(text.replace(old, new))

    before = sources()
    edit("signals/plotting.py", "def plot_group(", "# Drawn anew.\ndef plot_group(")
    edit("signals/blocks.py", '"""Yield the samples', '"""Give the samples')
    # A function that moves to another file.
    blocks = (copy / "signals" / "blocks.py").read_text()
    at = blocks.index("def by_halves")
    (copy / "signals" / "halves.py").write_text(f"import numpy as np\n\n\n{blocks[at:]}")
    (copy / "signals" / "blocks.py").write_text(blocks[:at])
    edit(
        "signals/blocks.py",
        "import numpy as np\n",
        "import numpy as np\nfrom neuroluigi.signals.halves import by_halves\n",
    )
    edit("steps/target.py", "class ResultTarget(", "UNUSED = 1\n\n\nclass ResultTarget(")
    assert sources() == before
    edit("signals/blocks.py", "BLOCK_VALUES = 1 << 18", "BLOCK_VALUES = 1 << 17")
    assert differing(before, sources()) == ["neuroluigi:BLOCK_VALUES"]


def test_earlier_code_of_the_package_that_gives_the_same_is_not_another():
    of_lab = {"tasks.py:Stats": "1", "matlab/openFile.m": "2"}
    blocks, read_block = (
        "318dc6cbf9f3b493dba9aac47b248bf675b49aac9208b2623f32f1122d3b2304",
        "d37fa7003947adda5cb09142f344f0ab4596f98b44d4dd76c709adbf843180e1",
    )
    before = {**of_lab, "neuroluigi:blocks": blocks, "matlab/readBlock.m": read_block}
    added = {"neuroluigi:read_aggregate": "5", "matlab/readAggregate.m": "6"}
    now = {**of_lab, "neuroluigi:blocks": "3", "matlab/readBlock.m": "4", **added}

    def names(before, now):
        some, others = ([{"path": path, "sha256": sha256} for path, sha256 in one.items()] for one in (before, now))
        return differing(some, others)

    assert names(before, now) == []
    # All else is compared as ever.
    assert names(before, {**now, "tasks.py:Stats": "7", "matlab/own.m": "8"}) == ["matlab/own.m", "tasks.py:Stats"]
    assert names({**before, "neuroluigi:by_halves": "9"}, {**now, "neuroluigi:by_halves": "0"}) == [
        "neuroluigi:by_halves"
    ]
    assert names(of_lab, {**of_lab, **added}) == sorted(added)
