"""Flat: the samples of a group in one flat file, for programs that read nothing else, such as Kilosort and Phy."""

import types
from collections.abc import Callable
from typing import Any, ClassVar

import luigi

from neuroluigi.ephys.aggregate import Aggregate
from neuroluigi.ephys.ready_made import ReadyMade, ReadyMadeName
from neuroluigi.signals import numpy_functions
from neuroluigi.steps.matlab import MatlabTask
from neuroluigi.steps.tasks import GroupTask, WrapperTask


class FlatCopy(ReadyMade, MatlabTask):
    """A copy of a group's samples in one file, which a Flat requires where it needs one.

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
    """A flat file of the group's samples: aggregate.bin, the recording itself where it is one such file, or a copy.

    Requires an Aggregate, and by itself a step FlatCopy, with the same requires(), where it needs a copy. Its output()
    is the target of the file, which a step that requires it has by self.input().
    """

    group = luigi.Parameter(description="key of the group, such as a-even")
    copied: type[FlatCopy]
    aggregate: ClassVar[Callable[["Flat"], Aggregate]]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if declared := vars(cls).get("requires"):
            # A class of the pipeline, with options and settings as its others have them.
            own = {"__module__": cls.__module__, "__qualname__": f"{cls.__qualname__}.copied", "requires": declared}
            cls.copied = types.new_class(f"{cls.__name__}Copy", (FlatCopy,), exec_body=lambda body: body.update(own))
            cls.aggregate, cls.requires = declared, _with_copy

    def output(self) -> Any:
        aggregate, *copied = self.requires()
        return copied[0].output() if copied else aggregate.flat_target()


def _with_copy(flat: Flat) -> list[GroupTask]:
    """Return what a Flat requires: its Aggregate, and where that has no flat file, a copy."""
    aggregate = flat.aggregate()
    return [aggregate] if aggregate.flat_target() else [aggregate, flat.copied(flat.group)]
