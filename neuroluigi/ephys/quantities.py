"""Levels as people write them: raw counts, or a number with a unit, such as -50 mV; also one for each channel."""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import luigi

from neuroluigi.recordings.recording import RecordingsError

_QUANTITY = re.compile(r"\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(\S*)\s*", re.ASCII | re.DOTALL)
_PREFIXES = {"": 0, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "k": 3}


class PerChannel(luigi.OptionalParameter):
    """A number, or text such as "5, V5: 6": a number for all channels but those that are named; None where blank.

    A name is a channel's own, a position from 0, a range of these, or a kind. `unit` says that numbers may have one.
    """

    expected_type = (float, str)  # type: ignore[assignment]

    def __init__(self, *arguments: Any, unit: bool = False, **options: Any):
        super().__init__(*arguments, **options)
        self._has_unit = unit

    def parse(self, x):
        """Return a float, or text: "-50 mV", or "5, V5: 6"."""
        return self.normalize(x)

    def normalize(self, x):
        """Return what parse() returns; ValueError for what is neither."""
        if x is None or (isinstance(x, str) and not x.strip()):
            return None
        # The name of a channel may have a colon.
        first, *others = str(x).split(",")
        named = [one.rpartition(":")[::2] for one in others]
        if ":" in first or not all(name.strip() for name, _ in named):
            raise ValueError(
                f"{x!r} is neither a value for all channels nor one with others for some, such as 5, V5: 6, AP12: 7"
            )
        value = _quantity(first if others else x, self._has_unit)
        parts = [
            self.serialize(value),
            *(f"{n.strip()}: {self.serialize(_quantity(v, self._has_unit))}" for n, v in named),
        ]
        return ", ".join(parts) if others else value

    def serialize(self, x):
        """Return the text of a value."""
        return "" if x is None else f"{x:.15g}" if isinstance(x, float) else x


class Quantity(PerChannel):
    """A number of raw counts, or text of a number and a unit, also per channel; None where it is blank."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, unit=True, **options)


def values_of(value: "float | str") -> tuple["float | str", dict[str, "float | str"]]:
    """Return the value for all channels of a PerChannel, and the others by the words for their channels."""
    if isinstance(value, float):
        return value, {}
    first, *others = value.split(", ")
    named = (one.rpartition(": ")[::2] for one in others)
    return _quantity(first, True), {name: _quantity(text, True) for name, text in named}


def numbers_of(value: "float | str") -> list[float]:
    """Return all numbers of a value, without their units."""
    first, others = values_of(value)
    return [one if isinstance(one, float) else float(one.split(" ")[0]) for one in (first, *others.values())]


def _quantity(x: object, has_unit: bool) -> "float | str":
    """Return a number, or text of one and its unit; ValueError for what is neither."""
    match = re.fullmatch(_QUANTITY, str(x).replace("µ", "u").replace("μ", "u"))
    of_what = "a number of raw counts nor one with a unit, such as -50 mV"
    try:
        number = float(match[1] if match else str(x))
    except ValueError:
        raise ValueError(f"{x!r} is neither {of_what}" if has_unit else f"{x!r} is no number") from None
    if not (match and match[2]):
        return number
    if not has_unit:
        raise ValueError(f"{x!r} is no number: it has a unit")
    if math.isinf(number):
        raise ValueError(f"{x!r} is too large a number")
    return f"{number:.15g} {match[2]}"


def in_counts(value: "float | str", channel: Mapping[str, Any], name: str, with_offset: bool) -> float:
    """Return a level, or with `with_offset` False a difference of two, in the counts of a channel (see aggregate.json).

    Raises RecordingsError, which begins with `name`, for a unit that the channel does not have, and for one whose scale
    is below 0: what rises there falls in counts.
    """
    if isinstance(value, float):
        return value
    number, unit = value.split(" ", 1)
    scale, own = channel.get("scale"), channel.get("unit", "")
    if scale is None or not own:
        raise RecordingsError(f"{name} = {value}: nothing says how many {unit} a count of {_called(channel)} is")
    factor = _factor(unit, own.replace("µ", "u").replace("μ", "u"))
    if factor is None:
        raise RecordingsError(f"{name} = {value}: {_called(channel)} is in {own}")
    if scale < 0:
        raise RecordingsError(
            f"{name} = {value}: the scale of {_called(channel)} is below 0, so that what rises in {own} falls in"
            " counts; give it in raw counts"
        )
    # Exactly, by the numbers as they are written: what is a whole number of counts is no hair above it.
    offset = _exact(channel.get("offset", 0.0)) if with_offset else 0
    return float((Fraction(number) * factor - offset) / _exact(scale))


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _factor(unit: str, own: str) -> Fraction | None:
    """Return how many of a channel's own unit a unit is; None where they have nothing to do with each other."""
    if unit == own:
        return Fraction(1)
    for base in ("V", "A"):
        if unit.endswith(base) and own.endswith(base):
            prefixes = [one.removesuffix(base) for one in (unit, own)]
            if all(one in _PREFIXES for one in prefixes):
                return Fraction(10) ** (_PREFIXES[prefixes[0]] - _PREFIXES[prefixes[1]])
    return None


def _called(channel: Mapping[str, Any]) -> str:
    return f"channel {channel['name']}" if channel.get("name") else "its channels"
