"""Contracts of import-linter that this package adds to the common ones; pyproject.toml says what they hold for."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class _Table(fields.Field):
    def parse(self, raw_data):
        return raw_data


class _Contract(Contract):
    """A contract that each line of problems() breaks."""

    def problems(self, graph: ImportGraph) -> Iterable[str]:
        raise NotImplementedError

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        problems = sorted(self.problems(graph))
        return ContractCheck(kept=not problems, metadata={"problems": problems})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for problem in check.metadata["problems"]:
            output.print_error(problem, bold=False)


class Wings(_Contract):
    """What each wing may import from the package; the package's own `__init__` is imported by none.

    may_import: a row for each wing, with the modules that it may import; each stands for all below it, too. Names
    lack the package's own, which itself is the row `__init__`.
    """

    type_name = "wings"
    package = fields.StringField()
    may_import = _Table()

    def problems(self, graph: ImportGraph) -> Iterator[str]:
        for importer in graph.find_descendants(self.package) | {self.package}:
            wing = importer.split(".")[1] if "." in importer else "__init__"
            allowed = [wing, *self.may_import.get(wing, [])]
            for imported in graph.find_modules_directly_imported_by(importer):
                inner = imported.removeprefix(f"{self.package}.")
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
        for module in (graph.find_descendants(self.package) | {self.package}) - self.except_in:
            for node in _run_at_import(ast.parse(_path(module).read_bytes())):
                for name in _imported(node):
                    if name.split(".")[0] in self.packages:
                        yield f"{_path(module)}:{node.lineno}: {name} is imported inside functions alone"


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _path(module: str) -> Path:
    path = Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run while a module is imported, but for what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        is_for_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not is_for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _run_at_import(child)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
