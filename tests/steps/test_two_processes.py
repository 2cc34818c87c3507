"""Two processes share the work on many tasks, and whatever happens to the second one is no error."""

import os
import signal

import pytest

from neuroluigi.steps.two_processes import by_two, is_worth_sharing

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the second process is forked")


def test_each_half_is_worked_on_in_a_process_of_its_own():
    (first, here), (second, there) = by_two([1, 2, 3, 4, 5], lambda some: (list(some), os.getpid()))
    assert (first, second) == ([1, 2], [3, 4, 5]) and here == os.getpid() != there


@pytest.mark.parametrize(
    "end",
    [lambda: 1 / 0, lambda: os._exit(0), lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: exit(3)],
    ids=["error", "exit at once", "kill", "exit"],
)
def test_of_a_second_process_that_fails_nothing_is_known(end):
    parent = os.getpid()
    assert by_two([1, 2], lambda some: (os.getpid() == parent or end(), list(some))) == ((True, [1]), None)


def test_what_can_not_be_sent_is_not_known():
    assert by_two([1, 2], lambda some: lambda: some)[1] is None


def test_an_error_here_ends_the_second_process(tmp_path):
    parent = os.getpid()

    def work(some):
        if os.getpid() == parent:
            while not (tmp_path / "began").exists():
                pass
            raise ValueError
        (tmp_path / "part").write_text(str(os.getpid()))
        (tmp_path / "part").replace(tmp_path / "began")
        signal.pause()

    with pytest.raises(ValueError):
        by_two([1, 2], work)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "began").read_text()), 0)


def test_without_a_command_there_is_one_process():
    assert not is_worth_sharing(range(10_000))
