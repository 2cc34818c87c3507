"""The numbers of variants side by side: a row per group, channel and variant, with differences from one of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from neuroluigi.recordings.groups import VARIANT_SIGN
from neuroluigi.results.output import Cell
from neuroluigi.results.query import QueryError
from neuroluigi.results.table import Table, select_rows

# What the results of luigi.cfg are called beside those of variants.
BASE = "base"

# The columns that say of what a row is.
_PLACE = ("group", "channel", "variant")


def choose_variants(table: Table, names: Sequence[str]) -> list[str]:
    """Return the variants to compare, `base` among them, the one that differences are from first.

    Without names, that is the base and each variant that has results. Raises QueryError for one that has none.
    """
    there = {str(row[table.variant]): None for row in table.rows if table.variant and row[table.variant]}
    if not names and not there:
        raise QueryError(
            "there are no results of variants; declare one in [variants] of luigi.cfg, strict = STEP.PARAMETER=VALUE,"
            " and make them: neuroluigi run --variants all"
        )
    if missing := [name for name in names if name not in (BASE, *there)]:
        raise QueryError(f"variant {missing[0]} has no results yet; make them: neuroluigi run --variants {missing[0]}")
    chosen = list(dict.fromkeys(names or (BASE, *there)))
    if len(chosen) == 1:
        raise QueryError(f"with what is {chosen[0]} to be compared? Name another, such as {next(iter(there), BASE)}")
    return chosen


def compare_variants(table: Table, chosen: Sequence[str]) -> Table:
    """Return a table of the variants alone, those of a group and channel below each other.

    Beside each number of the results is its difference from that of the first variant, in a column such as
    `edges - base`. A difference is blank in the rows of that variant, and where one of the two has no number.
    """
    names = numbers_of(table)
    places: defaultdict[tuple[Cell, Cell], dict[str, Mapping[str, Cell]]] = defaultdict(dict)
    for row in table.rows:
        places[row["group"], row["channel"]][str((table.variant and row[table.variant]) or BASE)] = row
    # Of a group that none of the variants touches there is nothing to compare.
    compared = [one for one in places.values() if len(one.keys() & set(chosen)) > 1]
    rows = [
        {**of_variant[name], "variant": name, **dict(_differences(of_variant, name, chosen[0], names))}
        for of_variant in compared
        for name in chosen
        if name in of_variant
    ]
    pairs = [one for name in names for one in (name, difference_of(name, chosen[0]))]
    return replace(
        table,
        columns=[*_PLACE, *table.described, *pairs],
        rows=rows,
        numeric=table.numeric | set(pairs),
        # Here the base has a name, too.
        hidden={(_named(key), name): state for (key, name), state in table.hidden.items()},
        variant="variant",
    )


def _named(key: str) -> str:
    return key if VARIANT_SIGN in key else f"{key}{VARIANT_SIGN}{BASE}"


def numbers_of(table: Table) -> list[str]:
    """Return the columns of numbers that are of results."""
    others = {*_PLACE, table.variant, *table.described}
    return [name for name in table.columns if name in table.numeric and name not in others]


def difference_of(name: str, reference: str) -> str:
    """Return the column of the differences of a number from that of a variant."""
    return f"{name} - {reference}"


def _differences(
    of_variant: Mapping[str, Mapping[str, Cell]], variant: str, reference: str, names: Sequence[str]
) -> Iterator[tuple[str, Cell]]:
    if variant == reference or reference not in of_variant:
        return
    for name in names:
        here, there = (of_variant[one].get(name) for one in (variant, reference))
        if isinstance(here, (int, float)) and isinstance(there, (int, float)):
            yield difference_of(name, reference), here - there


def select_compared(
    compared: Table, reference: str, where: Iterable[str], sort: Sequence[str], columns: Sequence[str], has_all: bool
) -> tuple[list[str], list[Mapping[str, Cell]]]:
    """Return columns and rows as select_rows() does.

    By default the columns are those that say of what a row is, and the numbers that differ between variants in one of
    the groups and channels of these rows; all numbers if `has_all`. Raises QueryError.
    """
    shown, rows = select_rows(compared, where, sort, columns)
    if columns:
        return shown, rows
    names = [name for name in numbers_of(compared) if difference_of(name, reference) in compared.columns]
    if not has_all:
        differing = differing_numbers(compared, rows, names)
        names = [name for name in names if name in differing]
    units = [compared.unit] if any(name in compared.in_units for name in names) and compared.unit else []
    return [*_PLACE, *units, *(one for name in names for one in (name, difference_of(name, reference)))], rows


def differing_numbers(table: Table, rows: Iterable[Mapping[str, Cell]], names: Iterable[str]) -> list[str]:
    """Return the columns, of those named, in which variants differ in one of the groups and channels of some rows."""
    asked = {(row["group"], row["channel"]) for row in rows}
    of_place: defaultdict[tuple[Cell, Cell], list[Mapping[str, Cell]]] = defaultdict(list)
    for row in table.rows:
        if (place := (row["group"], row["channel"])) in asked:
            of_place[place].append(row)
    return [name for name in names if any(len({one.get(name) for one in some}) > 1 for some in of_place.values())]
