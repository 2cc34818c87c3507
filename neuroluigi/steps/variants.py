"""Variants: values of parameters that are tried beside those of luigi.cfg, which are the base.

    [variants]
    strict = Spikes.noise=6
    noise* = Spikes.noise=4|5|6

A run makes the base and, for each variant that it is asked for, the steps that the variant touches: those of which it
names a parameter, also by the name of a base class, and all that require one of them. These have folders of their own,
results/a-even@strict/; all others are shared. While a task is asked what it requires, or is made, the variant that it
was made for is in force, so that the tasks it makes are of the same one.
"""

import contextlib
import functools
import itertools
import json
import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luigi
from luigi.task_register import Register

from neuroluigi.recordings.groups import VARIANT_SIGN
from neuroluigi.steps.config import RunStopped, neuroluigi, path_of, results_root, setting
from neuroluigi.steps.discovery import only_looks

SECTION = "variants"
ALL = "all"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SETTING = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Variant:
    """A variant: for the names of classes of steps the texts of their parameters."""

    name: str
    values: Mapping[str, Mapping[str, str]]

    def text_of(self, step: type, parameter: str) -> str | None:
        """Return the text that it has for a parameter of a class of steps, None for none; the nearest class counts."""
        of_classes = (self.values[one.__name__] for one in step.__mro__ if one.__name__ in self.values)
        return next((texts[parameter] for texts in of_classes if parameter in texts), None)

    def names(self, step: type) -> bool:
        """Return whether it has a value for any parameter of a class of steps."""
        return any(one.__name__ in self.values for one in step.__mro__)


def declared() -> Mapping[str, Variant]:
    """Return the variants that luigi.cfg declares, by name and in its order. Raises RunStopped."""
    config = luigi.configuration.get_config()
    if not config.has_section(SECTION):
        return {}
    return _parsed(tuple((name, config.get(SECTION, name)) for name in config.options(SECTION)))


@functools.lru_cache(maxsize=8)
def _parsed(lines: tuple[tuple[str, str], ...]) -> Mapping[str, Variant]:
    found = [one for name, text in lines for one in _of_line(name, text)]
    known: dict[str, Variant] = {}
    for one in found:
        # As a folder on a disk that ignores case, and as a name of Luigi's, which has no dashes.
        other = known.setdefault(one.name.lower().replace("-", "_"), one)
        if other is not one:
            raise RunStopped(
                f"luigi: luigi.cfg, [{SECTION}]: {other.name} and {one.name} are one name where case, - and _ make no"
                " difference; rename one"
            )
    return {one.name: one for one in found}


def _of_line(name: str, text: str) -> list[Variant]:
    """Return the variant that a line declares, or all those of a grid, whose name ends with a star."""
    where = f"luigi: luigi.cfg, [{SECTION}] {name}"
    stem = name.removesuffix("*")
    if not _NAME.fullmatch(stem) or stem.lower() in (ALL, "base"):
        raise RunStopped(
            f"{where}: the name of a variant has letters, digits, - and _, a grid's a * at its end; all and base have a"
            " meaning of their own"
        )
    settings = []
    for part in _split(text, ","):
        match = _SETTING.fullmatch(part)
        if not match or not match[3]:
            raise RunStopped(
                f"{where}: {part.strip()!r} is not STEP.PARAMETER=VALUE, as in Spikes.noise=6; a value with a comma is"
                ' put in quotes, "5, V5: 6", and a list written as [1, 2]'
            )
        settings.append((match[1], match[2], _split(match[3], "|")))
    if stem == name and (several := [f"{step}.{one}" for step, one, values in settings if len(values) > 1]):
        raise RunStopped(f"{where}: {several[0]} has several values; a grid has a * at the end of its name, {name}*")
    found = []
    for values in itertools.product(*(values for _, _, values in settings)):
        texts: dict[str, dict[str, str]] = {}
        for (step, parameter, _), value in zip(settings, values, strict=True):
            if parameter in texts.setdefault(step, {}):
                raise RunStopped(f"{where}: {step}.{parameter} is there twice")
            texts[step][parameter] = value.strip()
        swept = [value for (_, _, of_grid), value in zip(settings, values, strict=True) if len(of_grid) > 1]
        ends = [re.sub(r"[^A-Za-z0-9_-]+", "_", one.strip().strip('"')) for one in swept]
        found.append(Variant("-".join((stem, *ends)), texts))
    return found


def _split(text: str, sign: str) -> list[str]:
    """Split a text at a sign, but not within quotes or brackets."""
    parts, depth, is_quoted = [""], 0, False
    for letter in text:
        is_quoted ^= letter == '"'
        depth += 0 if is_quoted else (letter in "[{") - (letter in "]}")
        if letter == sign and not depth and not is_quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def parse_value(parameter: luigi.Parameter, text: str) -> Any:
    """Return the value of a parameter by the text of a variant: as in luigi.cfg, or a text or list of JSON."""
    if text.startswith('"') or (text.startswith("[") and not isinstance(parameter, luigi.ListParameter)):
        value = json.loads(text)
        return parameter.normalize(parameter.parse(value) if isinstance(value, str) else value)
    return parameter.normalize(parameter.parse(text))


def chosen(words: Sequence[str]) -> list[str]:
    """Return the names of the variants that words ask for: names, or all. Raises RunStopped for one that is none."""
    known = declared()
    if unknown := [one for one in words if one not in known and one != ALL]:
        raise RunStopped(
            f"luigi: there is no variant {unknown[0]!r}; [{SECTION}] of luigi.cfg declares:"
            f" {', '.join(known) or 'none'}"
        )
    return [one for one in known if one in words or ALL in words]


# The variant in force, "" for the base, and what it is.
_current = ""
_current_values: Variant | None = None


def current() -> str:
    """Return the name of the variant that is in force, "" for the base."""
    return _current


def current_values() -> Variant | None:
    """Return the variant that is in force."""
    return _current_values


@contextlib.contextmanager
def in_force(name: str) -> Iterator[None]:
    """Have a variant in force, "" for the base; tasks are made for the one in which they are made."""
    global _current
    before = _current
    if name == before:
        yield
        return
    _switch_to(name)
    try:
        yield
    finally:
        _switch_to(before)


def in_own_variant(task: luigi.Task) -> contextlib.AbstractContextManager[None]:
    """Return a context in which the variant is in force that a task was made for, as for the tasks that it makes.

    A task of Luigi's own has none: it is of whatever is in force.
    """
    return _NOTHING if getattr(task, "made_for", _current) == _current else in_force(made_for(task))


_NOTHING = contextlib.nullcontext()


def _switch_to(name: str) -> None:
    global _current, _current_values
    # Luigi gives the same object for the same parameters, and a task has those of the base where it is not touched
    # itself.
    Register.clear_instance_cache()
    _current, _current_values = name, declared().get(name) if name else None


def in_all_variants(root: luigi.Task) -> Iterator[luigi.Task]:
    """Yield a task of the base, and the same of each variant of the command; itself alone where it is of a variant."""
    yield root
    for name in in_command() if not made_for(root) else ():
        with in_force(name):
            args, kwargs = getattr(root, "given", ((), root.param_kwargs))
            one = type(root)(*args, **kwargs)
            # Of Luigi's own tasks too.
            one.made_for = name
        yield one


def folder_of(folder: Path, variant: str) -> Path:
    """Return the folder that a variant has for its own of what lies in a folder; that folder itself for the base."""
    return path_of(folder.parent, f"{folder.name}{VARIANT_SIGN}{variant}") if variant else folder


# Whether variants that have results count as those of the command; None: where it only looks.
_counts_those_there: bool | None = None


@contextlib.contextmanager
def those_there(counts: bool) -> Iterator[None]:
    """Have the variants that have results among those of the command or not, whether it only looks or runs."""
    global _counts_those_there
    before, _counts_those_there = _counts_those_there, counts
    try:
        yield
    finally:
        _counts_those_there = before


def in_command() -> list[str]:
    """Return the variants of this command: those that it was asked for; one that only looks sees what there is too."""
    known = declared()
    has_more = only_looks() if _counts_those_there is None else _counts_those_there
    names = {*chosen(setting(neuroluigi).variants), *(_there(known) if has_more else ())}
    return [one for one in known if one in names]


def _there(known: Container[str]) -> Iterator[str]:
    """Yield the names of the variants that have folders of results."""
    for folder in (results_root(), results_root() / "sessions"):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder) if known else ():  # noqa: PTH208 (names alone)
                yield name.rpartition(VARIANT_SIGN)[2]


def made_for(task: luigi.Task) -> str:
    """Return the variant that was in force when a task was made."""
    return getattr(task, "made_for", "")
