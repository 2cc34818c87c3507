"""A look at the whole pipeline: the verdict on each step that a task needs, each judged once.

A command line run remembers its look until a step ran or the process forked; without a command line (a notebook) every
question is a new look.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task import flatten

from neuroluigi import records, state
from neuroluigi.recordings import RecordingsError
from neuroluigi.settings import RunStopped, recordings, results, results_root, roots_of_paths, setting
from neuroluigi.sources import python_sources
from neuroluigi.state import Checksums, Folders, Input, Reason, Result, Verdict
from neuroluigi.target import ResultTarget


class Judged(luigi.Task):
    """A task whose results have run records, and what it tells of itself to be judged; task.Step is one."""

    record_path: Path
    rerun_on: tuple[str, ...]

    # Set while facts() is asked what they are if no input that may be made anew changes: the bytes of each of those.
    assumed_bytes: Mapping[str, int] = {}

    def significant_parameters(self) -> dict:
        """Return the parameters that make a difference to the result, as plain data (others as their text)."""
        values = ((name, parameter, self.param_kwargs[name]) for name, parameter in self.get_params())
        return {
            name: value if value is None or isinstance(value, (str, bool, int, float)) else parameter.serialize(value)
            for name, parameter, value in values
            if parameter.significant
        }

    def facts(self) -> dict:
        """Return what decides over the result beside parameters, inputs and code; goes into the record."""
        return {}

    def sources(self, engine: str) -> list[dict]:
        """Return the code that makes the result on an engine: [{"path": ..., "sha256": ...}]."""
        return python_sources(type(self))

    def wanted_tool(self) -> dict[str, str]:
        """Return engine and version that are asked for by name, as far as they are known without starting one."""
        return {}


# So many tasks right below the root are worth a second process, which costs some tenths of a second.
_WORTH_SHARING = 1_000


class _Look:
    """What is remembered of one look."""

    def __init__(self):
        self.verdicts: dict[str, Verdict] = {}
        # The roots for which no two tasks make the same file.
        self.checked: set[str] = set()
        self.below: dict[str, list[luigi.Task]] = {}
        self.outputs: dict[str, list[luigi.Target]] = {}
        self.roots = {name: os.fspath(root) for name, root in roots_of_paths().items()}
        self.rerun_on = frozenset(setting(results).rerun_on)
        self.may_lose_inputs = setting(recordings).allow_removed
        self.trusts_existing = setting(results).trust_existing
        self.checksums = Checksums(results_root())
        self.folders = Folders()
        # The code and the tool of a step are the same for all its results.
        self.sources = functools.cache(lambda kind, engine: self.examples[kind].sources(engine))
        self.wanted_tool = functools.cache(lambda kind: self.examples[kind].wanted_tool())
        self.examples: dict[type, Judged] = {}


_look: _Look | None = None


def forget() -> None:
    """Look anew next time: something may have changed."""
    global _look
    _look = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


def verdict(step: Judged) -> Verdict:
    """Return the verdict on a step, judging first all that it is made from."""
    return _look_below(step).verdicts[step.task_id]


def walk(root: luigi.Task) -> Iterator[tuple[Judged, Verdict]]:
    """Yield every step below a task, the first ones first, with the verdict on it in a run of that task."""
    look = look_from(root)
    for current in _in_order(root, look):
        if isinstance(current, Judged):
            yield current, look.verdicts[current.task_id]


def tasks_below(root: luigi.Task) -> Iterator[luigi.Task]:
    """Yield a task and all that it needs, each once, without judging any."""
    seen, stack = set(), [root]
    while stack:
        current = stack.pop()
        if current.task_id not in seen:
            seen.add(current.task_id)
            yield current
            stack += flatten(current.requires())


def look_from(root: luigi.Task) -> _Look:
    """Judge all that a run of a task looks at; what it says of freed results depends on what else that run makes."""
    if _may_share():
        look = _look_of_run()
        waiting = _open(root, look)
        if len(waiting) >= _WORTH_SHARING:
            _judge_by_two(waiting, look)
    look = _look_below(root)
    if root.task_id not in look.checked:
        look.checked.add(root.task_id)
        _refuse_clashes(_in_order(root, look), look)
    if any(one.is_freed for one in look.verdicts.values()):
        _make_freed_again(root, look)
    return look


def _refuse_clashes(tasks: list[luigi.Task], look: _Look) -> None:
    """RunStopped where two tasks would make the same file, or keep the same run record."""
    makers: dict[str, luigi.Task] = {}
    for task in tasks:
        targets = look.outputs[task.task_id] if isinstance(task, Judged) else []
        outputs = [one.path for one in targets]
        for path in dict.fromkeys((*outputs, *(one.record for one in targets if isinstance(one, ResultTarget)))):
            other = makers.setdefault(path, task)
            if other is task:
                continue
            if path in outputs:
                raise RunStopped(
                    f"luigi: {other} and {task} both make {path}; give them different files, or the same parameters"
                )
            raise RunStopped(
                f"luigi: {other} and {task} would share the run record {path}; name the parameters that tell their"
                f" files apart in {task.task_family}: apart_by = ('NAME',)"
            )


def _in_order(root: luigi.Task, look: _Look) -> list[luigi.Task]:
    """Return a task and all below it, each after those that it rests on."""
    found: dict[str, luigi.Task] = {}
    stack = [root]
    while stack:
        current = stack.pop()
        if current.task_id not in found:
            found[current.task_id] = current
            stack += look.below[current.task_id]
    return [found[task_id] for task_id in look.verdicts if task_id in found]


def _make_freed_again(root: luigi.Task, look: _Look) -> None:
    """Mark as to be made what is freed and needed; what rests on it then waits for it, and may need more."""
    order, again = _in_order(root, look), {}
    while True:
        needed_by = {root.task_id: root}
        known = len(again)
        for current in reversed(order):
            judged, above = look.verdicts[current.task_id], needed_by.get(current.task_id)
            if above and judged.is_freed and not judged.todo:
                is_freed = "" if look.trusts_existing else "it is freed, and "
                reason = Reason("", f"{is_freed}{above.task_family} needs it")
                unknown = dict.fromkeys(judged.checksums)
                again[current.task_id] = judged = replace(
                    judged, reasons=(*judged.reasons, reason), todo=state.MAKE, checksums=unknown
                )
            if judged.todo or (above and not isinstance(current, Judged)):
                needed_by.update({one.task_id: current for one in look.below[current.task_id]})
        if len(again) == known:
            return
        for current in order:
            judged = again.get(current.task_id) or _judge(current, look.below[current.task_id], look)
            look.verdicts[current.task_id] = judged


def _may_share() -> bool:
    """Whether a second process could help: on a command line, where nothing else is going on yet."""
    is_free = CmdlineParser.get_instance() is not None and multiprocessing.parent_process() is None
    # macOS has fork, and system libraries that do not survive it.
    return is_free and sys.platform != "darwin" and hasattr(os, "fork") and (os.cpu_count() or 1) > 1


def _judge_by_two(tasks: list[luigi.Task], look: _Look) -> None:
    """Judge one half of the tasks here and the other in a second process; what that fails at is left unjudged.

    At 10,000 finished groups of four results, on two processors, `luigi` takes 19 s in place of 28 s, and `neuroluigi
    status` 20 s in place of 29 s.
    """
    half = len(tasks) // 2
    reader, writer = multiprocessing.Pipe(duplex=False)
    second = multiprocessing.get_context("fork").Process(target=_judge_for, args=(tasks[half:], look, writer))
    second.start()
    writer.close()
    try:
        for one in tasks[:half]:
            _look_below(one)
        with contextlib.suppress(EOFError):
            for known, found in zip((look.verdicts, look.below, look.outputs), reader.recv(), strict=True):
                known.update(found)
    finally:
        second.kill()
        second.join()
        reader.close()


def _judge_for(tasks: list[luigi.Task], look: _Look, writer: Connection) -> None:
    """Judge tasks in a process of its own and send what was found to its parent."""
    global _look
    _look, parent = look, os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What goes wrong here goes wrong again for the parent, who says so.
    with contextlib.suppress(BaseException):
        for one in tasks:
            _look_below(one)
            if os.getppid() != parent:
                return
        writer.send((look.verdicts, look.below, look.outputs))


def _look_of_run() -> _Look:
    """Return what is remembered; without a command line every look is a new one."""
    global _look
    if _look is None or CmdlineParser.get_instance() is None:
        _look = _Look()
    return _look


def _open(current: luigi.Task, look: _Look) -> list[luigi.Task]:
    """Note what is directly below a task, and return what of it is not judged yet."""
    if current.task_id not in look.below:
        look.below[current.task_id] = flatten(current.requires())
        look.outputs[current.task_id] = flatten(current.output())
    return [one for one in look.below[current.task_id] if one.task_id not in look.verdicts]


def _look_below(root: luigi.Task) -> _Look:
    """Judge what is below `root` and then it, without recursion: a chain may be long, a diamond deep."""
    look, stack, entered = _look_of_run(), [root], set()
    while stack:
        current = stack[-1]
        if current.task_id in look.verdicts:
            stack.pop()
            continue
        if waiting := _open(current, look):
            if current.task_id in entered:
                raise RunStopped(f"luigi: {current} requires itself, by way of {waiting[0]}")
            entered.add(current.task_id)
            stack += waiting
            continue
        below = look.below[current.task_id]
        look.verdicts[current.task_id] = _judge(current, below, look)
        stack.pop()
    return look


def _judge(current: luigi.Task, below: list[luigi.Task], look: _Look) -> Verdict:
    below_it = (look.verdicts[one.task_id] for one in below if isinstance(one, (Judged, luigi.WrapperTask)))
    rests_on_work = any(one.todo or one.rests_on_work for one in below_it)
    judged = _judge_alone(current, below, look)
    return replace(judged, rests_on_work=True) if rests_on_work else judged


def _judge_alone(current: luigi.Task, below: list[luigi.Task], look: _Look) -> Verdict:
    if isinstance(current, Judged) and look.trusts_existing:
        return _trust(look.outputs[current.task_id])
    if isinstance(current, Judged):
        return state.judge(_today(current, below, look), look.checksums, look.folders)
    # A task of Luigi's own: done as it says itself, or as what it wraps is.
    if isinstance(current, luigi.WrapperTask):
        wrapped = [look.verdicts[one.task_id] for one in below]
        todo = state.MAKE_IF if any(one.todo for one in wrapped) else state.NOTHING
        return Verdict(state.DONE, todo=todo, is_there=all(one.is_complete for one in wrapped))
    is_done = current.complete()
    return Verdict(state.DONE if is_done else state.MISSING, todo=state.NOTHING if is_done else state.MAKE)


def _trust(outputs: list[luigi.Target]) -> Verdict:
    """Return Luigi's own verdict: a file that exists is done, and what is missing is made when it is needed."""
    missing = [os.path.basename(one.path) for one in outputs if not one.exists()]
    if not missing:
        return Verdict(state.DONE)
    reason = Reason("", f"{', '.join(missing)} is not there")
    return Verdict(state.MISSING, (reason,), is_there=False, is_freed=True)


def _today(step: Judged, below: list[luigi.Task], look: _Look) -> Result:
    look.examples.setdefault(type(step), step)
    inputs = tuple(_inputs(below, look))
    facts, problem = _facts(step, inputs, look)
    outputs = look.outputs[step.task_id]
    if not outputs:
        raise RunStopped(f"luigi: {type(step).__name__}.output() names no file; a step's files are self.result(NAME)")
    if wrong := [one for one in outputs if not isinstance(one, ResultTarget)]:
        raise RunStopped(
            f"luigi: {type(step).__name__}.output() returns {wrong[0]!r}; a step's files are self.result(NAME)"
        )
    return Result(
        outputs={one.path: one.check for one in outputs},
        record=outputs[0].record,
        parameters=step.significant_parameters(),
        defaults={name: parameter._default for name, parameter in step.get_params()},
        facts=facts,
        problem=problem,
        inputs=inputs,
        sources=functools.partial(look.sources, type(step)),
        tool=look.wanted_tool(type(step)),
        rerun_on=frozenset(step.rerun_on) or look.rerun_on,
        roots=look.roots,
        may_lose_inputs=look.may_lose_inputs,
    )


def _facts(step: Judged, inputs: tuple[Input, ...], look: _Look) -> tuple[Mapping | None, str]:
    """Return what facts() says, None where it can't be known yet, and what is wrong with the recordings."""
    pending = {_key(one.path, look) for one in inputs if one.is_pending}
    recorded = (records.read(step.record_path) or {}).get("inputs", ()) if pending else ()
    sizes = {(one.get("root"), one["path"]): one["bytes"] for one in recorded}
    if not pending <= sizes.keys():
        return None, ""
    step.assumed_bytes = {o.path: sizes[_key(o.path, look)] for o in inputs if o.is_pending}
    try:
        return step.facts(), ""
    except RecordingsError as error:
        return None, "" if pending else str(error)
    except (OSError, ValueError):
        # What the facts are read from is damaged; its own verdict says so.
        return None, ""
    finally:
        step.assumed_bytes = {}


def _key(path: str, look: _Look) -> tuple:
    place = records.place(path, look.roots)
    return place.get("root"), place["path"]


def _inputs(below: list[luigi.Task], look: _Look) -> Iterator[Input]:
    for one in below:
        verdict_below = look.verdicts[one.task_id]
        is_step = isinstance(one, Judged)
        # What is there for good, such as a recording, is told by its own size and time.
        is_pending = bool(verdict_below.todo) and not isinstance(one, luigi.ExternalTask)
        for output in look.outputs[one.task_id]:
            if path := getattr(output, "path", None):
                path = os.fspath(path)
                checksum = verdict_below.checksums.get(path) if is_step else None
                yield Input(path, checksum, is_pending)
