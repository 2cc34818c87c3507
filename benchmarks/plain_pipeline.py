"""The fake pipeline in plain Luigi, an Octave per call, as a lab would write it: what ours is held against."""

import json
import subprocess
from pathlib import Path

import luigi
import numpy as np

from neuroluigi import fake_samples, plotting

M_FILES = Path(__file__).resolve().parent.parent / "matlab"
SESSIONS, PARITIES = "abcde", ("even", "odd")


def octave(code: str) -> None:
    """Run M-code in an Octave of its own."""
    subprocess.run(["octave-cli", "--norc", "--quiet", "--eval", f"addpath('{M_FILES}'); {code}"], check=True)


class FakeRecording(luigi.Task):
    session = luigi.Parameter()
    index = luigi.IntParameter()

    def output(self):
        return luigi.LocalTarget(f"recordings/{self.session}/rec_{self.index}.bin", format=luigi.format.Nop)

    def run(self):
        with self.output().open("w") as file:
            file.write(fake_samples(self.session, self.index, 100))


class GroupTask(luigi.Task):
    session = luigi.Parameter()
    parity = luigi.Parameter()
    name = ""

    def output(self):
        target = luigi.LocalTarget(f"results/{self.session}-{self.parity}/{self.name}")
        target.makedirs()
        return target

    def same(self, kind):
        """Return the step of that kind for the same group."""
        return kind(self.session, self.parity)


class Aggregate(GroupTask):
    name = "aggregate.bin"

    def requires(self):
        return [FakeRecording(self.session, k) for k in range(PARITIES.index(self.parity), 4, 2)]

    def run(self):
        files = ", ".join(f"'{one.path}'" for one in self.input())
        with self.output().temporary_path() as out:
            octave(f"concatenateFiles({{{files}}}, '{out}')")


class Stats(GroupTask):
    name = "stats.json"

    def requires(self):
        return self.same(Aggregate)

    def run(self):
        with self.output().temporary_path() as out:
            octave(f"computeStats('{self.input().path}', '{out}', 'uint8', 1)")


class Edges(GroupTask):
    name = "edges.npy"

    def requires(self):
        return {"aggregate": self.same(Aggregate), "stats": self.same(Stats)}

    def level(self):
        stats = json.loads(Path(self.input()["stats"].path).read_text())
        return stats["min"][0] + 0.75 * (stats["max"][0] - stats["min"][0])

    def run(self):
        with self.output().temporary_path() as out:
            data = self.input()["aggregate"].path
            octave(f"findRisingEdges('{data}', '{out}', 'uint8', 1, {self.level()}, [0 100])")


class Plot(GroupTask):
    name = "plot.png"

    def requires(self):
        return {"aggregate": self.same(Aggregate), "stats": self.same(Stats), "edges": self.same(Edges)}

    def run(self):
        edges = self.requires()["edges"]
        rows = [{"session": self.session, "index": k, "first_sample": 100 * k, "samples": 100} for k in range(2)]
        layout = {"dtype": "uint8", "channels": 1, "recordings": rows, "segments": [0, 100], "excluded": []}
        # Its extension says what kind of picture it is, as that of temporary_path() does not.
        out = Path(self.output().path).with_name("part.png")
        plotting.plot_group(
            out,
            title=f"{self.session}-{self.parity}",
            data_file=self.input()["aggregate"].path,
            layout=layout,
            edges=np.load(edges.output().path),
            levels=[edges.level()],
            threshold=0.75,
            made_by="octave",
        )
        out.replace(self.output().path)


class PlotAll(luigi.WrapperTask):
    def requires(self):
        return [Plot(session, parity) for session in SESSIONS for parity in PARITIES]
