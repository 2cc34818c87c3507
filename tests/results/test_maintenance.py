"""Cleaning, freeing, accepting and verifying results, through the real commands."""

import json
import os
import shutil

import numpy as np
import pytest

from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.record import read_record, timestamp
from tests import commands
from tests.conftest import BIN, OF_THE_RUN, clean_environment
from tests.lab import Lab, nothing
from tests.results.conftest import FAKES, ask, everything


def removed_by(before, after):
    assert all(after[name] == before[name] for name in after)
    return sorted(before.keys() - after.keys())


def test_clean_removes_a_step_and_what_depends_on_it_and_a_run_makes_exactly_that(lab):
    before = everything(lab)
    answer = json.loads(ask(lab, "clean", "--step", "Edges", "--group", "s-even", "--yes", "--json"))
    names = ["edges.npy", "plot.png", "runs/Edges.json", "runs/Edges.log", "runs/Plot.json"]
    assert removed_by(before, everything(lab)) == [f"results/s-even/{name}" for name in names]
    assert {(one["step"], one["group"]) for one in answer["removed"]} == {("Edges", "s-even"), ("Plot", "s-even")}
    assert answer["bytes"] == sum(len(before[f"results/s-even/{name}"]) for name in names[:2])
    assert answer["left"] == [] and not answer["dry_run"]
    made, unchanged, _ = lab.go()
    assert made == {"Edges": 1, "Plot": 1} and not unchanged
    assert everything(lab).keys() == before.keys()


def test_clean_lists_asks_and_refuses_where_nobody_can_be_asked(lab):
    before = everything(lab)
    assert "add --yes or --dry-run" in ask(lab, "clean", code=1)
    out = ask(lab, "clean", "--step", "Stats", "--dry-run")
    assert [line.split()[:3] for line in out.splitlines()[1:-1]] == [
        [f"results/s-{parity}", step, file]
        for parity in ("even", "odd")
        for step, file in (("Edges", "edges.npy"), ("Plot", "plot.png"), ("Stats", "stats.json"))
    ]
    assert "Would be removed: 6 results" in out and everything(lab) == before


@pytest.mark.parametrize("typed, is_removed", [("n", False), ("", False), ("y", True)])
def test_clean_asks_at_a_terminal_and_takes_nothing_but_y_for_yes(lab, typed, is_removed):
    pty = pytest.importorskip("pty")
    before = everything(lab)
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{typed}\n".encode())
    done = commands.run(
        [BIN / "neuroluigi", "clean", "--step", "Edges", "--group", "s-even", *FAKES],
        cwd=lab.folder,
        env=clean_environment(),
        stdin=terminal,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    os.close(keyboard)
    os.close(terminal)
    assert "2 results, " in done.stdout and "will be removed. Go on? [y/N]" in done.stdout
    gone = {name.split("/")[-1] for name in removed_by(before, everything(lab))}
    if is_removed:
        assert done.returncode == 0 and "Removed: 2 of 2 results" in done.stdout
        assert gone == {"edges.npy", "plot.png", "Edges.json", "Edges.log", "Plot.json"}
    else:
        assert done.returncode == 1 and "Aborted" in done.stderr and not gone


def test_clean_removes_all_but_recordings_and_leaves_no_empty_folder(lab):
    before = everything(lab)
    out = ask(lab, "clean", "--yes")
    assert "Removed: 8 of 8 results" in out
    assert list(everything(lab)) == [name for name in before if name.startswith("recordings/")]
    assert {path.name for path in lab.results.iterdir()} - {".checksums.jsonl"} == {*OF_THE_RUN}
    assert "Nothing to be removed" in ask(lab, "clean")
    assert lab.go()[0] == {"Aggregate": 2, "Stats": 2, "Edges": 2, "Plot": 2}


def test_recordings_that_a_step_made_go_when_it_is_named(lab):
    (lab.folder / "recordings" / "s" / "mine.bin").write_bytes(b"mine")
    (lab.folder / "recordings" / "s" / "rec_1.bin").write_bytes(b"put here by hand")
    assert "rec_1.bin is not the file" in ask(lab, "clean", "--step", "FakeRecording", "--yes")
    names = [name for name in everything(lab) if "/runs/" not in name]
    assert sorted(names) == ["recordings/s/mine.bin", "recordings/s/rec_1.bin"]


def test_real_recordings_are_not_touched(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.make_real()
    lab.go()
    # Not even by a record that names one of them.
    path = lab.results / "a" / "runs" / "Plot.json"
    record = read_record(path)
    record["outputs"].append(record["inputs"][0] | {"root": "recordings", "path": "a/rec_0.bin"})
    write_json(path, record)
    before = {path: path.read_bytes() for path in (lab.folder / "real").rglob("*.bin")}
    real = ["--recordings-root", "real"]
    assert "which is not among the results" in ask(lab, "clean", "--yes", *real)
    assert "there is no step 'FakeRecording'" in ask(lab, "clean", "--step", "FakeRecording", "--yes", *real, code=1)
    assert {path: path.read_bytes() for path in (lab.folder / "real").rglob("*") if path.is_file()} == before
    assert (lab.results / "a" / "plot.png").exists() and not (lab.results / "b").exists()


def test_what_lies_behind_a_link_is_not_removed(lab, tmp_path):
    far = tmp_path / "far"
    far.mkdir()
    (far / "data.bin").write_bytes(b"precious")
    (lab.results / "link").symlink_to(far)
    path = lab.results / "s-even" / "runs" / "Stats.json"
    record = read_record(path)
    stat = (far / "data.bin").stat()
    for place in ("link/data.bin", "link/../../far/data.bin"):
        record["outputs"] = [{**record["outputs"][0], "path": place, "bytes": 8, "mtime_ns": stat.st_mtime_ns}]
        write_json(path, record)
        out = ask(lab, "clean", "--step", "Stats", "--group", "s-even", "--yes")
        assert "which is not among the results" in out and (far / "data.bin").exists()


@pytest.mark.parametrize("linked", ["s-odd", "s-odd/runs", "s-odd/stats.json"])
def test_a_link_below_the_results_is_listed_and_not_followed(lab, tmp_path, linked):
    (lab.results / linked).rename(tmp_path / "disk")
    (lab.results / linked).symlink_to(tmp_path / "disk")
    before = everything(lab), read_tree(tmp_path / "disk")
    out = ask(lab, "clean", "--step", "Stats", "--group", "s-odd", "--yes")
    assert f"(results/{linked} is a link, which is not followed)" in out and "0 of" not in out
    ask(lab, "drop", "--step", "Stats", "--group", "s-odd", "--yes")
    reason = ["--reason", "mine"]
    assert "is a link, which is not followed" in ask(lab, "accept", "s-odd/stats.json", *reason, code=1)
    stats = {f"results/s-odd/{name}" for name in ("stats.json", "runs/Stats.json", "runs/Stats.log")}
    assert stats & before[0].keys() <= everything(lab).keys() and read_tree(tmp_path / "disk") == before[1]


def test_the_folder_of_results_itself_may_be_a_link(lab, tmp_path):
    lab.results.rename(tmp_path / "disk")
    lab.results.symlink_to(tmp_path / "disk")
    assert "Removed: 4 of 4 results" in ask(lab, "clean", "--group", "s-odd", "--yes")
    assert not (tmp_path / "disk" / "s-odd").exists()


def read_tree(top):
    return {path: path.read_bytes() for path in (top, *top.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("to", ["results/s-odd-backup", "results/inner/s-odd", "results/s-odd/copy"])
def test_a_copied_folder_of_results_speaks_of_nothing(lab, to):
    before = everything(lab)
    shutil.copytree(lab.results / "s-odd", lab.folder / to)
    copied = everything(lab)
    for arguments in (["clean", "--orphans", "--yes"], ["clean", "--step", "Edges", "--group", "s-even", "--yes"]):
        ask(lab, *arguments)
    gone = removed_by(copied, everything(lab))
    assert gone and all(name.startswith("results/s-even/") for name in gone)
    lab.go()
    assert before.keys() <= everything(lab).keys()
    assert "all as recorded" in ask(lab, "verify")


def test_a_folder_copied_over_that_of_another_group_leaves_the_other_alone(lab):
    live = {name: one for name, one in everything(lab).items() if name.startswith("results/s-odd/")}
    shutil.rmtree(lab.results / "s-even")
    shutil.copytree(lab.results / "s-odd", lab.results / "s-even")
    assert "outside: results/s-even/runs/Stats.json names" in ask(lab, "verify", code=1)
    out = ask(lab, "clean", "--group", "s-even", "--yes", "--modified")
    assert "which is not among the results of its folder" in out and "Nothing to be removed" in out
    assert live.items() <= everything(lab).items()


def test_a_record_above_the_folders_of_groups_speaks_of_none_of_them(lab):
    (lab.results / "runs").mkdir()
    record = read_record(lab.results / "s-odd" / "runs" / "Stats.json")
    write_json(lab.results / "runs" / "Stats.json", record)
    live = everything(lab)
    ask(lab, "clean", "--orphans", "--yes", "--modified")
    assert everything(lab) == live


def test_edited_and_unknown_files_are_kept_and_named(lab):
    folder = lab.results / "s-even"
    np.save(folder / "edges.npy", np.zeros((50, 2), "<i8"))
    (folder / "notes.txt").write_text("mine")
    (folder / "runs" / "Stats.json").write_text("{broken")
    out = ask(lab, "clean", "--yes")
    left = [line for line in out.splitlines() if line.startswith("left")]
    names = ("edges.npy", "notes.txt", "runs/Stats.json", "runs/Stats.log", "stats.json")
    assert [line.split()[1] for line in left] == [f"results/s-even/{name}" for name in names]
    assert "--modified removes it too" in left[0] and "no run record names it" in left[1]
    assert {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"} == {
        *(name.split("/")[-1] for name in names),
        "Edges.json",
        "Edges.log",
    }
    ask(lab, "clean", "--yes", "--modified")
    assert not (folder / "edges.npy").exists() and (folder / "notes.txt").read_text() == "mine"


def test_clean_removes_notes_of_failures_and_leaves_an_interrupted_commit(lab):
    runs = lab.results / "s-odd" / "runs"
    (lab.results / "s-odd" / "plot.png").unlink()
    (runs / "Plot.json").unlink()
    (runs / "Plot.failed.json").write_text('{"schema": 1, "step": "Plot", "error": "so"}')
    (runs / "Plot.failed.log").write_text("so")
    shutil.copy(runs / "Stats.json", runs / "Stats.pending.json")
    out = ask(lab, "clean", "--yes")
    assert "a commit was interrupted" in out
    assert sorted(path.name for path in (lab.results / "s-odd").rglob("*.*") if path.name != ".lock") == [
        "Stats.json",
        "Stats.log",
        "Stats.pending.json",
        "stats.json",
    ]


def test_a_step_that_is_not_below_the_root_is_known_by_its_record(lab):
    lab.add(
        """
class Rate(GroupTask):
    def requires(self):
        return Edges(self.group)
    def output(self):
        return self.result("rate.txt")
    def make(self, out):
        out.write_text("1")

class Means(StudyTask):
    def requires(self):
        return [Rate(group) for group in groups()]
    def output(self):
        return self.result("means.csv")
    def make(self, out):
        out.write_text("1")
"""
    )
    lab.run("Means", *FAKES)
    answer = json.loads(ask(lab, "clean", "--step", "Edges", "--dry-run", "--json"))
    found = sorted((one["step"], one["group"]) for one in answer["removed"])
    rest = [(step, f"s-{parity}") for step in ("Edges", "Plot", "Rate") for parity in ("even", "odd")]
    assert found == sorted([("Means", ""), *rest])


def test_orphans_are_removed_only_when_told(lab):
    shutil.copytree(lab.results / "s-odd", lab.results / "old")
    for path in (lab.results / "old" / "runs").glob("*.json"):
        record = path.read_text().replace('"s-odd/', '"old/')
        path.write_text(record)
    (lab.results / "mine").mkdir()
    (lab.results / "mine" / "notes.txt").write_text("mine")
    before = everything(lab)
    assert "8 results" in ask(lab, "clean", "--dry-run")
    assert "there is no folder without a group 's-odd'" in ask(lab, "clean", "--orphans", "--group", "s-odd", code=1)
    assert "Removed: 4 of 4" in ask(lab, "clean", "--orphans", "--yes")
    assert {name.split("/")[1] for name in removed_by(before, everything(lab))} == {"old"}
    assert not (lab.results / "old").exists() and (lab.results / "mine" / "notes.txt").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["clean", "--step", "Edgs"], "no step 'Edgs'; did you mean Edges? The steps are: Aggregate, Edges"),
        (["clean", "--group", "s-evn"], "no group 's-evn'; did you mean s-even? The groups are: s-even, s-odd"),
        (["drop", "--step", "Agregate"], "did you mean Aggregate?"),
        (["drop", "--step", "Aggregate", "--group", "x"], "no group 'x'"),
        (["drop", "--step", "FakeRecording"], "FakeRecording makes recordings"),
        (["drop", "--step", "Plot"], "no step needs Plot"),
        (["accept", "--reason", "x", "--", "--results-root"], "the file comes first"),
        (["accept", "s-even/edgs.npy", "--reason", "x"], "s-even/edgs.npy is not there"),
        (["accept", "s-even/edges.npy", "--reason", "x"], "is not modified, its state is: done"),
        (["accept", "luigi.cfg", "--reason", "x"], "is of no step below PlotAll"),
        (["verify", "--results-root", "resuls", "--recordings-root", "x"], "there are no run records in"),
    ],
)
def test_a_mistake_is_one_line(first, arguments, message):
    assert message in ask(first, *arguments, code=1)


def test_freed_results_are_done_and_made_again_when_a_step_needs_them(lab):
    before = everything(lab)
    size = sum(len(before[f"results/s-even/aggregate.{kind}"]) for kind in ("bin", "json"))
    out = ask(lab, "drop", "--step", "Aggregate", "--group", "s-even", "--dry-run")
    assert f"Would be dropped: 1 results, {size} bytes" in out and everything(lab) == before
    answer = json.loads(ask(lab, "drop", "--step", "Aggregate", "--group", "s-even", "--yes", "--json"))
    assert answer["bytes"] == size and [one["step"] for one in answer["dropped"]] == ["Aggregate"]
    assert before.keys() - everything(lab).keys() == {"results/s-even/aggregate.bin", "results/s-even/aggregate.json"}
    assert read_record(lab.results / "s-even" / "runs" / "Aggregate.json")["dropped"] <= timestamp()
    assert "Nothing to be dropped" in ask(lab, "drop", "--step", "Aggregate", "--group", "s-even")
    assert nothing(lab.go())
    assert "2 more are dropped: all as recorded" in ask(lab, "verify")
    # A file that was deleted by hand is made again, and so is what it needs; and nothing else.
    (lab.results / "s-even" / "plot.png").unlink()
    made, unchanged, _ = lab.go()
    assert made == {"Aggregate": 1, "Plot": 1} and unchanged == {"Stats": 1, "Edges": 1}
    assert "dropped" not in read_record(lab.results / "s-even" / "runs" / "Aggregate.json")
    assert lab.files() == {name[8:]: content for name, content in before.items() if name[8:] in lab.files()}
    assert nothing(lab.go())


def test_what_is_freed_serves_every_look(lab):
    edges = ask(lab, "events", "s-even", "--csv")
    ask(lab, "drop", "--step", "Aggregate", "--yes")
    assert ask(lab, "events", "s-even", "--csv") == edges and len(edges.splitlines()) > 1
    assert "✓ done" in ask(lab, "status") and "make" not in ask(lab, "status")
    # What needs it has it made first, and status says so beforehand.
    (lab.results / "s-even" / "edges.npy").unlink()
    out = ask(lab, "status", code=1)
    assert "make: 1 Aggregate: done, it is dropped, and Edges needs it (s-even)" in out
    assert "it is dropped" in ask(lab, "why", "Aggregate", "s-even", code=1)
    made, unchanged, _ = lab.go()
    assert made == {"Aggregate": 1, "Edges": 1} and unchanged == {"Stats": 1, "Plot": 1}


def test_a_freed_result_that_comes_back_different_is_told_and_followed(lab):
    ask(lab, "drop", "--step", "Aggregate", "--group", "s-even", "--yes")
    standins = lab.folder / "standins.py"
    standins.write_text(
        "import neuroluigi.signals.numpy_functions\n"
        "def concatenate(files, out, *rest):\n"
        "    neuroluigi.signals.numpy_functions.concatenate_files(files, out, *rest)\n"
        "    out.write_bytes(out.read_bytes()[::-1])\n"
    )
    lab.override("Aggregate", "from standins import concatenate as numpy_function")
    (lab.results / "s-even" / "plot.png").unlink()
    assert "maybe, if aggregate.bin or aggregate.json changes: 1 Stats" in ask(lab, "status", code=1)
    made, unchanged, _ = lab.go()
    assert made == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1} and not unchanged
    assert nothing(lab.go())


def test_freed_results_are_made_again_when_their_input_changed(lab):
    ask(lab, "drop", "--step", "Aggregate", "--yes")
    made, _, _ = lab.go("--recordings-sampling-rate-hz", "100")
    assert made == {"Aggregate": 2, "Stats": 2, "Edges": 2, "Plot": 2}


def test_what_is_not_done_or_could_not_be_made_again_is_not_freed(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.make_real()
    lab.go()
    real = ["--recordings-root", "real"]
    (lab.results / "b" / "aggregate.bin").write_bytes(os.urandom(120))
    out = ask(lab, "drop", "--step", "Aggregate", "--yes", *real)
    assert "Aggregate.json (modified: aggregate.bin is not the file" in out and "1 of 1 results" in out
    (lab.folder / "real" / "a" / "rec_0.bin").unlink()
    out = ask(lab, "drop", "--step", "Stats", "--group", "a", "--yes", *real)
    assert "it could not be made again: what Aggregate(group=a" in out and (lab.results / "a" / "stats.json").exists()


def test_results_of_recordings_that_it_is_not_told_of_are_no_orphans(lab):
    lab.make_real()
    lab.go()
    out = ask(lab, "clean", "--orphans", "--yes", code=1)
    assert out == "neuroluigi: the last run on these results had --recordings-root real; give it here too\n"
    assert (lab.results / "a" / "plot.png").exists()
