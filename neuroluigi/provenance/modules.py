"""What Python modules define, and where a name in one of them leads, through all imports; nothing is imported."""

import ast
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from neuroluigi.provenance.code_facts import Facts, fits
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
from neuroluigi.provenance.syntax import (
    DEFINITIONS,
    Import,
    Uses,
    bound_names,
    digest,
    imports_of,
    inner_statements,
    members_of,
    root_of,
    uses_of,
)


class Statement(NamedTuple):
    """A statement that gives a name something, or alters it.

    attributes: those that it gives a class of the name: {"level"} of `Stats.level = 1`; bases: what a class inherits
    from, as chains; members: the names in its body.
    """

    is_class: bool
    is_definition: bool
    attributes: list[str]
    bases: list[list[str]]
    members: list[str]


_STATEMENT = (bool, bool, [str], [[str]], [str])
_IMPORT = (str, str, str)
_USES = ([[str]], [str], [str], [_IMPORT])


class Module:
    """A module's code, of which each fact is found once: the text is parsed for one that is not known.

    A piece of it is what defines a name, "Stats"; or a member of a class, "Stats.output"; or "", all of it. `names`
    are those that statements give or alter, `imports` what is imported. `key` is its path in records, from the folder
    below which Python finds it.
    """

    def __init__(self, name: str, text: Text, place: Place, facts: Facts):
        self.name, self.text, self.folders = name, text, place.folders
        self.key = _key(name, text.file)
        self.package = name if place.is_package else name.rpartition(".")[0]
        self._facts = facts.about(self.package, (b"file" if text.file else b"cells", *text.parts))
        self.is_empty: bool = self._fact("is empty", bool, lambda: not self._code.body)
        self.names = set(self._fact("names", [str], lambda: list(self._code.definitions)))
        self.stars: list[str] = self._fact("stars", [str], lambda: self._code.stars)
        self.imports: dict[str, list[Import]] = {}
        for plain in self._fact("imports", [_IMPORT], lambda: [_plain(one) for one in self._code.imports]):
            self.imports.setdefault(plain[0], []).append(Import(*plain))

    def statements(self, name: str) -> list[Statement]:
        """Return the statements that define a name."""
        found = self._fact(f"statements {name}", [_STATEMENT], lambda: self._code.statements(name))
        return [Statement(*one) for one in found]

    def uses(self, piece: str) -> Uses:
        """Return what a piece of the code names."""
        chains, attributes, of_self, imports = self._fact(
            f"uses {piece}", _USES, lambda: _plain_uses(self._code.uses(self._code.nodes(piece)))
        )
        imported = tuple(Import(*one) for one in imports)
        return Uses(frozenset(map(tuple, chains)), frozenset(attributes), frozenset(of_self), imported)

    def digest(self, piece: str, *texts: str) -> str:
        """Return the digest of a piece of the code, and of texts that belong to it."""
        question = "\n".join([f"digest {piece}", *texts])
        found: str = self._fact(question, str, lambda: digest(self._code.nodes(piece), *texts))
        return found

    def names_without_attributes(self, piece: str) -> set[tuple[str, ...]]:
        """Return the chains that a piece of the code names elsewhere than in attributes of classes."""
        found = self._fact(
            f"without attributes {piece}",
            [[str]],
            lambda: _plain_uses(self._code.uses(_without_attributes(self._code.nodes(piece))))[0],
        )
        return set(map(tuple, found))

    @functools.cached_property
    def _code(self) -> "_Code":
        return _Code(self.text, self.package)

    def _fact(self, question: str, shape: Any, find: Callable[[], Any]) -> Any:
        if question not in self._facts or not fits(self._facts[question], shape):
            self._facts[question] = find()
        return self._facts[question]


class _Code:
    """The parsed code of a module: `definitions` has the statements that give or alter each name."""

    def __init__(self, text: Text, package: str):
        self._text, self._package = text, package
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: list[Import] = []
        self.stars: list[str] = []
        self.body: list[ast.stmt] = []
        for part in text.parts:
            self._add(list(_statements(part)))

    def _add(self, body: list[ast.stmt]) -> None:
        if not self._text.file:
            # A cell that is run again replaces what it has defined before.
            again = {name for one in body for name in bound_names(one)}
            self.definitions = {name: nodes for name, nodes in self.definitions.items() if name not in again}
            self.imports = [one for one in self.imports if one.name not in again]
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
        for one in imports_of(statement, self._package):
            if one.attribute == "*":
                self.stars.append(one.module)
            else:
                self.imports.append(one)

    def uses(self, nodes: Iterable[ast.AST]) -> Uses:
        return uses_of(nodes, self._package)

    def statements(self, name: str) -> list[list[Any]]:
        return [self._statement(one, name) for one in self.definitions.get(name, ())]

    def _statement(self, node: ast.stmt, name: str) -> list[Any]:
        if isinstance(node, ast.ClassDef):
            return [True, True, [], _plain_uses(self.uses(node.bases))[0], list(members_of(node))]
        return [False, isinstance(node, DEFINITIONS), sorted(self._attributes_given(node, name)), [], []]

    def _attributes_given(self, node: ast.stmt, name: str) -> set[str]:
        chains = () if isinstance(node, ast.ClassDef) else self.uses([node]).chains
        attributes = [chain[1:2] for chain in chains if chain[0] == name]
        return {one[0] for one in attributes} if all(attributes) else set()

    def nodes(self, piece: str) -> list[ast.stmt]:
        """Return the nodes of a piece; of a member, in the first of the classes of this name that has it."""
        name, _, member = piece.partition(".")
        if not member:
            return self.definitions[name] if name else self.body
        statements = self.definitions[name]
        later = [one for one in statements if member in self._attributes_given(one, name)]
        inside = (members_of(one).get(member, []) for one in statements if isinstance(one, ast.ClassDef))
        return [*next(nodes for nodes in inside if nodes or later), *later]


def _plain(one: Import) -> list[str]:
    return [one.name, one.module, one.attribute]


def _plain_uses(uses: Uses) -> list[Any]:
    chains = [list(one) for one in sorted(uses.chains)]
    return [chains, sorted(uses.attributes), sorted(uses.of_self), [_plain(one) for one in uses.imports]]


def _without_attributes(nodes: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the parts of code without the attributes of classes: methods, bases and decorators."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            inside = (one for one in node.body if isinstance(one, DEFINITIONS))
            yield from (*node.decorator_list, *node.bases, *node.keywords, *inside)
        else:
            yield node


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
    facts: where facts about the texts are kept; by default in this process alone
    """

    def __init__(self, followed: frozenset[str], read: Callable[[str, str], Text], facts: Facts | None = None):
        self._followed, self._read, self.facts = followed, read, facts or Facts(None)
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
            # Each cell makes another text.
            return Module(name, Text(parts), Place(""), Facts(None))
        above = name.rpartition(".")[0]
        package = self.find(above) if above else None
        if above and not package:
            return None
        place = place_of(name, package.folders if package else None)
        if not place or not is_followed(name, place, self._followed):
            return None
        return Module(name, self._read(name, place.file) if place.file else Text(()), place, self.facts)

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
        if first in module.names:
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


_views: dict[tuple[frozenset[str], Path | None], Modules] = {}


def modules_as_imported(steps: tuple[type, ...], kept_in: Path | None = None) -> Modules:
    """Return the modules as this process imported them, for the code of these classes of steps.

    kept_in: the folder of results in which facts about them are kept.
    """
    view = _homes(steps), kept_in
    if view not in _views or not _views[view].are_as_read():
        _views[view] = Modules(view[0], text_as_imported, Facts(kept_in))
    return _views[view]


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
