"""Tables of events, which pynapple can take."""

import functools
import math
from collections.abc import Mapping
from typing import Any

from neuroluigi.notebook import frame
from neuroluigi.notebook.frame import Table

# First come these, with what they are where there is none, whatever else there is.
_FIRST = {"time_s": math.nan, "sample": 0, "channel": 0, "name": None, "amplitude": math.nan}


class _ForPynapple:
    """What a table of events has beside its columns."""

    def to_pynapple(self) -> Any:
        """Return a pynapple.TsGroup: of each channel the times of its events, in seconds.

        Raises ValueError where the times of some are not known.
        """
        import numpy as np
        import pynapple

        times, channels = (np.asarray(self[name]) for name in ("time_s", "channel"))  # type: ignore[index]
        if not np.isfinite(times.astype(float)).all():
            raise ValueError(
                "the times of some events are not known: set sampling_rate_hz, or leave out recordings behind a gap of"
                " unknown length"
            )
        return pynapple.TsGroup({int(one): pynapple.Ts(times[channels == one]) for one in np.unique(channels)})


class EventTable(_ForPynapple, Table):
    """A table of events without pandas."""


@functools.cache
def _frame_class() -> type:
    import pandas

    class EventFrame(_ForPynapple, pandas.DataFrame):
        """A pandas.DataFrame of events."""

        @property
        def _constructor(self):
            return EventFrame

    return EventFrame


def event_frame(columns: Mapping[str, Any]) -> Any:
    """Return a table of the columns that `neuroluigi events` prints; seconds are time_s, and blank is what has none."""
    count = len(columns["sample"])
    named = {"time_s" if name == "seconds" else name: column for name, column in columns.items()}
    first = {name: named.get(name, [blank] * count) for name, blank in _FIRST.items()}
    ordered = {**first, **{name: column for name, column in named.items() if name not in first}}
    return _frame_class()(ordered) if frame.has_pandas() else EventTable(ordered)
