"""The base of every step: what its class declares, and use without the command line."""

import subprocess
import sys

import luigi
import pytest

from neuroluigi import GroupTask, RunStopped
from neuroluigi.steps.base import setting_of_step
from neuroluigi.steps.plan import plan_below
from tests.conftest import clean_environment


class BaseStep(GroupTask):
    pass


@pytest.mark.parametrize("name", ["/data/rec_0.bin", "../other/stats.json", "sub/../../x.npy", r"..\\x.npy"])
def test_a_result_is_in_the_folder_of_its_step(declare, name):
    with pytest.raises(RunStopped, match=r"BaseStep.output\(\) names .*, which is not in the step's own folder"):
        BaseStep("g").result(name)
    with pytest.raises(RunStopped, match="not in the step's own folder"):
        BaseStep("g").result_folder(name)
    assert BaseStep("g").result("sub/x..npy").path.endswith("/g/sub/x..npy")


class Twice(GroupTask):
    def output(self):
        return [self.result("same.txt"), self.result("same.txt")]


def test_a_step_that_makes_a_file_twice_is_refused(declare):
    with pytest.raises(RunStopped, match=r"Twice\(group=g\) makes .*same.txt twice; give its files different names"):
        plan_below(Twice("g"))


class BaseSettings(GroupTask):
    program = setting_of_step(description="a program")
    seconds = setting_of_step(luigi.OptionalFloatParameter)


def test_a_setting_of_a_step_changes_neither_its_results_nor_its_arguments(declare):
    declare("BaseSettings", program="sort", seconds="1.5")
    step = BaseSettings("g")
    assert (step.program, step.seconds) == ("sort", 1.5)
    assert step.significant_parameters() == {"group": "g"} and step.task_id == BaseSettings("g", program="x").task_id


def test_what_a_class_has_to_declare_is_named(declare):
    with pytest.raises(TypeError, match=r"BaseSettings does not say how it is made: it has no make\(\)"):
        BaseSettings("g").make(None)


IN_PROCESS = """
import luigi, luigi.interface
factory = luigi.interface._WorkerSchedulerFactory
import neuroluigi, tasks
assert luigi.interface._WorkerSchedulerFactory is factory, "importing tasks.py patches Luigi"
assert luigi.build([tasks.Edges("a-even"), tasks.Edges("b-odd")], local_scheduler=True, log_level="WARNING")
print(tasks.Edges("a-even").output().load().shape)
print([plot.group for plot in tasks.PlotAll().requires()])
try:
    tasks.Aggregate("nobody").requires()
except neuroluigi.RunStopped as stopped:
    print(stopped)
"""


def test_tasks_serve_in_a_notebook(pipeline):
    done = subprocess.run(
        [sys.executable, "-c", IN_PROCESS],
        cwd=pipeline.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shape, groups, stopped = done.stdout.splitlines()
    assert shape.endswith(", 2)") and "'e-odd'" in groups and "there is no group 'nobody'" in stopped
