"""The picture of residuals."""

import numpy as np

from neuroluigi.signals.alignment import FirstOffset, Pulses, align
from neuroluigi.signals.alignment_plot import residuals_figure


def test_each_stream_has_a_panel_with_its_residuals():
    counts = 1000 * np.arange(1, 50)
    found = align(Pulses(counts, 1000.0), Pulses(counts + counts // 20000, 1000.0), 1.0, FirstOffset(0, 0, 0.1))
    figure = residuals_figure("s$1$", ["a line"], {"nidq": found, "imec0.lf": found})
    assert len(figure.axes) == 2
    assert figure.axes[0].get_title(loc="left").startswith("nidq  +")
    drawn = figure.axes[1].lines[1]
    assert drawn.get_ydata().tolist() == found.residuals.tolist()
    assert drawn.get_xdata()[:2].tolist() == [0, 1]
    assert residuals_figure("none", [], {}).axes == []
