"""Filtered: the samples of a group band-passed and referenced, in a file, for programs that don't do it themselves."""

import luigi

from neuroluigi.ephys.derived import filtered_channels
from neuroluigi.ephys.signal_task import DerivedTask, SignalTask
from neuroluigi.recordings.formats.reader import AP, UNKNOWN
from neuroluigi.signals.filtered_file import write_filtered


class Filtered(DerivedTask, SignalTask):
    """The samples of a group, band-passed and referenced: filtered.bin, and filtered.json, an aggregate.json of it.

    Requires what any DerivedTask does. A step that requires an Aggregate can require it in its place. The scale of the
    channels stays; what the filter, or the reference, takes away is their offset.
    """

    low = luigi.OptionalFloatParameter(default=300.0, positional=False, description="Hz below which nothing is left")
    high = luigi.OptionalFloatParameter(default=6000.0, positional=False, description="Hz above which nothing is left")
    reference = luigi.ChoiceParameter(
        default="auto",
        positional=False,
        choices=("none", "auto", "median"),
        description="what is taken off: the median over the channels (ap, unknown); auto: where there are 16 or more",
    )

    default_kinds = ((AP,), (UNKNOWN,))
    function = "writeFiltered"
    numpy_function = write_filtered

    def options(self):
        return {**self.signal_options(), **super().options()}

    def describe_channels(self, channels, chosen, of_group):
        labels = of_group.labels(chosen, self.reference, self.per_shank)
        return filtered_channels(channels, chosen, [self.low is None and not label for label in labels])
