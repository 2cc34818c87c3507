"""Whole pipelines, from the command line to the last file."""

import sys
from collections.abc import Iterator
from pathlib import Path

from table import REPOSITORY, Row, busy_disk, luigi, make_lab, plain_luigi, run

EMPTY_STEPS = """
import luigi
from neuroluigi import StudyTask, WrapperTask

class Nothing(StudyTask):
    n = luigi.IntParameter()
    filename_parameters = ("n",)

    def output(self):
        return self.result(f"{self.n}.txt")

    def make(self, out):
        out.write_bytes(b".")

class All(WrapperTask):
    count = luigi.IntParameter()

    def requires(self):
        return [Nothing(n) for n in range(self.count)]
"""

EMPTY_TASKS = """
import luigi

class Nothing(luigi.Task):
    n = luigi.IntParameter()

    def output(self):
        return luigi.LocalTarget(f"plain/{self.n}.txt")

    def run(self):
        with self.output().open("w") as file:
            file.write(".")

class All(luigi.WrapperTask):
    count = luigi.IntParameter()

    def requires(self):
        return [Nothing(n) for n in range(self.count)]
"""

BUSY_STEPS = """
import luigi
from neuroluigi import StudyTask, WrapperTask

class Busy(StudyTask):
    n = luigi.IntParameter()
    loops = luigi.IntParameter()
    filename_parameters = ("n",)

    def output(self):
        return self.result(f"{self.n}.txt")

    def make(self, out):
        out.write_text(str(sum(k * k for k in range(self.loops))))

class All(WrapperTask):
    loops = luigi.IntParameter()

    def requires(self):
        return [Busy(n, self.loops) for n in range(16)]
"""


def empty_step(folder: Path, quick: bool) -> Iterator[Row]:
    """What state, record, hash and commit add to a step that does nothing."""
    for place, beside in _quiet_and_busy(folder):
        count = 50 if quick else 400
        turns = []
        # By turns, so that both see the same machine.
        for turn in range(1 if quick else 5):
            lab, plain = make_lab(place / f"ours-{turn}", EMPTY_STEPS), place / f"plain-{turn}"
            plain.mkdir()
            (plain / "plain.py").write_text(EMPTY_TASKS)
            by_us = (luigi(lab, "--count", str(n), "--results-root", f"r{n}", root="All") for n in (1, count + 1))
            by_luigi = (plain_luigi(plain, "plain", "--count", str(n), root="All") for n in (1, count + 1))
            turns.append([one.seconds for one in (*by_us, *by_luigi)])
        few, many, few_plain, many_plain = map(min, zip(*turns, strict=True))
        ours, theirs = (1000 * more / count for more in (many - few, many_plain - few_plain))
        against = f"a plain Luigi task {theirs:.1f} ms"
        yield Row(f"a step that does nothing{beside}", f"{ours:.1f} ms", against, ours / theirs, at_most=2)


def _quiet_and_busy(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder, and another one while its disk is busy, each with what to add to the name of the work."""
    yield folder / "quiet", ""
    with busy_disk(folder / "written"):
        yield folder / "busy", ", the disk busy"


def fake_pipeline(folder: Path, quick: bool) -> Iterator[Row]:
    """The pipeline of this repository, with a warm engine, against plain Luigi with a process per call."""
    for place, beside in _quiet_and_busy(folder):
        pairs = []
        for turn in range(1 if quick else 3):
            lab, plain = make_lab(place / f"ours-{turn}"), place / f"plain-{turn}"
            plain.mkdir()
            for name in ("plain_pipeline.py", "fake_steps.py"):
                (plain / name).symlink_to(REPOSITORY / "benchmarks" / name)
            ours = luigi(lab, "--matlab-engine", "octave").seconds
            pairs.append((ours, plain_luigi(plain, "plain_pipeline").seconds))
            assert all(len(list(one.glob("results/*/plot.png"))) == 10 for one in (lab, plain))
        ours, theirs = map(min, zip(*pairs, strict=True))
        against = f"plain Luigi, an Octave per call {theirs:.1f} s"
        work = f"fake pipeline, 10 groups, Octave, 1 worker{beside}"
        yield Row(work, f"{ours:.1f} s", against, ours / theirs, at_most=0.5)


def finished_pipeline(folder: Path, quick: bool) -> Iterator[Row]:
    """A run that has nothing to do."""
    lab = make_lab(folder / "lab")
    luigi(lab, "--matlab-engine", "numpy")
    # By turns, so that both see the same machine.
    pairs = [
        (luigi(lab, "--matlab-engine", "numpy").seconds, run([sys.executable, "-c", "import luigi"], lab).seconds)
        for _ in range(3 if quick else 7)
    ]
    ours, other = map(min, zip(*pairs, strict=True))
    against = f'python -c "import luigi" {other:.2f} s'
    yield Row("luigi on the finished fake pipeline", f"{ours:.2f} s", against, ours / other, at_most=2)


def two_workers(folder: Path, quick: bool) -> Iterator[Row]:
    """Steps that keep a processor busy."""
    loops = 1_000_000 if quick else 8_000_000
    lab = make_lab(folder / "lab", BUSY_STEPS)
    options = "--loops", str(loops)
    one, two = (luigi(lab, *options, "--workers", n, "--results-root", n, root="All").seconds for n in "12")
    yield Row(
        "16 busy steps, 2 workers",
        f"{two:.1f} s",
        f"1 worker {one:.1f} s",
        one / two,
        at_least=1.7,
    )
