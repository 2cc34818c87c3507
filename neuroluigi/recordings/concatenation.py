"""The concatenation of the recordings of a group: at which sample each begins; the content of aggregate.json."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.formats.reader import Part, RecordedFile
from neuroluigi.recordings.recording import BYTES_PER_VALUE, Group, Recording, RecordingsError
from neuroluigi.recordings.seams import join


def describe_concatenation(
    group: Group,
    files: Sequence[tuple[str, int]],
    partial_sample: str,
    contiguous: str = "auto",
    gap_tolerance: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Describe the concatenation of a group's recordings: the content of aggregate.json.

    `files` are (path, header bytes) of the recordings in order, `sizes` path -> bytes of those not made yet.
    `segments` are the 0-based samples at which a stretch without a gap begins: a sample there has no predecessor.
    Between recordings with a counter, it says what is missing, and more than `gap_tolerance` samples are a gap. Between
    others there is one, but for those that are `contiguous` ("true") where gap_between knows none; "false" takes all
    recordings as apart. Raises RecordingsError for a group with problems.
    """
    if group.problems:
        raise RecordingsError("\n".join(group.problems))
    first = group.recordings[0]
    measured = [
        measure(recording, partial_sample, path, header_bytes, (sizes or {}).get(path))
        for recording, (path, header_bytes) in zip(group.recordings, files, strict=True)
    ]
    counted = [_counted(one, samples) for one, (samples, _) in zip(group.recordings, measured, strict=True)]
    joined = join(counted, gap_tolerance)
    if joined.problems:
        raise RecordingsError("\n".join(joined.problems))
    rows = []
    for place, (recording, (samples, rest)) in enumerate(zip(group.recordings, measured, strict=True)):
        row = {
            "session": recording.session,
            "index": recording.index,
            "path": recording.name,
            "first_sample": joined.first_samples[place],
            "samples": samples - joined.dropped[place],
        }
        known = {
            "trimmed_bytes": rest or None,
            "dropped_samples": joined.dropped[place] or None,
            "start_sample": counted[place].start_sample,
            "clock": counted[place].clock or None,
        }
        rows.append(row | {name: value for name, value in known.items() if value is not None})
    layout: dict[str, Any] = {"dtype": first.dtype, "channels": first.channels}
    said = {
        "sampling_rate_hz": first.sampling_rate_hz,
        "scale": first.scale,
        "offset": first.offset,
        "unit": first.unit or None,
        "channel_names": _channel_names(first),
    }
    layout |= {name: value for name, value in said.items() if value is not None}
    layout["recordings"] = rows
    segments = {*joined.segments, *(joined.first_samples if contiguous == "false" else ())}
    if contiguous == "true":
        # What a step made of a recording has whole samples, even where bytes of the recording were dropped.
        rests = (
            rest if path == recording.path or recording.made else measure(recording, partial_sample)[1]
            for recording, (path, _), (_, rest) in zip(group.recordings, files, measured, strict=True)
        )
        segments -= _not_apart(group.recordings, counted, joined.first_samples, rests)
    layout["segments"] = sorted(segments)
    if any(one.recorded for one in group.recordings):
        layout["gaps"] = [asdict(gap) for gap in joined.gaps]
    layout["excluded"] = [
        {"session": r.session, "index": r.index, "path": r.name, "reason": r.columns.get("reason", "")}
        for r in group.excluded
    ]
    return layout


def _channel_names(recording: Recording) -> list[str] | None:
    """Return a name for each channel, by the table or else the header; None where there are none, or too few."""
    names = recording.columns.get("channel_names", "").split("|")
    if recording.recorded and not any(names):
        names = [channel.name for channel in recording.recorded.channels]
    return names if len(names) == recording.channels and all(names) else None


def _counted(recording: Recording, samples: int) -> RecordedFile:
    """Return what is known of a recording by its counter; what a step has made of it keeps that, sample by sample."""
    if recording.recorded and recording.recorded.samples == samples:
        return recording.recorded
    return RecordedFile("raw", recording.path, {}, samples=samples)


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


def parts_of(group: Group, files: Sequence[tuple[str, int]], layout: Mapping) -> list[tuple[str, int, int]]:
    """Return (path, byte offset, bytes) of each part of a concatenation, in order; `files` are those of its layout."""
    found = []
    for recording, (path, header_bytes), row in zip(group.recordings, files, layout["recordings"], strict=True):
        left = row.get("dropped_samples", 0)
        recorded = recording.recorded if path == recording.path else None
        if recorded and recorded.is_encoded:
            raise RecordingsError(
                f"{path} has to be decoded: in requires(), use recording_task(recording), which gives the step for that"
            )
        parts = recorded.parts if recorded else (Part(path, header_bytes, left + row["samples"]),)
        for part in parts:
            dropped = min(left, part.samples)
            left -= dropped
            if part.samples > dropped:
                size = recording.bytes_per_sample
                found.append((part.path, part.offset + dropped * size, (part.samples - dropped) * size))
    return found


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
    return _are_all(content["recordings"], row) and _are_all(content.get("gaps", []), gap)


def _are_all(rows: object, kinds: Mapping[str, tuple[type, ...]]) -> bool:
    """Whether data is a list of objects, each with values of these types."""
    return isinstance(rows, list) and all(
        isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in kinds.items()) for row in rows
    )


def data_bytes(layout: Mapping) -> list[int]:
    """Return the bytes of samples of each recording of a concatenation (see describe_concatenation)."""
    return [row["samples"] * layout["channels"] * BYTES_PER_VALUE[layout["dtype"]] for row in layout["recordings"]]
