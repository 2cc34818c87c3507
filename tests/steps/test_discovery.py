"""Today's recordings and groups, as the settings declare them."""

import json
import sys
from pathlib import Path

import luigi
import pytest

import neuroluigi
from neuroluigi import ExistingRecording, GroupTask, RecordingMaker, WrapperTask, recording_task
from neuroluigi.recordings import groups as recordings_groups
from neuroluigi.steps import discovery, two_processes
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.discovery import (
    check_results_root,
    find_recording,
    groups,
    notes_on_recordings,
    one_look,
    only_looking,
)
from tests.recordings.test_found import write_run


def define_maker():
    """Define a class of steps that make recordings, as tasks.py does."""

    class DiscoveredMaker(RecordingMaker):
        sessions = luigi.ListParameter(default=("s", "t"), significant=False)
        count = luigi.IntParameter(default=3, significant=False)

    return DiscoveredMaker


def write_recordings(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"0123")


def test_recordings_that_are_made_are_grouped_by_session_and_parity(declare):
    define_maker()
    found = groups()
    assert {key: [one.index for one in group.recordings] for key, group in found.items()} == {
        "s-even": [0, 2],
        "s-odd": [1],
        "t-even": [0, 2],
        "t-odd": [1],
    }


def test_existing_recordings_are_found_by_the_pattern_and_grouped_by_session(declare, tmp_path):
    write_recordings(tmp_path / "real", ["b/rec_0.bin", "a/rec_1.bin", "a/rec_0.bin", "a/notes.txt"])
    declare("recordings", root=tmp_path / "real")
    assert {key: [one.index for one in group.recordings] for key, group in groups().items()} == {"a": [0, 1], "b": [0]}
    assert find_recording("a", 1, "").path == str(tmp_path / "real" / "a" / "rec_1.bin")
    with pytest.raises(RunStopped, match="there is no recording 7 of session 'a'; see: neuroluigi recordings"):
        find_recording("a", 7, "")


def test_the_last_class_that_is_defined_provides_a_recording(declare, tmp_path):
    maker = define_maker()
    made = groups()["s-odd"].recordings[0]
    assert recording_task(made) == maker("s", 1)
    write_recordings(tmp_path / "real", ["a/rec_0.bin"])
    declare("recordings", root=tmp_path / "real")
    existing = groups()["a"].recordings[0]
    assert type(recording_task(existing)) is ExistingRecording

    class DiscoveredRecording(ExistingRecording):
        pass

    task = recording_task(existing)
    assert type(task) is DiscoveredRecording and task.output().path == str(tmp_path / "real" / "a" / "rec_0.bin")


def test_a_run_searches_once(declare, command_line, tmp_path):
    write_recordings(tmp_path / "real", ["a/rec_0.bin"])
    command_line("recordings", "--recordings-root", tmp_path / "real")
    assert list(groups()) == ["a"]
    write_recordings(tmp_path / "real", ["b/rec_0.bin"])
    assert list(groups()) == ["a"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="nothing is forked here")
@pytest.mark.parametrize("least, shared", [(5, [5]), (6, [])])
def test_a_run_shares_many_recordings_with_a_second_process(command_line, tmp_path, monkeypatch, least, shared):
    write_recordings(tmp_path / "real", [f"a/rec_{index}.bin" for index in range(5)])
    numbers, by_two = [], two_processes.by_two

    def counting(items, work):
        numbers.append(len(items))
        return by_two(items, work)

    monkeypatch.setattr(two_processes, "_SMALL_WORTH_SHARING", least)
    monkeypatch.setattr(two_processes, "by_two", counting)
    monkeypatch.setattr(two_processes.os, "cpu_count", lambda: 2)
    command_line("recordings", "--recordings-root", tmp_path / "real")
    assert [one.index for one in groups()["a"].recordings] == [0, 1, 2, 3, 4] and numbers == shared


@pytest.fixture
def searches(monkeypatch, tmp_path):
    """Return a function that returns the groups that each search found since the last call, in all processes."""
    log = tmp_path / "searches.txt"

    def find_groups(*arguments):
        found = recordings_groups.find_groups(*arguments)
        with log.open("a") as file:
            file.write(f"{' '.join(found)}\n")
        return found

    def searches():
        found = log.read_text().splitlines()
        log.write_text("")
        return found

    monkeypatch.setattr(discovery, "find_groups", find_groups)
    return searches


class Sizes(GroupTask):
    def requires(self):
        return [recording_task(recording) for recording in self.recordings]

    def output(self):
        return self.result("sizes.txt")

    def make(self, out):
        out.write_text(str([Path(one.path).stat().st_size for one in self.input()]))


class AllSizes(WrapperTask):
    def requires(self):
        return [Sizes(group) for group in groups()]


def test_without_a_run_each_call_searches_once_and_sees_what_is_there_then(declare, searches, tmp_path):
    write_recordings(tmp_path / "real", ["a/rec_0.bin", "b/rec_0.bin", "c/rec_0.bin"])
    declare("recordings", root=tmp_path / "real")
    assert not AllSizes().complete() and searches() == ["a b c"]
    write_recordings(tmp_path / "real", ["d/rec_0.bin"])
    assert list(groups()) == ["a", "b", "c", "d"]
    with one_look():
        assert groups() is groups()
        write_recordings(tmp_path / "real", ["e/rec_0.bin"])
        assert "e" not in groups()
    assert "e" in groups() and searches() == ["a b c d", "a b c d", "a b c d e"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("build", [luigi.build, neuroluigi.build])
def test_a_build_searches_once_and_the_next_one_again(declare, searches, tmp_path, build, workers):
    declare("recordings", root=tmp_path / "real")
    for session, found in (("a", "a"), ("b", "a b"), ("c", "a b c")):
        write_recordings(tmp_path / "real", [f"{session}/rec_0.bin"])
        assert build([AllSizes()], workers=workers, local_scheduler=True, log_level="WARNING")
        assert searches() == [found]
        assert (tmp_path / "results" / session / "sizes.txt").read_text() == "[4]"


def test_settings_that_name_nothing_stop_the_run_in_one_line(declare, tmp_path):
    declare("recordings", root=tmp_path / "nowhere")
    with pytest.raises(RunStopped) as stopped:
        groups()
    assert str(stopped.value).startswith("luigi: ") and "nowhere" in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_results_among_the_recordings_are_refused_before_anything_is_written(declare, tmp_path):
    write_recordings(tmp_path / "real", ["a/rec_0.bin"])
    declare("recordings", root=tmp_path / "real")
    declare("results", root=tmp_path / "real")
    with pytest.raises(RunStopped, match="real"):
        check_results_root()
    declare("results", root=tmp_path / "results")
    check_results_root()
    assert not (tmp_path / "results").exists()


def test_without_the_recordings_the_groups_are_those_of_the_results(declare, tmp_path, caplog):
    layout = {
        "dtype": "uint8",
        "channels": 1,
        "recordings": [{"session": "a", "index": 3, "path": "a/rec_3.bin", "first_sample": 0, "samples": 4}],
        "segments": [0],
        "excluded": [],
    }
    record = {"schema": 1, "step": "Aggregate", "facts": {"layout": layout}}
    (tmp_path / "results" / "a" / "runs").mkdir(parents=True)
    (tmp_path / "results" / "a" / "runs" / "Aggregate.json").write_text(json.dumps(record))
    declare("recordings", root=tmp_path / "unplugged")
    found = groups()
    assert [(one.session, one.index) for one in found["a"].recordings] == [("a", 3)]
    assert "unplugged is not there; the groups are those of the results" in caplog.text


def test_what_is_doubtful_is_logged_by_runs_and_only_noted_by_looks(declare, tmp_path, caplog):
    write_recordings(tmp_path / "real", ["a/rec_0.bin"])
    (tmp_path / "more.csv").write_text("session,subject\na,x\nb,y\n")
    declare("recordings", root=tmp_path / "real", metadata=tmp_path / "more.csv")
    with one_look(), only_looking():
        assert list(groups()) == ["a"]
        (note,) = notes_on_recordings()
    assert note.startswith("metadata of no recording: session=b") and note not in caplog.text
    groups()
    assert caplog.text.count(note) == 1
    # Another search of the same run.
    groups()
    assert caplog.text.count(note) == 1


def test_of_many_notes_the_first_are_logged(declare, tmp_path, caplog):
    for n in range(8):
        write_run(tmp_path / "real" / f"{n}", f"m_g{n}_t0.imec0.ap", start=None)
    declare("recordings", root=tmp_path / "real")
    groups()
    assert caplog.text.count("has no firstSample") == 5
    assert "and 3 more warnings about recordings; see: neuroluigi recordings" in caplog.text
    assert len(notes_on_recordings()) == 8
