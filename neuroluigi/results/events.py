"""The events of a group, read in blocks: what the arrays say of each, with recording, seconds, name and amplitude."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroluigi.provenance.files import read_json
from neuroluigi.recordings.concatenation import describe_channels, is_concatenation
from neuroluigi.recordings.sample_times import SampleTimes
from neuroluigi.results.clocks import clock_maps
from neuroluigi.results.event_array import LINES, EventArray
from neuroluigi.results.output import Cell
from neuroluigi.results.physical import Measure, has_offset, measure_of
from neuroluigi.results.query import COMPARE, Condition, QueryError, as_typed_number, parse_condition
from neuroluigi.results.recorded import recorded_results

EVENT_COLUMNS = ("session", "index", "sample", "recording_sample", "channel", "seconds", "recording_seconds")

# Columns of text; all others have numbers alone.
_TEXTS = ("session", "name", "line", "unit")


class _Listed(NamedTuple):
    """A column of which each event has one of few cells: cells[which]."""

    which: np.ndarray
    cells: Sequence[Cell]


if TYPE_CHECKING:
    # A float that is not known is NaN.
    _Column = np.ndarray | _Listed


def read_events(
    folder: Path, files: Sequence[Path], name: str, where: Iterable[str] = (), as_counts: bool = False
) -> tuple[list[str], Iterator[list[tuple[Cell, ...]]]]:
    """Return columns, and blocks of rows of the events in <folder>/<name>.npy, in the order of the file.

    The columns are EVENT_COLUMNS, `name` where channels have names, and what else the array has: bit, value and `line`,
    its name; end, peak, polarity, and amplitude with `unit`, where there are amplitudes. These are in the unit of the
    channel, where its scale and unit are known, unless `as_counts`. Only events for which all conditions of `where`
    hold are among the rows.

    `files` are those of the results, there or not; others are not looked at. `name` is "" for the only array of events
    among them. Samples are counted from 0, `sample` from the beginning of the concatenation; `seconds` are since the
    session's first sample in the group, with the samples that are missing by a counter, and those that were left out as
    repeated, and None where the sampling rate, or how many are missing, is not known. Where the session's streams are
    aligned, `seconds` are those since its first sample on the reference. Raises QueryError at once where there is no
    such file, or no description of where each recording begins, or where a condition names no column.
    """
    columns, blocks = _open_events(folder, files, name, where, as_counts)
    return columns, _rows(columns, blocks)


def read_event_arrays(
    folder: Path, files: Sequence[Path], name: str, where: Iterable[str] = (), as_counts: bool = False
) -> dict[str, np.ndarray]:
    """Return an array per column of the events that read_events() has: numbers, NaN where not known, or objects."""
    columns, blocks = _open_events(folder, files, name, where, as_counts)
    parts: dict[str, list[np.ndarray]] = {one: [] for one in columns}
    for block in blocks:
        for one, so_far in parts.items():
            so_far.append(_as_array(block[one]))
    return {one: np.concatenate(so_far) if so_far else np.zeros(0) for one, so_far in parts.items()}


def _open_events(
    folder: Path, files: Sequence[Path], name: str, where: Iterable[str], as_counts: bool
) -> tuple[list[str], Iterator[dict[str, _Column]]]:
    there = [one for one in files if one.is_file()]
    arrays = {one.stem: one for one in there if one.suffix == ".npy"}
    name = name or _only_events(folder, arrays)
    if name not in arrays:
        missing = next((one for one in files if one.name == f"{name}.npy"), folder / f"{name}.npy")
        raise QueryError(f"{missing} does not exist (yet); arrays of this group: {', '.join(arrays) or 'none'}")
    path = arrays[name]
    layout = _find_layout(folder, there, path)
    with contextlib.ExitStack() as opened:
        array = _open(path, opened)
        if not array.is_events:
            raise QueryError(
                f"{path} has no events: it is {array.dtype} of shape {array.shape}, not int64 of shape (events, 2),"
                " (events, 4) or (events, 5)"
            )
        beside = path.with_name(f"{path.stem}_amplitudes.npy")
        amplitudes = _open(beside, opened) if beside in there and array.shape[1] == 5 else None
        if amplitudes and amplitudes.shape != array.shape[:1]:
            raise QueryError(f"{beside} has shape {amplitudes.shape}, and {path.name} {array.shape[0]} events")
        summary = path.with_suffix(".json")
        said = (read_json(summary) if summary in there else None) or {}
        view = _View(layout, said, array, amplitudes, as_counts, SampleTimes(layout, clock_maps(layout, folder)))
        numeric = [one for one in view.columns if one not in _TEXTS]
        conditions = [parse_condition(text, view.columns, numeric) for text in where]
        return view.columns, _blocks(view, conditions, opened.pop_all())


def _open(path: Path, opened: contextlib.ExitStack) -> EventArray:
    try:
        return EventArray(opened.enter_context(path.open("rb")))
    except ValueError as error:
        raise QueryError(f"{path} has no events: {error}") from error


def _only_events(folder: Path, arrays: Mapping[str, Path]) -> str:
    """Return the name of the only array of events among these; QueryError where there is none, or several."""
    found = []
    for name, path in arrays.items():
        with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
            if EventArray(file).is_events:
                found.append(name)
    if len(found) != 1:
        raise QueryError(
            f"which events of {folder.name}? Choose with --name one of: {', '.join(found)}"
            if found
            else f"there are no events in {folder} (yet)"
        )
    return found[0]


def _find_layout(folder: Path, files: Sequence[Path], array: Path) -> dict:
    """Return the layout of the concatenation (see recordings.lay_out), from the file or the run record that has one."""
    # Of a variant, what it shares with the base lies in another folder.
    folders = dict.fromkeys([folder, *(one.parent for one in files)])
    recorded = [result for one in folders for result in recorded_results(one)]
    # What is filtered, or downsampled, has a layout of its own: first comes what the step of the events was given.
    records = (one.record or {} for one in recorded if array in one.outputs)
    given = {Path(one["path"]).name for record in records for one in record.get("inputs", ()) if "path" in one}
    layouts = sorted((path for path in files if path.suffix == ".json"), key=lambda path: path.name not in given)
    contents: list[dict | None] = [read_json(path) for path in layouts]
    # The file of one that is dropped is gone, its record stays.
    for one in recorded:
        contents += (one.record or {}).get("fingerprint", {}).values()
    for content in contents:
        if content is not None and is_concatenation(content):
            return content
    raise QueryError(f"no JSON file in {folder} describes where each recording begins")


def _blocks(view: _View, conditions: Sequence[Condition], opened: contextlib.ExitStack) -> Iterator[dict[str, _Column]]:
    """Yield the columns of the events for which all conditions hold, block by block."""
    with opened:
        for columns in view.blocks():
            for one in conditions:
                chosen = _holds(one, columns[one.column])
                columns = {name: _take(column, chosen) for name, column in columns.items()}
            yield columns


def _rows(names: Sequence[str], blocks: Iterable[Mapping[str, _Column]]) -> Iterator[list[tuple[Cell, ...]]]:
    for columns in blocks:
        if rows := list(zip(*(_cells(columns[name]) for name in names), strict=True)):
            yield rows


def _holds(condition: Condition, column: _Column) -> np.ndarray:
    """Return for each event whether the condition holds, as Condition.holds() says it."""
    if isinstance(column, _Listed):
        return np.array([condition.holds({condition.column: cell}) for cell in column.cells])[column.which]
    number = as_typed_number(condition.wanted)
    if number is None:
        return np.array([condition.holds({condition.column: cell}) for cell in _cells(column)])
    is_whole = column.dtype.kind == "i" and number == number.to_integral_value() and abs(number) < 1 << 63
    return COMPARE[condition.sign](column, int(number) if is_whole else float(number))


def _take(column: _Column, chosen: np.ndarray) -> _Column:
    return column._replace(which=column.which[chosen]) if isinstance(column, _Listed) else column[chosen]


def _as_array(column: _Column) -> np.ndarray:
    return np.array(column.cells, object)[column.which] if isinstance(column, _Listed) else column


def _cells(column: _Column) -> list[Cell]:
    if isinstance(column, _Listed):
        return _as_array(column).tolist()
    cells = column.tolist()
    return [None if one != one else one for one in cells] if column.dtype.kind == "f" else cells


class _View:
    """The columns of an array of events, by the layout of its concatenation and what its own JSON file says."""

    def __init__(
        self,
        layout: Mapping,
        said: Mapping,
        array: EventArray,
        amplitudes: EventArray | None,
        as_counts: bool,
        times: SampleTimes,
    ):
        self._array, self._amplitudes = array, amplitudes
        self._times, rows = times, layout["recordings"]
        self._sessions, self._indices = ([row[name] for row in rows] for name in ("session", "index"))
        channels = describe_channels(layout)
        # The last one is for a channel that is none of the recording, as lines of other files are.
        self._names: list[Cell] = [*(str(one.get("name") or "") or None for one in channels), None]
        # Without its band nothing is known of the offset.
        known = [measure_of(one, as_counts or "band" not in said) for one in channels]
        self._measures, self._has_offset = [*known, Measure()], has_offset(said)
        self._lines = _names_of_lines(said)
        has_names = any(self._names)
        self.columns = [*EVENT_COLUMNS, *(["name"] if has_names else []), *array.more_columns]
        if array.more_columns == LINES and self._lines:
            self.columns.append("line")
        if amplitudes:
            self.columns += ["amplitude", *(["unit"] if any(one.unit for one in self._measures) else [])]

    def blocks(self) -> Iterator[dict[str, _Column]]:
        """Yield the columns, for up to 65,536 events at a time."""
        amplitudes = self._amplitudes.blocks() if self._amplitudes else None
        for block in self._array.blocks():
            sample, channel, *more = block.T
            which = np.where((channel >= 0) & (channel < len(self._names) - 1), channel, len(self._names) - 1)
            columns: dict[str, _Column] = {**self._places_of(sample), "channel": channel}
            columns["name"] = _Listed(which, self._names)
            columns |= zip(self._array.more_columns, more, strict=True)
            if "line" in self.columns:
                columns["line"] = self._lines_of(channel, more[0])
            if amplitudes:
                columns["amplitude"] = self._in_units(next(amplitudes), which)
                columns["unit"] = _Listed(which, [one.unit or None for one in self._measures])
            yield columns

    def _places_of(self, sample: np.ndarray) -> dict[str, _Column]:
        """Return the columns of EVENT_COLUMNS but channel."""
        which = self._times.recording_of(sample)
        return {
            "session": _Listed(which, self._sessions),
            "index": _Listed(which, self._indices),
            "sample": sample,
            "recording_sample": self._times.in_recording(sample),
            "seconds": self._times.seconds(sample),
            "recording_seconds": self._times.seconds_in_recording(sample),
        }

    def _in_units(self, amplitudes: np.ndarray, which: np.ndarray) -> np.ndarray:
        scale, offset = (np.array([getattr(one, name) for one in self._measures]) for name in ("scale", "offset"))
        return scale[which] * amplitudes + (offset[which] if self._has_offset else 0)

    def _lines_of(self, channel: np.ndarray, bit: np.ndarray) -> _Listed:
        # No word has as many bits.
        lines, which = np.unique(channel * 256 + bit, return_inverse=True)
        return _Listed(which, [self._lines.get(divmod(one, 256)) for one in lines.tolist()])


def _names_of_lines(said: Mapping[str, Any]) -> dict[tuple[int, int], str]:
    """Return the name of each (channel, bit), of the lists of objects in lines.json that have all three."""
    objects = (one for value in said.values() if isinstance(value, list) for one in value if isinstance(one, dict))
    named = (one for one in objects if one.get("name") and {"channel", "bit"} <= one.keys())
    return {(one["channel"], one["bit"]): str(one["name"]) for one in named}
