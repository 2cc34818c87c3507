"""`neuroluigi slurm` on a real Slurm of three virtual nodes on this machine."""

import json
import re
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from neuroluigi.cluster import slurm
from neuroluigi.provenance.run_record import read_run_record
from tests.cluster.slurm_lab import FAKES, neuroluigi
from tests.conftest import HAS_OCTAVE, REAL_RECORDINGS, Pipeline, needs_real_recordings
from tests.slurm_cluster import IS_INSTALLED, Cluster, wait_for

needs_slurm = pytest.mark.skipif(not IS_INSTALLED, reason="Slurm (slurm-wlm, munge) is not installed")

HELD = """
import os, time
from neuroluigi import StudyTask

class Total(StudyTask):
    factor = luigi.IntParameter(default=1)

    def requires(self):
        return [Stats(group) for group in groups()]
    def output(self):
        return self.result("total.txt")
    def make(self, out):
        out.write_text(str(self.factor * sum(stats.load()["count"] for stats in self.input())))

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

    def wait(self, seconds=180):
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

    def assert_is_right(self, right, seconds=180):
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
def test_variants_are_made_by_the_elements_of_their_groups_and_the_last_job(walled, cluster, tmp_path):
    lab = Lab(tmp_path / "lab", cluster, [*FAKES, "--variants", "all"])
    with (lab.folder / "luigi.cfg").open("a") as settings:
        settings.write("\n[variants]\nstrict = Edges.threshold=0.9\ndouble = Total.factor=2\n")
    right = lab.make_here()
    assert len([name for name in right if "@" in name]) == 4 * 2 + 1
    assert int(right["study@double/total.txt"]) == 2 * int(right["study/total.txt"])
    out = lab.slurm("--groups-per-job", 2)
    assert "4 groups in 2 elements, then the rest." in out
    lab.assert_is_right(right)
    assert set(lab.made().values()) == {1} and lab.made()["Plot(group=s-even)@strict"] == 1
    assert read_run_record(lab.results)["made"] == {
        "Aggregate": 4,
        "Edges": 8,
        "FakeRecording": 4,
        "Plot": 8,
        "Stats": 4,
        "Total": 2,
    }
    assert lab.slurm("--groups-per-job", 2) == "Nothing to make: everything is there.\n"


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
    assert "it was ended by a signal (scancel, preemption)" in out and "which never ran" in out

    lab.slurm(*licensed)
    lab.wait_until_held(2)
    cluster.stop_controller()
    # What runs goes on, and status says that nobody knows.
    out = lab.status(code=1)
    assert f"{slurm.latest_submission(lab.results)}: " in out and "element " not in out
    lab.free()
    lab.wait_for(lambda: sum(name.startswith("Plot") for name in lab.made()) == 2, 120)
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
        lab.wait_for(lambda n=restarts: cluster.hurry() or [one["restarts"] for one in lab.records()] == [n], 120)
        lab.wait_until_held(1)
        cluster.run("scancel", "--batch", "--signal=USR2", f"{slurm.latest_submission(lab.results).ids[0]}_0")
    lab.wait()
    (endless,) = lab.records()
    assert (
        endless["exit_code"] == 1 and "nothing was made in two walltimes, so it is not queued again" in endless["why"]
    )
    log = lab.log("last")
    assert "not everything was made of 1 groups, so what depends on several is not run" in log
    assert re.search(r"failed the last time: the walltime ended after \d+ s, before it was made; give more with", log)
    assert re.search(r"^endless-even +✓ done +✓ done +✓ done +! failed +○ missing$", log, re.M)


@needs_slurm
def test_an_element_goes_on_after_its_walltime(walled, cluster):
    walled.wait(300)
    (long,) = walled.records()
    assert long["exit_code"] == 0 and long["restarts"] >= 1, walled.log("0")
    assert "✓ done" in walled.log("last") and "○" not in walled.log("last")
    assert len(walled.made()) == 2 * 5 + 1 and set(walled.made().values()) == {1}
