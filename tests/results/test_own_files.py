"""What other programs and people leave among the results is no result: no command takes it for one, or touches it."""

import csv
import io
import json
import shutil
import socket

import numpy as np
import pytest

from neuroluigi.provenance.record import read_record
from neuroluigi.results.own_files import not_ours
from neuroluigi.steps.overview import PlannedFiles
from tests.lab import Lab
from tests.results.conftest import ask, everything

# What programs leave beside a file: AppleDouble, Syncthing, Dropbox, OneDrive, editors, office programs, Google Drive.
COPIES = (
    "._{0}",
    ".syncthing.{0}.tmp",
    "{1}.sync-conflict-20240501-120000-ABCDEFG{2}",
    "{1} (conflicted copy){2}",
    "{1} (ada's conflicted copy 2024-05-01){2}",
    "{1}-LAPTOP{2}",
    "{1} (1){2}",
    "{0}~",
    ".{0}.swp",
    "#{0}#",
    "~${0}",
    "{1} - Copy{2}",
)
ALONE = (".DS_Store", "Thumbs.db", "desktop.ini", ".fuse_hidden0000", "notes.txt", "mean.json")
APPLE_DOUBLE = b"\0\5\26\7\0\2\0\0Mac OS X        "


def scatter(lab):
    """Leave copies of every result and record, whole and as AppleDouble; return what was left, with its content."""
    left = {}
    for path in sorted(lab.results.rglob("*")):
        if not path.is_file() or path.name == ".lock" or path.parent.name == ".runs":
            continue
        for pattern in COPIES:
            copy = path.with_name(pattern.format(path.name, path.stem, path.suffix))
            left[copy] = APPLE_DOUBLE if pattern.startswith("._") else path.read_bytes()
    for folder in {path.parent for path in left}:
        left |= {folder / name: b'{"mean": [5], "other": 7}' for name in ALONE}
    events = io.BytesIO()
    np.save(events, np.zeros((3, 2), np.int64))
    left[lab.results / "s-even" / "others.npy"] = events.getvalue()
    for path, content in left.items():
        path.write_bytes(content)
    return left


@pytest.fixture
def outputs(lab):
    """Return a function that gives what the commands say of the results."""

    def ask_all():
        return {
            "table": ask(lab, "results", "--csv"),
            "events": ask(lab, "events", "s-even", "--csv"),
            "states": json.loads(ask(lab, "status", "--json"))["results"],
            "verify": ask(lab, "verify"),
            "plan": json.loads(ask(lab, "clean", "--dry-run", "--json"))["removed"],
            "crate": ask(lab, "export", "rocrate"),
            "entities": json.loads((lab.results / "ro-crate-metadata.json").read_text())["@graph"],
        }

    return ask_all


def test_no_command_takes_a_foreign_file_for_a_result(lab, outputs):
    before = outputs()
    left = scatter(lab)
    assert len(left) > 300
    assert outputs() == before
    ask(lab, "report")
    page = (lab.results / "report.html").read_text()
    assert "All 10 results are done" in page and "other</button>" not in page and "conflict" not in page
    assert all(path.read_bytes() == content for path, content in left.items())
    lab.go()
    assert all(path.read_bytes() == content for path, content in left.items())


def test_status_lists_them_once(lab):
    assert "Not ours" not in ask(lab, "status") and json.loads(ask(lab, "status", "--json"))["not_ours"] == []
    (lab.results / "s-even" / "stats (conflicted copy).json").write_text("{}")
    line = "\n\nNot ours, left alone: 1 file or folder: results/s-even/stats (conflicted copy).json\n"
    assert ask(lab, "status").endswith(line)
    left = {*scatter(lab), lab.results / "s-even" / "stats (conflicted copy).json"}
    assert {*json.loads(ask(lab, "status", "--json"))["not_ours"]} == {str(path) for path in left}
    out = ask(lab, "status")
    (line,) = [line for line in out.splitlines() if line.startswith("Not ours")]
    assert line.startswith(f"Not ours, left alone: {len(left)} files or folders, such as results/")
    assert line.count(", ") == 4 and out.count("#run.json#") == 1


def test_what_the_package_itself_leaves_is_ours(lab):
    stats = lab.results / "s-even" / "stats.json"
    stats.write_text("{")
    lab.override("Plot", "def make(self, out):\n    1 / 0")
    (lab.results / "s-odd" / "plot.png").unlink()
    lab.go(code=30)
    assert stats.with_name("stats.json.damaged").exists() and (lab.results / "s-odd/runs/Plot.failed.log").exists()
    ask(lab, "report")
    ask(lab, "export", "rocrate")
    (lab.results / "s-even" / "runs" / f"Edges.part-{socket.gethostname()}-4000000-0.log").write_text("at work")
    # A result of a step that is not in the pipeline any more.
    shutil.copy(stats, stats.with_name("old.json"))
    record = json.loads((lab.results / "s-even" / "runs" / "Stats.json").read_text())
    record |= {"step": "Old", "log": "Old.log", "outputs": [{**record["outputs"][0], "path": "s-even/old.json"}]}
    (lab.results / "s-even" / "runs" / "Old.json").write_text(json.dumps(record))
    # A file that a step of today made until its output() was changed.
    shutil.copy(stats, stats.with_name("former.txt"))
    path = lab.results / "s-even" / "runs" / "Edges.json"
    record = json.loads(path.read_text())
    record["outputs"].append({**record["outputs"][0], "path": "s-even/former.txt"})
    path.write_text(json.dumps(record))
    assert json.loads(ask(lab, "status", "--json", code=1))["not_ours"] == []
    rows = list(csv.DictReader(io.StringIO(ask(lab, "results", "--where", "group=s-even", "--csv"))))
    assert rows[0]["old.mean"] == rows[0]["stats.mean"] != ""


def test_a_copy_of_a_whole_folder_is_no_result_and_its_original_is_not_cleaned(lab):
    shutil.copytree(lab.results / "s-even", lab.results / "s-even copy")
    shutil.copytree(lab.results / "s-even", lab.results / ".stversions" / "s-even")
    before = everything(lab)
    assert "Nothing to be removed" in ask(lab, "clean", "--orphans", "--yes") and everything(lab) == before
    out = ask(lab, "status")
    assert (
        "of no group" not in out
        and "files or folders, such as results/.stversions, results/s-even copy/aggregate.bin" in out
    )
    assert ask(lab, "verify").startswith("12 files, ")


def test_without_the_recordings_the_groups_are_those_of_the_results_and_not_of_copies(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.make_real()
    lab.go()
    shutil.rmtree(lab.folder / "real")
    real = ("--recordings-root", "real", "--matlab-engine", "numpy")
    before = json.loads(ask(lab, "recordings", "--json", *real, notes=[]))
    assert before.keys() == {"a", "b"}
    shutil.copytree(lab.results / "a", lab.results / "a copy")
    record = (lab.results / "a" / "runs" / "Aggregate.json").read_text()
    for name in ("Aggregate.sync-conflict-20240501-120000-ABCDEFG.json", "Aggregate-LAPTOP.json"):
        (lab.results / "a" / "runs" / name).write_text(record.replace('"uint8"', '"int16"'))
    assert json.loads(ask(lab, "recordings", "--json", *real, notes=[])) == before


def test_records_count_by_the_name_that_they_gave_themselves(lab):
    runs = lab.results / "s-even" / "runs"
    whole = (runs / "Stats.json").read_text()
    assert json.loads(whole)["log"] == "Stats.log"
    for name in ("Stats (copy).json", "Stats-2.json", "Stat.json"):
        (runs / name).write_text(whole)
    (runs / "Stats.failed (1).json").write_text('{"schema": 2, "error": "so", "log": "Stats.failed.log"}')
    (runs / "Stats copy.failed.json").write_text('{"schema": 2, "error": "so", "log": "Stats.failed.log"}')
    removed = json.loads(ask(lab, "clean", "--group", "s-even", "--dry-run", "--json"))["removed"]
    assert sorted(one["record"].rpartition("/")[2] for one in removed) == [
        "Aggregate.json",
        "Edges.json",
        "Plot.json",
        "Stats.json",
    ]
    assert "all as recorded" in ask(lab, "verify")
    # One of a step of today counts whatever is in it, and one that can't be read by its name.
    (runs / "Stats.json").write_text("{")
    (runs / "._Stats.json").write_text("{")
    assert ask(lab, "verify", code=1).startswith("unreadable: results/s-even/runs/Stats.json is no run record")
    assert read_record(runs / "._Stats.json") is None


def test_without_the_pipeline_records_alone_say_what_is_a_result(lab, tmp_path):
    before = ask(lab, "verify").replace("results/", "")
    scatter(lab)
    shutil.move(lab.results, tmp_path / "elsewhere")
    lab.folder = tmp_path / "empty"
    lab.folder.mkdir()
    lab.real = True
    out = ask(lab, "verify", "--results-root", tmp_path / "elsewhere")
    # Without the pipeline nothing is known of recordings that it made.
    assert out.startswith("10 files, ") and out.endswith(": all as recorded.\n") and before.startswith("12 files")


def test_not_ours_is_nothing_where_there_are_no_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not_ours(PlannedFiles()) == []
