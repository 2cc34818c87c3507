"""Edges: the samples at which a channel rises through its level (threshold crossings)."""

import math
from fractions import Fraction
from typing import Any

from neuroluigi.ephys import targets
from neuroluigi.ephys.crossings import Crossings
from neuroluigi.ephys.quantities import values_of
from neuroluigi.recordings.formats.reader import DIGITAL
from neuroluigi.signals.events import find_rising_edges


class Edges(Crossings):
    """The samples at which a channel rises through its level: at or above it, after a sample below it; see Crossings.

    Requires {"aggregate": an Aggregate, "stats": its Stats}. Makes edges.npy; see targets.Edges.
    """

    # Also of a group that has nothing else, words of bits.
    default_kinds = (*Crossings.default_kinds, (DIGITAL,))
    function = "findRisingEdges"
    numpy_function = find_rising_edges

    def output(self):
        return self.result("edges.npy", targets.Edges)

    def arguments(self, out):
        options = self.options()
        level = options.pop("level", [])
        if self._is_of_stats():
            del options["threshold"]
            levels = self.levels()
            level = [levels[place] for place in self.chosen_channels()]
        return [self.layout_file(), out, level, *(one for pair in options.items() for one in pair)]

    def fingerprint(self):
        options = {name: value for name, value in self.options().items() if name not in ("level", "threshold")}
        return {"options": options} if options else {}

    def levels(self) -> list[float]:
        """Return the level of each channel in raw counts; NaN where it is none of these, but of a filtered signal."""
        stats = self.input()["stats"].load()
        levels = [math.nan] * len(stats["min"])
        if self._is_of_stats():
            threshold: Any = self.threshold
            named = (*values_of(threshold), range(len(levels)), f"[{self.task_family}] threshold")
            parts = [Fraction(repr(one)) for one in self._channels_of_group().spread(*named)]
            return targets.levels(stats, [1 - part if self.polarity == "falling" else part for part in parts])
        if not self._is_filtered() and "level" in (options := self.options()):
            chosen, level = self.chosen_channels(), options["level"]
            for place, one in zip(chosen, level if isinstance(level, list) else [level] * len(chosen), strict=True):
                levels[place] = one
        return levels

    def _which_level(self) -> str:
        # A level takes the place of a threshold that is set too.
        return "level" if self.level is not None and self.noise is None else super()._which_level()

    def _is_of_stats(self) -> bool:
        """Return whether the levels are fractions of the ranges that Stats has found."""
        return self.polarity != "absolute" and not self._is_filtered() and "threshold" in self.options()

    def _is_filtered(self) -> bool:
        options: dict[str, Any] = self.signal_options()
        return any(name in options for name in ("low", "high", "reference"))
