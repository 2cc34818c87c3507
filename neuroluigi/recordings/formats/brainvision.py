"""BrainVision: a header (.vhdr), samples (.eeg) and markers (.vmrk); binary, in place where it is multiplexed.

Source: BrainVision Core Data Format 1.0 of Brain Products. A value times the resolution of its channel is in the unit
of the channel, also where it is a float (so do pybv, MNE and FieldTrip); no unit, or an empty one, is uV.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from neuroluigi.recordings.formats.binary import opened
from neuroluigi.recordings.formats.decoding import blocks_of, read_whole
from neuroluigi.recordings.formats.one_file import recordings_by_name
from neuroluigi.recordings.formats.reader import (
    MOST_CHANNELS,
    Channel,
    Gap,
    Part,
    RecordedFile,
    as_count,
    as_number,
    as_text,
    needs_decoding,
    path_inside,
    read_text,
    size_of,
    split_bytes,
)
from neuroluigi.recordings.formats.starts import start_of_digits
from neuroluigi.recordings.recording import BYTES_PER_VALUE, RecordingsError

if TYPE_CHECKING:
    import numpy as np

FORMAT = "brainvision"
GROUP_BY = ("session",)

_DTYPES = {"INT_16": "int16", "UINT_16": "uint16", "INT_32": "int32", "IEEE_FLOAT_32": "float32"}
# What says how the samples are stored.
_STORED_AS = ("dataformat", "datatype", "dataorientation", "usebigendianorder")
# A header has some 50 KB; so many are 120,000 markers.
_MOST_BYTES = 1 << 22
_MOST_VALUES = MOST_CHANNELS + 1000
# Micro has two code points.
_MICRO = re.compile("[\u00b5\u03bc]")


class _Stored(NamedTuple):
    """How the samples are stored: vectorized is one channel after the other."""

    dtype: str
    is_vectorized: bool
    is_big_endian: bool


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are headers of this format."""
    return bool(_files(names))


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each .vhdr file of a folder."""
    return recordings_by_name(FORMAT, folder, _files(names), _describe)


def _files(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.lower().endswith(".vhdr")]


def _describe(path: str, columns: Mapping[str, str]) -> RecordedFile:
    said = _header(path)
    stored = _stored(path, said)
    dtype, is_encoded = stored.dtype, stored.is_vectorized or stored.is_big_endian
    interval, count = as_number(said.get("samplinginterval")), as_count(said.get("numberofchannels"))
    if not interval or not 0 < interval < 1e12 or not count or count > MOST_CHANNELS:
        raise RecordingsError(
            f"{path} has to say NumberOfChannels and SamplingInterval (in microseconds) in [Common Infos]; it was cut"
            " off or is damaged: copy it again from the rig"
        )
    warnings: list[str] = []
    channels = tuple(_channel(path, number, said, dtype) for number in range(1, count + 1))
    if unscaled := [channel.name for channel in channels if channel.scale is None]:
        warnings.append(f"{path} says no resolution of {len(unscaled)} channels ({', '.join(unscaled[:3])}, ...)")
    data = _named_file(path, said, "datafile", warnings)
    if data is None:
        raise RecordingsError(
            f"{path} names {said.get('datafile', '')[:200]!r} as its data, which is no file in its folder; put the file"
            " there, and its name into the line DataFile="
        )
    samples, rest = split_bytes(data, size_of(data), 0, count * BYTES_PER_VALUE[dtype])
    points = as_count(said.get("datapoints"))
    if stored.is_vectorized and (rest or points not in (None, samples)):
        # Where the second channel begins would be a guess.
        raise RecordingsError(
            f"{data} has {samples} samples of {count} channels and {rest} bytes, {points} by {path}; where each channel"
            " begins is not known then: copy it again from the rig"
        )
    if points is not None and points != samples:
        warnings.append(f"{data} has {samples} samples, {points} by {path}; what is there is taken")
    markers, gaps, started = _markers(path, said, samples, warnings)
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype=dtype,
        sampling_rate_hz=1e6 / interval,
        samples=samples,
        parts=() if is_encoded else (Part(data, 0, samples),),
        channels=channels,
        gaps=gaps,
        rest_bytes=rest,
        sidecars=(data, *markers) if is_encoded else (path, *markers),
        warnings=tuple(warnings),
        started=started,
        decode=partial(_decode, data, stored, count, samples) if is_encoded else None,
    )


def _lines(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and value of each line of a header or of markers, section and key in lower case."""
    section = ""
    for line in re.finditer(r"[^\n]+", read_text(path, _MOST_BYTES)):
        text = line[0].strip()
        if text.startswith("["):
            section = text.strip("[]").lower()
            # Its text is free, and may look like anything.
            if section == "comment":
                return
        elif not text.startswith(";"):
            key, _, value = text.partition("=")
            yield section, key.strip().lower(), value.strip()


def _header(path: str) -> dict[str, str]:
    """Return the values of a header by their keys, which no two of the sections read here have in common."""
    said: dict[str, str] = {}
    for section, key, value in _lines(path):
        if section in ("common infos", "binary infos", "channel infos"):
            said[key] = value
            if len(said) > _MOST_VALUES:
                raise RecordingsError(f"{path} has more than the {_MOST_VALUES} lines that a header has")
    return said


def _decode(path: str, stored: _Stored, channels: int, samples: int) -> Iterator["np.ndarray"]:
    import numpy as np

    dtype = np.dtype(stored.dtype).newbyteorder(">" if stored.is_big_endian else "<")
    with opened(path) as file:
        for first, count in blocks_of(samples, channels * dtype.itemsize):
            if not stored.is_vectorized:
                yield np.frombuffer(read_whole(path, file, count * channels * dtype.itemsize), dtype).reshape(count, -1)
                continue
            block = np.empty((count, channels), dtype)
            for channel in range(channels):
                file.seek((channel * samples + first) * dtype.itemsize)
                block[:, channel] = np.frombuffer(read_whole(path, file, count * dtype.itemsize), dtype)
            yield block


def _stored(path: str, said: Mapping[str, str]) -> _Stored:
    """Return how the samples are stored. Raises RecordingsError where that is not known here."""
    order, kind = said.get("dataorientation", "MULTIPLEXED").upper(), said.get("binaryformat", "").upper()
    whole = (said.get("dataformat", "").upper(), said.get("datatype", "TIMEDOMAIN").upper())
    big_endian = said.get("usebigendianorder", "NO").upper()
    if (
        whole != ("BINARY", "TIMEDOMAIN")
        or order not in ("MULTIPLEXED", "VECTORIZED")
        or big_endian not in ("NO", "YES")
    ):
        what = ", ".join(said[key][:40] for key in _STORED_AS if said.get(key)) or "without DataFormat"
        raise RecordingsError(needs_decoding(path, f"a BrainVision recording ({what})"))
    if kind not in _DTYPES:
        raise RecordingsError(
            f"{path} says BinaryFormat={kind[:40]}; read are {', '.join(_DTYPES)}: export it again as one of these"
        )
    return _Stored(_DTYPES[kind], order == "VECTORIZED", big_endian == "YES")


def _channel(path: str, number: int, said: Mapping[str, str], dtype: str) -> Channel:
    if f"ch{number}" not in said:
        raise RecordingsError(
            f"{path} does not describe channel {number} of {said['numberofchannels']} (the line Ch{number}=); it was"
            " cut off or edited: copy it again from the rig"
        )
    name, _, resolution, unit, *_ = [*said[f"ch{number}"].split(",", 4), "", "", ""]
    scale = as_number(resolution)
    if not resolution.strip() and dtype == "float32":
        # The values are in the unit themselves, as EEGLAB and Analyzer write them.
        scale = 1.0
    elif not scale:
        return Channel(_text(name))
    return Channel(_text(name), scale=scale, offset=0.0, unit=_MICRO.sub("u", _text(unit)) or "uV")


def _text(field: str) -> str:
    return as_text(field.replace("\\1", ","))


def _named_file(path: str, said: Mapping[str, str], key: str, warnings: list[str]) -> str | None:
    """Return the path of the data or the markers; None where the header names no file that is in its folder."""
    stem, folder = os.path.splitext(os.path.basename(path))[0], os.path.dirname(path)
    name = said.get(key, "").replace("$b", stem, 1)
    named = path_inside(folder, name)
    if named is None or os.path.lexists(named):
        return named
    # Who renames the three files often does not edit the names in the header.
    renamed = os.path.join(folder, stem + os.path.splitext(name)[1])
    if not os.path.lexists(renamed):
        return None
    warnings.append(f"{path} names {name!r}, which is not there; {renamed} is taken, which is called like the header")
    return renamed


def _markers(
    path: str, said: Mapping[str, str], samples: int, warnings: list[str]
) -> tuple[list[str], tuple[Gap, ...], str]:
    """Return the file of the markers, if it could be read, where its segments after the first begin, and its start."""
    if not said.get("markerfile"):
        return [], (), ""
    markers = _named_file(path, said, "markerfile", warnings)
    try:
        if markers is None:
            raise RecordingsError(f"{path} names {said['markerfile'][:200]!r} as its markers, no file in its folder")
        dates = dict(_segments(markers))
    except RecordingsError as error:
        warnings.append(f"{error}; whether the recording was paused is not known")
        return [], (), ""
    gaps = tuple(Gap(start) for start in sorted(dates) if 0 < start < samples)
    return [markers], gaps, start_of_digits(dates.get(0, ""))


def _segments(markers: str) -> Iterator[tuple[int, str]]:
    """Yield the first sample of each segment, and when it was recorded, in digits; "" where that is not said."""
    for section, _, value in _lines(markers):
        kind, _, position, _, _, date, *_ = [*value.split(","), "", "", "", "", ""]
        if section == "marker infos" and kind.strip().lower() == "new segment":
            # Markers count from 1.
            yield (as_count(position) or 0) - 1, date
