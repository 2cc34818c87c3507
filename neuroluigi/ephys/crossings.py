"""Crossings: threshold crossings of channels, and its presets Spikes, Beats and Photodiode."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import luigi

from neuroluigi.ephys import targets
from neuroluigi.ephys.quantities import PerChannel, Quantity, in_counts, numbers_of, values_of
from neuroluigi.ephys.signal_task import SignalTask, switch
from neuroluigi.recordings.formats.reader import AP, UNKNOWN
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.signals.events import POLARITIES, EventOptions, find_events
from neuroluigi.signals.neighbours import far_from_neighbours
from neuroluigi.steps.config import RunStopped

_LEVELS = ("level", "threshold", "noise")


class Crossings(SignalTask):
    """Where channels cross a level: threshold crossings, multi-unit activity where they are of neurons.

    Requires an Aggregate, or {"aggregate": an Aggregate, ...}. Makes, named after the step, crossings.npy (see
    targets.Events), crossings_amplitudes.npy, float64 (events,), the value at each peak in counts, and crossings.json
    (see targets.EventSummary). One of level, threshold and noise says where the level is.
    """

    threshold = PerChannel(default=0.75, description="level as a fraction of the range, from 0 to 1")
    level = Quantity(default=None, description="level in raw counts, or with a unit, such as -50 mV, in its place")
    polarity = luigi.ChoiceParameter(
        default="rising",
        choices=POLARITIES,
        positional=False,
        description="at or above the level, at or below it, or either way from 0",
    )
    noise = PerChannel(default=None, positional=False, description="level as so many standard deviations of the noise")
    hysteresis = Quantity(
        default=None, positional=False, description="armed again so far on the near side of the level"
    )
    release = luigi.FloatParameter(
        default=1.0,
        positional=False,
        description="armed again at this fraction of the way from the base to the level; 1: at the level",
    )
    settle = luigi.IntParameter(
        default=1, positional=False, description="samples in a row that make an onset, or a release"
    )
    width = luigi.OptionalFloatParameter(default=None, positional=False, description="ms: only pulses of this width")
    width_tolerance = luigi.FloatParameter(default=0.2, positional=False, description="fraction of the width")
    refractory = luigi.FloatParameter(
        default=0.0, positional=False, description="ms: no onset so soon after an accepted one"
    )
    peak_within = luigi.OptionalFloatParameter(
        default=None, positional=False, description="ms from the onset; blank: to the end"
    )
    peak_past_end = switch("the peak may be after the end of the event")
    ends = switch("each release is an event too")
    noise_from = luigi.ChoiceParameter(
        default="auto",
        positional=False,
        choices=("auto", "all"),
        description="auto: of 40 half-seconds where there are many samples",
    )

    function = "findEvents"
    numpy_function: Callable | None = find_events

    def __init__(self, *arguments, **values):
        super().__init__(*arguments, **values)
        # Not for a class of this package, which has no parameters.
        if self.get_params():
            self._check_parameters()

    def output(self):
        return {
            "events": self.result(f"{self.stem}.npy", targets.Events),
            "amplitudes": self.result(f"{self.stem}_amplitudes.npy"),
            "summary": self.result(f"{self.stem}.json", targets.EventSummary),
        }

    def arguments(self, out):
        pairs = [one for pair in self.options().items() for one in pair]
        return [self.layout_file(), out["events"], out["amplitudes"], out["summary"], *pairs]

    def fingerprint(self):
        # What the recordings decide, beside the parameters.
        return {"options": self.options()}

    def options(self) -> dict[str, Any]:
        """Return the options of findEvents for this group, without those that are its defaults.

        Raises RecordingsError for what the group does not have.
        """
        found = {**self.signal_options(), **self._options_of_events()}
        for name in (*_LEVELS, "hysteresis"):
            if isinstance(found.get(name), str):
                values = self.values_of_channels(name, found[name], self.chosen_channels())
                found[name] = values[0] if len({*values}) == 1 else values
        try:
            EventOptions(**found).check(self.sampling_rate_hz())
        except ValueError as error:
            raise RecordingsError(f"group {self.group}, {self.task_family}: {error}") from None
        return found

    def values_of_channels(self, name: str, value: "float | str", places: Sequence[int]) -> list[float]:
        """Return the number that a value has for each of some channels, in counts where it has a unit."""
        of_group, setting = self._channels_of_group(), f"[{self.task_family}] {name}"
        # After a band-pass nothing is left of an offset.
        with_offset = name == "level" and self.low is None
        pairs = zip(places, of_group.spread(*values_of(value), places, setting), strict=True)
        return [in_counts(one, of_group.described[place], setting, with_offset) for place, one in pairs]

    def _options_of_events(self) -> dict[str, Any]:
        """Return the options that the parameters say, with levels as they are written."""
        which = self._which_level()
        found: dict[str, Any] = {
            "polarity": self.polarity,
            which: getattr(self, which),
            "hysteresis": self.hysteresis,
            "release": self._release(which),
            "settle": self.settle,
            "width": self.width,
            "widthTolerance": self.width_tolerance,
            "refractory": self.refractory,
            "peakWithin": self.peak_within,
            "peakPastEnd": self.peak_past_end,
            "ends": self.ends,
            "noiseFrom": self.noise_from,
        }
        defaults = EventOptions()
        return {name: value for name, value in found.items() if value is not None and value != getattr(defaults, name)}

    def _which_level(self) -> str:
        """Return which of level, threshold and noise is meant: the one that was set, or else the one with a default."""
        given = [name for name in _LEVELS if self._is_set(name)]
        if len(given) > 1:
            raise RunStopped(
                f"luigi: {self.task_family}: {' and '.join(given)} are set; one of level, threshold and noise says"
                " where the level is"
            )
        return next(iter(given or [name for name in _LEVELS if getattr(self, name) is not None]), "threshold")

    def _release(self, which: str) -> float:
        """Return the release: a preset's own gives way to a level, and to a hysteresis, that was set."""
        return 1.0 if not self._is_set("release") and (which == "level" or self.hysteresis) else self.release

    def _is_set(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not None and value != self.code_default(name)

    def _check_parameters(self) -> None:
        """Raise RunStopped for parameters that are wrong for every group."""
        if all(getattr(self, name) is None for name in _LEVELS):
            raise RunStopped(
                f"luigi: {self.task_family}: level, threshold and noise are blank; one of them says where the level is"
            )
        fractions = [] if self.threshold is None else numbers_of(self.threshold)
        if wrong := [one for one in fractions if not 0 <= one <= 1]:
            raise RunStopped(
                f"luigi: threshold {wrong[0]:.15g}: threshold is a fraction of the channel's range, from 0 to 1;"
                f" for raw counts use --{self.task_family}-level {wrong[0]:.15g}"
            )
        level: Any = self.level
        if isinstance(level, float) and not math.isfinite(level):
            raise RunStopped(f"luigi: --{self.task_family}-level {level} is not a number of raw counts")
        options = self._options_of_events()
        # Those with a unit are of one sign.
        texts = {
            name: value
            for name, value in options.items()
            if name in (*_LEVELS, "hysteresis") and isinstance(value, str)
        }
        numbers = {name: numbers_of(value) for name, value in texts.items()}
        try:
            EventOptions(**{**options, **numbers}, low=self.low, high=self.high).check(math.inf)
        except ValueError as error:
            raise RunStopped(f"luigi: {self.task_family}: {error}") from None

    def make(self, out):
        super().make(out)
        if isinstance(out, Mapping) and "summary" in out:
            self._say_more(out["summary"])

    def _say_more(self, summary_file: Path) -> None:
        """Add to the summary why channels were not looked at, and whose noise is far from that of its neighbours."""
        of_group, chosen = self._channels_of_group(), self.chosen_channels()
        summary = json.loads(summary_file.read_text(encoding="utf-8"))
        candidates = far_from_neighbours(of_group.described, chosen, summary["noise"])
        found = zip(of_group.flags(chosen), summary["flag"], strict=True)
        summary["flag"] = [
            why or own or ("candidate" if place in candidates else "") for place, (why, own) in enumerate(found)
        ]
        if count := summary["short_stretches"]:
            print(f"{count} of the stretches without a seam have fewer samples than the filter needs at an end")
        summary_file.write_text(json.dumps(summary) + "\n", encoding="utf-8")


class Spikes(Crossings):
    """Threshold crossings of neurons near an electrode: multi-unit activity, not sorted. See Crossings.

    300 to 6000 Hz (or 0.45 of the rate), less the median where there are many channels, at or below -5 standard
    deviations of the noise.
    """

    low = luigi.OptionalFloatParameter(default=300.0, positional=False, description="Hz below which nothing is left")
    high = luigi.OptionalFloatParameter(default=6000.0, positional=False, description="Hz above which nothing is left")
    reference = luigi.ChoiceParameter(
        default="auto",
        positional=False,
        choices=("none", "auto", "median"),
        description="what is taken off: the median over the channels (ap, unknown); auto: where there are 16 or more",
    )
    polarity = luigi.ChoiceParameter(
        default="falling", positional=False, choices=POLARITIES, description="which way spikes go"
    )
    threshold = PerChannel(default=None, description="level as a fraction of the range, from 0 to 1")
    noise = PerChannel(default=5.0, positional=False, description="level as so many standard deviations of the noise")
    release = luigi.FloatParameter(
        default=0.5, positional=False, description="armed again at this fraction of the level"
    )
    refractory = luigi.FloatParameter(
        default=1.0, positional=False, description="ms: no onset so soon after an accepted one"
    )
    peak_within = luigi.OptionalFloatParameter(default=1.0, positional=False, description="ms from the onset")

    default_kinds = ((AP,), (UNKNOWN,))


class Beats(Crossings):
    """Heart beats of an electrocardiogram of humans: QRS complexes, of either polarity. See Crossings.

    Complexes that are wide (as of a bundle branch block), more than 200 a minute or hardly above the noise are missed,
    at worst all: a lower `noise`, such as 4, finds them, and more that are none.
    """

    low = luigi.OptionalFloatParameter(default=8.0, positional=False, description="Hz below which nothing is left")
    high = luigi.OptionalFloatParameter(default=20.0, positional=False, description="Hz above which nothing is left")
    polarity = luigi.ChoiceParameter(
        default="absolute", positional=False, choices=POLARITIES, description="which way the complexes go"
    )
    threshold = PerChannel(default=None, description="level as a fraction of the range, from 0 to 1")
    noise = PerChannel(default=8.0, positional=False, description="level as so many standard deviations of the noise")
    release = luigi.FloatParameter(
        default=0.5, positional=False, description="armed again at this fraction of the level"
    )
    refractory = luigi.FloatParameter(
        default=250.0, positional=False, description="ms: no onset so soon after an accepted one"
    )
    peak_within = luigi.OptionalFloatParameter(default=100.0, positional=False, description="ms from the onset")
    peak_past_end = switch("the peak may be after the end of the event", default=True)


class Photodiode(Crossings):
    """Changes of a light on a screen: where it goes on, and where it goes off as events of their own; see Crossings."""

    threshold = PerChannel(default=0.5, description="level as a fraction of the range, from 0 to 1")
    release = luigi.FloatParameter(
        default=0.8, positional=False, description="armed again at this fraction of the way to the level"
    )
    refractory = luigi.FloatParameter(
        default=10.0, positional=False, description="ms: no onset so soon after an accepted one"
    )
    ends = switch("each release is an event too", default=True)
