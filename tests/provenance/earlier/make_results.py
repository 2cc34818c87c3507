"""Make the results of an earlier release that test_earlier_releases.py keeps done: run with a Python of that release.

    python make_results.py CHECKOUT results-of-RELEASE.tar.gz

CHECKOUT is a clone of the repository at that release, installed in the Python that runs this. The archive has a lab's
folder with fake and real recordings, results in each state, and expected.json: what that release says of each result.
"""

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

BIN = Path(sys.executable).parent
OWN_STEPS = Path(__file__).with_name("own_steps.txt")
REAL = ["--recordings-root", "data", "--results-root", "results-real"]
FAKE = ["--FakeRecording-sessions", "a,b"]


def run(lab: Path, command: str, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([BIN / command, *words], cwd=lab, capture_output=True, text=True, check=False)


def is_first(lab: Path) -> bool:
    """Whether it is a release in which commands and options had their first names."""
    return " free " in run(lab, "neuroluigi", "--help").stdout


def make(lab: Path, *words: str) -> None:
    done = run(lab, "luigi", "--module", "tasks", "All", "--local-scheduler", "--matlab-engine", "numpy", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def write_recordings(data: Path) -> None:
    """Write six sessions of two recordings of two int16 channels, and a table that describes them."""
    values = np.random.default_rng(14)
    rows = ["session,index,path,dtype,channels,sampling_rate_hz,scale,offset,unit,subject"]
    for session in "mnopqr":
        for index in (0, 1):
            path = data / session / f"r{index}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            values.integers(-500, 500, (50, 2)).astype("<i2").tofile(path)
            rows.append(f"{session},{index},{session}/r{index}.bin,int16,2,1000,0.5,0,mV,007")
    (data / "recordings.csv").write_text("\n".join(rows) + "\n")


def change(lab: Path) -> None:
    """Bring a result or two into each state; the other groups stay done."""
    real, fake = lab / "results-real", lab / "results"
    (real / "n" / "stats.json").unlink()  # missing
    (real / "o" / "stats.json").write_bytes((real / "o" / "stats.json").read_bytes()[:9])  # damaged
    edges = np.load(real / "p" / "edges.npy")
    np.save(real / "p" / "edges.npy", np.concatenate([edges, edges[-1:]]))  # modified
    (real / "q" / "runs" / "Stats.json").unlink()  # untracked
    shutil.rmtree(lab / "data" / "r")  # input missing: recordings and their rows are gone
    table = lab / "data" / "recordings.csv"
    table.write_text("".join(row for row in table.open() if not row.startswith("r,1,")))
    (fake / "a-odd" / "plot.png").unlink()
    dropped = run(
        lab,
        "neuroluigi",
        *(["free"] if is_first(lab) else ["drop"]),
        "--step",
        "Aggregate",
        "--group",
        "b-even",
        "--yes",
        *FAKE,
    )
    assert dropped.returncode == 0, dropped.stdout + dropped.stderr


def states(lab: Path, *words: str) -> dict:
    task = "--root" if is_first(lab) else "--task"
    done = run(lab, "neuroluigi", task, "All", "status", "--json", "--matlab-engine", "numpy", *words)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {f"{one['row']} {one['task']}": one["state"] for one in json.loads(done.stdout)["results"]}


def main() -> None:
    checkout, archive = Path(sys.argv[1]), Path(sys.argv[2]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder) / "lab"
        lab.mkdir()
        for name in ("tasks.py", "targets.py", "luigi.cfg"):
            shutil.copy(checkout / name, lab)
        shutil.copytree(checkout / "matlab", lab / "matlab")
        with (lab / "tasks.py").open("a") as file:
            file.write(OWN_STEPS.read_text())
        write_recordings(lab / "data")
        make(lab, *FAKE)
        make(lab, *REAL)
        change(lab)
        expected = {"fake": states(lab, *FAKE), "real": states(lab, *REAL)}
        (lab / "expected.json").write_text(json.dumps(expected, indent=1))
        # Today's pipeline looks at these results.
        for name in ("tasks.py", "targets.py", "luigi.cfg", "matlab"):
            shutil.rmtree(lab / name) if (lab / name).is_dir() else (lab / name).unlink()
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(lab, "lab")


if __name__ == "__main__":
    main()
