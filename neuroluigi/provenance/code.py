"""The Python code that a result is made with: all that a step's class names, followed to its end.

What is followed are definitions: classes, functions, and what else a module gives a name, each with a digest. They are
those of the lab, wherever they lie, and those of the package's own analysis. Installed distributions change by their
version, and so does the rest of the package.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from neuroluigi.provenance.earlier_code import differing
from neuroluigi.provenance.imported import PACKAGE, is_analysis, is_imported_first, values_of
from neuroluigi.provenance.modules import (
    Definition,
    Module,
    Modules,
    Statement,
    modules_as_imported,
    modules_on_disk,
)
from neuroluigi.provenance.syntax import Import, Uses

# Functions are looked for in so many items of a constant, and in constants in it to this depth.
_MOST_ITEMS, _DEPTH = 1000, 4


def python_sources(step: type, unused: Iterable[Callable] = (), kept_in: Path | None = None) -> list[dict]:
    """Return the code of a step as this process imported it: [{"path": "tasks.py:Stats", "sha256": ...}], by path.

    A path is that of the file, from the folder below which Python finds it, with the name of the definition; of the
    package's own analysis it is neuroluigi:NAME, wherever that is defined. `unused`: functions that the class has as
    attributes and that are not called; `kept_in`: the folder of results, in which facts about the code are kept.
    """
    return _reached(step, unused, modules_as_imported(_steps_among(step), kept_in)).sources()


def changed_on_disk(step: type, unused: Iterable[Callable] = (), kept_in: Path | None = None) -> list[str]:
    """Return the paths of the step's code that is otherwise in its files now than when this process imported it."""
    imported = _reached(step, unused, modules_as_imported(_steps_among(step), kept_in))
    if all(text.is_on_disk() for text in imported.modules.files()):
        return []
    return differing(imported.sources(), _reached(step, unused, modules_on_disk(_steps_among(step))).sources())


def python_distributions(step: type, unused: Iterable[Callable] = (), kept_in: Path | None = None) -> list[str]:
    """Return the names of the installed distributions that the step's code imports, sorted."""
    found = _reached(step, unused, modules_as_imported(_steps_among(step), kept_in)).imported
    return sorted({name for module in found for name in _distributions_of(module)})


@functools.cache
def _distributions_of(module: str) -> tuple[str, ...]:
    """Return the distributions that a module belongs to; of several with one package, such as google, those meant."""
    parts = module.split(".")
    if _has_module(parts[0], parts[0]):
        return (parts[0],)
    if parts[0] in sys.stdlib_module_names:
        return ()
    names = sorted(set(_distributions_by_package().get(parts[0], ())))
    for length in range(len(parts), 0, -1):
        if len(names) > 1 and (found := [one for one in names if _has_module(one, "/".join(parts[:length]))]):
            return tuple(found)
    return tuple(names)


@functools.cache
def _distributions_by_package() -> Mapping[str, list[str]]:
    # Reads the files of all distributions, which takes some tenths of a second.
    return importlib.metadata.packages_distributions()


@functools.cache
def _has_module(distribution: str, path: str) -> bool:
    # Reads the whole list of a distribution's files, and code names a hundred things of NumPy.
    try:
        files = importlib.metadata.files(distribution) or ()
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(str(one).startswith((f"{path}/", f"{path}.")) for one in files)


def _reached(step: type, unused: Iterable[Callable], modules: Modules) -> "_Reached":
    key = step, tuple(unused)
    if key not in modules.known:
        modules.known[key] = _Reached(modules, step, {_home_of(one) for one in key[1]})
        modules.facts.save()
    return modules.known[key]


@functools.cache
def _steps_among(step: type) -> tuple[type, ...]:
    """Return the classes of tasks that a step is of."""
    return tuple(one for one in step.__mro__ if _has_results(one))


def _has_results(found: object) -> bool:
    """Whether a class is one of tasks."""
    return inspect.isclass(found) and all(callable(getattr(found, name, None)) for name in ("requires", "output"))


def _loaded(one: Import, chain: tuple[str, ...]) -> object:
    """Return what a name leads to in a module that is not followed: its attribute, or what of it the code asks for."""
    found: object = sys.modules.get(one.module)
    for name in filter(None, (one.attribute, *chain[1:])):
        found = getattr(found, name, None) if inspect.ismodule(found) else found
    return found


def _home_of(thing: Any) -> tuple[str, str]:
    """Return the module of a function or class, and the name of the definition there that it is part of."""
    thing = inspect.unwrap(thing.func if isinstance(thing, functools.partial) else thing)
    return getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", "").partition(".")[0]


def _functions_in(value: Any, depth: int = _DEPTH) -> Iterator[Any]:
    """Yield the functions and classes in a value: in dicts and lists, in a partial or a closure, below a decorator."""
    if not depth:
        return
    inside: Iterable[Any] = ()
    if isinstance(value, functools.partial):
        inside = (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, (FunctionType, type)):
        yield value
        inside = _enclosed(value)
    elif isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        inside = value
    elif isinstance(value, (classmethod, staticmethod)):
        inside = (value.__func__,)
    else:
        # A value of any kind may answer to any name.
        inside = (inspect.getattr_static(value, "__wrapped__", None),)
    for one in itertools.islice(inside, _MOST_ITEMS):
        yield from _functions_in(one, depth - 1)


def _enclosed(function: object) -> Iterator[Any]:
    for cell in getattr(function, "__closure__", None) or ():
        # A cell can be empty.
        with contextlib.suppress(ValueError):
            yield cell.cell_contents


@dataclass(frozen=True)
class _Piece:
    """A piece of code: its digest, what each name in it leads to, and what it imports that is not followed."""

    sha256: str
    uses: Uses
    found: tuple[tuple[tuple[str, ...], Definition], ...]
    imported: frozenset[str]


def _piece(modules: Modules, module: Module, name: str) -> _Piece:
    key = module.name, name
    if key not in modules.known:
        uses, found, imported, lines = module.uses(name), [], set(), set()
        for chain in sorted(uses.chains):
            for one in modules.resolve(module, chain, uses.imports):
                if isinstance(one, Definition):
                    found.append((chain, one))
                elif one.module.partition(".")[0] != PACKAGE:
                    # Another distribution that gives the same name is other code.
                    lines.add(f"{chain[0]} is {one.attribute} of {one.module}")
                    imported.add(".".join(filter(None, (one.module, one.attribute, *chain[1:]))))
        modules.known[key] = _Piece(module.digest(name, *sorted(lines)), uses, tuple(found), frozenset(imported))
    return modules.known[key]


class _Reached:
    """The code that a step reaches.

    Of the step's class and those that it inherits from all counts. Of another class of steps that is named count the
    members that any of the code asks for, and output() where it asks for its input; not what that one requires, unless
    a member that counts asks for it.
    """

    def __init__(self, modules: Modules, step: type, unused: set[tuple[str, str]]):
        self.modules, self._unused = modules, unused
        # Modules that the code imports and that are not followed.
        self.imported: set[str] = set()
        self._digests: dict[str, set[str]] = {}
        self._followed: set[Definition] = set()
        self._waiting: list[Definition] = []
        self._attributes: set[str] = set()
        self._others: dict[Definition, _Other] = {}
        for one in step.__mro__:
            self._begin_with(one)
        self._follow_all()
        while any([self._follow_members(*other) for other in list(self._others.items())]):
            self._follow_all()

    def sources(self) -> list[dict]:
        """Return path and sha256 of each piece of code, sorted by path."""
        # What is part of a module of which all counts is not named again.
        found = sorted(path for path in self._digests if path.rpartition(":")[0] not in self._digests)
        return [{"path": path, "sha256": _together(self._digests[path])} for path in found]

    def _begin_with(self, one: type) -> None:
        module = self.modules.find(one.__module__)
        names: set[str] = set()
        if module and module.name != PACKAGE:
            bound = (name for name, value in values_of(module.name).items() if value is one)
            names = {_home_of(one)[1], *bound} & module.names
            for name in names:
                self._wait_for(Definition(module, name))
        if not names or "<locals>" in one.__qualname__:
            # Steps have most of their bases in common.
            key = "functions in", one
            if key not in self.modules.known:
                self.modules.known[key] = list(_functions_in(list(vars(one).values())))
            self._name_functions(self.modules.known[key], or_modules=not names)

    def _wait_for(self, found: Definition) -> None:
        if found not in self._followed:
            self._followed.add(found)
            self._waiting.append(found)

    def _name(self, found: Definition) -> None:
        """Follow what a name leads to; of a class of steps later what is asked of it."""
        if found not in self._followed and self._is_step(found):
            self._others.setdefault(found, _Other(set(), set()))
        else:
            self._wait_for(found)

    def _name_functions(self, functions: Iterable[Any], or_modules: bool = False) -> None:
        """Follow functions and classes; of one that no statement defines all of its module, if asked."""
        for one in functions:
            home, name = _home_of(one)
            module = self.modules.find(home) if home else None
            if module and name in module.names:
                self._name(Definition(module, name))
            elif module and or_modules and module.name != PACKAGE:
                self._wait_for(Definition(module, ""))

    def _follow_all(self) -> None:
        while self._waiting:
            module, name = (found := self._waiting.pop()).module, found.name
            self._add(module, name)
            is_value = name and not any(one.is_definition for one in module.statements(name))
            if is_value and is_imported_first(module.name):
                self._name_functions(_functions_in(values_of(module.name).get(name)))

    def _add(self, module: Module, name: str, counts: bool = True) -> Uses:
        """Add a piece of code, and name all that it names."""
        piece = _piece(self.modules, module, name)
        unused = {chain for chain, found in piece.found if (found.module.name, found.name) in self._unused}
        if unused:
            unused -= module.names_without_attributes(name)
        for chain, found in piece.found:
            if chain not in unused or (found.module.name, found.name) not in self._unused:
                self._name(found)
        self.imported |= piece.imported
        self._attributes |= piece.uses.attributes
        if "input" in piece.uses.of_self | piece.uses.attributes:
            self._attributes.add("output")
        if counts and not (module.is_empty and not name):
            # A definition of the package's own may move to another module.
            home = PACKAGE if is_analysis(module.name) else module.key
            self._digests.setdefault(f"{home}:{name}" if name else module.key, set()).add(piece.sha256)
        return piece.uses

    def _follow_members(self, found: Definition, other: "_Other") -> bool:
        """Follow those members of another class of steps that are asked for; return whether there are new ones."""
        classes = list(self._classes(found, set()))
        wanted = (self._attributes - {"requires"}) | other.asked
        if "output" in wanted and not any("output" in one.members for _, _, one in classes):
            # Such as a WrapperTask, whose output is that of what it requires.
            wanted.add("requires")
        before = len(other.done)
        for module, name, statement in classes:
            given_later = (attribute for one in module.statements(name) for attribute in one.attributes)
            for member in dict.fromkeys([*statement.members, *given_later]):
                key = module.name, name, member
                if member in wanted and key not in other.done:
                    other.done.add(key)
                    is_counted = Definition(module, name) in self._followed
                    uses = self._add(module, f"{name}.{member}", not is_counted)
                    other.asked.update(uses.of_self, ["requires"] if "input" in uses.of_self else ())
        return len(other.done) > before

    def _is_step(self, found: Definition) -> bool:
        """Whether a name leads to a class of tasks; by its code, as it may not be imported yet."""
        if not all(one.is_class or one.attributes for one in _statements_of(found)):
            return False
        bases = (base for module, _, one in self._classes(found, set()) for base in self._bases(module, one))
        return any(isinstance(base, Import) and _has_results(_loaded(base, chain)) for chain, base in bases)

    def _classes(self, found: Definition, seen: set[Definition]) -> Iterator[tuple[Module, str, Statement]]:
        """Yield the statements of a class and of those that it inherits from, each with its module and name."""
        if found in seen:
            return
        seen.add(found)
        for one in _statements_of(found):
            if one.is_class:
                yield found.module, found.name, one
                for _, base in self._bases(found.module, one):
                    yield from self._classes(base, seen) if isinstance(base, Definition) else ()

    def _bases(self, module: Module, one: Statement) -> Iterator[tuple[tuple[str, ...], Definition | Import]]:
        for chain in map(tuple, one.bases):
            yield from ((chain, base) for base in self.modules.resolve(module, chain))


def _statements_of(found: Definition) -> list[Statement]:
    return found.module.statements(found.name) if found.name else []


@dataclass
class _Other:
    """A class of steps that another one names: what its own members ask of it, and its members that are followed."""

    asked: set[str]
    done: set[tuple[str, str, str]]


def _together(digests: set[str]) -> str:
    """Return one digest for those of several definitions of one name."""
    return next(iter(digests)) if len(digests) == 1 else hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
