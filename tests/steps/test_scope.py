"""Which group a task belongs to."""

from pathlib import Path

import luigi
import pytest

from neuroluigi import GroupTask, RecordingTask, SessionTask, StudyTask, WrapperTask, groups, recording_task
from neuroluigi.steps.scope import (
    NO_GROUP,
    SEVERAL,
    folders_of_groups,
    group_of,
    groups_of_recordings,
    owners,
    recording_of,
)


class ScopeGain(RecordingTask):
    def requires(self):
        return recording_task(self.recording)


class ScopeGroup(GroupTask):
    def requires(self):
        return [ScopeGain(*one.identity) for one in self.recordings]


class ScopeOfOne(StudyTask):
    def requires(self):
        return ScopeGroup("a")


class ScopeStudy(StudyTask):
    def requires(self):
        return [ScopeGroup(group) for group in groups()]


class ScopeOwnNames(GroupTask):
    """A step for a group whose parameters have the names of those of a recording."""

    session = luigi.Parameter(default="b")
    index = luigi.IntParameter(default=0)


class ScopeOfStudy(StudyTask):
    group = luigi.Parameter(default="a")
    session = luigi.Parameter(default="a")
    index = luigi.IntParameter(default=0)


class ScopeOfSession(SessionTask):
    """A step for a session whose other parameters have the names of those of a recording."""

    group = luigi.Parameter(default="a")
    index = luigi.IntParameter(default=0)

    def requires(self):
        return [ScopeGroup(group) for group in self.groups]


class ScopeNothing(luigi.Task):
    pass


class ScopeAll(WrapperTask):
    def requires(self):
        return [ScopeStudy(), ScopeOfOne(), ScopeNothing()]


@pytest.fixture
def real(declare, tmp_path) -> Path:
    """Recordings of two groups, a with two and b with one."""
    for name in ("a/rec_0.bin", "a/rec_1.bin", "b/rec_0.bin"):
        (tmp_path / "real" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "real" / name).write_bytes(b"0123")
    declare("recordings", root=tmp_path / "real")
    return tmp_path


def test_a_task_is_of_its_own_group_or_of_that_of_its_recording(real):
    of_recording = groups_of_recordings()
    assert of_recording == {("a", 0, ""): "a", ("a", 1, ""): "a", ("b", 0, ""): "b"}
    assert group_of(ScopeGroup("b"), of_recording) == "b"
    assert group_of(ScopeGain("a", 1), of_recording) == "a"
    assert group_of(ScopeGain("a", 9), of_recording) == group_of(ScopeStudy(), of_recording) == NO_GROUP


def test_a_task_without_a_group_is_of_the_one_that_it_requires(real):
    found = [(task.task_family, task.param_kwargs.get("session"), group) for task, group in owners(ScopeAll())]
    by_family = {family: group for family, _, group in found if family != "ScopeGroup"}
    assert by_family["ScopeOfOne"] == "a" and by_family["ScopeStudy"] == by_family["ScopeAll"] == SEVERAL
    assert by_family["ScopeNothing"] == NO_GROUP
    assert [group for family, _, group in found if family == "ScopeGroup"].count("a") == 1
    assert {(session, group) for family, session, group in found if family == "ScopeGain"} == {("a", "a"), ("b", "b")}


def test_parameters_of_a_steps_own_may_have_any_name(real):
    of_recording = groups_of_recordings()
    step = ScopeOwnNames("a")
    assert group_of(step, of_recording) == "a" and recording_of(step) is None and step.folder == real / "results" / "a"
    assert group_of(ScopeOfStudy(), of_recording) == NO_GROUP and recording_of(ScopeOfStudy()) is None
    session = ScopeOfSession("a")
    assert group_of(session, of_recording) == NO_GROUP and recording_of(session) is None
    assert dict(owners(session))[session] == "a"
    assert recording_of(ScopeGain("a", 1)) == ("a", 1, "")


def test_a_task_comes_after_what_it_requires(real):
    order = [task for task, _ in owners(ScopeAll())]
    assert len(order) == len(set(order)) == 12
    assert all(
        order.index(below) < order.index(task) for task in order for below in luigi.task.flatten(task.requires())
    )
    assert order[-1] == ScopeAll()


def test_what_tasks_of_other_groups_need_is_left_out(real):
    inside = {str(task) for task, _ in owners(ScopeStudy(), within={"b"})}
    assert str(ScopeGroup("a")) in inside and str(ScopeGain("a", 0)) not in inside
    assert str(ScopeGain("b", 0)) in inside


def test_every_folder_of_results_has_its_group(real):
    root = real / "results"
    assert folders_of_groups() == {
        root / "study": "",
        root / "sessions" / "a": "",
        root / "sessions" / "b": "",
        root / "a": "a",
        root / "b": "b",
        root / "recordings" / "a" / "0": "a",
        root / "recordings" / "a" / "1": "a",
        root / "recordings" / "b" / "0": "b",
    }
