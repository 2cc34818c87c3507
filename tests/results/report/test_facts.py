"""What the report is made from: by what it is up to date, how the last run ended, addresses and numbers as text."""

import json
import os
import socket
from dataclasses import replace

import pytest

from neuroluigi.provenance import run_lock, state
from neuroluigi.results.report.facts import Facts, counted, last_run, shown_time
from tests.results.report.about import a_result, facts_of


def test_a_page_is_up_to_date_while_nothing_that_it_shows_changed():
    facts = facts_of(a_result("Stats", "a"), a_result("Plot", "a"))
    assert facts.digest() == facts_of(a_result("Stats", "a"), a_result("Plot", "a")).digest()
    first, second = facts.found
    changed = [
        replace(facts, found=[first]),
        replace(facts, found=[first, replace(second, failure={"error": "no room"})]),
        replace(facts, found=[replace(first, record={**first.record, "seconds": 2.0}), second]),
        replace(facts, found=[a_result("Stats", "a", state.Status(state.STALE, todo=state.MAKE)), second]),
        replace(facts, orphans=["old"]),
        replace(facts, run={"end": "succeeded"}),
        replace(facts, table=replace(facts.table, notes=["a note"])),
    ]
    assert len({one.digest() for one in (facts, *changed)}) == 1 + len(changed)


def test_a_name_that_is_no_text_has_a_checksum_too():
    assert len(facts_of(a_result("Stats", os.fsdecode(b"a\xff"))).digest()) == 64


def test_results_with_a_record_are_made():
    facts = facts_of(a_result("Stats", "a"), replace(a_result("Plot", "a"), record={}))
    assert [one.entry.step for one in facts.made] == ["Stats"]
    assert [one.step for one in facts.entries] == ["Stats", "Plot"]


@pytest.mark.parametrize(
    ("record", "end"),
    [
        ({"ended": "x", "exit_code": 0}, "succeeded"),
        ({"ended": "x", "exit_code": 130}, "was interrupted"),
        ({"ended": "x", "exit_code": 30}, "failed with exit code 30"),
        ({}, "was killed"),
    ],
)
def test_the_last_run_ended_somehow(tmp_path, record, end):
    assert last_run(tmp_path) is None
    write_run(tmp_path, pid=1, **record)
    assert last_run(tmp_path)["end"] == end


def test_a_run_that_holds_its_lock_is_at_work(tmp_path):
    with run_lock.side_by_side(tmp_path, {}, "luigi"):
        write_run(tmp_path, pid=os.getpid(), host={"name": socket.gethostname()})
        assert last_run(tmp_path)["end"] == "is at work"
    assert last_run(tmp_path)["end"] == "was killed"


def write_run(results, **record):
    empty = {"command": ["luigi"], "host": {}, "git": {}, "settings": [], "made": {}, "failed": [], "log": "run.log"}
    times = {name: "2026-03-01T10:00:00+01:00" for name in ("started", "ended") if name in ("started", *record)}
    (results / "run.json").write_text(json.dumps({"schema": 1, **empty, **record, **times}))


def test_addresses_are_relative_to_the_page(tmp_path):
    link = Facts(None, {}, [], [], None, [], None, folder=tmp_path / "results").link
    assert link(tmp_path / "results" / "a b" / "50%ü.png") == "a%20b/50%25%C3%BC.png"
    assert link(tmp_path / "recordings" / "x.bin") == "../recordings/x.bin"


def test_numbers_with_their_noun_and_times_in_their_zone():
    assert [counted(n, "result") for n in (0, 1, 1200)] == ["0 results", "1 result", "1,200 results"]
    assert shown_time("2026-03-01T10:00:00.123+01:00") == "2026-03-01 10:00:00 +0100"
    assert shown_time("yesterday") == "yesterday"
