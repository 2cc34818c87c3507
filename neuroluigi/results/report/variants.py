"""The variants of the report: what each is, its plots beside those of the base, and the numbers that differ."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from neuroluigi.results.compare import BASE, differing_numbers, numbers_of
from neuroluigi.results.report import charts
from neuroluigi.results.report.facts import Facts
from neuroluigi.results.report.numbers import rows_by_unit, titled
from neuroluigi.results.table import Table

# Of more groups the plots would make a page that takes long to load; they all lie in results/.
_MOST_GROUPS = 24


def shown_plots(plots: Sequence[Mapping]) -> tuple[list[Mapping], list[Mapping]]:
    """Return the plots of the base, and of variants those that the report shows."""
    groups = list(dict.fromkeys(one["of_base"] for one in plots if one["variant"]))[:_MOST_GROUPS]
    of_base = [one for one in plots if not one["variant"]]
    return of_base, [one for one in plots if one["variant"] and one["of_base"] in groups]


def variants(facts: Facts, of_base: Sequence[Mapping], of_variants: Sequence[Mapping], left_out: int) -> dict:
    """Return the variants with what they set, plots per group and name, and pictures of numbers; {} without variants.

    `left_out` is the number of the plots of variants that are not among `of_variants`.
    """
    if not facts.variants:
        return {}
    return {
        "declared": [
            (name, [f"{step}.{one} = {text}" for step, texts in variant.values.items() for one, text in texts.items()])
            for name, variant in facts.variants.items()
        ],
        "groups": _galleries(of_base, of_variants),
        "left_out": left_out,
        "pictures": _pictures(facts.table, [BASE, *facts.variants]),
    }


def _galleries(of_base: Iterable[Mapping], of_variants: Sequence[Mapping]) -> list[dict]:
    """Return for each group that variants have plots of its own plots by name: of the base first."""
    found: dict[str, dict[str, list[dict]]] = {}
    for plot in of_variants:
        found.setdefault(plot["of_base"], {}).setdefault(plot["name"], [])
    for plot in (*of_base, *of_variants):
        if plot["name"] in found.get(plot["of_base"], ()):
            found[plot["of_base"]][plot["name"]].append({**plot, "variant": plot["variant"] or BASE})
    return [{"group": group, "plots": list(by_name.items())} for group, by_name in found.items()]


def _pictures(table: Table, names: Sequence[str]) -> list[str]:
    """Return a picture for each number in which variants differ: a line per group, over the variants."""
    drawn = []
    for column in differing_numbers(table, table.rows, numbers_of(table)):
        by_unit = rows_by_unit(table, table.rows) if column in table.in_units else {"": table.rows}
        for title, rows in titled(column, by_unit):
            values: dict[str, dict[str, list[float]]] = {}
            for row in rows:
                of_group = values.setdefault(str(row["group"]), {})
                if isinstance(value := row.get(column), (int, float)):
                    of_group.setdefault(str((table.variant and row.get(table.variant)) or BASE), []).append(value)
            joined = sum if column in table.events else statistics.median
            lines = [
                (group, [joined(of[name]) if name in of else None for name in names]) for group, of in values.items()
            ]
            drawn.append(charts.lines(title, names, lines))
    return [one for one in drawn if one]
