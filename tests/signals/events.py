"""Events of tests, as steps find them."""

import numpy as np

from neuroluigi.signals.found_events import FoundEvents


def events(onsets, channels=0, peaks=None, amplitudes=None, name="Spikes", **summary) -> FoundEvents:
    """Return events at some onsets, sorted, on a channel or one each; by default their peaks are at the onsets."""
    onsets = np.asarray(onsets, np.int64).reshape(-1)
    table = np.zeros((len(onsets), 5), np.int64)
    table[:, 0], table[:, 1], table[:, 2], table[:, 4] = onsets, channels, onsets + 1, -1
    table[:, 3] = onsets if peaks is None else peaks
    order = np.lexsort((table[:, 1], table[:, 0]))
    given = None if amplitudes is None else np.asarray(amplitudes, float)[order]
    return FoundEvents(name, table[order], given, summary)


def as_crossings(low=300.0, **summary) -> dict:
    """Return a summary of events of a filtered signal."""
    return {"band": [low, 6000.0], "reference": "none", "parameters": {"refractory": 1}, **summary}
