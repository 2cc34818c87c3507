"""`neuroluigi compare`: the numbers of variants side by side."""

import itertools

import click

from neuroluigi.cli.pipeline import LUIGI_OPTIONS, answered, pipeline_of
from neuroluigi.cli.table_options import (
    COLUMNS_OPTION,
    COUNTS_OPTION,
    SORT_OPTION,
    WHERE_OPTION,
    output_options,
    words_of,
    write_rows,
)
from neuroluigi.results.compare import BASE, choose_variants, compare_variants, select_compared
from neuroluigi.results.own_files import files_of_groups
from neuroluigi.results.table import collect_table
from neuroluigi.steps.config import results_root
from neuroluigi.steps.discovery import groups
from neuroluigi.steps.variants import chosen


@click.command("compare", context_settings=LUIGI_OPTIONS)
@click.argument("variants", nargs=-1)
@click.option("--all", "has_all", is_flag=True, help="All numbers, not only those in which the variants differ.")
@WHERE_OPTION
@SORT_OPTION
@COLUMNS_OPTION
@COUNTS_OPTION
@output_options
@click.pass_context
def compare_command(context, variants, has_all, where, sort, columns, as_counts, form, is_raw):
    """Print the numbers of variants side by side; VARIANTS come before all settings, base is that of luigi.cfg.

    \b
    Examples:
      neuroluigi compare base strict loose
      neuroluigi compare base strict --where session=a --columns 'group,variant,edges,edges - base'

    A row per group, channel and variant; without VARIANTS the base and all variants that have results. Beside each
    number is its difference from that of the variant that is named first. The columns are those of neuroluigi results;
    by default those numbers are shown that differ in one of the rows' groups and channels.
    """
    names = list(itertools.takewhile(lambda word: not word.startswith("-"), variants))
    context.args[:0] = variants[len(names) :]
    with pipeline_of(context) as root:
        # One that is declared nowhere is no variant without results.
        chosen([name for name in names if name != BASE])
        today = groups()
        table = collect_table(today, files_of_groups(root, today), results_root(), as_counts)
    compared_to = answered(choose_variants, table, names)
    compared = compare_variants(table, compared_to)
    named = words_of(columns)
    shown, rows = answered(select_compared, compared, compared_to[0], where, sort, named, has_all)
    write_rows(compared, shown, rows, form, is_raw, bool(named))
    if not form and not named and shown[-1] == "variant":
        click.echo(f"\nIn these rows there is no number in which {', '.join(compared_to)} differ; see --all.")
