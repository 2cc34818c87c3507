"""Results of steps from real processes, of which some die."""

import multiprocessing
import os
import queue
import signal
import time

import pytest

from neuroluigi.runner.result_pipes import ResultPipes
from neuroluigi.steps.attempt import MADE, Outcome

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the processes are forked")


class AnyTask:
    """A task as the process that runs it knows it."""


def start(pipes, work, task=None):
    sender = pipes.add_process(task or AnyTask())
    process = multiprocessing.get_context("fork").Process(target=work, args=(sender,))
    process.start()
    sender.close()
    return process


def test_results_come_from_each_process_and_from_this_one():
    pipes = ResultPipes(lambda: None, lambda *outcome: None)
    processes = [start(pipes, lambda sender, n=n: sender.put(("task", n))) for n in range(3)]
    for process in processes:
        process.join()
    pipes.put(("own", 3))
    # Those of processes come first.
    assert sorted(pipes.get(5) for _ in range(3)) == [("task", 0), ("task", 1), ("task", 2)]
    with pytest.raises(queue.Empty):
        while True:
            assert pipes.get(0) == ("own", 3)
    pipes.close()


def test_the_outcome_of_a_task_comes_with_its_result_whatever_the_result_says():
    outcomes = {}
    pipes = ResultPipes(lambda: None, outcomes.__setitem__)
    step = AnyTask()

    def run(sender):
        # In the process of the step, of which this one has a copy as it was.
        step.run_outcome = Outcome(MADE, 1.5)
        sender.put(("step", "DONE", {"outcome": "unchanged"}))

    start(pipes, run, step).join()
    assert pipes.get(5) == ("step", "DONE", {"outcome": "unchanged"})
    assert outcomes == {"step": Outcome(MADE, 1.5)}
    # A task of Luigi's own has no outcome, and one may have a parameter of that name.
    task = AnyTask()
    task.run_outcome = "correct"
    start(pipes, lambda sender: sender.put(("plain",)), task).join()
    assert pipes.get(5) == ("plain",) and outcomes["plain"] == Outcome(MADE)


def test_a_process_that_is_killed_holds_up_no_other():
    pipes = ResultPipes(lambda: None, lambda *outcome: None)

    def die(sender):
        os.kill(os.getpid(), signal.SIGKILL)

    start(pipes, die).join()
    start(pipes, lambda sender: sender.put(("alive",))).join()
    results = []
    while not results:
        try:
            results.append(pipes.get(5))
        except queue.Empty:
            continue
    assert results == [("alive",)]


def test_there_is_time_for_other_work_after_some_waits_in_vain():
    calls = []
    pipes = ResultPipes(lambda: calls.append(time.monotonic()), lambda *outcome: None)
    for _ in range(5):
        with pytest.raises(queue.Empty):
            pipes.get(0)
    assert len(calls) == 2
    # A result starts the count again.
    pipes.put(("own",))
    pipes.get(0)
    for _ in range(3):
        with pytest.raises(queue.Empty):
            pipes.get(0)
    assert len(calls) == 2
