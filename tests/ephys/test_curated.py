"""Curated: what a person does in phy is a result, and no run, nor any command, loses it."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuroluigi.signals.sorted_units import read_units
from tests.conftest import Pipeline
from tests.results.conftest import ask
from tests.signals.sorted_folder import CLUSTERS, TIMES, table, write_sorted_folder

STEPS = """
import shutil

from neuroluigi.signals.sorted_units import read_units


class Sorted(GroupTask):
    threshold = luigi.IntParameter(default=8)

    def output(self):
        return self.result_folder("sorted")

    def make(self, out):
        shutil.copytree("as sorted", out, dirs_exist_ok=True)
        (out / "threshold.txt").write_text(str(self.threshold))


class Curated(ephys.Curated):
    def requires(self):
        return Sorted(self.group)


class Count(GroupTask):
    def requires(self):
        return Curated(self.group)

    def output(self):
        return self.result("good.txt")

    def make(self, out):
        out.write_text(str(sum(one.label == "good" for one in read_units(self.input().path))))


class Counts(WrapperTask):
    def requires(self):
        return Count(next(iter(groups())))
"""


class SorterLab(Pipeline):
    real = True  # `ask` adds no settings

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.add(STEPS)
        (folder / "luigi.cfg").write_text("[neuroluigi]\ntask = Counts\n[recordings]\ngroup_by = session\n")
        write_sorted_folder(folder / "as sorted", spike_clusters=None)

    @property
    def curated(self) -> Path:
        return self.results / "a" / "curated"

    def go(self, *arguments) -> str:
        out = self.run("Counts", *arguments)
        made = next(line for line in out.splitlines() if line.startswith(("Made", "Nothing"))).partition(".")[0]
        return "Nothing" if made.startswith("Nothing") else made

    def state(self) -> str:
        (one,) = [
            one for one in json.loads(ask(self, "status", "--json", code=None))["results"] if one["step"] == "Curated"
        ]
        return one["state"]

    def labels(self, name: str = "curated") -> dict[int, str]:
        return {one.id: one.label for one in read_units(self.curated.with_name(name))}

    def merge_and_label(self) -> None:
        """Write what phy does when somebody merges 0 and 3, calls that good and 2 noise, and saves."""
        merged = np.array([4 if one in (0, 3) else one for one in CLUSTERS], np.int32)
        np.save(self.curated / "spike_clusters.npy", merged)
        table(self.curated / "cluster_group.tsv", "group", {4: "good", 2: "noise"})
        table(self.curated / "cluster_info.tsv", "group", {4: "good", 2: "noise"})


AS_SORTED, MINE = {0: "good", 2: "mua", 3: "mua"}, {2: "noise", 4: "good"}


@pytest.fixture
def lab(tmp_path) -> SorterLab:
    return SorterLab(tmp_path / "lab")


def test_what_is_done_in_phy_is_never_lost(lab):
    assert lab.go() == "Made: 1 Count, 1 Curated, 1 Sorted"
    assert "8 spikes of 3 units: 1 good, 2 mua" in (lab.results / "a/runs/Curated.log").read_text()
    assert lab.labels() == AS_SORTED
    # Just looked at.
    (lab.curated / ".phy").mkdir()
    (lab.curated / ".phy" / "state.json").write_text("{}")
    (lab.curated / "phy.log").write_text("opened")
    assert lab.state() == "done" and lab.go() == "Nothing"
    lab.merge_and_label()
    assert lab.state() == "modified"
    # Sorted anew, before it was accepted: what is there counts as done.
    assert lab.go("--Sorted-threshold", "9") == "Made: 1 Count, 1 Sorted"
    assert lab.labels() == MINE
    lab.go()
    ask(lab, "accept", "a/curated", "--reason", "merged by hand")
    assert lab.state() == "done" and "all as recorded" in ask(lab, "verify") and lab.go() == "Nothing"
    merged = next(one for one in read_units(lab.curated) if one.id == 4)
    assert merged.samples.tolist() == sorted(t for t, c in zip(TIMES, CLUSTERS, strict=True) if c in (0, 3))
    # Neither command removes it, unless that is said.
    ask(lab, "drop", "--step", "Curated", "--yes", code=None)
    ask(lab, "clean", "--step", "Curated", "--yes", code=None)
    assert lab.labels() == MINE and lab.go() == "Made: 1 Count"
    # Dropping what was sorted does not make it again.
    ask(lab, "drop", "--step", "Sorted", "--yes")
    assert lab.go() == "Nothing" and lab.labels() == MINE
    # Sorted anew after that: it is made again, and what was accepted is kept.
    assert lab.go("--Sorted-threshold", "9") == "Made: 1 Count, 1 Curated, 1 Sorted"
    assert lab.labels() == AS_SORTED and lab.labels("curated.accepted") == MINE
    assert (lab.results / "a/good.txt").read_text() == "1"


def test_a_folder_of_no_sorter_fails_with_the_file(lab):
    (lab.folder / "as sorted" / "spike_times.npy").write_bytes(b"")
    out = lab.run("Counts", code=30)
    assert "sorted/spike_times.npy is not a whole .npy file of numbers" in out


def test_opened_by_phylib_it_is_as_it_was(lab):
    model = pytest.importorskip("phylib.io.model")
    lab.go()
    theirs = model.TemplateModel(
        dir_path=lab.curated, dat_path=[], n_channels_dat=6, sample_rate=30000.0, dtype="int16", offset=0
    )
    theirs.get_template(0)
    assert theirs.spike_samples.tolist() == TIMES and lab.state() == "done" and lab.go() == "Nothing"
