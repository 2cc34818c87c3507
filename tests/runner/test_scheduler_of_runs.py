"""The local scheduler against Luigi's own, in runs: the same tasks end alike, by `luigi` and by luigi.build."""

import multiprocessing
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import commands
from tests.conftest import BIN, clean_environment

GRAPHS = '''
import os, pathlib, time
import luigi

HERE = pathlib.Path(__file__).parent


class Base(luigi.Task):
    name = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(str(HERE / "out" / f"{type(self).__name__}-{self.name}"))

    def ran(self):
        with open(HERE / "ran.txt", "a") as file:
            file.write(f"{type(self).__name__}-{self.name}\\n")

    def run(self):
        self.ran()
        self.output().makedirs()
        with self.output().open("w"):
            pass


class Ranked(Base):
    """A higher priority goes first."""
    @property
    def priority(self):
        return int(self.name) * 7 % 10


class Priorities(luigi.WrapperTask):
    def requires(self):
        return [Ranked(str(n)) for n in range(10)]


class Pool(Base):
    @property
    def resources(self):
        return {"pool": 1 + int(self.name) % 2}

    def run(self):
        mine = HERE / f"in-{self.name}"
        mine.touch()
        with open(HERE / "together.txt", "a") as file:
            file.write(f"{sum(1 + int(one.name[3:]) % 2 for one in HERE.glob('in-*'))}\\n")
        time.sleep(0.05)
        mine.unlink()
        super().run()


class Resources(luigi.WrapperTask):
    def requires(self):
        return [Pool(str(n)) for n in range(8)]


class Broken(Base):
    def run(self):
        self.ran()
        if not (HERE / "mended").exists():
            raise RuntimeError("broken")
        super().run()


class Flaky(Base):
    """Fails the first time; is tried again where retry_delay allows."""
    def run(self):
        tried = HERE / f"tried-{self.name}"
        self.ran()
        if not tried.exists():
            tried.touch()
            raise RuntimeError("flaky")
        self.output().makedirs()
        with self.output().open("w"):
            pass


class Above(Base):
    below = luigi.TaskParameter()

    def requires(self):
        return self.below(self.name)


class Failures(luigi.WrapperTask):
    def requires(self):
        return [Above("a", below=Broken), Above("b", below=Ranked_), Base("c"), Above("d", below=Broken)]


class Ranked_(Base):
    pass


class Retries(luigi.WrapperTask):
    def requires(self):
        return [Above(str(n), below=Flaky) for n in range(3)]


class Missing(luigi.ExternalTask):
    name = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(str(HERE / "missing"))


class Off(Base):
    disabled = True


class External(luigi.WrapperTask):
    def requires(self):
        return [Above("a", below=Missing), Base("b"), Above("c", below=Off), Base("d")]


class Dynamic(Base):
    """Asks for others while it runs, one after the other and several at once."""
    def run(self):
        self.ran()
        first = yield Base(f"{self.name}1")
        yield [Base(f"{self.name}{n}") for n in (2, 3, 4)]
        assert first.exists()
        super().run()


class DynamicFailure(Base):
    def run(self):
        self.ran()
        yield Broken(self.name)
        super().run()


class Dynamics(luigi.WrapperTask):
    def requires(self):
        return [Dynamic("x"), Dynamic("y"), DynamicFailure("z"), Base("x1")]


class Spawner(Base):
    def run(self):
        self.ran()
        yield [Together(f"{self.name}{n}") for n in range(5)]
        super().run()


class Together(Base):
    name = luigi.Parameter(batch_method=",".join)
    max_batch_size = 3

    def run(self):
        self.ran()
        for name in self.name.split(","):
            one = luigi.LocalTarget(str(HERE / "out" / f"Together-{name}"))
            one.makedirs()
            with one.open("w"):
                pass

    def complete(self):
        return all((HERE / "out" / f"Together-{name}").exists() for name in self.name.split(","))


class Batches(luigi.WrapperTask):
    def requires(self):
        return [*(Together(str(n)) for n in range(7)), Spawner("s"), Base("z")]


class Wrapped(luigi.WrapperTask):
    def requires(self):
        return [Priorities(), Batches()]
'''

# name, workers, settings, whether the order is promised, exit code
RUNS = [
    ("Priorities", 1, [], True, 0),
    ("Priorities", 3, [], False, 0),
    ("Resources", 3, [], False, 0),
    ("Failures", 1, [], False, 30),
    ("Failures", 2, [], False, 30),
    ("Retries", 1, ["--scheduler-retry-delay", "0", "--scheduler-retry-count", "3", "--worker-keep-alive"], False, 0),
    ("Retries", 2, ["--scheduler-retry-delay", "0", "--scheduler-retry-count", "1"], False, 30),
    ("External", 1, [], False, 25),
    ("External", 2, [], False, 25),
    ("Dynamics", 1, [], False, 30),
    ("Dynamics", 3, [], False, 30),
    ("Batches", 1, [], False, 0),
    ("Batches", 2, [], False, 0),
    ("Wrapped", 1, [], False, 0),
    ("Wrapped", 3, [], False, 0),
]


def run_graph(folder: Path, root: str, workers: int, arguments: list[str], linear: bool) -> dict:
    """Run a graph in a folder of its own; return what ran in which order, the summary, and the exit code."""
    folder.mkdir()
    (folder / "graphs.py").write_text(GRAPHS)
    (folder / "luigi.cfg").write_text("[resources]\npool = 2\n[worker]\nwait_interval = 0.05\n")
    command = [BIN / "luigi", "--module", "graphs", root, "--local-scheduler", "--workers", str(workers), *arguments]
    done = commands.run(
        [*command, "--neuroluigi-fast-scheduler", str(linear).lower()],
        cwd=folder,
        # Tasks that become known at the same moment come in the order of their hashes.
        env={**clean_environment(), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert "===== Luigi Execution Summary =====" in said, said
    summary = said.split("===== Luigi Execution Summary =====")[1]
    ran = folder / "ran.txt"
    return {
        "ran": ran.read_text().split() if ran.exists() else [],
        "summary": sorted(line for line in summary.splitlines() if "Worker" not in line),
        "code": done.returncode,
        "there": sorted(path.name for path in (folder / "out").glob("*")),
        "folder": folder,
    }


@pytest.mark.parametrize(("root", "workers", "arguments", "is_ordered", "code"), RUNS)
def test_a_graph_ends_alike(tmp_path, root, workers, arguments, is_ordered, code):
    theirs, ours = (run_graph(tmp_path / str(linear), root, workers, arguments, linear) for linear in (False, True))
    assert ours["code"] == theirs["code"] == code
    assert ours["there"] == theirs["there"]
    if workers == 1:
        assert ours["ran"] == theirs["ran"]
    elif root in ("Dynamics", "Batches", "Wrapped"):
        # How often a step is resumed, and what makes a batch, depends on what has ended by then.
        for one in (ours, theirs):
            one["summary"] = [line for line in one["summary"] if "(name=" not in line and "scheduled" not in line]
            one["summary"] = [re.sub(r"^\* \d+ (ran|complete)", r"* \1", line) for line in one["summary"]]
    else:
        assert Counter(ours["ran"]) == Counter(theirs["ran"])
    assert ours["summary"] == theirs["summary"]
    if is_ordered:
        ranks = [int(name.partition("-")[2]) * 7 % 10 for name in ours["ran"]]
        assert ranks == sorted(ranks, reverse=True) and len(ranks) == 10
    if root == "Resources":
        together = [int(line) for line in (ours["folder"] / "together.txt").read_text().split()]
        assert len(together) == 8 and max(together) <= 2


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_it_survives_every_way_to_start_a_process(tmp_path, method):
    (tmp_path / "graphs.py").write_text(GRAPHS)
    program = f"""
import multiprocessing
if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
    import luigi, graphs
    from neuroluigi import scheduler
    scheduler.install()
    assert isinstance(luigi.interface._WorkerSchedulerFactory().create_local_scheduler(), scheduler.Scheduler)
    assert luigi.build([graphs.Wrapped()], local_scheduler=True, workers=2, no_lock=True)
"""
    (tmp_path / "program.py").write_text(program)
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=clean_environment(), check=True, timeout=300)
    assert len(list((tmp_path / "out").iterdir())) == 10 + 7 + 5 + 2
