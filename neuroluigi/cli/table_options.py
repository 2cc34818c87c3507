"""The options that all commands with tables of results have, and what is printed with them."""

import sys
from collections.abc import Iterable, Mapping, Sequence

import click

from neuroluigi.cli.tables import print_fitting, print_table
from neuroluigi.provenance.plain_text import unfiltered
from neuroluigi.results.output import Cell, write_csv, write_json
from neuroluigi.results.table import Table, as_json_cells, cells_for_the_eye

WHERE_OPTION = click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only rows for which this holds: a column, one of = != < <= > >=, a value ('note=': blank). Repeatable: and.",
)
SORT_OPTION = click.option(
    "--sort", multiple=True, metavar="[-]COLUMN", help="Sort by a column, downwards with a minus before it. Repeatable."
)
COLUMNS_OPTION = click.option("--columns", default="", metavar="COLUMN,...", help="Only these columns, in this order.")
COUNTS_OPTION = click.option(
    "--counts", "as_counts", is_flag=True, help="Print raw counts, where else there are units."
)


def output_options(command):
    """Add --json, --csv and --raw to a command."""
    for form in ("json", "csv"):
        command = click.option(f"--{form}", "form", flag_value=form, help=f"Print {form.upper()}, all digits.")(command)
    raw = "CSV as it is: without it, what a spreadsheet would take for a formula begins with an apostrophe."
    return click.option("--raw", "is_raw", is_flag=True, help=raw)(command)


def words_of(columns: str) -> list[str]:
    """Return the columns that --columns names."""
    return [name.strip() for name in columns.split(",") if name.strip()]


def write_blocks(form: str, is_raw: bool, columns: Sequence[str], blocks: Iterable[Iterable[Sequence[Cell]]]) -> None:
    """Print blocks of rows as CSV or JSON."""
    if form == "json":
        write_json(columns, blocks, sys.stdout)
    else:
        out = unfiltered(sys.stdout) if is_raw and not sys.stdout.isatty() else sys.stdout
        write_csv(columns, blocks, out, is_raw)


def write_rows(
    table: Table, columns: Sequence[str], rows: Sequence[Mapping[str, Cell]], form: str, is_raw: bool, has_all: bool
) -> None:
    """Print rows of a table of results: as CSV, as JSON, or for the eye; all columns if `has_all`, else what fits."""
    for note in table.notes:
        click.echo(f"neuroluigi: {note}", err=True)
    if form == "json":
        write_blocks(form, is_raw, columns, [as_json_cells(table, columns, rows)])
    elif form == "csv":
        write_blocks(form, is_raw, columns, [[tuple(row.get(name) for name in columns) for row in rows]])
    elif has_all:
        print_table(columns, cells_for_the_eye(table, columns, rows), table.numeric)
    else:
        kept = ("group", "channel", *filter(None, [table.variant, table.unit]))
        described = (*(name for name in ("group", table.variant, "channel") if name), *table.described)
        of_steps = [name for name in columns if name not in described]
        cells = cells_for_the_eye(table, columns, rows)
        print_fitting(columns, cells, described, table.numeric, kept, of_steps)
