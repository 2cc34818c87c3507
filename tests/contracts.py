"""Contracts of import-linter that this package adds to the common ones; pyproject.toml says what they hold for."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class _Table(fields.Field):
    def parse(self, raw_data):
        return raw_data


class _Contract(Contract):
    """A contract that each line of problems() breaks."""

    def problems(self, graph: ImportGraph) -> Iterator[str]:
        raise NotImplementedError

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        problems = sorted(self.problems(graph))
        return ContractCheck(kept=not problems, metadata={"problems": problems})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for problem in check.metadata["problems"]:
            output.print_error(problem, bold=False)


class Wings(_Contract):
    """What each wing may import from the package; the package's own `__init__` is imported by no wing.

    may_import: a row for each wing, with the modules that it may import; each stands for all below it, too. Names
    lack the package's own, which itself is the row `__init__`.
    """

    type_name = "wings"
    package = fields.StringField()
    may_import = _Table()

    def problems(self, graph: ImportGraph) -> Iterator[str]:
        for importer in graph.find_descendants(self.package) | {self.package}:
            wing = importer.split(".")[1] if "." in importer else "__init__"
            for imported in graph.find_modules_directly_imported_by(importer):
                inner = imported.removeprefix(f"{self.package}.")
                allowed = [wing, *self.may_import.get(wing, [])]
                if _is_below(imported, self.package) and not any(_is_below(inner, one) for one in allowed):
                    line = graph.get_import_details(importer=importer, imported=imported)[0]["line_number"]
                    yield f"{_path(importer)}:{line}: {wing} may not import {imported}"


class InsideFunctions(_Contract):
    """Packages that are imported where they are used, in a function, as they take long to load or may be missing.

    except_in: modules that may import them at once.
    """

    type_name = "inside_functions"
    package = fields.StringField()
    packages = fields.SetField(subfield=fields.StringField())
    except_in = fields.SetField(subfield=fields.StringField())

    def problems(self, graph: ImportGraph) -> Iterator[str]:
        for path, tree in _sources(self.package, self.except_in):
            for line, name in _imports(_outside_functions(tree)):
                if name.split(".")[0] in self.packages:
                    yield f"{path}:{line}: {name} is imported inside functions alone"


class PrivateNames(_Contract):
    """Private names of another package are used in few modules of ours.

    What is seen: imports, attributes of what is imported, names in a class that is derived from an imported one, and
    attributes of any other object unless a module outside `only_in` defines such a name itself. What is not: names in
    strings, and names in a class further down.
    """

    type_name = "private_names"
    package = fields.StringField()
    of = fields.StringField()
    only_in = fields.SetField(subfield=fields.StringField())

    def problems(self, graph: ImportGraph) -> Iterator[str]:
        theirs = _private_names(tree for _, tree in _sources(self.of, {f"{self.of}.contrib"}))
        sources = list(_sources(self.package, self.only_in))
        theirs_alone = theirs - _private_names(tree for _, tree in sources)
        for path, tree in sources:
            for line, name in self._uses(tree, theirs, theirs_alone):
                yield f"{path}:{line}: {name} is private to {self.of}"

    def _uses(self, tree: ast.Module, theirs: set[str], theirs_alone: set[str]) -> Iterator[tuple[int, str]]:
        nodes = list(ast.walk(tree))
        imports = [(line, name) for line, name in _imports(nodes) if _is_below(name, self.of)]
        yield from ((line, name) for line, name in imports if any(map(_is_private, name.split("."))))
        imported = {self.of, *(name.split(".")[-1] for _, name in imports)}
        for node in nodes:
            if isinstance(node, ast.Attribute):
                if node.attr in (theirs if _first_name(node) in imported else theirs_alone):
                    yield node.lineno, ast.unparse(node)
            elif isinstance(node, ast.ClassDef) and any(_first_name(base) in imported for base in node.bases):
                yield from ((node.lineno, f"{node.name}.{name}") for name in _private_names([node]) & theirs)


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _path(module: str) -> Path:
    path = Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _sources(package: str, without: set[str]) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the modules of a package, with their paths, but for some and what is below them."""
    folder = Path(importlib.util.find_spec(package).origin).parent
    for path in folder.rglob("*.py"):
        inner = path.relative_to(folder.parent)
        if not any(_is_below(".".join(inner.with_suffix("").parts), one) for one in without):
            yield inner, ast.parse(path.read_bytes())


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are run while a module is loaded, but for what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        is_for_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not is_for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def _imports(nodes) -> Iterator[tuple[int, str]]:
    """Yield the lines and the full names of what is imported absolutely."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _private_names(trees) -> set[str]:
    """Return the private names that modules define, also of what they keep in self."""
    names = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _first_name(node) == "self":
            names.add(node.attr)
    return set(filter(_is_private, names))


def _first_name(node: ast.AST) -> str:
    """Return `luigi` of `luigi.worker.Worker()._id`, or "" of what does not begin with a name."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""
