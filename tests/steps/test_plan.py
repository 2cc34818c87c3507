"""The plan in memory: what a run would make, what it may make, and what it refuses before anything is made."""

import json
import math
import os
from pathlib import Path

import luigi
import pytest

from neuroluigi import StudyTask, WrapperTask
from neuroluigi.provenance import kept_lines, state, state_index
from neuroluigi.provenance.files import read_bytes
from neuroluigi.provenance.record import read_record
from neuroluigi.steps import plan
from neuroluigi.steps.config import RunStopped, results_root
from neuroluigi.steps.discovery import only_looking
from neuroluigi.steps.plan import discard_statuses, plan_below, status_of, tasks_below, walk_statuses
from neuroluigi.steps.target import ResultTarget


class PlanFirst(StudyTask):
    factor = luigi.IntParameter(default=2)
    made = 0

    def output(self):
        return self.result("first.json")

    def make(self, out):
        type(self).made += 1
        out.write_text(json.dumps({"factor": self.factor}))


class PlanSecond(StudyTask):
    def requires(self):
        return PlanFirst()

    def output(self):
        return self.result("second.json")

    def make(self, out):
        out.write_text(Path(self.input().path).read_text())


class PlanThird(StudyTask):
    def requires(self):
        return PlanSecond()

    def output(self):
        return self.result("third.json")

    def make(self, out):
        out.write_text(Path(self.input().path).read_text() + "\n")


class PlanAll(WrapperTask):
    def requires(self):
        return [PlanThird(), PlanSecond()]


def make_all():
    for step in (PlanFirst(), PlanSecond(), PlanThird()):
        step.run()


def planned(root=None) -> dict[str, tuple[str, str]]:
    """Return state and plan of each step below a task."""
    discard_statuses()
    return {step.task_family: (s.state, s.todo) for step, s in walk_statuses(root or PlanAll())}


def test_what_is_not_there_is_made_and_what_follows_from_it_too(declare):
    assert planned() == {name: ("missing", "make") for name in ("PlanFirst", "PlanSecond", "PlanThird")}
    make_all()
    assert planned() == {name: ("done", "") for name in ("PlanFirst", "PlanSecond", "PlanThird")}
    assert PlanAll().complete()


def test_what_requires_a_result_that_is_made_is_made_if_that_changes(declare, tmp_path):
    make_all()
    (tmp_path / "results" / "study" / "first.json").unlink()
    assert planned() == {
        "PlanFirst": ("missing", "make"),
        "PlanSecond": ("done", "maybe"),
        "PlanThird": ("done", "maybe"),
    }
    discard_statuses()
    assert status_of(PlanSecond()).waits_for == ("first.json",)
    # The same bytes again: nothing else is made.
    PlanFirst().run()
    assert planned() == {name: ("done", "") for name in ("PlanFirst", "PlanSecond", "PlanThird")}


def test_another_value_of_a_parameter_is_stale_with_old_and_new(declare):
    make_all()
    declare("PlanFirst", factor=3)
    discard_statuses()
    status = status_of(PlanFirst())
    assert (status.state, status.todo) == ("stale", "make")
    assert [reason.text for reason in status.reasons] == ["factor 2, now 3"]


def test_a_parameter_that_is_new_is_not_stale_at_its_default(declare):
    class PlanGrown(StudyTask):
        words = luigi.ListParameter(default=[1, 2])
        when = luigi.DateParameter(default=luigi.DateParameter().parse("2020-01-31"))

        def output(self):
            return self.result("grown.txt")

        def make(self, out):
            out.write_text("x")

    step = PlanGrown()
    step.run()
    record = json.loads(step.record_path.read_text())
    assert record.pop("parameters") == {"words": "[1, 2]", "when": "2020-01-31"}
    step.record_path.write_text(json.dumps({**record, "parameters": {}}))
    assert planned(step) == {"PlanGrown": ("done", "")}
    declare("PlanGrown", words="[3]")
    assert planned(PlanGrown()) == {"PlanGrown": ("stale", "make")}


def test_a_file_that_exists_is_done_where_existing_ones_are_trusted(declare, tmp_path):
    declare("results", trust_existing="true")
    make_all()
    (tmp_path / "results" / "study" / "first.json").unlink()
    (tmp_path / "results" / "study" / "third.json").write_text("by hand")
    assert {name: todo for name, (_, todo) in planned().items()} == {"PlanFirst": "", "PlanSecond": "", "PlanThird": ""}
    (tmp_path / "results" / "study" / "second.json").unlink()
    assert planned()["PlanSecond"] == ("missing", "make") and planned()["PlanFirst"] == ("missing", "make")


def test_a_run_keeps_its_statuses_until_they_are_discarded(declare, command_line):
    command_line("PlanAll")
    assert planned()["PlanFirst"] == ("missing", "make")
    Path(PlanFirst().folder).mkdir(parents=True)
    Path(PlanFirst().output().path).write_text("{}")
    assert status_of(PlanFirst()).state == "missing"
    discard_statuses()
    assert status_of(PlanFirst()).state == "untracked"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_no_statuses_of_its_parent(declare, command_line):
    command_line("PlanAll")
    status_of(PlanFirst())
    pid = os.fork()
    if not pid:
        os._exit(0 if plan._plan is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert plan._plan is not None


def test_every_task_below_comes_once(declare):
    assert sorted(str(task) for task in tasks_below(PlanAll())) == sorted(
        str(task) for task in (PlanAll(), PlanFirst(), PlanSecond(), PlanThird())
    )


class PlanLoop(StudyTask):
    def requires(self):
        return PlanLoop()

    def output(self):
        return self.result("loop.txt")


class PlanTwin(StudyTask):
    side = luigi.Parameter()
    name = luigi.Parameter(default="twin.txt", significant=False)

    def output(self):
        return self.result(f"{self.name}")


class PlanTwins(WrapperTask):
    names = luigi.ListParameter()

    def requires(self):
        return [PlanTwin(side, name) for side, name in zip(("left", "right"), self.names, strict=True)]


class PlanNamed(StudyTask):
    value = luigi.Parameter()
    filename_parameters = ("value",)

    def output(self):
        return self.result(f"named-{self.value}.txt")


class PlanNames(WrapperTask):
    values = luigi.ListParameter()

    def requires(self):
        return [PlanNamed(value) for value in self.values]


class PlanAdds(StudyTask):
    what = luigi.Parameter(default=None)

    def output(self):
        return self.result("adds.txt")

    def fingerprint(self):
        return ADDED.get(self.what, {})

    def make(self, out):
        out.write_text("x")


ADDED = {"nan": {"median": math.nan}, "tuple": {"band": (4, 8)}, "list": [1], "object": {"filter": object()}}


@pytest.mark.parametrize("what", ["nan", "tuple"])
def test_what_a_step_adds_to_its_record_equals_itself(declare, what):
    step = PlanAdds(what)
    step.run()
    discard_statuses()
    assert status_of(step).is_simply_done
    assert read_record(step.record_path)["fingerprint"] == {"nan": {"median": "NaN"}, "tuple": {"band": [4, 8]}}[what]


class PlanFolder(StudyTask):
    names = luigi.ListParameter()

    def output(self):
        return [self.result_folder(self.names[0]), *(self.result(name) for name in self.names[1:])]


class PlanNothing(StudyTask):
    def output(self):
        return []


class PlanForeign(StudyTask):
    def output(self):
        return luigi.LocalTarget("foreign.txt")


class PlanUnrecorded(StudyTask):
    def output(self):
        return ResultTarget("unrecorded.txt")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (lambda: PlanLoop(), r"PlanLoop\(\) requires itself, by way of PlanLoop\(\)"),
        (
            lambda: PlanTwins(["a.txt", "a.txt"]),
            r"both make .*a\.txt; give them different files, or the same parameters",
        ),
        (lambda: PlanTwins(["a.txt", "b.txt"]), r"would share the run record .*filename_parameters = \('NAME',\)"),
        (lambda: PlanTwins(["é.txt", "É.txt"]), r"would make .*é\.txt and .*É\.txt, one file on a disk"),
        (
            lambda: PlanTwins(["\u00e9.txt", "e\u0301.txt"]),
            r"one file on a disk that ignores case or norm",
        ),
        (lambda: PlanNames(["a", "A"]), r"value=a\) and .*value=A\) would make .*one file on a disk"),
        (lambda: PlanNames(["NUL"]), r"value: 'NUL' can't name a folder: Windows keeps NUL for a device"),
        (
            lambda: PlanFolder(["sorted", "sorted/below/a.txt"]),
            r"would write .*sorted.below.a\.txt into .*sorted, a folder that is one result of PlanFolder.*; give them",
        ),
        (lambda: PlanFolder(["runs"]), r"would write .*runs.PlanFolder\.json into .*runs, a folder that is one result"),
        (lambda: PlanAdds("list"), r"PlanAdds\.fingerprint\(\) returns \[1\], not a dict"),
        (lambda: PlanAdds("object"), r"PlanAdds\.fingerprint\(\) holds .*object, which a run record can't hold"),
        (lambda: PlanAdds(object()), r"PlanAdds\.what holds .*object, which a run record can't hold"),
        (lambda: PlanNothing(), r"PlanNothing\.output\(\) names no file; a step's files are self\.result\(NAME\)"),
        (lambda: PlanForeign(), r"PlanForeign\.output\(\) returns .*; a step's files are self\.result\(NAME\)"),
        (lambda: PlanUnrecorded(), r"PlanUnrecorded\.output\(\) returns .*; a step's files are self\.result\(NAME\)"),
    ],
)
def test_a_pipeline_that_cant_work_stops_before_anything_is_made(declare, tmp_path, task, message):
    with pytest.raises(RunStopped, match=message):
        plan_below(task())
    assert not (tmp_path / "results").exists()


class PlanOfLuigi(luigi.Task):
    def output(self):
        return luigi.LocalTarget("of-luigi.txt")


class PlanAfterLuigi(WrapperTask):
    def requires(self):
        return PlanOfLuigi()


def test_a_task_of_luigis_own_is_done_by_its_own_complete(declare, tmp_path):
    assert status_of(PlanOfLuigi()).todo == state.MAKE and status_of(PlanAfterLuigi()).todo == state.MAYBE
    (tmp_path / "of-luigi.txt").touch()
    assert status_of(PlanOfLuigi()).state == state.DONE and status_of(PlanAfterLuigi()).is_complete


@pytest.fixture
def looked_at(monkeypatch):
    """The steps whose results were looked at, in order."""
    found = []

    def check_result(expected, *others, check=state.check_result):
        found.append(Path(expected.record).stem)
        return check(expected, *others)

    monkeypatch.setattr(state, "check_result", check_result)
    return found


def test_right_after_a_step_has_run_its_own_result_alone_is_looked_at(declare, command_line, looked_at):
    command_line("PlanAll")
    third, whole = PlanThird(), ["PlanFirst", "PlanSecond", "PlanThird"]
    for step in (PlanFirst(), PlanSecond(), third):
        step.run()
    looked_at.clear()
    assert third.complete() and looked_at == whole[2:]
    # Then, that is long ago.
    assert third.complete() and looked_at == [*whole[2:], *whole]


def test_after_a_step_has_run_what_others_did_is_seen(declare, command_line, tmp_path):
    command_line("PlanAll")
    folder = tmp_path / "results" / "study"
    for step in (PlanFirst(), PlanSecond(), PlanThird()):
        step.run()
        assert step.complete()
    PlanThird().run()
    (folder / "third.json").write_text("[]")
    assert status_of(PlanThird()).state == state.MODIFIED
    (folder / "third.json").unlink()
    PlanThird().run()
    (folder / "first.json").unlink()
    assert status_of(PlanSecond()).waits_for == ("first.json",)
    assert not PlanThird().complete()


def test_a_run_finds_a_tool_and_reads_the_index_of_states_once(declare, command_line, monkeypatch):
    asked, read = [], []

    class PlanTool(StudyTask):
        def output(self):
            return self.result("tool.txt")

        def make(self, out):
            out.write_text("made")

        def wanted_tool(self):
            asked.append("tool")
            return {"engine": "python"}

    monkeypatch.setattr(kept_lines, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    command_line("PlanAll")
    results_root().mkdir()
    (results_root() / state_index.INDEX_FILE).write_bytes(b"")
    for _ in range(2):
        PlanTool().run()
        assert PlanTool().complete() and PlanTool().complete()
    assert len(asked) == len(read) == 1


def test_a_long_chain_needs_no_recursion(declare, command_line):
    command_line("PlanAll")

    class PlanLink(StudyTask):
        number = luigi.IntParameter()
        filename_parameters = ("number",)

        def requires(self):
            return [PlanLink(self.number - 1)] if self.number else []

        def output(self):
            return self.result(f"link-{self.number}.txt")

    found = [step.number for step, _ in walk_statuses(PlanLink(1500))]
    assert found == list(range(1501))


def test_commands_that_look_and_runs_have_one_index_of_states(declare, command_line, monkeypatch):
    """Whether moved recordings are read makes no difference to what is done and did not move."""
    monkeypatch.setattr(state_index, "_WORTH_KEEPING", 1)
    monkeypatch.setattr(state_index, "is_young", lambda *times: False)
    command_line("PlanAll")
    make_all()
    done = planned()
    assert {state for state, _ in done.values()} == {"done"}
    monkeypatch.setattr("neuroluigi.provenance.state.read_stamped_record", lambda path: pytest.fail("a record is read"))
    with only_looking():
        assert planned() == done
