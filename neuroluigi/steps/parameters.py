"""The value of each parameter of a task, resolved here alone.

The first of these that has one: argument, command line, variant, section of luigi.cfg for its group, section of the
step, default.
"""

import functools
import itertools
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.parameter import (
    DuplicateParameterException,
    MissingParameterException,
    ParameterVisibility,
    UnconsumedParameterWarning,
    UnknownParameterException,
)

from neuroluigi.provenance.plain_data import NotPlainError, plain
from neuroluigi.provenance.secret_values import MASK, key_of, masked, replaced
from neuroluigi.recordings.groups import VARIANT_SIGN
from neuroluigi.steps import variants
from neuroluigi.steps.config import RunStopped, results_root
from neuroluigi.steps.group_settings import has_sections, section_of
from neuroluigi.steps.touched import variant_of

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")

# Of a task: its parameters by name, in the order of their declaration.
Parameters = Sequence[tuple[str, luigi.Parameter]]


class ResolvedParameters(luigi.Task):
    """A task whose parameters are resolved by this module, once per run for the same class and arguments."""

    # Whether groups may have settings of their own, in sections such as [Edges:mitdb_*]; its parameter `group` has the
    # key.
    has_group_sections = False

    # The variant that was in force when it was made, and the id that it has in the base.
    made_for = ""
    id_in_base = ""
    _variant: str | None = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.made_for, self.given = variants.current(), (args, kwargs)

    @property
    def variant(self) -> str:
        """The variant in which it has results of its own; "" where they are those of the base."""
        if not self.made_for:
            return ""
        if self._variant is None:
            self._variant = variant_of(self)
        return self._variant

    @property
    def task_id(self):
        """The id by which Luigi knows it."""
        # It is asked for millions of times.
        if not self.made_for:
            return self.id_in_base
        return f"{self.id_in_base}_{self.variant.replace('-', '_')}" if self.variant else self.id_in_base

    @task_id.setter
    def task_id(self, value):
        self.id_in_base = value

    @property
    def task_family(self):
        """The name of its class, with the namespace."""
        return self.get_task_family()

    def to_str_params(self, only_significant=False, only_public=False):
        """Return the parameters as Luigi shows them, with the variant."""
        shown = super().to_str_params(only_significant, only_public)
        return {**shown, "variant": self.variant} if self.variant else shown

    @classmethod
    def get_params(cls):
        """Return Luigi's answer, kept: Luigi searches the whole class each time, and asks for every task."""
        if cls not in _params_of:
            _params_of[cls] = super().get_params()
        return _params_of[cls]

    @classmethod
    def get_task_family(cls):
        """Return Luigi's answer, kept for the same reason."""
        # The namespace of a class may be set after it was defined.
        key = cls, cls.task_namespace
        if key not in _family_of:
            _family_of[key] = super().get_task_family()
        return _family_of[key]

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """Return [(name, value)] of all parameters, in order; errors are of Luigi's classes and in its words."""
        run, key = CmdlineParser.get_instance(), (variants.current(), cls, tuple(args), tuple(kwargs.items()))
        if run is None or not _is_hashable(key):
            return _resolve(cls, params, args, kwargs)
        known = _values_of_run(run)
        if (found := known.get(key)) is None:
            if len(known) > _MOST_KEPT:
                known.clear()
            found = known[key] = _resolve(cls, params, args, kwargs)
        return found

    def significant_parameters(self) -> dict[str, Any]:
        """Return the parameters that make a difference to the result, as plain data (others as their text)."""
        return significant_values(self)


# A plan makes the same tasks again right after each other.
_MOST_KEPT = 10_000

_params_of: dict[type, list[tuple[str, luigi.Parameter]]] = {}
_family_of: dict[tuple[type, object], str] = {}


def is_secret(parameter: luigi.Parameter) -> bool:
    """Whether Luigi would not show a parameter either, such as a password."""
    return parameter.visibility != ParameterVisibility.PUBLIC


def public_value(task: luigi.Task, name: str) -> Any:
    """Return the value of a parameter that everybody may read; RunStopped for another one."""
    if is_secret(dict(task.get_params())[name]):
        raise RunStopped(
            f"luigi: {task.task_family}.{name} is secret, and would be in the names of files: take it out of"
            " filename_parameters"
        )
    return task.param_kwargs[name]


def secrets_of(task: luigi.Task) -> list[Any]:
    """Return the secret values that a task has in its parameters, one by one."""
    found: list[Any] = []

    def note(value: Any) -> str:
        for one in value.values() if isinstance(value, Mapping) else value if _is_listed(value) else ():
            note(one)
        found.append(value)
        return MASK

    for name, parameter in task.get_params():
        value = task.param_kwargs[name]
        if is_secret(parameter):
            note(value)
        elif isinstance(value, (str, Mapping, Sequence)):
            replaced(value, note, name)
    return [one for one in found if one is not None and one != ""]


def _is_listed(value: object) -> bool:
    return isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes))


def shown_task(task: luigi.Task) -> str:
    """Return a task much as Luigi writes it, Step(group=a-even, password=***), with *** in place of what is secret.

    A parameter that has its default is left out: a step may have dozens.
    """
    values, defaults = task.param_kwargs, _defaults(task.__class__)
    shown = (
        f"{name}={MASK if is_secret(one) else masked(one.serialize(values[name]))}"
        for name, one in task.get_params()
        if one.significant and (is_secret(one) or name not in defaults or values[name] != defaults[name])
    )
    variant = variant_of(task)
    return f"{task.get_task_family()}({', '.join(shown)}){VARIANT_SIGN if variant else ''}{variant}"


@functools.lru_cache(maxsize=1 << 10)
def _defaults(task: type[luigi.Task]) -> dict[str, object]:
    return {name: default_of(name, one) for name, one in task.get_params() if one.has_task_value("", name)}


@functools.lru_cache(maxsize=1)
def _values_of_run(run: CmdlineParser) -> dict:
    """Return what is resolved already: luigi.cfg and the command line are the same throughout a run."""
    return {}


def _is_hashable(key: object) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _resolve(task: type[luigi.Task], params: Parameters, args: tuple, kwargs: Mapping) -> list[tuple[str, object]]:
    call = functools.partial(_shown_call, task, params, args, kwargs)
    given = dict(_given(params, args, kwargs, call))
    run, family = CmdlineParser.get_instance(), task.get_task_family()
    declared = _values_of_run(run).setdefault((variants.current(), task), {}) if run else {}
    group = str(given.get("group", "")) if has_sections() else ""
    values = []
    for name, parameter in params:
        if name in given:
            values.append((name, _hashable(given[name])))
            continue
        section = section_of_group(task, name, parameter, group) or family
        # All tasks of a class share what they have of luigi.cfg: there may be hundreds of thousands.
        if (section, name) not in declared:
            declared[section, name] = name, _hashable(_declared(task, section, name, parameter, call))
        values.append(declared[section, name])
    if run is None:
        _warn_of_unknown_settings(task, family)
    return values


def _hashable(value: object) -> object:
    # Luigi keeps tasks by their values, which have to be hashable for it.
    return tuple(value) if isinstance(value, (list, set)) else value


def _shown_call(task: type[luigi.Task], params: Parameters, args: tuple, kwargs: Mapping) -> str:
    """Return a call as Luigi's messages have it, with *** in place of what is secret."""
    secret = {name for name, parameter in params if is_secret(parameter)}
    positional = [name for name, parameter in params if parameter.positional]

    def shown(name: str, value: object) -> object:
        return MASK if name in secret else masked(value, name)

    arguments = tuple(itertools.starmap(shown, itertools.zip_longest(positional[: len(args)], args, fillvalue="")))
    by_name = {name: shown(name, value) for name, value in kwargs.items()}
    return f"{task.get_task_family()}[args={arguments}, kwargs={by_name}]"


def _given(params: Parameters, args: tuple, kwargs: Mapping, call: Callable[[], str]) -> Iterator[tuple[str, object]]:
    """Yield the name and the normalized value of each argument."""
    by_name, positional = dict(params), [name for name, parameter in params if parameter.positional]
    if len(args) > len(positional):
        raise UnknownParameterException(f"{call()}: takes at most {len(positional)} parameters ({len(args)} given)")
    for name, value in zip(positional, args, strict=False):
        if name in kwargs:
            raise DuplicateParameterException(f"{call()}: parameter {name} was already set as a positional parameter")
        yield name, by_name[name].normalize(value)
    for name, value in kwargs.items():
        if name not in by_name:
            raise UnknownParameterException(f"{call()}: unknown parameter {name}")
        yield name, by_name[name].normalize(value)


def _declared(
    task: type[luigi.Task], section: str, name: str, parameter: luigi.Parameter, call: Callable[[], str]
) -> object:
    """Return the value of the command line, else of a section of luigi.cfg, else the default."""
    if (text := _text_of_variant(task, name)) is not None:
        return variants.parse_value(parameter, text)
    try:
        is_declared = parameter.has_task_value(section, name)
    except Exception as error:
        # The message of the error has the value.
        cause = None if is_secret(parameter) else error
        raise ValueError(f"{call()}: Error when parsing the default value of '{name}'") from cause
    if not is_declared:
        raise MissingParameterException(f"{call()}: requires the '{name}' parameter to be set")
    return parameter.task_value(section, name)


def _text_of_variant(task: type[luigi.Task], name: str) -> str | None:
    """Return the text that the variant in force has for a parameter, None for none."""
    variant = variants.current_values()
    return variant.text_of(task, name) if variant else None


def section_of_group(task: type[luigi.Task], name: str, parameter: luigi.Parameter, group: str) -> str:
    """Return the section of luigi.cfg for a group that has the value of a parameter; "" for none."""
    if not (group and getattr(task, "has_group_sections", False)) or name == "group":
        return ""
    # A parameter may take what its own section does not say from that of another step.
    families = (task.get_task_family(), *getattr(parameter, "also_of", ()))
    run = CmdlineParser.get_instance()
    if run and any(getattr(run.known_args, f"{one}_{name}", None) is not None for one in families):
        return ""
    return section_of(families, name, group)


def _warn_of_unknown_settings(task: type[luigi.Task], family: str) -> None:
    """Warn of settings in luigi.cfg that the task has not, as Luigi does; a command line run refuses them."""
    config, names = luigi.configuration.get_config(), dict(task.get_params())
    for key, value in config[family].items() if family in config.sections() else ():
        name = key.replace("-", "_")
        if name not in names and name not in getattr(task, "ignore_unconsumed", ()):
            shown = masked(value, name)
            text = f"The configuration contains the parameter '{name}' with value '{shown}' that is not consumed by"
            warnings.warn(f"{text} the task '{family}'.", UnconsumedParameterWarning, stacklevel=2)


@functools.lru_cache(maxsize=1 << 12)
def default_of(name: str, parameter: luigi.Parameter) -> object:
    """Return the default of a parameter, None for one without; luigi.cfg and the command line are not asked."""
    # No section of luigi.cfg and no option is of a task without a name.
    return parameter.task_value("", name) if parameter.has_task_value("", name) else None


def significant_values(task: luigi.Task) -> dict[str, Any]:
    """Return the significant parameters of a task, as run records have them."""
    values = task.param_kwargs
    significant = ((name, one, values[name]) for name, one in task.get_params() if one.significant)
    return plain_values(significant, lambda: task.task_family)


def plain_values(values: Iterable[tuple[str, luigi.Parameter, Any]], owner: Callable[[], str]) -> dict[str, Any]:
    """Return values of parameters by name, as run records have them.

    Raises RunStopped, with owner() and the name, for a value whose text may be another one in each run.
    """
    found = {}
    for name, parameter, value in values:
        try:
            found[name] = _sealed(plain_value(parameter, value), name, parameter)
        except NotPlainError as error:
            raise RunStopped(f"luigi: {owner()}.{name}{error}") from error
    return found


def _sealed(value: Any, name: str, parameter: luigi.Parameter) -> Any:
    if is_secret(parameter):
        return value if value is None or value == "" else seal(value)
    return sealed(value, name)


def seal(value: Any) -> str:
    """Return what stands for a secret value in the records of this folder of results."""
    return key_of(results_root()).seal(value)


def sealed(value: Any, name: str = "") -> Any:
    """Return plain data with a seal in place of each secret, for the records of this folder of results."""
    return replaced(value, seal, name)


def plain_value(parameter: luigi.Parameter, value: Any) -> Any:
    """Return a parameter's value as run records have it: numbers and text as plain data, others as in luigi.cfg.

    Raises NotPlainError for a value whose text may be another one in each run.
    """
    if value is None or isinstance(value, (str, bool, int, float, Set)) or type(value).__module__ == "numpy":
        return plain(value, "")
    text = parameter.serialize(value)
    # An object without a text of its own has its address in memory.
    return plain(value if _ADDRESS.search(text) else text, "")
