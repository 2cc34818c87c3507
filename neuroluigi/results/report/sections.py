"""The sections of the report, as plain data for its template; nothing here writes or changes anything.

All states, reasons and numbers are those of `neuroluigi status` and `results`, all versions those of the run records.
"""

import datetime
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from luigi.task import flatten

from neuroluigi.provenance import state
from neuroluigi.provenance.contents import why_not_read
from neuroluigi.provenance.files import tail
from neuroluigi.provenance.record import engine_and_version, sibling_path
from neuroluigi.results.alike import names_in, problem_lines
from neuroluigi.results.output import as_text, in_the_middle, shared_cells
from neuroluigi.results.report import charts, diagram
from neuroluigi.results.report.facts import Facts, Found, counted, shown_time
from neuroluigi.results.report.numbers import by_group
from neuroluigi.results.status import (
    FAILED,
    SIGNS,
    ResultStatus,
    reason_lines,
    sign_of,
    state_table,
    worst_state,
)
from neuroluigi.results.table import Table
from neuroluigi.steps.config import results_root

_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".pdf")


_MOST_ERRORS = 5


_MOST_LETTERS = 300


# Of a value in the caption of a plot.
_MOST_IN_CAPTION = 24


def log_of_run(facts: Facts) -> str:
    """Return the address of the log of the last run, "" where there is none."""
    return facts.link(results_root() / facts.run["log"]) if facts.run else ""


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def banner(facts: Facts) -> dict:
    """Return the overall state in one line, with a state for its sign, and what went wrong."""
    total = len(facts.found)
    results = f"{counted(total, 'result')} {_are(total)}"
    failed = [one for one in facts.found if one.entry.shown_state == FAILED]
    undone = [e for e in facts.entries if e.status.todo or e.status.state == state.INPUT_MISSING]
    if failed:
        kind, text = FAILED, f"{len(failed):,} of {counted(total, 'result')} failed"
    elif not facts.made:
        kind, text = state.MISSING, f"Nothing is made yet; {results} planned"
    elif undone:
        kind = worst_state(e.shown_state for e in undone)
        done = total - len(undone)
        text = f"{done:,} of {results} done, {len(undone):,} {_are(len(undone))} to be made or checked"
    else:
        kind, text = state.DONE, f"{'All ' if total > 1 else ''}{results} done"
    lines = _errors(facts, failed)
    lines += problem_lines(facts.groups)[:_MOST_ERRORS]
    if facts.run and facts.run["end"] != "succeeded":
        lines.insert(0, f"The last run {facts.run['end']}.")
    return {"kind": kind, "sign": SIGNS[kind][0], "text": text, "errors": lines}


def _errors(facts: Facts, failed: Sequence[Found]) -> list[str]:
    """Return a line for each of the most frequent causes of failures, but for problems of groups."""
    of_cause: dict[str, list[Found]] = {}
    for one in failed:
        if not one.entry.status.problem:
            cause = names_in(facts.groups.get(one.entry.row)).sub("…", one.failure.get("error", ""))
            of_cause.setdefault(cause, []).append(one)
    most = sorted(of_cause.values(), key=len, reverse=True)[:_MOST_ERRORS]
    return [
        f"{first.entry.step} of {first.entry.row}{f' and {len(others)} more' if others else ''}:"
        f" {_short(first.failure.get('error', ''))}"
        for first, *others in most
    ]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


def steps(facts: Facts) -> list[dict]:
    """Return counts by state, tools, and times of each kind of step."""
    of_step = defaultdict(list)
    for one in facts.found:
        of_step[one.entry.step].append(one)
    return [_step(box, of_step[box.name]) for box in facts.boxes]


def _step(box: diagram.Box, found: Sequence[Found]) -> dict:
    counts = Counter(one.entry.shown_state for one in found)
    order = [name for name in SIGNS if counts[name]]
    tools = Counter(" ".join(engine_and_version(one.record)) for one in found if one.record)
    times = ((one.record.get("seconds"), one.entry.row) for one in found if one.record)
    seconds = [(value, row) for value, row in times if isinstance(value, (int, float))]
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
    path = os.fspath(one.entry.record_path or "")
    there = path if one.record else sibling_path(path, ".failed.json") if one.failure else ""
    whys = [reason.text for n in numbers for reason in facts.found[n].entry.status.reasons]
    return {
        "state": shown,
        "kind": _slug(shown),
        "sign": SIGNS[shown][0],
        "numbers": ",".join(map(str, numbers)),
        "link": facts.link(there) if there else "#reasons",
        "why": _short("; ".join(whys)) if shown != state.DONE else "",
    }


def plots(facts: Facts) -> list[dict]:
    """Return each picture among the results: path, sha256, group, state, and a short description of the group.

    Of a variant, `group` is its row, a-even@strict, `of_base` that of the base.
    """
    of_group = by_group(facts.table)
    shared = shared_cells(facts.table.rows, facts.table.described)
    varying = [n for n in facts.table.described if n not in ("path", *shared)]
    order = {key: n for n, key in enumerate(facts.groups)}
    found = []
    for one in sorted(facts.found, key=lambda one: order.get(one.entry.row_in_base, len(order))):
        targets = flatten(one.entry.task.output()) if one.entry.task else ()
        paths = (str(getattr(target, "path", "")) for target in targets)
        for path in (Path(text) for text in paths if text.lower().endswith(_PICTURES)):
            if path.is_file() and not why_not_read(path):
                plot = {
                    "path": path,
                    "sha256": one.entry.status.checksums.get(str(path)) or "",
                    "group": one.entry.row,
                    "of_base": one.entry.row_in_base,
                    "variant": one.entry.variant,
                    "name": path.name,
                    "link": facts.link(path),
                    "state": one.entry.shown_state,
                    "about": _about(facts, of_group.get(one.entry.row, ()), varying),
                }
                found.append(plot)
    return found


def galleries(plots: Sequence[Mapping]) -> list[dict]:
    """Return the plots, those of each group together where one has several: group, "" for all of them, and its plots.

    What there is to say of a group is said once then, and each plot has its own name.
    """
    of_group: dict[str, list[Mapping]] = {}
    for plot in plots:
        of_group.setdefault(plot["group"], []).append(plot)
    if len(of_group) == len(plots):
        return [{"group": "", "about": "", "plots": plots}] if plots else []
    return [{"group": key, "about": some[0]["about"], "plots": some} for key, some in of_group.items()]


def _about(facts: Facts, rows: Sequence[Mapping], names: Sequence[str]) -> str:
    """Return the number of events of a group and its columns; long values are whole in the table of numbers only."""
    if not rows:
        return ""
    counts = filter(None, (_count(facts.table, rows, name) for name in facts.table.events))
    # Its name has these.
    group = facts.groups.get(rows[0]["group"])
    known = {rows[0]["group"], *(group.values.values() if group else ())}
    # What is another one for each channel is in the table of numbers.
    cells = {name: as_text(cell) for name, cell in shared_cells(rows, names).items()}
    about = [f"{n} {in_the_middle(text, _MOST_IN_CAPTION)}" for n, text in cells.items() if text and text not in known]
    return "; ".join([*counts, *about])


def _count(table: Table, rows: Sequence[Mapping], name: str) -> str:
    """Return the number of events of a group, or the state of the step that would tell it; "" where there is none."""
    # It is blank for channels that were not looked at.
    known = [row[name] for row in rows if row.get(name) is not None]
    if known:
        return f"{sum(known):,} {name}"
    state = table.state_of(rows[0], name)
    return f"{name}: {sign_of(state)} {state}" if state else ""


def timeline(facts: Facts) -> str:
    """Return the timeline of the last run as SVG; "" where its times are not known."""
    run = facts.run or {}
    try:
        begin = datetime.datetime.fromisoformat(run["started"])
        end = datetime.datetime.fromisoformat(run["ended"]) if "ended" in run else None
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
        started, ended = (
            (datetime.datetime.fromisoformat(record[name]) - begin).total_seconds() for name in ("started", "ended")
        )
    except (KeyError, TypeError, ValueError):
        return None
    return charts.Bar(entry.step, entry.row, started, ended, has_failed)


def failures(facts: Facts) -> list[dict]:
    """Return each recorded failure: step, group, time, the whole error, the end of the log, and its link."""
    found = []
    for one in facts.found:
        if one.failure and one.entry.record_path:
            log = Path(sibling_path(one.entry.record_path, ".failed.log"))
            found.append(
                {
                    "step": one.entry.step,
                    "group": one.entry.row,
                    "started": shown_time(str(one.failure.get("started", ""))),
                    "error": one.failure["error"],
                    "log": "" if why_not_read(log) else tail(log),
                    "link": facts.link(log),
                }
            )
    return found
