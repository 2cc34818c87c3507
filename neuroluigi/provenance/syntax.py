"""Python code as plain data: its digest, which prose and the version of Python leave alone, and what it names."""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*DEFINITIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

# Fields of ast that say nothing about what code does: how a name is used shows where it is, `kind` is the u of u"".
_WITHOUT_MEANING = ("ctx", "kind", "type_comment")


@dataclass(frozen=True)
class Import:
    """A name that is imported: `name` is `attribute` of `module`, or the module itself where that is ""."""

    name: str
    module: str
    attribute: str = ""


@dataclass(frozen=True)
class Uses:
    """What code names.

    chains: names with the attributes that are asked of them: {("helper", "levels"), ("FACTOR",)}
    attributes: what is asked of anything but self
    of_self: what is asked of self, cls and super()
    imports: what is imported in it
    """

    chains: frozenset[tuple[str, ...]]
    attributes: frozenset[str]
    of_self: frozenset[str]
    imports: tuple[Import, ...]


def digest(nodes: Iterable[ast.AST], *texts: str) -> str:
    """Return the sha256 of code, and of texts that belong to it.

    Comments, docstrings, layout and quotes don't change it. It is the same on every version of Python that reads the
    code: the text of ast.dump() and ast.unparse() is not.
    """
    lines: list[str] = []
    stack: list[Any] = [*reversed(texts), *reversed(list(nodes))]
    while stack:
        one = stack.pop()
        kind: Any = type(one)
        if kind is _Line:
            lines.append(one)
        elif isinstance(one, ast.AST):
            # Without recursion: a sum of a thousand terms is a tree a thousand deep.
            first, fields = _layout(kind)
            lines.append(first)
            stack.append(_END_OF_NODE)
            for name, line in fields:
                value = getattr(one, name, None)
                # A version of Python knows fields that an earlier one lacks; they are empty in code that both can read.
                if type(value) is list:
                    joined = _joined(value) if name == "values" and kind is ast.JoinedStr else value
                    if items := [each for each in joined if not _does_nothing(each)]:
                        stack += (_END_OF_LIST, *reversed(items), _START_OF_LIST, line)
                elif value is not None:
                    stack += (value, line)
        else:
            lines.append(_as_text(one))
    return hashlib.sha256("\n".join([*lines, ""]).encode()).hexdigest()


class _Line(str):
    """A line of what is digested, as it is."""

    __slots__ = ()


def _does_nothing(node: Any) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return is_text or isinstance(node, ast.Pass)


def _joined(values: Sequence[ast.expr]) -> Iterator[ast.expr]:
    """Yield the parts of an f-string, its text in pieces as long as possible: versions divide it differently."""
    text = ""
    for one in values:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            text += one.value
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield one
    if text:
        yield ast.Constant(text)


def _as_text(value: object) -> str:
    # Which characters repr() escapes depends on the version; and it refuses an int of thousands of digits.
    return f"{type(value).__name__} {hex(value) if type(value) is int else ascii(value)}"


_END_OF_NODE, _START_OF_LIST, _END_OF_LIST = (_Line(_as_text(sign)) for sign in (")", "[", "]"))


@functools.cache
def _layout(kind: type[Any]) -> tuple[_Line, list[tuple[str, _Line]]]:
    """Return the line with which a node of this kind begins, and its fields that have a meaning, each with its line.

    The last field comes first, as it goes on a stack.
    """
    names = [name for name in reversed(kind._fields) if name not in _WITHOUT_MEANING]
    return _Line(_as_text(f"({kind.__name__}")), [(name, _Line(_as_text(f".{name}"))) for name in names]


def uses_of(nodes: Iterable[ast.AST], package: str) -> Uses:
    """Return what code names; relative imports in it are from `package`."""
    chains: set[tuple[str, ...]] = set()
    attributes, of_self = set(), set()
    imports: list[Import] = []
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if type(node) is ast.Name:
            chains.add((node.id,))
        elif type(node) is ast.Attribute:
            names: list[str] = []
            below: ast.AST = node
            while isinstance(below, ast.Attribute):
                names.insert(0, below.attr)
                below = below.value
            if isinstance(below, ast.Name):
                chains.add((below.id, *names))
            else:
                stack.append(below)
            if _is_self(below):
                of_self.add(names.pop(0))
            attributes.update(names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imports += imports_of(node, package)
        elif type(node) is not ast.Constant:
            stack += _children(node)
    return Uses(frozenset(chains), frozenset(attributes), frozenset(of_self), tuple(imports))


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes right below a node; ast.iter_child_nodes takes three times as long."""
    found: list[ast.AST] = []
    kind: Any = type(node)
    for name in _fields_of(kind):
        value = getattr(node, name, None)
        if type(value) is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


@functools.cache
def _fields_of(kind: type[Any]) -> tuple[str, ...]:
    # An operator, such as Add or Load, has nothing below it, and is at every second node.
    return tuple(name for name in kind._fields if name not in ("ctx", "op", "ops"))


def _is_self(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def imports_of(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[Import]:
    """Yield each name that an import statement in a module of `package` gives; "*" for all that another module has."""
    if isinstance(node, ast.Import):
        for one in node.names:
            top = one.name.partition(".")[0]
            yield Import(one.asname, one.name) if one.asname else Import(top, top)
        return
    module = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        module = ".".join([*above, *filter(None, [module])])
    for one in node.names:
        yield Import(one.asname or one.name, module, one.name)


def inner_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield a statement and those in it that run in the same scope: the branches of an if, not the body of a def."""
    stack: list[ast.AST] = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, ast.stmt):
            yield one
        if not isinstance(one, _SCOPES):
            stack += _children(one)


def bound_names(node: ast.stmt) -> set[str]:
    """Return the names that a statement gives a value, or alters: TABLE in TABLE["a"] = 1."""
    found = set()
    stack: list[ast.AST] = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, DEFINITIONS):
            found.add(one.name)
        elif isinstance(one, (ast.Import, ast.ImportFrom)):
            found.update(each.name for each in imports_of(one, ""))
        elif isinstance(one, (ast.Name, ast.Attribute, ast.Subscript)) and not isinstance(one.ctx, ast.Load):
            found.update(filter(None, [root_of(one)]))
        if not isinstance(one, _SCOPES):
            stack += _children(one)
    return found


def root_of(node: ast.AST) -> str:
    """Return the name from which an expression takes attributes and items: TABLE of TABLE["a"].b; "" without one."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def members_of(node: ast.ClassDef) -> dict[str, list[ast.stmt]]:
    """Return the statements in the body of a class by the names that they give."""
    found: dict[str, list[ast.stmt]] = {}
    for one in node.body:
        for name in bound_names(one):
            found.setdefault(name, []).append(one)
    return found
