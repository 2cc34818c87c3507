"""The events of the report: rows for steps and groups, and how they are shown."""

import json
import shutil

import pytest

from neuroluigi.results.report.event_steps import event_steps
from neuroluigi.results.table import Table
from tests.browser import needs_browser
from tests.conftest import Pipeline
from tests.recordings.test_found import write_run
from tests.results.event_steps import STEPS
from tests.results.report.conftest import MARKUP, Page
from tests.results.report.test_numbers import facts_showing
from tests.results.test_table import ask

SUMMARY = {"rate_hz": "rate_hz", "noise": "noise", "flag": "flag"}
COLUMNS = ["group", "kind", "unit", "channel", "rate_hz", "noise", "flag", "spikes"]


def rows_of(group, *channels):
    names = COLUMNS[1:3] + COLUMNS[4:]
    return [{"group": group, "channel": n, **dict(zip(names, one, strict=True))} for n, one in enumerate(channels)]


def shown(rows, hidden=None):
    table = Table(COLUMNS, ["kind", "unit"], rows, [], ["spikes"], hidden=hidden or {}, summaries={"spikes": SUMMARY})
    return event_steps(facts_showing(table))


def test_channels_of_a_kind_are_summed_up_and_the_others_counted():
    rows = rows_of(
        "a",
        ("ap", "uV", 1.0, 5.0, "", 600),
        ("ap", "uV", 3.0, 6.0, "", 1800),
        ("ap", "uV", 2.0, 60.0, "candidate", 1200),
        ("lf", "uV", None, None, "not chosen", None),
        ("lf", "uV", None, None, "not chosen", None),
        ("ap", "uV", None, 7.0, "unused", None),
    )
    found = shown(rows)
    (row,) = found["rows"]
    assert (row["group"], row["name"], row["kind"], row["channels"], row["count"]) == ("a", "spikes", "ap", 3, "3,600")
    assert (row["rates"], row["noise"]) == ("2 (1 to 3)", "6 (5 to 60) uV")
    assert row["left_out"] == "2 not chosen, 1 unused" and found["has_kinds"]
    assert (
        row["noise_picture"].count('class="marked"') == 1 and "spikes per second of 3 channels" in row["rate_picture"]
    )
    assert "neighbours: a 2. To leave" in found["candidates"]


def test_kinds_and_units_are_apart_and_counts_have_no_unit():
    rows = rows_of("a", ("ap", "uV", 1.0, 5.0, "", 6), ("analog", "V", 2.0, 0.1, "", 12), ("", None, 2.0, 3.0, "", 12))
    found = shown(rows)["rows"]
    assert [(row["kind"], row["noise"]) for row in found] == [("ap", "5 uV"), ("analog", "0.1 V"), ("", "3 counts")]


def test_a_step_that_failed_has_its_state_and_one_that_is_not_planned_for_a_group_none():
    rows = [*rows_of("a", ("ap", "uV", None, None, None, None)), *rows_of("b", ("ap", "uV", None, None, None, None))]
    (row,) = shown(rows, {("a", "spikes"): "failed"})["rows"]
    assert (row["group"], row["state"], row["sign"]) == ("a", "failed", "!")


def test_arrays_without_a_summary_are_among_the_numbers_alone():
    table = Table(["group", "channel", "edges"], [], [{"group": "a", "channel": 0, "edges": 3}], [], ["edges"])
    assert event_steps(facts_showing(table)) == {"rows": [], "has_kinds": False, "candidates": ""}


def test_of_very_many_rows_there_are_no_pictures():
    rows = [row for n in range(501) for row in rows_of(f"g{n}", ("ap", "uV", 1.0, 5.0, "", 6))]
    found = shown(rows)["rows"]
    assert len(found) == 501 and not any(row["rate_picture"] or row["noise_picture"] for row in found)
    assert all(row["rate_picture"] for row in shown(rows[:500])["rows"])


SETTINGS = ["--recordings-root", "data", "--matlab-engine", "numpy"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    lab = Pipeline(tmp_path_factory.mktemp("events") / "lab")
    write_run(lab.folder / "data", "m_g0_t0.imec0.ap", samples=10)
    lab.add(STEPS)
    lab.run("All", *SETTINGS)
    return lab


def page_of(lab):
    ask(lab.folder, "--task", "All", "report", *SETTINGS)
    return Page(lab)


def test_the_page_has_a_section_of_events(made):
    page = page_of(made)
    section = page.section("events")
    assert "m-0-imec0.ap spikes ap 2 3 3.75 (2.5 to 5)" in section and "51.56 (9.375 to 93.75) uV" in section
    assert "1 not chosen" in section and "m-0-imec0.ap 1. To leave them out" in section
    assert {"href": "#events"} in page.all("a", "href")


@needs_browser
def test_what_the_files_say_is_text_on_the_page(made, tmp_path, browser):
    copy = object.__new__(Pipeline)
    copy.folder = tmp_path / "lab"
    shutil.copytree(made.folder, copy.folder)
    path = copy.results / "m-0-imec0.ap" / "spikes.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "flag": ["", "candidate", MARKUP]}))
    page = page_of(copy)
    assert f"1 {MARKUP}" in page.section("events") and MARKUP not in page.source
    browser.open(copy.results / "report.html")
    strips = browser.run(
        "return [...document.querySelectorAll('#events .strip')].map(s => s.getBoundingClientRect().width)"
    )
    assert strips == [120, 120] and not browser.errors()
    assert browser.run("return document.title").endswith(" All: report")
