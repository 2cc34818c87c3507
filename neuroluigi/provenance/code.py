"""The Python code that a result is made with: all that a step's class names, followed to its end.

What is followed are definitions: classes, functions, and what else a module gives a name, each with a digest. They are
those of the lab, wherever they lie, and those of the package's own analysis. Installed distributions change by their
version, and so does the rest of the package.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from neuroluigi.provenance.imported import PACKAGE, is_analysis, is_imported_first, values_of
from neuroluigi.provenance.modules import (
    Definition,
    Module,
    Modules,
    modules_as_imported,
    modules_on_disk,
)
from neuroluigi.provenance.syntax import Import, Uses, digest, members_of, uses_of

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

# Functions are looked for in so many items of a constant, and in constants in it to this depth.
_MOST_ITEMS, _DEPTH = 1000, 4


def python_sources(step: type, unused: Iterable[Callable] = ()) -> list[dict]:
    """Return the code of a step as this process imported it: [{"path": "tasks.py:Stats", "sha256": ...}], by path.

    A path is that of the file, from the folder below which Python finds it, with the name of the definition; of the
    package's own analysis it is neuroluigi:NAME, wherever that is defined. `unused`: functions that the class has as
    attributes and that are not called.
    """
    return _reached(step, unused, modules_as_imported).sources()


def changed_on_disk(step: type, unused: Iterable[Callable] = ()) -> list[str]:
    """Return the paths of the step's code that is otherwise in its files now than when this process imported it."""
    imported = _reached(step, unused, modules_as_imported)
    if all(text.is_on_disk() for text in imported.modules.files()):
        return []
    return differing(imported.sources(), _reached(step, unused, modules_on_disk).sources())


# Pieces of this package's own analysis as earlier releases had them, which give what those of today give.
_AS_TODAY = {
    ("Aggregate", "29543e4b03f109622a988f6495958de01b3ea8b524bb07b7ea8502aca0a35490"),
    ("Aggregate.output", "793e89a534fcb18599de91b6a13d6da1d3e75913b76a971f8e6551bbc1e6fe6f"),
    ("Concatenation", "d043c675173a13ef13547d570184dd82cb348e2c6d5db7dad6caaddfbf43684b"),
    ("Edges", "d64dec4b5d4a9d1a311e0b9029d39b0feac71963cd791253c3d11fab278db908"),
    ("Edges", "e20a8ca63347af7d988cba53e6ae77827e9b3655f641869dabc5c3f74b97adb7"),
    ("Edges.level", "ad257eeeb89dbc3cf97ed4e5a3a538fd6e804451ddd6c3f0285699ecc0f9f1ac"),
    ("Edges.levels", "1133522d2a6485cff98c43b506189b2fb38d4355d4a659172ab50202281f9599"),
    ("Edges.threshold", "65cb6b656e0de8ec3a0d817346c9f8f0491b31eb13e8cef081b7c23287ca79a2"),
    ("Fraction", "b134d39753f0cad7f23e753b2846aa06b4bdce7c22b5fdf7ff14de95f8e35682"),
    ("Plot", "15e724a3a915211dc001f6412d062a2daec13c0e64918ce7e9512e21c9b7373f"),
    ("Plot", "502346e31ccbd23e367b4c9aecd291c55902e1a8b680180532f1fc0d0746744d"),
    ("ReadyMade", "3626190eabc89efeb5e75c671f7ec13367c9e6004c727118bf10550cfa69e751"),
    ("Stats", "0bc926a5539ccfca749b46f212374867079c6e68e3fd3149e92585984a7ac753"),
    ("Stats", "7a763dcdac7409edf59532bf7ffe7c6af3e0d4a6dc658dc2e0d0881de9a52dbd"),
    ("_DETAIL", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_EDGE", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_LEVEL", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_SAMPLES", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_SAMPLE_OF", "ed660b2588d5c6ff5b109744e3cdb25a3964778d6579a9b8c82c96b18d8a8353"),
    ("_SEAM", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_column_starts", "70126af9207ecd37c0fb03d41569800c1d68ad162aca460d16bdb419009075a9"),
    ("_count", "5e856dbea4de7f7ad8006e827f02d376a5357e1544ccd2421b195d4c4357e52b"),
    ("_described", "757e11677e31a60b5e348589061503cae69cccdbf80e2bf65bd86a3056265a9e"),
    ("_detail", "651dd8e4677645bc82c566c840b70dbb2198d55873d86866179241b1010b81a3"),
    ("_detail", "f19b150caeff2fdd864e89d13c5ca0992d6b6a8a498980b321c574a5ac0e65e5"),
    ("_draw", "4ec93344d113000569b9a7f0042f4a66bb420922bd6e07452e86d30cec2209aa"),
    ("_draw", "d4faffaf001845c8928500fb3067215ebce3bd7ed02d63b9f1709436cb06c3e6"),
    ("_draw_gaps", "bd0c2d384dddcc17fd716b363716509e6d543758c8b3b63893e333384c4b1356"),
    ("_duration", "db80d2ce2c3e8036ded8324e1aa9e47b952dc25117d728eccd7ae08b1bb8b4a4"),
    ("_edge_marks", "adc52c6f3e6b2339564c097df6273b3b71d1f7e5ffc1ef624500457ff216ff15"),
    ("_edges_between", "4231f8c9c1cbd451aae5b19415b02928d251cb9c64773f5d774e7ec0cf27de0e"),
    ("_edges_between", "7091fce4c2cae9eafcbcf225b15ed41ce0f66bf73a4590471fe6d456a57da043"),
    ("_edges_header", "fd2f0547a53db7f7a1dc0dcc56895644a045a09021f45d86eb8967c0bfa52836"),
    ("_gaps_in_words", "314f64487227496a850f9e868fa57a5cd267d3313237ed896ed200d4809b9145"),
    ("_label_gaps", "e59be1fee3dfb9a1c3bbce8d4594d4592f3b28b15d5c013d1629126b1f5d02e9"),
    ("_label_recordings", "dcd6c14b9a6fced59db056f72fedae45ce07ebfec13242bf131276bf23137487"),
    ("_letters", "385bc6f7fd3539b5e5b311198212469ad5f345bce5d1468a165523d22cb024d2"),
    ("_level_text", "063b86d938f7b04dbc2085912c93b4a6e624b9fc66a1280c76e19cdb3f3379af"),
    ("_level_text", "bea2fc28a4baacbe6ef00859e4993767a621b1f23e5387b3e5d023aa12fa333a"),
    ("_limit", "459ede99aa2281cc62841e287c9b0f61e928a0e1dd06885be5c61cae351adbd6"),
    ("_limit", "b31adeb3eec00e6e1f2064a0fb8e80b41e2b4fb170dc5dcdf3e738ab13a9efd7"),
    ("_make_room", "89dfe01737ee0176b23b9d2f7d855a349423c16e87b5e89d42e9e99940abaf45"),
    ("_make_room", "d87412c25b50f3936bbcaaf0b274dea84c1e1e2ad1bd6b2001dac826a75ba416"),
    ("_mapped_anew", "5faddb70c8e48bcb7adacd224adae1405017f758fd301927839bde46534c47bc"),
    ("_place_of_level", "61367d4ac01b7370e953ff803dc118299145b8398f8349d3f8902d30ab16c4c7"),
    ("_read", "68ea044fcf3a645a3e023b35201532806f0d6314eb8c4a95e43177d77d3f40f4"),
    ("_shortened", "8830e44ba2ffd82f3d4d5dee6fb202299e94425de554381de9c099456494b2e3"),
    ("_spread", "fdba59af4a542f6fdf7bb0e392250c08a9f809d2fb7e61c453c8249b5dac2bfd"),
    ("_summary", "a2b82933f68fafd645bd8f481a8a80ff7f6bfa208156d86bd339885875f9c0ad"),
    ("_summary", "a38e24f028f1420537e5eeaa6a22f104db8005124cc09342f369ae0a33603b85"),
    ("_text", "328bbf998f169ebb8b25c63f8a104e2edc113adc1bc6f0027f0d26d46b780c00"),
    ("_units", "2e76801934a30250b4e9c8f206b1b5576cc1e9e0e1bf4d3814f785d5935f05fa"),
    ("blocks", "318dc6cbf9f3b493dba9aac47b248bf675b49aac9208b2623f32f1122d3b2304"),
    ("column_starts", "5914af86b3665a22d4c41678a856839d994956e6fda5c73c8bcd4d1b1f0f098f"),
    ("computeStats.m", "b00bcf84cd4a96a9eae775fd2bb29f2e7cc65769a0686d20e79cd8bf462ae67d"),
    ("compute_stats", "860de2fac8092bc67edf901863ecf17233f138fe8b22abd23628d6a04faebd91"),
    ("edge_marks", "96224cfcbc3ec8caf699a93816b4345611c651b5f2c529df9ce567976178df2c"),
    ("envelope", "7f0fe2b28e4d71a5fd76bed16a7630ee0ec0456e7ec525a22c587eb97d964797"),
    ("envelope", "a06ce3311f8ee2672967cc02dc2e5e53c83b55ae42e4af56cff28ef957bc121b"),
    ("findRisingEdges.m", "1911229cf6bec642898a6558f98fe338e1de6e420036a3c975631e9f2bbcb3a5"),
    ("findRisingEdges.m", "c7b675029977f337ffcf817002a23dced169ae5f62ece4aa34bf56a94b4b6924"),
    ("find_rising_edges", "254c73820e9a9f5a4148f81869af1f2c4184d2e3349e962e3292903d0951cba9"),
    ("find_rising_edges", "51236c8b4779acb72c75d69fe25d7e05e66d0e7e063e1f0050da732e063d5696"),
    ("group_figure", "28d88de5b2495e71db3002032546dbed2d0183c7b7e94beb610f374bb19b3267"),
    ("group_figure", "df47d5ba3aa5a61705c364befd50b4c653efe3c34152d19ca6556df72215bddd"),
    ("levels", "4973a3f87aa76d83e43d6a1ce4d797ddf20b10a95731b974e364f893cb6112f0"),
    ("plot_group", "079d004178eff23b2b0c62e8959f11342ec30f3871a73fb0662664d97fdcc812"),
    ("plot_group", "a04a5beb11bd89dceedaeaf26d79d5c866b713e5dffa06e2979445e010cd6598"),
    ("readAggregate.m", "265c9a7d642eaca6d44f52dfb5c9a9492da18c32f0473598faf793b863335f04"),
    ("readBlock.m", "d37fa7003947adda5cb09142f344f0ab4596f98b44d4dd76c709adbf843180e1"),
    ("shown_channels", "5e491007d2de4be4e64beefa6a85b8a789898f3d94f55e7acb787688303156d8"),
}
# What these have beside them today, in Matlab; in Python all of the package's own.
_WITH_THEM = {
    f"{name}.m"
    for name in (
        *(
            "bandPass",
            "eventLevels",
            "eventOptions",
            "findEvents",
            "joinEvents",
            "noiseLevel",
            "pickEvents",
            "planBlocks",
        ),
        *("planFilter", "readAggregate", "readFiltered", "trackCrossings", "writeEventSummary"),
    )
}


def differing(some: Iterable[Mapping], others: Iterable[Mapping]) -> list[str]:
    """Return the paths of the pieces of code that are not the same in both."""
    before, now = ({one["path"]: one["sha256"] for one in each} for each in (some, others))
    same = {path for path, sha256 in before.items() if (_own_name(path), sha256) in _AS_TODAY}
    added = now.keys() - before.keys() if same else set()
    same |= {path for path in added if path.startswith(f"{PACKAGE}:") or _own_name(path) in _WITH_THEM}
    return sorted(path for path in (before.keys() | now.keys()) - same if before.get(path) != now.get(path))


def _own_name(path: str) -> str:
    """Return the name of a piece of this package: an M-file's is the same in whatever folder a copy is."""
    return path.rpartition("/")[2].removeprefix(f"{PACKAGE}:")


def python_distributions(step: type, unused: Iterable[Callable] = ()) -> list[str]:
    """Return the names of the installed distributions that the step's code imports, sorted."""
    found = _reached(step, unused, modules_as_imported).imported
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


def _has_module(distribution: str, path: str) -> bool:
    try:
        files = importlib.metadata.files(distribution) or ()
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(str(one).startswith((f"{path}/", f"{path}.")) for one in files)


def _reached(step: type, unused: Iterable[Callable], read: Callable[[tuple[type, ...]], Modules]) -> "_Reached":
    modules = read(_steps_among(step))
    key = step, tuple(unused)
    if key not in modules.known:
        modules.known[key] = _Reached(modules, step, {_home_of(one) for one in key[1]})
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


def _piece(modules: Modules, module: Module, name: str, nodes: list[ast.stmt]) -> _Piece:
    key = module.name, name
    if key not in modules.known:
        uses, found, imported, lines = uses_of(nodes, module.package), [], set(), set()
        for chain in sorted(uses.chains):
            for one in modules.resolve(module, chain, uses.imports):
                if isinstance(one, Definition):
                    found.append((chain, one))
                elif one.module.partition(".")[0] != PACKAGE:
                    # Another distribution that gives the same name is other code.
                    lines.add(f"{chain[0]} is {one.attribute} of {one.module}")
                    imported.add(".".join(filter(None, (one.module, one.attribute, *chain[1:]))))
        modules.known[key] = _Piece(digest(nodes, *sorted(lines)), uses, tuple(found), frozenset(imported))
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
            names = {_home_of(one)[1], *bound} & module.definitions.keys()
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
            if module and name in module.definitions:
                self._name(Definition(module, name))
            elif module and or_modules and module.name != PACKAGE:
                self._wait_for(Definition(module, ""))

    def _follow_all(self) -> None:
        while self._waiting:
            module, name = (found := self._waiting.pop()).module, found.name
            nodes = module.definitions[name] if name else module.body
            self._add(module, name, nodes)
            if name and is_imported_first(module.name) and not any(isinstance(one, _DEFINITIONS) for one in nodes):
                self._name_functions(_functions_in(values_of(module.name).get(name)))

    def _add(self, module: Module, name: str, nodes: list[ast.stmt], counts: bool = True) -> Uses:
        """Add a piece of code, and name all that it names."""
        piece = _piece(self.modules, module, name, nodes)
        unused = {chain for chain, found in piece.found if (found.module.name, found.name) in self._unused}
        if unused:
            unused -= uses_of(_without_attributes(nodes), module.package).chains
        for chain, found in piece.found:
            if chain not in unused or (found.module.name, found.name) not in self._unused:
                self._name(found)
        self.imported |= piece.imported
        self._attributes |= piece.uses.attributes
        if "input" in piece.uses.of_self | piece.uses.attributes:
            self._attributes.add("output")
        if nodes and counts:
            # A definition of the package's own may move to another module.
            home = PACKAGE if is_analysis(module.name) else module.key
            self._digests.setdefault(f"{home}:{name}" if name else module.key, set()).add(piece.sha256)
        return piece.uses

    def _follow_members(self, found: Definition, other: "_Other") -> bool:
        """Follow those members of another class of steps that are asked for; return whether there are new ones."""
        classes = list(self._classes(found, set()))
        wanted = (self._attributes - {"requires"}) | other.asked
        if "output" in wanted and not any("output" in members_of(node) for _, node in classes):
            # Such as a WrapperTask, whose output is that of what it requires.
            wanted.add("requires")
        before = len(other.done)
        for module, node in classes:
            members = members_of(node)
            for one in module.definitions[node.name]:
                for name in _attributes_given(one, node.name, module.package):
                    members.setdefault(name, []).append(one)
            for name, nodes in members.items():
                member = module.name, node.name, name
                if name in wanted and member not in other.done:
                    other.done.add(member)
                    is_counted = Definition(module, node.name) in self._followed
                    uses = self._add(module, f"{node.name}.{name}", nodes, not is_counted)
                    other.asked.update(uses.of_self, ["requires"] if "input" in uses.of_self else ())
        return len(other.done) > before

    def _is_step(self, found: Definition) -> bool:
        """Whether a name leads to a class of tasks; by its code, as it may not be imported yet."""
        nodes, package = found.module.definitions.get(found.name, ()), found.module.package
        if not all(isinstance(one, ast.ClassDef) or _attributes_given(one, found.name, package) for one in nodes):
            return False
        bases = (base for one in self._classes(found, set()) for base in self._bases(*one))
        return any(isinstance(base, Import) and _has_results(_loaded(base, chain)) for chain, base in bases)

    def _classes(self, found: Definition, seen: set[Definition]) -> Iterator[tuple[Module, ast.ClassDef]]:
        """Yield the statements of a class and of those that it inherits from, each with its module."""
        if found in seen:
            return
        seen.add(found)
        for node in found.module.definitions.get(found.name, ()):
            if isinstance(node, ast.ClassDef):
                yield found.module, node
                for _, base in self._bases(found.module, node):
                    yield from self._classes(base, seen) if isinstance(base, Definition) else ()

    def _bases(self, module: Module, node: ast.ClassDef) -> Iterator[tuple[tuple[str, ...], Definition | Import]]:
        for chain in sorted(uses_of(node.bases, module.package).chains):
            yield from ((chain, one) for one in self.modules.resolve(module, chain))


@dataclass
class _Other:
    """A class of steps that another one names: what its own members ask of it, and its members that are followed."""

    asked: set[str]
    done: set[tuple[str, str, str]]


def _attributes_given(node: ast.stmt, name: str, package: str) -> set[str]:
    """Return the attributes that a statement after a class gives it: {"level"} of `Stats.level = 1`."""
    chains = () if isinstance(node, ast.ClassDef) else uses_of([node], package).chains
    attributes = [chain[1:2] for chain in chains if chain[0] == name]
    return {one[0] for one in attributes} if all(attributes) else set()


def _without_attributes(nodes: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the parts of code without the attributes of classes: methods, bases and decorators."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            inside = (one for one in node.body if isinstance(one, _DEFINITIONS))
            yield from (*node.decorator_list, *node.bases, *node.keywords, *inside)
        else:
            yield node


def _together(digests: set[str]) -> str:
    """Return one digest for those of several definitions of one name."""
    return next(iter(digests)) if len(digests) == 1 else hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
