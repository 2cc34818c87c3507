"""Whatever else neo reads, by its rawio: in place where neo says where the samples lie, else decoded by neo.

A file belongs to this format by its extension alone, as far as none of the other formats has it: those are read with
their gaps, and with the scale of their headers, which neo has wrong for EDF; and BDF it cuts to 16 bits. Memory and
time that neo takes for a header are its own: most classes read no samples for it, those of Plexon, Neuralynx and TDT
look at each record of the file. So it reads in a process of its own, with limits: see library_process.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from neuroluigi.recordings.formats import edf, library_process
from neuroluigi.recordings.formats.decoding import blocks_of
from neuroluigi.recordings.formats.libraries import read_by
from neuroluigi.recordings.formats.reader import (
    MOST_CHANNELS,
    Channel,
    Part,
    RecordedFile,
    as_number,
    as_text,
    described,
    size_of,
)
from neuroluigi.recordings.recording import BYTES_PER_VALUE, RecordingsError

if TYPE_CHECKING:
    import numpy as np

FORMAT = "neo"
GROUP_BY = ("session", "stream")

# Classes of neo that read a file, by its extension; of several the first that can. Not those of formats that have a
# module here, nor those of plain samples.
_FILES: Mapping[str, tuple[str, ...]] = {
    "abf": ("AxonRawIO",),
    "axgd": ("AxographRawIO",),
    "axgx": ("AxographRawIO",),
    "brw": ("BiocamRawIO",),
    "dat": ("NeuroScopeRawIO",),
    "edr": ("WinEdrRawIO",),
    "eeg": ("ElanRawIO", "NeuroScopeRawIO"),
    "h5": ("MaxwellRawIO", "BiocamRawIO", "MEArecRawIO", "NIXRawIO"),
    "lfp": ("NeuroScopeRawIO",),
    "nex": ("NeuroExplorerRawIO",),
    "nix": ("NIXRawIO",),
    "pl2": ("Plexon2RawIO",),
    "plx": ("PlexonRawIO",),
    "raw": ("RawMCSRawIO",),
    "rec": ("SpikeGadgetsRawIO",),
    "set": ("AxonaRawIO",),
    "smr": ("Spike2RawIO", "CedRawIO"),
    "smrx": ("CedRawIO",),
    "trc": ("MicromedRawIO",),
    "wcp": ("WinWcpRawIO",),
    "json": ("NeuroNexusRawIO",),
}
# These read what lies beside the file too: whatever begins with its name.
_WITH_FILES_BESIDE = frozenset({"AxonaRawIO", "ElanRawIO", "NeuroNexusRawIO", "NeuroScopeRawIO"})
# Classes that read a folder as one recording, by the extension of a file in it.
_FOLDERS: Mapping[str, str] = {
    "ncs": "NeuralynxRawIO",
    "continuous": "OpenEphysRawIO",
    "tsq": "TdtRawIO",
    "rdat": "MedRawIO",
    "mpx": "AlphaOmegaRawIO",
    "lsx": "AlphaOmegaRawIO",
}
# A pause is a segment of its own, not an error.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {"NeuralynxRawIO": {"gap_tolerance_ms": 0.0}}
_MOST_SEGMENTS = 100_000
_MOST_HZ = 1e9
_MICRO = str.maketrans("\u00b5\u03bc", "uu")


class _Source(NamedTuple):
    """What neo opens, a file or a folder, by one of these classes; its files, the one that it is listed by first."""

    opened: str
    classes: tuple[str, ...]
    files: tuple[str, ...]


class _Place(NamedTuple):
    """Where samples are by neo's own count."""

    block: int
    segment: int
    stream: int


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether there are files that neo may know, by their extensions."""
    return bool(_sources(folder, names)) or edf.claims(folder, names)


@library_process.one_process()
def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each segment and stream of what neo reads in a folder; EDF as edf does."""
    recordings = edf.recordings_in(folder, names)
    for source in _sources(os.path.abspath(folder), names):
        columns = {"session": os.path.splitext(os.path.basename(source.opened))[0], "index": "0"}
        recordings += library_process.read(FORMAT, source.files[0], columns, [source], whole=source.files)
    return recordings


def _sources(folder: str, names: Sequence[str]) -> list[_Source]:
    """Return what neo opens in a folder: the folder, or else files in it."""
    by_extension = [(name, os.path.splitext(name)[1][1:].lower()) for name in names]
    whole = next(((name, _FOLDERS[one]) for name, one in by_extension if one in _FOLDERS), None)
    if whole:
        first, reader = whole
        files = (first, *(name for name in names if name != first and os.path.isfile(os.path.join(folder, name))))
        return [_Source(folder, (reader,), tuple(os.path.join(folder, name) for name in files))]
    sources = []
    for name, extension in by_extension:
        classes = _FILES.get(extension, ())
        if extension == "json" and not name.lower().endswith(".xdat.json"):
            classes = ()
        # The header of NeuroScope is beside its samples.
        if "NeuroScopeRawIO" in classes and f"{name[: -len(extension)]}xml" not in names:
            classes = tuple(one for one in classes if one != "NeuroScopeRawIO")
        if classes:
            stem = name.partition(".")[0]
            others = [one for one in names if one != name and one.startswith(stem)]
            beside = [path for one in others if os.path.isfile(path := os.path.join(folder, one))]
            path = os.path.join(folder, name)
            files = (path, *(beside if _WITH_FILES_BESIDE.intersection(classes) else ()))
            sources.append(_Source(path, classes, files))
    return sources


def read(source: Sequence[Any], columns: Mapping[str, str]) -> list[RecordedFile]:
    """Return a recording for each segment and stream of a source; called in the process of the library.

    Raises RecordingsError where neo can't read it.
    """
    source = _Source(*source)
    with read_by("neo", source.files[0]):
        reader = _opened(source)
        places = list(_places(reader))
        names = _stream_names(reader)
    if not places:
        raise RecordingsError(f"{source.files[0]} has no continuous samples that neo finds")
    recordings = []
    for index, place in places:
        own = {**columns, "index": str(index), "stream": names[place.stream], "block": str(place.block)}
        recordings.append(described(FORMAT, source.files[0], own, partial(_describe, source, reader, place, own)))
    return recordings


def _opened(source: _Source) -> Any:
    """Return neo's reader of a file or folder, with its header read."""
    import neo.rawio

    errors: list[Exception] = []
    for name in source.classes:
        kind = getattr(neo.rawio, name)
        where = "dirname" if kind.rawmode == "one-dir" else "filename"
        try:
            reader = kind(**{where: source.opened}, **_OPTIONS.get(name, {}))
            reader.parse_header()
        except Exception as error:
            errors.append(error)
        else:
            return reader
    raise errors[0]


def _places(reader: Any) -> Iterator[tuple[int, _Place]]:
    """Yield each stream of each segment, with the number of the segment over all blocks."""
    number = 0
    for block in range(reader.block_count()):
        for segment in range(reader.segment_count(block)):
            if number >= _MOST_SEGMENTS:
                return
            for stream in range(reader.signal_streams_count()):
                if reader.get_signal_size(block, segment, stream) > 0:
                    yield number, _Place(block, segment, stream)
            number += 1


def _stream_names(reader: Any) -> list[str]:
    """Return a name for each stream, no two of which are the same."""
    streams = reader.header["signal_streams"]
    names = [as_text(str(one["name"])) or as_text(str(one["id"])) for one in streams]
    return [name if names.count(name) == 1 else f"{name} {i}".strip() for i, name in enumerate(names)]


def _describe(source: _Source, reader: Any, place: _Place, columns: Mapping[str, str]) -> RecordedFile:
    """Return the recording of a place. Raises RecordingsError where what neo says of it can't be."""
    import numpy as np

    path = source.files[0]
    with read_by("neo", path):
        stream = reader.header["signal_streams"][place.stream]
        found = reader.header["signal_channels"]
        found = found[found["stream_id"] == stream["id"]]
        samples, rate = int(reader.get_signal_size(*place)), float(reader.get_signal_sampling_rate(place.stream))
        start = as_number(float(reader.get_signal_t_start(*place)))
        stored = np.dtype(str(found["dtype"][0]))
        parts = _parts(source, reader, place, str(stream["buffer_id"]), len(found), stored)
    dtype = stored.newbyteorder("=").name
    if dtype not in BYTES_PER_VALUE or not 0 < len(found) <= MOST_CHANNELS or samples <= 0 or not 0 < rate < _MOST_HZ:
        raise RecordingsError(
            f"{path} has {samples} samples of {len(found)} channels of {dtype} at {rate} Hz by neo, which can't be; it"
            " is damaged, or of a kind that is not read here"
        )
    is_timed = start is not None and abs(start) * rate < 1e15
    return RecordedFile(
        format=FORMAT,
        path=path,
        columns=columns,
        dtype=dtype,
        sampling_rate_hz=rate,
        samples=samples,
        parts=parts,
        channels=tuple(map(_channel, found)),
        start_sample=round(start * rate) if start is not None and is_timed else None,
        # Segments of one file have it in common.
        clock=f"neo {columns['session']} {columns['stream']}" if is_timed else "",
        sidecars=source.files if parts else source.files[1:],
        decode=None if parts else partial(decode, source, place, len(found) * stored.itemsize),
    )


def _channel(found: Any) -> Channel:
    scale, offset = as_number(float(found["gain"])), as_number(float(found["offset"]))
    name = as_text(str(found["name"])) or as_text(str(found["id"]))
    if not scale or offset is None:
        return Channel(name)
    return Channel(name, scale=scale, offset=offset, unit=as_text(str(found["units"])).translate(_MICRO))


def _parts(
    source: _Source, reader: Any, place: _Place, buffer: str, channels: int, stored: "np.dtype"
) -> tuple[Part, ...]:
    """Return where the samples lie as they are; () where they have to be decoded, or neo does not say it."""
    if not reader.has_buffer_description_api() or stored.newbyteorder("<") != stored:
        return ()
    where = reader.get_analogsignal_buffer_description(place.block, place.segment, buffer)
    # Other streams may have a part of the channels.
    if where["type"] != "raw" or where.get("time_axis", 0) != 0 or where.get("order", "C") != "C":
        return ()
    part = Part(os.path.abspath(where["file_path"]), int(where["file_offset"]), int(where["shape"][0]))
    end = part.offset + part.samples * channels * stored.itemsize
    is_whole = part.path in source.files and part.offset >= 0 and end <= size_of(part.path)
    return (part,) if is_whole and where["dtype"] == stored and where["shape"][1] == channels else ()


def decode(source: Sequence[Any], place: Sequence[int], bytes_per_sample: int) -> Iterator["np.ndarray"]:
    """Yield the samples of a place in blocks; called in the process of the library. Raises RecordingsError."""
    source, place = _Source(*source), _Place(*place)
    with read_by("neo", source.files[0]):
        reader = _opened(source)
        blocks = blocks_of(int(reader.get_signal_size(*place)), bytes_per_sample)
    for first, count in blocks:
        with read_by("neo", source.files[0]):
            block = reader.get_analogsignal_chunk(place.block, place.segment, first, first + count, place.stream)
        yield block
