"""The states in runs of the real `luigi`: what is made, what is left alone, and what is printed of it.

Each state by itself, with its reasons, is in test_state.py.
"""

import json
import os
import shutil
from collections import Counter

import numpy as np
import pytest

from neuroluigi.provenance.files import write_json
from neuroluigi.provenance.record import read_record
from tests import commands
from tests.conftest import BIN, REPOSITORY, needs_octave
from tests.lab import Lab, nothing
from tests.results.conftest import FAKES


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("states") / "lab")
    made, unchanged, _ = lab.go()
    assert made == {"FakeRecording": 2, "Aggregate": 2, "Stats": 2, "Edges": 2, "Plot": 2} and not unchanged
    return lab


@pytest.fixture
def done(first, tmp_path) -> Lab:
    """Two groups of fake recordings of which all is made."""
    return first.copied_to(tmp_path / "lab")


@pytest.fixture(scope="module")
def first_real(tmp_path_factory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("real") / "lab")
    lab.make_real()
    lab.go()
    return lab


@pytest.fixture
def real(first_real, tmp_path) -> Lab:
    """Two groups of two recordings each, a and b, of which all is made."""
    copied = first_real.copied_to(tmp_path / "lab")
    copied.real = True
    return copied


def write_table(lab: Lab, *columns: str) -> None:
    """Write a table of the real recordings, with further columns that are blank."""
    rows = [",".join([s, str(i), f"{s}/rec_{i}.bin", *("" for _ in columns)]) for s in "ab" for i in range(2)]
    table = "\n".join([",".join(["session", "index", "path", *columns]), *rows]) + "\n"
    (lab.folder / "real" / "recordings.csv").write_text(table)


@pytest.mark.parametrize("workers", [1, 2])
def test_second_run_makes_nothing(done, workers):
    done.workers = workers
    assert nothing(done.go()) and not done.changed


@pytest.mark.parametrize("workers", [1, 2])
def test_deleted_file_is_made_again_and_nothing_else(done, workers):
    """In each run one file of each group is deleted; what depends on it is unchanged, and so not made."""
    done.workers = workers
    cases = [
        ("recordings/s/rec_0.bin", "results/s-odd/plot.png", ["FakeRecording", "Plot"], "Aggregate Stats Edges Plot"),
        ("results/s-even/aggregate.bin", "results/s-odd/edges.npy", ["Aggregate", "Edges"], "Stats Edges Plot Plot"),
        (
            "results/s-even/aggregate.json",
            "results/s-odd/stats.json",
            ["Aggregate", "Stats"],
            "Stats Edges Edges Plot Plot",
        ),
    ]
    for even, odd, made, unchanged in cases:
        for name in (even, odd):
            (done.folder / name).unlink()
        outcome = done.go()
        assert outcome[:2] == (dict(Counter(made)), dict(Counter(unchanged.split())))
        assert f"Made: 1 {made[0]}, 1 {made[1]}." in outcome[2]
        assert all(path.startswith(("results/s-even/aggregate", even, odd)) for path in done.changed)
    assert nothing(done.go())


def test_changed_threshold_remakes_edges_and_plots_alone(done):
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


def test_changed_fingerprint_is_found_once_an_input_that_was_still_to_be_made_is_there(done):
    (done.folder / "recordings" / "s" / "rec_0.bin").unlink()
    rate = ("--recordings-sampling-rate-hz", "100")
    made, _, out = done.go(*rate)
    assert made == {"FakeRecording": 1, "Aggregate": 2, "Stats": 2, "Edges": 2, "Plot": 2}
    assert "Aggregate: 1 made with layout.sampling_rate_hz not set, now 100.0" in out
    assert nothing(done.go(*rate))


def test_damaged_results_are_kept_aside_and_made_again(done):
    folder = done.results / "s-even"
    before = done.files()
    (folder / "stats.json").write_text('{"count": 100, "min"')
    os.truncate(folder / "aggregate.bin", 50)
    np.save(folder / "edges.npy", np.zeros((100, 2)))
    (folder / "edges.npy").write_bytes((folder / "edges.npy").read_bytes()[:-8])
    # Whole JSON, of another shape, and as long as recorded.
    other = done.results / "s-odd" / "stats.json"
    other.write_text("3" + " " * other.stat().st_size)
    made, _, _ = done.go()
    assert {"Aggregate": 1, "Stats": 2, "Edges": 1}.items() <= made.items()
    assert (folder / "stats.json.damaged").read_text() == '{"count": 100, "min"'
    assert (folder / "aggregate.bin.damaged").stat().st_size == 50 and (folder / "edges.npy.damaged").exists()
    after = {name: done.files()[name] for name in before}
    assert after == before and nothing(done.go())


@pytest.mark.parametrize("workers", [1, 2])
def test_modified_result_is_taken_as_done_and_what_depends_on_it_is_made_again(done, workers):
    done.workers = workers
    edges = done.results / "s-even" / "edges.npy"
    np.save(edges, np.array([[1, 0]] * 100, dtype="<i8"))
    mine = edges.read_bytes()
    made, _, out = done.go()
    assert made == {"Plot": 1} and edges.read_bytes() == mine
    assert "Modified by hand, taken as done: results/s-even/edges.npy" in out
    # Not even a changed parameter overwrites it; the plot shows the level of that parameter.
    made, _, out = done.go("--Edges-threshold", "0.6")
    assert made == {"Edges": 1, "Plot": 2} and edges.read_bytes() == mine
    edges.unlink()
    made, _, out = done.go()
    assert made["Edges"] == 2 and "Modified" not in out


def test_modified_result_hides_nothing_that_is_to_be_made_upstream(done):
    plot = done.results / "s-even" / "plot.png"
    plot.write_bytes(plot.read_bytes()[:-12] + b"remark" + plot.read_bytes()[-12:])
    (done.results / "s-odd" / "runs" / "Plot.json").unlink()
    for group in ("s-even", "s-odd"):
        (done.results / group / "stats.json").unlink()
    assert done.go()[0] == {"Stats": 2}
    assert nothing(done.go())


def test_result_without_a_readable_record_is_taken_as_done(done):
    (done.results / "s-even" / "runs" / "Stats.json").unlink()
    (done.results / "s-odd" / "runs" / "Aggregate.json").write_text('{"step": ')
    outcome = done.go()
    assert nothing(outcome)
    assert "Untracked (without a run record), taken as done: 1 Aggregate, 1 Stats." in outcome[2]


@pytest.mark.parametrize("name", ["Stats.json", "Stats.pending.json"])
def test_results_of_a_later_version_are_refused_and_stay_as_they_are(done, name):
    record = json.loads((done.results / "s-even" / "runs" / "Stats.json").read_text())
    newer = {**record, "schema": 99, "versions": {"neuroluigi": "9.8"}, "outputs": {"in": "another way"}}
    (done.results / "s-even" / "runs" / name).write_text(json.dumps(newer))
    (done.results / "s-even" / "stats.json").unlink()
    (done.results / "s-odd" / "plot.png").unlink()
    before = done.files()
    looks = [] if "pending" in name else [["status"], ["verify"], ["report"], ["clean", "--yes"], ["export", "rocrate"]]
    for command in (["run"], *looks):
        ran = commands.run(
            [BIN / "neuroluigi", *command, *FAKES], cwd=done.folder, capture_output=True, encoding="utf-8"
        )
        assert ran.returncode != 0 and "Traceback" not in ran.stderr, ran
        assert f"{name} was written by neuroluigi 9.8, with schema 99" in ran.stderr
    if "pending" not in name:
        assert done.files() == before, "nothing was made, not even of other groups"
    assert json.loads((done.results / "s-even" / "runs" / name).read_text()) == newer


def test_malformed_files_of_some_steps_stop_no_run(done):
    malformed = '{"schema": 1, "inputs": 5, "error": 5}'
    for name in ("s-even/runs/Stats.json", "s-odd/runs/Stats.pending.json", "s-even/runs/Edges.failed.json"):
        (done.results / name).write_text(malformed)
    assert commands.run([BIN / "neuroluigi", "status"], cwd=done.folder, capture_output=True).returncode in (0, 1)
    _, _, out = done.go()
    assert "Traceback" not in out and "Failed" not in out
    outcome = done.go()
    assert nothing(outcome) and "taken as done: 1 Stats" in outcome[2]


def test_touching_everything_makes_nothing(done):
    for path in done.folder.rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))
    assert nothing(done.go())


def test_copied_to_another_folder_nothing_is_made(real, tmp_path):
    elsewhere = Lab(tmp_path / "elsewhere")
    elsewhere.real = True
    for name in ("real", "results"):
        # New times, as a plain copy makes them.
        shutil.copytree(real.folder / name, elsewhere.folder / name, copy_function=shutil.copyfile)
    assert nothing(elsewhere.go()) and (elsewhere.results / ".checksums.jsonl").is_file()
    (elsewhere.results / ".checksums.jsonl").unlink()
    assert nothing(elsewhere.go())


def test_replaced_or_added_recording_remakes_its_group_alone(real):
    for name in ("a/rec_1.bin", "b/rec_2.bin"):
        (real.folder / "real" / name).write_bytes(os.urandom(80))
        made, unchanged, _ = real.go()
        assert made == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1} and not unchanged
        assert {path.split("/")[1] for path in real.changed} == {name[0]}


@pytest.mark.parametrize("has_table", [False, True])
def test_missing_recording_leaves_the_results_alone_unless_allowed(real, has_table):
    if has_table:
        write_table(real)
    (real.folder / "real" / "a" / "rec_0.bin").unlink()
    outcome = real.go()
    assert nothing(outcome) and "rec_0.bin is not there any more" in outcome[2]
    assert "--recordings-allow-missing true" in outcome[2]
    (real.results / "a" / "stats.json").unlink()
    assert real.go()[0] == {"Stats": 1}, "what can be made from the results that stay is made"
    made, _, _ = real.go("--recordings-allow-missing", "true")
    assert made == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1}
    assert (real.results / "a" / "aggregate.bin").stat().st_size == 60


def test_recording_left_out_remakes_its_group(real):
    write_table(real, "use")
    assert nothing(real.go()), "the table describes what was found without it"
    table = real.folder / "real" / "recordings.csv"
    table.write_text(table.read_text().replace("a/rec_1.bin,", "a/rec_1.bin,no"))
    assert real.go()[0] == {"Aggregate": 1, "Stats": 1, "Edges": 1, "Plot": 1}


def test_modified_result_whose_recording_is_missing_is_what_the_next_steps_use(real):
    layout = real.results / "a" / "aggregate.json"
    layout.write_text(json.dumps({**json.loads(layout.read_text()), "sampling_rate_hz": 10.0}) + " " * 500)
    (real.folder / "real" / "a" / "rec_0.bin").unlink()
    assert real.go()[0] == {"Stats": 1, "Edges": 1, "Plot": 1}
    assert nothing(real.go())


def test_result_missing_with_its_recording_is_reported_as_missing(real):
    (real.folder / "real" / "a" / "rec_0.bin").unlink()
    (real.results / "a" / "aggregate.bin").unlink()
    _, _, out = real.go()
    assert "everything is there" not in out and "a/rec_0.bin is not there any more" in out
    assert "aggregate.bin is not there" in out
    asked = commands.run(
        [BIN / "neuroluigi", "status", "--recordings-root", "real"], cwd=real.folder, capture_output=True, text=True
    )
    assert asked.returncode == 1 and "1/2" in asked.stdout and "aggregate.bin is not there" in asked.stdout


def test_results_without_the_folder_of_recordings_are_shown_and_left_alone(real):
    (real.folder / "real").rename(real.folder / "elsewhere")
    # 20 is the code for missing data.
    made, unchanged, out = real.go(code=20)
    assert f"Left alone: 2 results, as the folder of the recordings, {real.folder / 'real'}, is not there: " in out
    assert "Nothing to make." in out and "Not everything could be made" not in out
    assert not made and not unchanged and "real is not there; the groups are those of the results" in out
    for command in (["status"], ["results", "--csv"], ["events", "a", "--csv"], ["why", "Stats", "a"]):
        asked = commands.run(
            [BIN / "neuroluigi", *command, "--recordings-root", "real"], cwd=real.folder, capture_output=True, text=True
        )
        assert "Traceback" not in asked.stderr and len(asked.stdout.splitlines()) > 1, asked


@needs_octave
def test_changed_m_files_are_reported_and_made_again_on_request(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.engine = "octave"
    lab.go()
    source = lab.folder / "matlab" / "openFile.m"
    source.write_text(source.read_text() + "% another remark\n")
    outcome = lab.go()
    assert nothing(outcome)
    line = next(line for line in outcome[2].splitlines() if line.startswith("Code changed"))
    assert "6 (2 Aggregate: matlab/openFile.m changed" in line and "--results-rerun-on inputs,parameters,code" in line
    made, unchanged, out = lab.go("--results-rerun-on", "inputs,parameters,code")
    # The new code makes the same bytes.
    assert made == {"Aggregate": 2, "Stats": 2, "Edges": 2} and unchanged == {"Plot": 2}
    assert nothing(lab.go()) and "Code changed" not in out
    # A file that no step calls is no reason.
    source = lab.folder / "matlab" / "readEdges.m"
    source.write_text(source.read_text() + "% another remark\n")
    assert "Code changed" not in lab.go()[2]


@needs_octave
def test_another_engine_under_auto_is_no_reason_and_by_name_it_is_reported(done):
    done.engine = "auto"
    outcome = done.go()
    assert nothing(outcome) and "Code changed" not in outcome[2]
    done.engine = "octave"
    outcome = done.go()
    assert nothing(outcome) and "engine numpy, now octave" in outcome[2]
    made, _, _ = done.go("--results-rerun-on", "inputs,parameters,tools")
    assert made["Stats"] == 2


def test_changed_python_of_a_step_is_reported_and_made_again_on_request(done):
    done.override(
        "Plot",
        """
def make(self, out):
    super().make(out)
    image = out.read_bytes()
    out.write_bytes(image[:-12] + b"remark" + image[-12:])
""",
    )
    outcome = done.go()
    assert nothing(outcome) and "2 Plot: tasks.py:Plot changed" in outcome[2]
    config = done.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("[Plot]\n", "[Plot]\nrerun_on = inputs, parameters, code\n"))
    assert done.go()[0] == {"Plot": 2}


def test_trust_existing_is_the_rule_of_luigi_in_status_and_run(done):
    trust = ["--results-trust-existing", "true", "--Edges-threshold", "0.1"]
    (done.results / "s-even" / "plot.png").unlink()
    (done.results / "s-odd" / "aggregate.bin").unlink()
    command = [BIN / "neuroluigi", "status", "--FakeRecording-sessions", "s", "--FakeRecording-count", "2", *trust]
    asked = commands.run([*command, "--json"], cwd=done.folder, capture_output=True, text=True)
    todo = {(one["row"], one["step"]): one["todo"] for one in json.loads(asked.stdout)["results"] if one["todo"]}
    # The plot of s-odd is there, so nobody asks for what is below it.
    assert todo == {("s-even", "Plot"): "make"}
    made, _, out = done.go(*trust)
    assert made == {"Plot": 1} and "made with" not in out


@pytest.mark.parametrize("is_copied", [False, True], ids=["", "copied"])
def test_interrupted_commit_is_finished_by_the_next_run(done, is_copied):
    """Before its file is renamed, and after; where the folder was copied since, the file has another time."""
    folder = done.results / "s-even"
    record = read_record(folder / "runs" / "Stats.json")
    stat = (folder / "stats.json").stat()
    part = folder / "stats.part-elsewhere-1-0.json"
    if is_copied:
        os.utime(folder / "stats.json", (1, 1))
    else:
        (folder / "stats.json").rename(part)
    rename = {"part": f"../{part.name}", "final": "../stats.json", "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    write_json(folder / "runs" / "Stats.pending.json", {**record, "renames": [rename]})
    (folder / "runs" / "Stats.json").unlink()
    made, unchanged, _ = done.go()
    assert not made and unchanged["Stats"] == 1
    assert (folder / "stats.json").is_file() and read_record(folder / "runs" / "Stats.json") == record


def test_records_of_the_old_results_survive_a_failure(done):
    record = (done.results / "s-even" / "runs" / "Edges.json").read_text()
    before = (done.results / "s-even" / "edges.npy").read_bytes()
    done.override("Edges", "numpy_function = numpy_functions.no_such")
    done.run("PlotAll", code=None)
    (done.folder / "tasks.py").write_bytes((REPOSITORY / "tasks.py").read_bytes())
    done.override("Edges", "numpy_function = lambda *arguments: 1 / 0")
    _, _, out = done.go("--Edges-threshold", "0.6", code=30)
    assert "ZeroDivisionError" in out
    assert (done.results / "s-even" / "runs" / "Edges.json").read_text() == record
    assert (done.results / "s-even" / "edges.npy").read_bytes() == before
    assert (
        json.loads((done.results / "s-even" / "runs" / "Edges.failed.json").read_text())["parameters"]["threshold"]
        == 0.6
    )
