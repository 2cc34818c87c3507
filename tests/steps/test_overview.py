"""An overview of many groups tells what a plan of all together does, or leaves it to that."""

import json
import re

import pytest

from tests.conftest import Pipeline
from tests.results.test_status import SECOND, SHARING, ask

STEPS = {
    "a step over all groups": """
class Count(StudyTask):
    def requires(self):
        return [Stats(group) for group in groups()]
    def output(self):
        return self.result("count.txt")
    def make(self, out):
        out.write_text("2")

class All(WrapperTask):
    def requires(self):
        return [PlotAll(), Count()]
""",
    "a folder that is one result": """
class Sorted(GroupTask):
    def requires(self):
        return Stats(self.group)
    def output(self):
        return self.result_folder("sorted")
    def make(self, out):
        (out / "spikes.txt").write_text("1")

class All(WrapperTask):
    def requires(self):
        return [kind(group) for group in groups() for kind in (Plot, Sorted)]
""",
    "several steps of a group, and a task of Luigi's own": """
import luigi

class Atlas(luigi.ExternalTask):
    def output(self):
        return luigi.LocalTarget("atlas.nii")

class Placed(GroupTask):
    def requires(self):
        return [Stats(self.group), Atlas()]
    def output(self):
        return self.result("placed.txt")
    def make(self, out):
        out.write_text("1")

class All(WrapperTask):
    def requires(self):
        return [kind(group) for group in groups() for kind in (Plot, Placed, Edges)]
""",
    "two steps that make one file": """
class Other(GroupTask):
    def requires(self):
        return Stats(self.group)
    def output(self):
        return self.result("STATS.json")
    def make(self, out):
        out.write_text("{}")

class All(WrapperTask):
    def requires(self):
        return [kind(group) for group in groups() for kind in (Plot, Other)]
""",
    "a name that no disk has": """
class Long(GroupTask):
    def output(self):
        return self.result("x" * 250)
    def make(self, out):
        out.write_text("{}")

class All(WrapperTask):
    def requires(self):
        return [kind(group) for group in groups() for kind in (Plot, Long)]
""",
    "an error in requires() of one group": """
class Fails(GroupTask):
    def requires(self):
        return 1 / (self.group != "s-odd")
    def output(self):
        return self.result("x.txt")

class All(WrapperTask):
    def requires(self):
        return [kind(group) for group in groups() for kind in (Plot, Fails)]
""",
    "a secret parameter": """
import luigi

class Asks(GroupTask):
    password = luigi.Parameter(default="x", visibility=luigi.parameter.ParameterVisibility.PRIVATE)
    def output(self):
        return self.result("x.txt")
    def make(self, out):
        out.write_text("1")

class All(WrapperTask):
    def requires(self):
        return [kind(group) for group in groups() for kind in (Plot, Asks)]
""",
}
CHANGES = {
    "nothing": lambda lab: None,
    "files gone, edited and damaged": lambda lab: [
        (lab.results / "s-odd" / "stats.json").unlink(),
        (lab.results / "s-even" / "edges.npy").write_bytes(b"x"),
        (lab.results / "s-even" / "stats.json").write_text(
            (lab.results / "s-even" / "stats.json").read_text() + " " * 50
        ),
        (lab.results / "s-even" / "note.txt").write_text("not ours"),
        (lab.results / "s-even" / "runs" / "note.json").write_text("{}"),
    ],
    "one dropped": lambda lab: ask(lab, "drop", "--step", "Aggregate", "--yes", code=0),
    "a step failed": lambda lab: [
        lab.override("Plot", "def make(self, out):\n        1 / 0"),
        (lab.results / "s-odd" / "plot.png").unlink(),
        lab.run("PlotAll", "--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy",
                code=None),
    ],
}  # fmt: skip


@pytest.fixture
def lab(tmp_path):
    lab = Pipeline(tmp_path / "lab")
    lab.run("PlotAll", "--FakeRecording-sessions", "s", "--FakeRecording-count", "2", "--matlab-engine", "numpy")
    return lab


def shown(lab, *words):
    done = ask(lab, "status", *words)
    return done.returncode, done.stdout, re.sub(r"line \d+", "", done.stderr)


def overviewed(lab, hook=""):
    """Let an overview be worth it at two groups, and leave told.txt where all was told of it."""
    lab.add(f"""{SHARING}
{hook}
from neuroluigi.results import status

def noted(*args, tell=status.overview):
    found = tell(*args)
    open("told.txt", "w").write("told" if found else "left to the plan")
    return found

status.overview = noted
""")


@pytest.mark.parametrize("change", CHANGES)
def test_it_shows_what_is_shown_of_few_groups(lab, change):
    CHANGES[change](lab)
    before = shown(lab)
    overviewed(lab)
    assert shown(lab) == before
    told = (lab.folder / "told.txt").read_text()
    assert told == ("left to the plan" if change == "one dropped" else "told")


@pytest.mark.parametrize("steps", STEPS)
def test_what_has_to_be_known_together_is_left_to_the_plan(lab, steps):
    lab.add(STEPS[steps])
    before = shown(lab, "--neuroluigi-task", "All")
    overviewed(lab)
    assert shown(lab, "--neuroluigi-task", "All") == before
    told = (lab.folder / "told.txt").exists() and (lab.folder / "told.txt").read_text()
    is_told = steps == "several steps of a group, and a task of Luigi's own"
    assert told == ("told" if is_told else False if steps.startswith(("a name", "an error")) else "left to the plan")


@pytest.mark.parametrize("what", SECOND)
def test_a_second_process_that_fails_changes_nothing(lab, what):
    before = shown(lab)
    overviewed(lab, SECOND[what])
    # What ends a process that is not ours to mend is on standard error.
    assert shown(lab)[:2] == before[:2]
    assert (lab.folder / "told.txt").read_text() == ("told" if what == "helps" else "left to the plan")


def test_json_names_each_task(lab):
    before = json.loads(ask(lab, "status", "--json").stdout)
    overviewed(lab)
    assert json.loads(ask(lab, "status", "--json").stdout) == before
    assert not (lab.folder / "told.txt").exists()
