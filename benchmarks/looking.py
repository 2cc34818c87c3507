"""How long a look takes when all is done: `luigi` with nothing to do, `neuroluigi status`, `report`, at many groups.

    python benchmarks/looking.py [GROUPS ...]        (default: 100 1000 10000)

One group is made for real and multiplied, folders and run records, through the same record code. Beside it, the same
shape in plain Luigi: four LocalTargets that exist per group. Prints seconds, and the ratio of the two. The report is
made from nothing, with a thumbnail of each plot; beside it the size of the page.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from neuroluigi import records

REPOSITORY = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
FIRST = "g00000"

PLAIN = """
import luigi
class Step(luigi.Task):
    group = luigi.Parameter()
    below = None
    def requires(self):
        return self.below(self.group) if self.below else []
    def output(self):
        return luigi.LocalTarget(f"plain/{self.group}/{type(self).__name__}")
class One(Step): pass
class Two(Step): below = One
class Three(Step): below = Two
class Four(Step): below = Three
class All(luigi.WrapperTask):
    count = luigi.IntParameter()
    def requires(self):
        for n in range(self.count):
            # Every result is looked at, as a look of ours does.
            yield from (kind(f"g{n:05}") for kind in (One, Two, Three, Four))
"""


def make_groups(lab: Path, count: int) -> None:
    """Make one group of one recording for real, and all others as copies of it."""
    for name in ("tasks.py", "targets.py", "luigi.cfg"):
        shutil.copy(REPOSITORY / name, lab)
    shutil.copytree(REPOSITORY / "matlab", lab / "matlab")
    (lab / "real" / FIRST).mkdir(parents=True)
    (lab / "real" / FIRST / "rec_0.bin").write_bytes(bytes(range(100)))
    run(lab, "luigi", "--module", "tasks", "PlotAll", "--local-scheduler", *settings())
    os.fsync = lambda descriptor: None  # the pictures of this disk need not outlive a power cut
    for number in range(1, count):
        group = f"g{number:05}"
        for folder in ("real", "results"):
            shutil.copytree(lab / folder / FIRST, lab / folder / group)
        for path in (lab / "results" / group / "runs").glob("*.json"):
            text = path.read_text().replace(FIRST, group)
            path.write_text(text)
            records.write(path, records.read(path))
    for number in range(count):
        folder = lab / "plain" / f"g{number:05}"
        folder.mkdir(parents=True)
        for name in ("One", "Two", "Three", "Four"):
            (folder / name).touch()
    (lab / "plain.py").write_text(PLAIN)


def settings() -> list[str]:
    """Return the options that all commands share."""
    return ["--recordings-root", "real", "--matlab-engine", "numpy", "--log-level", "WARNING"]


def run(lab: Path, program: str, *arguments: str) -> float:
    """Run a program of this environment in the lab; return its seconds."""
    began = time.perf_counter()
    done = subprocess.run([BIN / program, *arguments], cwd=lab, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def main() -> None:
    """Print a row per number of groups."""
    counts = [int(word) for word in sys.argv[1:]] or [100, 1000, 10000]
    titles = ("luigi [s]", "status [s]", "plain [s]", "luigi/plain", "ms/result", "report [s]", "page [MB]")
    print(f"{'groups':>7}", *(f"{title:>11}" for title in titles))
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            lab = Path(folder)
            make_groups(lab, count)
            ours = run(lab, "luigi", "--module", "tasks", "PlotAll", "--local-scheduler", *settings())
            status = run(lab, "neuroluigi", "status", *settings())
            arguments = (
                "--module",
                "plain",
                "All",
                "--count",
                str(count),
                "--local-scheduler",
                "--log-level",
                "WARNING",
            )
            plain = run(lab, "luigi", *arguments)
            report = run(lab, "neuroluigi", "report", *settings())
            size = (lab / "results" / "report.html").stat().st_size / 1e6
            figures = (ours, status, plain, ours / plain, 1000 * ours / (4 * count), report, size)
            print(f"{count:7}", *(f"{figure:11.2f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
