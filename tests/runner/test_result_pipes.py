"""Results of steps from real processes, of which some die."""

import multiprocessing
import os
import queue
import signal
import time

import pytest

from neuroluigi.runner.result_pipes import ResultPipes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the processes are forked")


def start(pipes, work):
    sender = pipes.add_process()
    process = multiprocessing.get_context("fork").Process(target=work, args=(sender,))
    process.start()
    sender.close()
    return process


def test_results_come_from_each_process_and_from_this_one():
    pipes = ResultPipes(lambda: None)
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


def test_a_process_that_is_killed_holds_up_no_other():
    pipes = ResultPipes(lambda: None)

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
    pipes = ResultPipes(lambda: calls.append(time.monotonic()))
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
