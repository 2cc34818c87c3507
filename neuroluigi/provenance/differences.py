"""What differs between a run record and what is expected today, beside the files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from neuroluigi.provenance.earlier_code import differing
from neuroluigi.provenance.expected import Expected, OtherInput, Reason, Requirement, name_of_other
from neuroluigi.provenance.inputs import old_and_new
from neuroluigi.provenance.plain_data import plain
from neuroluigi.provenance.record import is_version
from neuroluigi.provenance.secret_values import agree, as_sealed, masked, without_seals

# Of many differences of one kind the first ones are named.
_MOST_NAMED = 3


def changed_parameters(recorded: Mapping, expected: Expected) -> Iterator[Reason]:
    """Yield the significant parameters that have another value; one that a record lacks had its default."""
    yield from _changed_values("", recorded, expected.parameters, expected.defaults)


def changed_fingerprint(recorded: Mapping, expected: Expected) -> Iterator[Reason]:
    """Yield the first differences of what the step adds to its record."""
    if expected.fingerprint is not None and expected.fingerprint != recorded:
        differences = list(_differences(_as_today(recorded), expected.fingerprint))
        yield from (Reason("parameters", text) for text in differences[:_MOST_NAMED])


def changed_other_inputs(recorded: Sequence[Mapping], today: Sequence[OtherInput]) -> Iterator[Reason]:
    """Yield the inputs that are no files and that came or went."""
    now = [one.described for one in today]
    yield from (Reason("inputs", f"{one.name} is new") for one in today if one.described not in recorded)
    yield from (Reason("inputs", f"{name_of_other(one)} is not used now") for one in recorded if one not in now)


def changed_requirements(recorded: Sequence[Mapping], today: Sequence[Requirement]) -> Iterator[Reason]:
    """Yield what a step may have read of the tasks that it requires and that is different now.

    They are paired in order: if others are required, other files are among the inputs too.
    """
    found: dict[Reason, None] = {}
    for old, new in zip(recorded, today, strict=False):
        found.update(dict.fromkeys(_changed_requirement(old, new)))
    yield from list(found)[:_MOST_NAMED]


def _changed_requirement(old: Mapping, new: Requirement) -> Iterator[Reason]:
    yield from _changed_values(f"{new.step}.", old.get("parameters", {}), new.parameters, new.defaults)
    if new.fingerprint and old.get("fingerprint", new.fingerprint) != new.fingerprint:
        detail = old_and_new(old["fingerprint"], new.fingerprint)
        yield Reason("parameters", f"what {new.step} adds to its record changed", detail)
    if new.inputs and old.get("inputs", new.inputs) != new.inputs:
        yield Reason("inputs", f"the inputs of {new.step} changed", old_and_new(old["inputs"], new.inputs))
    if new.files and old.get("files", new.files) != new.files:
        yield Reason("inputs", f"the files of {new.step} changed", old_and_new(old["files"], new.files))
    if new.made_by and old.get("made_by", new.made_by) != new.made_by:
        yield Reason("inputs", f"{new.step} made by {old['made_by']}, now {new.made_by}")


def _changed_values(prefix: str, recorded: Mapping, today: Mapping, defaults: Mapping) -> Iterator[Reason]:
    for name, new in today.items():
        old = recorded[name] if name in recorded else defaults.get(name)
        if old != new and not agree(old := _as_today(old), new):
            yield Reason("parameters", f"{prefix}{name} {_shown(as_sealed(masked(old, name), new))}, now {_shown(new)}")


def changed_tool(recorded: Mapping, wanted: Mapping[str, str]) -> Iterator[Reason]:
    """Yield the first of engine, release and version that is not the one asked for by name."""
    if recorded.get("engine") == "python":
        return  # a step that has a make() of its own called no engine
    for name in ("engine", "release", "version"):
        if wanted.get(name) and recorded.get(name) and not is_version(str(recorded[name]), wanted[name]):
            yield Reason("tools", f"{name} {recorded[name]}, now {wanted[name]}")
            return  # the version of another engine can't be compared


def changed_code(
    recorded: Sequence[Mapping], today: Sequence[Mapping], meanwhile: Sequence[str] = ()
) -> Iterator[Reason]:
    """Yield the pieces of code that are others than those of the record, or changed `meanwhile`, as it was made."""
    yield from (Reason("code", f"{path} changed while it was made") for path in meanwhile)
    if recorded == today:
        return
    before, now = ({one["path"]: one["sha256"] for one in some} for some in (recorded, today))
    changed = [path for path in differing(recorded, today) if path not in meanwhile]
    for path in changed[:_MOST_NAMED]:
        what = "changed" if path in before and path in now else "is new" if path in now else "is not used now"
        yield Reason("code", f"{path} {what}", old_and_new(before.get(path), now.get(path)))
    if (more := len(changed) - _MOST_NAMED) > 0:
        yield Reason("code", f"and {more} more of its code")


def _differences(old: object, new: object, name: str = "") -> Iterator[str]:
    """Yield the leaves in which two pieces of plain data differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for position, pair in enumerate(zip(old, new, strict=True)):
            yield from _differences(*pair, f"{name}[{position}]")
    elif not agree(old, new):
        yield f"{name} {_shown(as_sealed(masked(old, name), new))}, now {_shown(new)}"


def _as_today(recorded: Any) -> Any:
    """Return a value of a record as plain data: those of schema 1 have NaN and infinity, which are no JSON."""
    return plain(recorded, "a value of a run record")


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, float):
        return repr(value)
    text = without_seals(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 60 else f"{text[:57]}..."
