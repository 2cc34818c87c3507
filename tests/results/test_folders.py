"""Folders that are results: their states, and what each command does with them."""

import json
import re
import shutil

import pytest

from neuroluigi.provenance.files import part_path
from neuroluigi.provenance.record import read_record
from tests.conftest import Pipeline
from tests.results.conftest import ask

STEPS = """
class Sort(StudyTask):
    spikes = luigi.IntParameter(default=3)

    def output(self):
        return {
            "sorted": self.result_folder("sorted.zarr", ignore=(".phy/", "phy.log")),
            "summary": self.result("summary.json"),
        }

    def make(self, out):
        folder = out["sorted"]
        assert list(folder.iterdir()) == []
        (folder / "below").mkdir()
        (folder / "spikes.txt").write_text("x" * self.spikes)
        (folder / "below" / "labels.tsv").write_text("good")
        (folder / "values.json").write_text('{"inside": 1}')
        (folder / "phy.log").write_text(f"sorted into {folder}")
        out["summary"].write_text('{"spikes": %d}' % self.spikes)


class Count(StudyTask):
    def requires(self):
        return Sort()

    def output(self):
        return self.result("count.txt")

    def make(self, out):
        folder = self.input()["sorted"].load()
        out.write_text(str((folder / "spikes.txt").stat().st_size))


class AllCounts(WrapperTask):
    def requires(self):
        return Count()
"""


class FolderLab(Pipeline):
    real = True  # `ask` adds no settings

    def __init__(self, folder):
        super().__init__(folder)
        self.add(STEPS)
        (folder / "luigi.cfg").write_text("[neuroluigi]\ntask = AllCounts\n")

    @property
    def sorted(self):
        return self.results / "study" / "sorted.zarr"

    @property
    def record(self):
        return self.results / "study" / "runs" / "Sort.json"

    def go(self, *arguments, code=0):
        """Run the pipeline; return the steps that were made."""
        out = self.run("AllCounts", *arguments, code=code)
        return [step for step in ("Sort", "Count") if re.search(rf"INFO: {step}\(.*\) made in ", out)]

    def status(self):
        """Return the state of Sort, what a run would do about it, and why."""
        (one,) = [
            one for one in json.loads(ask(self, "status", "--json", code=None))["results"] if one["step"] == "Sort"
        ]
        return one["state"], [reason["text"] for reason in one["reasons"]]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    lab = FolderLab(tmp_path_factory.mktemp("folders") / "lab")
    lab.run("AllCounts")
    return lab


@pytest.fixture
def lab(first, tmp_path):
    shutil.copytree(first.folder, tmp_path / "lab")
    copied = object.__new__(FolderLab)
    copied.folder = tmp_path / "lab"
    return copied


def test_a_folder_is_one_result_and_what_it_ignores_is_not_counted(lab):
    described, _ = read_record(lab.record)["outputs"]
    assert (described["path"], described["files"], described["bytes"]) == ("study/sorted.zarr", 3, 3 + 4 + 13)
    assert described["ignore"] == [".phy/", "phy.log"]
    names = [line.split("  ")[1] for line in lab.record.with_suffix(".sha256").read_text().splitlines()]
    assert names == [f"sorted.zarr/{name}" for name in ("below/labels.tsv", "spikes.txt", "values.json")]
    # A viewer leaves its own state, and looks at nothing else.
    (lab.sorted / ".phy" / "cache").mkdir(parents=True)
    (lab.sorted / ".phy" / "cache" / "state.json").write_text("{}")
    (lab.sorted / "phy.log").write_text("opened")
    assert lab.go() == [] and lab.status() == ("done", [])
    assert "all as recorded" in ask(lab, "verify")
    assert "Not ours" not in ask(lab, "status")
    assert "3 files, 20 bytes" in ask(lab, "why", "Sort")
    assert "inside" not in ask(lab, "results", notes=[])


CHANGES = {
    "a file more": (lambda top: (top / "below" / "more.txt").write_text("x"), "changed", "below/more.txt"),
    "a file less": (lambda top: (top / "below" / "labels.tsv").unlink(), "missing", "below/labels.tsv"),
    "another size": (lambda top: (top / "spikes.txt").write_text("xx"), "changed", "spikes.txt"),
    "the same size": (lambda top: (top / "spikes.txt").write_text("xyz"), "changed", "spikes.txt"),
    "a link": (lambda top: (top / "link").symlink_to("/etc/hostname"), "changed", "link"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_modified_and_can_be_accepted(lab, change):
    edit, found, name = CHANGES[change]
    edit(lab.sorted)
    assert lab.status() == ("modified", ["sorted.zarr is not the folder that its run record describes"])
    assert lab.go() == ["Count"]
    assert f"{found}: results/study/sorted.zarr/{name}" in ask(lab, "verify", code=1)
    kept = json.loads(ask(lab, "clean", "--dry-run", "--json"))["left"]
    why = "sorted.zarr is not the folder that its run record describes; --modified removes it too"
    assert {"path": str(lab.sorted), "why": why} in kept
    inside = ask(lab, "accept", "study/sorted.zarr/spikes.txt", "--reason", "curated", code=1)
    assert "is a part of the result" in inside and "sorted.zarr: accept that" in inside
    ask(lab, "accept", "study/sorted.zarr", "--reason", "curated in Phy")
    assert lab.status() == ("done", []) and lab.go() == []
    assert "all as recorded" in ask(lab, "verify")


def test_a_copy_with_other_times_is_the_same(lab):
    for path in lab.sorted.rglob("*"):
        path.touch()
    assert lab.status() == ("done", []) and lab.go() == []


def test_a_folder_that_is_gone_is_made_again_and_equal_contents_stop_the_cascade(lab):
    shutil.rmtree(lab.sorted)
    assert "missing: results/study/sorted.zarr is not there" in ask(lab, "verify", code=1)
    assert lab.status() == ("missing", ["sorted.zarr is not there"])
    assert lab.go() == ["Sort"]
    assert lab.go("--Sort-spikes", "4") == ["Sort", "Count"]
    assert (lab.results / "study" / "count.txt").read_text() == "4"
    assert sorted(path.name for path in lab.sorted.parent.iterdir()) == [
        "count.txt",
        "runs",
        "sorted.zarr",
        "summary.json",
    ]


def test_what_a_viewer_left_goes_with_the_old_folder(lab):
    (lab.sorted / ".phy").mkdir()
    (lab.sorted / ".phy" / "state.json").write_text("{}")
    lab.go("--Sort-spikes", "4")
    assert not (lab.sorted / ".phy").exists()


def test_clean_and_drop_remove_the_folder_and_nothing_that_a_link_leads_to(lab, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept.txt").write_text("kept")
    (lab.sorted / ".phy").mkdir()
    (lab.sorted / ".phy" / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    dropped = json.loads(ask(lab, "drop", "--step", "Sort", "--yes", "--json"))
    assert dropped["dropped"][0]["files"] == [str(lab.sorted), str(lab.sorted.with_name("summary.json"))]
    assert not lab.sorted.exists() and lab.record.exists() and lab.go() == []
    assert "2 more are dropped" in ask(lab, "verify")
    lab.go("--Sort-spikes", "4")
    ask(lab, "clean", "--step", "Sort", "--yes", "--Sort-spikes", "4")
    assert not (lab.results / "study").exists()
    assert (tmp_path / "outside" / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("was", ["file", "folder"])
def test_what_is_of_the_other_kind_is_kept_and_made_again(lab, was):
    path = lab.sorted if was == "file" else lab.sorted.with_name("count.txt")
    if was == "file":
        shutil.rmtree(path)
        path.write_text("by an earlier version")
        assert lab.status() == ("damaged", ["sorted.zarr is a file, and its step makes a folder of that name"])
    else:
        path.unlink()
        path.mkdir()
        (path / "a.txt").write_text("by an earlier version")
    assert lab.go() == ["Sort" if was == "file" else "Count"]
    kept = path.with_name(f"{path.name}.damaged")
    assert (kept if was == "file" else kept / "a.txt").read_text() == "by an earlier version"
    assert "Not ours" not in ask(lab, "status")
    assert lab.go() == []


def test_files_of_a_folder_that_is_made_are_those_of_its_result(lab):
    part = part_path(lab.sorted)
    (part / "below").mkdir(parents=True)
    (part / "below" / "spikes.txt").touch()
    (lab.sorted.parent / "mine.txt").touch()
    ours = json.loads(ask(lab, "status", "--json"))["not_ours"]
    assert [path.split("/")[-1] for path in ours] == ["mine.txt"]


def test_an_empty_folder_is_no_result(lab):
    lab.add(
        "class Nothing(StudyTask):\n    def output(self): return self.result_folder('nothing', ignore='*.log')\n"
        "    def make(self, out):\n        (out / 'a.log').write_text('a')\n        (out / 'below').mkdir()\n"
    )
    assert "nothing is empty" in lab.run("Nothing", code=30)


def test_the_crate_has_a_folder_as_a_dataset(lab):
    ask(lab, "export", "rocrate", notes=[])
    graph = json.loads((lab.results / "ro-crate-metadata.json").read_text())["@graph"]
    (folder,) = [one for one in graph if one["@id"] == "study/sorted.zarr/"]
    assert folder["@type"] == "Dataset" and "3 files, 20 bytes" in folder["description"]
    (root,) = [one for one in graph if one["@id"] == "./"]
    assert {"@id": "study/sorted.zarr/"} in root["hasPart"] and {"@id": "study/runs/Sort.sha256"} in root["hasPart"]
