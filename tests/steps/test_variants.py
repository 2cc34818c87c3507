"""Variants: how they are declared, and runs of `luigi` with them."""

import json

import luigi
import numpy as np
import pytest

from neuroluigi.steps.config import RunStopped, WordsParameter
from neuroluigi.steps.variants import declared, parse_value
from tests.conftest import REAL_RECORDINGS, Pipeline, needs_real_recordings
from tests.steps.test_group_settings import ask, declare

NUMPY = ("--matlab-engine", "numpy", "--workers", "1")
FAKE = ("--FakeRecording-sessions", "a,b", "--FakeRecording-count", "2")


@pytest.fixture
def lab(pipeline) -> Pipeline:
    (pipeline.folder / "luigi.cfg").write_text(
        "[neuroluigi]\ntask = PlotAll\n\n[FakeRecording]\nsessions = a, b\ncount = 2\n", encoding="utf-8"
    )
    return pipeline


def results(folder) -> dict[str, bytes]:
    """Return the content of all results in a folder, and not how they were made."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.glob("*/*")
        if path.is_file() and path.name != "aggregate.json"
    }


@pytest.fixture
def variants(monkeypatch):
    """Return a function that declares variants, and returns what is known of them."""
    config = luigi.configuration.get_config()

    def of(text: str) -> dict:
        config.remove_section("variants")
        config.read_string(f"[variants]\n{text}\n")
        return {name: dict(one.values) for name, one in declared().items()}

    yield of
    config.remove_section("variants")


def test_what_is_declared(variants):
    assert variants("strict = Spikes.noise=6\nloose = Spikes.noise = 4, Spikes.refractory=0.5") == {
        "strict": {"Spikes": {"noise": "6"}},
        "loose": {"Spikes": {"noise": "4", "refractory": "0.5"}},
    }
    assert variants("noise* = Spikes.noise=4|0.5|-6") == {
        "noise-4": {"Spikes": {"noise": "4"}},
        "noise-0_5": {"Spikes": {"noise": "0.5"}},
        "noise--6": {"Spikes": {"noise": "-6"}},
    }
    # Of two, all pairs; what has one value is not in the name.
    assert list(variants("g* = A.x=1|2, A.z=0, B.y=3|4")) == ["g-1-3", "g-1-4", "g-2-3", "g-2-4"]
    quoted = variants('q = Edges.level="5, 0: 6", Spikes.channels=["a|b", "c,d"]')["q"]
    assert quoted == {"Edges": {"level": '"5, 0: 6"'}, "Spikes": {"channels": '["a|b", "c,d"]'}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b = S.x=1", "a b: the name of a variant has letters"),
        ("all = S.x=1", "all: the name of a variant has letters"),
        ("é = S.x=1", "the name of a variant has letters"),
        ("a = S.x", "'S.x' is not STEP.PARAMETER=VALUE"),
        ("a = S.x=", "'S.x=' is not STEP.PARAMETER=VALUE"),
        ("a = S.x=1, ", "'' is not STEP.PARAMETER=VALUE"),
        ("a = S.x=1|2", "S.x has several values; a grid has a * at the end of its name, a*"),
        ("a = S.x=1, S.x=2", "S.x is there twice"),
        ("a-b = S.x=1\na_B = S.x=2", "a-b and a_B are one name where case, - and _ make no difference"),
        ("g* = S.x=0.5|0,5", "'5' is not STEP.PARAMETER=VALUE"),
    ],
)
def test_what_is_none(variants, line, words):
    with pytest.raises(RunStopped) as error:
        variants(line)
    assert words in str(error.value)


def test_values_are_those_of_settings_or_of_json():
    assert parse_value(luigi.FloatParameter(), "6") == 6.0
    assert parse_value(WordsParameter(), '["a,b", "c"]') == ("a,b", "c")
    assert parse_value(luigi.Parameter(), '"a, b"') == "a, b"
    assert parse_value(luigi.ListParameter(), "[1, 2]") == (1, 2)


def test_only_what_a_variant_touches_is_made_again(lab):
    declare(lab, "variants", "strict = Edges.threshold=0.9")
    out = lab.run("PlotAll", *NUMPY, "--variants", "strict")
    assert "Made: 4 Aggregate, 8 Edges, 4 FakeRecording, 8 Plot, 4 Stats." in out
    assert {one.name for one in lab.results.glob("*@*")} == {
        f"{one}@strict" for one in ("a-even", "a-odd", "b-even", "b-odd")
    }
    assert sorted(one.name for one in (lab.results / "a-even@strict").iterdir()) == ["edges.npy", "plot.png", "runs"]
    record = json.loads((lab.results / "a-even@strict/runs/Edges.json").read_text())
    assert (record["variant"], record["parameters"]["threshold"]) == ("strict", 0.9)
    record = json.loads((lab.results / "a-even/runs/Edges.json").read_text())
    assert "variant" not in record and record["parameters"]["threshold"] == 0.75
    assert "Nothing to make: everything is there." in lab.run("PlotAll", *NUMPY, "--variants", "strict")
    assert "Nothing to make: everything is there." in lab.run("PlotAll", *NUMPY)
    rows = {row.split()[0] for row in ask(lab, "status").splitlines()[1:5]}
    assert rows == {"a-even", "a-even@strict", "a-odd", "a-odd@strict"}
    assert "of no group" not in ask(lab, "status")
    assert "✓ Plot(group=a-even)@strict: done" in ask(lab, "why", "Plot", "a-even@strict")
    lab.run("PlotAll", *NUMPY, "--Edges-threshold", "0.9", "--results-root", "alone")
    for name in ("edges.npy", "plot.png"):
        theirs = lab.folder / "alone" / "a-even" / name
        assert (lab.results / "a-even@strict" / name).read_bytes() == theirs.read_bytes()
    # Deleted, it is made again, and nothing else.
    (lab.results / "a-odd@strict/edges.npy").unlink()
    assert "Plot" in ask(lab, "status", code=1)
    assert "Made: 1 Edges." in lab.run("PlotAll", *NUMPY, "--variants", "strict")


def assert_bytes_of_their_own(lab: Pipeline, step: str, values: tuple[str, ...], *words: str) -> None:
    """A grid of values gives what as many folders of results with one value each have."""
    declare(lab, "variants", f"grid* = {step}={'|'.join(values)}")
    lab.run(*words, *NUMPY[:2], "--workers", "2", "--variants", "all")
    for value in values:
        alone = f"alone-{value}"
        option = f"--{step.replace('.', '-')}"
        lab.run(*words, *NUMPY, option, value, "--results-root", alone)
        ours, expected = {}, results(lab.folder / alone)
        for path, content in results(lab.results).items():
            group, _, variant = path.partition("/")[0].partition("@")
            if variant in ("", f"grid-{value.replace('.', '_')}"):
                name = f"{group}/{path.partition('/')[2]}"
                ours[name] = content if variant or name not in ours else ours[name]
        assert ours == expected and len(ours) >= 3


def test_a_sweep_has_the_bytes_of_results_of_their_own(lab):
    values = ("0.1", "0.3", "0.5", "0.6", "0.9")
    # Without pictures it takes a third of the time; they are compared for one value.
    assert_bytes_of_their_own(lab, "Edges.threshold", values, "PlotAll", "--PlotAll-unknown", "Edges")
    # What is shared is made once.
    assert len(list(lab.results.glob("*/stats.json"))) == len(list(lab.results.glob("*/aggregate.bin"))) == 4


@needs_real_recordings
def test_a_sweep_over_real_recordings(lab):
    declare(lab, "recordings", f"root = {REAL_RECORDINGS}", "select = session=mitdb_100")
    assert_bytes_of_their_own(
        lab, "Edges.level", ("1000", "1050", "1100", "1130", "1150"), "Edges", "--group", "mitdb_100"
    )
    edges = np.load(lab.results / "mitdb_100@grid-1130" / "edges.npy")
    # As many as there are beats.
    assert np.count_nonzero(edges[:, 1] == 0) == 2273
    assert len(list(lab.results.glob("*/aggregate.json"))) == 1


def test_a_base_class_touches_its_kinds_and_several_variants_have_nothing_to_do_with_each_other(lab):
    declare(lab, "variants", "slow = Crossings.settle=2", "high = Edges.threshold=0.9")
    lab.run("PlotAll", *NUMPY, "--variants=high,slow")
    found = {
        name: json.loads((lab.results / f"a-even@{name}/runs/Edges.json").read_text())["parameters"]
        for name in ("slow", "high")
    }
    assert (found["slow"]["settle"], found["slow"]["threshold"]) == (2, 0.75)
    assert (found["high"]["settle"], found["high"]["threshold"]) == (1, 0.9)


OWN = """
from pathlib import Path


class Doubled(GroupTask):
    factor = luigi.IntParameter(default=2)

    def requires(self):
        return Edges(self.group)

    def output(self):
        return self.result("doubled.txt")

    def make(self, out):
        out.write_text(f"{self.factor} {self.requires().threshold}")


class All(luigi.WrapperTask):
    def requires(self):
        return [Doubled(group) for group in groups()]

    def output(self):
        return [one.output() for one in self.requires()]


class Top(StudyTask):
    def requires(self):
        return All()

    def output(self):
        return self.result("top.txt")

    def make(self, out):
        out.write_text(" ".join(Path(one.path).read_text() for one in luigi.task.flatten(self.input())))
"""


def add_own(lab: Pipeline) -> None:
    tasks = lab.folder / "tasks.py"
    text = tasks.read_text(encoding="utf-8").replace("    ReportTask,\n", "    ReportTask,\n    StudyTask,\n")
    tasks.write_text(text, encoding="utf-8")
    lab.add(OWN)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_labs_own_steps_need_nothing_for_it(lab, workers):
    add_own(lab)
    declare(lab, "variants", "strict = Edges.threshold=0.9", "triple = Doubled.factor=3")
    lab.run("All", "--matlab-engine", "numpy", "--workers", workers, "--variants", "all")
    texts = {one.parent.name: one.read_text() for one in lab.results.glob("a-even*/doubled.txt")}
    assert texts == {"a-even": "2 0.75", "a-even@strict": "2 0.9", "a-even@triple": "3 0.75"}


def test_a_step_over_all_groups_behind_a_wrapper_of_luigis_own(lab):
    add_own(lab)
    declare(lab, "variants", "triple = Doubled.factor=3")
    lab.run("Top", *NUMPY, "--variants", "triple")
    assert (lab.results / "study/top.txt").read_text() == " ".join(["2 0.75"] * 4)
    assert (lab.results / "study@triple/top.txt").read_text() == " ".join(["3 0.75"] * 4)
    assert "Nothing to make" in lab.run("Top", *NUMPY, "--variants", "triple")


PLAIN = """
class Plain(luigi.Task):
    def requires(self):
        return Edges("a-even")

    def output(self):
        return luigi.LocalTarget("plain.txt")

    def run(self):
        with self.output().open("w") as file:
            file.write("x")
"""


def test_a_task_of_luigis_own_with_a_file_above_is_refused(lab):
    lab.add(PLAIN)
    declare(lab, "variants", "strict = Edges.threshold=0.9")
    out = lab.run("Plain", *NUMPY, "--variants", "strict", code=None)
    assert "Plain()@strict is a task of Luigi's own and requires Edges(group=a-even, threshold=0.9)@strict" in out
    assert not (lab.folder / "plain.txt").exists()
    lab.run("Plain", *NUMPY)


@pytest.mark.parametrize(
    ("line", "options", "words"),
    [
        ("a = Edges.settle=2", ("--variants", "b"), "there is no variant 'b'; [variants] of luigi.cfg declares: a"),
        ("a = Edgs.threshold=0.9", (), "there is no step Edgs; did you mean Edges?"),
        ("a = Edges.treshold=0.9", (), "Edges has no parameter treshold; did you mean threshold?"),
        ("a = Edges.threshold=high", (), "Edges.threshold = high: 'high' is no number"),
        ("a = Edges.group=b", (), "Edges.group is the same in all variants"),
        ("a = FakeRecording.bytes=5", (), "FakeRecording.bytes is the same in all variants"),
        ("a = matlab.engine=numpy", (), "there is no step matlab; did you mean MatlabTask?; a variant sets"),
        (
            "a = Edges.threshold=0.9",
            ("--variants", "a", "--Edges-threshold", "0.5"),
            "--Edges-threshold is on the command line, and variant a sets it too",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_stops_the_run(lab, line, options, words):
    declare(lab, "variants", line)
    assert words in lab.run("PlotAll", *NUMPY, *options, code=None)
    assert not list(lab.results.glob("*/*.json"))


def test_what_is_declared_no_more_is_an_orphan(lab):
    declare(lab, "variants", "strict = Edges.threshold=0.9", "loose = Edges.threshold=0.1")
    lab.run("PlotAll", *NUMPY, "--variants", "all")
    settings = lab.folder / "luigi.cfg"
    settings.write_text(settings.read_text().replace("loose = Edges.threshold=0.1\n", ""))
    assert "a-even@loose" in ask(lab, "status") and "@strict  " in ask(lab, "status")
    ask(lab, "clean", "--orphans", "--yes")
    assert {one.name.partition("@")[2] for one in lab.results.iterdir() if one.is_dir()} == {"", "strict"}
    ask(lab, "clean", "--step", "Edges", "--group", "a-even", "--yes")
    assert not list(lab.results.glob("a-even*/edges.npy")) and len(list(lab.results.glob("*/edges.npy"))) == 6


def test_in_processes_that_are_started_anew(lab):
    declare(lab, "variants", "strict = Edges.threshold=0.9")
    tasks = lab.folder / "tasks.py"
    head = "import multiprocessing\nmultiprocessing.set_start_method('spawn', force=True)\n"
    tasks.write_text(head + tasks.read_text(encoding="utf-8"), encoding="utf-8")
    words = ("PlotAll", "--FakeRecording-sessions", "a", "--PlotAll-unknown", "Edges", "--variants", "strict")
    out = lab.run(*words, *NUMPY[:2], "--workers", "2", forks=False)
    assert "4 Edges" in out
    assert "Nothing to make" in lab.run(*words, *NUMPY)


def test_a_group_with_the_sign_is_refused(lab):
    folder = lab.folder / "raw" / "a@b"
    folder.mkdir(parents=True)
    (folder / "rec_0.bin").write_bytes(bytes(10))
    out = lab.run("PlotAll", *NUMPY, "--recordings-root", "raw", code=None)
    assert "its key has a @, behind which folders of results have the name of a variant" in out
