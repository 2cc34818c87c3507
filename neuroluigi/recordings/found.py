"""Recordings that describe themselves, as rows of a table of recordings, and what their headers say of each row."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from neuroluigi.recordings.channel_kinds import kind_columns
from neuroluigi.recordings.formats.find import AUTO, FORMATS, NEVER_GUESSED, find_recordings
from neuroluigi.recordings.formats.reader import Channel, RecordedFile
from neuroluigi.recordings.pattern import Row
from neuroluigi.recordings.recording import RecordingsError

_GUESSED = tuple(one for name, one in FORMATS.items() if name not in NEVER_GUESSED)

# The header of a stream of Open Ephys is two folders above its samples.
_OPEN_EPHYS_SAMPLES = "continuous.dat"
# Of many streams of a file the first ones are named.
_MOST_NAMED = 10


class Headers:
    """What the readers say of files, by the path of the recording or of its first samples; a folder is read once."""

    def __init__(self) -> None:
        self._known: dict[str, list[RecordedFile]] = defaultdict(list)
        # Of those that can't be read it is not known in which file the samples are: test.vhdr, test.eeg.
        self._by_stem: dict[str, list[RecordedFile]] = defaultdict(list)
        self._read: set[tuple[str, str]] = set()

    @property
    def are_unread(self) -> bool:
        """Whether no reader has found anything so far."""
        return not self._known

    def add(self, recordings: Iterable[RecordedFile]) -> None:
        """Add what was found."""
        for one in recordings:
            for path in {one.path, one.first_file.path}:
                self._known[path].append(one)
            if not one.parts:
                self._by_stem[os.path.splitext(one.path)[0]].append(one)

    def of(self, path: str, row: Mapping[str, str]) -> RecordedFile | None:
        """Return the recording in a file that a row is about, None where no reader knows it."""
        format = row.get("format", "")
        if not any(format in ("", one.format) for one in self._known.get(path, ())):
            self._read_folder_of(path, format if format in NEVER_GUESSED else "")
        known = self._known.get(path) or self._by_stem.get(os.path.splitext(path)[0], [])
        return _one_of(path, [one for one in known if one.format == format] or known, row)

    def _read_folder_of(self, path: str, named: str) -> None:
        """Read the headers in the folder of a file, of all formats but those that have to be `named`."""
        folder, name = os.path.split(path)
        if name == _OPEN_EPHYS_SAMPLES:
            folder = os.path.dirname(os.path.dirname(folder))
        if (folder, named) in self._read:
            return
        self._read.add((folder, named))
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            # That the file can't be read is told where it is measured.
            return
        for one in [FORMATS[named]] if named else _GUESSED:
            if one.claims(folder, names):
                self.add(one.recordings_in(folder, names))


def _one_of(path: str, recordings: Sequence[RecordedFile], row: Mapping[str, str]) -> RecordedFile | None:
    """Return the recording in a file that a row is about, by its stream, and its index where there are several.

    Where the row leaves that open, it is one with that problem.
    """
    left = recordings
    for name in ("stream", "index"):
        if len(left) > 1:
            left = [one for one in left if row.get(name, "") in ("", one.columns.get(name, ""))]
    if len(left) == 1 or not recordings:
        return left[0] if left else None
    streams = dict.fromkeys(one.columns.get("stream", "") for one in recordings)
    problem = (
        f"{path} has {len(recordings)} recordings; say in the columns stream and index which one (neuroluigi recordings"
        f" --csv writes them): stream is one of {', '.join(list(streams)[:_MOST_NAMED])}"
    )
    return RecordedFile(recordings[0].format, path, recordings[0].columns, problems=(problem,))


def found_rows(
    root: Path, formats: tuple[str, ...], results: str, headers: Headers, notify: Callable[[str], object]
) -> list[Row]:
    """Return (origin, columns) of each recording below the root, and add what is known of it to the headers.

    `notify` gets a sentence for each folder that can't be looked at. Raises RecordingsError for an unknown format.
    """
    formats = AUTO if formats == ("auto",) else formats
    if unknown := [name for name in formats if name not in FORMATS]:
        raise RecordingsError(
            f"[recordings] format: {unknown[0]} is none of auto, raw, {', '.join(FORMATS)}; auto and raw stand alone"
        )
    recordings, problems = find_recordings(str(root), formats, [results])
    for problem in problems:
        notify(problem)
    headers.add(recordings)
    rows = [(one.path, _columns_of(one, root)) for one in recordings]
    # As in a table, each row has all columns.
    blank = dict.fromkeys((name for _, columns in rows for name in columns), "")
    return [(origin, {**blank, **columns}) for origin, columns in rows]


def _columns_of(recorded: RecordedFile, root: Path) -> dict[str, str]:
    """Return the columns of a recording, as a table has them."""
    path = Path(os.path.relpath(recorded.path, root)).as_posix()
    first = {name: recorded.columns[name] for name in ("session", "index")}
    columns = {**first, "path": path, "format": recorded.format, "processing": "none", **recorded.columns}
    if recorded.problems:
        return columns
    return {
        **columns,
        "dtype": recorded.dtype,
        "channels": str(len(recorded.channels)),
        "sampling_rate_hz": rate_as_text(recorded.sampling_rate_hz),
        "samples": str(recorded.samples),
        **counter_and_kinds(recorded),
    }


def counter_and_kinds(recorded: RecordedFile) -> dict[str, str]:
    """Return the columns of a recording that say when it began and what its channels are."""
    start = recorded.start_sample
    counter = {"start_sample": "" if start is None else str(start), "clock": recorded.clock}
    return {**counter, **kind_columns([one.kind for one in recorded.channels])}


def rate_as_text(rate: float | None) -> str:
    """Return a rate with all its digits."""
    return "" if rate is None else repr(float(rate)).removesuffix(".0")


def shared_scale(channels: Iterable[Channel]) -> tuple[float | None, float | None, str]:
    """Return scale, offset and unit that all channels have in common; None and "" where they differ."""
    found = {(one.scale, one.offset, one.unit) for one in channels}
    return found.pop() if len(found) == 1 else (None, None, "")
