"""What an event is, in counts and samples, and which samples are beyond a level or near again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rule:
    """What is an event: levels and releases in counts, (channels,), durations in samples; see Crossings of ephys.

    `polarity` is "rising", "falling" or "absolute". `widths` are the least and most samples of an event, None for any;
    `peak_within` None: to the end. `has_peaks` False: ends and peaks are not asked for.
    """

    polarity: str
    levels: np.ndarray
    releases: np.ndarray
    settle: int = 1
    widths: tuple[float, float] | None = None
    refractory: int = 0
    peak_within: int | None = None
    peak_past_end: bool = False
    ends: bool = False
    has_peaks: bool = True


class Bounds:
    """Levels and releases as values of a block's dtype, so that comparing converts nothing: (channels, 1) each."""

    def __init__(self, rule: Rule, dtype: np.dtype):
        self._is_rising, self._is_falling = rule.polarity != "falling", rule.polarity != "rising"
        levels, releases = rule.levels, rule.releases
        down = -levels if rule.polarity == "absolute" else levels
        up = -releases if rule.polarity == "absolute" else releases
        self._high, self._low = _at_least(levels, dtype), _at_most(down, dtype)
        # Where nothing lies between level and release, near is what is not beyond.
        self.is_simple = bool(np.array_equal(levels, releases, equal_nan=True))
        self._near_high, self._near_low = _at_most(releases, dtype), _at_least(up, dtype)

    def beyond(self, block: np.ndarray) -> np.ndarray:
        """Return which samples are at or beyond the level."""
        if not self._is_falling:
            return block >= self._high
        if not self._is_rising:
            return block <= self._low
        return (block >= self._high) | (block <= self._low)

    def near(self, block: np.ndarray, beyond: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
        """Return which samples are on the near side, past the release; `missing` those that are NaN."""
        found = ~beyond
        if not self.is_simple:
            if self._is_rising:
                found &= block <= self._near_high
            if self._is_falling:
                found &= block >= self._near_low
        elif missing is not None:
            found &= ~missing
        return found


def _at_least(bounds: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the smallest value of a dtype at or above each bound, (channels, 1); of a wider one if it has none."""
    return _as_values(bounds, dtype, np.ceil, math.inf)


def _at_most(bounds: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return _as_values(bounds, dtype, np.floor, -math.inf)


def _as_values(bounds: np.ndarray, dtype: np.dtype, whole: np.ufunc, toward: float) -> np.ndarray:
    bounds = np.asarray(bounds, float)[:, None]
    if dtype == np.float64:
        return bounds
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            narrow = bounds.astype(dtype)
            is_short = narrow < bounds if toward > 0 else narrow > bounds
            return np.where(is_short, np.nextafter(narrow, dtype.type(toward)), narrow)
    limits = np.iinfo(dtype)
    # NaN: no sample is beyond.
    values = whole(np.nan_to_num(bounds, nan=toward, posinf=math.inf, neginf=-math.inf))
    is_within = bool(np.all((values >= limits.min) & (values <= limits.max)))
    return np.clip(values, limits.min - 1.0, limits.max + 1.0).astype(dtype if is_within else np.int64)
