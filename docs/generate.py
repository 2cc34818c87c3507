"""Write what is made from the code: settings.md, reference.md, and the modules in development.md, beside this file.

    python docs/generate.py            # or: make docs
    python docs/generate.py --check    # exit 1, and name each page that is not current; write nothing

The pages are the same from every supported Python.
"""

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import luigi
from luigi.task_register import Register

HERE = Path(__file__).parent
PACKAGE, READY_MADE, NOTEBOOK = "neuroluigi", "neuroluigi.ephys", "neuroluigi.notebook"
MODULES = [importlib.import_module(name) for name in (PACKAGE, NOTEBOOK, READY_MADE)]

# These parameters say which result a task is about; luigi.cfg does not set them.
NAMES_OF_RESULTS = {"group", "groups", "index", "of", "session"}

GENERATED = "<!-- Made by docs/generate.py (make docs); change the code that it describes. -->\n"

ABOUT_SETTINGS = """
# Settings

A setting has a place in `luigi.cfg` and an option on the command line; the option counts where both are given. A
folder without a luigi.cfg has the defaults below. In luigi.cfg, `true` and `false` are written in lower case, lists
with commas, and a per cent sign as `%%`. A comment has a line of its own: behind a value it would be a part of it, and
is refused. A blank option, as in `--recordings-select ''`, takes away what luigi.cfg says, where the default is blank.
`neuroluigi doctor` prints every setting in force, and where it comes from.

A name that does not exist is refused, with the one that was probably meant. The sections `[core]`, `[worker]`,
`[scheduler]` and `[retcode]` are Luigi's own; [luigi.cfg](../luigi.cfg) has those that matter here, with the reason.
"""

ABOUT_STEPS = """
## Settings of steps

Each step has a section of its name, `[STEP]` below. `engine = octave` in section `[Stats]` of luigi.cfg is
`--Stats-engine octave` on the command line, and plain `--engine octave` where Stats is the task that is run.

### Settings of some groups

What holds for some groups alone has a section behind the name of the step and a colon: a pattern of the keys of groups,
or of their columns, which are those of the table of recordings.

```ini
[Spikes]
noise = 5

[Spikes:mouse7-*]
noise = 6

[Spikes:stream=imec0.ap, session=mouse7-0412]
# A value of its own for a channel: its name or position, a range of these (0-15), or a kind
noise = 6, AP37: 8

[recordings:mouse7-*]
bad_channels = AP12, AP191
```

A section with more matching columns wins, then the longer pattern, then the later one; the command line wins over all.
`*`, `?` and `[abc]` stand for other letters. A value per channel may be that of `level`, `threshold`, `noise` and
`hysteresis`. What decides over a result can be set so; which engine makes it is the same for all groups. Steps of a
lab's own need nothing for it. `neuroluigi recordings` lists these settings with their groups, and `neuroluigi why` says
of a result from which section a value is. Refused are a section that no group matches, one of a step that is for no
group, and two that say the same columns.
"""

ABOUT_REFERENCE = """
# Reference

The public names of the package. [steps.md](steps.md) and [python.md](python.md) explain how they are used. What a class
inherits from Luigi is in [Luigi's documentation](https://luigi.readthedocs.io).
"""


def settings() -> str:
    """Return the page of all settings: those of the package, then those of steps."""
    tables: dict[type, list[str]] = {}
    # What luigi.cfg says in the current folder is no default.
    luigi.configuration.get_config().clear()
    for section, _, name, parameter in Register.get_all_params():
        owner = Register.get_task_cls(section)
        is_own = owner.__module__.startswith(PACKAGE) and name in vars(owner)
        if is_own and name not in NAMES_OF_RESULTS:
            # A step of a pipeline is called as its class; the ready-made ones keep their names there.
            is_named = issubclass(owner, luigi.Config) or owner.__module__.startswith(READY_MADE)
            shown = owner.__name__ if is_named else "STEP"
            value = parameter.task_value(section, name) if parameter.has_task_value(section, name) else None
            default, option = _default(parameter, value), f"{shown}-{name}".replace("_", "-")
            row = (f"`{name}`", default and f"`{default}`", f"`--{option}`", _description(parameter))
            tables.setdefault(owner, []).append(_row(row))
    sections = [owner for owner in tables if issubclass(owner, luigi.Config)]
    page = [GENERATED + ABOUT_SETTINGS]
    for owner in (*sections, *(one for one in tables if one not in sections)):
        if owner not in sections and ABOUT_STEPS not in page:
            page.append(ABOUT_STEPS)
        of_steps = owner.__name__ if owner.__module__.startswith(READY_MADE) else f"Every {owner.__name__}"
        title = f"## [{owner.__name__}]" if owner in sections else f"### {of_steps}"
        head = [_row(("setting", "default", "option", "meaning")), "|---|---|---|---|"]
        about = _prose(_summary(owner).partition("\n\n")[0])
        page.append("\n".join([f"\n{title}\n", about, "", *head, *tables[owner], ""]))
    return "".join(page)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(parameter: luigi.Parameter, value: object) -> str:
    """Return a value as luigi.cfg has it, blank for none."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else parameter.serialize(value)


def _description(parameter: luigi.Parameter) -> str:
    """Return the description; Luigi adds choices to it in an order that changes from run to run."""
    text, *choices = re.split(r"\s*Choices: \{(.*)\}", parameter.description or "", maxsplit=1)
    named = [f"`{one}`" for one in sorted(choices[0].split(", "))] if choices else []
    return _prose(": ".join(filter(None, (text, ", ".join(named)))))


def reference() -> str:
    """Return the page of the public names of the package, and of the classes that they are based on."""
    page, bases = [GENERATED + ABOUT_REFERENCE], {}
    for module in MODULES:
        page.append(f"\n## {module.__name__}\n\n{_prose(inspect.getdoc(module))}\n")
        for name in sorted(module.__all__, key=str.lower):
            thing = getattr(module, name)
            page += _entry(name, thing)
            bases |= dict.fromkeys(inspect.getmro(thing)[1:] if inspect.isclass(thing) else ())
    page.append("\n## Base classes\n\nWhat the classes above inherit from others of the package.\n")
    for base in bases:
        if _is_shown(base) and base not in _public():
            page += _entry(base.__name__, base)
    return "".join(page)


def _public() -> list[object]:
    return [getattr(module, name) for module in MODULES for name in module.__all__]


def _is_shown(base: type) -> bool:
    """Whether the page describes a class that others are based on."""
    return base in _public() or (_is_ours(base) and bool(_members(base)))


def _bases(thing: type) -> Iterator[type]:
    """Yield the classes that a class is directly based on; in place of one that the page leaves out, its own."""
    for base in thing.__bases__:
        yield from [base] if _is_shown(base) else _bases(base)


def _is_ours(thing: type) -> bool:
    return thing.__module__.partition(".")[0] == PACKAGE


def _entry(name: str, thing: object) -> Iterator[str]:
    """Yield what the page says of a module, class or function."""
    if inspect.ismodule(thing):
        yield f"\n### {name}\n\n{_prose(inspect.getdoc(thing))}\n"
        for one, function in inspect.getmembers(thing, inspect.isfunction):
            if function.__module__ == thing.__name__ and not one.startswith("_"):
                yield _member(f"{one}{_signature(_node(function))}", inspect.getdoc(function))
        return
    node = _node(thing)
    if not inspect.isclass(thing):
        yield f"\n### {name}\n\n```python\n{name}{_signature(node)}\n```\n\n{_prose(inspect.getdoc(thing))}\n"
        return
    yield f"\n### {name}\n\n```python\n{name}{_arguments_of_class(thing, node)}\n```\n\n{_prose(_summary(thing))}\n"
    if bases := [base.__name__ for base in _bases(thing)]:
        yield f"\nBased on {', '.join(f'[{base}](#{base.lower()})' for base in dict.fromkeys(bases))}.\n"
    yield from _members(thing)


def _members(owner: type) -> list[str]:
    """Return the documented attributes and methods of a class, without those of Luigi's and Python's own classes."""
    found, lines = [], inspect.getsource(owner).splitlines()
    for node in _node(owner).body:
        name = getattr(node, "name", getattr(getattr(node, "target", None), "id", "_"))
        if name.startswith("_") or any(name in vars(base) for base in inspect.getmro(owner) if not _is_ours(base)):
            continue
        if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
            is_property = any("property" in ast.unparse(one) for one in node.decorator_list)
            found.append(_member(name if is_property else f"{name}{_signature(node)}", text))
        elif isinstance(node, ast.AnnAssign) and (text := _comment_above(node, lines)):
            found.append(_member(ast.unparse(node), text))
    return found


def _comment_above(node: ast.stmt, lines: list[str]) -> str:
    """Return the comment right above a statement of a class."""
    found: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("# "):
            break
        found.insert(0, line.strip().removeprefix("# "))
    return " ".join(found)


def _member(code: str, text: str) -> str:
    return f"\n- `{code}`\n\n{textwrap.indent(_prose(text), '  ')}\n"


def _arguments_of_class(thing: type, node: ast.ClassDef) -> str:
    """Return how an object is made: a task with its parameters, which are not in the code of an __init__."""
    if issubclass(thing, luigi.Task):
        return f"({', '.join(name for name, one in thing.get_params() if one.positional)})"
    makers = (one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__")
    return next((_signature(one) for one in makers), "")


def _node(thing: object) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


def _signature(node: ast.FunctionDef) -> str:
    """Return arguments and type of the value as the code has them; inspect.signature differs between Pythons."""
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^(self|cls)(, (/, )?|$)", "", arguments)
    return f"({arguments}){f' -> {ast.unparse(node.returns)}' if node.returns else ''}"


def _summary(thing: type) -> str:
    """Return the docstring of a class, not one that it inherits."""
    return inspect.cleandoc(thing.__doc__ or "")


def _prose(text: str) -> str:
    """Return a text in which Markdown finds nothing but code in backticks and indented blocks."""

    def plain(line: str) -> str:
        if line.startswith("    "):
            return line
        pieces = line.split("`")
        pieces[::2] = [re.sub(r"([<*\[])", r"\\\1", one) for one in pieces[::2]]
        return "`".join(pieces)

    return "\n".join(map(plain, (text or "").splitlines()))


def development() -> str:
    """Return the page for developers, with a table of modules for each sub-package that it names in its own."""
    page, package = (HERE / "development.md").read_text(encoding="utf-8"), Path(MODULES[0].__file__).parent
    before, marks, after = re.split(r"(<!-- modules.*?-->\n)(?:.*?)(?=<!-- end of modules -->)", page, flags=re.DOTALL)
    tables = []
    for name in re.findall(r"^\| `(\w+)/` \|", before, re.MULTILINE):
        modules = sorted(path for path in (package / name).rglob("*.py") if path.name != "__init__.py")
        rows = ((path.relative_to(package).as_posix(), _first_line(path)) for path in modules)
        lines = [_row((f"`{path}`", _prose(text))) for path, text in rows]
        tables.append("\n".join([f"\n### {name}\n", "| module | |", "|---|---|", *lines, ""]))
    return "".join([before, marks, *tables, "\n", after])


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def main() -> None:
    pages = {"settings.md": settings(), "reference.md": reference(), "development.md": development()}
    paths = {HERE / name: text for name, text in pages.items()}
    if "--check" not in sys.argv[1:]:
        for path, text in paths.items():
            path.write_text(text, encoding="utf-8")
        return
    old = [p for p, text in paths.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    sys.exit("\n".join(f"{path} is not current; make docs writes it" for path in old) or 0)


if __name__ == "__main__":
    main()
