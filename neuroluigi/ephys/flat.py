"""Flat: the samples of a group in one flat file, for programs that read nothing else, such as Kilosort and Phy."""

import functools
from collections.abc import Callable
from typing import Any

import luigi

from neuroluigi.ephys.aggregate import Aggregate
from neuroluigi.ephys.ready_made import ReadyMadeName
from neuroluigi.signals import numpy_functions
from neuroluigi.steps.matlab import MatlabTask
from neuroluigi.steps.tasks import GroupTask, WrapperTask


class FlatFile(GroupTask, MatlabTask):
    """A copy of a group's samples in one file, which a Flat requires where it needs one.

    Makes flat.bin: the raw samples, channels interleaved, little-endian.
    """

    task_namespace = "ephys"
    aggregate: Any = luigi.TaskParameter(
        significant=False, description="the class of the Aggregate that it is made from"
    )
    function = "concatenateFiles"
    numpy_function = numpy_functions.concatenate_files

    def requires(self):
        return self.aggregate(self.group)

    def output(self):
        return self.result("flat.bin")

    def arguments(self, out):
        paths, offsets, sizes = map(list, zip(*self.input()["layout"].parts(), strict=True))
        return [paths, out, offsets, sizes]


class Flat(ReadyMadeName, WrapperTask):
    """A flat file of the group's samples: aggregate.bin, the recording itself where it is one such file, or a FlatFile.

    Requires an Aggregate, and by itself the FlatFile where it needs one. Its output() is the target of the file, which
    a step that requires it has by self.input().
    """

    group = luigi.Parameter(description="key of the group, such as a-even")

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "requires" in vars(cls):
            cls.requires = _with_copy(cls.requires)

    def output(self) -> Any:
        aggregate, *copied = self.requires()
        return copied[0].output() if copied else aggregate.flat_target()


def _with_copy(declared: Callable[[Flat], Aggregate]) -> Callable[[Flat], list[GroupTask]]:
    """Return the requires() of a Flat that declares its Aggregate."""

    @functools.wraps(declared)
    def requires(self: Flat) -> list[GroupTask]:
        aggregate = declared(self)
        copied = [] if aggregate.flat_target() else [FlatFile(self.group, aggregate=type(aggregate))]
        return [aggregate, *copied]

    return requires
