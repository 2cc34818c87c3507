"""Reruns that are right: every state of the design's table, through the real `luigi` command."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from neuroluigi.provenance.checksums import Checksums
from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.record import read_record
from tests.conftest import BIN, Pipeline, needs_octave
from tests.lab import Lab, nothing


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def lab(tmp_path, request):
    made = Lab(tmp_path / "lab")
    made.workers = request.param
    return made


@pytest.fixture
def done(lab):
    made, unchanged, _ = lab.go()
    assert made == {"FakeRecording": 2, "Aggregate": 2, "Stats": 2, "Edges": 2, "Plot": 2} and not unchanged
    return lab


def test_a_second_run_makes_nothing(done):
    assert nothing(done.go()) and not done.changed


@pytest.mark.parametrize(
    "name, made, unchanged",
    [
        ("recordings/s/rec_0.bin", "FakeRecording", "Aggregate Stats Edges Plot"),
        ("results/s-even/aggregate.bin", "Aggregate", "Stats Edges Plot"),
        ("results/s-even/aggregate.json", "Aggregate", "Stats Edges Plot"),
        ("results/s-even/stats.json", "Stats", "Edges Plot"),
        ("results/s-even/edges.npy", "Edges", "Plot"),
        ("results/s-even/plot.png", "Plot", ""),
    ],
)
def test_a_deleted_file_is_made_again_and_nothing_else(done, name, made, unchanged):
    (done.folder / name).unlink()
    outcome = done.go()
    assert outcome[:2] == ({made: 1}, dict.fromkeys(unchanged.split(), 1))
    assert f"Made: 1 {made}." in outcome[2]
    assert all(path.startswith(("results/s-even/aggregate", name)) for path in done.changed)
    assert nothing(done.go())


def test_a_changed_threshold_remakes_edges_and_plots_alone(done):
    made, unchanged, out = done.go("--Edges-threshold", "0.6")
    assert made == {"Edges": 2, "Plot": 2} and not unchanged
    made, unchanged, out = done.go()
    assert made == {"Edges": 2, "Plot": 2}
    assert out.splitlines()[0] == "WARNING: Edges: 2 made with threshold 0.6, now 0.75"
    config = done.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("threshold = 0.75", "threshold = 0.5"))
    made, unchanged, out = done.go()
    assert made == {"Edges": 2, "Plot": 2} and "made with threshold 0.75, now 0.5" in out
    assert nothing(done.go())


def test_a_changed_description_of_the_recordings_remakes_what_rests_on_it(done):
    made, _, out = done.go("--recordings-sampling-rate-hz", "100")
    # The bytes of the aggregate are the same, its description is not.
    assert made == {"Aggregate": 2, "Stats": 2, "Edges": 2, "Plot": 2}
    assert "Aggregate: 2 made with layout.sampling_rate_hz not set, now 100.0" in out


def test_damaged_results_are_kept_aside_and_made_again(done):
    folder = done.results / "s-even"
    before = done.files()
    (folder / "stats.json").write_text('{"count": 100, "min"')
    os.truncate(folder / "aggregate.bin", 50)
    np.save(folder / "edges.npy", np.zeros((100, 2)))
    (folder / "edges.npy").write_bytes((folder / "edges.npy").read_bytes()[:-8])
    made, _, _ = done.go()
    assert {"Aggregate": 1, "Stats": 1, "Edges": 1}.items() <= made.items()
    assert (folder / "stats.json.damaged").read_text() == '{"count": 100, "min"'
    assert (folder / "aggregate.bin.damaged").stat().st_size == 50 and (folder / "edges.npy.damaged").exists()
    after = {name: done.files()[name] for name in before}
    assert after == before and nothing(done.go())


def test_an_edited_result_is_taken_as_done_and_what_rests_on_it_is_remade(done):
    edges = done.results / "s-even" / "edges.npy"
    np.save(edges, np.array([[1, 0]] * 100, dtype="<i8"))
    mine = edges.read_bytes()
    made, _, out = done.go()
    assert made == {"Plot": 1} and edges.read_bytes() == mine
    assert "Modified by hand, taken as done: results/s-even/edges.npy" in out
    # Not even a changed parameter overwrites it.
    made, _, out = done.go("--Edges-threshold", "0.6")
    assert made == {"Edges": 1, "Plot": 1} and edges.read_bytes() == mine
    edges.unlink()
    made, _, out = done.go()
    assert made["Edges"] == 2 and "Edited" not in out


def test_a_result_without_a_record_is_taken_as_done_and_said_so(done):
    (done.results / "s-even" / "runs" / "Stats.json").unlink()
    outcome = done.go()
    assert nothing(outcome) and "Untracked (without a run record), taken as done: 1 Stats." in outcome[2]


@pytest.mark.parametrize("record", ["Stats.json", "Aggregate.json"])
def test_a_broken_record_counts_as_none(done, record):
    (done.results / "s-even" / "runs" / record).write_text('{"step": ')
    assert nothing(done.go())


def test_touching_everything_makes_nothing(done):
    for path in done.folder.rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))
    assert nothing(done.go())


def test_copied_to_another_folder_nothing_is_made(lab, tmp_path):
    lab.make_real()
    lab.go()
    elsewhere = Lab(tmp_path / "elsewhere")
    elsewhere.real, elsewhere.workers = True, lab.workers
    for name in ("real", "results"):
        # New times, as a plain copy makes them.
        shutil.copytree(lab.folder / name, elsewhere.folder / name, copy_function=shutil.copyfile)
    assert nothing(elsewhere.go()) and (elsewhere.results / ".checksums.jsonl").is_file()
    (elsewhere.results / ".checksums.jsonl").unlink()
    assert nothing(elsewhere.go())


def test_a_replaced_recording_remakes_its_group_alone(lab):
    lab.make_real()
    lab.go()
    (lab.folder / "real" / "a" / "rec_1.bin").write_bytes(os.urandom(80))
    made, unchanged, _ = lab.go()
    assert made == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1} and not unchanged
    assert {path.split("/")[1] for path in lab.changed} == {"a"}


def test_an_added_recording_remakes_its_group_alone(lab):
    lab.make_real()
    lab.go()
    (lab.folder / "real" / "b" / "rec_2.bin").write_bytes(os.urandom(80))
    made, _, _ = lab.go()
    assert made == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1}
    assert {path.split("/")[1] for path in lab.changed} == {"b"}


@pytest.mark.parametrize("has_table", [False, True])
def test_a_recording_that_is_gone_leaves_the_results_alone_until_told(lab, has_table):
    lab.make_real()
    if has_table:
        rows = [f"{s},{i},{s}/rec_{i}.bin" for s in "ab" for i in range(2)]
        (lab.folder / "real" / "recordings.csv").write_text("\n".join(["session,index,path", *rows]) + "\n")
    lab.go()
    (lab.folder / "real" / "a" / "rec_0.bin").unlink()
    outcome = lab.go()
    assert nothing(outcome) and "rec_0.bin is not there any more" in outcome[2]
    assert "--recordings-allow-missing true" in outcome[2]
    (lab.results / "a" / "stats.json").unlink()
    assert lab.go()[0] == {"Stats": 1}, "what can be made from the results that stay is made"
    made, _, _ = lab.go("--recordings-allow-missing", "true")
    assert made == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1}
    assert (lab.results / "a" / "aggregate.bin").stat().st_size == 60


def test_a_recording_left_out_remakes_its_group(lab):
    lab.make_real()
    table = lab.folder / "real" / "recordings.csv"
    rows = [f"{s},{i},{s}/rec_{i}.bin," for s in "ab" for i in range(2)]
    table.write_text("\n".join(["session,index,path,use", *rows]) + "\n")
    lab.go()
    table.write_text(table.read_text().replace("a/rec_1.bin,", "a/rec_1.bin,no"))
    made, _, _ = lab.go()
    assert made == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1}


@needs_octave
def test_changed_m_files_are_reported_and_remade_when_told(lab):
    lab.engine = "octave"
    lab.go()
    source = lab.folder / "matlab" / "openFile.m"
    source.write_text(source.read_text() + "% another remark\n")
    outcome = lab.go()
    assert nothing(outcome)
    line = next(line for line in outcome[2].splitlines() if line.startswith("Outdated"))
    assert "6 (2 Aggregate: matlab/openFile.m changed" in line and "--results-rerun-on inputs,parameters,code" in line
    made, unchanged, out = lab.go("--results-rerun-on", "inputs,parameters,code")
    # The new code makes the same bytes.
    assert made == {"Aggregate": 2, "Stats": 2, "Edges": 2} and unchanged == {"Plot": 2}
    assert nothing(lab.go()) and "Outdated" not in out
    # A file that no step calls is no reason.
    source = lab.folder / "matlab" / "readEdges.m"
    source.write_text(source.read_text() + "% another remark\n")
    assert "Outdated" not in lab.go()[2]


@needs_octave
def test_another_engine_under_auto_is_no_reason_and_by_name_it_is_reported(lab):
    lab.go()
    lab.engine = "auto"
    outcome = lab.go()
    assert nothing(outcome) and "Outdated" not in outcome[2]
    lab.engine = "octave"
    outcome = lab.go()
    assert nothing(outcome) and "engine numpy, now octave" in outcome[2]
    made, _, _ = lab.go("--results-rerun-on", "inputs,parameters,tools")
    assert made["Stats"] == 2


def test_changed_python_of_a_step_is_reported_and_remade_when_told(done):
    tasks = done.folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace("title=self.group", "title=self.group.upper()"))
    outcome = done.go()
    assert nothing(outcome) and "2 Plot: tasks.py:Plot changed" in outcome[2]
    with (done.folder / "luigi.cfg").open("a") as config:
        config.write("\n[Plot]\nrerun_on = inputs, parameters, code\n")
    assert done.go()[0] == {"Plot": 2}


def test_trust_existing_is_luigis_own_rule(done):
    (done.results / "s-even" / "stats.json").unlink()
    (done.results / "s-odd" / "plot.png").unlink()
    made, _, _ = done.go("--results-trust-existing", "true", "--Edges-threshold", "0.1")
    assert made == {"Plot": 1}


def test_an_interrupted_commit_is_finished_by_the_next_run(done):
    folder = done.results / "s-even"
    record = read_record(folder / "runs" / "Stats.json")
    stat = (folder / "stats.json").stat()
    part = folder / "stats.part-elsewhere-1-0.json"
    (folder / "stats.json").rename(part)
    rename = {"part": f"../{part.name}", "final": "../stats.json", "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    write_json(folder / "runs" / "Stats.pending.json", {**record, "renames": [rename]})
    (folder / "runs" / "Stats.json").unlink()
    made, unchanged, _ = done.go()
    assert not made and unchanged["Stats"] == 1
    assert (folder / "stats.json").is_file() and read_record(folder / "runs" / "Stats.json") == record


def test_two_tasks_with_one_file_and_different_parameters_are_refused(pipeline):
    tasks = pipeline.folder / "tasks.py"
    tasks.write_text(
        tasks.read_text()
        + """
class Both(WrapperTask):
    def requires(self):
        return [Edges("a-even", threshold=0.5), Edges("a-even", threshold=0.6)]
"""
    )
    out = pipeline.run("Both", "--matlab-engine", "numpy", code=1)
    assert "both make" in out and "edges.npy" in out and "Traceback" not in out
    assert not pipeline.results.exists()


def test_a_cycle_is_refused(pipeline):
    (pipeline.folder / "tasks.py").write_text(
        """
from neuroluigi import StudyTask

class A(StudyTask):
    def requires(self): return B()
    def output(self): return self.result("a")

class B(StudyTask):
    def requires(self): return A()
    def output(self): return self.result("b")
"""
    )
    out = pipeline.run("A", code=1)
    assert "requires itself" in out and "Traceback" not in out


def test_a_diamond_of_many_layers_is_looked_at_once_per_result(pipeline):
    (pipeline.folder / "tasks.py").write_text(
        """
import luigi
from neuroluigi import StudyTask, state

asked = 0
judge = state.check_result
def counting(*args):
    global asked
    asked += 1
    return judge(*args)
state.check_result = counting

class Layer(StudyTask):
    depth = luigi.IntParameter()
    side = luigi.Parameter()
    @property
    def record_path(self):
        return self.folder / "runs" / f"{self.depth}{self.side}.json"
    def requires(self):
        return [Layer(self.depth - 1, side) for side in "ab"] if self.depth else []
    def output(self):
        return self.result(f"{self.depth}{self.side}.txt")
    def make(self, out):
        out.write_text("x")
"""
    )
    began = time.monotonic()
    pipeline.run("Layer", "--depth", "12", "--side", "a")
    out = pipeline.run("Layer", "--depth", "12", "--side", "a")
    assert "Nothing to make" in out and time.monotonic() - began < 60
    code = "import tasks; done = tasks.Layer(12, 'a').complete(); print(done, tasks.asked)"
    done = subprocess.run([sys.executable, "-c", code], cwd=pipeline.folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "25"]


def test_records_of_the_old_results_survive_a_failure(done):
    record = (done.results / "s-even" / "runs" / "Edges.json").read_text()
    before = (done.results / "s-even" / "edges.npy").read_bytes()
    tasks = done.folder / "tasks.py"
    tasks.write_text(
        tasks.read_text().replace("numpy_function = standins.find_rising_edges", "numpy_function = standins.no_such")
    )
    done.run("PlotAll", code=None)
    tasks.write_text(
        tasks.read_text().replace("numpy_function = standins.no_such", "numpy_function = lambda *arguments: 1 / 0")
    )
    _, _, out = done.go("--Edges-threshold", "0.6", code=30)
    assert "ZeroDivisionError" in out
    assert (done.results / "s-even" / "runs" / "Edges.json").read_text() == record
    assert (done.results / "s-even" / "edges.npy").read_bytes() == before
    assert (
        json.loads((done.results / "s-even" / "runs" / "Edges.failed.json").read_text())["parameters"]["threshold"]
        == 0.6
    )


def test_what_is_edited_does_not_hide_what_is_to_be_made_below_it(done):
    plot = done.results / "s-even" / "plot.png"
    plot.write_bytes(plot.read_bytes()[:-12] + b"remark" + plot.read_bytes()[-12:])
    (done.results / "s-odd" / "runs" / "Plot.json").unlink()
    for group in ("s-even", "s-odd"):
        (done.results / group / "stats.json").unlink()
    assert done.go()[0] == {"Stats": 2}
    assert nothing(done.go())


def test_facts_that_changed_are_seen_while_an_input_is_still_to_be_made(done):
    (done.folder / "recordings" / "s" / "rec_0.bin").unlink()
    rate = ("--recordings-sampling-rate-hz", "100")
    made, _, out = done.go(*rate)
    assert made == {"FakeRecording": 1, "Aggregate": 2, "Stats": 2, "Edges": 2, "Plot": 2}
    assert "Aggregate: 2 made with layout.sampling_rate_hz not set, now 100.0" in out
    assert nothing(done.go(*rate))


def test_json_of_another_shape_is_damaged(done):
    stats = done.results / "s-even" / "stats.json"
    stats.write_text("3" + " " * stats.stat().st_size)
    assert done.go()[0] == {"Stats": 1}


def test_an_interrupted_commit_that_was_copied_is_finished(done):
    folder = done.results / "s-even"
    record = read_record(folder / "runs" / "Stats.json")
    stat = (folder / "stats.json").stat()
    rename = {"part": "../stats.part-x-1-0.json", "final": "../stats.json"}
    rename |= {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    write_json(folder / "runs" / "Stats.pending.json", {**record, "renames": [rename]})
    (folder / "runs" / "Stats.json").unlink()
    os.utime(folder / "stats.json", (1, 1))
    assert not done.go()[0]
    assert read_record(folder / "runs" / "Stats.json") == record


def test_an_edited_result_whose_recording_is_gone_is_what_the_next_steps_go_by(lab):
    lab.make_real()
    lab.go()
    layout = lab.results / "a" / "aggregate.json"
    layout.write_text(json.dumps({**json.loads(layout.read_text()), "sampling_rate_hz": 10.0}) + " " * 500)
    (lab.folder / "real" / "a" / "rec_0.bin").unlink()
    assert lab.go()[0] == {"Stats": 1, "Edges": 1, "Plot": 1}
    assert nothing(lab.go())


@pytest.mark.parametrize("name", ["Stats.json", "Stats.pending.json", "Stats.failed.json"])
def test_a_malformed_file_of_one_step_stops_nobody(done, name):
    (done.results / "s-even" / "runs" / name).write_text('{"schema": 1, "inputs": 5, "error": 5}')
    assert subprocess.run([BIN / "neuroluigi", "status"], cwd=done.folder, capture_output=True).returncode in (0, 1)
    _, _, out = done.go()
    assert "Traceback" not in out and "Failed" not in out
    assert nothing(done.go()) or "Without a run record" in out


def test_a_malformed_cache_of_checksums_is_no_damage(done):
    lines = ["5", '[["a"], 1, 2, "x"]', '["a", 1, 2]', '["a", "b", 2, 3]', "null"]
    (done.results / ".checksums.jsonl").write_text("\n".join(lines))
    (done.results / "s-even" / "stats.json").touch()
    assert nothing(done.go())


def test_reading_again_is_told_with_the_reason_once_and_how_far_it_is(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Checksums, "_TELL_SECONDS", -1)
    for name in "ab":
        (tmp_path / name).write_bytes(bytes(3 << 20))
    checksums = Checksums(tmp_path)
    with caplog.at_level("WARNING", "luigi-interface"):
        checksums.of(str(tmp_path / "a"))
        checksums.of(str(tmp_path / "b"))
        checksums.of(str(tmp_path / "a"))
    assert caplog.text.count("whose size or time is not as recorded") == 1
    assert [line.split("WARNING")[1].split()[1] for line in caplog.text.splitlines()[1:]] == ["0.0"] * 5


def test_a_clash_is_refused_though_it_hides_under_what_is_done(tmp_path):
    lab = Pipeline(tmp_path)
    (tmp_path / "tasks.py").write_text(
        """
import luigi
from neuroluigi import StudyTask, WrapperTask
class Low(StudyTask):
    level = luigi.IntParameter()
    def output(self): return self.result("low.txt")
    def make(self, out): out.write_text(str(self.level))
class High(StudyTask):
    level = luigi.IntParameter()
    filename_parameters = ("level",)
    def requires(self): return Low(self.level)
    def output(self): return self.result(f"high-{self.level}.txt")
    def make(self, out): out.write_text("x")
class Both(WrapperTask):
    def requires(self): return [High(1), High(2)]
"""
    )
    lab.run("High", "--level", "1")
    before = lab.files()
    out = lab.run("Both", code=1)
    assert "both make" in out and "low.txt" in out and lab.files() == before
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "real" / "a" / "rec_0.bin").write_bytes(b"x")
    command = [BIN / "neuroluigi", "--task", "Both", "status", "--recordings-root", "real"]
    asked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert asked.returncode == 1 and "both make" in asked.stderr and "Traceback" not in asked.stderr


def test_results_that_would_share_a_record_are_refused_until_told_apart(tmp_path):
    lab = Pipeline(tmp_path)
    tasks = """
import luigi
from neuroluigi import StudyTask, WrapperTask
class Of(StudyTask):
    n = luigi.IntParameter()
    def output(self): return self.result(f"of-{self.n}.txt")
    def make(self, out): out.write_text(str(self.n))
class All(WrapperTask):
    def requires(self): return [Of(1), Of(2)]
"""
    (tmp_path / "tasks.py").write_text(tasks)
    out = lab.run("All", code=1)
    assert "would share the run record" in out and "filename_parameters = ('NAME',)" in out and not lab.files()
    (tmp_path / "tasks.py").write_text(
        tasks.replace("    def output", "    filename_parameters = ('n',)\n    def output")
    )
    lab.run("All", "--workers", "2")
    assert "Nothing to make" in lab.run("All")
    assert {path.name for path in (lab.results / "study" / "runs").glob("*.json")} == {"Of-1.json", "Of-2.json"}


def test_status_follows_luigis_own_rule_when_told(done):
    trust = ["--results-trust-existing", "true", "--Edges-threshold", "0.1"]
    (done.results / "s-even" / "plot.png").unlink()
    (done.results / "s-odd" / "aggregate.bin").unlink()
    command = [BIN / "neuroluigi", "status", "--FakeRecording-sessions", "s", "--FakeRecording-count", "2", *trust]
    asked = subprocess.run([*command, "--json"], cwd=done.folder, capture_output=True, text=True)
    todo = {(one["row"], one["step"]): one["todo"] for one in json.loads(asked.stdout)["results"] if one["todo"]}
    # The plot of s-odd is there, so nobody asks for what is below it.
    assert todo == {("s-even", "Plot"): "make"}
    made, _, out = done.go(*trust)
    assert made == {"Plot": 1} and "made with" not in out


def test_what_is_gone_with_its_recordings_is_not_called_there(done):
    done.make_real()
    done.go()
    (done.folder / "real" / "a" / "rec_0.bin").unlink()
    (done.results / "a" / "aggregate.bin").unlink()
    _, _, out = done.go()
    assert "everything is there" not in out and "a/rec_0.bin is not there any more" in out
    assert "aggregate.bin is not there" in out
    asked = subprocess.run(
        [BIN / "neuroluigi", "status", "--recordings-root", "real"], cwd=done.folder, capture_output=True, text=True
    )
    assert asked.returncode == 1 and "1/2" in asked.stdout and "aggregate.bin is not there" in asked.stdout


def test_results_without_their_recordings_are_looked_at_and_left_alone(done):
    done.make_real()
    done.go()
    (done.folder / "real").rename(done.folder / "elsewhere")
    made, unchanged, out = done.go()
    assert not made and not unchanged and "real is not there; the groups are those of the results" in out
    for command in (["status"], ["results", "--csv"], ["events", "a", "--csv"], ["why", "Stats", "a"]):
        asked = subprocess.run(
            [BIN / "neuroluigi", *command, "--recordings-root", "real"], cwd=done.folder, capture_output=True, text=True
        )
        assert "Traceback" not in asked.stderr and len(asked.stdout.splitlines()) > 1, asked
