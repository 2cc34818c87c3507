"""What a result is about, and the folder that follows from it."""

import numpy as np
import pytest

from neuroluigi import GroupTask, RecordingMaker, RecordingTask, SessionTask, StudyTask, WrapperTask, recording_task
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import RunStopped


class KindGroup(GroupTask):
    def requires(self):
        return [recording_task(recording) for recording in self.recordings]

    def output(self):
        return self.result("group.txt")


class KindRecording(RecordingTask):
    def output(self):
        return self.result("recording.txt")


class KindSession(SessionTask):
    def output(self):
        return self.result("session.txt")


class KindStudy(StudyTask):
    def output(self):
        return self.result("study.txt")


class KindNone(Step):
    pass


class KindAll(WrapperTask):
    def requires(self):
        return [KindStudy()]


@pytest.fixture
def real(declare, tmp_path):
    """Two recordings of a group, of 3 and 2 samples of two channels of int16, 100 Hz."""
    for index, samples in enumerate((3, 2)):
        path = tmp_path / "real" / "a" / f"rec_{index}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.zeros((samples, 2), "<i2").tofile(path)
    declare("recordings", root=tmp_path / "real", dtype="int16", channels=2, sampling_rate_hz=100)
    return declare


def test_each_kind_of_step_has_its_folder(real, tmp_path):
    results = tmp_path / "results"
    assert KindGroup("a").folder == results / "a"
    assert KindRecording("a", 1).folder == results / "recordings" / "a" / "1"
    assert KindRecording("a", 1, "left").folder == results / "recordings" / "a" / "1" / "left"
    assert KindSession("a").folder == results / "sessions" / "a"
    assert KindStudy().folder == results / "study"
    assert KindStudy().output().path == str(results / "study" / "study.txt")
    assert KindStudy().record_path == results / "study" / "runs" / "KindStudy.json"
    with pytest.raises(TypeError, match="KindNone is neither a GroupTask, a RecordingTask, a SessionTask nor"):
        _ = KindNone().folder


@pytest.mark.parametrize("step", [lambda: KindGroup("../a"), lambda: KindRecording("a/b", 0), lambda: KindSession("/")])
def test_a_key_that_leads_out_of_the_results_stops_the_run(real, step):
    with pytest.raises(RunStopped):
        _ = step().folder


def test_a_concatenation_has_where_each_recording_begins(real):
    found = KindGroup("a").concatenation()
    assert [(one["first_sample"], one["samples"]) for one in found["recordings"]] == [(0, 3), (3, 2)]
    assert found["segments"] == [0, 3]
    assert (found["dtype"], found["channels"], found["sampling_rate_hz"]) == ("int16", 2, 100)
    real("recordings", contiguous="true")
    assert KindGroup("a").concatenation()["segments"] == [0]


def test_bytes_beyond_the_last_whole_sample_fail_or_are_dropped(real, tmp_path):
    with (tmp_path / "real" / "a" / "rec_1.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(RecordingsError, match=r"rec_1\.bin"):
        KindGroup("a").concatenation()
    real("recordings", partial_sample="drop")
    assert [one["samples"] for one in KindGroup("a").concatenation()["recordings"]] == [3, 2]


def test_an_unknown_group_stops_the_run_with_those_that_there_are(real):
    with pytest.raises(RunStopped, match="there is no group 'b'; the groups are: a"):
        KindGroup("b").requires()


def test_a_recording_is_the_row_of_its_session_and_index(real):
    assert KindRecording("a", 1).recording.path.endswith("rec_1.bin")
    with pytest.raises(RunStopped, match="there is no recording 2 of session 'a'"):
        _ = KindRecording("a", 2).recording


def test_the_groups_of_a_session_are_those_with_recordings_of_it(declare, tmp_path):
    for name in ("a/left_0", "a/right_0", "b/left_0", "c/left_1"):
        path = tmp_path / "real" / f"{name}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123")
    declare("recordings", root=tmp_path / "real", pattern="{session}/{side}_{index}.bin", group_by="side")
    assert list(KindSession("a").groups) == ["left", "right"]
    assert [one.session for one in KindSession("b").groups["left"].recordings] == ["a", "b", "c"]
    with pytest.raises(RunStopped, match="there is no session 'd'; the sessions are: a, b, c"):
        _ = KindSession("d").groups
    assert KindSession("a").recordings_problem() == ""


def test_nothing_is_made_among_real_recordings(real):
    class KindMaker(RecordingMaker):
        pass

    with pytest.raises(RunStopped, match="would write among real recordings"):
        _ = KindMaker("a", 0).folder


def test_recordings_are_made_by_session_and_index(declare, tmp_path):
    class KindOtherMaker(RecordingMaker):
        pass

    maker = KindOtherMaker("s", 2)
    assert maker.output().path == str(tmp_path / "recordings" / "s" / "rec_2.bin")
    assert maker.record_path.name == "KindOtherMaker-2.json"
    rows = [dict(row) for row in KindOtherMaker("", 0, sessions=("s", "t"), count=2).declared()]
    assert [row["path"] for row in rows] == ["s/rec_0.bin", "s/rec_1.bin", "t/rec_0.bin", "t/rec_1.bin"]


def test_a_wrapper_is_complete_when_all_is_that_it_requires(declare, tmp_path):
    assert not KindAll().complete()
    (tmp_path / "results" / "study").mkdir(parents=True)
    (tmp_path / "results" / "study" / "study.txt").write_text("by hand")
    assert KindAll().complete()  # without a record it is taken as done
    declare("results", trust_existing="true")
    assert KindAll().complete()
    (tmp_path / "results" / "study" / "study.txt").unlink()
    assert not KindAll().complete()
