"""Find recordings, describe them and group them; everything that is wrong with one is said in words.

A recording is a flat little-endian binary file, channels interleaved. Nothing here knows of Luigi or starts anything.
"""

import csv
import functools
import glob
import hashlib
import io
import math
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

BYTES_PER_VALUE = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "int32": 4, "float32": 4, "float64": 8}

# What lies in the folder of results and is not a group's.
RESERVED_KEYS = ("recordings", "study", "runs", "run.json", "run.log", "report.html", "ro-crate-metadata.json")

# File systems take names of up to 255 bytes; temporary files add to the name of the group's files, not to the group's.
LONGEST_NAME = 255

# Of many problems of one kind the first ones are named.
_MOST_NAMED = 5

# Where a row keeps what stands right of its last column; no column of a table has such a name.
_BEYOND = "\0beyond"


class RecordingsError(ValueError):
    """Recordings that can't be found, described or grouped; the message says which, where, and what to set."""


@dataclass(frozen=True)
class Declaration:
    """What luigi.cfg says of the recordings: where they are, how they are grouped, what holds where no table tells."""

    root: str = ""
    table: str = ""
    pattern: str = "{session}/rec_{index}.bin"
    select: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ("session",)
    dtype: str = "uint8"
    channels: int = 1
    sampling_rate_hz: float | None = None
    header_bytes: int = 0
    scale: float | None = None
    offset: float | None = None
    unit: str = ""
    partial_sample: str = "fail"
    allow_missing: bool = False

    @property
    def folder(self) -> Path:
        """The folder to which paths are relative; where nothing is set, the one for recordings that are made."""
        if self.root or not self.table:
            return Path(self.root or "recordings")
        return Path(self.table).parent


@dataclass(frozen=True)
class Recording:
    """One file of samples; `problems` says what is wrong with it, and then the other fields can't be relied on.

    `name` is the path as declared (relative to the root where it can be), `columns` every column of its row, `place`
    the row itself ("recordings.csv, row 3"). `group` is the key of its group where another group has a recording of
    the same session and index (two probes of one session), else blank.
    """

    session: str
    index: int
    path: str
    name: str
    dtype: str
    channels: int
    sampling_rate_hz: float | None
    header_bytes: int
    scale: float | None
    offset: float | None
    unit: str
    sha256: str
    columns: Mapping[str, str] = field(hash=False)
    place: str
    problems: tuple[str, ...] = ()
    made: bool = False
    group: str = ""

    @property
    def identity(self) -> tuple[str, int, str]:
        """What tells the recording from every other one."""
        return self.session, self.index, self.group

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of all channels."""
        return BYTES_PER_VALUE[self.dtype] * self.channels


@dataclass(frozen=True)
class Group:
    """The recordings that share the values of the group_by columns, in index order, and those left out (`use` = no)."""

    key: str
    values: Mapping[str, str] = field(hash=False)
    recordings: tuple[Recording, ...]
    excluded: tuple[Recording, ...]
    problems: tuple[str, ...]


def find_groups(declaration: Declaration, made: Iterable[Mapping[str, str]] = ()) -> dict[str, Group]:
    """Find all recordings and group them.

    `made` are rows (session, index, path) of recordings that the pipeline makes itself, used where neither root nor
    table is set. Raises RecordingsError for what concerns the whole; what concerns one group is in its `problems`.
    """
    is_made = not (declaration.root or declaration.table)
    rows = _numbered("made", list(made)) if is_made else _declared_rows(declaration)
    recordings = [_describe(row, place, declaration, is_made) for place, row in _selected(rows, declaration.select)]
    return _group(recordings, declaration)


def _numbered(what: str, rows: list[Mapping[str, str]]) -> list[tuple[str, Mapping[str, str]]]:
    if not rows:
        raise RecordingsError(
            "no recordings: [recordings] root and table are blank in luigi.cfg and no task makes recordings;"
            " set root (--recordings-root FOLDER)"
        )
    return [(f"{what} recording {row['session']}/{row['index']}", row) for row in rows]


def _declared_rows(declaration: Declaration) -> list[tuple[str, dict[str, str]]]:
    root = declaration.folder
    if declaration.root and not root.is_dir():
        raise RecordingsError(f"recordings folder {root} is not there; see [recordings] root (--recordings-root)")
    table = Path(declaration.table) if declaration.table else root / "recordings.csv"
    # A recordings.csv that can't be read is an error, not a reason to go by the pattern.
    if declaration.table or os.path.lexists(table):
        rows = _table_rows(table)
        settings = f"table {table}"
    else:
        rows = _pattern_rows(root, declaration.pattern)
        settings = f"{root} by pattern {declaration.pattern} (and no recordings.csv is there)"
    if not rows:
        raise RecordingsError(f"no recordings in {settings}; see [recordings] root, table and pattern in luigi.cfg")
    return rows


def _table_rows(table: Path) -> list[tuple[str, dict[str, str]]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingsError(
            f"can't read the table of recordings {table}: {error}; it is a CSV file in UTF-8, see [recordings] table"
        ) from error
    if "\0" in text:
        raise RecordingsError(
            f"can't read the table of recordings {table}: it has binary content, not CSV text; see [recordings] table"
        )
    first_line = text.split("\n", 1)[0]
    # Spreadsheets of half of Europe write semicolons.
    delimiter = max(",;\t", key=first_line.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise RecordingsError(f"can't read the table of recordings {table}: {error}; see [recordings] table") from error
    header = [name.strip() for name in lines[0]] if lines else []
    # Spreadsheets also save columns that were emptied.
    while header and not header[-1]:
        header.pop()
    missing = [name for name in ("session", "index", "path") if name not in header]
    if missing:
        raise RecordingsError(
            f"the table of recordings {table} has no column {', '.join(missing)}; its columns are:"
            f" {', '.join(header) or '(none)'}; see [recordings] table"
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise RecordingsError(
            f"the table of recordings {table} has more than one column {', '.join(map(repr, twice))};"
            " see [recordings] table"
        )
    rows = []
    # Rows are counted as a spreadsheet shows them: the header is row 1.
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            row[_BEYOND] = cells[len(header)]
        rows.append((f"{table}, row {number}", row))
    return rows


def _pattern_rows(root: Path, pattern: str) -> list[tuple[str, dict[str, str]]]:
    pieces = re.split(r"\{(\w+)\}", pattern)
    names = pieces[1::2]
    missing = [name for name in ("session", "index") if name not in names]
    if missing:
        raise RecordingsError(
            f"[recordings] pattern {pattern} has no {{{missing[0]}}}; an example: {{session}}/rec_{{index}}.bin"
        )
    unusable = [name for name in names if not name.isidentifier()]
    if unusable:
        raise RecordingsError(
            f"[recordings] pattern {pattern}: {{{unusable[0]}}} is no name of a column; it has to begin with a letter"
        )
    regex, wildcard, seen = "", "", set()
    for position, piece in enumerate(pieces):
        if position % 2 == 0:
            regex += re.escape(piece)
            wildcard += glob.escape(piece)
            continue
        if piece in seen:
            regex += f"(?P={piece})"
        else:
            regex += f"(?P<{piece}>{r'[0-9]+' if piece == 'index' else '[^/]+?'})"
        seen.add(piece)
        wildcard += "*"
    rows = []
    for name in sorted(glob.glob(wildcard, root_dir=root)):  # Path.glob has no root_dir and no escape
        match = re.fullmatch(regex, name.replace(os.sep, "/"))
        path = os.path.join(root, name)
        if match and os.path.isfile(path):
            rows.append((path, {**match.groupdict(), "path": name}))
    return rows


def _selected(
    rows: list[tuple[str, Mapping[str, str]]], select: tuple[str, ...]
) -> list[tuple[str, Mapping[str, str]]]:
    for condition in select:
        column, equals, value = (part.strip() for part in condition.partition("="))
        columns = sorted({name for _, row in rows for name in row if name != _BEYOND})
        if not equals or column not in columns:
            raise RecordingsError(
                f"[recordings] select {condition!r} is not column=value with a column of the recordings:"
                f" {', '.join(columns)}"
            )
        rows = [(place, row) for place, row in rows if row.get(column, "") == value]
        if not rows:
            raise RecordingsError(f"no recordings with {column}={value}; see [recordings] select in luigi.cfg")
    return rows


def _describe(row: Mapping[str, str], place: str, declaration: Declaration, is_made: bool) -> Recording:
    problems = []

    def cell(column: str, convert, is_right, expected: str, default=None):
        text = row.get(column, "")
        if text == "":
            value, where = default, f"luigi.cfg, [recordings] {column}"
            if value is None:
                return None
        else:
            where = f"{place}, column {column}"
            try:
                value = convert(text)
            except ValueError:
                problems.append(f"{where}: {text!r} is not {expected}")
                return None
        if not is_right(value):
            problems.append(f"{where}: {text or value!r} is not {expected}")
            return None
        return value

    session = row.get("session", "")
    check_name(session, f"{place}, column session")
    index = cell("index", _whole, lambda n: n >= 0, "a whole number from 0")
    if index is None and not problems:
        problems.append(f"{place}, column index: there is no value")
    dtype = cell(
        "dtype", str, lambda d: d in BYTES_PER_VALUE, f"one of {', '.join(BYTES_PER_VALUE)}", declaration.dtype
    )
    channels = cell("channels", _whole, lambda n: n >= 1, "a whole number from 1", declaration.channels)
    rate = cell("sampling_rate_hz", _number, lambda x: 0 < x < math.inf, "a rate above 0", declaration.sampling_rate_hz)
    header = cell("header_bytes", _whole, lambda n: n >= 0, "a whole number from 0", declaration.header_bytes)
    scale = cell("scale", _number, lambda x: math.isfinite(x) and x != 0, "a number other than 0", declaration.scale)
    offset = cell("offset", _number, math.isfinite, "a number", declaration.offset)
    sha256 = cell("sha256", str.lower, re.compile("[0-9a-f]{64}").fullmatch, "a sha256 of 64 hexadecimal digits")
    use = cell("use", str.lower, ("yes", "no").__contains__, "yes or no", "yes")
    if _BEYOND in row:
        problems.append(f"{place}: {row[_BEYOND]!r} stands right of the last column")

    name = row.get("path", "")
    path = os.path.abspath(os.path.join(declaration.folder, name))
    if not name:
        problems.append(f"{place}, column path: there is no value")
    recording = Recording(
        session=session,
        index=index,
        path=path,
        name=name,
        dtype=dtype,
        channels=channels,
        sampling_rate_hz=rate,
        header_bytes=header,
        scale=scale,
        offset=offset,
        unit=row.get("unit", "") or declaration.unit,
        sha256=sha256 or "",
        columns={
            "parity": ("even", "odd")[index % 2] if index is not None else "",
            **{column: value for column, value in row.items() if column != _BEYOND},
            "use": use or "yes",
        },
        place=place,
        problems=tuple(problems),
        made=is_made,
    )
    if problems or is_made or recording.columns["use"] == "no":
        return recording
    if declaration.allow_missing and not os.path.exists(path):
        return replace(recording, columns={**recording.columns, "use": "no", "reason": "it is not there any more"})
    try:
        measure(recording, declaration.partial_sample)
    except RecordingsError as error:
        return replace(recording, problems=(str(error),))
    return recording


def _number(text: str) -> float:
    if "_" in text:  # Python would read 1_2 as 12
        raise ValueError(text)
    return float(text)


def _whole(text: str) -> int:
    number = _number(text)  # "3.0" is what a spreadsheet or pandas makes of 3
    if not number.is_integer():
        raise ValueError(text)
    # A float has no room for the digits of an index such as 20260131235959999.
    return int(text) if text.lstrip("+-").isdigit() else int(number)


def measure(
    recording: Recording, partial_sample: str, path: str = "", header_bytes: int | None = None, size: int | None = None
) -> tuple[int, int]:
    """Return (samples per channel, bytes of an incomplete last sample) of a recording's file.

    `path` and `header_bytes` name another file with the same samples, such as the result of a step per recording;
    `size` is what it has, where it is not there yet.
    Raises RecordingsError where the file is not there, has no samples, or ends in the middle of one and `partial_sample`
    is not "drop".
    """
    path = path or recording.path
    header_bytes = recording.header_bytes if header_bytes is None else header_bytes
    try:
        size = _size_of(path) if size is None else size
    except OSError as error:
        raise RecordingsError(
            f"{recording.place}, column path: {recording.name!r} can't be read as a file ({path}: {error.strerror})"
        ) from error
    samples, rest = divmod(size - header_bytes, recording.bytes_per_sample)
    if samples <= 0:
        raise RecordingsError(
            f"{recording.place}: {path} has no samples: {size} bytes, header {header_bytes} bytes,"
            f" {recording.bytes_per_sample} bytes per sample ({recording.dtype}, {recording.channels} channels)"
        )
    if rest and partial_sample != "drop":
        raise RecordingsError(
            f"{recording.place}: {path} has {size} bytes, header {header_bytes} bytes; that is not a whole number of"
            f" samples of {recording.bytes_per_sample} bytes ({recording.dtype}, {recording.channels} channels),"
            f" {rest} bytes are left; check dtype and channels, or set [recordings] partial_sample = drop to drop them"
        )
    return samples, rest


def _size_of(path: str) -> int:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise OSError(0, "it is not there") from None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no regular file")
    return found.st_size


@functools.lru_cache(maxsize=1 << 16)
def check_name(name: str, what: str) -> None:
    """Refuse a session or group name that is no safe folder name on every machine; `what` says where it stands."""
    reason = ""
    if not name.strip():
        reason = "it is empty"
    elif name[0] in ".-":
        reason = f"it begins with {name[0]!r}"
    elif ".." in name:
        reason = "it contains '..'"
    elif any(character in "/\\" for character in name):
        reason = "it contains a path separator"
    elif any(unicodedata.category(character) == "Cs" for character in name):
        reason = "it is not valid UTF-8"
    elif any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        reason = "it contains a control character"
    elif len(name.encode("utf-8")) > LONGEST_NAME:
        reason = f"it is longer than {LONGEST_NAME} bytes"
    if reason:
        raise RecordingsError(f"{what}: {name!r} can't name a folder: {reason}")


def _group(recordings: list[Recording], declaration: Declaration) -> dict[str, Group]:
    members: dict[tuple[str, ...], list[Recording]] = {}
    for recording in recordings:
        for column in declaration.group_by:
            if column not in recording.columns:
                raise RecordingsError(
                    f"[recordings] group_by = {', '.join(declaration.group_by)}: {recording.place} has no column"
                    f" {column}; its columns are: {', '.join(recording.columns)}"
                )
        members.setdefault(tuple(recording.columns[c] for c in declaration.group_by), []).append(recording)
    groups: dict[str, Group] = {}
    for values, rows in members.items():
        key = "-".join(values)
        named = ", ".join(f"{c}={v}" for c, v in zip(declaration.group_by, values, strict=True))
        for column, value in zip(declaration.group_by, values, strict=True):
            if not value and rows[0].problems:
                raise RecordingsError(f"{rows[0].problems[0]}; so its group is not known")
            check_name(value, f"{rows[0].place}, column {column}")
        check_name(key, f"group {named}")
        if key.casefold() in RESERVED_KEYS:
            raise RecordingsError(f"group {named}: in the folder of results, {key} is kept for what is not a group's")
        if key in groups:
            other = ", ".join(f"{c}={v}" for c, v in groups[key].values.items())
            raise RecordingsError(
                f"two groups have the key {key}: {other} ({groups[key].recordings[0].place}) and {named}"
                f" ({rows[0].place}); change [recordings] group_by or the names"
            )
        used = sorted(
            (r for r in rows if r.columns["use"] == "yes"), key=lambda r: (r.index is None, r.index, r.session)
        )
        if used:
            problems = [*(p for r in used for p in r.problems), *_duplicates(used)]
            groups[key] = Group(
                key=key,
                values=dict(zip(declaration.group_by, values, strict=True)),
                recordings=tuple(used),
                excluded=tuple(r for r in rows if r.columns["use"] == "no"),
                problems=_first(problems or [*_listed_twice(used), *_differences(used)]),
            )
    if not groups:
        raise RecordingsError("every recording is left out by use = no; there is nothing to analyse")
    return _told_apart(groups)


def groups_of_layouts(layouts: Mapping[str, Mapping], declaration: Declaration) -> dict[str, Group]:
    """Return the groups by their key whose layouts (see lay_out) were recorded, where the recordings are elsewhere."""
    groups = {}
    for key, layout in layouts.items():
        recordings = tuple(
            Recording(
                session=row["session"],
                index=row["index"],
                path=os.path.abspath(os.path.join(declaration.folder, row["path"])),
                name=row["path"],
                dtype=layout["dtype"],
                channels=layout["channels"],
                sampling_rate_hz=layout.get("sampling_rate_hz"),
                header_bytes=declaration.header_bytes,
                scale=layout.get("scale"),
                offset=layout.get("offset"),
                unit=layout.get("unit", ""),
                sha256="",
                columns={**{name: str(row[name]) for name in ("session", "index", "path")}, "use": "yes"},
                place=f"the run record of {key}",
            )
            for row in layout["recordings"]
        )
        groups[key] = Group(key=key, values={}, recordings=recordings, excluded=(), problems=())
    return _told_apart(groups)


def check_apart(groups: Mapping[str, Group], results: Path) -> None:
    """Refuse a folder of results in which a group's files would lie among recordings, which are never written to."""
    for group in groups.values():
        for recording in group.recordings:
            if recording.path.startswith(f"{results}{os.sep}"):
                top = Path(recording.path).relative_to(results).parts
                if len(top) == 1 or top[0] in groups:
                    raise RecordingsError(
                        f"the results would lie among the recordings, such as {recording.path}; choose another folder"
                        " with [results] root (--results-root)"
                    )


def _first(problems: list[str], most: int = 20) -> tuple[str, ...]:
    more = [f"and {len(problems) - most} more problems of this group"] if len(problems) > most else []
    return (*problems[:most], *more)


def _told_apart(groups: dict[str, Group]) -> dict[str, Group]:
    """Give recordings of several groups that share session and index their group's key."""
    owners: dict[tuple[str, int], set[str]] = {}
    for key, group in groups.items():
        for recording in group.recordings:
            owners.setdefault((recording.session, recording.index), set()).add(key)
    return {
        key: replace(
            group,
            recordings=tuple(
                replace(r, group=key) if len(owners[r.session, r.index]) > 1 else r for r in group.recordings
            ),
        )
        for key, group in groups.items()
    }


def _duplicates(recordings: list[Recording]) -> list[str]:
    by_identity: dict[tuple[str, int], list[Recording]] = {}
    for recording in recordings:
        if recording.index is not None:
            by_identity.setdefault((recording.session, recording.index), []).append(recording)
    return [
        f"{recording.place}, columns session and index: {recording.session}/{recording.index} is there twice,"
        f" also at {', '.join(r.place for r in same[:_MOST_NAMED] if r is not recording)}; to tell them apart,"
        " group by another column too, or select"
        for same in by_identity.values()
        if len(same) > 1
        for recording in same[:_MOST_NAMED]
    ]


def _listed_twice(recordings: list[Recording]) -> list[str]:
    first: dict[str, Recording] = {}
    return [
        f"{recording.place}, column path: {recording.name!r} is in this group already, at {first[recording.path].place}"
        for recording in recordings
        if first.setdefault(recording.path, recording) is not recording
    ]


def _differences(recordings: list[Recording]) -> list[str]:
    first = recordings[0]
    return [
        f"recordings of one group differ in {name}: {first.path} has {getattr(first, name)},"
        f" {other.path} has {getattr(other, name)} ({first.place}; {other.place})"
        for other in recordings[1:]
        for name in ("dtype", "channels", "sampling_rate_hz", "scale", "offset", "unit")
        if getattr(first, name) != getattr(other, name)
    ]


def lay_out(
    group: Group,
    files: Iterable[tuple[str, int]],
    partial_sample: str,
    contiguous: bool,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, object]:
    """Describe the concatenation of a group's recordings: the content of aggregate.json.

    `files` are (path, header bytes) of the recordings in order, `sizes` the bytes of those not there yet. `segments`
    are the 0-based samples at which a stretch without a gap begins: a sample there has no predecessor. Raises
    RecordingsError for a group with problems.
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


def is_layout(content: object) -> bool:
    """Whether a piece of data says where each recording of a concatenation begins, as what lay_out returns does."""
    if not isinstance(content, dict):
        return False
    rows, rate = content.get("recordings"), content.get("sampling_rate_hz", 1)
    if not (isinstance(rows, list) and rows and isinstance(rate, (int, float)) and rate > 0):
        return False
    kinds = {"session": str, "index": int, "first_sample": int}
    return all(
        isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in kinds.items()) for row in rows
    )


def fake_samples(session: str, index: int, size: int) -> bytes:
    """Return `size` pseudorandom bytes that depend on session and index alone, the same on every machine."""
    return hashlib.shake_256(f"{session}/{index}".encode()).digest(size)


def data_bytes(layout: Mapping) -> list[int]:
    """Return the bytes of samples that each recording of a layout has."""
    return [row["samples"] * layout["channels"] * BYTES_PER_VALUE[layout["dtype"]] for row in layout["recordings"]]
