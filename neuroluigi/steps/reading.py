"""What a step may read of other tasks while it is made: its record has to know all that its result rests on.

Of a task that it requires the record has the files, the parameters, what that task adds to its own record, and a digest
of its inputs. So its attributes, output() and methods may be used. What lies deeper, and any other step, is refused.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import luigi

from neuroluigi.steps.variants import in_own_variant


class ReadingError(RuntimeError):
    """A step that reads what it does not require; the message says what to add to its requires()."""


class _Making:
    """The step that is made now, the tasks that it requires, and of which of these it asked for the tool."""

    def __init__(self, step: luigi.Task, required: Iterable[luigi.Task]):
        self.step = step
        self.required = {one.task_id for one in required}
        self.asked_for_tool: set[str] = set()
        # While a required task reads its own inputs, which are in the record.
        self.is_open = False


_making: _Making | None = None


@contextlib.contextmanager
def only_required(step: luigi.Task, required: Iterable[luigi.Task]) -> Iterator[set[str]]:
    """While `step` is made, refuse what it reads and does not require.

    Gives the ids of the required tasks of which it asked by which tool they were made.
    """
    global _making
    for one in required:
        # A wrapper is seen through. luigi.util.requires gives a class its method after it was defined.
        if not isinstance(one, luigi.WrapperTask):
            guard(type(one))
    before, _making = _making, _Making(step, required)
    try:
        yield _making.asked_for_tool
    finally:
        _making = before


@contextlib.contextmanager
def unguarded() -> Iterator[None]:
    """Refuse nothing of what this package itself reads."""
    global _making
    before, _making = _making, None
    try:
        yield
    finally:
        _making = before


def guard(step: type[luigi.Task]) -> None:
    """Let requires() and output() of a class of steps be refused while a step is made that does not require it."""
    for name in ("requires", "output"):
        method = getattr(step, name)
        if not hasattr(method, "is_guarded"):
            setattr(step, name, _guarded(method, name))


# What the tasks of a plan, or of a step that runs, answered, by what was asked and the identity of the task; with the
# task itself.
Answers = dict[tuple[str, int], tuple[luigi.Task, Any]]
# None where nothing is planned now, and no step runs.
_answers: Answers | None = None
# In place of an answer while a task is asked: a method of a base class that is called for it has an answer of its own.
_ASKED = object()


@contextlib.contextmanager
def asked_once() -> Iterator[None]:
    """Ask each task once for what it requires, outputs, and so on, in this context: it is needed often."""
    global _answers
    before, _answers = _answers, {} if _answers is None else _answers
    try:
        yield
    finally:
        _answers = before


def answer_of(task: luigi.Task, name: str, ask: Callable[[], Any]) -> Any:
    """Return the answer of a task, asked once within asked_once()."""
    if _answers is None:
        return ask()
    key, known = (name, id(task)), _answers
    if key not in known:
        known[key] = task, _ASKED
        try:
            answer = ask()
            known[key] = task, list(answer) if isinstance(answer, Iterator) else answer
        finally:
            if known[key][1] is _ASKED:
                del known[key]
    answer = known[key][1]
    return ask() if answer is _ASKED else _copied(answer)


def _guarded(method: Callable, name: str) -> Callable:
    def answer(self, *args, **kwargs):
        # What it requires is of the variant that it was made for itself.
        with in_own_variant(self):
            return method(self, *args, **kwargs)

    @functools.wraps(method)
    def ask(self, *args, **kwargs):
        if _making is not None:
            _refuse_deeper(_making, self, name)
        is_plain = not (args or kwargs)
        return answer_of(self, name, functools.partial(answer, self)) if is_plain else answer(self, *args, **kwargs)

    ask.is_guarded = True  # type: ignore[attr-defined]
    return ask


def _copied(answer: Any) -> Any:
    """Return an answer with dicts and lists of its own, which who asked may change."""
    kind = type(answer)
    if kind is dict:
        return {name: _copied(one) for name, one in answer.items()}
    return [_copied(one) for one in answer] if kind is list else answer


def read_input(task: luigi.Task, read: Callable[[], Any]) -> Any:
    """Return a task's input(), `read`; refused to a step that is made, unless a method of the task itself asks."""
    if _making is None or task.task_id == _making.step.task_id:
        return read()
    # The frame of input(), and that of its caller.
    if task.task_id not in _making.required or sys._getframe(2).f_locals.get("self") is not task:
        _refuse_deeper(_making, task, "input")
    is_open, _making.is_open = _making.is_open, True
    try:
        return read()
    finally:
        _making.is_open = is_open


def note_tool_read(task: luigi.Task) -> None:
    """Note that the step that is made asked by which tool a task was made."""
    if _making is not None:
        _making.asked_for_tool.add(task.task_id)


def _refuse_deeper(making: _Making, task: luigi.Task, name: str) -> None:
    is_own = task.task_id == making.step.task_id
    is_required = task.task_id in making.required
    if making.is_open or is_own or (is_required and name == "output"):
        return
    step, other = making.step.task_family, task.task_family
    if is_required:
        raise ReadingError(
            f"{step} asks {other} for its {name}() while it is made: what is read deeper has to be required; add the"
            f" task in question to {step}.requires(), and read it from there"
        )
    raise ReadingError(
        f"{step} reads {other} while it is made and does not require it, so it would not be made again when {other}"
        f" changes; add {task} to {step}.requires()"
    )
