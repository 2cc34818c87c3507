"""The fake pipeline in plain Luigi, an Octave per call, as a lab would write it: what ours is held against."""

from pathlib import Path

import fake_steps
import luigi


class FakeRecording(luigi.Task):
    session = luigi.Parameter()
    index = luigi.IntParameter()

    def output(self):
        return luigi.LocalTarget(f"recordings/{self.session}/rec_{self.index}.bin")

    def run(self):
        with self.output().temporary_path() as out:
            fake_steps.make_recording(self.session, self.index, out)


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
        return [FakeRecording(self.session, index) for index in fake_steps.indices(self.parity)]

    def run(self):
        with self.output().temporary_path() as out:
            fake_steps.concatenate([one.path for one in self.input()], out)


class Stats(GroupTask):
    name = "stats.json"

    def requires(self):
        return self.same(Aggregate)

    def run(self):
        with self.output().temporary_path() as out:
            fake_steps.compute_stats(self.input().path, out)


class Edges(GroupTask):
    name = "edges.npy"

    def requires(self):
        return {"data": self.same(Aggregate), "stats": self.same(Stats)}

    def run(self):
        with self.output().temporary_path() as out:
            fake_steps.find_edges(**{name: one.path for name, one in self.input().items()}, out=out)


class Plot(GroupTask):
    name = "plot.png"

    def requires(self):
        return {"data": self.same(Aggregate), "stats": self.same(Stats), "edges": self.same(Edges)}

    def run(self):
        # Its extension says what kind of picture it is, as that of temporary_path() does not.
        out = Path(self.output().path).with_name("part.png")
        fake_steps.plot(self.session, self.parity, **{name: one.path for name, one in self.input().items()}, out=out)
        out.replace(self.output().path)


class PlotAll(luigi.WrapperTask):
    def requires(self):
        return [Plot(session, parity) for session in fake_steps.SESSIONS for parity in fake_steps.PARITIES]
