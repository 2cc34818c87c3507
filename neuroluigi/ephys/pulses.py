"""Pulses: the pulses of an analog line by which the streams of a session are aligned."""

from typing import Any

import luigi

from neuroluigi.ephys.channels import GroupChannels
from neuroluigi.ephys.crossings import Crossings
from neuroluigi.ephys.quantities import PerChannel
from neuroluigi.ephys.streams import AnalogLine, analog_line_of
from neuroluigi.recordings.formats.reader import DIGITAL
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.steps.config import RunStopped

# Of the level, or of the way from the base to it: noise on the flanks of a pulse is less.
_HYSTERESIS = 0.2


class Pulses(Crossings):
    """The pulses of the analog channel that Aligned takes for a group: rises through the level of that line alone.

    Channel and level are those of [Aligned:STREAM], else those of the header, else the middle of the channel's range:
    see Aligned. All else is as in Crossings.
    """

    threshold = PerChannel(default=None, description="not here: it is [Aligned:STREAM] threshold")
    refractory = luigi.FloatParameter(
        default=1.0, positional=False, description="ms: no pulse so soon after an accepted one"
    )

    def line(self) -> AnalogLine:
        """Return the channel and level of the pulses. Raises RecordingsError where the group has none, or several."""
        return analog_line_of(self._group())

    def choose(self, of_group: GroupChannels) -> list[int]:
        """Return the 0-based position of the channel with the pulses, also one that is called bad for its signal."""
        place, count = self.line().channel, len(of_group.described)
        if place >= count or of_group.kind(place) == DIGITAL:
            found = "a word: line is CHANNEL.BIT" if place < count else f"not there: it has {of_group.in_words()}"
            raise RecordingsError(
                f"group {self.group}, {self.task_family}: channel {place}, by [Aligned:STREAM] line the one with the"
                f" pulses, is {found}"
            )
        return [place]

    def _options_of_events(self) -> dict[str, Any]:
        level, found = self.line().level, super()._options_of_events()
        if isinstance(level, float):
            return {"release": 1 - _HYSTERESIS, **found, "threshold": level}
        number, unit = level.split(" ", 1)
        return {"hysteresis": f"{abs(_HYSTERESIS * float(number)):.15g} {unit}", **found, "level": level}

    def _check_parameters(self) -> None:
        """Raise RunStopped for what is said elsewhere."""
        for name in ("channels", "level", "threshold", "noise"):
            if getattr(self, name):
                setting = "line" if name == "channels" else "threshold"
                raise RunStopped(
                    f"luigi: {self.task_family}: {name} is set; what the pulses are is said by {setting} in"
                    " [Aligned:STREAM]"
                )
