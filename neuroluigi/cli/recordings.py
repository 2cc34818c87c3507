"""The command `recordings`: what the pipeline takes for its recordings, and how they are grouped."""

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence

import click
from rich.text import Text

from neuroluigi.cli.pipeline import LUIGI_OPTIONS, pipeline_of
from neuroluigi.cli.tables import console, print_fitting
from neuroluigi.provenance.secret_values import masked
from neuroluigi.recordings.channel_kinds import kinds_in_words
from neuroluigi.recordings.concatenation import describe_concatenation, gap_between
from neuroluigi.recordings.formats.raw import measure
from neuroluigi.recordings.recording import Group, Recording, RecordingsError
from neuroluigi.recordings.unread import also_there
from neuroluigi.results.alike import problem_lines
from neuroluigi.results.output import write_csv, write_json_object
from neuroluigi.results.recording_row import recording_row
from neuroluigi.results.table import written
from neuroluigi.steps.config import RunStopped, recordings, setting, shown_path
from neuroluigi.steps.discovery import groups, notes_on_recordings
from neuroluigi.steps.group_settings import check_sections, settings_of

# What a listing on a terminal may have below it, or leave out.
_MAY_BE_LEFT_OUT = ("session", "format", "stream", "index", "dtype", "channels", "kinds", "rate [Hz]", "file")

# Of the gaps in a group that are known the first ones are named, and of groups with a setting.
_MOST_GAPS, _MOST_NAMED = 3, 5


@click.command("recordings", context_settings=LUIGI_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table of recordings, to edit and use as recordings.csv.")
@click.pass_context
def recordings_command(context, as_json, as_csv):
    """Print the recordings and how they are grouped, before any run.

    \b
    Examples:
      neuroluigi recordings --recordings-root /data/2026 --recordings-group-by session,probe
      neuroluigi recordings --csv > recordings.csv

    Exit status 1 when something is wrong with a recording; the problems are listed last.
    """
    with pipeline_of(context):
        settings = setting(recordings)
        today = _found(settings)
        partial_sample = settings.partial_sample
        check_sections()
        of_groups = settings_of(today)
        gaps = [] if as_json or as_csv else list(_gap_lines(today, settings))
        notes, unread = notes_on_recordings(), also_there(settings.declaration(), today)
    if as_json or as_csv:
        for note in filter(None, (*notes, unread)):
            click.echo(f"neuroluigi: {note}", err=True)
    if as_json:
        listed = ((key, _group_as_data(group, partial_sample, of_groups[key])) for key, group in today.items())
        write_json_object(listed, sys.stdout)
    elif as_csv:
        _print_csv([r for group in today.values() for r in (*group.recordings, *group.excluded)])
    else:
        found = [*_setting_lines(of_groups), *gaps, *(f"warning: {note}" for note in notes), *filter(None, [unread])]
        _print_groups(today, partial_sample, found)
    sys.exit(1 if any(group.problems for group in today.values()) else 0)


def _found(settings: recordings) -> dict[str, Group]:
    """Return today's groups; RunStopped where there are none, with what is there instead."""
    try:
        return groups()
    except RunStopped as error:
        unread = also_there(settings.declaration(), {})
        raise RunStopped(f"{error}. {unread}") if unread else error from error


def _print_csv(listed: list[Recording]) -> None:
    """Print a table that describes the recordings as they were found."""
    rows = [recording_row(recording) for recording in listed]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(columns, [[[row.get(name, "") for name in columns] for row in rows]], sys.stdout)


def _setting_lines(of_groups: Mapping[str, Sequence[tuple[str, str, str]]]) -> Iterator[str]:
    """Yield a line for each setting that some groups have of their own."""
    keys: dict[str, list[str]] = {}
    for key, settings in of_groups.items():
        for section, name, text in settings:
            keys.setdefault(f"[{section}] {name} = {masked(text, name)}", []).append(key)
    for setting_of_groups, those in keys.items():
        more = f" and {len(those) - _MOST_NAMED} more" if len(those) > _MOST_NAMED else ""
        yield f"{setting_of_groups}: {', '.join(those[:_MOST_NAMED])}{more}"


def _group_as_data(group: Group, partial_sample: str, settings: Sequence[tuple[str, str, str]]) -> dict:
    return {
        "settings": [
            {"section": section, "name": name, "value": masked(text, name)} for section, name, text in settings
        ],
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
                "warnings": list(r.recorded.warnings) if r.recorded else [],
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
    if recording.problems:
        return None, 0
    try:
        found = measure(recording, partial_sample)
    except RecordingsError:
        return None, 0
    return found.samples, found.rest_bytes


def _gap_lines(groups: dict[str, Group], settings: recordings) -> Iterator[str]:
    """Yield a line for each group of recordings in which samples are missing, as far as that is known."""
    for key, group in groups.items():
        if group.problems:
            continue
        if any(r.recorded for r in group.recordings):
            what, known = "gaps", _counted_gaps(group, settings)
        elif settings.contiguous == "true":
            pairs, partial = itertools.pairwise(group.recordings), settings.partial_sample
            reasons = [gap_between(one, following, _measured(one, partial)[1]) for one, following in pairs]
            what, known = "not contiguous", [reason for reason in reasons if reason]
        else:
            continue
        more = f"; and {len(known) - _MOST_GAPS} more" if len(known) > _MOST_GAPS else ""
        if known:
            yield f"{what} in {key}: {'; '.join(known[:_MOST_GAPS])}{more}"


def _counted_gaps(group: Group, settings: recordings) -> list[str]:
    """Return where samples are missing by the counters of recordings; [] where their files changed meanwhile."""
    paths = [r.path for r in group.recordings]
    try:
        layout, _ = describe_concatenation(group, paths, settings.partial_sample, "auto", settings.gap_tolerance)
    except RecordingsError:
        return []
    return [
        f"{gap['missing']} samples are missing before sample {gap['sample']}"
        for gap in layout["gaps"]
        if gap["missing"] is not None
    ]


def _print_groups(groups: dict[str, Group], partial_sample: str, notes: list[str]) -> None:
    rows = []
    is_found = any(r.columns.get("format") for group in groups.values() for r in group.recordings)
    has_kinds = any(r.recorded for group in groups.values() for r in group.recordings)
    for key, group in groups.items():
        for position, r in enumerate((*group.recordings, *group.excluded)):
            samples = _measured(r, partial_sample)[0]
            note = ""
            if r.made and samples is None:
                note = " (to be made)"
            elif position >= len(group.recordings):
                note = f" (left out: {r.columns.get('reason') or 'use = no'})"
            # Of what a header did not say luigi.cfg knows nothing.
            is_unknown = r.problems and r.columns.get("format")
            described = ("?" if is_unknown else written(r, name) or "?" for name in ("dtype", "channels"))
            kinds = (kinds_in_words([one.kind for one in r.recorded.channels]) if r.recorded else "",)
            known = (written(r, "index") or "?", *described, *(kinds if has_kinds else ()))
            path = shown_path(r.path) + note
            seconds = round(samples / r.sampling_rate_hz, 3) if samples and r.sampling_rate_hz else None
            # All digits of a counter's clock are in --csv and --json.
            is_exact = r.is_by_header and r.sampling_rate_hz
            rate = f"{r.sampling_rate_hz:.10g}" if is_exact else written(r, "sampling_rate_hz")
            found = (r.columns.get("format", ""), r.columns.get("stream", "")) if is_found else ()
            lasts = (seconds,) if is_found else ()
            of_file = (*found, *known, rate, samples, *lasts, path)
            rows.append(("" if position else key, r.session, *of_file))
    more, last = (("format", "stream"), ("seconds",)) if is_found else ((), ())
    of_kinds = ("kinds",) if has_kinds else ()
    names = ("group", "session", *more, "index", "dtype", "channels", *of_kinds, "rate [Hz]", "samples", *last, "file")
    screen = console()
    numeric = ("index", "channels", "rate [Hz]")
    print_fitting(names, rows, _MAY_BE_LEFT_OUT if is_found else (), numeric, see="--csv or --json")
    recordings, excluded = (sum(len(getattr(g, name)) for g in groups.values()) for name in ("recordings", "excluded"))
    screen.print(Text(f"\n{recordings} recordings in {len(groups)} groups, {excluded} left out."))
    if any(len({r.session for r in group.recordings}) > 1 for group in groups.values()):
        screen.print(Text("Groups of several sessions are in the order of session, then index."))
    for line in notes:
        screen.print(Text(line))
    for line in problem_lines(groups):
        screen.print(Text(line, style="red"))
    if bad := sum(bool(group.problems) for group in groups.values()):
        what = f"{bad} of {len(groups)} groups have a problem" if len(groups) > 1 else "The group has a problem"
        screen.print(Text(f"{what}: a run can't make their results. --json lists all problems."))
