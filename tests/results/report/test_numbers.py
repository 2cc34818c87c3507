"""The numbers of the report."""

from pathlib import Path

from neuroluigi.results.report import facts, numbers
from neuroluigi.results.table import Table


def facts_of(rows):
    columns, described = ["group", "sampling_rate_hz", "area", "channel", "count", "min", "max", "edges"], ["area"]
    hidden = {("b", "edges"): "failed"}
    numeric = {*columns} - {"group", "area"}
    return facts_showing(Table(columns, ["sampling_rate_hz", *described], rows, ["a note"], ["edges"], numeric, hidden))


def facts_showing(table):
    return facts.Facts(None, {}, [], [], table, [], None, Path())


def row(group, channel, **cells):
    return {"group": group, "sampling_rate_hz": "500", "area": "ctx", "channel": channel, "count": 1000, **cells}


def test_numbers_are_ranges_and_events_per_second_and_what_all_share_is_said_once():
    rows = [row("a", 0, min=-5, max=15, edges=7), row("a", 1, min=0, max=1, edges=1), row("b", 0, min=None, max=3)]
    found = numbers.numbers(facts_of(rows))
    assert [name for name, _ in found["columns"]] == ["group", "channel", "count", "min", "max", "edges"]
    assert found["rows"][0] == ("a", [(cell, "") for cell in ("a", "0", "1000", "-5", "15", "7")])
    assert found["rows"][2][1][3:] == [("", ""), ("3", ""), ("!", "failed")]
    assert found["notes"] == ["In all rows: sampling_rate_hz 500, area ctx.", "a note"]
    ranges, rates = found["pictures"]
    assert "<title>a: 20</title>" in ranges and "<title>a: 1</title>" in ranges and "<title>b" not in ranges
    # 7 events in 1000 samples at 500 Hz, which are 2 s
    assert "<strong>edges per second</strong> 0.5 to 3.5" in rates


def test_of_very_many_channels_the_median_of_each_group_is_shown():
    rows = [row(f"g{n}", c, min=0, max=c, edges=c) for n in range(15) for c in range(385)]
    found = numbers.numbers(facts_of(rows))
    assert len(found["rows"]) == 15 and found["rows"][3] == (
        "g3",
        [(cell, "") for cell in ("g3", "1000", "0", "192", "192")],
    )
    assert "Of the channels of each group and unit the median is shown" in found["notes"][-1]
    assert "channel 385" in found["notes"][0]


def test_events_with_a_summary_have_their_own_rates():
    columns = ["group", "sampling_rate_hz", "channel", "rate_hz", "count", "spikes"]
    rows = [row("a", n, rate_hz=rate, spikes=7) for n, rate in enumerate((2.5, 5.0, None))]
    table = Table(columns, ["sampling_rate_hz"], rows, [], ["spikes"], summaries={"spikes": {"rate_hz": "rate_hz"}})
    (picture,) = numbers.numbers(facts_showing(table))["pictures"]
    assert "<strong>spikes per second</strong> 2.5 to 5" in picture
