"""Levels as people write them: raw counts, or a number with a unit, such as -50 mV."""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import luigi

from neuroluigi.recordings.recording import RecordingsError

_QUANTITY = re.compile(r"\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(\S*)\s*", re.ASCII | re.DOTALL)
_PREFIXES = {"": 0, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "k": 3}


class Quantity(luigi.OptionalParameter):
    """A number of raw counts, or text of a number and a unit; None where it is blank."""

    expected_type = (float, str)  # type: ignore[assignment]

    def parse(self, x):
        """Return a float, or text as "-50 mV"."""
        return self.normalize(x)

    def normalize(self, x):
        """Return what parse() returns; ValueError for what is neither."""
        if x is None or (isinstance(x, str) and not x.strip()):
            return None
        match = re.fullmatch(_QUANTITY, str(x).replace("µ", "u").replace("μ", "u"))
        try:
            number = float(match[1] if match else x)
        except ValueError:
            raise ValueError(f"{x!r} is neither a number of raw counts nor one with a unit, such as -50 mV") from None
        if not (match and match[2]):
            return number
        if math.isinf(number):
            raise ValueError(f"{x!r} is too large a number")
        return f"{number:.15g} {match[2]}"

    def serialize(self, x):
        """Return the text of a value."""
        return "" if x is None else f"{x:.15g}" if isinstance(x, float) else x


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
