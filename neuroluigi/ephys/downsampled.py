"""Downsampled: the samples of a group at a lower rate, such as local field potentials of a broadband probe."""

import luigi

from neuroluigi.ephys.derived import downsampled_channels
from neuroluigi.ephys.signal_task import DerivedTask
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.signals.downsampled import factor_of, write_downsampled

# Samples per second, where nothing else is asked for.
_RATE = 1000


class Downsampled(DerivedTask):
    """The samples of a group at a lower rate: downsampled.bin, and downsampled.json, an aggregate.json of it.

    Requires what any DerivedTask does. A step that requires an Aggregate can require it in its place. Below 0.4 of the
    new rate (-6 dB) the signal is what it was; of ap channels, the local field potential is left (kind lf).
    """

    factor = luigi.OptionalIntParameter(
        default=None,
        positional=False,
        description="one of so many samples is kept; blank: by rate, or that for the rate nearest to 1000 Hz",
    )
    rate = luigi.OptionalFloatParameter(
        default=None, positional=False, description="Hz: samples per second, of which there are a whole number of times"
    )

    function = "writeDownsampled"
    numpy_function = write_downsampled

    def divisor(self, rate):
        if self.factor is not None and self.rate is not None:
            raise RecordingsError(f"{self.task_family}: factor and rate say the same; set one of them")
        if self.factor is not None:
            return self.factor
        if self.rate is None and rate is not None:
            return max(2, round(rate / _RATE))
        try:
            return factor_of(rate, self.rate or _RATE)
        except ValueError as error:
            raise RecordingsError(f"group {self.group}, {self.task_family}: {error}") from None

    def options(self):
        channels = [place + 1 for place in self.chosen_channels()]
        precision = {"precision": self.precision} if self.precision != "double" else {}
        return {"factor": self.divisor(self.sampling_rate_hz()), "channels": channels, **precision, **super().options()}

    def describe_channels(self, channels, chosen, of_group):
        return downsampled_channels(channels, chosen)
