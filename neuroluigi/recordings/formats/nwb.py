"""NWB: each ElectricalSeries of a file; in place where it is contiguous, else decoded by h5py.

Source: the NWB schema 2.9 (ElectricalSeries, TimeSeries). Volts are data * conversion * channel_conversion + offset. A
link to another file is followed where that lies in the folder of the first one; to any other, it is refused.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from neuroluigi.recordings.formats import library_process
from neuroluigi.recordings.formats.counters import clock_gaps
from neuroluigi.recordings.formats.decoding import BLOCK_BYTES
from neuroluigi.recordings.formats.hdf5 import Node, children, only_opened, resolve
from neuroluigi.recordings.formats.reader import (
    LF,
    MOST_CHANNELS,
    UNKNOWN,
    Channel,
    Gap,
    Part,
    RecordedFile,
    as_number,
    as_text,
    described,
)
from neuroluigi.recordings.formats.starts import later, start_of_text
from neuroluigi.recordings.recording import BYTES_PER_VALUE, RecordingsError

if TYPE_CHECKING:
    import h5py
    import numpy as np

FORMAT = "nwb"
GROUP_BY = ("session", "stream")

_ELECTRODES = "/general/extracellular_ephys/electrodes"
# Types that samples can't have, and those that hold all their values.
_WIDER = {"float16": "float32", "uint32": "float64"}
# Columns of the table of electrodes that may name a channel, the preferred one first.
_NAMES = ("channel_name", "label", "id")
# Real files nest five deep, and have some hundred objects where the series may be.
_MOST_DEPTH, _MOST_OBJECTS = 8, 10_000
# From so many timestamps the rate is taken.
_TIMESTAMPS = 10_001
# How much of chunks h5py keeps: one of all channels may have to be read for a few samples.
_CHUNKS_KEPT = 1 << 26


class _Series(NamedTuple):
    """An ElectricalSeries: its path in the file, and the kind of its channels."""

    path: str
    kind: str


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files of this format."""
    return any(_is_ours(name) for name in names)


@library_process.one_process()
def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each ElectricalSeries of each file of a folder; the session is called like the file."""
    recordings: list[RecordedFile] = []
    for name in filter(_is_ours, names):
        path = os.path.join(os.path.abspath(folder), name)
        columns = {"session": os.path.splitext(name)[0], "index": "0"}
        recordings += library_process.read(FORMAT, path, columns, [path])
    return recordings


def read(path: str, columns: Mapping[str, str]) -> list[RecordedFile]:
    """Return a recording for each series of a file; called in the process of the library. Raises RecordingsError."""
    recordings = []
    for one in _series_in(path):
        stream = as_text(one.path.removeprefix("/acquisition/").removeprefix("/processing/"))
        own = {**columns, "stream": stream}
        recordings.append(described(FORMAT, path, own, partial(_describe, path, one, own)))
    return recordings


def _is_ours(name: str) -> bool:
    return name.lower().endswith(".nwb")


def _series_in(path: str) -> list[_Series]:
    """Return the series of a file, in the order of their paths. Raises RecordingsError where there is none."""
    with only_opened(path) as root:
        found = list(_series_below(root, ("acquisition", "processing")))
    if not found:
        raise RecordingsError(f"{path} has no ElectricalSeries in acquisition or processing; describe it in a table")
    return found


def _series_below(root: Node, tops: Sequence[str]) -> Iterator[_Series]:
    left = _MOST_OBJECTS
    waiting = [(one, UNKNOWN) for name in tops if (one := resolve(root, name, missing_ok=True))]
    while waiting:
        node, kind = waiting.pop(0)
        type = node.text("neurodata_type")
        if type == "ElectricalSeries":
            yield _Series(node.name, kind)
            continue
        if node.name.count("/") < _MOST_DEPTH:
            below = list(children(node, left))
            left -= len(below)
            waiting += [(one, LF if type == "LFP" else kind) for one in below]


def _describe(path: str, series: _Series, columns: Mapping[str, str]) -> RecordedFile:
    """Return the recording of a series. Raises RecordingsError where it can't be read."""
    with only_opened(path) as root:
        node = resolve(root, series.path)
        data = resolve(node, "data")
        dtype, samples, count = _dtype_and_shape(data)
        channels, warnings = _channels(root, node, data, count, series.kind)
        rate, gaps = _times(node, samples)
        started = _started(root, node)
        parts = _parts(data, dtype, samples, count)
        others = dict.fromkeys(one for one in (*data.files, *node.files) if one != path)
    if rate is None:
        warnings.append(f"{path} says no rate of {series.path}; set sampling_rate_hz where it is known")
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype=dtype,
        sampling_rate_hz=rate,
        samples=samples,
        parts=parts,
        channels=channels,
        gaps=gaps,
        started=started,
        sidecars=(path, *others) if parts else tuple(others),
        warnings=tuple(warnings),
        decode=None if parts else partial(decode, path, series.path),
    )


def _dtype_and_shape(data: Node) -> tuple[str, int, int]:
    """Return the type that samples have here, samples, and channels. Raises RecordingsError for what are no samples."""
    dataset = data.dataset()
    name = dataset.dtype.newbyteorder("=").name
    dtype, shape = _WIDER.get(name, name), dataset.shape
    if dtype not in BYTES_PER_VALUE or len(shape) not in (1, 2) or not all(shape) or (*shape, 1)[1] > MOST_CHANNELS:
        raise RecordingsError(
            f"{data.path} has values of {as_text(name)} and shape {shape} in {data.name}; samples are numbers of up to"
            " 32 bits, or floats, of shape (samples,) or (samples, channels): convert it"
        )
    return dtype, shape[0], (*shape, 1)[1]


def _parts(data: Node, dtype: str, samples: int, channels: int) -> tuple[Part, ...]:
    """Return where the samples lie as they are; () where they have to be decoded. Raises RecordingsError."""
    dataset = data.dataset()
    if dataset.is_virtual or dataset.external:
        raise RecordingsError(
            f"{data.path} has {data.name} in other files (a virtual dataset, or external storage), which are not"
            " followed: copy it into one file (h5repack)"
        )
    offset = dataset.id.get_offset()
    # Never negative, and None where nothing is stored in one piece.
    if offset is None or dataset.chunks or dataset.dtype != _little_endian(dtype):
        return ()
    end = offset + samples * channels * BYTES_PER_VALUE[dtype]
    if (size := os.path.getsize(data.path)) < end:
        raise RecordingsError(f"{data.path} has {size} bytes, {data.name} ends at {end}; it was cut off: copy it again")
    return (Part(data.path, offset, samples),)


def _little_endian(dtype: str) -> "np.dtype":
    import numpy as np

    return np.dtype(dtype).newbyteorder("<")


def _channels(root: Node, series: Node, data: Node, count: int, kind: str) -> tuple[tuple[Channel, ...], list[str]]:
    """Return the channels of a series, and warnings."""
    warnings: list[str] = []
    conversion, offset = (
        _number(data.attribute(name), default) for name, default in (("conversion", 1), ("offset", 0))
    )
    own = resolve(series, "channel_conversion", missing_ok=True)
    factors: list[float | None] = [1.0] * count
    if own:
        factors = [_number(value) for value in own.values(MOST_CHANNELS)]
    unit = {"volts": "V", "volt": "V"}.get(data.text("unit").lower(), data.text("unit"))
    if len(factors) != count or not conversion or offset is None:
        warnings.append(
            f"{data.path} has no scale of {data.name} that fits its {count} channels; its values are counts"
        )
        conversion, factors = None, [None] * count
    electrodes = _electrodes(root, series, count)
    if electrodes is None:
        warnings.append(f"{series.path} does not say which electrodes the {count} channels of {series.name} are")
        electrodes = [Channel(str(number)) for number in range(count)]
    channels = []
    for electrode, factor in zip(electrodes, factors, strict=True):
        if conversion and factor:
            electrode = replace(electrode, scale=conversion * factor, offset=offset, unit=unit)
        channels.append(replace(electrode, kind=kind))
    return tuple(channels), warnings


def _electrodes(root: Node, series: Node, count: int) -> list[Channel] | None:
    """Return name and place of the electrode of each channel; None where they are not said, or of other channels."""
    region, table = resolve(series, "electrodes", missing_ok=True), resolve(root, _ELECTRODES, missing_ok=True)
    rows = region.values(MOST_CHANNELS) if region else []
    if len(rows) != count or table is None:
        return None
    columns = {}
    for name in (*_NAMES, "rel_x", "rel_y"):
        column = resolve(table, name, missing_ok=True)
        columns[name] = column.values(MOST_CHANNELS) if column else []
    names = next((columns[name] for name in _NAMES if columns[name]), [])
    if not all(isinstance(row, int) and 0 <= row < len(names) for row in rows):
        return None
    places = {name: [_number(value) for value in columns[name]] for name in ("rel_x", "rel_y")}
    x, y = (places[name] if len(places[name]) == len(names) else [None] * len(names) for name in ("rel_x", "rel_y"))
    return [Channel(as_text(str(names[row])), x=x[row], y=y[row]) for row in rows]


def _started(root: Node, series: Node) -> str:
    """Return when a series began: so many seconds after the session did; "" where that is not said."""
    session, first = _first_value(root, "session_start_time"), None
    for name in ("starting_time", "timestamps"):
        first = as_number(_first_value(series, name)) if first is None else first
    text = session.decode("utf-8", "replace") if isinstance(session, bytes) else ""
    return "" if first is None else later(start_of_text(text), first)


def _first_value(node: Node, name: str) -> object:
    """Return the value of a dataset, or its first one; None where there is no such dataset."""
    found = resolve(node, name, missing_ok=True)
    if found is None:
        return None
    dataset = found.dataset()
    value = dataset[()] if dataset.shape == () else dataset[0] if dataset.size else None
    return value if value is None or isinstance(value, bytes) else value.item()


def _times(series: Node, samples: int) -> tuple[float | None, tuple[Gap, ...]]:
    """Return the rate, None where it is not known, and the gaps by timestamps where there are these."""
    start = resolve(series, "starting_time", missing_ok=True)
    if start:
        rate = _number(start.attribute("rate"))
        return (rate if rate and rate > 0 else None), ()
    timestamps = resolve(series, "timestamps", missing_ok=True)
    if timestamps is None or samples < 2 or timestamps.dataset().shape != (samples,):
        return None, ()

    def read(first: int, count: int) -> "np.ndarray":
        return timestamps.dataset()[first : first + count].astype(float)

    rate = _rate(read(0, min(samples, _TIMESTAMPS)))
    return (rate, clock_gaps(series.path, read, samples, rate)) if rate else (None, ())


def _rate(times: "np.ndarray") -> float | None:
    """Return the rate of timestamps in seconds, with no more digits than they have."""
    import numpy as np

    steps = np.diff(times)
    step = float(np.median(steps))
    if not 0 < step < np.inf:
        return None
    if np.all(abs(steps - step) < step / 2):
        step = float(times[-1] - times[0]) / len(steps)
    return float(f"{1 / step:.9g}")


def _number(value: object, default: float | None = None) -> float | None:
    """Return a number of an attribute or dataset; `default` where there is none."""
    return default if value is None else as_number(value)


def decode(path: str, name: str) -> Iterator["np.ndarray"]:
    """Yield the samples of a series in blocks; called in the process of the library. Raises RecordingsError."""
    with only_opened(path, rdcc_nbytes=_CHUNKS_KEPT) as root:
        dataset = resolve(resolve(root, name), "data").dataset()
        for first, count in _blocks(dataset):
            block = dataset[first : first + count]
            yield block.reshape(len(block), -1)


def _blocks(dataset: "h5py.Dataset") -> Iterator[tuple[int, int]]:
    """Yield first sample and length of blocks; of whole chunks, so that each is unpacked once."""
    row = max(1, dataset.dtype.itemsize * (*dataset.shape, 1)[1])
    count = max(1, BLOCK_BYTES // row)
    if dataset.chunks and dataset.chunks[0] * row <= _CHUNKS_KEPT:
        count = max(1, count // dataset.chunks[0]) * dataset.chunks[0]
    for first in range(0, dataset.shape[0], count):
        yield first, count
