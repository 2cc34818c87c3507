"""The events of a session in an NWB file: a table per step and group, with the seconds of `neuroluigi events`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroluigi.ephys.nwb_group import VOLTS, Names, SessionGroup
from neuroluigi.ephys.nwb_signals import check_known
from neuroluigi.ephys.nwb_streamed import dataset
from neuroluigi.signals.envelope import mapped_anew
from neuroluigi.signals.found_events import FoundEvents

if TYPE_CHECKING:
    from pynwb import NWBFile

_SAMPLE, _CHANNEL, _END, _PEAK, _POLARITY = range(5)
_BIT, _VALUE = 2, 3
_BLOCK = 1 << 18


def add_events(file: "NWBFile", group: SessionGroup, events: FoundEvents, names: Names) -> bool:
    """Add the events of a group that are of recordings of the session; return whether there are any.

    Archives take an empty table for a mistake. Raises RecordingsError for unknown times.
    """
    from hdmf.common import ElementIdentifiers
    from pynwb.event import EventsTable

    name = "_".join(filter(None, (events.name[:1].upper() + events.name[1:], group.label)))
    rows = _Rows(group, events)
    rows.check()
    if not rows.count:
        return False
    file.add_events_table(
        EventsTable(
            name=names.add(f"{group.group.key} {events.name}", name),
            description=_description(group, events),
            source_description=_source(group, events),
            columns=_columns(file, group, events, rows),
            id=ElementIdentifiers(name="id", data=dataset((rows.count,), "int64", np.arange)),
        )
    )
    return True


class _Rows:
    """Those rows of a table of events that are of recordings of the session; `which` is None for all."""

    def __init__(self, group: SessionGroup, events: FoundEvents):
        self._group, self._events, self.which = group, events, None
        self.channels: set[int] = set()
        is_own = np.array([row["session"] == group.session for row in group.content["recordings"]])
        if not is_own.all():
            found = [np.zeros(0, np.int64)]
            for first in range(0, len(events.table), _BLOCK):
                samples = np.asarray(mapped_anew(events.table)[first : first + _BLOCK, _SAMPLE])
                found.append(first + np.flatnonzero(is_own[group.times.recording_of(samples)]))
            self.which = np.concatenate(found)
        self.count = len(events.table) if self.which is None else len(self.which)

    def column(self, dtype: Any, values: Callable[[np.ndarray], np.ndarray]) -> Any:
        """Return a column by what is to be done with rows of the table."""
        return dataset((self.count,), dtype, lambda first, end: values(self._read(self._events.table, first, end)))

    def amplitudes(self, values: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Any:
        """Return a column by what is to be done with amplitudes, in counts, and channels."""
        events = self._events

        def read(first: int, end: int) -> np.ndarray:
            return values(self._read(events.amplitudes, first, end), self._read(events.table, first, end)[:, _CHANNEL])

        return dataset((self.count,), "float64", read)

    def check(self) -> None:
        """Note the channels. Raises RecordingsError where the time of an event is not known."""
        for first in range(0, self.count, _BLOCK):
            block = self._read(self._events.table, first, min(first + _BLOCK, self.count))
            self.channels |= {*np.unique(block[:, _CHANNEL]).tolist()}
            samples = block[:, _SAMPLE]
            seconds = self._group.times.seconds(samples)
            if np.isnan(seconds).any():
                place = int(self._group.times.recording_of(samples[np.isnan(seconds)][:1])[0])
                check_known(self._group, self._group.content["recordings"][place], seconds)

    def _read(self, array: Any, first: int, end: int) -> np.ndarray:
        return np.asarray(mapped_anew(array)[slice(first, end) if self.which is None else self.which[first:end]])


def _columns(file: "NWBFile", group: SessionGroup, events: FoundEvents, rows: _Rows) -> list[Any]:
    from hdmf.common import VectorData
    from pynwb.event import DurationVectorData, TimestampVectorData

    seconds, period = group.times.seconds, 1 / group.rate

    def column(name: str, description: str, dtype: str, values: Callable[[np.ndarray], np.ndarray]) -> Any:
        return VectorData(name=name, description=description, data=rows.column(dtype, values))

    found = [
        TimestampVectorData(
            name="timestamp",
            description="first sample at or beyond the level, or with the new value, in seconds",
            data=rows.column("float64", lambda block: seconds(block[:, _SAMPLE])),
            resolution=period,
        ),
        column("channel", f"position of the channel in {group.group.key}, from 0; -1: of none", "int32", _of(_CHANNEL)),
    ]
    width = events.table.shape[1]
    if width == 4:
        found.append(column("bit", "bit of the word, from 0", "int16", _of(_BIT)))
        found.append(column("value", "1: rise, 0: fall; of a field its value", "int64", _of(_VALUE)))
        if lines := _lines(events.summary):
            texts = [lines.get((channel, bit), "") for channel, bit in np.asarray(events.table)[:, 1:3].tolist()]
            kept = texts if rows.which is None else [texts[row] for row in rows.which.tolist()]
            found.append(VectorData(name="line", description="name of the line", data=kept))
    if width == 5:

        def last(block: np.ndarray) -> np.ndarray:
            # The sample after it may be of the next recording.
            return seconds(np.maximum(block[:, _END] - 1, block[:, _SAMPLE]))

        duration = rows.column("float64", lambda block: last(block) - seconds(block[:, _SAMPLE]) + period)
        found.insert(
            1,
            DurationVectorData(
                name="duration", description="from there to the release", data=duration, resolution=period
            ),
        )
        peaks = "when the signal was farthest from its base, in seconds from the start of the session"
        found.append(column("peak_timestamp", peaks, "float64", lambda block: seconds(block[:, _PEAK])))
        found.append(column("polarity", "1: upwards, -1: downwards", "int8", _of(_POLARITY)))
    if events.amplitudes is not None:
        found.append(_amplitudes(group, events, rows))
    # Of a channel that is no electrode there is no row to refer to.
    if width != 4 and rows.channels <= group.electrodes.keys():
        found.append(_electrodes(file, group, rows))
    return found


def _of(place: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda block: block[:, place]


def _electrodes(file: "NWBFile", group: SessionGroup, rows: _Rows) -> Any:
    from hdmf.common import DynamicTableRegion

    numbers = np.zeros(len(group.channels), np.int32)
    numbers[list(group.electrodes)] = list(group.electrodes.values())
    data = rows.column("int32", lambda block: numbers[block[:, _CHANNEL]])
    about = "the electrode of the channel"
    return DynamicTableRegion(name="electrode", data=data, description=about, table=file.electrodes)


def _amplitudes(group: SessionGroup, events: FoundEvents, rows: _Rows) -> Any:
    from hdmf.common import VectorData

    units = {one.get("unit", "") if "scale" in one else "" for one in group.channels if one.get("kind") != "digital"}
    if len(units) != 1 or not (unit := units.pop()):
        return VectorData(
            name="amplitude",
            description="value at the peak, in counts of the recording system",
            data=rows.amplitudes(lambda values, channels: values),
        )
    factor = VOLTS.get(unit, 1.0)
    scales = factor * np.array([one.get("scale", 1.0) for one in group.channels], float)
    band = events.summary.get("band") or [None]
    # A band-pass leaves nothing of the offset.
    is_raw = "band" in events.summary and not band[0]
    offsets = factor * np.array([one.get("offset", 0.0) for one in group.channels], float) * is_raw
    return VectorData(
        name="amplitude",
        description=f"value at the peak, in {'volts' if unit in VOLTS else unit}",
        data=rows.amplitudes(lambda values, channels: scales[channels] * values + offsets[channels]),
    )


def _lines(summary: Mapping[str, Any]) -> dict[tuple[int, int], str]:
    """Return the names of lines by channel and bit, of those that have one."""
    listed = (one for value in summary.values() if isinstance(value, list) for one in value if isinstance(one, dict))
    named = (one for one in listed if one.get("name") and {"channel", "bit"} <= one.keys())
    return {(one["channel"], one["bit"]): str(one["name"]) for one in named}


def _description(group: SessionGroup, events: FoundEvents) -> str:
    what = "rises and falls of digital lines" if events.table.shape[1] == 4 else events.what
    return f"{what} in {group.group.key}, not sorted" if "multi-unit" in what else f"{what} in {group.group.key}"


def _source(group: SessionGroup, events: FoundEvents) -> str:
    """Return what was looked at, and where the level was: "AP channels, 300 to 6000 Hz, -5 x MAD / 0.6745"."""
    if events.table.shape[1] == 4:
        return f"digital lines of {group.group.key}"
    kinds = dict.fromkeys(one.get("kind", "unknown") for one in group.channels)
    said = [f"channels of kind {', '.join(kinds)} of {group.group.key}"]
    parameters, band = events.summary.get("parameters") or {}, events.summary.get("band") or []
    if any(band):
        said.append(" to ".join(f"{one:g}" if one else "..." for one in band) + " Hz")
    if reference := events.summary.get("reference"):
        said.append(f"reference {reference if isinstance(reference, str) else 'median'}")
    sign = {"falling": "-", "rising": "", "absolute": "+-"}.get(parameters.get("polarity", ""), "")
    if parameters.get("noise") is not None:
        said.append(f"{sign}{parameters['noise']:g} x MAD / 0.6745")
    elif parameters.get("level") is not None:
        said.append(f"level {parameters['level']}")
    elif parameters.get("threshold") is not None:
        said.append(f"threshold {parameters['threshold']} of the range")
    return ", ".join(said)
