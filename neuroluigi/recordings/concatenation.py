"""The concatenation of the recordings of a group: at which sample each begins; the content of aggregate.json."""

from collections.abc import Iterable, Mapping

from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.recording import BYTES_PER_VALUE, Group, RecordingsError


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
    Raises RecordingsError for a group with problems.
    """
    if group.problems:
        raise RecordingsError("\n".join(group.problems))
    first = group.recordings[0]
    rows, first_sample = [], 0
    for recording, (path, header_bytes) in zip(group.recordings, files, strict=True):
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
        first_sample += samples
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
    layout["segments"] = [0] if contiguous else [row["first_sample"] for row in rows]
    layout["excluded"] = [
        {"session": r.session, "index": r.index, "path": r.name, "reason": r.columns.get("reason", "")}
        for r in group.excluded
    ]
    return layout


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
