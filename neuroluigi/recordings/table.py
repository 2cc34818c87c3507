"""Find the recordings by a table, a pattern of paths, or their own headers, or as the pipeline makes them."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuroluigi.recordings.channel_kinds import matches_kind, read_kinds
from neuroluigi.recordings.csv_file import BEYOND, RECORDINGS, read_rows
from neuroluigi.recordings.formats.find import FORMATS
from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.formats.reader import Channel, RecordedFile
from neuroluigi.recordings.found import Headers, found_rows, shared_scale
from neuroluigi.recordings.pattern import Row, UnlistedError, pattern_rows
from neuroluigi.recordings.recording import (
    BYTES_PER_VALUE,
    Declaration,
    Recording,
    RecordingsError,
    check_folder_name,
    is_missing,
)

_DTYPES = f"one of {', '.join(BYTES_PER_VALUE)}"
# Longer numbers than this one, Excel writes with an exponent.
_LONG_IN_EXCEL = 1e11
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
# What counters have at most.
_MOST_COUNTED = 1 << 63
_SHA256 = re.compile("[0-9a-f]{64}")

# What a row says of each channel, and of the counter of samples.
_OF_RECORDED = ("kind", "digital", "start_sample", "clock")

_REQUIRED = ("session", "index", "path")

# Of the values of a column, so many are named, and so much of each.
_MOST_VALUES, _LONGEST_VALUE = 10, 40


def made_rows(rows: list[Mapping[str, str]]) -> list[Row]:
    """Return (origin, columns) of each recording that the pipeline makes. Raises RecordingsError without any."""
    if not rows:
        raise RecordingsError(
            "no recordings: [recordings] root and table are blank in luigi.cfg and no task makes recordings;"
            " set root (--recordings-root FOLDER)"
        )
    return [(f"made recording {row['session']}/{row['index']}", row) for row in rows]


def declared_rows(declaration: Declaration, headers: Headers, notify: Callable[[str], object]) -> list[Row]:
    """Return (origin, columns) of each recording, by the table, else the pattern, else the formats that are looked for.

    `notify` gets a sentence for each kind of files that nearly match the pattern. Raises RecordingsError.
    """
    root = declaration.folder
    if declaration.root and not os.path.isdir(root):
        why = "is not there" if is_missing(root) else "can't be read as a folder"
        raise RecordingsError(f"recordings folder {root} {why}; see [recordings] root (--recordings-root)")
    table = Path(declaration.table) if declaration.table else root / "recordings.csv"
    # A recordings.csv that can't be read is an error, not a reason to use the pattern.
    if declaration.table or os.path.lexists(table):
        rows, looked = read_rows(table, RECORDINGS, _REQUIRED), [f"table {table}"]
    else:
        rows, looked = [], []
        left_out: list[str] = []
        unlisted: UnlistedError | None = None
        if declaration.format in (("auto",), ("raw",)):
            try:
                rows = pattern_rows(root, declaration.pattern, left_out.append)
            except UnlistedError as error:
                unlisted = error
            looked.append(f"{root} by pattern {declaration.pattern} (and no recordings.csv is there)")
        if not rows and declaration.format != ("raw",):
            rows = found_rows(root, declaration.format, declaration.results_folder, headers, notify)
            # What is nearly as the pattern has it is of interest where the pattern is what finds recordings.
            left_out = [] if rows else left_out
            looked.append(f"{root} by format {', '.join(declaration.format)}")
        if unlisted and not rows:
            raise unlisted
        for note in left_out:
            notify(note)
    if not rows:
        raise RecordingsError(
            f"no recordings in {', nor in '.join(looked)}; see [recordings] root, table, pattern, format"
        )
    return rows


def selected(rows: list[Row], select: tuple[str, ...]) -> list[Row]:
    """Return the rows that fulfil the conditions "column=value" of each column, of several of one column any.

    Raises RecordingsError where none is left, and for a value that no row has.
    """
    columns = sorted({name for _, row in rows for name in row if name != BEYOND})
    wanted: dict[str, set[str]] = {}
    for condition in select:
        column, equals, value = (part.strip() for part in condition.partition("="))
        if not equals or column not in columns:
            raise RecordingsError(
                f"[recordings] select {condition!r} is not column=value with a column of the recordings:"
                f" {', '.join(columns)}"
            )
        values = dict.fromkeys(row.get(column, "") for _, row in rows)
        if not any(_fulfils(column, text, value) for text in values):
            raise RecordingsError(
                f"no recordings with {column}={value}; see [recordings] select in luigi.cfg; {column} is"
                f" {', '.join(_shortened(one) for one in list(values)[:_MOST_VALUES])}"
                f"{', ...' if len(values) > _MOST_VALUES else ''}"
            )
        wanted.setdefault(column, set()).add(value)
    left = [
        (origin, row)
        for origin, row in rows
        if all(any(_fulfils(one, row.get(one, ""), value) for value in of) for one, of in wanted.items())
    ]
    if rows and not left:
        raise RecordingsError(f"no recordings with {' and '.join(select)}; see [recordings] select in luigi.cfg")
    return left


def _fulfils(column: str, text: str, value: str) -> bool:
    return matches_kind(text, value) if column == "kind" else text == value


def _shortened(value: str) -> str:
    return f"{value[:_LONGEST_VALUE]}..." if len(value) > _LONGEST_VALUE else value or "blank"


def describe(
    row: Mapping[str, str], origin: str, declaration: Declaration, is_made: bool, headers: Headers
) -> Recording:
    """Return the recording of a row; what is wrong with it is in its `problems`.

    Blank cells have the value of the declaration, or else of the header of the recording, where a reader knows it: then
    all goes by that header. Raises RecordingsError for a session that can't name a folder.
    """
    problems: list[str] = []
    name = row.get("path", "")
    path = os.path.abspath(os.path.join(declaration.folder, name))
    is_known = name and not is_made and row.get("header_bytes", "") in ("", "0") and not declaration.header_bytes
    header = _ByHeader(row, declaration, headers.of(path, row) if is_known else None)

    def cell(
        column: str,
        convert: Callable[[str], Any],
        is_right: Callable[[Any], object],
        expected: str,
        default: Any = None,
    ) -> Any:
        text = row.get(column, "")
        try:
            value = convert(text) if text else default
            if value is None or is_right(value):
                return value
        except ValueError:
            value = text
        where = f"{origin}, column {column}" if text else f"luigi.cfg, [recordings] {column}"
        problems.append(f"{where}: {text or value!r} is not {expected}")
        return None

    session = row.get("session", "")
    check_folder_name(session, f"{origin}, column session")
    index = cell("index", _whole, lambda n: n >= 0, "a whole number from 0")
    if index is None and not problems:
        problems.append(f"{origin}, column index: there is no value")
    dtype = cell("dtype", str, BYTES_PER_VALUE.__contains__, _DTYPES, header.default("dtype"))
    channels = cell("channels", _whole, lambda n: n >= 1, "a whole number from 1", header.default("channels"))
    rate = cell(
        "sampling_rate_hz", _number, lambda x: 0 < x < math.inf, "a rate above 0", header.default("sampling_rate_hz")
    )
    skipped = cell("header_bytes", _whole, lambda n: n >= 0, "a whole number from 0", header.default("header_bytes"))
    scale = cell(
        "scale", _number, lambda x: math.isfinite(x) and x != 0, "a number other than 0", header.default("scale")
    )
    offset = cell("offset", _number, math.isfinite, "a number", header.default("offset"))
    sha256 = cell("sha256", str.lower, _SHA256.fullmatch, "a sha256 of 64 hexadecimal digits")
    start = cell("start_sample", _whole, lambda n: abs(n) < _MOST_COUNTED, "a whole number")
    use = cell("use", str.lower, ("yes", "no").__contains__, "yes or no", "yes")
    if BEYOND in row:
        problems.append(f"{origin}: {row[BEYOND]!r} stands right of the last column")

    if not name:
        problems.append(f"{origin}, column path: there is no value")
    recording = Recording(
        session=session,
        index=index,
        path=header.recorded.first_file.path if header.recorded else path,
        name=name,
        dtype=dtype,
        channels=channels,
        sampling_rate_hz=rate,
        header_bytes=skipped,
        scale=scale,
        offset=offset,
        unit=row.get("unit", "") or header.default("unit"),
        sha256=sha256 or "",
        columns={
            "parity": ("even", "odd")[index % 2] if index is not None else "",
            **{column: value for column, value in row.items() if column != BEYOND},
            "use": use or "yes",
        },
        origin=origin,
        problems=tuple(problems),
        made=is_made,
        recorded=header.recorded,
        is_encoded=header.recorded is not None and header.recorded.is_encoded,
    )
    if problems or is_made or recording.columns["use"] == "no":
        return recording
    if declaration.allow_missing and is_missing(path):
        return replace(recording, columns={**recording.columns, "use": "no", "reason": "it is not there any more"})
    if found := header.problems or _problems_of_file(recording, header, declaration):
        return replace(recording, problems=found)
    try:
        return _as_its_row_says(recording, start, declaration.partial_sample)
    except RecordingsError as error:
        return replace(recording, problems=(str(error),))


def _as_its_row_says(recording: Recording, start: int | None, partial_sample: str) -> Recording:
    """Return a recording with what its row says of its channels and counter, in place of what its header does.

    Raises RecordingsError.
    """
    row, recorded = recording.columns, recording.recorded
    if not any(row.get(column) for column in _OF_RECORDED):
        return recording
    if not recorded:
        found, channels = measure(recording, partial_sample), (Channel(""),) * recording.channels
        recorded = replace(found, sampling_rate_hz=recording.sampling_rate_hz, channels=channels)
    known = [channel.kind for channel in recorded.channels]
    kinds = read_kinds(row, recording.origin, known)
    if kinds != known:
        pairs = zip(recorded.channels, kinds, strict=True)
        recorded = replace(recorded, channels=tuple(replace(channel, kind=kind) for channel, kind in pairs))
    start = recorded.start_sample if start is None else start
    # Without a header, what is not named otherwise is the counter of the session.
    clock = row.get("clock") or recorded.clock or ("" if start is None or recording.recorded else recording.session)
    if (start, clock) != (recorded.start_sample, recorded.clock):
        recorded = replace(recorded, start_sample=start, clock=clock)
    return replace(recording, recorded=recorded)


class _ByHeader:
    """What the header of a recording says in place of the cells that a row leaves blank.

    A row that names a format is described by the header, whatever luigi.cfg says. So is any other one that leaves out
    dtype, channels or rate where luigi.cfg has none either; with these, it is raw samples as its row describes them.
    """

    def __init__(self, row: Mapping[str, str], declaration: Declaration, found: RecordedFile | None):
        self._row, self._declaration, self.found = row, declaration, found
        self.format = row["format"] if row.get("format", "") in FORMATS else ""
        is_format = found is not None and found.format == self.format
        is_whole = found is not None and not found.problems
        self.recorded = found if is_whole and (is_format or self._is_to_be_described()) else None
        # Who describes by hand what its header damaged is right; samples that don't lie there as they are stay wrong.
        self.problems = found.problems if found and (is_format or found.is_encoded) else ()
        if found and found.is_encoded and not found.problems and not self.recorded:
            self.problems = (
                f"{found.path} ({found.format}) has to be decoded, and so is no raw samples: write format ="
                f" {found.format} into its row, and leave dtype, channels and sampling_rate_hz blank",
            )
        self._known: dict[str, Any] = {}
        if self.recorded:
            scale, offset, unit = shared_scale(self.recorded.channels)
            self._known = {
                "dtype": self.recorded.dtype,
                "channels": len(self.recorded.channels),
                "sampling_rate_hz": self.recorded.sampling_rate_hz,
                "header_bytes": self.recorded.first_file.offset,
                "scale": scale,
                "offset": offset,
                "unit": unit,
            }

    def _is_to_be_described(self) -> bool:
        """Return whether the row names no format, nor is it raw samples by what it and luigi.cfg say."""
        if self.format or self._declaration.format == ("raw",):
            return False
        return any(map(self._is_lacking, ("dtype", "channels", "sampling_rate_hz")))

    def _is_lacking(self, name: str) -> bool:
        in_settings = getattr(self._declaration, name) != getattr(Declaration, name)
        return not self._row.get(name) and (bool(self.format) or not in_settings)

    def default(self, name: str) -> Any:
        """Return the value of a blank cell."""
        known = self._known.get(name)
        is_said = known not in (None, "") and self._is_lacking(name)
        return known if is_said else getattr(self._declaration, name)


def _problems_of_file(recording: Recording, header: _ByHeader, declaration: Declaration) -> tuple[str, ...]:
    """Return what is wrong with the file of a recording, or contradicts its header."""
    try:
        measure(recording, declaration.partial_sample)
    except RecordingsError as error:
        return (str(error),)
    if header.format and not header.recorded:
        return (f"{recording.origin}, column format: {recording.path} is not known as one of {header.format}",)
    said = header.found
    if not said or said.problems or (said.dtype, len(said.channels)) == (recording.dtype, recording.channels):
        return ()
    return (
        f"{recording.origin}: {recording.path} has {len(said.channels)} channels of {said.dtype} by"
        f" {(*said.sidecars, said.path)[0]} ({said.format}), declared are {recording.channels} of {recording.dtype};"
        " correct dtype and channels, or take that file away if it is of another recording",
    )


def _number(text: str) -> float:
    if "_" in text:  # Python would read 1_2 as 12
        raise ValueError(text)
    return float(text)


def _whole(text: str) -> int:
    # "3.0" is what a spreadsheet or pandas makes of 3. Not by way of a float, which can't hold all digits of an index
    # such as 20260131235959999.
    if match := _WHOLE.fullmatch(text):
        return int(match[1])
    number = _number(text)
    # Excel leaves 2.0260131E+16 of that one: the other digits are lost.
    if not number.is_integer() or abs(number) >= _LONG_IN_EXCEL:
        raise ValueError(text)
    return int(number)
