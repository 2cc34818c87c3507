"""Flat: the samples of a group in one flat file, for programs that read nothing else, such as Kilosort and Phy."""

from typing import Any

import luigi

from neuroluigi.ephys.aggregate import Aggregate
from neuroluigi.ephys.ready_made import ReadyMade, ReadyMadeName
from neuroluigi.signals import numpy_functions
from neuroluigi.steps.matlab import MatlabTask
from neuroluigi.steps.tasks import GroupTask, WrapperTask


class FlatFile(ReadyMade, MatlabTask):
    """A copy of the group's samples in one file.

    Requires an Aggregate. Makes flat.bin: the raw samples, channels interleaved, little-endian.
    """

    function = "concatenateFiles"
    numpy_function = numpy_functions.concatenate_files

    def output(self):
        return self.result("flat.bin")

    def arguments(self, out):
        paths, offsets, sizes = map(list, zip(*self.input()["layout"].parts(), strict=True))
        return [paths, out, offsets, sizes]


class Flat(ReadyMadeName, WrapperTask):
    """A flat file of the group's samples: aggregate.bin, the recording itself where it is one such file, or a FlatFile.

    Its output() is the target of that file; a step that requires it reads it from self.input().
    """

    group = luigi.Parameter(description="key of the group, such as a-even")

    def needed(self, aggregate: Aggregate, copied: FlatFile) -> list[GroupTask]:
        """Return what to require: an Aggregate, and where there is no flat file without another copy, that copy."""
        return [aggregate] if aggregate.flat_target() else [aggregate, copied]

    def output(self) -> Any:
        aggregate, *copied = self.requires()
        return copied[0].output() if copied else aggregate.flat_target()
