"""The states of all results: lines per group where a table would be too wide for the terminal."""

import pytest

from neuroluigi.cli.status_table import state_lines

STEPS = ["Aggregate", "Stats", "Spikes", "SpikePlots"]
ROWS = [["m1", "done", "missing", "waiting", "waiting"], ["a-long-one", "done", "", "", ""]]


def lines(width: int, rows=ROWS) -> list[str]:
    return [line.plain.rstrip() for line in state_lines(STEPS, rows, width)]


def test_each_group_has_the_steps_that_it_has_and_the_signs_are_explained():
    assert lines(60) == [
        "m1          ✓ Aggregate  ○ Stats  … Spikes  … SpikePlots",
        "a-long-one  ✓ Aggregate",
        "",
        "✓ done  … waiting  ○ missing",
    ]


def test_steps_go_on_in_the_next_line_below_those_of_the_first():
    assert lines(40)[:3] == [
        "m1          ✓ Aggregate  ○ Stats",
        "            … Spikes  … SpikePlots",
        "a-long-one  ✓ Aggregate",
    ]


def test_a_group_with_a_name_that_takes_much_room_has_its_own_line():
    assert lines(29)[:5] == [
        "m1  ✓ Aggregate  ○ Stats",
        "    … Spikes  … SpikePlots",
        "a-long-one",
        "    ✓ Aggregate",
        "",
    ]
    assert lines(29, ROWS[1:])[:2] == ["a-long-one", "    ✓ Aggregate"]


@pytest.mark.parametrize("width", [20, 30, 50, 80])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, lines(width))) <= width


def test_colours_are_those_of_the_states():
    (first, *_) = state_lines(STEPS, ROWS, 80)
    assert {span.style for span in first.spans} == {"green", "yellow"}
