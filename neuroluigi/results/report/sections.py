"""What the report says, section by section, as plain data for its template; nothing here writes or changes anything.

All states, reasons and numbers are those of `neuroluigi status` and `results`, all versions those of the run records.
"""

import datetime
import hashlib
import json
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import luigi
from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.files import tail
from neuroluigi.provenance.record import engine_and_version, read_failure, read_record, sibling_path
from neuroluigi.provenance.run_record import read_run_record, was_killed
from neuroluigi.recordings.recording import Group
from neuroluigi.results.output import as_text, right_aligned
from neuroluigi.results.report import charts, diagram
from neuroluigi.results.status import (
    FAILED,
    SIGNS,
    ResultStatus,
    collect_statuses,
    orphan_folders,
    reason_lines,
    state_table,
    worst_state,
)
from neuroluigi.results.table import Table, collect_table
from neuroluigi.steps.base import INTERRUPTED
from neuroluigi.steps.config import results_root
from neuroluigi.steps.discovery import groups

_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".pdf")

_MOST_ERRORS = 5
_MOST_LETTERS = 300
_MOST_IN_CAPTION = 20

# A table of more rows says the median of a group's channels instead.
_MOST_ROWS = 5_000


@dataclass(frozen=True)
class Found:
    """One result: its entry in the status, its run record, and what is recorded of a failure ({} without one)."""

    entry: ResultStatus
    record: dict | None
    failure: dict


@dataclass(frozen=True)
class Facts:
    """All that the report goes by; `run` is the record of the last run, None where it is not known."""

    root: luigi.Task
    groups: Mapping[str, Group]
    found: Sequence[Found]
    boxes: Sequence[diagram.Box]
    table: Table
    orphans: Sequence[str]
    run: Mapping | None

    @property
    def entries(self) -> list[ResultStatus]:
        """The results as `neuroluigi status` has them."""
        return [one.entry for one in self.found]

    @property
    def made(self) -> list[Found]:
        """The results that have a run record."""
        return [one for one in self.found if one.record]

    def digest(self) -> str:
        """Return a checksum of all this, to tell whether a page shows it; the same where all is copied elsewhere."""
        of_groups = {key: (one.problems, len(one.recordings), len(one.excluded)) for key, one in self.groups.items()}
        statuses = [(e.row, e.step, e.shown_state, e.status) for e in self.entries]
        stands = [(*where, v.todo, v.waits_for, v.reasons, v.failure, *v.checksums.values()) for *where, v in statuses]
        recorded = [(one.record, one.failure) for one in self.found]
        table = (self.table.columns, self.table.rows, self.table.notes)
        data = (self.root.task_family, of_groups, stands, recorded, table, self.orphans, self.run)
        return hashlib.sha256(json.dumps(data, default=str).encode(errors="replace")).hexdigest()


def gather(root: luigi.Task) -> Facts:
    """Look at the whole pipeline of `root`, and read its records."""
    today, folder = groups(), results_root()
    found = []
    for entry in collect_statuses(root, today):
        path = entry.task.record_path
        found.append(Found(entry, read_record(path), read_failure(path) if entry.status.failure else {}))
    table, orphans = collect_table(today, folder), orphan_folders(folder, today)
    return Facts(root, today, found, diagram.boxes(root), table, orphans, last_run(folder))


def last_run(results: Path) -> dict | None:
    """Return what results/run.json says of the last run, and as `end` how it ended; None where that is not known."""
    run = read_run_record(results)
    if run is None:
        return None
    if "ended" in run:
        code = run.get("exit_code")
        bad = "was interrupted" if code == INTERRUPTED else f"failed with exit code {code}"
        return {**run, "end": "succeeded" if code == 0 else bad}
    return {**run, "end": "was killed" if was_killed(results, run) else "is at work"}


def link(path: str | Path) -> str:
    """Return the address of a file as the page, which lies in the folder of results, has to give it."""
    try:
        relative = os.path.relpath(path, results_root())
    except ValueError:  # Windows: on another drive
        return Path(path).as_uri()
    return quote(relative.replace(os.sep, "/").encode(errors="surrogateescape"))


def log_of(run: Mapping) -> str:
    """Return the address of the log of a run."""
    return link(results_root() / run["log"])


def counted(number: int, what: str) -> str:
    """Return so many of something: 1 result, 1,200 results."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def banner(facts: Facts) -> dict:
    """Return how it stands, in one line with a state for its sign, and what went wrong."""
    total = len(facts.found)
    failed = [one for one in facts.found if one.entry.shown_state == FAILED]
    undone = [e for e in facts.entries if e.status.todo or e.status.state == state.INPUT_MISSING]
    if failed:
        kind, text = FAILED, f"{len(failed):,} of {counted(total, 'result')} failed"
    elif not facts.made:
        kind, text = state.MISSING, f"Nothing is made yet; {counted(total, 'result')} are planned"
    elif undone:
        kind = worst_state(e.shown_state for e in undone)
        done = total - len(undone)
        text = f"{done:,} of {counted(total, 'result')} are done, {len(undone):,} are to be made or looked at"
    else:
        kind, text = state.DONE, f"All {counted(total, 'result')} are done"
    errors = Counter(one.failure.get("error", "") for one in failed)
    where = {one.failure.get("error", ""): one.entry for one in reversed(failed)}
    lines = [
        f"{where[error].step} of {where[error].row}{f' and {n - 1} more' if n > 1 else ''}: {_short(error)}"
        for error, n in errors.most_common(_MOST_ERRORS)
    ]
    lines += [f"{key}: {_short(text)}" for key, group in facts.groups.items() for text in group.problems][:_MOST_ERRORS]
    if facts.run and facts.run["end"] != "succeeded":
        lines.insert(0, f"The last run {facts.run['end']}.")
    return {"kind": kind, "sign": SIGNS[kind][0], "text": text, "errors": lines}


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


def shown_time(text: str) -> str:
    """Return a time of a record for the eye, in its own zone."""
    try:
        return datetime.datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S %z").strip()
    except ValueError:
        return text


def steps(facts: Facts) -> list[dict]:
    """Return what there is to say of each kind of step: counts by state, tools, and times."""
    of_step = defaultdict(list)
    for one in facts.found:
        of_step[one.entry.step].append(one)
    return [_step(box, of_step[box.name]) for box in facts.boxes]


def _step(box: diagram.Box, found: Sequence[Found]) -> dict:
    counts = Counter(one.entry.shown_state for one in found)
    order = [name for name in SIGNS if counts[name]]
    tools = Counter(" ".join(engine_and_version(one.record)) for one in found if one.record)
    told = ((one.record.get("seconds"), one.entry.row) for one in found if one.record)
    seconds = [(value, row) for value, row in told if isinstance(value, (int, float))]
    values = [value for value, _ in seconds]
    return {
        "box": box,
        "total": box.count,
        "kind": worst_state(counts) if counts else "",
        "states": [(name, SIGNS[name][0], counts[name]) for name in order],
        "tools": [(tool, n) for tool, n in sorted(tools.items())],
        "seconds": {
            "median": statistics.median(values),
            "most": max(values),
            "slowest": max(seconds)[1],
            "total": sum(values),
        }
        if values
        else None,
    }


def picture(facts: Facts) -> str:
    """Return the pipeline as SVG, with the counts, states and tools of each step."""
    return diagram.draw(facts.root.task_family, facts.boxes, {one["box"].name: _note(one) for one in steps(facts)})


def _note(step: Mapping) -> diagram.Note:
    lines = [(_slug(name), f"{sign} {n:,} {name}") for name, sign, n in step["states"]]
    if not lines:  # not made by a step
        lines = [("", counted(step["total"], "file"))]
    tools = [tool for tool, _ in step["tools"]]
    return diagram.Note(" | ".join(tools), _slug(step["kind"]), lines)


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def matrix(facts: Facts) -> dict:
    """Return the states of groups x steps: names of the steps, and rows of cells (state, sign, numbers of results)."""
    numbers = defaultdict(list)
    for n, e in enumerate(facts.entries):
        numbers[e.row, e.step].append(n)
    names, rows = state_table(facts.entries)
    cells = [
        (key, [_cell(facts, one, numbers[key, step]) for step, one in zip(names, states, strict=True)])
        for key, *states in rows
    ]
    return {"steps": names, "rows": cells, "reasons": reason_lines(facts.entries, facts.groups)}


def _cell(facts: Facts, shown: str, numbers: Sequence[int]) -> dict | None:
    if not numbers:
        return None
    one = facts.found[numbers[0]]
    path = os.fspath(one.entry.task.record_path)
    there = path if one.record else sibling_path(path, ".failed.json") if one.failure else ""
    whys = [reason.text for n in numbers for reason in facts.found[n].entry.status.reasons]
    return {
        "state": shown,
        "kind": _slug(shown),
        "sign": SIGNS[shown][0],
        "numbers": ",".join(map(str, numbers)),
        "link": link(there) if there else "#reasons",
        "why": _short("; ".join(whys)) if shown != state.DONE else "",
    }


def plots(facts: Facts) -> list[dict]:
    """Return each picture among the results: path, sha256, group, state, and in a few words what is in the group."""
    of_group = _of_groups(facts.table)
    varying = [n for n in facts.table.described if n != "path" and _varies(n, facts.table.rows)]
    order = {key: n for n, key in enumerate(facts.groups)}
    found = []
    for one in sorted(facts.found, key=lambda one: order.get(one.entry.row, len(order))):
        for path in (Path(o.path) for o in flatten(one.entry.task.output()) if o.path.lower().endswith(_PICTURES)):
            if path.is_file():
                plot = {
                    "path": path,
                    "sha256": one.entry.status.checksums.get(str(path)) or "",
                    "group": one.entry.row,
                    "name": path.name,
                    "link": link(path),
                    "state": one.entry.shown_state,
                    "about": _about(facts.table, of_group.get(one.entry.row, ()), varying),
                }
                found.append(plot)
    return found


def _of_groups(table: Table) -> dict[str, list[dict]]:
    found = defaultdict(list)
    for row in table.rows:
        found[row["group"]].append(row)
    return found


def _about(table: Table, rows: Sequence[Mapping], names: Sequence[str]) -> str:
    """Return how many events a group has, and what describes it; what is long stands in the table of numbers."""
    if not rows:
        return ""
    counts = [f"{sum(row.get(name) or 0 for row in rows):,} {name}" for name in table.events]
    cells = {name: as_text(rows[0].get(name)) for name in names}
    about = [
        f"{n} {text}" for n, text in cells.items() if 0 < len(text) <= _MOST_IN_CAPTION and text != rows[0]["group"]
    ]
    return "; ".join([*counts, *about])


def numbers(facts: Facts) -> dict:
    """Return the table of results, its numbers first, and pictures of its columns.

    That is columns (name, whether it has numbers), rows (group, cells), and notes, which say once what all rows share.
    """
    table, rows, notes = facts.table, facts.table.rows, list(facts.table.notes)
    if len(rows) > _MOST_ROWS:
        rows = _medians(table)
        notes.append("Of the channels of each group the median is shown; neuroluigi results --csv has all.")
    shared = [n for n in ("channel", *table.described) if len(rows) > 1 and not _varies(n, rows)]
    names = [n for n in (*_results_of(table), *table.described) if n not in shared]
    if told := [f"{n} {as_text(rows[0][n])}" for n in shared if rows[0].get(n) is not None]:
        notes.insert(0, f"In all rows: {', '.join(told)}.")
    listed = [tuple(row.get(name) for name in names) for row in rows]
    texts = [(row["group"], [as_text(cell) for cell in cells]) for row, cells in zip(rows, listed, strict=True)]
    pictures = [charts.dots(title, points) for title, points in _measures(table)]
    return {
        "columns": list(zip(names, right_aligned(names, listed), strict=True)),
        "rows": texts,
        "notes": notes,
        "pictures": [one for one in pictures if one],
    }


def _results_of(table: Table) -> list[str]:
    return [name for name in table.columns if name not in table.described]


def _varies(name: str, rows: Sequence[Mapping]) -> bool:
    return len({row.get(name) for row in rows}) > 1


def _medians(table: Table) -> list[dict]:
    return [{**rows[0], "channel": len(rows), **_medians_of(table, rows)} for rows in _of_groups(table).values()]


def _medians_of(table: Table, rows: Sequence[Mapping]) -> dict:
    found = {}
    for name in table.columns[table.columns.index("channel") + 1 :]:
        values = [row[name] for row in rows if isinstance(row.get(name), (int, float))]
        found[name] = statistics.median(values) if values else None
    return found


def _measures(table: Table) -> Iterable[tuple[str, list[tuple[str, float]]]]:
    """Yield (title, [(group, value)]) of what is worth a picture: numbers that differ, range, and events per time."""
    columns = [n for n in _results_of(table) if n not in ("group", "channel", *table.events)]
    if {"min", "max"} <= set(columns):
        columns = [n for n in columns if n not in ("min", "max")]
        yield "range", _points(table, lambda row: row["max"] - row["min"])
    for name in columns:
        points = _points(table, lambda row, name=name: row[name])
        if len({value for _, value in points}) > 1:
            yield name, points
    for name in table.events:
        if any(row.get("sampling_rate_hz") for row in table.rows):
            points = _points(table, lambda row, name=name: row[name] * row["sampling_rate_hz"] / row["count"])
            yield f"{name} per second", points
        else:
            yield f"{name} per 1,000 samples", _points(table, lambda row, name=name: 1000 * row[name] / row["count"])


def _points(table: Table, measure) -> list[tuple[str, float]]:
    points = []
    for row in table.rows:
        try:
            points.append((row["group"], float(measure(row))))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):  # blank, or text
            continue
    return points


def timeline(facts: Facts) -> str:
    """Return what the last run did when, as SVG; "" where that is not known."""
    try:
        begin = datetime.datetime.fromisoformat(facts.run["started"])
        end = datetime.datetime.fromisoformat(facts.run["ended"]) if "ended" in facts.run else None
    except (TypeError, KeyError, ValueError):
        return ""
    bars = []
    for one in facts.found:
        for record, has_failed in ((one.record, False), (one.failure, True)):
            bar = _bar(one.entry, record or {}, begin, has_failed)
            if bar and bar.begin >= 0 and (end is None or bar.begin <= (end - begin).total_seconds()):
                bars.append(bar)
    seconds = (end - begin).total_seconds() if end else 0
    return charts.gantt(bars, seconds) if bars else ""


def _bar(entry: ResultStatus, record: Mapping, begin: datetime.datetime, has_failed: bool) -> charts.Bar | None:
    try:
        times = [
            (datetime.datetime.fromisoformat(record[name]) - begin).total_seconds() for name in ("started", "ended")
        ]
    except (KeyError, TypeError, ValueError):
        return None
    return charts.Bar(entry.step, entry.row, *times, has_failed)


def failures(facts: Facts) -> list[dict]:
    """Return what is recorded of each failure: step, group, when, the whole error, the end of the log, and its link."""
    found = []
    for one in facts.found:
        if one.failure:
            log = Path(sibling_path(one.entry.task.record_path, ".failed.log"))
            found.append(
                {
                    "step": one.entry.step,
                    "group": one.entry.row,
                    "started": shown_time(str(one.failure.get("started", ""))),
                    "error": one.failure["error"],
                    "log": tail(log) if log.is_file() else "",
                    "link": link(log),
                }
            )
    return found
