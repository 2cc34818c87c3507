"""What the class of a step can't define itself, and what it is told to write instead."""

import functools

import pytest

from neuroluigi import GroupTask, MatlabTask, StudyTask


class RunsItself:
    """Something that a lab mixes in."""

    def run(self):
        """Write files without a record."""


@pytest.mark.parametrize("bases", [(GroupTask,), (RunsItself, GroupTask), (RunsItself, MatlabTask, StudyTask)])
def test_a_run_of_its_own_is_refused_with_what_to_write_instead(bases):
    own = {} if RunsItself in bases else {"run": RunsItself.run}
    with pytest.raises(TypeError, match=r"Wrong has a run\(\) of its own.*: name it make\(self, out\), and write to"):
        type("Wrong", bases, own)


def test_a_complete_of_its_own_is_refused_with_what_to_write_instead():
    with pytest.raises(TypeError, match=r"Wrong has a complete\(\) of its own.*from fingerprint\(\) what else"):
        type("Wrong", (GroupTask,), {"complete": lambda self: True})


def test_a_make_that_yields_is_refused_with_what_to_write_instead():
    def make(self, out):
        yield GroupTask("g")

    with pytest.raises(
        TypeError, match=r"make\(\) of Wrong has a yield, or is async: .*; return those tasks from requires\(\)"
    ):
        type("Wrong", (GroupTask,), {"make": make})


async def make_async(self, out):
    """Nobody would await it."""


def yielding(self, out):
    yield GroupTask("g")


@pytest.mark.parametrize("make", [make_async, functools.wraps(yielding)(lambda self, out: yielding(self, out))])
def test_a_make_that_yields_is_told_behind_a_decorator_too(make):
    with pytest.raises(TypeError, match=r"make\(\) of Wrong has a yield, or is async"):
        type("Wrong", (GroupTask,), {"make": make})
