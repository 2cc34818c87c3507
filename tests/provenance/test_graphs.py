"""Graphs of a lab's own tasks: those that contradict themselves are refused, and large ones are planned in time."""

import subprocess
import sys
import time

from tests import commands
from tests.conftest import BIN, Pipeline


def test_two_tasks_with_one_file_and_different_parameters_are_refused(pipeline):
    tasks = pipeline.folder / "tasks.py"
    tasks.write_text(
        tasks.read_text()
        + """
class Both(WrapperTask):
    def requires(self):
        return [Edges("a-even", threshold=0.5), Edges("a-even", threshold=0.6)]
"""
    )
    out = pipeline.run("Both", "--matlab-engine", "numpy", code=1)
    assert "both make" in out and "edges.npy" in out and "Traceback" not in out
    assert not pipeline.results.exists()


def test_cycle_is_refused(pipeline):
    (pipeline.folder / "tasks.py").write_text(
        """
from neuroluigi import StudyTask

class A(StudyTask):
    def requires(self): return B()
    def output(self): return self.result("a")

class B(StudyTask):
    def requires(self): return A()
    def output(self): return self.result("b")
"""
    )
    out = pipeline.run("A", code=1)
    assert "requires itself" in out and "Traceback" not in out


def test_state_of_each_result_in_a_diamond_of_many_layers_is_computed_once(pipeline):
    (pipeline.folder / "tasks.py").write_text(
        """
import luigi
from neuroluigi import StudyTask
from neuroluigi.provenance import state

asked = 0
check_result = state.check_result
def counting(*args):
    global asked
    asked += 1
    return check_result(*args)
state.check_result = counting

class Layer(StudyTask):
    depth = luigi.IntParameter()
    side = luigi.Parameter()
    @property
    def record_path(self):
        return self.folder / "runs" / f"{self.depth}{self.side}.json"
    def requires(self):
        return [Layer(self.depth - 1, side) for side in "ab"] if self.depth else []
    def output(self):
        return self.result(f"{self.depth}{self.side}.txt")
    def make(self, out):
        out.write_text("x")
"""
    )
    began = time.monotonic()
    pipeline.run("Layer", "--depth", "12", "--side", "a")
    out = pipeline.run("Layer", "--depth", "12", "--side", "a")
    assert "Nothing to make" in out and time.monotonic() - began < 60
    code = "import tasks; done = tasks.Layer(12, 'a').complete(); print(done, tasks.asked)"
    done = subprocess.run([sys.executable, "-c", code], cwd=pipeline.folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "25"]


def test_clash_is_refused_below_what_is_done(tmp_path):
    lab = Pipeline(tmp_path)
    (tmp_path / "tasks.py").write_text(
        """
import luigi
from neuroluigi import StudyTask, WrapperTask
class Low(StudyTask):
    level = luigi.IntParameter()
    def output(self): return self.result("low.txt")
    def make(self, out): out.write_text(str(self.level))
class High(StudyTask):
    level = luigi.IntParameter()
    filename_parameters = ("level",)
    def requires(self): return Low(self.level)
    def output(self): return self.result(f"high-{self.level}.txt")
    def make(self, out): out.write_text("x")
class Both(WrapperTask):
    def requires(self): return [High(1), High(2)]
"""
    )
    lab.run("High", "--level", "1")
    before = lab.files()
    out = lab.run("Both", code=1)
    assert "both make" in out and "low.txt" in out and lab.files() == before
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "real" / "a" / "rec_0.bin").write_bytes(b"x")
    command = [BIN / "neuroluigi", "--task", "Both", "status", "--recordings-root", "real"]
    asked = commands.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert asked.returncode == 1 and "both make" in asked.stderr and "Traceback" not in asked.stderr


def test_results_that_would_share_a_record_are_refused_until_distinguished(tmp_path):
    lab = Pipeline(tmp_path)
    tasks = """
import luigi
from neuroluigi import StudyTask, WrapperTask
class Of(StudyTask):
    n = luigi.IntParameter()
    def output(self): return self.result(f"of-{self.n}.txt")
    def make(self, out): out.write_text(str(self.n))
class All(WrapperTask):
    def requires(self): return [Of(1), Of(2)]
"""
    (tmp_path / "tasks.py").write_text(tasks)
    out = lab.run("All", code=1)
    assert "would share the run record" in out and "filename_parameters = ('NAME',)" in out and not lab.files()
    (tmp_path / "tasks.py").write_text(
        tasks.replace("    def output", "    filename_parameters = ('n',)\n    def output")
    )
    lab.run("All", "--workers", "2")
    assert "Nothing to make" in lab.run("All")
    assert {path.name for path in (lab.results / "study" / "runs").glob("*.json")} == {"Of-1.json", "Of-2.json"}
