"""`neuroluigi.build`: what luigi.build returns, with the checks and the record of the command."""

import json

import luigi
import pytest

import neuroluigi
from neuroluigi import GroupTask, RunStopped, StudyTask, WrapperTask, groups
from neuroluigi.provenance.run_record import read_run_record
from neuroluigi.steps import plan
from tests.runner.test_patches import luigis_state


class BuiltGroup(GroupTask):
    number = luigi.IntParameter(default=0)
    fails = luigi.BoolParameter(significant=False)

    def output(self):
        return self.result("built.txt")

    def make(self, out):
        if self.fails:
            raise ValueError("no good")
        out.write_text(self.group)


class BuiltStudy(StudyTask):
    def requires(self):
        return [BuiltGroup(group) for group in groups()]

    def output(self):
        return self.result("built.json")

    def make(self, out):
        out.write_text(json.dumps([one.path for one in self.input()]))


class BuiltWrapper(WrapperTask):
    def requires(self):
        return [BuiltGroup("a", 1), BuiltGroup("a", 2)]


@pytest.fixture
def lab(declare, tmp_path):
    """A folder with the recordings of two groups, a and b."""
    for session in "ab":
        (tmp_path / "real" / session).mkdir(parents=True)
        (tmp_path / "real" / session / "rec_0.bin").write_bytes(b"0123")
    declare("recordings", root=tmp_path / "real")
    return tmp_path


@pytest.mark.parametrize("workers", [1, 2])
def test_it_makes_what_is_missing_and_writes_the_record_and_the_log_of_the_run(lab, workers):
    assert neuroluigi.build([BuiltStudy()], workers=workers) is True
    assert len(json.loads((lab / "results" / "study" / "built.json").read_text())) == 2
    record = read_run_record(lab / "results")
    assert record["command"] == ["neuroluigi.build", "BuiltStudy()"] and record["root"] == "BuiltStudy"
    assert record["made"] == {"BuiltGroup": 2, "BuiltStudy": 1} and record["exit_code"] == 0
    assert (lab / "results" / "run.log").read_text().count(" made in ") == 3
    # The record is of the last run that made something.
    assert neuroluigi.build([BuiltStudy()], workers=workers) is True
    assert read_run_record(lab / "results") == record


@pytest.mark.parametrize("workers", [1, 2])
def test_a_step_that_fails_raises_nothing(lab, workers):
    assert neuroluigi.build([BuiltGroup("a", fails=True), BuiltGroup("b")], workers=workers) is False
    assert (lab / "results" / "b" / "built.txt").read_text() == "b"
    record = read_run_record(lab / "results")
    assert record["failed"] == ["BuiltGroup(group=a)"] and record["exit_code"] == 1


def test_it_takes_what_luigi_build_takes(lab):
    result = neuroluigi.build([BuiltGroup("a")], detailed_summary=True, log_level="WARNING", no_lock=True)
    assert isinstance(result, luigi.execution_summary.LuigiRunResult)
    assert result.status is luigi.LuigiStatusCode.SUCCESS and result.scheduling_succeeded


@pytest.mark.parametrize(
    ("tasks", "line"),
    [
        (lambda: [BuiltWrapper()], r"^luigi: .* both make .*built\.txt"),
        (lambda: [BuiltGroup("a", 1), BuiltGroup("a", 2)], r"^luigi: .* both make .*built\.txt"),
        (lambda: [BuiltGroup("b"), BuiltGroup("nobody")], r"^luigi: there is no group 'nobody'"),
    ],
    ids=["below one task", "two tasks", "no such group"],
)
def test_an_error_of_the_whole_is_raised_before_anything_is_made(lab, caplog, tasks, line):
    with pytest.raises(RunStopped, match=line):
        neuroluigi.build(tasks())
    assert not (lab / "results").exists() and not caplog.records


def test_results_among_the_recordings_and_settings_that_cant_be_read(lab, declare):
    declare("results", root=lab / "real")
    with pytest.raises(RunStopped, match="real"):
        neuroluigi.build([BuiltGroup("a")])
    declare("results", root=lab / "results", trust_existing="perhaps")
    with pytest.raises(RunStopped, match=r"\[results\]"):
        neuroluigi.build([BuiltGroup("a")])
    assert not (lab / "results").exists() and not list((lab / "real").glob("*/runs"))


class BuiltOutside(luigi.ExternalTask):
    def output(self):
        return luigi.LocalTarget("outside.txt")


def test_what_is_missing_from_outside_is_no_success(lab):
    assert neuroluigi.build([BuiltOutside()]) is False
    assert neuroluigi.build([BuiltOutside()], detailed_summary=True).status == luigi.LuigiStatusCode.MISSING_EXT


@pytest.mark.parametrize("tasks", [["x"], [None], [BuiltOutside]])
def test_what_is_no_task_is_named(lab, tasks):
    with pytest.raises(RunStopped, match=r"neuroluigi\.build takes tasks; .* is none"):
        neuroluigi.build(tasks)


class BuiltUnknown(luigi.ExternalTask):
    def complete(self):
        raise OSError("no network")


class BuiltFromUnknown(GroupTask):
    def requires(self):
        return BuiltUnknown() if self.group == "a" else []

    def output(self):
        return self.result("unknown.txt")

    def make(self, out):
        out.write_text("x")


def test_what_cant_be_asked_fails_what_requires_it_alone(lab):
    assert neuroluigi.build([BuiltFromUnknown("a"), BuiltFromUnknown("b")]) is False
    assert not (lab / "results" / "a" / "unknown.txt").exists() and BuiltFromUnknown("b").complete()


def test_it_leaves_luigi_as_it_was(lab):
    before = luigis_state()
    assert neuroluigi.build([BuiltGroup("a")])
    with pytest.raises(RunStopped):
        neuroluigi.build([BuiltGroup("nobody")])
    assert luigis_state() == before


def test_the_next_one_asks_for_the_status_again(lab):
    assert neuroluigi.build([BuiltStudy()])
    (lab / "results" / "a" / "built.txt").unlink()
    assert neuroluigi.build([BuiltStudy()]) and (lab / "results" / "a" / "built.txt").exists()
    assert plan.status_of(BuiltStudy()).is_complete
