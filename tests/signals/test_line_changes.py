"""The runs of a line, and the order in which its changes are written."""

import io

import numpy as np

from neuroluigi.signals.line_changes import Line, OrderedRows


def changes(line: Line, samples, values, end: int) -> list[tuple[int, int]]:
    found, told = line.advance(np.array(samples, np.int64), np.array(values, np.int64), end)
    return list(zip(found.tolist(), told.tolist(), strict=True))


def test_a_change_is_certain_when_it_has_lasted():
    line = Line(0, 0, 1, settle=3, width=None)
    line.begin(0, 0)
    assert changes(line, [8], [1], 10) == [] and line.undecided(10) == 8
    assert changes(line, [], [], 11) == [(8, 1)] and line.undecided(11) == 11
    assert changes(line, [12], [0], 14) == []
    # A new stretch knows nothing of it.
    line.begin(14, 0)
    assert changes(line, [], [], 20) == [] and (line.rises, line.falls, line.initial) == (1, 0, 0)


def test_a_pulse_is_waited_for_as_long_as_it_may_have_the_width():
    line = Line(0, 0, 1, settle=1, width=10)
    line.begin(0, 1)
    assert changes(line, [5, 20], [0, 1], 25) == [] and line.undecided(25) == 20
    assert line.undecided(32) == 20 and line.undecided(33) == 33
    assert changes(line, [31], [0], 40) == [(20, 1), (31, 0)]


def test_values_of_bits_and_fields():
    words = np.array([0, 0b1010, 0xFFFF], np.uint16)
    assert Line(0, 1, 1, 1, None).of(words).tolist() == [0, 1, 1]
    assert Line(0, 1, 3, 1, None).of(words).tolist() == [0, 5, 7]
    assert Line(0, 15, 1, 1, None).of(words).tolist() == [0, 0, 1]


def test_rows_are_sorted_and_wait_for_what_may_come_before_them():
    file, fast, slow = io.BytesIO(), Line(1, 0, 1, 1, None), Line(0, 3, 1, settle=5, width=None)
    rows = OrderedRows(file)
    for line in (fast, slow):
        line.begin(0, 0)
    rows.add(fast, *fast.advance(np.array([2, 8]), np.array([1, 0]), 10))
    rows.add(slow, *slow.advance(np.array([8]), np.array([1]), 10))
    rows.write([fast, slow], 10)
    assert rows.count == 1
    rows.add(slow, *slow.advance(np.array([], int), np.array([], int), 20))
    rows.write([fast, slow], 20)
    rows.close()
    file.seek(0)
    assert np.load(file).tolist() == [[2, 1, 0, 1], [8, 0, 3, 1], [8, 1, 0, 0]]
