"""Channels that steps take for bad, named below tables and in the report."""

import pytest

from neuroluigi.results.bad_channels import candidates_line, find_candidates
from neuroluigi.results.table import Table


@pytest.mark.parametrize("column", ["flag", "spikes.flag"])
def test_candidates_are_those_of_the_flags_of_results(column):
    rows = [
        {"group": group, "channel": n, column: flag}
        for group, flags in (("a", ["", "candidate", "bad", "candidate"]), ("b", ["", None]))
        for n, flag in enumerate(flags)
    ]
    assert find_candidates(Table(["group", "channel", column], [], rows, []), rows) == {"a": ["1", "3"]}
    # A column of the recordings says something else.
    assert find_candidates(Table(["group", "channel", column], [column], rows, []), rows) == {}


def test_the_line_names_groups_and_channels_of_many_the_first():
    assert candidates_line({}) == ""
    line = candidates_line({"a": ["1", "3"], "b": [str(n) for n in range(7)]})
    assert line.startswith(
        "Channels whose noise is far from that of their neighbours: a 1, 3; b 0, 1, 2, 3, 4 and 2 more. To leave them"
        " out of events and references, name them in [recordings] bad_channels, or in"
    )
