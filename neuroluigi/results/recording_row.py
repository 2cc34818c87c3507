"""A recording as a row of a table that can be edited, and used as recordings.csv."""

from neuroluigi.recordings.found import counter_and_kinds
from neuroluigi.recordings.recording import Recording
from neuroluigi.results.table import written

# What the table of a recording without a header has to say.
_DESCRIPTION = ("dtype", "channels", "sampling_rate_hz", "header_bytes", "scale", "offset", "unit")


def recording_row(recording: Recording) -> dict[str, str]:
    """Return the columns that describe a recording as it was found."""
    # What a header says is read from it again.
    said = () if recording.is_by_header or recording.problems else _DESCRIPTION
    known = counter_and_kinds(recording.recorded) if recording.recorded else {}
    described = {name: written(recording, name) for name in said}
    row = {**recording.columns, **described, "path": recording.name}
    row |= {name: text for name, text in known.items() if name not in row}
    # Of a problem with one, the table says no more than was found.
    return {name: text for name, text in row.items() if name != "parity" and (text or name in recording.columns)}
