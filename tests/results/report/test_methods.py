"""The methods paragraph and what results were made with, from records alone."""

import hashlib
import json

from neuroluigi.provenance import state
from neuroluigi.results.report import methods, page
from tests.results.report.about import a_result, facts_of

RUN = {
    "command": ["luigi", "--module", "tasks", "PlotAll", "--Edges-threshold", "0.5 <b>"],
    "folder": "/home/ada/lab",
    "started": "2026-03-01T10:00:00+01:00",
    "seconds": 125,
    "end": "succeeded",
    "host": {"name": "lab1", "platform": "Linux-6", "user": "ada"},
    "workers": 2,
    "made": {"Stats": 2, "Edges": 1},
    "git": {"commit": "abcd", "is_clean": False},
    "settings": [{"name": "[Edges] threshold", "value": "0.5", "source": "command line"}, "no setting"],
}


NUMPY = {"engine": "numpy", "version": "2.0.1"}


def layout(rate):
    rows = [{"session": "a", "index": 0, "path": "a.bin", "first_sample": 0, "samples": 10}]
    return {"layout": {"dtype": "int16", "channels": 2, "sampling_rate_hz": rate, "recordings": rows, "segments": [0]}}


def test_the_paragraph_has_every_number_and_version_of_the_records():
    facts = facts_of(
        a_result("Stats", "a", fingerprint=layout(500)),
        a_result("Stats", "b", fingerprint=layout(500)),
        a_result("Edges", "a", parameters={"group": "a", "threshold": 0.5, "level": None}),
        a_result(
            "Edges", "b", parameters={"group": "b", "threshold": 0.6}, tool={"engine": "numpy", "version": "2.0.1"}
        ),
        run=RUN,
    )
    assert methods.methods(facts) == (
        "2 recordings in 2 groups (int16; channels: 2; sampling rate: 500 Hz)"
        " were analysed with Python 3.11.2 and NumPy 2.0.1."
        " Stats (2 results) was computed with makeStats.m on GNU Octave 7.3.0."
        " Edges (2 results) was computed with makeEdges.m on GNU Octave 7.3.0 (1), the counterpart of makeEdges.m in"
        " NumPy 2.0.1 (1), threshold 0.5 (1), 0.6 (1)."
        " The code is git commit abcd, with changes that are not committed."
    )


def test_what_is_no_longer_there_is_in_no_paragraph():
    gone = state.Status(state.MISSING, todo=state.MAKE, is_there=False)
    dropped = state.Status(state.DONE, is_there=False, is_dropped=True)
    assert methods.methods(facts_of(a_result("Stats", "a", gone))) == ""
    assert "Stats (1 result) was" in methods.methods(
        facts_of(a_result("Stats", "a", gone), a_result("Stats", "b", dropped))
    )


def test_the_last_run_in_lines():
    assert methods.last_run(facts_of()) == []
    assert methods.last_run(facts_of(run=RUN)) == [
        ("command", "luigi --module tasks PlotAll --Edges-threshold '0.5 <b>'"),
        ("folder", "/home/ada/lab"),
        ("started", "2026-03-01 10:00:00 +0100"),
        ("took", "2 min 5 s"),
        ("ended", "succeeded"),
        ("on", "lab1, Linux-6"),
        ("by", "ada"),
        ("workers", "2"),
        ("made", "2 Stats, 1 Edges"),
        ("code", "git commit abcd, with changes"),
    ]


def test_versions_hosts_and_code_are_counted():
    source = {"path": "tasks.py:Stats", "sha256": "aa"}
    facts = facts_of(
        a_result("Stats", "a", sources=[source], outputs=[{}, {}]),
        a_result("Stats", "b", sources=[{**source, "sha256": "bb"}], host={"name": "lab2", "platform": "Linux-6"}),
        run=RUN,
    )
    assert methods.made_with(facts) == {
        "versions": [("python", [("3.11.2", 2)]), ("numpy", [("2.0.1", 2)]), ("octave", [("7.3.0", 2)])],
        "hosts": [("lab1, Linux-6", 1), ("lab2, Linux-6", 1)],
        "code": [("tasks.py:Stats", [("aa", 1), ("bb", 1)])],
        "settings": [("[Edges] threshold", "0.5", "command line")],
        "files": 2,
    }


def test_a_hundred_records_of_one_step_take_hardly_more_than_one(monkeypatch):
    monkeypatch.setattr(methods, "explain_status", lambda entry, record: [f"{entry.step}({entry.row}): done"])
    sources = [{"path": f"neuroluigi:name{n}", "sha256": hashlib.sha256(b"%d" % n).hexdigest()} for n in range(400)]
    groups = [f"g{number:03}" for number in range(100)]
    results = [a_result("Plot", group, sources=sources) for group in groups]
    one, hundred = (methods.details(facts_of(*some)) for some in (results[:1], results))
    assert len(page._packed(one)) > 20_000 and len(page._packed(hundred)) < 3 * len(page._packed(one))
    for group, found in zip(groups, hundred["results"], strict=True):
        lines, record = ([hundred["lines"][n] for n in found[name]] for name in ("lines", "record"))
        assert lines == [f"Plot({group}): done"]
        known = json.loads("\n".join(record))
        assert known["parameters"] == {"group": group} and known["sources"] == sources
