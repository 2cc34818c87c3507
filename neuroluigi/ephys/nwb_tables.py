"""Tables of intervals in an NWB file: trials, the recordings, and gaps within them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroluigi.ephys.nwb_group import Names, SessionGroup
from neuroluigi.ephys.nwb_signals import check_known

if TYPE_CHECKING:
    from pynwb import NWBFile

# Names that the table has for itself.
_TAKEN = ("id", "colnames", "description", "tags", "timeseries", "timeseries_index")


def add_trials(file: "NWBFile", trials: Mapping[str, np.ndarray]) -> None:
    """Add a table of trials, an array per column: start_time, stop_time, and what else there is."""
    names = Names()
    for taken in _TAKEN:
        names.add(f"/{taken}", taken)
    columns = [
        (names.add(name, name), f"column {name} of the table of trials", values.tolist())
        for name, values in trials.items()
    ]
    file.trials = _intervals("trials", "trials of the session", columns)


def add_recordings(file: "NWBFile", groups: Sequence[SessionGroup]) -> None:
    """Add a row for each recording, by when it began. Raises RecordingsError where that is not known."""
    rows = []
    for group in groups:
        for row, first, end in group.ranges():
            start, last = group.times.seconds(np.array([first, end - 1])).tolist()
            check_known(group, row, np.array([start, last]))
            rows.append((start, last + 1 / group.rate, group.group.key, row["index"], row["path"], first, end - first))
    rows.sort()
    about = (
        ("start_time", "first sample, in seconds"),
        ("stop_time", "one sample after the last one, in seconds"),
        ("group", "key of the group in which it was analysed"),
        ("index", "number of the recording"),
        ("file", "its file, relative to the folder of recordings"),
        ("first_sample", "number of its first sample in the group, from 0"),
        ("samples", "number of its samples"),
    )
    columns = [(name, said, list(values)) for (name, said), values in zip(about, zip(*rows, strict=True), strict=True)]
    file.add_time_intervals(_intervals("recordings", "the recordings of the session", columns))


def add_gaps(file: "NWBFile", groups: Sequence[SessionGroup]) -> None:
    """Add where samples are missing within groups as invalid times, as far as it is known how many are."""
    rows = []
    for group in groups:
        own = group.times.ranges(group.session)
        for gap in group.content.get("gaps", ()):
            after = gap["sample"]
            if gap.get("missing") and any(first <= after < end for first, end in own) and after > own[0][0]:
                last, start = group.times.seconds(np.array([after - 1, after])).tolist()
                if start > (begin := last + 1 / group.rate):
                    rows.append((begin, start, group.group.key))
    if rows:
        starts, stops, keys = (list(column) for column in zip(*sorted(rows), strict=True))
        columns = [
            ("start_time", "one sample after the last one before the gap, in seconds", starts),
            ("stop_time", "first sample after the gap, in seconds", stops),
            ("group", "key of the group in which samples are missing", keys),
        ]
        file.invalid_times = _intervals("invalid_times", "gaps, in which samples are missing", columns)


def _intervals(name: str, description: str, columns: Sequence[tuple[str, str, list]]) -> Any:
    from hdmf.common import VectorData
    from pynwb.epoch import TimeIntervals

    return TimeIntervals(
        name=name,
        description=description,
        columns=[VectorData(name=column, description=about, data=values) for column, about, values in columns],
    )
