"""What steps have in common that look at channels of a group: which these are, their band and their reference."""

from collections.abc import Mapping, Sequence
from typing import Any

import luigi

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.ephys.derived import derived_content
from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.ephys.targets import Concatenation
from neuroluigi.recordings.concatenation import describe_channels
from neuroluigi.recordings.formats.reader import DIGITAL, KINDS
from neuroluigi.recordings.recording import Group, RecordingsError
from neuroluigi.signals.band_pass import check_band
from neuroluigi.signals.filtered_file import DTYPES
from neuroluigi.steps.config import WordsParameter
from neuroluigi.steps.group_settings import bad_channels
from neuroluigi.steps.matlab import MatlabTask
from neuroluigi.steps.parameters import default_of

# A preset's corner above this part of the rate is there instead.
_HIGHEST = 0.45


def switch(description: str, default: bool = False) -> luigi.BoolParameter:
    """Return a parameter that is true or false."""
    return luigi.BoolParameter(
        default=default, parsing=luigi.BoolParameter.EXPLICIT_PARSING, positional=False, description=description
    )


class ChannelsTask(ReadyMade, MatlabTask):
    """A step that looks at channels: which these are, resolved for its group."""

    channels = WordsParameter(
        default=(),
        positional=False,
        description="names, positions from 0 (also 0-15), kinds; with a minus: without these; blank: by kind",
    )
    precision = luigi.ChoiceParameter(
        default="double",
        positional=False,
        choices=("double", "single"),
        description="of the filter; single takes less time",
    )

    # The kinds of the channels that are looked at by default: the first of these rows that the group has any of.
    default_kinds: tuple[tuple[str, ...], ...] = (tuple(kind for kind in KINDS if kind != DIGITAL),)

    @property
    def stem(self) -> str:
        """The name of the files without their ends."""
        return "-".join((self.task_family.rpartition(".")[2].lower(), *self.filename_values()))

    def chosen_channels(self) -> list[int]:
        """Return the 0-based positions of the channels that are looked at. Raises RecordingsError."""
        return self.choose(self._channels_of_group())

    def choose(self, of_group: GroupChannels) -> list[int]:
        """Return the 0-based positions of those channels that are looked at. Raises RecordingsError."""
        default = next(filter(None, (of_group.of_kinds(*kinds) for kinds in self.default_kinds)), [])
        chosen = of_group.choose(self.channels, default, f"[{self.task_family}] channels")
        if not chosen:
            wanted = (
                ", ".join(self.channels) or f"kind {' or '.join(kind for row in self.default_kinds for kind in row)}"
            )
            raise RecordingsError(
                f"group {self.group} has no usable channels of {wanted}: it has {of_group.in_words()}; choose some with"
                f" [{self.task_family}] channels (--{self.task_family}-channels), or name their kind in a column kind"
            )
        return chosen

    def layout_file(self) -> str:
        """Return the path of the aggregate.json that this step is given."""
        given = self.input()
        return given.get("aggregate", given)["layout"].path

    def sampling_rate_hz(self) -> float | None:
        """Return the samples per second that this step is given, None where that is not known."""
        rate = self._group().recordings[0].sampling_rate_hz
        for one in derived_by(self.input()):
            rate = one.rate_left(rate)
        return rate

    def code_default(self, name: str) -> object:
        """Return the default of a parameter, which no setting changes."""
        return default_of(name, getattr(type(self), name))

    def _channels_of_group(self) -> GroupChannels:
        return given_channels(self._group(), self.input())


def given_channels(group: Group, given: Any) -> GroupChannels:
    """Return the channels of the samples that a step is given, by its input(). Raises RecordingsError."""
    of_group = GroupChannels(group, *bad_channels(group.key))
    for one in derived_by(given):
        of_group = one.channels_left(of_group)
    return of_group


def derived_by(given: Any) -> Sequence["DerivedTask"]:
    """Return the steps that worked the samples that a step is given, by its input(), out of the group's, in order."""
    layout = given.get("aggregate", given).get("layout") if isinstance(given, Mapping) else None
    return layout.derived_by if isinstance(layout, _DerivedLayout) else ()


class SignalTask(ChannelsTask):
    """A step that looks at channels band-passed and referenced: what these are, resolved for its group."""

    low = luigi.OptionalFloatParameter(
        default=None, positional=False, description="Hz below which nothing is left; blank: no such corner"
    )
    high = luigi.OptionalFloatParameter(
        default=None, positional=False, description="Hz above which nothing is left; blank: none"
    )
    reference = luigi.ChoiceParameter(
        default="none",
        positional=False,
        choices=("none", "auto", "median"),
        description="what is taken off: the median over the channels (ap, unknown); auto: where there are 16 or more",
    )
    per_shank = switch("a reference for each shank of a probe")

    def signal_options(self) -> dict[str, Any]:
        """Return low, high, reference, channels (from 1) and precision for this group, as its function takes them.

        Those that are its defaults are left out. Raises RecordingsError for what the group does not have.
        """
        of_group = self._channels_of_group()
        chosen = self.chosen_channels()
        labels = of_group.labels(chosen, self.reference, self.per_shank)
        found: dict[str, Any] = {"low": self.low, "high": self._high()}
        try:
            check_band(found["low"], found["high"], self.sampling_rate_hz())
        except ValueError as error:
            raise RecordingsError(f"group {self.group}, {self.task_family}: {error}") from None
        if any(labels):
            found["reference"] = "median" if {*labels} == {1} else labels
        if chosen != [n for n in range(len(of_group.described)) if of_group.kind(n) != DIGITAL]:
            found["channels"] = [n + 1 for n in chosen]
        if self.precision != "double":
            found["precision"] = self.precision
        return {name: value for name, value in found.items() if value is not None}

    def _high(self) -> float | None:
        """Return the upper corner: a preset's own is below half the rate, whatever that is."""
        rate, own = self.sampling_rate_hz(), self.code_default("high")
        return min(self.high, _HIGHEST * rate) if self.high and rate and self.high == own else self.high


class _DerivedLayout(Concatenation):
    """What an aggregate.json says of samples that steps worked out, one after the other.

    It has the steps, so that who is given it need not ask deeper than what it requires.
    """

    def __init__(self, *arguments: Any, derived_by: Sequence["DerivedTask"] = (), **options: Any):
        super().__init__(*arguments, **options)
        self.derived_by = derived_by


class DerivedTask(ChannelsTask):
    """A step that works samples out of those it is given, which others can have in place of an Aggregate's.

    Requires an Aggregate, or another such step, or {"aggregate": one of these, ...}. Makes, named after the step, a
    file of samples ("data"; little-endian, channels interleaved, in counts) and what an aggregate.json says ("layout").
    """

    dtype = luigi.ChoiceParameter(
        default="float32",
        positional=False,
        choices=DTYPES,
        description="of the file; int16 is rounded and clipped, which is what sorters read",
    )

    def options(self) -> dict[str, Any]:
        """Return the options of its function for this group, without those that are its defaults."""
        return {"dtype": self.dtype} if self.dtype != "float32" else {}

    def describe_channels(
        self, channels: Sequence[Mapping[str, Any]], chosen: Sequence[int], of_group: GroupChannels
    ) -> list[dict[str, Any]]:
        """Return what is to be said of the chosen channels, by what is said of all that it is given."""
        raise NotImplementedError

    def divisor(self, rate: float | None) -> int:
        """Return of how many samples it keeps one, by the samples per second that it is given."""
        return 1

    def output(self):
        steps = (*derived_by(self.input()), self)
        return {
            "data": self.result(f"{self.stem}.bin"),
            "layout": self.result(f"{self.stem}.json", _DerivedLayout, derived_by=steps),
        }

    def arguments(self, out):
        return [self.layout_file(), out["data"], *(one for pair in self.options().items() for one in pair)]

    def fingerprint(self):
        # What the recordings decide, beside the parameters.
        return {"options": self.options()}

    def make(self, out):
        super().make(out)
        given, of_group = Concatenation(self.layout_file()).load(), self._channels_of_group()
        channels = self.describe_channels(describe_channels(given), self.choose(of_group), of_group)
        divisor = self.divisor(self.sampling_rate_hz())
        Concatenation.save(out["layout"], derived_content(given, channels, self.dtype, f"{self.stem}.bin", divisor))

    def channels_left(self, of_group: GroupChannels) -> GroupChannels:
        """Return the channels of its samples, by those that it is given."""
        chosen = self.choose(of_group)
        return of_group.left(chosen, self.describe_channels(of_group.described, chosen, of_group))

    def rate_left(self, rate: float | None) -> float | None:
        """Return the samples per second of its samples, by those that it is given; None where that is not known."""
        return None if rate is None else rate / self.divisor(rate)

    def flat_target(self) -> Any:
        """Return the target of a file that has its samples and nothing else, as Flat asks an Aggregate for it."""
        return self.output()["data"]

    def is_in_one_file(self) -> bool:
        """Return whether all samples lie in one file, as Handover asks an Aggregate for it."""
        return True
