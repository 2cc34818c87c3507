"""The small pictures of the report."""

import re

import pytest

from neuroluigi.results.report import charts


def test_bars_are_where_they_were_and_side_by_side_where_they_overlap():
    bars = [charts.Bar("A", "x", 0, 4), charts.Bar("A", "y", 2, 6), charts.Bar("A", "z", 4, 10, has_failed=True)]
    drawn = charts.gantt(bars, 10)
    found = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="(\d+)" width="([\d.]+)"', drawn)
    scale = float(found[0][3]) / 4
    assert [(kind, float(width) / scale) for kind, _, _, width in found] == [
        ("bar", pytest.approx(4)),
        ("failed", pytest.approx(6)),
        ("bar", pytest.approx(4)),
    ]
    begins = [(float(x) - float(found[0][1])) / scale for _, x, _, _ in found]
    assert begins == pytest.approx([0, 4, 2]) and found[0][2] == found[1][2] != found[2][2]
    assert "A z: 6 s, failed" in drawn and ">10 s</text>" in drawn
    assert [charts.span(s) for s in (0.234, 45, 125, 11400, 7200)] == [
        "0.23 s",
        "45 s",
        "2 min 5 s",
        "3 h 10 min",
        "2 h",
    ]


def test_dots_are_where_the_values_are():
    drawn = charts.dots("mean <x>", [("a", 1.0), ("b", float("nan")), ("c", 3.0), ("d", 2.0)])
    ys = [float(y) for y in re.findall(r'class="dot" d="M[\d.]+ ([\d.]+)h0"', drawn)]
    assert len(ys) == 3 and ys[1] < ys[2] < ys[0] and ys[0] - ys[2] == pytest.approx(ys[2] - ys[1], abs=0.11)
    assert "mean &lt;x&gt;</strong> 1 to 3, median 2" in drawn and "<title>c: 3</title>" in drawn
    assert charts.dots("none", [("a", float("inf"))]) == ""


def test_lines_join_the_values_of_each_series_and_their_medians():
    drawn = charts.lines("n <x>", ["base", "strict", "loose"], [("a", [1, 3, None]), ("b", [5, float("nan"), 5])])
    label = "n &lt;x&gt; of 2: medians: base 3, strict 3, loose 5"
    assert f'aria-label="{label}"' in drawn and "<title>b loose: 5</title>" in drawn and drawn.count("<title>a") == 2
    # The second series has no value in the middle, the first none at the end.
    (path,) = re.findall(r'class="line" d="([^"]*)"', drawn)
    assert [one[0] for one in re.findall(r"[ML][\d.]+ [\d.]+", path)] == ["M", "L", "M", "L"]
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert points[0][1] > points[1][1] > points[2][1] == points[3][1]
    assert points[0][0] == points[2][0] < points[1][0] < points[3][0]
    assert [one in drawn for one in (">base</text>", ">strict</text>", ">loose</text>")] == [True] * 3
    assert charts.lines("n", ["base"], [("a", [None])]) == "" and "main" not in charts.lines("n", ["b"], [("a", [1])])


def test_of_many_labels_there_are_as_many_as_there_is_room_for():
    labels = [f"noise-{n}" for n in range(40)]
    drawn = charts.lines("n", labels, [("a", list(range(40)))])
    shown = re.findall(r"<title>(noise-\d+)</title>", drawn)
    assert shown == labels[:: 40 // len(shown)] and 5 < len(shown) < 12
    assert "noise-5 5, … (40)" in drawn


def test_of_a_long_name_of_a_row_begin_and_end_are_shown_and_all_is_there_to_point_at():
    drawn = charts.gantt([charts.Bar("SortedWithAVeryLongNameThatEndsIn7", "a", 0, 1)], 1)
    assert "<title>SortedWithAVeryLongNameThatEndsIn7</title>SortedWithAV…ThatEndsIn7<" in drawn


def bars_of(drawn):
    """Return (height, whether it is marked) of each bar by its place."""
    found = {}
    for kind, path in re.findall(r'<path class="(\w*)" d="([^"]*)"', drawn):
        for x, height in re.findall(r"M([\d.]+) 24v-([\d.]+)", path):
            found[float(x)] = (float(height) - 1, kind == "marked")
    return [bar for _, bar in sorted(found.items())]


def test_a_strip_has_a_bar_for_each_channel_as_high_as_its_value():
    drawn = charts.strip("rate <x>", [1.0, None, 4.0, float("nan"), 2.0], {2})
    heights, marks = zip(*bars_of(drawn), strict=True)
    assert heights == pytest.approx([23 / 4, 0, 23, 0, 23 / 2], abs=0.06) and marks == (0, 0, 1, 0, 0)
    assert 'aria-label="rate &lt;x&gt; of 5 channels: 2 (1 to 4)"' in drawn and "<x>" not in drawn
    assert charts.strip("rate", [None, float("nan")]) == charts.strip("rate", []) == ""
    assert bars_of(charts.strip("rate", [0.0, 0.0])) == [(0, False)] * 2


def test_in_a_strip_of_hundreds_of_channels_the_largest_of_neighbours_is_drawn_and_no_mark_is_lost():
    values = [1.0] * 384
    values[201] = 10.0
    bars = bars_of(charts.strip("noise", values, {17, 200}))
    assert len(bars) == 120 and [n for n, (_, is_marked) in enumerate(bars) if is_marked] == [5, 62]
    assert [n for n, (height, _) in enumerate(bars) if height > 20] == [62]


def test_values_in_words_are_their_median_and_range():
    assert charts.spread([3.14159]) == "3.142" and charts.spread([5, 1, 20_000]) == "5 (1 to 20,000)"
