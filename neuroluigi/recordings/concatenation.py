"""The concatenation of the recordings of a group: at which sample each begins; the content of aggregate.json."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from neuroluigi.recordings.formats.find import FORMATS
from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.formats.reader import Channel, Part, RecordedFile
from neuroluigi.recordings.recording import BYTES_PER_VALUE, Group, Recording, RecordingsError
from neuroluigi.recordings.seams import join

# What there is to say of a channel; a probe has hundreds.
_CHANNEL = tuple(one.name for one in fields(Channel))
_values_of = attrgetter(*_CHANNEL)


def describe_concatenation(
    group: Group,
    paths: Sequence[str],
    partial_sample: str,
    contiguous: str = "auto",
    gap_tolerance: int = 0,
    dropped_bytes: Mapping[str, int] = MappingProxyType({}),
) -> tuple[dict[str, Any], list[Part]]:
    """Describe the concatenation of a group's recordings: the content of aggregate.json, and where its samples lie.

    `paths` are those of the recordings in order, or of flat files that steps made of them; of those that were dropped,
    `dropped_bytes` has the sizes.
    `segments` are the 0-based samples at which a stretch without a gap begins: a sample there has no predecessor.
    Between recordings with a counter, it says what is missing, and more than `gap_tolerance` samples are a gap. Between
    others there is one, but for those that are `contiguous` ("true") where gap_between knows none; "false" takes all
    recordings as apart. Raises RecordingsError for a group with problems.
    """
    if group.problems:
        raise RecordingsError("\n".join(group.problems))
    pairs = list(zip(group.recordings, paths, strict=True))
    measured = [measure(recording, partial_sample, path, dropped_bytes.get(path)) for recording, path in pairs]
    joined = join(measured, gap_tolerance)
    if joined.problems:
        raise RecordingsError("\n".join(joined.problems))
    layout = _samples_of(group.recordings[0])
    placed = zip(group.recordings, measured, joined.first_samples, joined.dropped, strict=True)
    layout["recordings"] = [_row(*one) for one in placed]
    segments = {*joined.segments, *(joined.first_samples if contiguous == "false" else ())}
    if contiguous == "true":
        # What a step made of a recording has whole samples, even where bytes of the recording were dropped.
        rests = (
            (one if path == recording.path or recording.made else measure(recording, partial_sample)).rest_bytes
            for (recording, path), one in zip(pairs, measured, strict=True)
        )
        segments -= _not_apart(group.recordings, measured, joined.first_samples, rests)
    layout["segments"] = sorted(segments)
    if any(one.recorded for one in group.recordings):
        layout["gaps"] = [asdict(gap) for gap in joined.gaps]
    layout["excluded"] = [
        {"session": r.session, "index": r.index, "path": r.name, "reason": r.columns.get("reason", "")}
        for r in group.excluded
    ]
    bytes_per_sample = group.recordings[0].bytes_per_sample
    left = zip(measured, joined.dropped, strict=True)
    return layout, [part for one, dropped in left for part in _without_head(one.parts, dropped, bytes_per_sample)]


def _samples_of(recording: Recording) -> dict[str, Any]:
    """Return what the samples of a recording are: of each channel where a header describes them, else of all."""
    of_all = {"dtype": recording.dtype, "channels": recording.channels, "sampling_rate_hz": recording.sampling_rate_hz}
    if recording.recorded:
        return _filled({**of_all, "channels": channels_of(recording)})
    return _filled({**of_all, **_said_of_all(recording), "channel_names": _channel_names(recording)})


def channels_of(recording: Recording) -> list[dict[str, Any]]:
    """Return what is known of each channel by its header, and in place of that by the table: the fields of Channel."""
    recorded = recording.recorded
    names = _channel_names(recording) or [""] * recording.channels
    if not recorded:
        return [_filled(_said_of_all(recording)) | {"name": name} for name in names]
    by_header = (_filled(dict(zip(_CHANNEL, _values_of(one), strict=True))) for one in recorded.channels)
    by_table = (_filled({**_said_of_all(recording), "name": name}) for name in names)
    return [one | other for one, other in zip(by_header, by_table, strict=True)]


def _said_of_all(recording: Recording) -> dict[str, Any]:
    return {"scale": recording.scale, "offset": recording.offset, "unit": recording.unit}


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _channel_names(recording: Recording) -> list[str] | None:
    """Return a name for each channel by the table; None where there are none, or another number."""
    names = recording.columns.get("channel_names", "").split("|")
    return names if len(names) == recording.channels and all(names) else None


def _row(recording: Recording, measured: RecordedFile, first_sample: int, dropped: int) -> dict[str, Any]:
    known = {
        "trimmed_bytes": measured.rest_bytes or None,
        "dropped_samples": dropped or None,
        "start_sample": measured.start_sample,
        "clock": measured.clock,
    }
    return {
        "session": recording.session,
        "index": recording.index,
        "path": recording.name,
        "first_sample": first_sample,
        "samples": measured.samples - dropped,
        **_filled(known),
    }


def _not_apart(
    recordings: Sequence[Recording], counted: Sequence[RecordedFile], firsts: Sequence[int], rests: Iterable[int]
) -> set[int]:
    """Return the first samples of the contiguous recordings before which nothing is known to be missing.

    `rests` are the bytes at the end of each that are dropped. Where both neighbours have a counter, that decides.
    """
    pairs = zip(pairwise(recordings), pairwise(counted), firsts[1:], rests, strict=False)
    return {
        first
        for neighbours, counters, first, rest in pairs
        if any(one.start_sample is None for one in counters) and not gap_between(*neighbours, rest)
    }


def _without_head(parts: Iterable[Part], dropped: int, bytes_per_sample: int) -> Iterator[Part]:
    """Yield the parts of a recording without its first samples."""
    for part in parts:
        less = min(dropped, part.samples)
        dropped -= less
        if part.samples > less:
            yield Part(part.path, part.offset + less * bytes_per_sample, part.samples - less)


def is_described_by_headers(group: Group) -> bool:
    """Whether each recording of a group came with a header that says what it is, also where that can't be read now."""
    return all(one.is_by_header or one.columns.get("format") in FORMATS for one in group.recordings)


def gap_between(recording: Recording, following: Recording, dropped_bytes: int) -> str:
    """Return why samples are missing between two neighbours of a group; "" where `following` may follow at once.

    An index that is not in the group is of a recording that was left out, is gone, or belongs to another group.
    `dropped_bytes` are those of an incomplete last sample of `recording`.
    """
    if recording.session != following.session:
        return f"session {following.session} follows session {recording.session}"
    first, last = recording.index + 1, following.index - 1
    if first <= last:
        missing = f"{recording.session}/{first}"
        return f"{missing} is not in the group" if first == last else f"{missing} to {last} are not in the group"
    return f"{dropped_bytes} bytes at the end of {recording.name} are dropped" if dropped_bytes else ""


def is_concatenation(content: object) -> bool:
    """Whether data has the first sample of each recording, as what describe_concatenation returns."""
    if not isinstance(content, dict):
        return False
    rate = content.get("sampling_rate_hz", 1)
    if not (content.get("recordings") and isinstance(rate, (int, float)) and rate > 0):
        return False
    row = {"session": (str,), "index": (int,), "first_sample": (int,), "dropped_samples": (int, type(None))}
    gap = {"sample": (int,), "missing": (int, type(None))}
    part = {"offset": (int,), "samples": (int,)}
    channels = content.get("channels")
    return (
        _are_all(content["recordings"], row)
        and _are_all(content.get("gaps", []), gap)
        and _are_all(content.get("parts", []), part)
        and _are_all(content.get("excluded", []), {})
        and (not isinstance(channels, list) or _are_all(channels, {"name": (str, type(None))}))
    )


def _are_all(rows: object, kinds: Mapping[str, tuple[type, ...]]) -> bool:
    """Whether data is a list of objects, each with values of these types."""
    return isinstance(rows, list) and all(
        isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in kinds.items()) for row in rows
    )


def data_bytes(layout: Mapping) -> list[int]:
    """Return the bytes of samples of each recording of a concatenation (see describe_concatenation)."""
    bytes_per_sample = count_channels(layout) * BYTES_PER_VALUE[layout["dtype"]]
    return [row["samples"] * bytes_per_sample for row in layout["recordings"]]


def describe_channels(layout: Mapping) -> list[dict[str, Any]]:
    """Return what a concatenation says of each channel, as channels_of() returns it; [] where it has no channels."""
    channels = layout.get("channels", 0)
    if isinstance(channels, (list, tuple)):
        return list(channels)
    of_all = {name: layout[name] for name in ("scale", "offset", "unit") if name in layout}
    names = layout.get("channel_names") or [""] * channels
    return [{**of_all, "name": name} for name in names]


def count_channels(layout: Mapping) -> int:
    """Return the number of channels of a concatenation, whether it describes each of them or not."""
    channels = layout["channels"]
    return len(channels) if isinstance(channels, (list, tuple)) else channels
