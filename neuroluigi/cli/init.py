"""The command `init`: find the recordings of a folder, and write what a pipeline on them needs."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from neuroluigi.cli.first_files import command_to_go_on, first_files, has_engine, write_missing
from neuroluigi.cli.tables import console, print_table
from neuroluigi.recordings.formats.find import AUTO, find_recordings
from neuroluigi.recordings.formats.reader import RecordedFile, natural_key
from neuroluigi.recordings.recording import Declaration, RecordingsError
from neuroluigi.recordings.table import declared_rows
from neuroluigi.steps.config import RunStopped

# Of the problems and warnings the first ones are printed.
_MOST_PRINTED = 5


@click.command("init")
@click.option("--data", default="", help="The folder of the recordings, never written to.  [default: FOLDER]")
@click.argument("folder", default=".")
def init_command(data, folder):
    """Begin a pipeline in FOLDER, by default the current one: find the recordings, write luigi.cfg and tasks.py.

    \b
    Examples:
      neuroluigi init --data /nas/raw
      neuroluigi init --data /nas/raw mouse-study

    Nothing is asked, and no file that is there is changed. Exit status 1 when no recordings are found, or a file can't
    be written.
    """
    lab = _absolute(folder)
    root = _absolute(data) if data else lab
    found = _look(root, lab)
    files = first_files(lab, str(root) if data or found.are_there else "", found.paths, found.are_raw)
    written, kept = write_missing(lab, files)
    go_on = command_to_go_on(lab, str(root))
    _print_found(root, found)
    screen = console()
    if written:
        tops = dict.fromkeys("".join(name.partition("/")[:2]) for name in written)
        screen.print(Text(f"Written, in {lab}: {', '.join(tops)}."))
    if kept:
        screen.print(Text(f"There already, and not changed: {', '.join(kept)}."))
    if not has_engine():
        screen.print(Text("There is neither Matlab nor Octave: NumPy functions take the place of the M-functions."))
    if not found.are_there:
        sys.exit(1)
    screen.print(Text(f"\nGo on with:\n\n  {go_on}"))


@dataclass(frozen=True)
class _Found:
    """What lies in a folder: recordings with headers, or else `raw` files, by a `declared` table or pattern."""

    recordings: Sequence[RecordedFile] = ()
    raw: Sequence[str] = ()
    declared: str = ""
    problems: Sequence[str] = ()

    @property
    def are_there(self) -> bool:
        return bool(self.recordings or self.raw)

    @property
    def are_raw(self) -> bool:
        """Whether luigi.cfg has to say what is in the recordings, or where they are."""
        return not self.recordings

    @property
    def paths(self) -> list[str]:
        return [*self.raw, *(one.path for one in self.recordings)]


def _absolute(folder: str) -> Path:
    """Return the absolute folder that a name stands for, ~ too, which not every shell replaces."""
    return Path(os.path.abspath(os.path.expanduser(folder)))  # noqa: PTH100, PTH111 (neither follows links nor raises)


def _look(root: Path, lab: Path) -> _Found:
    """Look for recordings as a run does. Raises RunStopped for a folder of recordings that is not there."""
    if not os.path.isdir(root):  # noqa: PTH112 (which raises for what can't be looked at)
        if root == lab and not os.path.lexists(lab):
            return _Found()
        raise RunStopped(f"neuroluigi: there is no folder {root}; name the folder of your recordings with --data")
    declaration = Declaration(root=str(root))
    table, problems = root / "recordings.csv", list[str]()
    declared = str(table) if table.exists() else f"pattern {declaration.pattern}"
    try:
        rows = declared_rows(declaration, problems.append)
    except RecordingsError as error:
        rows = []
        problems += [str(error)] if table.exists() else []
    if rows or table.exists():
        return _Found(raw=[str(root / row["path"]) for _, row in rows], declared=declared, problems=problems)
    found = find_recordings(str(root), results=[str(lab / "results")])
    return _Found(found.recordings, problems=found.problems)


def _print_found(root: Path, found: _Found) -> None:
    screen = console()
    if found.recordings:
        screen.print(Text(f"Found in {root}:\n"))
        names = ("format", "stream", "sessions", "recordings", "channels", "rate [Hz]", "duration")
        print_table(names, _summary(found.recordings), numeric=names[2:])
        screen.print()
    elif found.raw:
        screen.print(Text(f"Found in {root}: {len(found.raw)} recordings, by {found.declared}."))
        if not found.declared.endswith(".csv"):
            screen.print(Text("Raw files have no header: write into luigi.cfg what is in them (dtype, channels, ...)."))
    else:
        screen.print(
            Text(
                f"No recordings in {root}. Looked for {', '.join(AUTO)} by their headers, for recordings.csv, and for"
                f" raw files by {{session}}/rec_{{index}}.bin; see the comments in luigi.cfg."
            )
        )
    problems = [*found.problems, *(text for one in found.recordings for text in one.problems)]
    _print_first("problem", problems, style="red")
    _print_first("warning", [text for one in found.recordings for text in one.warnings])


def _print_first(what: str, texts: Iterable[str], style: str = "") -> None:
    different = list(dict.fromkeys(texts))
    for text in different[:_MOST_PRINTED]:
        console().print(Text(f"{what}: {text}", style=style))
    if (more := len(different) - _MOST_PRINTED) > 0:
        console().print(Text(f"and {more} more; neuroluigi recordings lists them"))


def _summary(recordings: Iterable[RecordedFile]) -> list[tuple[str, ...]]:
    """Return a row for each stream of each format; recordings with problems count, and have no numbers."""
    streams: dict[tuple[str, str], list[RecordedFile]] = {}
    for one in recordings:
        streams.setdefault((one.format, one.columns.get("stream", "")), []).append(one)
    rows: list[tuple[str, ...]] = []
    for (format, stream), ones in sorted(streams.items(), key=lambda item: [natural_key(name) for name in item[0]]):
        good = [one for one in ones if not one.problems]
        rates = [one.sampling_rate_hz for one in good if one.sampling_rate_hz]
        seconds = sum(one.samples / one.sampling_rate_hz for one in good if one.sampling_rate_hz)
        rows.append(
            (
                format,
                stream,
                str(len({one.columns.get("session") for one in ones})),
                str(len(ones)),
                _span([len(one.channels) for one in good]),
                _span(rates),
                _duration(seconds) if rates else "",
            )
        )
    return rows


def _span(numbers: Sequence[float]) -> str:
    """Return the lowest and the highest number, one where they are the same."""
    return " to ".join(f"{one:.10g}" for one in sorted({min(numbers), max(numbers)})) if numbers else ""


def _duration(seconds: float) -> str:
    """Return a time in hours, or in a smaller unit where that is nearly nothing."""
    unit, length = next((one for one in (("h", 3600), ("min", 60)) if seconds >= one[1]), ("s", 1))
    return f"{seconds / length:.3g} {unit}"
