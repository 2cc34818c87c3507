"""What Python modules define, and where a name in one of them leads, through all imports; nothing is imported."""

import ast
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroluigi.provenance.imported import (
    PACKAGE,
    Place,
    Text,
    cells,
    is_followed,
    place_of,
    read_text,
    text_as_imported,
    values_of,
)
from neuroluigi.provenance.syntax import Import, bound_names, imports_of, inner_statements, root_of


class Module:
    """A module's code: `definitions` has the statements that give or alter each name, `imports` what is imported.

    `key` is its path in records, from the folder below which Python finds it.
    """

    def __init__(self, name: str, text: Text, place: Place):
        self.name, self.text, self.folders = name, text, place.folders
        self.key = _key(name, text.file)
        self.package = name if place.is_package else name.rpartition(".")[0]
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, list[Import]] = {}
        self.stars: list[str] = []
        self.body: list[ast.stmt] = []
        for part in text.parts:
            self._add(list(_statements(part)))

    def _add(self, body: list[ast.stmt]) -> None:
        if not self.text.file:
            # A cell that is run again replaces what it has defined before.
            for name in {name for one in body for name in bound_names(one)}:
                self.definitions.pop(name, None)
                self.imports.pop(name, None)
        self.body += body
        for statement in body:
            if _is_for_types(statement):
                continue
            if not isinstance(statement, (ast.Import, ast.ImportFrom)):
                for name in bound_names(statement) | self._altered(statement):
                    self.definitions.setdefault(name, []).append(statement)
            for inner in inner_statements(statement):
                if isinstance(inner, (ast.Import, ast.ImportFrom)):
                    self._add_imports(inner)

    def _altered(self, statement: ast.stmt) -> set[str]:
        """Return the name of which a statement calls a method: TABLE of TABLE.update(...)."""
        call = statement.value if isinstance(statement, ast.Expr) else None
        root = root_of(call) if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
        return {root} & self.definitions.keys()

    def _add_imports(self, statement: ast.Import | ast.ImportFrom) -> None:
        for one in imports_of(statement, self.package):
            if one.attribute == "*":
                self.stars.append(one.module)
            else:
                self.imports.setdefault(one.name, []).append(one)


def _statements(code: bytes | str) -> Iterator[ast.stmt]:
    """Yield the statements of a file or a cell of a notebook, also those below a magic word such as %%time."""
    body: list[ast.stmt] = []
    # Code that can't be parsed was not imported: it is edited right now, or is in another language.
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        body = ast.parse(code).body
    for one in body:
        match one:
            case ast.Expr(ast.Call(ast.Attribute(attr="run_cell_magic"), [_, _, ast.Constant(str(cell))])):
                yield from _statements(cell)
            case _:
                yield one


def _is_for_types(statement: ast.stmt) -> bool:
    """Whether it is `if TYPE_CHECKING:`, which no process runs."""
    test = statement.test if isinstance(statement, ast.If) else None
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


@dataclass(frozen=True)
class Definition:
    """What a name leads to: `name` in a module, the whole module where that is ""."""

    module: Module
    name: str


class Modules:
    """Modules that code of steps reaches, each read and parsed once.

    followed: top-level packages whose code is followed although they are installed
    read: name and file of a module -> its text
    """

    def __init__(self, followed: frozenset[str], read: Callable[[str, str], Text]):
        self._followed, self._read = followed, read
        self._found: dict[str, Module | None] = {}
        # What was found out about these modules, for whoever asks again.
        self.known: dict[Any, Any] = {}

    def find(self, name: str) -> Module | None:
        """Return a module whose code is followed; None for an installed one, and for one that is not there."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Module | None:
        if name == "__main__" and (parts := cells()):
            return Module(name, Text(parts), Place(""))
        above = name.rpartition(".")[0]
        package = self.find(above) if above else None
        if above and not package:
            return None
        place = place_of(name, package.folders if package else None)
        if not place or not is_followed(name, place, self._followed):
            return None
        return Module(name, self._read(name, place.file) if place.file else Text(()), place)

    def are_as_read(self) -> bool:
        """Whether no module was loaded again, and no cell of a notebook was run, since they were read."""
        return all(map(self._is_as_read, filter(None, self._found.values())))

    def _is_as_read(self, one: Module) -> bool:
        if not one.text.file:
            return not one.text.parts or one.text.parts == cells()
        return self._read(one.name, one.text.file) is one.text

    def files(self) -> Iterator[Text]:
        """Yield the texts of the modules that were found so far."""
        yield from (one.text for one in self._found.values() if one)

    def resolve(
        self, module: Module, chain: Sequence[str], inner: Iterable[Import] = ()
    ) -> "Iterator[Definition | Import]":
        """Yield what a name in a module leads to, through all imports; an Import where that can't be followed.

        chain: the name, and the attributes that are asked of it; inner: what is imported beside it, in a function
        """
        yield from self._named(module, tuple(chain), tuple(inner), frozenset())

    def _named(self, module: Module, chain: tuple[str, ...], inner: tuple[Import, ...], seen: frozenset) -> Iterator:
        first, rest = chain[0], chain[1:]
        here = (module.name, first)
        if here in seen:
            return
        imports = [one for one in (*inner, *module.imports.get(first, ())) if one.name == first]
        for one in imports:
            yield from self._imported(one, rest, seen | {here})
        if first in module.definitions:
            yield Definition(module, first)
        elif not imports:
            for name in module.stars:
                other = self.find(name)
                yield from self._named(other, chain, (), seen | {here}) if other else [Import(first, name, first)]

    def _imported(self, one: Import, rest: tuple[str, ...], seen: frozenset) -> Iterator:
        if module := self.find(one.module):
            yield from self._attribute(module, (one.attribute, *rest) if one.attribute else rest, seen)
        else:
            yield one

    def _attribute(self, module: Module, names: tuple[str, ...], seen: frozenset) -> Iterator:
        found = list(self._named(module, names, (), seen)) if names else []
        if found:
            yield from found
        elif names and (below := self.find(f"{module.name}.{names[0]}")):
            yield from self._attribute(below, names[1:], seen)
        elif names and module.name.partition(".")[0] == PACKAGE:
            yield Import(names[0], module.name, names[0])
        else:
            # The module is used as a value, or defines the name by other means: all of it may matter.
            yield Definition(module, "")


_views: dict[frozenset[str], Modules] = {}


def modules_as_imported(steps: tuple[type, ...]) -> Modules:
    """Return the modules as this process imported them, for the code of these classes of steps."""
    followed = _homes(steps)
    if followed not in _views or not _views[followed].are_as_read():
        _views[followed] = Modules(followed, text_as_imported)
    return _views[followed]


def modules_on_disk(steps: tuple[type, ...]) -> Modules:
    """Return the modules as their files are now, for the code of these classes of steps."""
    return Modules(_homes(steps), lambda name, file: read_text(file))


@functools.cache
def _homes(steps: tuple[type, ...]) -> frozenset[str]:
    """Return the top-level packages that define steps: a lab's own, also where it is installed."""
    return frozenset(one.__module__.partition(".")[0] for one in steps)


def _key(name: str, file: str) -> str:
    # What `python -m labpipe.run` runs is called __main__.
    name = getattr(values_of(name).get("__spec__"), "name", name)
    path, whole = name.replace(".", "/"), Path(file).as_posix()
    return next(
        (one for one in (f"{path}.py", f"{path}/__init__.py") if whole.endswith(f"/{one}")), Path(file).name or name
    )
