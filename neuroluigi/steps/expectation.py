"""What is expected of a step's result today: what a plan compares with its run record."""

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi

from neuroluigi.provenance import state
from neuroluigi.provenance.expected import Expected, Input, OtherInput, Requirement
from neuroluigi.provenance.plain_data import NotPlainError, digest, digest_of_checksums, plain
from neuroluigi.provenance.record import without_paths
from neuroluigi.provenance.secret_values import masked
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.steps.config import RunStopped
from neuroluigi.steps.parameters import ResolvedParameters, default_of, plain_values, sealed, significant_values
from neuroluigi.steps.result_task import ResultTask
from neuroluigi.steps.target import (
    RecordingTarget,
    ResultFolder,
    ResultTarget,
    describe_target,
    files_beside,
    local_path,
)

if TYPE_CHECKING:
    from neuroluigi.steps.plan import Plan


def expect(step: ResultTask, below: list[luigi.Task], plan: "Plan") -> Expected:
    """Return what is expected of a step's result today, by the statuses of what is directly below it."""
    kind = (type(step), step.variant)
    plan.examples.setdefault(kind, step)
    inputs = tuple(_inputs(below, plan))
    problem = recordings_problem(step, below, plan)
    fingerprint, unreadable = (None, "") if problem else _fingerprint(step, inputs)
    parameters = step.significant_parameters()
    # In a digest, seals of another key could not be told from other values.
    plan.read_of[step.task_id] = parameters, None if fingerprint is None else digest(masked(fingerprint))
    outputs = plan.outputs[step.task_id]
    if not outputs:
        raise RunStopped(f"luigi: {type(step).__name__}.output() names no file; a step's files are self.result(NAME)")
    if wrong := [one for one in outputs if not (isinstance(one, ResultTarget) and one.record)]:
        raise RunStopped(
            f"luigi: {type(step).__name__}.output() returns {wrong[0]!r}; a step's files are self.result(NAME)"
        )
    return Expected(
        outputs={one.path: one.check for one in outputs},
        record=outputs[0].record,
        parameters=parameters,
        defaults=plan.defaults(type(step)),
        fingerprint=fingerprint,
        problem=problem or unreadable,
        inputs=inputs,
        other_inputs=tuple(_other_inputs(below, plan)),
        gone=tuple(_gone(below, plan)),
        requires=tuple(one for _, one in requirements(below, plan)),
        sources=functools.partial(plan.sources, kind),
        of_kind=functools.partial(plan.of_kind, kind),
        tool=plan.wanted_tool(kind),
        rerun_on=frozenset(step.rerun_on) or plan.rerun_on,
        roots=plan.roots,
        allow_missing=plan.allow_missing,
        reads_moved=plan.reads_moved,
        folders={one.path: one.ignore for one in outputs if isinstance(one, ResultFolder)},
        without_format=frozenset(one.path for one in outputs if not one.has_format),
    )


def recordings_problem(step: ResultTask, below: list[luigi.Task], plan: "Plan") -> str:
    """Return what is wrong with the recordings that a step would be made from, "" for nothing."""
    # What is made from results alone is made from those that are there, also where the recordings are gone.
    is_from_results = below and all(isinstance(one, (ResultTask, luigi.WrapperTask)) for one in below)
    own = "" if is_from_results and not step.lacks_recordings else step.recordings_problem()
    required = (one for one, _ in _through_wrappers(below, plan) if isinstance(one, luigi.ExternalTask))
    asked = (one.recordings_problem() for one in required if hasattr(one, "recordings_problem"))
    return own or next(filter(None, asked), "")


def defaults_of(step: type[luigi.Task]) -> dict[str, object]:
    """Return the defaults of a step's parameters, as its records have parameters."""
    values = ((name, parameter, default_of(name, parameter)) for name, parameter in step.get_params())
    return plain_values(values, lambda: f"the default of {step.get_task_family()}")


def _fingerprint(step: ResultTask, inputs: tuple[Input, ...]) -> tuple[Mapping | None, str]:
    """Return the fingerprint, None while it can't be known, and what is wrong with the recordings."""
    if any(one.is_pending for one in inputs):
        return None, ""
    try:
        return recorded_fingerprint(step), ""
    except RecordingsError as error:
        return None, str(error)
    except (OSError, ValueError):
        # A file that the fingerprint is read from is damaged, which is in the status of that file.
        return None, ""


def recorded_fingerprint(step: ResultTask) -> dict[str, Any]:
    """Return what a step adds to its record, as plain data. Raises RunStopped where a record can't hold it."""
    fingerprint = step.fingerprint()
    if fingerprint == {}:
        return {}
    if not isinstance(fingerprint, Mapping):
        raise RunStopped(f"luigi: {type(step).__name__}.fingerprint() returns {fingerprint!r}, not a dict")
    try:
        return sealed(plain(without_paths(fingerprint), f"{type(step).__name__}.fingerprint()"))
    except NotPlainError as error:
        raise RunStopped(f"luigi: {error}") from error


def _inputs(below: list[luigi.Task], plan: "Plan") -> Iterator[Input]:
    for one in below:
        for output in plan.outputs[one.task_id]:
            if path := local_path(output):
                given_by = plan.makers.get(path, one) if isinstance(output, ResultTarget) else one
                yield _input(output, path, given_by, plan)
    for output in files_beside(output for one in below for output in plan.outputs[one.task_id]):
        yield _input(output, output.path, plan.makers.get(output.path), plan)


def _input(target: Any, path: str, given_by: luigi.Task | None, plan: "Plan") -> Input:
    """Return an input, by the task that makes it, or else has it; None for what has always been there."""
    status = plan.statuses.get(given_by.task_id) if given_by else None
    is_step = isinstance(given_by, ResultTask)
    checksum = status.checksums.get(path) if status and is_step else None
    return Input(path, checksum, bool(status and status.todo), is_step, getattr(target, "recording", ""))


def _other_inputs(below: list[luigi.Task], plan: "Plan") -> Iterator[OtherInput]:
    for one in below:
        is_pending = bool(plan.statuses[one.task_id].todo)
        for output in plan.outputs[one.task_id]:
            if not local_path(output):
                yield OtherInput(describe_target(output), is_pending)


def _gone(below: list[luigi.Task], plan: "Plan") -> Iterator[str]:
    """Yield the names of what is not there and comes from outside; a recording may have moved."""
    for one in below:
        if isinstance(one, luigi.ExternalTask) and not plan.statuses[one.task_id].is_there:
            for output in plan.outputs[one.task_id]:
                if not isinstance(output, RecordingTarget) and not _exists(output):
                    path = local_path(output)
                    yield Path(path).name if path else OtherInput(describe_target(output)).name


def _exists(target: Any) -> bool:
    # What can't be asked, such as a server, is as good as not there.
    with contextlib.suppress(Exception):
        return target.exists()
    return False


def requirements(below: list[luigi.Task], plan: "Plan") -> Iterator[tuple[luigi.Task, Requirement]]:
    """Yield each task that a step requires, those in wrappers too, with what can be read of it."""
    for one, is_wrapped in _through_wrappers(below, plan):
        yield one, _wrapped(one, plan) if is_wrapped else _required(one, plan)


def _required(one: luigi.Task, plan: "Plan") -> Requirement:
    """Return what can be read of a task, the same for all that require it directly."""
    status = plan.statuses[one.task_id]
    known, requirement = plan.required.get(one.task_id, (None, None))
    if requirement is None or known is not status:
        requirement = _requirement(one, status, plan)
        plan.required[one.task_id] = status, requirement
    return requirement


def _wrapped(one: luigi.Task, plan: "Plan") -> Requirement:
    """Return what can be read of a task in a wrapper; the files of what is required directly are among the inputs."""
    status = plan.statuses[one.task_id]
    pending = tuple(map(os.path.basename, _paths_of_files(one, plan))) if status.todo else ()
    return replace(_requirement(one, status, plan), files=_digest_of_files(one, status, plan), pending=pending)


def _requirement(one: luigi.Task, status: state.Status, plan: "Plan") -> Requirement:
    if one.task_id not in plan.read_of:
        is_ours = isinstance(one, ResolvedParameters)
        plan.read_of[one.task_id] = one.significant_parameters() if is_ours else significant_values(one), None
    parameters, fingerprint = plan.read_of[one.task_id]
    return Requirement(
        step=one.task_family,
        parameters=parameters,
        defaults=plan.defaults(type(one)),
        # Of recordings that can't be found nothing is known.
        fingerprint=None if status.state == state.INPUT_MISSING else fingerprint,
        inputs=status.inputs,
        made_by=status.made_by,
    )


def _through_wrappers(
    below: list[luigi.Task], plan: "Plan", is_wrapped: bool = False
) -> Iterator[tuple[luigi.Task, bool]]:
    for one in below:
        yield one, is_wrapped
        if isinstance(one, luigi.WrapperTask):
            yield from _through_wrappers(plan.below[one.task_id], plan, is_wrapped=True)


def _paths_of_files(task: luigi.Task, plan: "Plan") -> list[str]:
    outputs = plan.outputs[task.task_id]
    # What a result says of the files that come with it is in the result.
    beside = () if isinstance(task, ResultTask) else files_beside(outputs)
    return [path for one in (*outputs, *beside) if (path := local_path(one))]


def _digest_of_files(task: luigi.Task, status: state.Status, plan: "Plan") -> str | None:
    if isinstance(task, ResultTask):
        known = [one for one in status.checksums.values() if one]
    else:
        try:
            known = [plan.checksums.of(path) for path in _paths_of_files(task, plan)]
        except OSError:
            return None
    return digest_of_checksums(known) if known and len(known) == len(_paths_of_files(task, plan)) else None
