"""Errors of a lab's own code, tasks.py and what it imports: where in it they are, in one line."""

import inspect
import traceback
from pathlib import Path
from typing import Any

import luigi
from luigi.parameter import ParameterException
from luigi.task import flatten
from luigi.task_register import Register

from neuroluigi.provenance.secret_values import without_values
from neuroluigi.steps.config import RunStopped, shown_path
from neuroluigi.steps.parameters import secrets_of
from neuroluigi.steps.settings_file import TRACEBACK_VARIABLE
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.variants import in_own_variant

_PACKAGE = Path(__file__).parents[1]
_LIBRARY = Path(traceback.__file__).parent


def describe_in_code(error: BaseException) -> str:
    """Return file, line, error and text of the innermost line of a lab's own that an error passed; "" if none."""
    if isinstance(error, SyntaxError) and error.filename:
        return _described(error.filename, error.lineno, f"{type(error).__name__}: {error.msg}", error.text)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    if not own:
        return ""
    # What this package refuses says all.
    is_refusal = own[-1] is frames[-1] or _PACKAGE in Path(frames[-1].filename).parents
    deeper = "" if is_refusal else f"; {TRACEBACK_VARIABLE}=1 shows how it came from there"
    what = str(error) if isinstance(error, ParameterException) else f"{type(error).__name__}: {error}"
    return _described(own[-1].filename, own[-1].lineno, " ".join(what.split()), own[-1].line) + deeper


def _described(file: str, number: int | None, what: str, line: str | None) -> str:
    return f"{shown_path(file)}, line {number}: {what}{f', in: {line.strip()}' if line and line.strip() else ''}"


def _is_own(file: str) -> bool:
    """Return whether a file is neither of Python, nor of this package, nor installed."""
    path = Path(file)
    is_packaged = {"site-packages", "dist-packages"}.intersection(path.parts)
    return not (file.startswith("<") or is_packaged or _PACKAGE in path.parents or _LIBRARY in path.parents)


def required_by(task: luigi.Task) -> list[luigi.Task]:
    """Return the tasks that a task requires directly; RunStopped, with the place, where its code has an error."""
    return _asked(task, "requires")


def outputs_of(task: luigi.Task) -> list[Any]:
    """Return the targets of a task; RunStopped, with the place, where its code has an error."""
    return _asked(task, "output")


def _asked(task: luigi.Task, name: str) -> list[Any]:
    try:
        with in_own_variant(task):
            answer = getattr(task, name)()
            found = flatten(answer)
    except RunStopped:
        raise
    except Exception as error:
        family = str(error).partition("[")[0] if isinstance(error, ParameterException) else ""
        params = Register.get_task_cls(family).get_params() if family in Register.task_names() else []
        known = f"; {family} has the parameters {', '.join(name for name, _ in params)}" if params else ""
        where = without_values(describe_in_code(error) or f"{type(error).__name__}: {error}", secrets_of(task))
        raise RunStopped(f"luigi: {task}.{name}(): {where}{known}") from error
    is_right = _is_task if name == "requires" else _is_target
    wrong = [one for one in found if not is_right(one)]
    # None is nothing for Luigi; of a task of this package it is a `return` that was forgotten.
    if wrong or (answer is None and isinstance(task, CarriesSettings)):
        shown = without_values(f"{wrong[0]!r}", secrets_of(task)) if wrong else "None: is a `return` missing?"
        hint = f", a class: call it, {wrong[0].__name__}(...)" if wrong and isinstance(wrong[0], type) else ""
        raise RunStopped(
            f"luigi: {_place_of(task, name)}: {type(task).__name__}.{name}() returns {shown}{hint}; it returns"
            f" {'tasks' if name == 'requires' else 'targets'}, or dicts and lists of them"
        )
    return found


def _is_task(one: object) -> bool:
    return isinstance(one, luigi.Task)


def _is_target(one: object) -> bool:
    # Luigi asks for no more than exists().
    return not isinstance(one, type) and callable(getattr(one, "exists", None))


def _place_of(task: luigi.Task, name: str) -> str:
    code = getattr(inspect.unwrap(getattr(type(task), name)), "__code__", None)
    return f"{shown_path(code.co_filename)}, line {code.co_firstlineno}" if code else type(task).__module__
