"""The settings that are in force in a run, where each comes from, and which of them are secret."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register

from neuroluigi.provenance.secret_values import MASK, masked, masked_words
from neuroluigi.steps.base import Step
from neuroluigi.steps.config import recordings, recordings_root, results, results_root
from neuroluigi.steps.group_settings import settings_of_groups
from neuroluigi.steps.parameters import is_secret, seal, sealed
from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.variants import SECTION, declared, in_command


class InForce(NamedTuple):
    """A setting of this package or of a step: [Section] name, its value as in luigi.cfg ("" for blank), its source."""

    name: str
    value: str
    source: str


def classes_of_sections() -> dict[str, Any]:
    """Return the class of tasks, or of settings, of each section; Luigi goes through all of them to find one."""
    return {name: one for name, one in Register._get_reg().items() if one is not Register.AMBIGUOUS_CLASS}


def in_force(root: luigi.Task) -> list[InForce]:
    """Return the settings that are in force in a run of `root`, this package's first, and where each comes from."""
    own: list[InForce] = []
    of_steps: list[InForce] = []
    classes = classes_of_sections()
    for section, _, name, parameter in Register.get_all_params():
        owner = classes[section]
        is_own = owner.__module__.startswith("neuroluigi.")
        if not issubclass(owner, luigi.Config if is_own else CarriesSettings) or is_secret(parameter):
            continue
        value, source = _value_and_source(section, name, parameter, root)
        shown = _as_text(parameter, value)
        # This package's own steps have dozens of defaults, which its version says.
        is_known = not is_own and source == "default" and _is_of_package(owner, name)
        if source and not is_known and (is_own or shown or source != "default"):
            (own if is_own else of_steps).append(InForce(f"[{section}] {name}", shown, source))
    return (
        own + of_steps + [InForce(f"[{section}] {name}", text, "luigi.cfg") for section, name, text, _ in _of_groups()]
    )


def _of_groups() -> Iterator[tuple[str, str, str, str]]:
    """Yield of each setting of some groups section, name, text to show, and that by which another run can tell it."""
    for section, name, text in settings_of_groups():
        parameter = dict(Register.get_task_cls(section.step).get_params())[name]
        yield section.name, name, MASK if is_secret(parameter) else masked(text, name), _as_decided(parameter, text)


def _is_of_package(step: type, name: str) -> bool:
    """Whether a parameter of a step is declared by this package, and not by the lab's own class."""
    declared_by = next((one for one in step.__mro__ if name in vars(one)), step)
    return declared_by.__module__.startswith("neuroluigi.")


def _as_text(parameter: luigi.Parameter, value: object) -> str:
    if value is None:
        return ""
    try:
        return masked(parameter.serialize(value))
    except Exception:
        # A default that no step has used may be of another type than it is declared with.
        return str(masked(value))


def without_secrets(words: Sequence[str]) -> list[str]:
    """Return the words of a command line of Luigi as they may be written down."""
    options = {
        f"--{option.replace('_', '-')}"
        for section, _, name, parameter in Register.get_all_params()
        if is_secret(parameter)
        for option in (name, f"{section}_{name}")
    }
    return masked_words(words, options)


def _value_and_source(section: str, name: str, parameter: luigi.Parameter, root: luigi.Task) -> tuple[object, str]:
    """Return what is in force and luigi.cfg, command line or default; (None, "") where nothing is."""
    run, is_set = CmdlineParser.get_instance(), parameter.has_task_value(section, name)
    value = parameter.task_value(section, name) if is_set else None
    given = root.param_kwargs.get(name, value) if section == root.task_family else value
    if given != value or (run and getattr(run.known_args, f"{section}_{name}", None) is not None):
        return given, "command line"
    if not is_set:
        return None, ""
    is_declared = luigi.configuration.get_config().has_option(section, name)
    return value, "luigi.cfg" if is_declared else "default"


def _as_decided(parameter: luigi.Parameter, value: object) -> str:
    """Return the text of a value, by which another run can tell whether it has the same one."""
    return seal(str(value)) if is_secret(parameter) else str(sealed(value))


def deciding_settings(root: luigi.Task) -> dict[str, str]:
    """Return the settings that decide over what the results of a run of `root` are, by section.name."""
    found, classes = {}, classes_of_sections()
    for section, _, name, parameter in Register.get_all_params():
        owner = classes[section]
        is_step = issubclass(owner, Step)
        decides = parameter.significant or (is_step and name in owner.deciding_settings)
        is_deciding = decides and (is_step or owner in (recordings, results))
        if is_deciding and parameter.has_task_value(section, name):
            found[f"{section}.{name}"] = _as_decided(parameter, parameter.task_value(section, name))
    for name, parameter in root.get_params():
        if f"{root.task_family}.{name}" in found and parameter.significant:
            found[f"{root.task_family}.{name}"] = _as_decided(parameter, root.param_kwargs[name])
    of_groups = {f"{section}.{name}": decided for section, name, _, decided in _of_groups()}
    of_variants = {f"{SECTION}.{name}": repr(declared()[name].values) for name in in_command()}
    return {
        **found,
        **of_groups,
        **of_variants,
        "recordings.root": str(recordings_root()),
        "results.root": str(results_root()),
    }
