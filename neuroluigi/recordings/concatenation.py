"""The concatenation of the recordings of a group: at which sample each begins; the content of aggregate.json."""

from collections.abc import Iterable, Mapping

from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.recording import BYTES_PER_VALUE, Group, Recording, RecordingsError


def describe_concatenation(
    group: Group,
    files: Iterable[tuple[str, int]],
    partial_sample: str,
    contiguous: bool,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, object]:
    """Describe the concatenation of a group's recordings: the content of aggregate.json.

    `files` are (path, header bytes) of the recordings in order, `sizes` path -> bytes of those not made yet.
    `segments` are the 0-based samples at which a stretch without a gap begins: a sample there has no predecessor.
    Recordings that are `contiguous` have a gap between them only where gap_between knows one.
    Raises RecordingsError for a group with problems.
    """
    if group.problems:
        raise RecordingsError("\n".join(group.problems))
    first = group.recordings[0]
    rows, segments, first_sample, gap = [], [], 0, "it is the first one"
    for recording, following, (path, header_bytes) in zip(
        group.recordings, (*group.recordings[1:], None), files, strict=True
    ):
        samples, rest = measure(recording, partial_sample, path, header_bytes, (sizes or {}).get(path))
        row = {
            "session": recording.session,
            "index": recording.index,
            "path": recording.name,
            "first_sample": first_sample,
            "samples": samples,
        }
        if rest:
            row["trimmed_bytes"] = rest
        rows.append(row)
        if gap or not contiguous:
            segments.append(first_sample)
        first_sample += samples
        if contiguous and following:
            # What a step made of a recording has whole samples, even where bytes of the recording were dropped.
            is_derived = path != recording.path and not recording.made
            gap = gap_between(recording, following, measure(recording, partial_sample)[1] if is_derived else rest)
    layout: dict[str, object] = {"dtype": first.dtype, "channels": first.channels}
    known = {
        "sampling_rate_hz": first.sampling_rate_hz,
        "scale": first.scale,
        "offset": first.offset,
        "unit": first.unit or None,
    }
    layout |= {name: value for name, value in known.items() if value is not None}
    names = first.columns.get("channel_names", "").split("|")
    if len(names) == first.channels and all(names):
        layout["channel_names"] = names
    layout["recordings"] = rows
    layout["segments"] = segments
    layout["excluded"] = [
        {"session": r.session, "index": r.index, "path": r.name, "reason": r.columns.get("reason", "")}
        for r in group.excluded
    ]
    return layout


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
    rows, rate = content.get("recordings"), content.get("sampling_rate_hz", 1)
    if not (isinstance(rows, list) and rows and isinstance(rate, (int, float)) and rate > 0):
        return False
    kinds = {"session": str, "index": int, "first_sample": int}
    return all(
        isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in kinds.items()) for row in rows
    )


def data_bytes(layout: Mapping) -> list[int]:
    """Return the bytes of samples of each recording of a concatenation (see describe_concatenation)."""
    return [row["samples"] * layout["channels"] * BYTES_PER_VALUE[layout["dtype"]] for row in layout["recordings"]]
