"""Modified files are accepted as results, and `why` shows it."""

import json
import os

import numpy as np

from neuroluigi.provenance.record import describe_host, read_record, timestamp
from tests.results.conftest import ask, everything


def test_accepted_files_are_done(lab):
    np.save(lab.results / "s-even" / "edges.npy", np.array([[1, 0]] * 50, dtype="<i8"))
    plot = lab.results / "s-odd" / "plot.png"
    content = plot.read_bytes()
    plot.write_bytes(content[:-12] + b"mine" + content[-12:])
    out = ask(lab, "accept", "s-even/edges.npy", "--reason", "artefact at 1 s")
    assert out == "Accepted: results/s-even/edges.npy\n"
    assert json.loads(ask(lab, "accept", plot, "--reason", "x", "--json")) == {"accepted": str(plot)}
    record = read_record(lab.results / "s-even" / "runs" / "Edges.json")
    (accepted,) = record["accepted"]
    assert accepted["reason"] == "artefact at 1 s" and accepted["by"] == describe_host()
    assert accepted["at"] <= timestamp()
    assert "all as recorded" in ask(lab, "verify")
    made, unchanged, out = lab.go()
    assert made == {"Plot": 1} and not unchanged and "Edited" not in out


def test_edges_that_were_taken_out_can_be_accepted_and_are_kept_where_they_are_not(lab):
    path = lab.results / "s-even" / "edges.npy"
    edges = np.load(path)
    for left in (edges[1:], edges[2:]):
        np.save(path, left)
        made, _, out = lab.go()
        assert made["Edges"] == 1 and "what was there is kept as results/s-even/edges.npy.damaged" in out
    aside = [np.load(path.with_name(f"edges.npy.damaged{number}")) for number in ("", "-2")]
    assert [len(one) for one in aside] == [len(edges) - 1, len(edges) - 2]
    np.save(path, edges[1:])
    assert ask(lab, "accept", "s-even/edges.npy", "--reason", "artefact") == "Accepted: results/s-even/edges.npy\n"
    made, _, _ = lab.go()
    assert made == {"Plot": 1} and len(np.load(path)) == len(edges) - 1


def test_why_asks_of_which_group(lab):
    assert ask(lab, "why", "Stats", code=1) == "neuroluigi: which group? For example: neuroluigi why Stats s-even\n"


def test_what_is_damaged_or_would_be_replaced_is_not_accepted(lab):
    path = lab.results / "s-even" / "edges.npy"
    os.truncate(path, path.stat().st_size - 8)
    assert "its state is: damaged" in ask(lab, "accept", "results/s-even/edges.npy", "--reason", "x", code=1)
    np.save(path, np.array([[1, 0]] * 50, dtype="<i8"))
    before = everything(lab)
    error = ask(lab, "accept", path, "--reason", "x", "--Edges-threshold", "0.6", code=1)
    assert "threshold 0.75, now 0.6" in error and everything(lab) == before
    error = ask(lab, "accept", path.with_name("aggregate.bin"), "--reason", "x", code=1)
    assert "is not modified" in error


def test_each_acceptance_is_kept(lab):
    folder = lab.results / "s-even"
    for name, reason in (("aggregate.json", "unit was wrong"), ("aggregate.bin", "artefact removed")):
        path = folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b" \n") if name.endswith("json") else bytes(100))
        ask(lab, "accept", f"s-even/{name}", "--reason", reason)
    out = ask(lab, "why", "Aggregate", "s-even", code=None)
    assert "unit was wrong" in out and "artefact removed" in out and "{" not in out.split("accepted by")[1]
    assert "--reason is blank" in ask(lab, "accept", "s-even/stats.json", "--reason", " ", code=1)


def test_why_tells_old_and_new_and_what_is_freed(lab):
    ask(lab, "drop", "--step", "Edges", "--group", "s-even", "--yes")
    assert "It is dropped" in ask(lab, "why", "Edges", "s-even", code=None)
    assert json.loads(ask(lab, "why", "Edges", "s-even", "--json", code=None))[0]["dropped"]
    edges = np.load(lab.results / "s-odd" / "edges.npy")
    odd = read_record(lab.results / "s-odd" / "runs" / "Edges.json")["outputs"][0]["sha256"]
    edges[0] += 1
    np.save(lab.results / "s-odd" / "edges.npy", edges)
    out = ask(lab, "why", "Plot", "s-odd", code=1)
    assert f"edges.npy changed (sha256 {odd[:12]}..., now " in out and "A run will make it." in out


def test_a_step_of_the_study_needs_no_group_before_options(lab):
    assert "there is no step 'PlotAll'" in ask(lab, "why", "PlotAll", code=1)


def test_a_misspelt_option_and_a_shortened_one_are_refused_with_the_right_one(lab):
    for option in ("--Edges-threshhold", "--Edges-thresh"):
        for command in (["status"], ["why", "Edges", "s-even"], ["results"], ["verify"], ["clean"]):
            assert ask(lab, *command, option, "0.6", code=1) == (
                f"luigi: there is no option {option}; did you mean --Edges-threshold?\n"
            )
    out = lab.run("PlotAll", "--Edges-thresh", "0.6", code=1)
    assert out == "luigi: there is no option --Edges-thresh; did you mean --Edges-threshold?\n"
