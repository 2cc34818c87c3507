"""What a job of a submission does on its node, run here."""

import json
import subprocess
import sys

from neuroluigi.provenance.run_record import read_run_record
from tests.cluster.slurm_lab import FAKES, pretend
from tests.conftest import clean_environment


def jobs(lab, *words, **env) -> subprocess.CompletedProcess:
    """Run what a job runs on its node, here."""
    return subprocess.run(
        [sys.executable, "-m", "neuroluigi.cluster.slurm_job", *map(str, words), "--local-scheduler"],
        cwd=lab.folder,
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_an_element_that_was_lost_with_its_node_goes_on_and_clears_away(pipeline):
    folder = pretend(pipeline, [["s-even"], ["t-odd"]], node="n9", host="else where-1")
    lost, another = "0123456789abcdef", "fedcba9876543210"
    parts = [pipeline.results / "t-odd" / "runs" / f"Stats.part-{run}-01234567.log" for run in (lost, another)]
    for part in parts:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("x")
    # Its register, whose lock is free.
    registers = pipeline.results / ".runs"
    registers.mkdir()
    for suffix, text in (
        (".json", '{"command": "luigi", "settings": {}}'),
        (".lock", ""),
        (".folders", '"t-odd/runs"'),
    ):
        (registers / f"{lost}{suffix}").write_text(text)
    of_job = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1", "SLURM_RESTART_COUNT": "2"}
    done = jobs(pipeline, "element", folder, "--of", "PlotAll", "--module", "tasks", *FAKES, **of_job)
    assert done.returncode == 0, done.stderr
    assert [part.exists() for part in parts] == [False, True]
    assert (pipeline.results / "t-odd" / "plot.png").is_file() and not (pipeline.results / "s-odd").exists()
    record = json.loads((folder / "1.json").read_text())
    assert (record["job"], record["restarts"], record["exit_code"], record["why"]) == ("7_1", 2, 0, "")


def test_a_group_that_fails_does_so_alone(pipeline):
    """An element makes its other groups, and ends with Luigi's code; what stands in the way of all is told."""
    with (pipeline.folder / "tasks.py").open("a") as tasks:
        tasks.write(
            "\narguments = Stats.arguments\n"
            "Stats.arguments = lambda self, out: arguments(self, out) if self.group == 's-odd' else 1 / 0\n"
        )
    folder = pretend(pipeline, [["s-even", "s-odd"], ["t-odd", "gone"]])
    words = ["element", folder, "--of", "PlotAll", "--module", "tasks", *FAKES]
    done = jobs(pipeline, *words, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="0")
    assert done.returncode == 30 and "Stats(group=s-even): ZeroDivisionError" in done.stderr
    assert (pipeline.results / "s-odd" / "plot.png").is_file()
    done = jobs(pipeline, *words, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="1")
    assert done.returncode == 1 and "there is no group 'gone'" in json.loads((folder / "1.json").read_text())["why"]


def test_results_that_a_shared_disk_shows_late_are_waited_for_and_not_made_again(pipeline):
    pipeline.run("PlotAll", *FAKES)
    folder = pretend(pipeline, [["s-even", "s-odd"], ["t-even", "t-odd"]], ended="x", exit_code=0)
    away = pipeline.folder / "s-odd"
    (pipeline.results / "s-odd").rename(away)
    words = [folder, "PlotAll", "--module", "tasks", *FAKES, "--local-scheduler"]
    process = subprocess.Popen(
        [sys.executable, "-m", "neuroluigi.cluster.slurm_job", "last", "--settle", "60", *words],
        cwd=pipeline.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    out = ""
    for line in process.stdout:
        out += line
        if "waiting for the disk to show the results of 1 groups" in line and away.exists():
            away.rename(pipeline.results / "s-odd")
    assert process.wait() == 0 and not away.exists() and "made in" not in out and "✓ done" in out


def test_what_an_element_says_it_could_not_make_is_not_waited_for(pipeline):
    folder = pretend(pipeline, [["s-even"]], ended="x", node="n9", exit_code=30, why="a reason")
    fakes = ["--FakeRecording-sessions", "s", "--FakeRecording-count", "1"]
    done = jobs(pipeline, "last", "--settle", "600", folder, "PlotAll", "--module", "tasks", *fakes)
    assert done.returncode == 1, done.stderr
    assert "element 0, which ended on n9 with exit code 30: a reason: s-even" in done.stdout
    run = read_run_record(pipeline.results)
    assert (run["exit_code"], run["made"]) == (1, {})
    assert "The last run failed with exit code 1." in (pipeline.results / "report.html").read_text()
    assert "○ missing" in done.stdout and not (pipeline.results / "s-even").exists()
