"""The command `recordings`: what the pipeline takes for its recordings, and how they are grouped."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.text import Text

from neuroluigi.cli.pipeline import LUIGI_OPTIONS, pipeline_of
from neuroluigi.cli.tables import console, print_json, print_table
from neuroluigi.recordings.concatenation import gap_between
from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.recording import Group, Recording, RecordingsError
from neuroluigi.results.table import written
from neuroluigi.steps.config import recordings, setting, shown_path
from neuroluigi.steps.discovery import groups

# Of the gaps in a group that are known the first ones are named.
_MOST_GAPS = 3


@click.command("recordings", context_settings=LUIGI_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def recordings_command(context, as_json):
    """Print the recordings and how they are grouped, before any run.

    \b
    Example:
      neuroluigi recordings --recordings-root /data/2026 --recordings-group-by session,probe

    Exit status 1 when something is wrong with a recording; the problems are listed last.
    """
    with pipeline_of(context):
        today = groups()
        settings = setting(recordings)
        partial_sample = settings.partial_sample
    if as_json:
        listed = {key: _group_as_data(group, partial_sample) for key, group in today.items()}
        print_json(listed)
    else:
        _print_groups(today, partial_sample, settings.contiguous)
    sys.exit(1 if any(group.problems for group in today.values()) else 0)


def _group_as_data(group: Group, partial_sample: str) -> dict:
    return {
        "values": dict(group.values),
        "recordings": [
            {
                "session": r.session,
                "index": r.index,
                "path": r.path,
                "dtype": r.dtype,
                "channels": r.channels,
                "sampling_rate_hz": r.sampling_rate_hz,
                "samples": _measured(r, partial_sample)[0],
                "columns": dict(r.columns),
            }
            for r in group.recordings
        ],
        "excluded": [
            {"session": r.session, "index": r.index, "path": r.path, "reason": r.columns.get("reason", "")}
            for r in group.excluded
        ],
        "problems": list(group.problems),
    }


def _measured(recording: Recording, partial_sample: str) -> tuple[int | None, int]:
    """Return samples per channel and dropped bytes; None and 0 where the file can't be measured, or is not made yet."""
    if recording.problems or not Path(recording.path).is_file():
        return None, 0
    try:
        return measure(recording, partial_sample)
    except RecordingsError:
        return None, 0


def _gap_lines(groups: dict[str, Group], partial_sample: str) -> Iterator[str]:
    """Yield a line for each group of contiguous recordings in which samples are missing all the same."""
    for key, group in groups.items():
        if not group.problems:
            pairs = itertools.pairwise(group.recordings)
            reasons = [gap_between(one, following, _measured(one, partial_sample)[1]) for one, following in pairs]
            known = [reason for reason in reasons if reason]
            more = f"; and {len(known) - _MOST_GAPS} more" if len(known) > _MOST_GAPS else ""
            if known:
                yield f"not contiguous in {key}: {'; '.join(known[:_MOST_GAPS])}{more}"


def _print_groups(groups: dict[str, Group], partial_sample: str, contiguous: bool) -> None:
    rows = []
    for key, group in groups.items():
        for position, r in enumerate((*group.recordings, *group.excluded)):
            samples = _measured(r, partial_sample)[0]
            note = ""
            if r.made and samples is None:
                note = " (to be made)"
            elif position >= len(group.recordings):
                note = f" (left out: {r.columns.get('reason') or 'use = no'})"
            known = (written(r, name) or "?" for name in ("index", "dtype", "channels"))
            path = shown_path(r.path) + note
            rows.append(("" if position else key, r.session, *known, written(r, "sampling_rate_hz"), samples, path))
    names = ("group", "session", "index", "dtype", "channels", "rate [Hz]", "samples", "file")
    print_table(names, rows, numeric=("index", "channels", "rate [Hz]"))
    screen = console()
    recordings, excluded = (sum(len(getattr(g, name)) for g in groups.values()) for name in ("recordings", "excluded"))
    screen.print(Text(f"\n{recordings} recordings in {len(groups)} groups, {excluded} left out."))
    if any(len({r.session for r in group.recordings}) > 1 for group in groups.values()):
        screen.print(Text("Groups of several sessions are in the order of session, then index."))
    for line in _gap_lines(groups, partial_sample) if contiguous else ():
        screen.print(Text(line))
    for key, group in groups.items():
        for problem in group.problems:
            screen.print(Text(f"problem in {key}: {problem}", style="red"))
