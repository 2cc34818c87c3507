"""Curated: a sorter's folder of units, copied for a person to merge, split and label them in phy."""

import shutil
from collections import Counter
from pathlib import Path

from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.signals.sorted_units import read_units
from neuroluigi.steps.describe import StepError
from neuroluigi.steps.target import ResultFolder

# What phy writes as soon as it shows a folder.
LEFT_BY_PHY = (".phy/", "phy.log")
# The clusters of spikes: those that phy changes, and those that the sorter found.
_CLUSTERS, _FOUND = "spike_clusters.npy", "spike_templates.npy"


class Curated(ReadyMade):
    """A copy of a sorter's folder, curated/, in which phy is opened: what was sorted stays as it was.

    Requires the step that makes the folder, or {"sorted": that step, ...}. What a person does in phy makes the result
    modified: no run replaces it, and `neuroluigi accept` makes it the result. Where it is made again after that, since
    something else was sorted, the accepted one is kept as curated.accepted. Its units: signals.sorted_units.read_units.
    """

    def output(self):
        return self.result_folder("curated", ignore=LEFT_BY_PHY)

    def make(self, out):
        given = self.input()
        folder = given["sorted"] if isinstance(given, dict) else given
        if not isinstance(folder, ResultFolder):
            raise StepError(
                f"requires() has to give a step that makes one folder, by result_folder(); it gives {given}"
            )
        shutil.copytree(folder.path, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".phy", "phy.log"))
        if not (out / _CLUSTERS).exists() and (out / _FOUND).exists():
            # As phy would on opening it, which is no change.
            shutil.copyfile(out / _FOUND, out / _CLUSTERS)
        try:
            units = read_units(str(out))
        except ValueError as error:
            raise StepError(str(error).replace(str(out), Path(folder.path).name)) from error
        labels = Counter(one.label or "without a label" for one in units)
        words = ", ".join(f"{count} {label}" for label, count in sorted(labels.items()))
        print(f"{sum(len(one.samples) for one in units)} spikes of {len(units)} units: {words or 'none'}")
