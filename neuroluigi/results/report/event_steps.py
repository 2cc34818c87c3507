"""The events of the report: of each step and group how many there are, how often, and with how much noise.

A probe has hundreds of channels, so these are summed up, and drawn side by side.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from neuroluigi.results.bad_channels import CANDIDATE, candidates_line, find_candidates
from neuroluigi.results.output import Cell
from neuroluigi.results.report import charts
from neuroluigi.results.report.facts import Facts
from neuroluigi.results.report.numbers import by_group
from neuroluigi.results.status import sign_of
from neuroluigi.results.table import Table

# Pictures of more rows would take longer to load than to look at.
_MOST_PICTURED = 500


def event_steps(facts: Facts) -> dict:
    """Return rows for each group and step with a summary of its events, and a line on channels that may be bad.

    A row has group, name, kind, and either state and sign of a step that is not done, or channels, count, rates and
    noise in words and as pictures, and how many channels were left out for what.
    """
    table = facts.table
    found = [
        row
        for group, rows in by_group(table).items()
        for name, columns in table.summaries.items()
        if "rate_hz" in columns
        for row in _rows_of(table, group, rows, name)
    ]
    for row in found if len(found) > _MOST_PICTURED else ():
        row |= {"rate_picture": "", "noise_picture": ""}
    return {
        "rows": found,
        "has_kinds": any(row["kind"] for row in found),
        "candidates": candidates_line(find_candidates(table, table.rows)),
    }


def _rows_of(table: Table, group: str, rows: Sequence[Mapping[str, Cell]], name: str) -> list[dict]:
    """Return a row for each kind and unit of the channels that were looked at."""
    looked_at = [row for row in rows if row.get(name) is not None]
    if not looked_at:
        state = table.state_of(rows[0], name)
        return [{"group": group, "name": name, "kind": "", "state": state, "sign": sign_of(state)}] if state else []
    alike: dict[tuple[str, str], list[Mapping[str, Cell]]] = {}
    for row in looked_at:
        alike.setdefault((str(row.get("kind") or ""), str(row.get(table.unit) or "")), []).append(row)
    flag = table.summaries[name].get("flag", "")
    others = Counter(str(row.get(flag) or "no reason given") for row in rows if row.get(name) is None)
    left_out = ", ".join(f"{count} {why}" for why, count in others.items())
    found = [_row(table, group, name, kind, unit, of_kind) for (kind, unit), of_kind in alike.items()]
    return [{**row, "left_out": left_out if n == 0 else ""} for n, row in enumerate(found)]


def _row(table: Table, group: str, name: str, kind: str, unit: str, rows: Sequence[Mapping[str, Cell]]) -> dict:
    columns = table.summaries[name]
    rates, noise = (_numbers(rows, columns.get(one, "")) for one in ("rate_hz", "noise"))
    marked = {n for n, row in enumerate(rows) if row.get(columns.get("flag", "")) == CANDIDATE}
    return {
        "group": group,
        "name": name,
        "kind": kind,
        "channels": len(rows),
        "count": f"{sum(_whole(row[name]) for row in rows):,}",
        "rates": _in_words(rates),
        "rate_picture": charts.strip(f"{name} per second", rates, marked),
        "noise": f"{_in_words(noise)} {unit or 'counts'}" if _in_words(noise) else "",
        "noise_picture": charts.strip(f"noise [{unit or 'counts'}]", noise, marked),
    }


def _numbers(rows: Sequence[Mapping[str, Cell]], column: str) -> list[float | None]:
    cells = (row.get(column) for row in rows)
    return [float(cell) if isinstance(cell, (int, float)) else None for cell in cells]


def _whole(cell: Cell) -> int:
    return cell if isinstance(cell, int) else 0


def _in_words(values: Sequence[float | None]) -> str:
    known = [one for one in values if one is not None]
    return charts.spread(known) if known else ""
