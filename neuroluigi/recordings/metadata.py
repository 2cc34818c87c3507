"""More columns for recordings that are found, from a table by session, or by whatever columns both have."""

from collections.abc import Callable
from pathlib import Path

from neuroluigi.recordings.csv_file import BEYOND, METADATA, read_rows
from neuroluigi.recordings.pattern import Row
from neuroluigi.recordings.recording import RecordingsError

# Of many rows without a recording the first ones are named.
_MOST_NAMED = 5


def with_metadata(rows: list[Row], path: Path, notify: Callable[[str], object]) -> list[Row]:
    """Return the rows of recordings with the other columns of the row of metadata that has the same values.

    `notify` gets a sentence where rows of metadata belong to no recording. Raises RecordingsError for a table that has
    no column in common with the recordings, or two rows for the same ones.
    """
    table = read_rows(path, METADATA)
    header = list(dict.fromkeys(name for _, row in table for name in row))
    columns = list(dict.fromkeys(name for _, row in rows for name in row if name != BEYOND))
    keys = [name for name in header if name in columns]
    if table and not keys:
        raise RecordingsError(
            f"the table of metadata {path} has no column that the recordings have ({', '.join(columns)}), such as"
            " session; see [recordings] metadata"
        )
    known: dict[tuple[str, ...], Row] = {}
    for origin, row in table:
        if BEYOND in row:
            raise RecordingsError(f"{origin}: {row[BEYOND]!r} stands right of the last column")
        values = tuple(row.get(name, "") for name in keys)
        other, _ = known.setdefault(values, (origin, row))
        if other != origin:
            raise RecordingsError(f"{origin}: {_named(keys, values)} is there twice, also at {other}; leave one")
    used = {tuple(row.get(name, "") for name in keys) for _, row in rows}
    unused = [f"{_named(keys, values)} ({origin})" for values, (origin, _) in known.items() if values not in used]
    if unused:
        more = f" and {len(unused) - _MOST_NAMED} more" if len(unused) > _MOST_NAMED else ""
        notify(f"metadata of no recording: {', '.join(unused[:_MOST_NAMED])}{more}")
    blank = dict.fromkeys(header, "")
    joined = [known.get(tuple(row.get(name, "") for name in keys), ("", {}))[1] for _, row in rows]
    return [(origin, {**blank, **more, **row}) for (origin, row), more in zip(rows, joined, strict=True)]


def _named(keys: list[str], values: tuple[str, ...]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(keys, values, strict=True))
