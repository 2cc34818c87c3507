"""The picture of an alignment: how far each pulse is from the straight line, for each stream."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuroluigi.signals.picture import MUTED, SAMPLES, as_written, plain_axes, titled_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroluigi.signals.alignment import Alignment

_HEIGHT = 1.9


def residuals_figure(title: str, summary: Sequence[str], alignments: Mapping[str, "Alignment"]) -> "Figure":
    """Return a figure with the residuals of each stream, in samples, against the time on the reference."""
    figure, top = titled_figure(title, summary, _HEIGHT * max(1, len(alignments)) + 0.35)
    if not alignments:
        return figure
    axes = figure.subplots(len(alignments), 1, squeeze=False, sharex=True)[:, 0]
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=0.9 / width, right=1 - 0.25 / width, bottom=0.55 / height, top=1 - (top + 0.15) / height, hspace=0.45
    )
    begin = min(one.reference[0] / one.rates[1] for one in alignments.values())
    for ax, (name, one) in zip(axes, alignments.items(), strict=True):
        plain_axes(ax)
        ax.axhline(0, color=MUTED, linewidth=0.6)
        ax.plot(one.reference / one.rates[1] - begin, one.residuals, ".", color=SAMPLES, markersize=3)
        as_written(ax.set_title(f"{name}  {one.ppm:+.2f} ppm", fontsize=9, loc="left"))
        ax.set_ylabel("samples", fontsize=8)
    axes[-1].set_xlabel("seconds since the first pulse, on the reference", fontsize=8)
    return figure
