"""Figures that a notebook shows where they are the value of a cell, without pyplot."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def shown(figure: "Figure") -> "Figure":
    """Return the figure itself; a notebook in which %matplotlib was not asked for shows it all the same."""
    figure._repr_png_ = lambda: _png(figure)  # type: ignore[attr-defined]
    return figure


def _png(figure: "Figure") -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
