"""Runs of a lab from Python: what came of them, and what they leave of the process."""

import os
import signal
import threading

import psutil
import pytest

import neuroluigi
from neuroluigi import GroupTask, RunStopped
from tests.notebook.conftest import write_lab
from tests.runner.test_opened import state_of_process

STEPS = """

import os

class Sum(GroupTask):
    fails = luigi.BoolParameter(default=False)
    def requires(self):
        return Aggregate(self.group)
    def output(self):
        return self.result("sum.txt")
    def make(self, out):
        # By a path of the lab's own.
        weight = int(open("weight.txt").read())
        if self.group == "n" and weight < 0:
            raise ValueError("a <negative> weight")
        print("printed by", self.group)
        out.write_text(str(weight))

class Waits(GroupTask, MatlabTask):
    function = "waits"
    engine = "octave"
    def requires(self):
        return Aggregate(self.group)
    def output(self):
        return self.result("waits.txt")
    def arguments(self, out):
        return [out, os.path.abspath("began")]
"""


@pytest.fixture
def lab(copied):
    with (copied.folder / "tasks.py").open("a") as file:
        file.write(STEPS)
    (copied.folder / "weight.txt").write_text("3")
    return copied


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_leaves_the_process_as_it_was(lab, workers, capfd):
    before = state_of_process()
    result = lab.run("Sum", workers=workers)
    assert state_of_process() == before
    assert result and result.made == {"Sum": 2} and not result.failed and not result.unchanged
    assert (lab.folder / "results" / "n" / "sum.txt").read_text() == "3"
    assert "Sum(group=n) made in" in result.log.read_text()
    assert capfd.readouterr() == ("", "")
    assert repr(lab.run("Sum")) == "made: nothing: everything is there"


def test_what_fails_is_told_with_its_reason(lab):
    (lab.folder / "weight.txt").write_text("-1")
    result = lab.run("Sum", workers=2, progress=False)
    assert not result and result.made == {"Sum": 1} and list(result.failed) == ["Sum(group=n)"]
    assert "ValueError: a <negative> weight" in result.failed["Sum(group=n)"]
    assert "a &lt;negative&gt; weight" in result._repr_html_()
    status = lab.status("Sum")
    assert status.counts == {"done": 3, "failed": 1} and "a &lt;negative&gt; weight" in status._repr_html_()


def test_only_what_stops_all_is_an_exception(lab):
    before = state_of_process()
    for what, words in (("Sums", "Sums"), (3, "neuroluigi"), ("Sum", "there is no group 'o'")):
        with pytest.raises(RunStopped, match=words):
            lab.run(what, groups=["o"], progress=False)
        assert state_of_process() == before


def test_tasks_of_the_lab_and_of_a_cell(lab):
    class OfCell(GroupTask):
        def requires(self):
            return lab.tasks.Sum(self.group)

        def output(self):
            return self.result("of_cell.txt")

        def make(self, out):
            out.write_text(f"{self.group} {self.input().path.endswith('sum.txt')}")

    assert lab.run(OfCell, groups=["m"], progress=False).made == {"OfCell": 1, "Sum": 1}
    assert (lab.folder / "results" / "m" / "of_cell.txt").read_text() == "m True"
    assert lab.run(lab.tasks.Sum("n"), progress=False).made == {"Sum": 1}


def test_a_run_in_another_thread(lab):
    results = []
    thread = threading.Thread(target=lambda: results.append(lab.run("Sum", progress=False)))
    thread.start()
    thread.join()
    assert [dict(one.made) for one in results] == [{"Sum": 2}]


def test_an_interrupt_ends_the_run_and_its_engines(lab):
    began = lab.folder / "began"
    os.mkfifo(began)
    (lab.folder / "matlab").mkdir()
    (lab.folder / "matlab" / "waits.m").write_text(
        "function waits(out, began)\nfclose(fopen(began, 'w'));\npause(60.5);\nend\n"
    )

    def interrupt():
        began.read_bytes()
        os.kill(os.getpid(), signal.SIGINT)

    before, thread = state_of_process(), threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        lab.run("Waits", groups=["m"], progress=False)
    thread.join()
    assert state_of_process() == before
    assert not [one for one in psutil.Process().children(recursive=True) if "octave" in one.name()]


def test_settings_of_one_run(lab):
    assert lab.run("Edges", groups=["n"], settings={"Edges.level": 60}, progress=False).made == {"Edges": 1}
    assert lab.status("Edges").counts == {"done": 5, "stale": 1}
    with pytest.raises(RunStopped, match="has no section"):
        lab.run(settings={"level": 60})


def test_two_labs_run_in_one_process(lab, tmp_path):
    other = write_lab(tmp_path / "other")
    assert neuroluigi.open(other).run("Stats", progress=False).made == {"Aggregate": 2, "Stats": 2}
    assert lab.run(progress=False).made == {}
