"""What is made step by step, by one run after the other, is what a single run makes from nothing."""

import itertools

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Pipeline
from tests.steps.changing_lab import run as run_command

# Steps that write what they read from tasks and files: parameters, methods that read inputs, the tool, wrapped tasks.
STEPS = """
import json

class Told(GroupTask):
    note = luigi.Parameter(default="a")

    def requires(self):
        return {"edges": Edges(self.group), "stats": Stats(self.group)}

    def output(self):
        return self.result("told.json")

    def make(self, out):
        edges, stats = self.requires()["edges"], self.input()["stats"].load()
        told = {"levels": edges.levels(), "threshold": edges.threshold, "level": edges.level, "by": edges.made_by()}
        out.write_text(json.dumps({**told, "edges": len(edges.output().load()), "mean": stats["mean"].tolist()}))

    def noted(self):
        return self.note, self.input()["stats"].load()["max"].tolist()

class Deeper(GroupTask):
    def requires(self):
        return Told(self.group)

    def output(self):
        return self.result("deeper.json")

    def make(self, out):
        out.write_text(json.dumps(self.requires().noted()))

class AllTold(WrapperTask):
    unit = luigi.Parameter(default="mV")

    def requires(self):
        return [Told(group) for group in groups()]

class Over(StudyTask):
    def requires(self):
        return AllTold()

    def output(self):
        return self.result("over.txt")

    def make(self, out):
        every = [open(one.output().path).read() for one in self.requires().requires()]
        out.write_text(self.requires().unit + " " + " ".join(every))

class All(WrapperTask):
    def requires(self):
        return [Over(), *(Deeper(group) for group in groups()), *(Plot(group) for group in groups())]
"""

SETTINGS = {
    "Edges-threshold": ["0.5", "0.75", "0.9"],
    # Of bytes around 191.25 = 0.75 of their range, 191.5 gives the same edges.
    "Edges-level": ["", "191.5", "200"],
    "Told-note": ["a", "b"],
    "AllTold-unit": ["mV", "uV"],
    "recordings-contiguous": ["false", "true"],
    "recordings-sampling-rate-hz": ["", "100"],
    "FakeRecording-bytes": ["100", "60"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the pipeline on a folder of results: run(root, settings)."""
    pipeline = Pipeline(tmp_path_factory.mktemp("incremental") / "lab")
    pipeline.add(STEPS)

    def go(root, chosen):
        always = ["--matlab-engine", "numpy", "--local-scheduler", "--FakeRecording-sessions", "s"]
        options = [f"--{name}={value}" for name, value in chosen.items() if value]
        code, printed = run_command(
            pipeline.folder, "run", "--module", "tasks", "All", "--results-root", root, *options, *always
        )
        assert code == 0, printed
        files = (pipeline.folder / root).rglob("*.*")
        return {
            str(path.relative_to(pipeline.folder / root)): path.read_bytes()
            for path in files
            if path.suffix in (".json", ".npy", ".png", ".txt", ".bin") and path.parent.name not in ("runs", root)
        }

    return go


roots = itertools.count()


# Each run takes a second or more.
@settings(
    max_examples=3, derandomize=True, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(st.lists(st.fixed_dictionaries({n: st.sampled_from(v) for n, v in SETTINGS.items()}), min_size=2, max_size=4))
def test_results_made_one_run_after_the_other_are_those_made_from_nothing(run, chosen):
    root = f"results-{next(roots)}"
    for some in chosen:
        made = run(root, some)
    assert made == run(f"results-{next(roots)}", chosen[-1])


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_alone_reaches_all_that_was_made_with_it(run, name):
    root = f"results-{next(roots)}"
    for value in SETTINGS[name]:
        made = run(root, {name: value})
    assert made == run(f"results-{next(roots)}", {name: value})
