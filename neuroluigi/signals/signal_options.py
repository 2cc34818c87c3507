"""Options of the functions that work on a filtered signal: names and values in turn, as the M-functions take them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from neuroluigi.signals.aggregate import AggregateFile
from neuroluigi.signals.band_pass import check_band
from neuroluigi.signals.filtered import Signal

Options = TypeVar("Options", bound="SignalOptions")


@dataclass(frozen=True)
class SignalOptions:
    """Which signal: corners in Hz, the reference ("none", "median", or a label per channel), channels from 1 on.

    By default these are all but digital ones. A label is 0 for none, or the number of the group whose median is taken.
    """

    low: float | None = None
    high: float | None = None
    reference: str | Sequence[int] = "none"
    channels: Sequence[int] | None = None
    precision: str = "double"

    def signal(self, aggregate: AggregateFile) -> Signal:
        """Return the signal of a group. Raises ValueError for options that are wrong for it."""
        check_band(self.low, self.high, aggregate.sampling_rate_hz)
        if self.precision not in ("double", "single"):
            raise ValueError(f"precision {self.precision!r} is neither 'double' nor 'single'")
        channels = self._chosen(aggregate)
        return Signal(aggregate, tuple(channels), self.low, self.high, self._labels(len(channels)), self.precision)

    def _chosen(self, aggregate: AggregateFile) -> list[int]:
        if self.channels is None:
            return [number for number, kind in enumerate(aggregate.kinds) if kind != "digital"]
        channels = [int(one) - 1 for one in np.atleast_1d(self.channels)]
        if wrong := [one for one in channels if not 0 <= one < aggregate.channels]:
            raise ValueError(f"there is no channel {wrong[0] + 1} among 1 to {aggregate.channels}")
        if len({*channels}) < len(channels):
            raise ValueError("a channel is named twice in channels")
        return channels

    def _labels(self, channels: int) -> tuple[int, ...]:
        labels = self.reference
        if isinstance(labels, str):
            if labels not in ("none", "median"):
                raise ValueError(f"reference {labels!r} is neither 'none' nor 'median'")
            return (int(labels == "median"),) * channels
        labels = [int(one) for one in np.atleast_1d(labels)]
        if len(labels) != channels:
            raise ValueError(f"reference has {len(labels)} labels for {channels} channels")
        return tuple(labels)


def options_of(kind: type[Options], given: Sequence[object]) -> tuple[Options, dict[str, Any]]:
    """Return names and values in turn as options of their class, and by name. Raises ValueError for an unknown name."""
    by_name: dict[str, Any] = dict(zip(given[::2], given[1::2], strict=True))  # type: ignore[arg-type]
    if unknown := {*by_name} - {one.name for one in fields(kind)}:
        raise ValueError(f"there is no option {', '.join(map(str, unknown))}")
    return kind(**by_name), by_name


def samples_of(milliseconds: float, rate: float | None) -> int:
    """Return a duration in samples, rounded half up, at least one of a duration above 0."""
    return max(1, math.floor(milliseconds * rate / 1000 + 0.5)) if milliseconds and rate else 0


def plain(value: Any) -> Any:
    """Return an option as json.dumps can write it: a list or a number of what NumPy has."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else list(value)
