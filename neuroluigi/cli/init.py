"""The command `init`: find the recordings of a folder, and write what a pipeline on them needs."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from neuroluigi.cli.first_files import command_in, first_files, has_engine, words_left_to_say, write_missing
from neuroluigi.cli.tables import console, print_table
from neuroluigi.recordings.formats.find import AUTO, FORMATS, NEVER_GUESSED
from neuroluigi.recordings.formats.reader import natural_key
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, Group, Recording, RecordingsError
from neuroluigi.recordings.unread import also_there
from neuroluigi.results.alike import problem_lines
from neuroluigi.steps.config import RunStopped

# Others have such files too, so that a run takes them only where luigi.cfg names the format.
_BY_NAME = tuple(name for name in FORMATS if name not in AUTO)
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
    task, options = begin(lab, root, is_named=bool(data))
    console().print(Text(f"\nGo on with:\n\n  {command_in(lab, ['neuroluigi', 'run', *task, *options])}"))


def begin_here(data: str) -> list[str]:
    """Begin a pipeline in the current folder, as `neuroluigi init --data` does; return the options that it needs."""
    return begin(Path.cwd(), _absolute(data), is_named=True)[1]


def begin(lab: Path, root: Path, is_named: bool) -> tuple[list[str], list[str]]:
    """Write the files of a pipeline on the recordings in `root` that `lab` lacks, and print what was found and done.

    `is_named`: somebody said where the recordings are. Returns what its luigi.cfg leaves to be said on the command
    line: the task, and options. Where no recordings are found, the command ends with exit status 1. Raises RunStopped
    where a file can't be written.
    """
    found = _look(root, lab)
    declared = str(root) if is_named or found.groups else ""
    files = first_files(lab, declared, [one.path for one in found.recordings], found.format, found.are_raw)
    written, kept = write_missing(lab, files)
    left_to_say = words_left_to_say(lab, str(root))
    _print_found(root, found)
    screen = console()
    if written:
        tops = dict.fromkeys("".join(name.partition("/")[:2]) for name in written)
        screen.print(Text(f"Written, in {lab}: {', '.join(tops)}."))
    if kept:
        screen.print(Text(f"There already, and not changed: {', '.join(kept)}."))
    if not has_engine():
        screen.print(Text("There is neither Matlab nor Octave: NumPy functions take the place of the M-functions."))
    if not found.groups:
        sys.exit(1)
    return left_to_say


@dataclass(frozen=True)
class _Found:
    """What a run would take: its groups, the `format` that luigi.cfg has to name, and what is doubtful.

    `are_raw`: luigi.cfg has to say what is in the recordings, or where they are. `unread` is a sentence on files that
    may be recordings, and are not among them.
    """

    groups: Mapping[str, Group]
    format: str
    warnings: Sequence[str]
    are_raw: bool
    unread: str = ""

    @property
    def recordings(self) -> list[Recording]:
        return [one for group in self.groups.values() for one in (*group.recordings, *group.excluded)]


def _absolute(folder: str) -> Path:
    """Return the absolute folder that a name stands for, ~ too, which not every shell replaces."""
    return Path(os.path.abspath(os.path.expanduser(folder)))  # noqa: PTH100, PTH111 (neither follows links nor raises)


def _look(root: Path, lab: Path) -> _Found:
    """Look for recordings as a run does, at last for formats that a run looks for by name alone.

    Raises RunStopped for a folder of recordings that is not there.
    """
    if not os.path.isdir(root) and (root != lab or os.path.lexists(lab)):  # noqa: PTH112 (which raises at times)
        raise RunStopped(f"neuroluigi: there is no folder {root}; name the folder of your recordings with --data")
    failed: list[str] = []
    for format in ("auto", *_BY_NAME):
        warnings: list[str] = []
        declaration = Declaration(root=str(root), format=(format,), results_folder=str(lab / "results"))
        try:
            groups = find_groups(declaration, (), warnings.append)
        except RecordingsError as error:
            failed = failed or [*warnings, str(error)]
            continue
        is_described = any(one.recorded for group in groups.values() for one in group.recordings)
        if format in NEVER_GUESSED and not is_described:
            continue
        are_raw = not is_described and not os.path.lexists(root / "recordings.csv")
        return _Found(groups, format, warnings, are_raw, also_there(declaration, groups))
    return _Found({}, "auto", failed, True, also_there(Declaration(root=str(root)), {}))


def _print_found(root: Path, found: _Found) -> None:
    screen = console()
    if found.groups:
        screen.print(Text(f"Found in {root}:\n"))
        names = ("format", "stream", "sessions", "recordings", "channels", "rate [Hz]", "duration")
        print_table(names, _summary(found.recordings), numeric=names[2:])
        screen.print()
    else:
        formats = f"{', '.join(AUTO)} and {', '.join(_BY_NAME)}"
        screen.print(Text(f"Found nothing. Looked for {formats}, for recordings.csv, and for raw files:"))
    _print_first(problem_lines(found.groups), style="red")
    _print_first(found.warnings)
    if found.unread:
        screen.print(Text(found.unread))
    if found.are_raw:
        screen.print(Text("Raw files have no header: write into luigi.cfg where they are, and what is in them."))


def _print_first(texts: Sequence[str], style: str = "") -> None:
    for text in texts[:_MOST_PRINTED]:
        console().print(Text(text, style=style))
    if (more := len(texts) - _MOST_PRINTED) > 0:
        console().print(Text(f"and {more} more; neuroluigi recordings lists them"))


def _summary(recordings: Iterable[Recording]) -> list[tuple[str, ...]]:
    """Return a row for each stream of each format; recordings without a header that can be read have no numbers."""
    streams: dict[tuple[str, str], list[Recording]] = {}
    for one in recordings:
        streams.setdefault((one.columns.get("format") or "raw", one.columns.get("stream", "")), []).append(one)
    rows: list[tuple[str, ...]] = []
    for (format, stream), ones in sorted(streams.items(), key=lambda item: [natural_key(name) for name in item[0]]):
        headers = [one.recorded for one in ones if one.recorded]
        lengths = [(one.samples, one.sampling_rate_hz) for one in headers if one.sampling_rate_hz]
        rows.append(
            (
                format,
                stream,
                str(len({one.session for one in ones})),
                str(len(ones)),
                _span([len(one.channels) for one in headers]),
                _span([rate for _, rate in lengths]),
                _duration(sum(samples / rate for samples, rate in lengths)) if lengths else "",
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
