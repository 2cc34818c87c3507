"""The plan of a run: the status of each step that a task needs, each checked once.

A run on the command line keeps its plan until a step has run or the process has forked; without a command line (a
notebook) every call makes a new plan.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import luigi
from luigi.cmdline_parser import CmdlineParser

from neuroluigi.provenance import state
from neuroluigi.provenance.checksums import Checksums, FolderListings
from neuroluigi.provenance.expected import Reason, Requirement
from neuroluigi.provenance.plain_data import digest
from neuroluigi.provenance.power_cut import in_doubt
from neuroluigi.provenance.record import package_versions
from neuroluigi.provenance.state_index import StateIndex
from neuroluigi.steps.clashes import refuse_clashes
from neuroluigi.steps.config import (
    RunStopped,
    recordings,
    results,
    results_root,
    roots_of_paths,
    setting,
)
from neuroluigi.steps.discovery import one_look, only_looks
from neuroluigi.steps.expectation import defaults_of, expect, recordings_problem, requirements
from neuroluigi.steps.group_settings import check_sections
from neuroluigi.steps.lab_code import outputs_of, required_by
from neuroluigi.steps.parameters import ResolvedParameters
from neuroluigi.steps.plain_luigi import logged_in_one_line
from neuroluigi.steps.reading import asked_once
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.target import files_beside
from neuroluigi.steps.touched import variant_of
from neuroluigi.steps.two_processes import by_two, is_worth_sharing
from neuroluigi.steps.variants import in_all_variants, in_force, made_for

# A class of steps in a variant: they have the same code and tool.
Kind = tuple[type, str]


class _Unchanging:
    """What is the same for all plans of a run."""

    def __init__(self):
        check_sections()
        # The roots for which no two tasks make the same file.
        self.checked: set[str] = set()
        self.roots = {name: os.fspath(root) for name, root in roots_of_paths().items()}
        self.rerun_on = frozenset(setting(results).rerun_on)
        self.allow_missing = setting(recordings).allow_missing
        self.trusts_existing = setting(results).trust_existing
        self.defaults: Callable[[type], dict[str, object]] = functools.cache(defaults_of)
        # Where an engine is found, and its version.
        self.wanted_tools: dict[Kind, dict[str, str]] = {}
        # What it says is checked with the files at each look; to read it takes long where there are many results.
        self.index = StateIndex(results_root())


@functools.lru_cache(maxsize=1)
def _unchanging_in(run: CmdlineParser) -> _Unchanging:
    return _Unchanging()


class Plan:
    """The statuses of one plan, and what they are computed from."""

    def __init__(self, run: CmdlineParser | None = None):
        self.run = run
        of_run = _unchanging_in(run) if run else _Unchanging()
        self.checked, self.roots, self.rerun_on = of_run.checked, of_run.roots, of_run.rerun_on
        self.allow_missing, self.trusts_existing = of_run.allow_missing, of_run.trusts_existing
        self.defaults, self._wanted_tools = of_run.defaults, of_run.wanted_tools
        self.statuses: dict[str, state.Status] = {}
        self.below: dict[str, list[luigi.Task]] = {}
        # What output() returns, flattened; a target of the lab's own need not have a path.
        self.outputs: dict[str, list] = {}
        # The step that makes a file, by its path: what a wrapper gives, or comes with a result, may be another step's.
        self.makers: dict[str, luigi.Task] = {}
        # Of each step: its significant parameters, and the digest of what it adds to its record.
        self.read_of: dict[str, tuple[Mapping[str, Any], str | None]] = {}
        # What those that require it directly can read of it in that status.
        self.required: dict[str, tuple[state.Status, Requirement]] = {}
        self.index = of_run.index
        self.reads_moved = not only_looks()
        self._look_anew()
        self.examples: dict[Kind, ResultTask] = {}
        # What is no task of this package has one id in all variants: the ids, for which variant it is known now, and
        # what is known for the others.
        self.plain: set[str] = set()
        self.made_for = ""
        self.put_by: dict[str, list[dict]] = {}

    def wanted_tool(self, kind: Kind) -> dict[str, str]:
        """Return engine and version that the settings ask for by name: of all results of a step the same."""
        if kind not in self._wanted_tools:
            self._wanted_tools[kind] = self.examples[kind].wanted_tool()
        return self._wanted_tools[kind]

    def _look_anew(self) -> None:
        """Believe nothing of what was found so far in files."""
        self.in_doubt = in_doubt(results_root())
        # A file may have been written twice within the grain of its time.
        self.checksums, self.folders = Checksums(results_root()), FolderListings()
        # The code of a step, and all else that is expected of its results alike.
        self.sources: Callable[[Kind, str], list[dict]] = functools.cache(
            lambda kind, engine: self.examples[kind].sources(engine)
        )
        self.of_kind: Callable[[Kind, str], str] = functools.cache(self._digest_of_kind)

    def _digest_of_kind(self, kind: Kind, engine: str) -> str:
        of_all = [package_versions(), self.roots, self.allow_missing]
        return digest([*of_all, self.sources(kind, engine), self.wanted_tool(kind), self.defaults(kind[0])])

    def after(self, step: luigi.Task) -> "Plan":
        """Return this plan without the status of a step that has run, and what it may have changed."""
        self.statuses.pop(step.task_id, None)
        self._look_anew()
        return self

    def turn_to(self, made_for: str) -> None:
        """Have of what is no task of this package what is known of it in a variant, in place of that in another."""
        if self.made_for == made_for:
            return
        known: tuple[dict[str, Any], ...] = (self.statuses, self.below, self.outputs, self.read_of)
        self.put_by[self.made_for] = [{one: of.pop(one) for one in self.plain if one in of} for of in known]
        for of, before in zip(known, self.put_by.get(made_for, ()), strict=False):
            of.update(before)
        self.plain = {one for before in self.put_by.get(made_for, ()) for one in before}
        self.made_for = made_for

    def forget(self) -> None:
        """Forget all tasks, and what is known of each."""
        for known in (*self.shared()[:-1], self.required):
            known.clear()
        self.plain.clear()

    def shared(self) -> tuple[dict, ...]:
        """Return what is found by task, for the process that checks the other half."""
        return self.statuses, self.below, self.outputs, self.makers, self.read_of, self.index.found


_plan: Plan | None = None

# A step that has just run, and what is left of the plan that it ran by.
_left: tuple[luigi.Task, Plan] | None = None


def discard_statuses() -> None:
    """Discard cached statuses: the next call makes a new plan."""
    global _plan, _left
    _plan = _left = None


def discard_statuses_after(step: luigi.Task) -> None:
    """Discard cached statuses after a step has run, but keep what it was made from for a single question.

    Luigi asks right after a run whether the step is complete. Whether its inputs changed while it was made, the step
    has asked itself; so only its own result is new.
    """
    global _plan, _left
    known = _known_plan()
    _plan, _left = None, (step, known.after(step)) if known else None


@contextlib.contextmanager
def _plan_left(task: luigi.Task) -> Iterator[None]:
    """Use in this context what is left of the plan of a task, if that has just run and nothing was asked since."""
    global _plan, _left
    left, _left = _left, None
    if not left or left[0] is not task or _plan:
        yield
        return
    _plan = left[1]
    try:
        yield
    finally:
        discard_statuses()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=discard_statuses)


def status_of(task: luigi.Task) -> state.Status:
    """Return the status of a task, computing first that of all that it is made from.

    Raises RunStopped as plan_below does for the first task of a run: it may be all that Luigi asks before it runs.
    """
    known = _known_plan()
    if status := known and known.statuses.get(task.task_id):
        return status
    with _plan_left(task):
        return _check(task)


@one_look()
@logged_in_one_line()
def _check(task: luigi.Task) -> state.Status:
    plan = check_below(task)
    if not plan.checked:
        _refuse_clashes_below(task, plan)
    return plan.statuses[task.task_id]


def walk_tasks(root: luigi.Task) -> Iterator[tuple[luigi.Task, state.Status]]:
    """Yield every task below one with its status in a run of that one, each after those that it requires.

    After those of the base come those that the variants of the command touch.
    """
    for one in in_all_variants(root):
        plan = plan_below(one)
        yield from [(task, plan.statuses[task.task_id]) for task in _in_order(one, plan) if is_of(task, one)]


def is_of(task: luigi.Task, root: luigi.Task) -> bool:
    """Return whether a task below a root is not shared with the base; all of the base's are its own."""
    return not made_for(root) or bool(variant_of(task))


def walk_statuses(root: luigi.Task) -> Iterator[tuple[ResultTask, state.Status]]:
    """Yield every step below a task, as walk_tasks does."""
    yield from ((task, status) for task, status in walk_tasks(root) if isinstance(task, ResultTask))


def tasks_below(root: luigi.Task) -> Iterator[luigi.Task]:
    """Yield a task and all below it, each once, and what the variants of the command touch; no status is computed."""
    for one in in_all_variants(root):
        yield from (task for task in _below(one) if is_of(task, one))


def outputs_below(root: luigi.Task) -> Iterator[tuple[luigi.Task, list]]:
    """Yield a task and all below it, as tasks_below does, with the targets of each."""
    for one in in_all_variants(root):
        plan = _known_plan()
        for task in _below(one):
            if is_of(task, one):
                known = plan.outputs.get(task.task_id) if plan else None
                yield task, outputs_of(task) if known is None else known


def _below(root: luigi.Task) -> Iterator[luigi.Task]:
    seen, stack = set(), [root]
    plan = _known_plan()
    while stack:
        current = stack.pop()
        if current.task_id not in seen:
            seen.add(current.task_id)
            # Whoever goes through them may ask for those of another variant meanwhile.
            with in_force(made_for(root)):
                if plan:
                    plan.turn_to(made_for(root))
                known = plan.below.get(current.task_id) if plan else None
                stack += required_by(current) if known is None else known
            yield current


@one_look()
def plan_below(root: luigi.Task) -> Plan:
    """Return the plan of a run of a task.

    Whether it makes a dropped result depends on what else it makes. Raises RunStopped for a task that requires itself,
    and for tasks that make the same file or would share a run record.
    """
    if CmdlineParser.get_instance():
        plan = plan_of_run()
        if is_worth_sharing(waiting := directly_below(root, plan)):
            _check_by_two(waiting, plan)
    plan = check_below(root)
    plan.index.save()
    if f"{root.task_id} {made_for(root)}" not in plan.checked:
        _refuse_clashes_below(root, plan)
    if any(one.is_dropped for one in plan.statuses.values()):
        _make_dropped_again(root, plan)
    return plan


def _refuse_plain_above_touched(root: luigi.Task, plan: Plan) -> None:
    """Raise RunStopped for a task of Luigi's own with files, which has the same ones in all variants."""
    for task in _in_order(root, plan) if made_for(root) else ():
        touched = next(filter(variant_of, plan.below[task.task_id]), None)
        is_plain = not isinstance(task, (ResolvedParameters, luigi.WrapperTask))
        if touched and is_plain:
            raise RunStopped(
                f"luigi: {task} is a task of Luigi's own and requires {touched}: it has the same files in all variants;"
                " make it a step (neuroluigi.GroupTask), or do without the variant"
            )


def plan_together(roots: Sequence[luigi.Task]) -> None:
    """Plan a run of several tasks. Raises RunStopped as plan_below does, for tasks below different ones too."""
    plans = [plan_below(one) for root in roots for one in in_all_variants(root)]
    if len(roots) > 1:
        tasks = [task for root in roots for task in _in_order(root, plans[-1])]
        refuse_clashes(tasks, plans[-1].below, plans[-1].outputs)


def _refuse_clashes_below(root: luigi.Task, plan: Plan) -> None:
    refuse_clashes(_in_order(root, plan), plan.below, plan.outputs)
    _refuse_plain_above_touched(root, plan)
    plan.checked.add(f"{root.task_id} {made_for(root)}")


def _in_order(root: luigi.Task, plan: Plan) -> list[luigi.Task]:
    """Return a task and all below it, each after those that it requires."""
    found: dict[str, luigi.Task] = {}
    stack = [root]
    while stack:
        current = stack.pop()
        if current.task_id not in found:
            found[current.task_id] = current
            stack += plan.below[current.task_id]
    return [found[task_id] for task_id in plan.statuses if task_id in found]


def _make_dropped_again(root: luigi.Task, plan: Plan) -> None:
    """Plan to make each dropped result that is needed; what requires it then waits for it, and may need more."""
    order = _in_order(root, plan)
    again: dict[str, state.Status] = {}
    while True:
        needed_by = {root.task_id: root}
        known = len(again)
        for current in reversed(order):
            status, above = plan.statuses[current.task_id], needed_by.get(current.task_id)
            if above and status.is_dropped and not status.todo:
                is_dropped = "" if plan.trusts_existing else "it is dropped, and "
                reason = Reason("", f"{is_dropped}{above.task_family} needs it")
                unknown = dict.fromkeys(status.checksums)
                again[current.task_id] = status = replace(
                    status, reasons=(*status.reasons, reason), todo=state.MAKE, checksums=unknown
                )
            if status.todo or (above and not isinstance(current, ResultTask)):
                needed_by.update({one.task_id: current for one in _makers_of_inputs(current, plan)})
        if len(again) == known:
            return
        for current in order:
            status = again.get(current.task_id) or _status(current, plan.below[current.task_id], plan)
            plan.statuses[current.task_id] = status


def _makers_of_inputs(current: luigi.Task, plan: Plan) -> list[luigi.Task]:
    """Return the tasks directly below a task, and those further below whose files these hand on to it."""
    below = plan.below[current.task_id]
    given = [output for one in below for output in plan.outputs[one.task_id]]
    paths = (getattr(one, "path", None) for one in (*given, *files_beside(given)))
    return [*below, *(plan.makers[path] for path in paths if path in plan.makers)]


def _check_by_two(tasks: Sequence[luigi.Task], plan: Plan) -> None:
    """Check tasks in two processes; those at which the second one fails stay unchecked.

    At 10,000 finished groups of four results, on two processors, `luigi` and `neuroluigi status` take 0.69 of the time
    that one process takes: 19 and 20 s in place of 28 and 29 s beside other work.
    """

    def check(some: Iterable[luigi.Task]) -> tuple[dict, ...]:
        use_plan(plan)
        for one in some:
            check_below(one)
        return plan.shared()

    _, found = by_two(tasks, check)
    for ours, theirs in zip(plan.shared(), found or (), strict=False):
        ours.update(theirs)


def use_plan(plan: Plan) -> None:
    """Go on with a plan in a process that was forked, where it is discarded."""
    global _plan
    _plan = plan


def plan_of_run() -> Plan:
    """Return the plan of this run; without a command line a new one."""
    global _plan
    known = _known_plan()
    if known is None:
        _plan = known = Plan(CmdlineParser.get_instance())
    return known


def _known_plan() -> Plan | None:
    return _plan if _plan and _plan.run and _plan.run is CmdlineParser.get_instance() else None


def directly_below(current: luigi.Task, plan: Plan) -> list[luigi.Task]:
    """Note what is directly below a task, and return those of it that have no status yet."""
    if current.task_id not in plan.below:
        if not isinstance(current, ResolvedParameters):
            plan.plain.add(current.task_id)
        plan.below[current.task_id] = required_by(current)
        plan.outputs[current.task_id] = outputs_of(current)
        if isinstance(current, ResultTask):
            plan.makers.update({one.path: current for one in plan.outputs[current.task_id] if hasattr(one, "path")})
    return [one for one in plan.below[current.task_id] if one.task_id not in plan.statuses]


def check_below(root: luigi.Task) -> Plan:
    """Check what is below `root` and then it, without recursion: a chain may be long, a diamond deep."""
    plan = plan_of_run()
    plan.turn_to(made_for(root))
    with in_force(made_for(root)), asked_once():
        _check_all(root, plan)
        # What a group's tasks say of each other is of no use to another group.
        plan.required.clear()
    return plan


def _check_all(root: luigi.Task, plan: Plan) -> None:
    stack, entered = [root], set[str]()
    while stack:
        current = stack[-1]
        if current.task_id in plan.statuses:
            stack.pop()
            continue
        if waiting := directly_below(current, plan):
            if current.task_id in entered:
                raise RunStopped(f"luigi: {current} requires itself, by way of {waiting[0]}")
            entered.add(current.task_id)
            # The first one first.
            stack += reversed(waiting)
            continue
        below = plan.below[current.task_id]
        plan.statuses[current.task_id] = _status(current, below, plan)
        stack.pop()


def _status(current: luigi.Task, below: list[luigi.Task], plan: Plan) -> state.Status:
    below_it = [plan.statuses[one.task_id] for one in below if isinstance(one, (ResultTask, luigi.WrapperTask))]
    status = _status_alone(current, below, plan)
    if any(one.todo or one.rests_on_work for one in below_it):
        status = replace(status, rests_on_work=True)
    if status.todo and not status.problem:
        # What can't be made keeps what requires it from being made.
        problem = next((one.problem for one in below_it if one.todo and one.problem), "")
        status = replace(status, problem=problem) if problem else status
    return status


def _status_alone(current: luigi.Task, below: list[luigi.Task], plan: Plan) -> state.Status:
    if plan.in_doubt and isinstance(current, ResultTask) and os.fspath(current.record_path) in plan.in_doubt:
        return state.IN_DOUBT
    if isinstance(current, ResultTask) and plan.trusts_existing:
        return _trust(plan.outputs[current.task_id])
    if isinstance(current, ResultTask):
        return state.check_result(expect(current, below, plan), plan.checksums, plan.folders, plan.index)
    # A task of Luigi's own: done by its own complete(), or when all that it wraps is.
    if isinstance(current, luigi.WrapperTask):
        wrapped = [plan.statuses[one.task_id] for one in below]
        todo = state.MAYBE if any(one.todo for one in wrapped) else state.NOTHING
        return state.Status(state.DONE, todo=todo, is_there=all(one.is_complete for one in wrapped))
    try:
        is_done = current.complete()
    except RunStopped:
        raise
    except Exception as error:
        # Luigi asks again, and logs it: what requires this one fails alone.
        reason = Reason("", f"it is not known whether it is there: {type(error).__name__}: {error}")
        return state.Status(state.INPUT_MISSING, (reason,), is_there=False)
    if is_done:
        return state.Status(state.DONE)
    if isinstance(current, luigi.ExternalTask):
        reason = Reason("", "no run makes what an ExternalTask has")
        return state.Status(state.INPUT_MISSING, (reason,), is_there=False)
    return state.Status(state.MISSING, todo=state.MAKE, is_there=False)


def _trust(outputs: list) -> state.Status:
    """Return Luigi's own status: a file that exists is done, and what is missing is made when it is needed."""
    missing = [os.path.basename(one.path) for one in outputs if not one.exists()]
    if not missing:
        return state.Status(state.DONE)
    reason = Reason("", f"{', '.join(missing)} is not there")
    return state.Status(state.MISSING, (reason,), is_there=False, is_dropped=True)


@one_look()
def requirements_of(step: luigi.Task) -> list[tuple[luigi.Task, Requirement]]:
    """Return the tasks that a step requires, those in wrappers too, with what can be read of each as of now."""
    plan = check_below(step)
    return list(requirements(plan.below[step.task_id], plan))


@one_look()
def problem_of(step: ResultTask) -> str:
    """Return what is wrong with the recordings that a step would be made from, "" for nothing."""
    plan = check_below(step)
    return recordings_problem(step, plan.below[step.task_id], plan)
