"""What steps have in common that look at channels of a group: which these are, their band and their reference."""

from typing import Any

import luigi

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.ephys.ready_made import ReadyMade
from neuroluigi.recordings.formats.reader import DIGITAL, KINDS
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.steps.config import WordsParameter, recordings, setting
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
        of_group = self._channels_of_group()
        default = next(filter(None, (of_group.of_kinds(*kinds) for kinds in self.default_kinds)), [])
        chosen = of_group.choose(self.channels, default, f"[{self.task_family}] channels")
        if not chosen:
            wanted = self.channels or [" or ".join(kinds) for kinds in self.default_kinds]
            raise RecordingsError(
                f"group {self.group} has no usable channels of {', or else '.join(wanted)}; choose some with"
                f" [{self.task_family}] channels (--{self.task_family}-channels)"
            )
        return chosen

    def layout_file(self) -> str:
        """Return the path of the aggregate.json that this step is given."""
        given = self.input()
        return given.get("aggregate", given)["layout"].path

    def sampling_rate_hz(self) -> float | None:
        """Return the samples per second of the group, None where that is not known."""
        return self._group().recordings[0].sampling_rate_hz

    def _default(self, name: str) -> object:
        return default_of(name, getattr(type(self), name))

    def _channels_of_group(self) -> GroupChannels:
        return GroupChannels(self._group(), setting(recordings).bad_channels)


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
        if any(labels):
            found["reference"] = "median" if {*labels} == {1} else labels
        if chosen != [n for n in range(len(of_group.described)) if of_group.kind(n) != DIGITAL]:
            found["channels"] = [n + 1 for n in chosen]
        if self.precision != "double":
            found["precision"] = self.precision
        return {name: value for name, value in found.items() if value is not None}

    def _high(self) -> float | None:
        """Return the upper corner: a preset's own is below half the rate, whatever that is."""
        rate, own = self.sampling_rate_hz(), self._default("high")
        return min(self.high, _HIGHEST * rate) if self.high and rate and self.high == own else self.high
