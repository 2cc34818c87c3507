"""Results of sessions: the commands know their folders as they know those of recordings and of the study."""

import json
import shutil

import pytest

from tests.conftest import Pipeline
from tests.results.conftest import FAKES, ask

STEPS = """
class Counted(SessionTask):
    def requires(self):
        return {group: Aggregate(group) for group in self.groups}

    def output(self):
        return self.result("counted.txt")

    def make(self, out):
        out.write_text(" ".join(self.input()))


class OfAll(StudyTask):
    def requires(self):
        sessions = {recording.session for group in groups().values() for recording in group.recordings}
        return [Counted(session) for session in sorted(sessions)]

    def output(self):
        return self.result("all.txt")

    def make(self, out):
        out.write_text("".join(one.open().read() for one in self.input()))
"""
ROOT = ["--task", "OfAll"]


class SessionLab(Pipeline):
    real = False


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    lab = SessionLab(tmp_path_factory.mktemp("sessions") / "lab")
    lab.add(STEPS)
    lab.run("OfAll", *FAKES)
    return lab


@pytest.fixture
def lab(first, tmp_path):
    shutil.copytree(first.folder, tmp_path / "lab")
    copied = object.__new__(SessionLab)
    copied.folder = tmp_path / "lab"
    return copied


def test_a_session_has_a_row_of_its_own_and_its_groups(lab):
    assert (lab.results / "sessions" / "s" / "counted.txt").read_text() == "s-even s-odd"
    shown = ask(lab, *ROOT, "status")
    assert "sessions/s" in shown and "Not ours" not in shown and "no group" not in shown
    rows = {one["row"]: one["state"] for one in json.loads(ask(lab, *ROOT, "status", "--json"))["results"]}
    assert rows == {"s-even": "done", "s-odd": "done", "sessions/s": "done", "study": "done"}
    assert "sessions/s/counted.txt" in ask(lab, *ROOT, "why", "Counted", "sessions/s")
    assert "for example: neuroluigi why counted sessions/s" in ask(lab, *ROOT, "why", "Counted", code=1).lower()
    ask(lab, *ROOT, "report")
    assert "sessions/s" in (lab.results / "report.html").read_text(encoding="utf-8")


def test_a_changed_file_is_found_and_what_follows_is_made_again(lab):
    path = lab.results / "sessions" / "s" / "counted.txt"
    path.write_text("changed")
    assert "damaged: results/sessions/s/counted.txt has 7 bytes" in ask(lab, "verify", code=1)
    assert "1 OfAll" in lab.run("OfAll", *FAKES)
    assert (lab.results / "study" / "all.txt").read_text() == "changed"


def test_what_is_dropped_is_done_and_what_is_cleaned_is_missing(lab):
    path = lab.results / "sessions" / "s" / "counted.txt"
    ask(lab, *ROOT, "drop", "--step", "Counted", "--yes")
    assert not path.exists()
    assert "Nothing to make" in lab.run("OfAll", *FAKES)
    ask(lab, *ROOT, "clean", "--step", "Counted", "--yes")
    assert "sessions" not in {one.name for one in lab.results.iterdir()}
    assert "1 Counted" in lab.run("OfAll", *FAKES)
    assert path.exists()


def test_a_crate_and_what_is_read_without_the_pipelines_recordings(lab):
    ask(lab, *ROOT, "export", "rocrate")
    crate = json.loads((lab.results / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    assert "sessions/s/counted.txt" in {one["@id"] for one in crate["@graph"]}
    # A step over several groups is made by the last job of a submission, after those of the groups.
    assert "1 Counted" not in lab.run("neuroluigi.Subset", "--of", "OfAll", "--groups", '["s-even", "s-odd"]', *FAKES)
    shutil.rmtree(lab.folder / "recordings")
    assert "sessions/s" in ask(lab, *ROOT, "status", code=1)
    ask(lab, *ROOT, "report")
    assert "sessions/s" in (lab.results / "report.html").read_text(encoding="utf-8")
    ask(lab, "verify")


def test_the_folder_of_a_session_of_before_is_an_orphan(lab):
    shutil.copytree(lab.results / "sessions" / "s", lab.results / "sessions" / "old")
    record = lab.results / "sessions" / "old" / "runs" / "Counted.json"
    record.write_text(record.read_text(encoding="utf-8").replace("sessions/s/", "sessions/old/"), encoding="utf-8")
    listed = ask(lab, *ROOT, "clean", "--orphans", "--dry-run").splitlines()
    assert [line.split()[0] for line in listed[1:-1]] == ["results/sessions/old"]
    ask(lab, *ROOT, "clean", "--orphans", "--yes")
    assert [one.name for one in (lab.results / "sessions").iterdir()] == ["s"]


def test_no_group_has_the_name_of_the_folder(tmp_path):
    lab = SessionLab(tmp_path / "lab")
    for name in ("a", "Sessions"):
        path = tmp_path / "real" / name / "rec_0.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"0123")
    out = lab.run("PlotAll", "--recordings-root", tmp_path / "real", code=None)
    assert "Sessions is kept for what is not a group's" in out
