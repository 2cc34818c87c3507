"""The scheduler: trivial tasks in chains of four, under Luigi's local scheduler and under ours."""

import time
from collections.abc import Iterator
from pathlib import Path

import luigi
from table import Row

from neuroluigi.runner import scheduler

CHAIN = 4


class Trivial(luigi.Task):
    """One link of a chain, with a file that it touches."""

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


def seconds(folder: Path, count: int, factory: object) -> float:
    """Return how long that many tasks take."""
    folder.mkdir()
    began = time.monotonic()
    is_done = luigi.build(
        [Everything(str(folder), count // CHAIN)],
        local_scheduler=True,
        log_level="WARNING",
        no_lock=True,
        worker_scheduler_factory=factory,
    )
    took = time.monotonic() - began
    assert is_done and len(list(folder.iterdir())) == count
    return took


def many_tasks(folder: Path, quick: bool) -> Iterator[Row]:
    """So many tasks that the time of Luigi's own scheduler is felt."""
    count = 1000 if quick else 8000
    ours = seconds(folder / "ours", count, scheduler.Factory())
    theirs = seconds(folder / "theirs", count, luigi.interface._WorkerSchedulerFactory())
    against = f"Luigi's scheduler {theirs:.1f} s"
    yield Row(f"{count:,} trivial tasks", f"{ours:.1f} s", against, theirs / ours, at_least=20)


def more_tasks(folder: Path, quick: bool) -> Iterator[Row]:
    """Whether the cost of a task grows with their number."""
    counts = (200, 1000) if quick else (1000, 4000, 40000)
    each = {count: 1000 * seconds(folder / str(count), count, scheduler.Factory()) / count for count in counts}
    few, many = counts[0], counts[-1]
    for count in counts[1:]:
        against = f"of {few:,}: {each[few]:.2f} ms each"
        at_most = 1.3 if count == many else None
        yield Row(f"one of {count:,} trivial tasks", f"{each[count]:.2f} ms", against, each[count] / each[few], at_most)
    yield Row(f"one of {many:,} trivial tasks", f"{each[many]:.2f} ms", "in ms", each[many], at_most=2)
