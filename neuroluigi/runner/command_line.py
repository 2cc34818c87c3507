"""The command line and luigi.cfg of a run: found, parsed, and refused in one line where they can't be understood."""

import ast
import configparser
import contextlib
import difflib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import luigi
import luigi.interface
from luigi.cmdline_parser import CmdlineParser
from luigi.parameter import MissingParameterException, OptionalParameterMixin, ParameterException
from luigi.task_register import Register, TaskClassAmbigiousException, TaskClassException

from neuroluigi.provenance.secret_values import masked
from neuroluigi.runner.options import classes_of_sections
from neuroluigi.steps import variants
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import RunStopped, neuroluigi, recordings, results, setting, shown_path
from neuroluigi.steps.group_settings import OF_RECORDINGS, GroupSection, settings_of_groups
from neuroluigi.steps.lab_code import describe_in_code
from neuroluigi.steps.lab_folder import current_folder, use_settings_beside
from neuroluigi.steps.matlab import matlab
from neuroluigi.steps.parameters import default_of, is_secret
from neuroluigi.steps.renamed import RENAMED_OPTIONS, SETTINGS, refusal, setting_in_file
from neuroluigi.steps.settings_file import check_settings_file, wants_traceback
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.tasks import RecordingMaker

# The sections of luigi.cfg that are this package's; Luigi's own are Luigi's to check.
_SECTIONS = (neuroluigi, recordings, results, matlab)


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """End the process with one line and exit code 1 where an error of the whole, or of a lab's code, ends a command."""
    try:
        yield
    except Exception as error:
        line = str(error) if isinstance(error, RunStopped) else describe_in_code(error)
        if wants_traceback() or not line:
            raise
        sys.exit(line if isinstance(error, RunStopped) else f"luigi: {line}")


def with_long_options(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line with the option of [neuroluigi] variants in place of its short form."""
    short, long = "--variants", "--neuroluigi-variants"
    return [long + word.removeprefix(short) if word.partition("=")[0] == short else word for word in argv]


def named_module(argv: Sequence[str]) -> str:
    """Return what --module names; Luigi itself can't parse the rest before the module is loaded."""
    for position, word in enumerate(argv):
        if word == "--module" and position + 1 < len(argv):
            return argv[position + 1]
        if word.startswith("--module="):
            return word.partition("=")[2]
    return ""


def use_current_folder(module: str) -> None:
    """Put the current folder first on the import path, as `python -m luigi` does; RunStopped without the module.

    Where the module is in another folder, and there is no luigi.cfg here, that beside it is read.
    """
    check_settings_file()
    here = str(current_folder())
    sys.path.insert(0, here)
    try:
        with _errors_of_import(module):
            found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found and found.has_location and found.origin:
        use_settings_beside(Path(found.origin).absolute().parent)
    if not found:
        file = module.replace(".", "/") + ".py"
        raise RunStopped(
            f"luigi: there is no {file} in {here}, and no module {module} among the packages of {sys.prefix};"
            f" go to the folder that has {file}, name another module with --module, or begin with neuroluigi init"
        )


@contextlib.contextmanager
def _errors_of_import(module: str) -> Iterator[None]:
    """Turn an error while a module is imported into RunStopped with its place; that it is not there is none."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise
        where = describe_in_code(error) or f"{module} can't be imported: {type(error).__name__}: {error}"
        raise RunStopped(f"luigi: {where}") from error


def parse(argv: list[str], others: Iterable[str] = ()) -> luigi.Task:
    """Return the root task; RunStopped with one line where the command line or luigi.cfg can't be understood.

    `others` are options that the command has beside Luigi's: one that is misspelt may be meant.
    """
    try:
        check_options(argv, others)
        apply_blank_options(argv)
        with CmdlineParser.global_instance(argv) as parser:
            check_settings()
            _check_root_options(parser)
            return parser.get_task_obj()
    except MissingParameterException as error:
        # Of which one parameter is named, and never a value.
        what = str(error).replace("[args=(), kwargs={}]", "")
        name = what.partition("'")[2].partition("'")[0]
        which = "GROUP (neuroluigi recordings lists them)" if name == "group" else "VALUE"
        raise RunStopped(f"luigi: {what}: --{name.replace('_', '-')} {which}") from error
    except ParameterException as error:
        raise RunStopped(f"luigi: {' '.join(str(error).split())}") from error


def check_options(argv: Sequence[str], others: Iterable[str] = ()) -> None:
    """Refuse options and a task that do not exist: Luigi would print its usage, or take an option for a longer one."""
    if module := named_module(argv):
        with _errors_of_import(module):
            importlib.import_module(module)
    known = {"--help", *_options(argv)}
    words, unknown, is_value = [], [], False
    for word in argv:
        option = word.partition("=")[0]
        is_option = option.startswith("--")
        if is_option and option not in known:
            unknown.append(option)
        elif not is_value or is_option:
            words.append(word)
        is_value = is_option and option not in known and option == word
    problem = _problem_of_task(words)
    if problem:
        # A task that is misspelt has no short options.
        short = {f"--{name.replace('_', '-')}" for _, _, name, _ in Register.get_all_params()}
        unknown = [option for option in unknown if option not in short]
        problem += "" if module else "; is --module tasks missing?"
    meant = [*others, *known]
    problems = [*filter(None, [problem]), *(_problem_of_option(option, meant) for option in unknown)]
    if problems:
        raise RunStopped(f"luigi: {'; '.join(problems)}")


def _problem_of_option(option: str, known: Iterable[str]) -> str:
    if option in RENAMED_OPTIONS:
        return refusal("option", option, RENAMED_OPTIONS[option])
    if option == "--task":
        return "--task NAME goes before the command, as in neuroluigi --task NAME status; luigi takes the NAME alone"
    near = difflib.get_close_matches(option, known, n=1)
    return f"there is no option {option}{f'; did you mean {near[0]}?' if near else ''}"


def _problem_of_task(words: Sequence[str]) -> str:
    """Return what is wrong with the name of the task of a command line, "" for nothing or where it names none."""
    name = CmdlineParser._build_parser().parse_known_args(words)[0].root_task
    try:
        if name:
            Register.get_task_cls(name)
    except TaskClassAmbigiousException:
        classes = [one for one in Register._reg if one.get_task_family() == name]
        places = dict.fromkeys(map(_defined_in, classes))
        return f"the task {name} is defined {len(classes)} times, {', '.join(places)}; rename one"
    except TaskClassException as error:
        return " ".join(str(error).split())
    return ""


def _defined_in(kind: type) -> str:
    """Return module, file and line of the definition of a class."""
    try:
        file = inspect.getsourcefile(kind) or ""
        lines = [
            str(node.lineno)
            for node in ast.walk(ast.parse(Path(file).read_bytes()))
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__
        ]
    except (OSError, TypeError, SyntaxError):
        return f"in {kind.__module__}"
    return f"in {kind.__module__} ({shown_path(file)}, line {' and '.join(lines)})"


def _check_root_options(parser: CmdlineParser) -> None:
    """Refuse a value of a short option, one of the task itself, that can't be read."""
    family = parser.known_args.root_task
    for name, parameter in Register.get_task_cls(family).get_params():
        value = getattr(parser.known_args, name, None)
        try:
            if isinstance(value, str) and value:
                parameter.parse(value)
        except Exception as error:
            why = _why_unreadable(parameter, error)
            raise RunStopped(f"luigi: [{family}] {name} (--{name.replace('_', '-')}): {why}") from error


def apply_blank_options(argv: Sequence[str]) -> None:
    """Blank in luigi.cfg what is blank on the command line, as in --recordings-select '': Luigi ignores such options.

    Those that can't be blank keep what they have. It is in force in every process of the run.
    """
    options = _options(argv)
    for word, following in zip(argv, (*argv[1:], None), strict=False):
        option, equals, value = word.partition("=")
        is_blank = not value if equals else following == ""
        if is_blank and option in options:
            section, name, parameter = options[option]
            if isinstance(parameter, OptionalParameterMixin) or not default_of(name, parameter):
                luigi.configuration.get_config().set(section, name, "")


def _options(argv: Sequence[str]) -> dict[str, tuple[str, str, Any]]:
    """Return the section, name and parameter that each option of a command line sets."""
    options = {}
    for section, is_without_section, name, parameter in Register.get_all_params():
        option = name if is_without_section else f"{section}_{name}"
        for one in (option, name) if section in argv else (option,):
            options[f"--{one.replace('_', '-')}"] = (section, name, parameter)
    return options


def check_settings() -> None:
    """Refuse a setting that can't be read, or that no task has: Luigi sees neither before the task is needed.

    Raises RunStopped. Needs a command line.
    """
    known: dict[str, list[str]] = {}
    for section, is_without_section, name, parameter in Register.get_all_params():
        known.setdefault(section, []).append(name)
        _check_comment(section, name)
        _check_value(section, name, parameter, is_without_section)
    for section, name, _ in settings_of_groups():
        _check_group_setting(section, name)
    _check_variants()
    config = luigi.configuration.get_config()
    for old, new in SETTINGS.items():
        if config.has_option(*old.split(".")):
            raise RunStopped(f"luigi: luigi.cfg: {refusal('setting', setting_in_file(old), setting_in_file(new))}")
    _check_names({name: config.options(name) for name in config.sections()}, known)
    # Luigi warns of names that it does not know as soon as it is asked.
    if (workers := luigi.interface.core().workers) < 1:
        raise RunStopped(f"luigi: --workers {workers}: there has to be at least one")


def _check_variants() -> None:
    """Refuse a variant of what is no parameter of a step, with a value that can't be read, or that a command line sets.

    Raises RunStopped.
    """
    steps = [one for one in classes_of_sections().values() if issubclass(one, Step) and one.get_params()]
    if all(one.__module__.startswith("neuroluigi.") for one in steps):
        # Of results without their tasks.py.
        return
    asked_for = variants.chosen(setting(neuroluigi).variants)
    for variant in variants.declared().values():
        for name in variant.values:
            found = [one for one in steps if name in {base.__name__ for base in one.__mro__}]
            if not found:
                near = difflib.get_close_matches(name, [one.__name__ for one in steps], n=1)
                raise RunStopped(
                    f"luigi: luigi.cfg, [{variants.SECTION}] {variant.name}: there is no step {name}"
                    f"{f'; did you mean {near[0]}?' if near else ''}; a variant sets parameters of steps alone"
                )
            for step in found:
                _check_variant_of(variant, step, is_chosen=variant.name in asked_for)


def _check_variant_of(variant: variants.Variant, step: type[Step], is_chosen: bool) -> None:
    """Refuse what a variant says of one class of steps."""
    run, parameters = CmdlineParser.get_instance(), dict(step.get_params())
    where = f"luigi: luigi.cfg, [{variants.SECTION}] {variant.name}"
    names = {one for name in (base.__name__ for base in step.__mro__) for one in variant.values.get(name, ())}
    for name in sorted(names):
        parameter, text = parameters.get(name), variant.text_of(step, name) or ""
        if parameter is None:
            near = difflib.get_close_matches(name, parameters, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(parameters))}"
            raise RunStopped(f"{where}: {step.__name__} has no parameter {name}; {meant}")
        if name in ("group", "session", "index") or issubclass(step, RecordingMaker) or is_secret(parameter):
            raise RunStopped(
                f"{where}: {step.__name__}.{name} is the same in all variants: it says what is recorded"
                " where, or is secret"
            )
        try:
            variants.parse_value(parameter, text)
        except (ValueError, TypeError) as error:
            raise RunStopped(f"{where}: {step.__name__}.{name} = {text}: {error}") from error
        family = step.get_task_family()
        given = run and (
            getattr(run.known_args, f"{family}_{name}", None) is not None
            or (run.known_args.root_task == family and getattr(run.known_args, name, None) is not None)
        )
        if given and is_chosen:
            raise RunStopped(
                f"luigi: --{family}-{name.replace('_', '-')} is on the command line, and variant {variant.name} sets it"
                " too; leave out one of them"
            )


def _check_group_setting(section: GroupSection, name: str) -> None:
    """Refuse a setting of some groups that groups can't have of their own, or whose value can't be read."""
    step = Register.get_task_cls(section.step)
    known = {one: parameter for one, parameter in step.get_params() if _is_of_groups(step, one, parameter)}
    if name not in known:
        why = f"there are: {', '.join(sorted(known))}"
        if name in dict(step.get_params()):
            why = f"it holds for all groups, set it in [{section.step}]; of some groups {why}"
        raise RunStopped(f"luigi: luigi.cfg, [{section.name}] {name}: there is no such setting of some groups; {why}")
    _check_comment(section.name, name)
    _check_value(section.name, name, known[name], False)


def _is_of_groups(step: type[luigi.Task], name: str, parameter: luigi.Parameter) -> bool:
    """Whether groups may have a setting of their own: what decides over a result, and not where and by whom."""
    if step is recordings:
        return name in OF_RECORDINGS
    return name != "group" and (parameter.significant or name in getattr(step, "deciding_settings", ()))


def _check_comment(section: str, name: str) -> None:
    """Refuse a value with a comment behind it, which Luigi takes for a part of the value; a path may look like that."""
    config = luigi.configuration.get_config()
    is_there = isinstance(config, configparser.ConfigParser) and config.has_option(section, name)
    value = config.get(section, name, raw=True) if is_there else ""
    sign = re.search(r"(?:^|\s)([#;])", value)
    if sign and not os.path.lexists(value.replace("%%", "%")):
        raise RunStopped(
            f"luigi: luigi.cfg, [{section}] {name}: {sign[1]} and what follows are a part of the value; put a comment"
            f" on a line of its own, or, where it is none, give the value as --{section}-{name.replace('_', '-')}"
        )


def _check_value(section: str, name: str, parameter: luigi.Parameter, is_without_section: bool) -> None:
    # There are no options for some groups.
    option = "" if ":" in section else (name if is_without_section else f"{section}_{name}").replace("_", "-")
    try:
        if parameter.has_task_value(section, name):
            parameter.task_value(section, name)
    except configparser.InterpolationError as error:
        why = " ".join(_why_unreadable(parameter, error).split())
        raise RunStopped(f"luigi: luigi.cfg, [{section}] {name}: {why}; write %% for a per cent sign") from error
    except ValueError as error:
        of_option = f" (--{option})" if option else ""
        raise RunStopped(f"luigi: [{section}] {name}{of_option}: {_why_unreadable(parameter, error)}") from error


def _why_unreadable(parameter: luigi.Parameter, error: Exception) -> str:
    """Return why the value of a parameter can't be read; where it is secret without the value, which messages have."""
    if is_secret(parameter):
        return f"its value, which is secret, is none of {type(parameter).__name__} ({type(error).__name__})"
    return masked(str(error))


def _check_names(declared: Mapping[str, Iterable[str]], known: Mapping[str, list[str]]) -> None:
    """Refuse names in luigi.cfg that are near those of this package, its steps and Luigi, but are none of them."""
    classes = {name: one for name, one in classes_of_sections().items() if name in known}
    ours = [name for name, kind in classes.items() if issubclass(kind, (CarriesSettings, *_SECTIONS))]
    luigis = [name for name, kind in classes.items() if issubclass(kind, luigi.Config) and name not in ours]
    for section in declared.keys() - known.keys():
        step, is_of_some, _ = section.partition(":")
        if is_of_some and step in known:
            _check_has_sections(section, classes[step])
            continue
        if near := difflib.get_close_matches(step, [*ours, *luigis], n=1, cutoff=0.8):
            raise RunStopped(f"luigi: luigi.cfg: there is no step or section [{section}]; did you mean [{near[0]}]?")
    for section in declared.keys() & {*ours, *luigis}:
        for name in declared[section]:
            # Luigi takes a dash for an underscore, and lets capital letters be.
            if name.replace("-", "_") not in known[section]:
                _refuse_setting(section, name, known[section], section in ours)


def _check_has_sections(section: str, kind: type) -> None:
    """Refuse a section behind a colon of what has none."""
    if not (
        kind is recordings or any(getattr(kind, one, False) for one in ("has_group_sections", "reads_own_sections"))
    ):
        name = kind.__name__
        raise RunStopped(
            f"luigi: luigi.cfg: [{section}] is of some groups, and {name} is no step for a group: set it in [{name}]"
        )


def _refuse_setting(section: str, name: str, known: Sequence[str], is_ours: bool) -> None:
    """Refuse a setting that a section does not have; Luigi reads some in its own that it does not declare."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6 if is_ours else 0.85)
    if is_ours or near:
        meant = f"did you mean {near[0]}? There" if near else "there"
        raise RunStopped(
            f"luigi: luigi.cfg, [{section}] {name}: there is no such setting; {meant} are: {', '.join(sorted(known))}"
        )
