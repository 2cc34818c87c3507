"""The numbers of the report: the table of results, and small pictures of its columns."""

import operator
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from neuroluigi.results.output import as_text, right_aligned, shared_cells, shared_line
from neuroluigi.results.report import charts
from neuroluigi.results.report.facts import Facts
from neuroluigi.results.status import sign_of
from neuroluigi.results.table import Table

# A larger table has the median of a group's channels of one unit instead of a row for each.
_MOST_ROWS = 5_000


def by_group(table: Table) -> dict[str, list[dict]]:
    """Return the rows of each group, and of each of its variants by a key such as a-even@strict."""
    found: defaultdict[str, list[dict]] = defaultdict(list)
    for row in table.rows:
        found[table.key_of(row)].append(row)
    return found


def numbers(facts: Facts) -> dict:
    """Return the table of results, its numbers first, and pictures of its columns.

    That is columns (name, whether it has numbers), rows (group, cells of text and the state for which it is blank),
    and notes with the values that all rows share. The pictures are of the base.
    """
    table, rows, notes = facts.table, facts.table.rows, list(facts.table.notes)
    if len(rows) > _MOST_ROWS:
        rows = _medians(table)
        notes.append("Of the channels of each group and unit the median is shown; neuroluigi results --csv has all.")
    shared = shared_cells(rows, ("channel", *table.described)) if len(rows) > 1 else {}
    names = [n for n in (*_results_of(table), *table.described) if n not in shared]
    if line := shared_line(shared):
        notes.insert(0, line)
    listed = [tuple(row.get(name) for name in names) for row in rows]
    texts = [(table.key_of(row), [_shown(table, row, name) for name in names]) for row in rows]
    pictures = [charts.dots(title, points) for title, points in _pictured(of_base(table))]
    return {
        "columns": list(zip(names, right_aligned(names, listed, table.numeric), strict=True)),
        "rows": texts,
        "notes": notes,
        "pictures": [one for one in pictures if one],
    }


def of_base(table: Table) -> Table:
    """Return a table without the rows of variants."""
    return replace(table, rows=[row for row in table.rows if not (table.variant and row[table.variant])])


def _shown(table: Table, row: Mapping, name: str) -> tuple[str, str]:
    state = table.state_of(row, name)
    return (sign_of(state) if state else as_text(row.get(name))), state


def _results_of(table: Table) -> list[str]:
    return [name for name in table.columns if name not in table.described]


def _medians(table: Table) -> list[dict]:
    alike = [of_unit for rows in by_group(table).values() for of_unit in rows_by_unit(table, rows).values()]
    return [{**rows[0], "channel": len(rows), **_medians_of(table, rows)} for rows in alike]


def rows_by_unit(table: Table, rows: Iterable[Mapping]) -> dict[str, list[Mapping]]:
    """Return the rows of each unit, "" for counts."""
    found: defaultdict[str, list[Mapping]] = defaultdict(list)
    for row in rows:
        found[row.get(table.unit) or ""].append(row)
    return dict(found)


def _medians_of(table: Table, rows: Sequence[Mapping]) -> dict:
    found = {}
    for name in table.columns[table.columns.index("channel") + 1 :]:
        values = [row[name] for row in rows if isinstance(row.get(name), (int, float))]
        found[name] = statistics.median(values) if values else None
    return found


def _pictured(table: Table) -> Iterable[tuple[str, list[tuple[str, float]]]]:
    """Yield (title, [(group, value)]) of what is worth a picture: numbers that differ, range, and events per time.

    What is in units has a picture for each.
    """
    rates = {name: of["rate_hz"] for name, of in table.summaries.items() if "rate_hz" in of}
    columns = [n for n in _results_of(table) if n not in ("group", "channel", *table.events, *rates.values())]
    by_unit = rows_by_unit(table, table.rows)
    if {"min", "max"} <= set(columns):
        columns = [n for n in columns if n not in ("min", "max")]
        for title, rows in titled("range", by_unit):
            yield title, _points(rows, lambda row: row["max"] - row["min"])
    for name in columns:
        for title, rows in titled(name, by_unit if name in table.in_units else {"": table.rows}):
            points = _points(rows, operator.itemgetter(name))
            if len({value for _, value in points}) > 1:
                yield title, points
    has_rate = any(row.get("sampling_rate_hz") for row in table.rows)
    for name in table.events:
        if name in rates:
            yield f"{name} per second", _points(table.rows, operator.itemgetter(rates[name]))
        elif has_rate:
            yield f"{name} per second", _points(table.rows, _rate_of(name, "sampling_rate_hz"))
        else:
            yield f"{name} per 1,000 samples", _points(table.rows, _rate_of(name))


def titled(name: str, by_unit: Mapping[str, Sequence[Mapping]]) -> Iterable[tuple[str, Sequence[Mapping]]]:
    """Yield the title of a picture and its rows for each unit; counts are named beside others only."""
    for unit, rows in by_unit.items():
        yield f"{name} [{unit or 'counts'}]" if any(by_unit) else name, rows


def _rate_of(name: str, samples_per_unit: str = "") -> Callable[[Mapping], float]:
    """Return a function that gives the events of a row per second, or per 1,000 samples where no rate is named."""
    return lambda row: row[name] * (float(row[samples_per_unit]) if samples_per_unit else 1000) / row["count"]


def _points(rows: Iterable[Mapping], measure: Callable[[Mapping], float]) -> list[tuple[str, float]]:
    points = []
    for row in rows:
        try:
            points.append((str(row["group"]), float(measure(row))))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):  # blank, or text
            continue
    return points
