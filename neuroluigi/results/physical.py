"""Results in physical units: what is in counts, by the scale, offset and unit of each channel."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neuroluigi.recordings.concatenation import channels_of
from neuroluigi.recordings.formats.reader import DIGITAL
from neuroluigi.recordings.recording import Group
from neuroluigi.results.output import Cell
from neuroluigi.steps.target import FILTERED, MEAN, SAMPLE, SPREAD

# Of a channel whose scale is below 0, the one is where the other is in counts.
_ENDS = ("min", "max")


class Measure(NamedTuple):
    """The kind of a channel, and what its counts are: scale * count + offset in `unit`; counts, where that is ""."""

    kind: str = ""
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""


def measures_of(group: Group, channels: int, as_counts: bool) -> list[Measure]:
    """Return the measure of each of the group's `channels`, without their units if `as_counts`."""
    first = next(iter(group.recordings), None)
    # One with a problem may have another number than its header.
    if not first or {first.channels, len(first.recorded.channels) if first.recorded else channels} != {channels}:
        return [Measure()] * channels
    return [measure_of(one, as_counts) for one in channels_of(first)]


def measure_of(channel: Mapping, as_counts: bool) -> Measure:
    """Return the measure of a channel as channels_of() describes it, without its unit if `as_counts`."""
    kind = channel.get("kind", "")
    # Words of bits are no voltages, whatever scale the rest of their file has.
    if as_counts or kind == DIGITAL or "scale" not in channel or "unit" not in channel:
        return Measure(kind)
    return Measure(kind, channel["scale"], channel.get("offset", 0.0), channel["unit"])


# A value of a filtered signal, which has a sign and no offset; no target says this itself.
_DIFFERENCE = "difference"


def has_offset(content: Mapping) -> bool:
    """Return whether values after the `band` of a JSON file still have the offset of their channel: it passes 0 Hz."""
    band = content.get("band")
    return not (isinstance(band, (list, tuple)) and band and band[0])


def resolve_filtered(in_counts: Mapping[str, str], content: object) -> dict[str, str]:
    """Return what each value of a JSON file is, with those after its band as what they are by the file itself."""
    said = content if isinstance(content, dict) else {}
    parameters = said.get("parameters")
    if isinstance(parameters, dict) and parameters.get("polarity") == "absolute":
        filtered = SPREAD
    else:
        filtered = SAMPLE if has_offset(said) else _DIFFERENCE
    return {name: filtered if what == FILTERED else what for name, what in in_counts.items()}


def in_units(
    values: Mapping[str, Sequence[Cell]], in_counts: Mapping[str, str], measures: Sequence[Measure]
) -> dict[str, list[Cell]]:
    """Return {name: a cell per channel} of a file, with those that are in counts in the unit of their channel.

    `in_counts` says what each of these is; see ResultTarget.in_counts. Words of bits have neither mean nor spread.
    """
    return {
        name: [
            _value(values[_end(name, values, in_counts) if one.scale < 0 else name][channel], in_counts[name], one)
            for channel, one in enumerate(measures)
        ]
        if name in in_counts
        else list(cells)
        for name, cells in values.items()
    }


def _end(name: str, values: Mapping[str, object], in_counts: Mapping[str, str]) -> str:
    """Return the name of what becomes the value of this name where the scale is below 0."""
    if name in _ENDS and all(one in values and one in in_counts for one in _ENDS):
        return _ENDS[1 - _ENDS.index(name)]
    return name


def _value(cell: Cell, what: str, measure: Measure) -> Cell:
    if measure.kind == DIGITAL and what in (MEAN, SPREAD):
        return None
    if cell is None or not measure.unit:
        return cell
    try:
        count = float(cell)  # "Infinity" too
    except ValueError:
        return cell
    offset = 0.0 if what in (SPREAD, _DIFFERENCE) else measure.offset
    value = (abs(measure.scale) if what == SPREAD else measure.scale) * count + offset
    return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(value, value)
