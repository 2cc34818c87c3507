"""The sections of the report: the overall state, counts and times of steps, the matrix, the timeline, failures."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from neuroluigi.provenance import state
from neuroluigi.recordings.recording import Group
from neuroluigi.results.report import sections
from neuroluigi.results.table import Table
from tests.results.report.about import a_result, facts_of

TO_MAKE = state.Status(state.STALE, (state.Reason("parameters", "made with threshold 0.5"),), todo=state.MAKE)
FAILED = replace(TO_MAKE, failure="no samples")


@pytest.mark.parametrize(
    ("found", "sign", "text"),
    [
        ([a_result("Stats", "a"), a_result("Stats", "b")], "✓", "All 2 results are done"),
        ([a_result("Stats", "a")], "✓", "1 result is done"),
        (
            [a_result("Stats", "a"), a_result("Stats", "b", TO_MAKE)],
            "↻",
            "1 of 2 results are done, 1 is to be ",
        ),
        (
            [replace(a_result(s, "a", TO_MAKE), record={}) for s in "XY"],
            "○",
            "Nothing is made yet; 2 results are",
        ),
        ([a_result("Stats", "a"), a_result("Stats", "b", FAILED, {"error": "x"})], "!", "1 of 2 results failed"),
    ],
)
def test_the_overall_state_in_one_line(found, sign, text):
    banner = sections.banner(facts_of(*found))
    assert banner["sign"] == sign and banner["text"].startswith(text)


def test_errors_that_are_the_same_are_told_once_and_long_ones_cut():
    failed = [a_result("Stats", group, FAILED, {"error": "no\n samples"}) for group in "abc"]
    failed.append(a_result("Plot", "a", FAILED, {"error": "x" * 400}))
    # What is wrong with the recordings is said of the group.
    bound_to_fail = a_result("Stats", "z", replace(FAILED, problem="empty file"), {"error": "empty file"})
    failed += [bound_to_fail, a_result("Edges", "s-1", FAILED, {"error": "s-1 is odd"})]
    failed.append(a_result("Edges", "s-2", FAILED, {"error": "s-2 is odd"}))
    groups = {key: Group(key, {}, (), (), ("empty file",) if key == "z" else ()) for key in ("s-1", "s-2", "z")}
    banner = sections.banner(facts_of(*failed, run={"end": "was killed"}, groups=groups))
    assert banner["errors"] == [
        "The last run was killed.",
        "Stats of a and 2 more: no samples",
        "Edges of s-1 and 1 more: s-1 is odd",
        f"Plot of a: {'x' * 300}…",
        "problem in z: empty file",
    ]


def test_captions_have_all_that_tells_groups_apart_and_long_values_short(tmp_path):
    described = ["session", "stream", "clock", "kind", "dtype"]
    columns = ["group", *described, "channel", "edges"]
    rows = [
        {"group": f"{s}-ap", "session": s, "stream": "ap", "clock": s * 60, "kind": kind, "dtype": "int16", "edges": 2}
        for s in "mn"
        for kind in ("ap", "digital")
    ]
    (tmp_path / "plot.png").write_bytes(b"x")
    plot = a_result("Plot", "m-ap")
    plot.entry.task.output = lambda: [SimpleNamespace(path=tmp_path / "plot.png")]
    groups = {"m-ap": Group("m-ap", {"session": "m", "stream": "ap"}, (), (), ())}
    facts = replace(facts_of(plot, groups=groups), table=Table(columns, described, rows, [], ["edges"]))
    (found,) = sections.plots(facts)
    # The session is in the name of the group, dtype is that of all, kind is another one for each channel.
    assert found["about"] == f"4 edges; clock {'m' * 12}…{'m' * 11}"


def test_channels_that_were_not_looked_at_hide_no_count(tmp_path):
    rows = [{"group": "a", "channel": n, "spikes": count} for n, count in enumerate((1200, 34, None))]
    (tmp_path / "plot.png").write_bytes(b"x")
    plot = a_result("Plot", "a")
    plot.entry.task.output = lambda: [SimpleNamespace(path=tmp_path / "plot.png")]
    facts = replace(facts_of(plot), table=Table(["group", "channel", "spikes"], [], rows, [], ["spikes"]))
    assert sections.plots(facts)[0]["about"] == "1,234 spikes"


def test_plots_of_a_group_are_together_where_one_has_several():
    plots = [{"group": group, "about": f"of {group}", "name": name} for group, name in ("ax", "by", "bz")]
    assert sections.galleries(plots[:2]) == [{"group": "", "about": "", "plots": plots[:2]}]
    assert sections.galleries(plots) == [
        {"group": "a", "about": "of a", "plots": plots[:1]},
        {"group": "b", "about": "of b", "plots": plots[1:]},
    ]
    assert sections.galleries([]) == []


def test_steps_have_counts_tools_and_times():
    facts = facts_of(
        a_result("Stats", "a", seconds=1.0),
        a_result("Stats", "b", seconds=5.0),
        a_result("Stats", "c", TO_MAKE, seconds=3.0, tool={"engine": "matlab", "release": "R2022b"}),
        replace(a_result("Plot", "a", TO_MAKE), record={}),
    )
    stats, plot = sections.steps(facts)
    assert stats["states"] == [("done", "✓", 2), ("stale", "↻", 1)] and stats["kind"] == "stale"
    assert stats["tools"] == [("matlab R2022b", 1), ("octave 7.3.0", 2)]
    assert stats["seconds"] == {"median": 3.0, "most": 5.0, "slowest": "b", "total": 9.0}
    assert plot["seconds"] is None and plot["tools"] == []


def test_the_matrix_has_a_cell_for_each_group_and_step(declare):
    facts = facts_of(a_result("Stats", "a"), a_result("Plot", "a", TO_MAKE), a_result("Stats", "b"))
    found = sections.matrix(facts)
    assert found["steps"] == ["Stats", "Plot"] and [key for key, _ in found["rows"]] == ["a", "b"]
    (stats, plot), (other, nothing) = (cells for _, cells in found["rows"])
    assert nothing is None and (stats["sign"], stats["numbers"], stats["why"]) == ("✓", "0", "")
    assert (plot["state"], plot["numbers"], plot["why"]) == ("stale", "1", "made with threshold 0.5")
    assert other["numbers"] == "2" and other["link"] == "b/runs/Stats.json"


def test_the_timeline_shows_what_ran_in_the_last_run():
    run = {"started": "2026-03-01T10:00:00+00:00", "ended": "2026-03-01T10:00:10+00:00"}
    before = {"started": "2026-03-01T09:00:00+00:00", "ended": "2026-03-01T09:00:01+00:00"}
    failure = {"error": "x", "started": "2026-03-01T10:00:04+00:00", "ended": "2026-03-01T10:00:06+00:00"}
    facts = facts_of(a_result("Stats", "a"), a_result("Stats", "old", **before), a_result("Plot", "a", failure=failure))
    drawn = sections.timeline(replace(facts, run=run))
    assert len(re.findall('class="bar"', drawn)) == 2 and len(re.findall('class="failed"', drawn)) == 1
    assert "Stats a: 1.5 s" in drawn and "old" not in drawn and "Plot a: 2 s, failed" in drawn
    assert sections.timeline(facts) == sections.timeline(replace(facts, run={"started": "once"})) == ""


def test_failures_with_the_end_of_their_log(tmp_path, declare):
    failed = a_result("Stats", "a", FAILED, {"error": "no samples", "started": "2026-03-01T10:00:04+00:00"})
    failed.entry.task.record_path = tmp_path / "results" / "a" / "runs" / "Stats.json"
    (tmp_path / "results" / "a" / "runs").mkdir(parents=True)
    (tmp_path / "results" / "a" / "runs" / "Stats.failed.log").write_text("counting\nno samples\n")
    (one,) = sections.failures(facts_of(failed, a_result("Plot", "a"), folder=tmp_path / "results"))
    assert (one["step"], one["group"], one["error"]) == ("Stats", "a", "no samples")
    assert one["started"] == "2026-03-01 10:00:04 +0000" and "counting\nno samples" in one["log"]
    assert one["link"] == "a/runs/Stats.failed.log"


def test_the_picture_has_counts_and_tools_of_each_step():
    drawn = sections.picture(facts_of(a_result("Stats", "a"), a_result("Stats", "b", TO_MAKE)))
    assert drawn.startswith("<svg") and "✓ 1 done" in drawn and "↻ 1 stale" in drawn and "octave 7.3.0" in drawn
