"""What the scheduler costs per task: trivial tasks, in chains of four, under Luigi's local scheduler and under ours.

    python benchmarks/scheduling.py [TASKS ...]        (default: 1000 4000 8000 40000)

Each is a plain luigi.Task with a touched LocalTarget. Luigi's own scheduler runs the counts up to 8,000. Prints
seconds, milliseconds per task, the ratio of the two schedulers, and the cost per task at the largest count to that at
the smallest.
"""

import sys
import tempfile
import time
from pathlib import Path

import luigi

from neuroluigi import scheduling

MOST_OF_LUIGI = 8000
CHAIN = 4


class Trivial(luigi.Task):
    """One link of a chain."""

    folder = luigi.Parameter()
    chain = luigi.IntParameter()
    link = luigi.IntParameter()

    def requires(self):
        return [Trivial(self.folder, self.chain, self.link - 1)] if self.link else []

    def output(self):
        return luigi.LocalTarget(f"{self.folder}/{self.chain}-{self.link}")

    def run(self):
        Path(self.output().path).touch()


class Everything(luigi.WrapperTask):
    """All chains."""

    folder = luigi.Parameter()
    chains = luigi.IntParameter()

    def requires(self):
        return [Trivial(self.folder, chain, CHAIN - 1) for chain in range(self.chains)]


def seconds(count: int, factory: object) -> float:
    """Return how long that many tasks take."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        is_done = luigi.build(
            [Everything(folder, count // CHAIN)],
            local_scheduler=True,
            log_level="WARNING",
            no_lock=True,
            worker_scheduler_factory=factory,
        )
        took = time.monotonic() - began
        assert is_done and len(list(Path(folder).iterdir())) == count
    return took


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [1000, 4000, 8000, 40000]
    per_task = {}
    for count in counts:
        ours = seconds(count, scheduling.Factory())
        per_task[count] = ours / count * 1000
        line = f"{count:6} tasks: ours {ours:6.1f} s, {per_task[count]:.2f} ms each"
        if count <= MOST_OF_LUIGI:
            theirs = seconds(count, luigi.interface._WorkerSchedulerFactory())
            line += f"; Luigi's {theirs:6.1f} s, {theirs / ours:.1f} times"
        print(line, flush=True)
    print(f"per task at {max(counts)} / at {min(counts)}: {per_task[max(counts)] / per_task[min(counts)]:.2f}")


if __name__ == "__main__":
    main()
