"""Which channels of a group a picture shows, and in which unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neuroluigi.signals.aggregate import AggregateFile

MAX_CHANNELS = 8
# The unit of what has none of its own.
COUNTS = "counts"
# From so many times as many on, they are spread over all that there are.
_MANY = 2


@dataclass(frozen=True)
class ShownChannel:
    """A channel that is shown: its 0-based number, its name, and its unit, in which a value is scale * count + offset.

    Where that is not known, it is shown in counts; so is a digital one, whose values are words of bits.
    """

    number: int
    name: str
    scale: float
    offset: float
    unit: str
    is_digital: bool = False


def shown_channels(aggregate: AggregateFile) -> list[ShownChannel]:
    """Return the channels to show, at most eight, in their order: those that are used, and digital ones alone.

    Of up to twice as many they are the first ones; of more, spread evenly along the probe, or over their numbers.
    """
    described = _described(aggregate)
    signals = [n for n, one in enumerate(described) if aggregate.kinds[n] != "digital"]
    # A probe of which no site is used has some all the same.
    wanted = [n for n in signals if described[n].get("used", True)] or signals or list(range(aggregate.channels))
    if len(wanted) > _MANY * MAX_CHANNELS:
        wanted = sorted(_spread(sorted(wanted, key=lambda n: _place(described[n], n))))
    return [_shown(n, described[n], aggregate.kinds[n] == "digital") for n in wanted[:MAX_CHANNELS]]


def _described(aggregate: AggregateFile) -> list[dict[str, Any]]:
    """Return what is known of each channel: where no header describes them, that of all."""
    content, listed = aggregate.content, aggregate.content["channels"]
    if not isinstance(listed, int):
        return list(listed)
    of_all = {name: content[name] for name in ("scale", "offset", "unit") if name in content}
    return [{"name": name, **of_all} for name in content.get("channel_names", [""] * listed)]


def _place(channel: dict[str, Any], number: int) -> tuple[float, ...]:
    """Return what sorts channels along their probe; those without a place come by their number, after the others."""
    if "y" not in channel:
        return (1, number)
    return (0, channel.get("shank", 0), channel["y"], channel.get("x", 0), number)


def _spread(channels: Sequence[int]) -> list[int]:
    """Return MAX_CHANNELS of the channels, from the first to the last."""
    last = len(channels) - 1
    return [channels[round(n * last / (MAX_CHANNELS - 1))] for n in range(MAX_CHANNELS)]


def _shown(number: int, channel: dict[str, Any], is_digital: bool) -> ShownChannel:
    name = channel.get("name", "")
    if is_digital:
        return ShownChannel(number, name, 1.0, 0.0, COUNTS, is_digital=True)
    if "scale" in channel and "unit" in channel:
        return ShownChannel(number, name, channel["scale"], channel.get("offset", 0.0), channel["unit"])
    return ShownChannel(number, name, 1.0, 0.0, COUNTS)
