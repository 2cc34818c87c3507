"""Aggregate: the recordings of a group, one after the other in one file."""

from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.ephys.targets import Concatenation
from neuroluigi.signals import numpy_functions
from neuroluigi.steps.matlab import MatlabTask


class Aggregate(ReadyMade, MatlabTask):
    """The group's recordings, one after the other in one file, and what is where in it.

    Requires the tasks of the group's recordings, in order. Makes aggregate.bin ("data"; the raw samples, channels
    interleaved, little-endian) and aggregate.json ("layout"; see targets.Concatenation).
    """

    function = "concatenateFiles"
    numpy_function = numpy_functions.concatenate_files

    def output(self):
        return {"data": self.result("aggregate.bin"), "layout": self.result("aggregate.json", Concatenation)}

    def arguments(self, out):
        paths, offsets, sizes = map(list, zip(*self.parts_of_concatenation(), strict=True))
        return [paths, out["data"], offsets, sizes]

    def make(self, out):
        super().make(out)
        Concatenation.save(out["layout"], self.concatenation())

    def fingerprint(self):
        return {"layout": self.concatenation()}
