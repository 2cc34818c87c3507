"""A step of a lab's own on a bad recording fails with its reason, as Aggregate does; it never runs on what is left."""

import json

import pytest

from tests import commands
from tests.commands import BIN, clean_environment
from tests.conftest import Pipeline

STEPS = """
class OfGroup(GroupTask):
    # Its group's recordings, and a result beside them.
    def requires(self):
        return [*(recording_task(one) for one in self.recordings), Settings()]

    def output(self):
        return self.result("of_group.txt")

    def make(self, out):
        out.write_text(f"{len(self.input())} inputs\\n")

class Alone(GroupTask):
    # It requires nothing, and reads what it likes.
    def output(self):
        return self.result("alone.txt")

    def make(self, out):
        out.write_text("made\\n")

class OfRecording(RecordingTask):
    def requires(self):
        return recording_task(self.recording)

    def output(self):
        return self.result("size.txt")

    def make(self, out):
        out.write_text("made\\n")

class AllRecordings(WrapperTask):
    def requires(self):
        return [recording_task(one) for group in groups().values() for one in group.recordings]

class OfStudy(StudyTask):
    # All recordings, in a wrapper.
    def requires(self):
        return AllRecordings()

    def output(self):
        return self.result("of_study.txt")

    def make(self, out):
        out.write_text("made\\n")

class Settings(StudyTask):
    def output(self):
        return self.result("settings.txt")

    def make(self, out):
        out.write_text("made\\n")

class All(WrapperTask):
    def requires(self):
        every = [OfRecording(*one.identity) for group in groups().values() for one in group.recordings]
        return [OfStudy(), *every, *(step(group) for group in groups() for step in (OfGroup, Alone))]
"""

# Two bytes a sample: the second file of bad ends in the middle of one.
REASON = "bad/rec_1.bin has 61 bytes, header 0 bytes; that is not a whole number of samples of 2 bytes"
FAILED = {"OfGroup(group=bad)", "Alone(group=bad)", "OfRecording(session=bad, index=1)", "OfStudy()"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Pipeline:
    pipeline = Pipeline(tmp_path_factory.mktemp("bad") / "lab")
    pipeline.add(STEPS)
    for session, sizes in {"good": (60, 60), "bad": (60, 61)}.items():
        for index, size in enumerate(sizes):
            path = pipeline.folder / "real" / session / f"rec_{index}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(size))
    return pipeline


SETTINGS = ["--recordings-root", "real", "--recordings-dtype", "int16"]


@pytest.fixture(scope="module")
def out(lab) -> str:
    return lab.run("All", *SETTINGS, code=30)


def test_each_step_that_needs_the_bad_recording_fails_with_its_reason(lab, out):
    failed = [line for line in out.splitlines() if line.startswith("ERROR: ")]
    assert {line.removeprefix("ERROR: ").split(": ")[0] for line in failed} == FAILED
    assert all(REASON in line for line in failed)


def test_what_does_not_need_it_is_made(lab, out):
    made = {str(path.relative_to(lab.results)) for path in lab.results.rglob("*.txt")}
    assert made == {
        "good/of_group.txt",
        "good/alone.txt",
        "recordings/good/0/size.txt",
        "recordings/good/1/size.txt",
        "recordings/bad/0/size.txt",
        "study/settings.txt",
    }
    assert (lab.results / "good" / "of_group.txt").read_text() == "3 inputs\n"


def test_when_it_is_repaired_and_breaks_again(lab, out):
    bad = lab.folder / "real" / "bad" / "rec_1.bin"
    bad.write_bytes(bytes(62))
    lab.run("All", *SETTINGS)
    bad.write_bytes(bytes(63))
    command = [BIN / "neuroluigi", "--task", "All", "status", "--json", *SETTINGS]
    status = commands.run(command, cwd=lab.folder, env=clean_environment(), capture_output=True, check=False)
    reasons = {one["task"]: one["reasons"] for one in json.loads(status.stdout)["results"] if one["state"] == "stale"}
    assert set(reasons) == FAILED
    assert all("63 bytes" in str(one) for one in reasons.values())
    assert "has 63 bytes" in lab.run("All", *SETTINGS, code=30)
