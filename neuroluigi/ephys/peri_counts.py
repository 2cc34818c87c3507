"""The histograms of a group around the moments of a session, what of them was recorded, and their table."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroluigi.ephys.peri_events import Events, OfChannels, OfUnits
from neuroluigi.ephys.recorded_stretches import recorded_stretches
from neuroluigi.signals.peri import (
    Bins,
    Moments,
    Recorded,
    counts_around,
    pairs_around,
    rates_hz,
    recorded_around,
    response,
)
from neuroluigi.signals.picture import count_of

if TYPE_CHECKING:
    from neuroluigi.ephys.peri import Peri

_MISSING = {"partly": "partly", "none": "not at all"}


@dataclass(frozen=True)
class Chosen:
    """The moments, their bins, the values of their conditions, and how many trials have no moment."""

    bins: Bins
    moments: Moments
    values: list[str]
    blank: int

    def per_condition(self) -> list[int]:
        """Return how many moments each condition has."""
        return np.bincount(self.moments.condition, minlength=len(self.values)).tolist()

    def in_words(self, step: "Peri") -> list[str]:
        """Return what is counted around what, for people."""
        what = "trial" if step.needs_trials else step.edge
        parts = [count_of(len(self.moments.times), what), f"bins of {step.bin:g} ms"]
        parts += [f"{count_of(self.blank, 'trial')} without {step.align}"] if self.blank else []
        if step.by:
            numbers = zip(self.values, self.per_condition(), strict=True)
            parts.append(f"by {step.by}: " + ", ".join(f"{value or '(blank)'} {number}" for value, number in numbers))
        return ["  ·  ".join(parts)]


class Counted:
    """The histograms of a group: its rows, and their counts (rows, conditions, bins)."""

    def __init__(self, step: "Peri", group: str, chosen: Chosen):
        self.group, self._step, self._chosen = group, step, chosen
        given = step.input()["groups"][group]
        self._layout: Mapping[str, Any] = given["aggregate"]["layout"].load()
        self._times = step.times(group)
        self._events: Events = (OfUnits if "units" in given else OfChannels)(step, group, self._layout, self._times)
        self.rows, self.what, self.bins = self._events.rows, self._events.what, chosen.bins
        self._stretches = recorded_stretches(self._layout, self._times, step.session)
        self.recorded: Recorded = recorded_around(chosen.moments, self._stretches, chosen.bins)
        self.counts: np.ndarray = counts_around(
            self._events.blocks(), len(self.rows), chosen.moments, self._stretches, chosen.bins
        )

    @cached_property
    def coverage(self) -> dict[str, int]:
        """How many trials were recorded whole, partly, and not at all."""
        bins, recorded = self._chosen.bins.count, self.recorded.bins
        whole, none = int((recorded == bins).sum()), int((recorded == 0).sum())
        return {"whole": whole, "partly": len(recorded) - whole - none, "none": none}

    @property
    def in_words(self) -> str:
        """What was counted, for people."""
        said = f"{self.group}: {self.what}, {count_of(int(self.counts.sum()), self._events.noun)} in the windows"
        missing = [f"{self.coverage[name]} {text}" for name, text in _MISSING.items() if self.coverage[name]]
        return f"{said}; {' and '.join(missing)} recorded: only whole bins count" if missing else said

    def names(self, row: int) -> set[str]:
        """Return by which words a row may be chosen for the picture."""
        one = self.rows[row]
        return {str(one.unit)} if one.unit is not None else {str(one.channel), one.name} - {""}

    def described(self) -> Iterator[dict[str, Any]]:
        """Yield what the summary says of each row."""
        for one, counts in zip(self.rows, self.counts, strict=True):
            responses = []
            for value, of_condition, trials in zip(self._chosen.values, counts, self.recorded.trials, strict=True):
                found = response(of_condition, trials, self._chosen.bins)
                responses.append({"condition": value, "count": int(of_condition.sum()), **vars(found)})
            yield {**vars(one), "responses": responses}

    def rasters(self, rows: Sequence[int], trials: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return for some rows the events around some of the moments: position of the moment, and ns from it on."""
        moments, wanted = self._chosen.moments, np.full(len(self.rows) + 1, -1)
        wanted[list(rows)] = list(rows)
        some = Moments(moments.times[trials], moments.condition[trials], moments.conditions)
        blocks = ((times, wanted[of_row]) for times, of_row in self._events.blocks())
        found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {row: [] for row in rows}
        for of_row, moment, offset in pairs_around(blocks, some, self._stretches, self._chosen.bins):
            for row in rows:
                found[row].append((trials[moment[of_row == row]], offset[of_row == row]))
        nothing = (np.zeros(0, np.int64), np.zeros(0, np.int64))
        joined = {
            row: [np.concatenate(one) for one in zip(nothing, *parts, strict=True)] for row, parts in found.items()
        }
        return {row: (trial, offset) for row, (trial, offset) in joined.items()}


def write_table(path: Path, counted: Sequence[Counted], values: Sequence[str]) -> None:
    """Write a row per channel or unit, condition and bin."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("group", "channel", "unit", "name", "condition", "bin_start_ms", "trials", "count", "rate_hz"))
        for one in counted:
            bins, trials = one.bins, one.recorded.trials
            starts, rates = bins.edges_ms[:-1].tolist(), rates_hz(one.counts, trials, bins).tolist()
            for row, counts, of_row in zip(one.rows, one.counts.tolist(), rates, strict=True):
                for value, *columns in zip(values, trials.tolist(), counts, of_row, strict=True):
                    head = row.group, row.channel, row.unit, row.name, value
                    for start, number, count, rate in zip(starts, *columns, strict=True):
                        writer.writerow((*head, f"{start:g}", number, count, "" if rate != rate else repr(rate)))
