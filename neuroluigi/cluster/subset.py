"""The subset of a pipeline that depends on some groups alone, for runs side by side on several machines.

    luigi --module tasks neuroluigi.Subset --of PlotAll --groups '["a-even", "b-odd"]' --local-scheduler

It selects work, not recordings: every result means what it means in a run of the whole, so that runs of several
subsets, and one of the whole, may go on at the same time. A step over several groups is in no subset.
"""

import functools

import luigi
from luigi.task import flatten
from luigi.task_register import Register

from neuroluigi.steps.config import RunStopped, whole_pipeline
from neuroluigi.steps.discovery import groups
from neuroluigi.steps.scope import owners
from neuroluigi.steps.tasks import WrapperTask


class Subset(WrapperTask):
    """All that a task requires and that depends on these groups alone."""

    # A pipeline may have a Subset of its own.
    task_namespace = "neuroluigi"

    of = luigi.Parameter(
        default="", description="the task that stands for the whole pipeline; blank: [neuroluigi] task"
    )
    groups = luigi.ListParameter(description='keys of groups, as JSON: ["a-even", "b-odd"]')

    def requires(self):
        return self._last_steps

    @functools.cached_property
    def _last_steps(self) -> list[luigi.Task]:
        known = groups()
        if unknown := [name for name in self.groups if name not in known]:
            raise RunStopped(f"luigi: there is no group {unknown[0]!r}; the groups are: {', '.join(known)}")
        root = Register.get_task_cls(self.of or whole_pipeline())()
        part = [one for one, owner in owners(root, set(self.groups)) if owner in self.groups]
        below = {one.task_id for above in part for one in flatten(above.requires())}
        return [one for one in part if one.task_id not in below]
