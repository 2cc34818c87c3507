"""Ready-made steps in a lab's own pipeline: a few lines of tasks.py, settings under the lab's own names."""

import json

import luigi
import numpy as np
import pytest

from neuroluigi import GroupTask, ephys
from tests import commands
from tests.conftest import BIN, clean_environment

TEN_LINES = """
from neuroluigi import ExistingRecording, WrapperTask, ephys, groups, recording_task
class Aggregate(ephys.Aggregate):
    def requires(self): return [recording_task(one) for one in self.recordings]
class Stats(ephys.Stats):
    def requires(self): return Aggregate(self.group)
class Edges(ephys.Edges):
    def requires(self): return {"aggregate": Aggregate(self.group), "stats": Stats(self.group)}
class All(WrapperTask):
    def requires(self): return [Edges(group) for group in groups()]
"""


@pytest.fixture
def lab(tmp_path):
    """A folder with a short tasks.py and one recording of six samples; nothing else of this repository."""
    (tmp_path / "tasks.py").write_text(TEN_LINES)
    (tmp_path / "data" / "a").mkdir(parents=True)
    np.array([0, 8, 0, 10, 0, 6], np.uint8).tofile(tmp_path / "data" / "a" / "rec_0.bin")
    (tmp_path / "luigi.cfg").write_text(
        "[neuroluigi]\ntask = All\n[recordings]\nroot = data\n[matlab]\nengine = numpy\n[Edges]\nthreshold = 0.5\n"
    )
    return tmp_path


def luigi_command(folder, *words, code=0):
    command = [BIN / "luigi", "--module", "tasks", *words]
    done = commands.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_ten_lines_are_a_pipeline_and_its_settings_reach_the_ready_made_steps(lab):
    luigi_command(lab, "All", "--local-scheduler")
    # Half of the range from 0 to 10 is 5: the rises to 8, 10 and 6.
    assert np.load(lab / "results" / "a" / "edges.npy").tolist() == [[1, 0], [3, 0], [5, 0]]
    record = json.loads((lab / "results" / "a" / "runs" / "Edges.json").read_text())
    assert record["step"] == "Edges" and record["parameters"]["threshold"] == 0.5
    # 0.9 of it is 9: the rise to 10 alone.
    luigi_command(lab, "All", "--local-scheduler", "--Edges-threshold", "0.9")
    assert np.load(lab / "results" / "a" / "edges.npy").tolist() == [[3, 0]]


def test_options_are_those_of_the_labs_steps_alone(lab):
    out = luigi_command(lab, "All", "--help-all")
    assert out.count("  --Edges-threshold ") == 1 and "ephys" not in out


def test_an_option_of_the_ready_made_class_is_refused(lab):
    done = commands.run(
        [BIN / "luigi", "--module", "tasks", "All", "--local-scheduler", "--ephys.Edges-threshold", "0.9"],
        cwd=lab, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "there is no option --ephys.Edges-threshold; did you mean --Edges-threshold?" in done.stdout + done.stderr


def test_the_settings_in_force_have_each_once(lab):
    done = commands.run(
        [BIN / "neuroluigi", "doctor"], cwd=lab, env=clean_environment(), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert "ephys." not in done.stdout and "[Edges] threshold" in done.stdout, done.stdout + done.stderr


def test_an_unrelated_class_of_the_same_name_is_not_ambiguous():
    class Plot(GroupTask):
        """A lab's own."""

    assert luigi.task_register.Register.get_task_cls("Plot") is Plot
    assert luigi.task_register.Register.get_task_cls("ephys.Plot") is ephys.Plot
    assert Plot.get_task_family() == "Plot" and issubclass(ephys.Plot, GroupTask)


def test_parameters_are_those_of_the_subclass():
    class ReadyMadeEdges(ephys.Edges):
        pass

    assert "threshold" in dict(ReadyMadeEdges.get_params()) and ephys.Edges.get_params() == []
    assert ReadyMadeEdges("a", 0.25).threshold == 0.25 and ReadyMadeEdges.get_task_family() == "ReadyMadeEdges"
