"""Which tasks a variant touches: those of which it names a parameter, and all that require one of them."""

import contextlib
import functools

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task import flatten

from neuroluigi.steps.reading import unguarded
from neuroluigi.steps.variants import Variant, declared, in_force, made_for


def variant_of(task: luigi.Task) -> str:
    """Return the variant that a task has results of its own in; "" where they are those of the base."""
    name = made_for(task)
    return name if name and is_touched(task) else ""


def is_touched(task: luigi.Task) -> bool:
    """Return whether the variant that a task is made for names a parameter of it, or touches what it requires."""
    name = made_for(task)
    if not name:
        return False
    run = CmdlineParser.get_instance()
    known = _touched_of_run(run, name) if run else {}
    key = _key(task)
    # It is asked a hundred times for each task, so nothing is looked up in luigi.cfg before this.
    if key not in known:
        variant = declared().get(name)
        if variant is None:
            return False
        with unguarded(), in_force(name):
            _find_touched(task, variant, known)
    return known[key]


@functools.lru_cache(maxsize=64)
def _touched_of_run(run: CmdlineParser, name: str) -> dict[str, bool]:
    """Return what a run knows of each task by its id in the base."""
    return {}


def _key(task: luigi.Task) -> str:
    return getattr(task, "id_in_base", None) or task.task_id


def _find_touched(root: luigi.Task, variant: Variant, known: dict[str, bool]) -> None:
    """Find out of a task and all below it, without recursion, whether they are touched."""
    below: dict[str, list[luigi.Task]] = {}
    stack = [root]
    while stack:
        task = stack[-1]
        key = _key(task)
        if key in known:
            stack.pop()
        elif variant.names(type(task)):
            known[key] = True
        elif key not in below:
            # What can't say what it requires is asked again, and the error told, when it is planned.
            below[key] = []
            with contextlib.suppress(Exception):
                below[key] = flatten(task.requires())
            stack += [one for one in below[key] if isinstance(one, luigi.Task)]
        else:
            # A task that requires itself is not known yet; the plan reports it.
            known[key] = any(known.get(_key(one), False) for one in below[key] if isinstance(one, luigi.Task))
