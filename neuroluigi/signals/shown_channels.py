"""Which channels of a group a picture shows, and in which unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neuroluigi.signals.aggregate import AggregateFile

MAX_CHANNELS = 8
# In place of names: evenly spaced along the probe, and those with most events.
SPREAD, ACTIVE = "spread", "active"
# The unit of what has none of its own.
COUNTS = "counts"
# From so many times as many on, they are spread over all that there are.
_MANY = 2
# Of bad channels so many are named.
_MOST_NAMED = 8


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


def shown_channels(
    aggregate: AggregateFile, chosen: Sequence[str] = (), counts: Sequence[int | None] | None = None
) -> list[ShownChannel]:
    """Return the channels to show, at most eight, in their order: used ones that are not bad, and digital ones alone.

    `chosen` are their names or 0-based positions, or SPREAD, along the probe or over their numbers, or ACTIVE: those
    with the highest of the `counts`, one per channel, None for one in which no events were looked for. By default they
    are the first ones of up to twice as many, and of more spread. Raises ValueError for what is no channel, and for
    more than eight.
    """
    described = described_channels(aggregate)
    signals = [n for n, one in enumerate(described) if aggregate.kinds[n] != "digital"]
    # A probe of which no site is used has some all the same.
    used = [n for n in signals if described[n].get("used", True)] or signals or list(range(aggregate.channels))
    wanted = [n for n in used if n not in aggregate.bad] or used
    if counts is not None:
        wanted = [n for n in wanted if counts[n] is not None] or wanted
    if list(chosen) == [ACTIVE]:
        counted = counts or [0] * aggregate.channels
        active = sorted((n for n in wanted if counted[n]), key=lambda n: -(counted[n] or 0))[:MAX_CHANNELS]
        silent = [n for n in wanted if not counted[n]]
        wanted = sorted([*active, *_some_of(silent, described, MAX_CHANNELS - len(active))])
    elif chosen and list(chosen) != [SPREAD]:
        wanted = _named(chosen, described)
    else:
        wanted = _some_of(wanted, described, MAX_CHANNELS, _MANY if not chosen else 1)
    return [_shown(n, described[n], aggregate.kinds[n] == "digital") for n in wanted[:MAX_CHANNELS]]


def _named(chosen: Sequence[str], described: Sequence[dict[str, Any]]) -> list[int]:
    """Return the numbers of the channels of these names, or else positions, in their order."""
    numbers = {str(n): n for n in range(len(described))}
    numbers |= {name: n for n, one in enumerate(described) if (name := one.get("name"))}
    if unknown := [one for one in chosen if one not in numbers]:
        raise ValueError(
            f"channels: {unknown[0]!r} is neither the name of a channel of the group nor a position from 0 to"
            f" {len(described) - 1}; in place of all, there are {SPREAD} and {ACTIVE}"
        )
    found = sorted({numbers[one] for one in chosen})
    if len(found) > MAX_CHANNELS:
        raise ValueError(f"channels: {len(found)} are named; a picture shows {MAX_CHANNELS} at most")
    return found


def bad_in_words(aggregate: AggregateFile) -> list[str]:
    """Return a line that names the bad channels, none where there are none."""
    described = described_channels(aggregate)
    names = [f"{described[n].get('name') or 'channel'} ({n})" for n in sorted(aggregate.bad)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return [f"bad, and left out: {', '.join(names[:_MOST_NAMED])}{more}"] if names else []


def described_channels(aggregate: AggregateFile) -> list[dict[str, Any]]:
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


def _some_of(channels: Sequence[int], described: Sequence[dict[str, Any]], count: int, many: int = _MANY) -> list[int]:
    """Return so many of the channels: the first, or where there are more than `many` times as many some of all over."""
    if len(channels) <= many * count:
        return list(channels[:count])
    along = sorted(channels, key=lambda n: _place(described[n], n))
    return sorted(along[round(n * (len(along) - 1) / max(1, count - 1))] for n in range(count))


def _shown(number: int, channel: dict[str, Any], is_digital: bool) -> ShownChannel:
    name = channel.get("name", "")
    if is_digital:
        return ShownChannel(number, name, 1.0, 0.0, COUNTS, is_digital=True)
    if "scale" in channel and "unit" in channel:
        return ShownChannel(number, name, channel["scale"], channel.get("offset", 0.0), channel["unit"])
    return ShownChannel(number, name, 1.0, 0.0, COUNTS)
