"""`neuroluigi slurm`: what is submitted, as text; and runs on a real Slurm of three virtual nodes on this machine."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from neuroluigi.cluster import slurm
from neuroluigi.provenance.record import timestamp
from neuroluigi.provenance.run_record import read_run_record
from neuroluigi.steps.config import RunStopped
from tests.conftest import (
    BIN,
    HAS_OCTAVE,
    REAL_RECORDINGS,
    Pipeline,
    clean_environment,
    folders,
    needs_real_recordings,
)
from tests.slurm_cluster import IS_INSTALLED, Cluster, wait_for

needs_slurm = pytest.mark.skipif(not IS_INSTALLED, reason="Slurm (slurm-wlm, munge) is not installed")

# The text of what is submitted

STRANGE = Path('/labs/it\'s 50% ü "x" $HOME')


def job(**changes):
    about = {
        "root": "PlotAll",
        "words": ["--module", "tasks", "--Edges-threshold", "0.6"],
        "lab": Path("/lab"),
        "folder": Path("/lab/results/.slurm/3"),
        "python": "/lab/.venv/bin/python",
        "flags": {"time": "08:00:00", "mem": "8G", "cpus-per-task": "4"},
    }
    return slurm.Job(**{**about, **changes})


def test_the_scripts():
    assert slurm.array_script(job(max_jobs=20), 15) == (
        "#!/bin/sh\n"
        "#SBATCH --array=0-14%20\n"
        "#SBATCH --cpus-per-task=4\n"
        "#SBATCH --job-name=neuroluigi-PlotAll\n"
        "#SBATCH --mem=8G\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --output=/lab/results/.slurm/3/%a.log\n"
        "#SBATCH --requeue\n"
        "#SBATCH --signal=B:USR2@60\n"
        "#SBATCH --time=08:00:00\n"
        "# Each element makes what rests on the groups in its line of groups.txt alone.\n"
        "cd /lab || exit 1\n"
        "exec /lab/.venv/bin/python -m neuroluigi.cluster.slurm_job element /lab/results/.slurm/3 --of PlotAll --module tasks"
        ' --Edges-threshold 0.6 --local-scheduler --workers "$SLURM_CPUS_PER_TASK"\n'
    )
    last = slurm.last_script(job(settle=30)).splitlines()
    assert "#SBATCH --output=/lab/results/.slurm/3/last.log" in last and not any("array" in line for line in last)
    assert last[-1] == (
        "exec /lab/.venv/bin/python -m neuroluigi.cluster.slurm_job last --settle 30 /lab/results/.slurm/3 PlotAll --module tasks"
        ' --Edges-threshold 0.6 --local-scheduler --workers "$SLURM_CPUS_PER_TASK"'
    )


def test_any_folder_and_any_value_is_quoted():
    script = slurm.array_script(job(lab=STRANGE, folder=STRANGE / "3", words=["--x", "a b; rm -rf $HOME"]), 1)
    lines = script.splitlines()
    assert "#SBATCH --output=" + shlex.quote(f"{STRANGE}/3/%a.log".replace("50%", "50%%")) in lines
    assert shlex.split(lines[-2]) == ["cd", str(STRANGE), "||", "exit", "1"]
    assert "a b; rm -rf $HOME" in shlex.split(lines[-1]) and str(STRANGE / "3") in shlex.split(lines[-1])


@pytest.mark.parametrize(
    "licences, seats", [("matlab:2", "2"), ("matlab", "1"), ("MATLAB@server:3,foo:9", "3"), ("foo:4", ""), ("", "")]
)
def test_an_element_opens_as_many_matlabs_as_it_has_licences(licences, seats):
    line = slurm.array_script(job(flags={"licenses": licences}), 1).splitlines()[-1]
    assert (["--seats", seats] if seats else []) == re.findall(r"--seats|(?<=--seats )\d+", line)


def test_chunks_are_of_much_the_same_size():
    sizes = {"a": 9, "b": 1, "c": 8, "d": 2, "e": 5, "f": 5}
    assert slurm.chunks(sizes, 2) == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert slurm.chunks(dict.fromkeys("abcdefg", 0), 3) == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert slurm.chunks({}, 4) == []
    # One that is far larger than the others is alone as far as their number allows it.
    assert slurm.chunks({"a": 100, "b": 1, "c": 1, "d": 1}, 3) == [["a"], ["b", "c", "d"]]


def test_other_options_of_sbatch():
    assert slurm.check_flags(["qos=long", "--exclusive"]) == {"qos": "long", "exclusive": ""}
    for wrong in ("array=1", "output=x", "-p x", "qos=a\nrm", "A=1"):
        with pytest.raises(RunStopped):
            slurm.check_flags([wrong])


# Without a cluster


def neuroluigi(lab, *arguments, env=None, code=0) -> str:
    done = subprocess.run(
        [BIN / "neuroluigi", *map(str, arguments)],
        cwd=lab.folder,
        env={**clean_environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


FAKES = ["--FakeRecording-sessions", "s,t", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]
NO_SLURM = {"PATH": "/nonexistent"}


def pretend(lab, elements, **record) -> Path:
    """Leave what a submission leaves, with the same record of each element."""
    folder = lab.results / ".slurm" / "1"
    folder.mkdir(parents=True)
    about = {"array": "7", "last": "8", "command": ["neuroluigi", "slurm"], "submitted": timestamp()}
    (folder / "job.json").write_text(json.dumps(about))
    (folder / "groups.txt").write_text("".join(f"{json.dumps(one)}\n" for one in elements))
    for number in range(len(elements)):
        (folder / f"{number}.json").write_text(json.dumps(record))
    return folder


def test_without_slurm_it_says_so_and_status_works_as_ever(pipeline):
    out = neuroluigi(pipeline, "slurm", *FAKES, env=NO_SLURM, code=1)
    assert out == "neuroluigi: there is no sbatch on PATH; submit on a machine of a Slurm cluster\n"
    assert "exec " in neuroluigi(pipeline, "slurm", *FAKES, "--print", env=NO_SLURM)
    pretend(pipeline, [["s-even", "t-odd"]])
    out = neuroluigi(pipeline, "status", *FAKES, env=NO_SLURM, code=1)
    assert "Slurm job 7: there is no squeue on PATH" in out and "○ missing" in out
    out = neuroluigi(pipeline, "slurm", *FAKES, env=NO_SLURM, code=1)
    assert out == "neuroluigi: nothing was submitted, as nobody knows of Slurm job 7: there is no squeue on PATH\n"


def test_options_of_the_root_task_hold_on_the_nodes(pipeline):
    out = neuroluigi(pipeline, "slurm", "Stats", "--group", "s-odd", "--print", *FAKES)
    words = next(shlex.split(line) for line in out.splitlines() if "slurm_job element" in line)
    settings = words[words.index("--of") : words.index("--workers")]
    assert settings[4:6] == ["--Stats-group", "s-odd"]
    pipeline.run("neuroluigi.Subset", "--groups", '["s-odd"]', *settings)
    assert (pipeline.results / "s-odd" / "stats.json").is_file() and folders(pipeline.results) == ["s-odd"]


def test_a_submission_is_no_result(pipeline):
    pipeline.run("PlotAll", *FAKES)
    folder = pretend(pipeline, [["s-even"]], ended="x", exit_code=0)
    (folder / "last.json").write_text('{"ended": "x"}')
    (folder / "0.log").write_text("INFO")
    assert neuroluigi(pipeline, "slurm", *FAKES) == "Nothing to make: everything is there.\n"
    assert "Slurm" not in neuroluigi(pipeline, "status", *FAKES) and "all as recorded" in neuroluigi(pipeline, "verify")
    assert "Nothing to be removed." in neuroluigi(pipeline, "clean", "--orphans", "--yes", *FAKES)
    neuroluigi(pipeline, "clean", "--yes", *FAKES)
    assert folder.is_dir() and not (pipeline.results / "s-even").exists()
    assert "element 0" not in neuroluigi(pipeline, "status", *FAKES, code=1)


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
    parts = [
        pipeline.results / group / "runs" / f"Stats.part-{host}-12-3.log"
        for group in ("s-even", "t-odd")
        for host in ("else where-1", "another")
    ]
    for part in parts:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("x")
    of_job = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1", "SLURM_RESTART_COUNT": "2"}
    done = jobs(pipeline, "element", folder, "--of", "PlotAll", "--module", "tasks", *FAKES, **of_job)
    assert done.returncode == 0, done.stderr
    # Of another element's node, and of machines that are none of a lost element, nothing is known.
    assert [part.exists() for part in parts] == [True, True, False, True]
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


# On a cluster

HELD = """
import os, time
from neuroluigi import StudyTask

class Total(StudyTask):
    def requires(self):
        return [Stats(group) for group in groups()]
    def output(self):
        return self.result("total.txt")
    def make(self, out):
        out.write_text(str(sum(stats.load()["count"] for stats in self.input())))

class Everything(WrapperTask):
    def requires(self):
        return [PlotAll(), Total()]

def _held(make):
    def make_when_free(self, out):
        time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
        while isinstance(self, Edges) and os.path.exists("hold"):
            open(f"held-{self.group}", "w").close()
            time.sleep(0.05)
        make(self, out)
    return make_when_free

for kind in (Aggregate, Stats, Edges, Plot):
    kind.make = _held(kind.make)
"""


class Lab(Pipeline):
    """A pipeline with a step over all groups, and what a local run makes of it."""

    def __init__(self, folder, cluster, settings, root="Everything"):
        super().__init__(folder)
        self.cluster, self.settings, self.root = cluster, settings, root
        with (self.folder / "tasks.py").open("a") as tasks:
            tasks.write(HELD)

    def make_here(self) -> dict[str, bytes]:
        """Return what a local run makes, and remove it."""
        self.run(self.root, *self.settings)
        files = self.files()
        shutil.rmtree(self.results)
        shutil.rmtree(self.folder / "recordings", ignore_errors=True)
        return files

    def files(self):
        """Return results without those of this machinery."""
        files = super().files().items()
        return {name: data for name, data in files if not name.startswith(".") and name != "report.html"}

    def slurm(self, *arguments, seconds="0", code=0) -> str:
        words = ["slurm", self.root, "--settle", "0", *arguments, *self.settings]
        return neuroluigi(self, *words, env={**self.cluster.env, "STEP_SECONDS": seconds}, code=code)

    def hold(self):
        """Let no step Edges go on, here or on a node, until `free`."""
        (self.folder / "hold").touch()

    def free(self):
        (self.folder / "hold").unlink()

    def wait_until_held(self, steps: int):
        """Wait until so many steps are held that were not before."""
        for path in self.folder.glob("held-*"):
            path.unlink()
        self.wait_for(lambda: len(list(self.folder.glob("held-*"))) == steps, 120)

    def wait_for(self, is_so, seconds):
        """Wait until something is so; if it does not become so, say how it stands."""
        try:
            wait_for(is_so, seconds)
        except AssertionError:
            queue = self.cluster.run("squeue", "-h", "--array", "-o", "%i %T %N %r")
            nodes = self.cluster.run("sinfo", "-hNl")
            logs = [path.read_text() for path in sorted(self.results.glob(".slurm/*/*.log"))]
            raise AssertionError("\n".join([queue, nodes, *logs])) from None

    def status(self, code=0) -> str:
        return neuroluigi(self, "--task", self.root, "status", *self.settings, env=self.cluster.env, code=code)

    def jobs(self) -> list[str]:
        """Return the lines of the queue of the latest submission."""
        ids = slurm.latest_submission(self.results).ids
        return [line for line in self.cluster.queue() if re.split("[_ ]", line)[0] in ids]

    def wait(self, seconds=90):
        """Wait for the end of all its jobs."""

        def is_over():
            self.cluster.hurry()
            return not self.jobs()

        self.wait_for(is_over, seconds)

    def records(self) -> list[dict]:
        folder = slurm.latest_submission(self.results).folder
        return [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*.json"))]

    def made(self) -> Counter:
        """Return how often each result was made, by all logs."""
        logs = "".join(path.read_text() for path in self.results.glob(".slurm/*/*.log"))
        return Counter(re.findall(r"^INFO: (.*) made in [\d.]+ s$", logs, re.M))

    def assert_is_right(self, right, seconds=90):
        self.wait(seconds)
        assert self.files() == right, self.log("last")
        assert "✓ done" in self.log("last") and "○" not in self.log("last")

    def log(self, name) -> str:
        return (slurm.latest_submission(self.results).folder / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    # A socket's path has to be short.
    base = Path(tmp_path_factory.mktemp("slurm", numbered=True)) / "c"
    with Cluster(base, cpus=4) as started:
        yield started
    assert not [one for node in started.nodes for one in started.processes(node)]


@pytest.fixture(scope="module")
def walled(cluster, tmp_path_factory):
    """A lab that has 104 s to work with a walltime of 2 minutes, of which Slurm leaves 60 to 90 s, at it meanwhile."""
    settings = ["--FakeRecording-sessions", "long", "--FakeRecording-count", "2", "--matlab-engine", "numpy"]
    lab = Lab(tmp_path_factory.mktemp("walled") / "lab", cluster, settings)
    # n1 is not killed.
    lab.slurm("--time", "2", "--sbatch", "nodelist=n1", seconds="13")
    return lab


@pytest.fixture
def lab(walled, cluster, tmp_path):
    return Lab(tmp_path / "lab", cluster, FAKES)


@needs_slurm
@needs_real_recordings
def test_real_recordings_become_what_a_local_run_makes_and_every_node_gets_work(walled, cluster, tmp_path):
    settings = ["--recordings-root", str(REAL_RECORDINGS), "--matlab-engine", "octave" if HAS_OCTAVE else "numpy"]
    lab = Lab(tmp_path / "lab", cluster, settings)
    right = lab.make_here()
    assert len(right) == 4 * 5 + 1
    # Three of a node's four CPUs.
    out = lab.slurm("--groups-per-job", 1, "--cpus", 3)
    assert re.fullmatch(r"Submitted as Slurm job \d+, \d+: 4 groups in 4 elements, then the rest.\nLogs: .*\n", out)
    lab.assert_is_right(right)
    assert {one["node"] for one in lab.records()} == set(cluster.nodes)
    assert len(lab.made()) == 4 * 4 + 1 and set(lab.made().values()) == {1}
    assert "Made: 1 Total." in lab.log("last")
    run = read_run_record(lab.results)
    assert run["command"][:3] == ["neuroluigi", "slurm", "Everything"] and run["exit_code"] == 0 and run["seconds"] > 0
    assert run["made"] == {**dict.fromkeys(("Aggregate", "Edges", "Plot", "Stats"), 4), "Total": 1}
    page = (lab.results / "report.html").read_text()
    assert "neuroluigi slurm Everything" in page and "All 17 results are done" in page and 'href=".slurm/1"' in page
    assert lab.slurm("--groups-per-job", 1) == "Nothing to make: everything is there.\n"


@needs_slurm
def test_what_runs_on_a_node_that_dies_is_made_on_another(lab, cluster):
    right = lab.make_here()
    lab.hold()
    # Three of a node's four CPUs.
    lab.slurm("--groups-per-job", 2, "--cpus", 3)
    lab.wait_until_held(4)
    victim = max(lab.records(), key=lambda one: one["node"])
    assert victim["node"] != "n1"
    number = victim["job"].split("_")[1]
    assert re.search(rf"^element {number}, running on {victim['node']}: \S+, \S+$", lab.status(code=1), re.M)
    cluster.kill_node(victim["node"])
    lab.free()
    try:
        lab.assert_is_right(right)
    finally:
        cluster.revive_node(victim["node"])
    (again,) = [one for one in lab.records() if one["job"] == victim["job"]]
    assert again["restarts"] == 1 and again["node"] != victim["node"] and again["exit_code"] == 0
    assert len(lab.made()) == 4 * 5 + 1 and set(lab.made().values()) == {1}
    assert sum(read_run_record(lab.results)["made"].values()) == 4 * 5 + 1


@needs_slurm
def test_scancel_leaves_nothing_half_made_and_the_next_submission_goes_on(lab, cluster):
    right = lab.make_here()
    lab.hold()
    licensed = ["--groups-per-job", 1, "--licenses", "matlab:1"]
    lab.slurm(*licensed)
    ids = slurm.latest_submission(lab.results).ids
    lab.wait_until_held(2)
    out = lab.status(code=1)
    assert "2 of 4 elements run, 2 wait (Licenses), the last job pending (Dependency)" in out
    assert f"nothing was submitted: Slurm job {ids[0]} is in the queue" in lab.slurm(code=1)
    cluster.run("scancel", *ids)
    lab.wait()
    assert not [one for one in psutil.process_iter() if is_of_lab(one, lab)]
    assert not list(lab.folder.rglob("*.part-*")) and not list(lab.folder.rglob("*.pending.json"))
    assert len(lab.files()) == 2 * 3 and all(right[name] == data for name, data in lab.files().items())
    out = lab.status(code=1)
    assert "it was told to end (scancel, preemption)" in out and "which never ran" in out

    lab.slurm(*licensed)
    lab.wait_until_held(2)
    cluster.stop_controller()
    # What runs goes on, and status says that nobody knows.
    out = lab.status(code=1)
    assert f"{slurm.latest_submission(lab.results)}: " in out and "element " not in out
    lab.free()
    lab.wait_for(lambda: sum(name.startswith("Plot") for name in lab.made()) == 2, 60)
    cluster.start_controller()
    lab.assert_is_right(right)
    assert set(lab.made().values()) == {1} and most_at_a_time(lab.records()) == 2


def is_of_lab(process: psutil.Process, lab: Lab) -> bool:
    try:
        return process.cwd().startswith(str(lab.folder)) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def most_at_a_time(elements: list[dict]) -> int:
    """Return how many ran at the same time."""
    times = [(datetime.fromisoformat(one["started"]), datetime.fromisoformat(one["ended"])) for one in elements]
    return max(sum(start <= moment < end for start, end in times) for moment, _ in times)


@needs_slurm
def test_a_step_that_is_longer_than_the_walltime_fails_with_that_reason(walled, cluster, tmp_path):
    settings = ["--FakeRecording-sessions", "endless", "--FakeRecording-count", "1", "--matlab-engine", "numpy"]
    lab = Lab(tmp_path / "lab", cluster, settings, "PlotAll")
    lab.hold()
    lab.slurm("--time", "60")
    # The signal that Slurm sends before the walltime ends; only the first time was anything made before.
    for restarts in range(3):
        lab.wait_for(lambda n=restarts: cluster.hurry() or [one["restarts"] for one in lab.records()] == [n], 60)
        lab.wait_until_held(1)
        cluster.run("scancel", "--batch", "--signal=USR2", f"{slurm.latest_submission(lab.results).ids[0]}_0")
    lab.wait()
    (endless,) = lab.records()
    assert (
        endless["exit_code"] == 1 and "nothing was made in two walltimes, so it is not queued again" in endless["why"]
    )
    log = lab.log("last")
    assert "not everything was made of 1 groups, so what rests on several is not run" in log
    assert re.search(r"failed the last time: the walltime ended after \d+ s, before it was made; give more with", log)
    assert re.search(r"^endless-even +✓ done +✓ done +✓ done +! failed +○ missing$", log, re.M)


@needs_slurm
def test_an_element_goes_on_after_its_walltime(walled, cluster):
    walled.wait(150)
    (long,) = walled.records()
    assert long["exit_code"] == 0 and long["restarts"] >= 1, walled.log("0")
    assert "✓ done" in walled.log("last") and "○" not in walled.log("last")
    assert len(walled.made()) == 2 * 5 + 1 and set(walled.made().values()) == {1}
