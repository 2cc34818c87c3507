"""What a run through Slurm costs: 60 groups of 4 steps of 0.3 s on 6 slots of a Slurm on this machine; ideal 12 s.

    python benchmarks/slurm.py [GROUPS_PER_JOB ...]        (default: 10 20)

Needs Slurm (Debian: slurm-wlm, munge). Time counts from `neuroluigi slurm` to the end of its last job. Prints seconds
of each part, and the ratio to the ideal; and the same by one local run with six workers.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.slurm_cluster import Cluster

BIN = Path(sys.executable).parent
GROUPS, STEPS, STEP_SECONDS, SLOTS, NODES = 60, 4, 0.3, 6, 3
IDEAL = GROUPS * STEPS * STEP_SECONDS / SLOTS

TASKS = f"""
import time
import luigi
from neuroluigi import GroupTask, WrapperTask, groups

class Step(GroupTask):
    below = None
    def requires(self):
        return self.below(self.group) if self.below else []
    def output(self):
        return self.result(type(self).__name__ + ".txt")
    def make(self, out):
        time.sleep({STEP_SECONDS})
        out.write_text(self.group)

class One(Step): pass
class Two(Step): below = One
class Three(Step): below = Two
class Four(Step): below = Three

class PlotAll(WrapperTask):
    def requires(self):
        return [Four(group) for group in groups()]
"""


def new_lab(folder: Path) -> Path:
    """Return a folder with the pipeline and its recordings."""
    for number in range(GROUPS):
        path = folder / "real" / f"g{number:02}" / "rec_0.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(100))
    (folder / "tasks.py").write_text(TASKS)
    (folder / "luigi.cfg").write_text("[recordings]\nroot = real\n")
    return folder


def run(lab: Path, *command: str, env: dict[str, str] | None = None) -> float:
    """Run a command in the lab; return its seconds."""
    began = time.monotonic()
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=lab, env={**os.environ, **(env or {})}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.monotonic() - began


def by_slurm(cluster: Cluster, folder: Path, groups_per_job: int) -> tuple[float, float, float]:
    """Return when it was submitted, when the array had ended, and when the last job had, in seconds from the start."""
    lab = new_lab(folder)
    # As many steps of an element at a time as there are slots for it.
    cpus = max(1, SLOTS * groups_per_job // GROUPS)
    began = time.monotonic()
    run(lab, "neuroluigi", "slurm", "--groups-per-job", str(groups_per_job), "--cpus", str(cpus), env=cluster.env)
    submitted = time.monotonic() - began
    ended = 0.0
    while queue := cluster.queue():
        if not ended and not any("_" in line for line in queue):
            ended = time.monotonic() - began
        time.sleep(0.2)
    over = time.monotonic() - began
    made = len(list((lab / "results").glob("g*/*.txt")))
    assert made == GROUPS * STEPS, f"{made} results"
    return submitted, ended, over


def main() -> None:
    """Print a row per size of the elements."""
    sizes = [int(word) for word in sys.argv[1:]] or [10, 20]
    with tempfile.TemporaryDirectory() as folder:
        lab = new_lab(Path(folder, "local"))
        local = run(lab, "luigi", "--module", "tasks", "PlotAll", "--local-scheduler", "--workers", str(SLOTS))
        print(f"ideal {IDEAL:.1f} s; one local run with {SLOTS} workers {local:.1f} s, {local / IDEAL:.2f} times")
        print(f"{'groups per job':>14} {'submitted':>10} {'array ended':>12} {'all ended':>10} {'all/ideal':>10}")
        with Cluster(Path(folder, "c"), NODES, SLOTS // NODES) as cluster:
            for size in sizes:
                submitted, ended, over = by_slurm(cluster, Path(folder, f"lab{size}"), size)
                print(f"{size:14} {submitted:10.1f} {ended:12.1f} {over:10.1f} {over / IDEAL:10.2f}", flush=True)


if __name__ == "__main__":
    main()
