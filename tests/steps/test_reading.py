"""What a step reads of other tasks while it is made: of those that it requires, and nothing deeper."""

import json
from pathlib import Path

import luigi
import pytest
from luigi.util import requires as luigi_requires

from neuroluigi.steps.reading import ReadingError, asked_once, only_required
from neuroluigi.steps.tasks import StudyTask, WrapperTask

ASKED = []


class Deep(StudyTask):
    size = luigi.IntParameter(default=1)

    def output(self):
        return self.result("deep.txt")


class Required(StudyTask):
    factor = luigi.FloatParameter(default=2.0)

    def requires(self):
        return Deep()

    def output(self):
        return self.result("required.txt")

    def value(self):
        return self.factor * len(self.input().path)

    def depth(self):
        return self.requires().size


@luigi_requires(Deep)
class Decorated(StudyTask):
    def output(self):
        return self.result("decorated.txt")


class Wrapped(WrapperTask):
    def requires(self):
        return Required()


class Reads(StudyTask):
    """Its `make` calls the function that a test gives it."""

    def requires(self):
        return {"required": Required(), "decorated": Decorated(), "wrapped": Wrapped()}

    def output(self):
        return self.result("reads.txt")

    def make(self, out):
        out.write_text(str(ASKED[-1](self)))


@pytest.fixture
def made(declare, tmp_path):
    """Make Reads with a `make` that asks: made(function), the text of its file."""
    declare("results", root=tmp_path / "results")
    (tmp_path / "results" / "study").mkdir(parents=True)

    def make(ask):
        ASKED.append(ask)
        for task in (Deep(), Required(), Decorated()):
            Path(task.output().path).write_text("x")
        step = Reads()
        step.run()
        return (tmp_path / "results" / "study" / "reads.txt").read_text()

    return make


@pytest.mark.parametrize(
    "ask",
    [
        lambda step: step.requires()["required"].factor,
        lambda step: step.requires()["required"].output().path,
        lambda step: step.requires()["required"].value(),
        lambda step: step.input()["required"].path,
        lambda step: Required().value(),
        lambda step: step.requires()["wrapped"].requires().factor,
        lambda step: step.requires()["wrapped"].requires().output().path,
        lambda step: step.requires()["decorated"].output().path,
    ],
)
def test_what_the_record_knows_may_be_read(made, ask):
    assert made(ask)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda step: step.requires()["required"].requires(), "Required for its requires"),
        (lambda step: step.requires()["required"].input(), "Required for its input"),
        (lambda step: step.requires()["required"].depth(), "Required for its requires"),
        (lambda step: step.requires()["decorated"].requires(), "Decorated for its requires"),
        (lambda step: step.requires()["wrapped"].requires().input(), "Required for its input"),
    ],
)
def test_what_lies_deeper_has_to_be_required(made, ask, message):
    expected = f"Reads asks {message}.* while it is made: what is read deeper has to be required"
    with pytest.raises(Exception, match=expected):
        made(ask)


@pytest.mark.parametrize("ask", [lambda step: Deep().output().path, lambda step: Deep().requires()])
def test_what_is_not_required_is_refused_with_what_to_do(made, ask):
    with pytest.raises(Exception, match=r"Reads reads Deep while it is made .*; add Deep\(\) to Reads.requires"):
        made(ask)


def test_nothing_is_refused_at_other_times(made):
    assert made(lambda step: 1) == "1"
    assert Reads().requires()["required"].requires().output().path
    with pytest.raises(ReadingError), only_required(Reads(), [Required()]):
        Required().requires()
    assert Required().requires()


def test_the_record_has_what_can_be_read_of_each_required_task(made, tmp_path):
    made(lambda step: 1)
    record = json.loads((tmp_path / "results" / "study" / "runs" / "Reads.json").read_text())
    assert [(one["step"], one["parameters"]) for one in record["requires"]] == [
        ("Required", {"factor": 2.0}),
        ("Decorated", {"size": 1}),
        ("Wrapped", {}),
        ("Required", {"factor": 2.0}),
    ]
    # Of what is wrapped, the files are no inputs of the step.
    assert ["files" in one for one in record["requires"]] == [False, False, False, True]


class Counted(StudyTask):
    asked = 0

    def requires(self):
        type(self).asked += 1
        yield Deep()
        yield Required()

    def output(self):
        return {"all": [self.result("counted.txt")]}


class MoreCounted(Counted):
    def output(self):
        found = super().output()
        found["all"].append(self.result("more.txt"))
        return found


def test_in_a_plan_a_task_is_asked_once_and_its_answers_are_its_own():
    task, Counted.asked = MoreCounted(), 0
    with asked_once():
        for _ in range(3):
            assert [one.task_family for one in task.requires()] == ["Deep", "Required"]
            names = task.output()
            assert [Path(one.path).name for one in names["all"]] == ["counted.txt", "more.txt"]
            # Who asked may change what was answered.
            names["all"].clear()
            task.requires().clear()
    assert MoreCounted.asked == 1
    assert [one.task_family for one in task.requires()] == ["Deep", "Required"] and MoreCounted.asked == 2


def test_what_a_task_could_not_say_it_is_asked_again():
    class Fails(StudyTask):
        fails = True

        def requires(self):
            if self.fails:
                raise ValueError("not yet")
            return []

        def output(self):
            return self.result("x.txt")

    task = Fails()
    with asked_once():
        with pytest.raises(ValueError):
            task.requires()
        task.fails = False
        assert task.requires() == []
