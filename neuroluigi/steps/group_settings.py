"""Settings of some groups: [Edges:mitdb_*] for those with such a key, [Spikes:stream=imec0.ap] for those with a value.

The more columns a section names the closer it is, then the longer, then the later in luigi.cfg: the closest one that
has a setting decides, before the section of the step. A command line decides before any.
"""

import contextlib
import difflib
import fnmatch
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register, TaskClassException

from neuroluigi.recordings.recording import Group
from neuroluigi.steps.config import RunStopped, recordings, setting
from neuroluigi.steps.discovery import groups

# The section of what is set of recordings, and the only setting there that a group may have of its own.
RECORDINGS, OF_RECORDINGS = "recordings", ("bad_channels",)


@dataclass(frozen=True)
class GroupSection:
    """A section of luigi.cfg for the groups of a pattern of keys, or of patterns of columns (`columns`)."""

    name: str
    step: str
    pattern: str
    columns: tuple[tuple[str, str], ...]
    place: int

    @classmethod
    def of(cls, name: str, place: int) -> "GroupSection":
        """Return a section by its name, such as Spikes:session=m1, stream=imec*. Raises RunStopped."""
        step, _, pattern = name.partition(":")
        pattern = pattern.strip()
        said = [one.partition("=") for one in pattern.split(",")] if "=" in pattern else []
        pairs = [(column.strip(), value.strip()) for column, _, value in said]
        if not pattern or not all(column and value for column, value in pairs):
            raise RunStopped(
                f"luigi: luigi.cfg, [{name}]: behind the colon is a pattern of groups, such as [{step}:a-*], or of"
                f" columns, [{step}:session=a, stream=imec*]"
            )
        return cls(name, step, "" if pairs else pattern, tuple(sorted(pairs)), place)

    @property
    def closeness(self) -> tuple[int, int, int]:
        """How close it is to the groups that it matches: of two sections the one with more decides."""
        length = sum(len(value) for _, value in self.columns) or len(self.pattern)
        return len(self.columns), length, self.place

    def matches(self, key: str) -> bool:
        """Return whether it is of a group."""
        if not self.columns:
            return _is_like(key, self.pattern)
        group = groups().get(key)
        return group is not None and all(_is_like(_value(group, name), value) for name, value in self.columns)


def _is_like(text: str | None, pattern: str) -> bool:
    return text is not None and (text == pattern or fnmatch.fnmatchcase(text, pattern))


def _value(group: Group, column: str) -> str | None:
    """Return what all recordings of a group have in a column; None where they differ."""
    values = {one.columns.get(column) for one in group.recordings}
    return values.pop() if len(values) == 1 else None


def sections_of(step: str) -> Sequence[GroupSection]:
    """Return the sections of luigi.cfg for groups of a step, the closest first. Raises RunStopped."""
    names = tuple(one for one in luigi.configuration.get_config().sections() if ":" in one)
    return _parsed(step, names)


@functools.lru_cache(maxsize=1 << 10)
def _parsed(step: str, names: tuple[str, ...]) -> Sequence[GroupSection]:
    found = [GroupSection.of(name, place) for place, name in enumerate(names) if name.startswith(f"{step}:")]
    return sorted(found, key=lambda one: one.closeness, reverse=True)


def has_sections() -> bool:
    """Return whether luigi.cfg has any section that may be of some groups."""
    run = CmdlineParser.get_instance()
    return _has_sections_in(run) if run else _has_sections()


@functools.lru_cache(maxsize=1)
def _has_sections_in(run: CmdlineParser) -> bool:
    return _has_sections()


def _has_sections() -> bool:
    return any(":" in one for one in luigi.configuration.get_config().sections())


def section_of(steps: Iterable[str], name: str, key: str) -> str:
    """Return the closest section that has a setting for a group, of the first of the steps with any; "" for none."""
    if not has_sections():
        return ""
    config = luigi.configuration.get_config()
    found = (
        one.name
        for step in steps
        for one in sections_of(step)
        if has_setting(config, one.name, name) and one.matches(key)
    )
    return next(found, "")


def has_setting(config: luigi.configuration.LuigiConfigParser, section: str, name: str) -> bool:
    """Return whether a section has a setting, whose name may be written with dashes."""
    return config.has_option(section, name) or config.has_option(section, name.replace("_", "-"))


def bad_channels(key: str) -> tuple[tuple[str, ...], str]:
    """Return the bad channels of a group by the settings, as they are written, and the section that has them."""
    everywhere = setting(recordings)
    run = CmdlineParser.get_instance()
    is_given = run is not None and getattr(run.known_args, "recordings_bad_channels", None) is not None
    section = "" if is_given else section_of([RECORDINGS], OF_RECORDINGS[0], key)
    if not section:
        return everywhere.bad_channels, RECORDINGS if everywhere.bad_channels else ""
    parameter = dict(recordings.get_params())[OF_RECORDINGS[0]]
    return parameter.task_value(section, OF_RECORDINGS[0]), section


def all_sections() -> list[GroupSection]:
    """Return all sections for groups, in the order of luigi.cfg. Raises RunStopped."""
    steps = dict.fromkeys(name.partition(":")[0] for name in luigi.configuration.get_config().sections() if ":" in name)
    found = [one for step in steps if step == RECORDINGS or _is_of_groups(step) for one in sections_of(step)]
    return sorted(found, key=lambda one: one.place)


def _is_of_groups(step: str) -> bool:
    """Return whether there is a step of that name whose settings groups may have of their own."""
    with contextlib.suppress(TaskClassException):
        return getattr(Register.get_task_cls(step), "has_group_sections", False)
    return False


def settings_of_groups() -> Iterator[tuple[GroupSection, str, str]]:
    """Yield each section for groups with the name and the text of each of its settings."""
    config = luigi.configuration.get_config()
    for one in all_sections():
        for name in config.options(one.name):
            yield one, name.replace("-", "_"), config.get(one.name, name)


def settings_of(keys: Iterable[str]) -> dict[str, list[tuple[str, str, str]]]:
    """Return section, name and text of each setting that luigi.cfg has for each group; of two the one that decides."""
    config = luigi.configuration.get_config()
    sections = sorted(all_sections(), key=lambda section: section.closeness, reverse=True)
    of_groups = {}
    for key in keys:
        found = dict[tuple[str, str], tuple[str, str, str]]()
        for one in sections:
            for name in config.options(one.name) if one.matches(key) else ():
                known = name.replace("-", "_")
                found.setdefault((one.step, known), (one.name, known, config.get(one.name, name)))
        of_groups[key] = sorted(found.values())
    return of_groups


def check_sections() -> None:
    """Raise RunStopped for a section that is of no group of today, or says which groups as another one does."""
    sections = all_sections()
    known = groups() if sections else {}
    seen: dict[tuple, str] = {}
    for one in sections:
        other = seen.setdefault((one.step, one.pattern, one.columns), one.name)
        if other != one.name:
            raise RunStopped(
                f"luigi: luigi.cfg: [{other}] and [{one.name}] are of the same groups, neither closer than the other;"
                " join the two"
            )
        if not any(map(one.matches, known)):
            raise RunStopped(f"luigi: luigi.cfg, [{one.name}]: {_why_none(one, known)}")


def _why_none(section: GroupSection, known: Mapping[str, Group]) -> str:
    """Return what is wrong with a section that matches no group, with what is near."""
    if not section.columns:
        near = difflib.get_close_matches(section.pattern, known, n=1, cutoff=0)
        return f"no group is called so; the nearest is {near[0] if near else 'not there'}"
    there: dict[str, list[str]] = {}
    for group in known.values():
        for name in dict.fromkeys(name for one in group.recordings for name in one.columns):
            if value := _value(group, name):
                there.setdefault(name, []).append(value)
    for name, value in section.columns:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1, cutoff=0)
            return (
                f"no group has one value of a column {name}; the nearest column is {near[0] if near else 'not there'}"
            )
        if not any(_is_like(one, value) for one in there[name]):
            near = difflib.get_close_matches(value, there[name], n=1, cutoff=0)
            return f"no group has {name} = {value}; the nearest is {near[0]}"
    return "no group has all these values"
