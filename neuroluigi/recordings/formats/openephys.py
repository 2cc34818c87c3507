"""Open Ephys, binary format: structure.oebin describes each stream, whose samples are int16 in continuous.dat.

Sources: the manual of the GUI (https://open-ephys.github.io/gui-docs, "Binary format") and files of its versions 0.4 to
1.0. Since 0.6 sample_numbers.npy has the counter at each sample, before that timestamps.npy, as integers.
Changes of digital lines are no samples: they lie in folders below events, those of a stream in the one of its name.
"""

import os
import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from neuroluigi.recordings.formats.binary import opened
from neuroluigi.recordings.formats.counters import read_counter
from neuroluigi.recordings.formats.npy import read_npy_header
from neuroluigi.recordings.formats.reader import (
    ANALOG,
    AP,
    AUX,
    DIGITAL,
    LF,
    MOST_CHANNELS,
    UNKNOWN,
    Channel,
    Gap,
    LineFiles,
    Part,
    RecordedFile,
    Sync,
    as_count,
    as_number,
    as_text,
    described,
    path_inside,
    read_json,
    read_text,
    size_of,
    split_bytes,
)
from neuroluigi.recordings.formats.starts import start_of_format, start_of_messages
from neuroluigi.recordings.recording import RecordingsError

FORMAT = "openephys"
GROUP_BY = ("session", "node", "experiment", "stream")

_HEADER = "structure.oebin"
_NODE = re.compile(r"record[ _]?node[ _]?([0-9]*)", re.IGNORECASE)
_MOST_STREAMS = 1000
# More than a rig counts in its life.
_LARGEST_COUNT = 1 << 62
# Kinds by the beginning of a channel's name or, on the next line, by its description, the first that fits.
_KINDS = (
    (re.compile(r".*SYNC\b", re.IGNORECASE), DIGITAL),
    (re.compile(r"ADC|AI\d|.*\n(.*\bADC\b|Analog Input)", re.IGNORECASE), ANALOG),
    (re.compile(r"AUX|.*\n.*\bAux", re.IGNORECASE), AUX),
    (re.compile(r"LFP\d", re.IGNORECASE), LF),
    (re.compile(r"(CH|AP)\d|.*\n(Headstage|Neuropixels)", re.IGNORECASE), AP),
)
# The types of channels that later versions give.
_TYPES = (AP, AUX, ANALOG)
# The files of changes of lines, and of their counters: since 0.6, before that.
_STATES = ("states.npy", "channel_states.npy")
_SECONDS = "timestamps.npy"
_COUNTERS = ("sample_numbers.npy", _SECONDS)
_WORDS = "full_words.npy"
# What bit_volts leads to where units is empty, as since 0.6; by the manual.
_USUAL_UNITS = {AP: "uV", LF: "uV", ANALOG: "V"}
# In seconds: how far the clock of the GUI may be off at the start of a recording, by the delays of its buffers.
_UNCERTAINTY = 0.05
# The line of the pulses where nothing names one, as the GUI has it.
_SYNC_BIT = 0
# Beside the header: when the recording began; above its folders: when the first recording of the experiment did.
_MESSAGES = "sync_messages.txt"
_SETTINGS = ("settings.xml", "settings_{}.xml")
_DATE = re.compile(r"<DATE>([^<]{8,40})</DATE>")
# The lower rate of a probe that has two.
_LF_RATE = 2500


def claims(folder: str, names: Sequence[str]) -> bool:
    """Whether the folder is a recording: all below it belongs to that."""
    return _HEADER in names


def recordings_in(folder: str, names: Sequence[str]) -> list[RecordedFile]:
    """Return a recording for each stream of the header; one with a problem where that can't be read."""
    folder = os.path.abspath(folder)
    header = os.path.join(folder, _HEADER)
    columns = _columns_of(folder)
    try:
        content = read_json(header)
        streams, events = content.get("continuous", []), content.get("events", [])
        if not isinstance(streams, list) or not all(isinstance(stream, dict) for stream in streams):
            raise RecordingsError(f"{header} has no list of streams (continuous); copy it again from where it was made")
        if len(streams) > _MOST_STREAMS:
            raise RecordingsError(f"{header} has {len(streams)} streams, more than any rig; correct the file")
    except RecordingsError as error:
        return [RecordedFile(FORMAT, header, columns, problems=(str(error),))]
    lines, started = _Lines(header, events, streams), _started(folder, columns)
    return [
        replace(_recording(header, columns | {"stream": name}, stream, lines), started=started)
        for name, stream in zip(_names_of(streams), streams, strict=True)
    ]


def _columns_of(folder: str) -> dict[str, str]:
    """Return what the folders say: SESSION/Record Node 101/experiment1/recording1, the node only since 0.5."""
    above, recording = os.path.split(folder)
    above_experiment, experiment = os.path.split(above)
    of_recording = re.fullmatch(r"recording_?([0-9]{1,9})", recording)
    of_experiment = re.fullmatch(r"experiment_?([0-9]{1,9})", experiment)
    if not of_recording or not of_experiment:
        # Moved by hand: the folder is what is known.
        return {"session": recording or "recording", "index": "0", "node": "", "experiment": ""}
    above_node, node = os.path.split(above_experiment)
    of_node = _NODE.fullmatch(node)
    return {
        "session": (os.path.basename(above_node) if of_node else node) or "recording",
        "index": str(int(of_recording[1])),
        "node": of_node[1] if of_node else "",
        "experiment": str(int(of_experiment[1])),
    }


def _started(folder: str, columns: Mapping[str, str]) -> str:
    """Return when a recording began: in UTC since 0.6, before that the time of the place, as far as it is known."""
    if said := start_of_messages(_text_of(os.path.join(folder, _MESSAGES))):
        return said
    # The settings are written when the first recording of an experiment begins.
    experiment = columns["experiment"]
    if columns["index"] != "1" or not experiment:
        return ""
    name = _SETTINGS[experiment != "1"].format(experiment)
    match = _DATE.search(_text_of(os.path.join(folder, os.pardir, os.pardir, name)))
    return start_of_format(match[1], "%d %b %Y %H:%M:%S") if match else ""


def _text_of(path: str) -> str:
    try:
        return read_text(path)
    except RecordingsError:
        return ""


def _names_of(streams: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of streams: those that the header gives, and where two have one name, their folders."""
    folders = [as_text(stream.get("folder_name")).strip("/\\") for stream in streams]
    names = [as_text(stream.get("stream_name")) for stream in streams]
    times = Counter(names)
    return [name if name and times[name] == 1 else folder for name, folder in zip(names, folders, strict=True)]


class _Lines:
    """The changes of digital lines that a header lists, by the folder of the stream that they are of."""

    def __init__(self, header: str, events: object, streams: Sequence[Mapping[str, Any]]):
        self._of: dict[str, list[LineFiles]] = {}
        of_streams = {_folder_of(stream) for stream in streams} | {as_text(one.get("stream_name")) for one in streams}
        lacking: list[str] = []
        for event in (events if isinstance(events, list) else [])[:_MOST_STREAMS]:
            said = event if isinstance(event, dict) else {}
            if found := _line_files(header, said):
                owner = _folder_of(said).partition("/")[0]
                self._of.setdefault(owner, []).append(found)
                if owner not in of_streams and as_text(said.get("stream_name")) not in of_streams - {""}:
                    lacking.append(owner)
        self.warnings = [
            f"{header} has changes of digital lines of {name}, a stream without samples: they are not read, as which"
            " moment they are of is only known beside a stream that has; record a channel of it too"
            for name in dict.fromkeys(lacking)
        ]

    def of(self, stream: Mapping[str, Any], warnings: list[str]) -> LineFiles | None:
        """Return those of a stream; None where there are none."""
        found = self._of.get(_folder_of(stream), [])
        for other in found[1:]:
            warnings.append(f"{os.path.dirname(other.states)} is not read, as {os.path.dirname(found[0].states)} is")
        return found[0] if found else None


def _folder_of(said: Mapping[str, Any]) -> str:
    return as_text(said.get("folder_name")).replace("\\", "/").strip("/")


def _line_files(header: str, event: Mapping[str, Any]) -> LineFiles | None:
    """Return the files of changes of lines; None where they are not there, such as for messages."""
    folder = path_inside(os.path.join(os.path.dirname(header), "events"), as_text(event.get("folder_name")))
    if folder is None:
        return None
    paths = {name: os.path.join(folder, name) for name in (*_STATES, *_COUNTERS, _WORDS)}
    there = {name: path for name, path in paths.items() if os.path.lexists(path)}
    states, counters = ([there[name] for name in names if name in there] for names in (_STATES, _COUNTERS))
    if not states or not counters:
        return None
    # A probe has one line, for pulses that all devices get.
    names = ((0, "sync"),) if event.get("identifier") == "neuropixels.sync" else ()
    # Before 0.6 the file of that name has the counters.
    seconds = there.get(_SECONDS, "") if _SECONDS not in os.path.basename(counters[0]) else ""
    return LineFiles(states[0], counters[0], there.get(_WORDS, ""), names, seconds)


def _recording(header: str, columns: dict[str, str], stream: Mapping[str, Any], lines: _Lines) -> RecordedFile:
    name = as_text(stream.get("folder_name"))
    folder = path_inside(os.path.join(os.path.dirname(header), "continuous"), name)
    if folder is None:
        problem = f"{header} names the folder {name[:60]!r}, which is not one below continuous; correct the file"
        return RecordedFile(FORMAT, header, columns, problems=(problem,))
    path = os.path.join(folder, "continuous.dat")
    return described(FORMAT, path, columns, lambda: _described(header, path, columns, stream, lines))


def _described(
    header: str, path: str, columns: dict[str, str], stream: Mapping[str, Any], lines: _Lines
) -> RecordedFile:
    warnings = list(lines.warnings)
    rate = as_number(stream.get("sample_rate"))
    if not rate or rate <= 0:
        raise RecordingsError(f"{header} has no sample_rate of the stream {columns['stream']}; correct the file")
    channels = _channels(header, columns["stream"], stream, warnings)
    samples, rest = split_bytes(path, size_of(path), 0, 2 * len(channels))
    if rest:
        warnings.append(f"{path} ends in the middle of a sample, {rest} bytes after the last whole one")
    source, start, gaps = _counter(os.path.dirname(path), samples, warnings)
    line_files = lines.of(stream, warnings)
    seconds_file = os.path.join(os.path.dirname(path), _SECONDS)
    first_second, no_sync = _first_second(seconds_file, samples)
    run = " ".join((FORMAT, columns["session"], columns["node"], columns["experiment"]))
    clock = " ".join(
        (FORMAT, columns["session"], columns["experiment"], as_text(stream.get("folder_name")).strip("/\\"))
    )
    return RecordedFile(
        FORMAT,
        path,
        columns | {"source": as_text(stream.get("source_processor_name"))},
        sampling_rate_hz=rate,
        samples=samples,
        parts=(Part(path, 0, samples),),
        channels=channels,
        start_sample=start,
        clock="" if start is None else clock,
        gaps=gaps,
        rest_bytes=rest,
        sidecars=(header, *source),
        line_files=line_files,
        sync=None if start is None or first_second is None else _sync(run, start, first_second, line_files),
        sync_problem=no_sync,
        seconds_file="" if no_sync else seconds_file,
        warnings=tuple(warnings),
    )


def _sync(run: str, start: int, second: float, line_files: LineFiles | None) -> Sync:
    """Return how the clock of a stream goes with others by the second that the GUI wrote of its first sample."""
    named = [bit for bit, name in line_files.names if name == "sync"] if line_files else []
    return Sync(*(run, start, second, _UNCERTAINTY), bit=(named or [_SYNC_BIT])[0] if line_files else None)


def _first_second(path: str, count: int) -> tuple[float | None, str]:
    """Return the first of so many seconds in a file, None where it has no such, and why: a sentence, or ""."""
    try:
        header = read_npy_header(path)
        if header.dtype != "float64":
            return None, f"{path} has no seconds but {header.dtype}, as before version 0.6 of Open Ephys"
        if header.shape != (count,):
            return None, f"{path} has seconds of shape {header.shape} for {count} samples; copy it again"
        with opened(path) as file:
            first, last = (_number_at(file, header.offset + 8 * place) for place in (0, count - 1))
    except RecordingsError as error:
        return None, str(error)
    except struct.error:
        return None, f"{path} ends before its last second; copy it again"
    # The GUI writes -1 for what it does not know.
    if not 0 <= first <= last < float("inf"):
        return None, f"{path} has no seconds: it goes from {first:g} to {last:g}"
    return first, ""


def _number_at(file: BinaryIO, offset: int) -> float:
    file.seek(offset)
    (number,) = struct.unpack("<d", file.read(8))
    return number


def _channels(header: str, name: str, stream: Mapping[str, Any], warnings: list[str]) -> tuple[Channel, ...]:
    listed, count = stream.get("channels"), as_count(stream.get("num_channels"))
    if not isinstance(listed, list) or not listed or len(listed) != count or count > MOST_CHANNELS:
        length = len(listed) if isinstance(listed, list) else "no"
        raise RecordingsError(
            f"{header} lists {length} channels of the stream {name}, but num_channels is {str(count)[:20]}; correct"
            " the file"
        )
    of_stream = _kind_of_stream(name, stream)
    channels = tuple(
        _channel(one if isinstance(one, dict) else {}, f"CH{i}", of_stream) for i, one in enumerate(listed)
    )
    if unknown := [one.name for one in channels if one.scale is None and one.kind != DIGITAL]:
        warnings.append(
            f"{header} does not say bit_volts and units of {', '.join(unknown[:5])} of the stream {name}: they stay"
            " counts"
        )
    return channels


def _kind_of_stream(name: str, stream: Mapping[str, Any]) -> str:
    """Return the kind of the sites of a probe, which has a stream for each: ProbeA-AP and ProbeA-LFP; "" for others."""
    words = re.split(r"[-. ]", name.upper())
    is_probe = "neuropix" in as_text(stream.get("source_processor_name")).casefold()
    is_slow = is_probe and as_number(stream.get("sample_rate")) == _LF_RATE
    return LF if "LFP" in words or is_slow else ""


def _channel(said: Mapping[str, Any], place: str, of_stream: str) -> Channel:
    name = as_text(said.get("channel_name")) or place
    kind = _kind(name, said)
    if kind == AP and of_stream:
        kind = of_stream
    scale = as_number(said.get("bit_volts"))
    unit = as_text(said.get("units")).replace("µ", "u").replace("μ", "u") or _USUAL_UNITS.get(kind, "")
    if kind == DIGITAL or not scale or scale < 0 or not unit:
        return Channel(name, kind)
    return Channel(name, kind, scale, 0.0, unit)


def _kind(name: str, said: Mapping[str, Any]) -> str:
    text = f"{name}\n{as_text(said.get('description'))}"
    kind = next((kind for pattern, kind in _KINDS if pattern.match(text)), UNKNOWN)
    number = as_count(said.get("type"))
    # The sync words and the slow band of a probe have no type of their own.
    if number is None or number >= len(_TYPES) or kind in (DIGITAL, LF):
        return kind
    return _TYPES[number]


def _counter(folder: str, samples: int, warnings: list[str]) -> tuple[list[str], int | None, tuple[Gap, ...]]:
    """Return the file with the counter at each sample, the first count, and the gaps; [], None where there is none."""
    for name in ("sample_numbers.npy", "timestamps.npy"):
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            continue
        header = read_npy_header(path)
        # Since 0.6 timestamps.npy has seconds.
        if header.dtype not in ("int64", "uint64"):
            continue
        if header.shape != (samples,):
            raise RecordingsError(
                f"{path} has an array of shape {header.shape} for the {samples} samples of continuous.dat: which"
                " belongs to which is unknown; rename it, and the recording counts as one without gaps and without a"
                " counter"
            )
        start, gaps = read_counter(path, header.dtype, samples, header.offset)
        if not 0 <= start < _LARGEST_COUNT:
            raise RecordingsError(
                f"{path} begins at {start}, which no counter of samples does; copy it again, or rename it, and the"
                " recording counts as one without gaps and without a counter"
            )
        return [path], start, gaps
    warnings.append(f"{folder} has no counter (sample_numbers.npy): gaps, and how it joins others, are unknown")
    return [], None, ()
