"""The part of a pipeline that rests on some groups alone."""

import json

from tests.conftest import folders
from tests.runner.test_run import luigi as run_luigi

SETTINGS = ["--FakeRecording-sessions", "s, t", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]

# A step over all groups, one per group that rests on it, one over two groups alone, and a task of the name.
STUDY = """
from neuroluigi import StudyTask

class Total(StudyTask):
    def requires(self):
        return [Stats(group) for group in groups()]
    def output(self):
        return self.result("total.txt")
    def make(self, out):
        out.write_text(str(sum(stats.load()["count"] for stats in self.input())))

class Share(GroupTask):
    def requires(self):
        return [Stats(self.group), Total()]
    def output(self):
        return self.result("share.txt")
    def make(self, out):
        out.write_text("a share")

class Part(WrapperTask):
    def requires(self):
        return [Plot(group) for group in groups()] + [Share(group) for group in groups()]
"""


def part(pipeline, *names, code=0, of="Part"):
    words = ["--of", of, "--groups", json.dumps(names), *SETTINGS]
    return pipeline.run("neuroluigi.Subset", *words, code=code)


def test_parts_make_what_a_run_of_the_whole_makes_but_what_rests_on_several_groups(pipeline):
    tasks = pipeline.folder / "tasks.py"
    tasks.write_text(tasks.read_text() + "\n\nfrom neuroluigi import *\n" + STUDY)
    out = part(pipeline, "s-even", "t-odd")
    assert "Made: 2 Aggregate, 2 Edges, 2 FakeRecording, 2 Plot, 2 Stats." in out and "2 plots: " in out
    assert folders(pipeline.results) == ["s-even", "t-odd"]
    out = part(pipeline, "s-even", "s-odd", "t-even", "t-odd")
    assert "Made: 2 Aggregate, 2 Edges, 2 FakeRecording, 2 Plot, 2 Stats." in out
    assert "Made: 4 Share, 1 Total." in pipeline.run("Part", *SETTINGS)
    assert (pipeline.results / "study" / "total.txt").read_text() == "400"
    assert "Nothing to make" in part(pipeline, "s-even", "t-odd")


def test_a_group_that_there_is_not_is_refused_in_one_line(pipeline):
    out = part(pipeline, "s-even", "s-evn", code=None, of="PlotAll")
    assert "there is no group 's-evn'; the groups are: s-even, s-odd, t-even, t-odd" in out
    assert not pipeline.results.exists()


def test_a_group_of_any_name_can_be_named(pipeline):
    session = "it's a, b [ü] $x; `id` 100%"
    root = pipeline.folder / "real" / session
    root.mkdir(parents=True)
    (root / "rec_0.bin").write_bytes(bytes(range(100)))
    words = ["neuroluigi.Subset", "--groups", json.dumps([session]), "--recordings-root", "real"]
    done = run_luigi(pipeline.folder, "--module", "tasks", *words, "--local-scheduler", "--matlab-engine", "numpy")
    assert done.returncode == 0 and (pipeline.results / session / "plot.png").is_file(), done.stderr
