"""Spectrum: the power of a group's samples by frequency."""

import luigi

from neuroluigi.ephys.picture import Picture
from neuroluigi.signals import picture, spectrum


class Spectrum(Picture):
    """The power of the group's samples by frequency, of some channels and the median of all.

    Requires an Aggregate. Makes spectrum.png, or .svg or .pdf.
    """

    kind = luigi.Parameter(
        default="",
        significant=False,
        positional=False,
        description="kind of the channels, such as ap; by default lf, or where there are none all but digital ones",
    )

    deciding_settings = (*Picture.deciding_settings, "kind")

    def output(self):
        return self.picture("spectrum")

    def make(self, out):
        chosen = {"channels": self.channels, "kind": self.kind, "window": self.window, "bad": self.bad_channels()}
        aggregate_file = self.input()["layout"].path
        picture.save_picture(out, lambda: spectrum.spectrum_figure(self.group, aggregate_file, "", **chosen))
