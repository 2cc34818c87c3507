"""The samples of a session in an NWB file: a series per recording and kind of channels, with their times."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroluigi.ephys.nwb_group import VOLTS, Names, SessionGroup, aggregate_samples
from neuroluigi.ephys.nwb_streamed import dataset
from neuroluigi.recordings.formats.reader import ANALOG, AP, AUX, DIGITAL, LF, UNKNOWN
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.signals.aggregate import AggregateFile

if TYPE_CHECKING:
    from pynwb import NWBFile

_NAMES = {AP: "ElectricalSeriesAP", LF: "ElectricalSeriesLF", UNKNOWN: "ElectricalSeries"}
_OTHER_NAMES = {ANALOG: "TimeSeriesAnalog", AUX: "TimeSeriesAux", DIGITAL: "TimeSeriesDigital", UNKNOWN: "TimeSeries"}
# A rate takes the place of times that it gives to this part of a sample; the next is for what rounding leaves.
_AS_LINE, _AS_RATE = 0.1, 1e-6
_BLOCK = 1 << 20


class _Series(NamedTuple):
    """Channels of a group that one series has, by their positions: all of a kind, unit and offset."""

    name: str
    places: tuple[int, ...]
    is_electrical: bool


def add_signals(file: "NWBFile", group: SessionGroup, aggregate: AggregateFile, names: Names) -> None:
    """Add the samples of a group's recordings to the acquisition. Raises RecordingsError where a time is not known."""
    for row, first, end in group.ranges():
        timing: dict[str, Any] = times_of(group, row, first, end)
        for one in _series_of(group):
            suffix = [group.label, str(row["index"]) if len(group.rows) > 1 else ""]
            name = "_".join(filter(None, (one.name, *suffix)))
            series = _series(
                file, group, aggregate, one, names.add(f"{name} {len(names.given)}", name), first, end, timing
            )
            file.add_acquisition(series)
            if "timestamps" in timing:
                # The others of the recording have a link to these.
                timing = {"timestamps": series}


def _series_of(group: SessionGroup) -> Iterator[_Series]:
    found: dict[tuple, list[int]] = {}
    electrical = {*group.electrical()}
    for place, channel in enumerate(group.channels):
        kind, unit = channel.get("kind", UNKNOWN), channel.get("unit", "")
        volts = VOLTS.get(unit, 1.0)
        offset = volts * channel.get("offset", 0.0)
        if place in electrical:
            key: tuple = (_NAMES[kind], True, volts, offset)
        elif kind == DIGITAL:
            key = (_OTHER_NAMES[kind], False)
        else:
            key = (_OTHER_NAMES.get(kind, _OTHER_NAMES[UNKNOWN]), False, unit, channel.get("scale"), offset)
        found.setdefault(key, []).append(place)
    times: dict[str, int] = {}
    for (name, is_electrical, *_), places in found.items():
        times[name] = times.get(name, 0) + 1
        yield _Series(name if times[name] == 1 else f"{name}{times[name]}", tuple(places), is_electrical)


def _series(
    file: "NWBFile",
    group: SessionGroup,
    aggregate: AggregateFile,
    one: _Series,
    name: str,
    first: int,
    end: int,
    timing: Mapping[str, Any],
) -> Any:
    from pynwb import TimeSeries
    from pynwb.ecephys import ElectricalSeries

    places, channels = list(one.places), [group.channels[place] for place in one.places]
    chosen = slice(places[0], places[-1] + 1) if places == list(range(places[0], places[-1] + 1)) else places

    def read(begin: int, stop: int) -> np.ndarray:
        return aggregate_samples(aggregate, first + begin, first + stop, chosen)

    data = dataset((end - first, len(places)), aggregate.dtype, read)
    known: dict[str, Any] = {"name": name, "data": data, **timing, "comments": _comment(group)}
    if one.is_electrical:
        factor = VOLTS[channels[0]["unit"]]
        scales = [float(channel["scale"]) for channel in channels]
        is_one = len(set(scales)) == 1
        return ElectricalSeries(
            **known,
            description=f"samples of {group.group.key}, in counts",
            electrodes=file.create_electrode_table_region(
                [group.electrodes[place] for place in places], "the electrode of each channel"
            ),
            conversion=factor * scales[0] if is_one else factor,
            channel_conversion=None if is_one else scales,
            offset=factor * float(channels[0].get("offset", 0.0)),
        )
    listed = ", ".join(str(channel.get("name") or place) for place, channel in zip(places, channels, strict=True))
    if channels[0].get("kind") == DIGITAL:
        about = f"words of bits of {group.group.key}: {listed}{_bits(channels)}"
        return TimeSeries(**known, description=about, unit="n/a")
    unit = channels[0]["unit"]
    factor = VOLTS.get(unit, 1.0)
    return TimeSeries(
        **known,
        description=f"channels of {group.group.key}: {listed}",
        unit="volts" if unit in VOLTS else unit,
        conversion=factor * float(channels[0]["scale"]),
        offset=factor * float(channels[0].get("offset", 0.0)),
    )


def _bits(channels: list[dict[str, Any]]) -> str:
    named = [
        f"bit {bit} of {channel.get('name')} is {name}"
        for channel in channels
        for bit, name in enumerate(channel.get("bits") or ())
        if name
    ]
    return f"; {', '.join(named)}" if named else ""


def _comment(group: SessionGroup) -> str:
    if group.times.is_aligned:
        return "seconds on the clock of the session's reference stream"
    return "seconds since the first sample of this group: its clock is not aligned with those of others"


def times_of(group: SessionGroup, row: Mapping[str, Any], first: int, end: int) -> dict[str, Any]:
    """Return starting_time and rate of a recording, where these give each of its times to a tenth of a sample.

    Otherwise, as at gaps or by a clock that wanders, timestamps. Raises RecordingsError where one is not known.
    """
    count, rate = end - first, group.rate
    begin, last = group.times.seconds(np.array([first, end - 1])).tolist()
    check_known(group, row, np.array([begin, last]))
    measured = (count - 1) / (last - begin) if count > 1 and last > begin else rate
    usual, line = _farthest(group, first, end, begin, (rate, measured))
    check_known(group, row, np.array([line]))
    if usual <= _AS_RATE or line <= _AS_LINE:
        return {"starting_time": begin, "rate": rate if usual <= _AS_RATE else measured}

    def read(begin: int, stop: int) -> np.ndarray:
        return group.times.seconds(np.arange(first + begin, first + stop))

    return {"timestamps": dataset((count,), "float64", read)}


def _farthest(group: SessionGroup, first: int, end: int, begin: float, rates: tuple[float, ...]) -> list[float]:
    """Return by how many samples the times of a recording are off at most, by each of some rates."""
    found = [0.0 for _ in rates]
    for start in range(first, end, _BLOCK):
        samples = np.arange(start, min(start + _BLOCK, end))
        seconds = group.times.seconds(samples) - begin
        for place, rate in enumerate(rates):
            # NaN, where a time is not known, stays.
            found[place] = float(np.maximum(found[place], np.abs(seconds * rate - (samples - first)).max()))
    return found


def check_known(group: SessionGroup, row: Mapping[str, Any], seconds: np.ndarray) -> None:
    """Raise RecordingsError where one of some times of a recording is not known."""
    if np.isnan(seconds).any():
        raise RecordingsError(
            f"group {group.group.key}: how long the pauses in or before {row['path']} were is not known, so NWB can't"
            " have the times after them; leave it out with use = no in a table of recordings"
        )
