"""What the scheduler derives of tasks: counts of what is left, who is ready, and in which order, by hand."""

from luigi.scheduler import DISABLED, DONE, FAILED, PENDING, RUNNING

from neuroluigi.runner.scheduler import Scheduler


def scheduler_with(**deps) -> Scheduler:
    """Return a scheduler with tasks of a worker w, in that order, and what each depends on."""
    one = Scheduler(retry_delay=100)
    for name, needed in deps.items():
        one.add_task(worker="w", task_id=name, deps=list(needed), family=name)
    return one


def derived(scheduler: Scheduler, name: str) -> tuple[int, int, bool]:
    """Return how many dependencies are unfinished, how many block it, and whether it is ready."""
    task = scheduler._state.get_task(name)
    return task.unfinished, task.blocking, task.rank_key is not None


def ready(scheduler: Scheduler) -> list[str]:
    """Return the tasks that w could run, best first of each kind."""
    queue = scheduler._state.ready["w"]
    return [task.id for _, group, _, _ in queue.best() for task in queue.first(group, 10)]


def test_what_is_done_counts_down_for_its_dependents_alone():
    scheduler = scheduler_with(a="", b="a", c="ab", d="")
    assert [derived(scheduler, name) for name in "abcd"] == [(0, 0, True), (1, 0, False), (2, 0, False), (0, 0, True)]
    assert ready(scheduler) == ["a", "d"] and scheduler._state.counts["pending", "w"] == 4
    scheduler.add_task(worker="w", task_id="a", status=DONE)
    assert [derived(scheduler, name) for name in "bc"] == [(0, 0, True), (1, 0, False)]
    assert sorted(ready(scheduler)) == ["b", "d"] and scheduler._state.counts["pending", "w"] == 3
    # Made again, it counts again.
    scheduler.add_task(worker="w", task_id="a", status=PENDING)
    assert [derived(scheduler, name) for name in "bc"] == [(1, 0, False), (2, 0, False)]


def test_what_is_given_up_blocks_all_that_depend_on_it_however_far():
    scheduler = scheduler_with(a="", b="a", c="b", d="")
    scheduler._state.set_status(scheduler._state.get_task("a"), DISABLED)
    assert [derived(scheduler, name)[1] for name in "bcd"] == [1, 1, 0]
    assert [scheduler._state.get_task(name).is_left() for name in "abcd"] == [False, False, False, True]
    assert scheduler._state.counts["pending", "w"] == 1
    # What has failed is tried again.
    scheduler._state.set_status(scheduler._state.get_task("a"), FAILED, scheduler._config)
    assert [derived(scheduler, name)[1] for name in "bc"] == [0, 0]
    assert all(scheduler._state.get_task(name).is_left() for name in "abcd")


def test_a_dependency_that_nobody_knows_is_unfinished_until_it_is_done():
    scheduler = scheduler_with(b="x")
    assert derived(scheduler, "b") == (1, 0, False)
    scheduler.add_task(worker="w", task_id="x")
    assert derived(scheduler, "b") == (1, 0, False)
    scheduler.add_task(worker="w", task_id="x", status=DONE)
    assert derived(scheduler, "b") == (0, 0, True)
    # Other dependencies than before.
    scheduler.add_task(worker="w", task_id="b", deps=["y"])
    assert derived(scheduler, "b")[0] == 1


def test_the_order_is_by_priority_then_by_time():
    scheduler = scheduler_with(a="", b="", c="")
    scheduler.add_task(worker="w", task_id="c", priority=5)
    assert ready(scheduler) == ["c", "a", "b"]
    assert scheduler.get_work(worker="w")["task_id"] == "c"
    assert scheduler._state.get_task("c").status == RUNNING and ready(scheduler) == ["a", "b"]


def test_what_is_removed_is_an_unknown_dependency_and_not_counted():
    scheduler = scheduler_with(a="", b="a")
    scheduler.add_task(worker="w", task_id="a", status=DONE)
    scheduler._state.inactivate_tasks(["a"])
    assert derived(scheduler, "b") == (1, 0, False) and scheduler._state.counts["pending", "w"] == 1
    assert ready(scheduler) == []
