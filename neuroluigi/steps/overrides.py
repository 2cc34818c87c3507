"""What the class of a step can't define itself: each is refused when the class is made, with what to write instead."""

import inspect

import luigi


def refuse_overrides(step: type[luigi.Task], base: type[luigi.Task]) -> None:
    """Raise TypeError where a class of steps overrides what belongs to `base`, or has a make() that yields."""
    if step.run is not base.run:
        raise TypeError(
            f"{step.__name__} has a run() of its own, which would write no run record: name it make(self, out), and"
            " write to the paths that `out` has in the shape of output()"
        )
    if step.complete is not base.complete:
        raise TypeError(
            f"{step.__name__} has a complete() of its own, but its run record decides whether a step is done: return"
            " from fingerprint() what else it depends on, or require a task of Luigi's own with that complete()"
        )
    make = inspect.unwrap(step.make)
    if inspect.isgeneratorfunction(make) or inspect.iscoroutinefunction(make):
        raise TypeError(
            f"make() of {step.__name__} has a yield, or is async: what a step requires has to be known before it is"
            " made, or neither its record nor status could name it; return those tasks from requires()"
        )
