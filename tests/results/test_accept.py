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


def test_edges_that_were_taken_out_are_accepted(lab):
    path = lab.results / "s-even" / "edges.npy"
    edges = np.load(path)
    np.save(path, edges[1:])
    assert ask(lab, "accept", "s-even/edges.npy", "--reason", "artefact") == "Accepted: results/s-even/edges.npy\n"
    made, _, _ = lab.go()
    assert made == {"Plot": 1} and len(np.load(path)) == len(edges) - 1


def test_of_a_file_that_was_put_aside_it_says_where_it_is_and_what_to_do(lab):
    path = lab.results / "s-even" / "edges.npy"
    whole = path.read_bytes()
    for left in (16, 8):
        path.write_bytes(whole[:-left])
        _, _, out = lab.go()
        assert "what was there is kept as results/s-even/edges.npy.damaged" in out
    second = "results/s-even/edges.npy.damaged-2"
    assert (lab.folder / second).read_bytes() == whole[:-8]
    told = (
        f"{second} was put aside as damaged when results/s-even/edges.npy was made again; if it is right, move it there"
        f" (mv {second} results/s-even/edges.npy) and accept that\n"
    )
    error = ask(lab, "accept", "s-even/edges.npy.damaged-2", "--reason", "mine", code=1)
    assert error == f"neuroluigi: {lab.folder / second} is no result: {told}"
    # Nor is it lost to one who gives the name that the file had.
    error = ask(lab, "accept", "s-even/edges.npy", "--reason", "mine", code=1)
    assert error == f"neuroluigi: {path} is not modified, its state is: done; {told}"
    path.unlink()
    error = ask(lab, "accept", "s-even/edges.npy", "--reason", "mine", code=1)
    assert error.startswith("neuroluigi: s-even/edges.npy is not there, neither in ") and error.endswith(f"; {told}")
    # What it says works.
    (lab.folder / second).write_bytes(path.with_name("edges.npy.damaged").read_bytes() + whole[-16:-8] * 2)
    (lab.folder / second).rename(path)
    assert ask(lab, "accept", "s-even/edges.npy", "--reason", "mine") == "Accepted: results/s-even/edges.npy\n"


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


def edit_and_accept(lab):
    """Take out an edge by hand, and accept that; return the path, and the content."""
    path = lab.results / "s-even" / "edges.npy"
    np.save(path, np.load(path)[1:])
    ask(lab, "accept", "s-even/edges.npy", "--reason", "artefact")
    return path, path.read_bytes()


def test_what_was_accepted_is_kept_when_a_run_replaces_it(lab):
    path, mine = edit_and_accept(lab)
    _, _, out = lab.go("--Edges-threshold", "0.6")
    kept = path.with_name("edges.npy.accepted")
    assert "what was there is kept as results/s-even/edges.npy.accepted" in out
    assert kept.read_bytes() == mine and path.read_bytes() != mine
    # What made it again is nobody's work: that is not kept.
    lab.go()
    assert not path.with_name("edges.npy.accepted-2").exists()
    error = ask(lab, "accept", "s-even/edges.npy", "--reason", "mine", code=1)
    assert "results/s-even/edges.npy.accepted was put aside as accepted when results/s-even/edges.npy was made" in error
    kept.replace(path)
    ask(lab, "accept", "s-even/edges.npy", "--reason", "mine after all")
    assert path.read_bytes() == mine


def test_what_was_accepted_is_neither_dropped_nor_cleaned_unless_that_is_said(lab):
    path, mine = edit_and_accept(lab)
    lab.go()
    assert "modified by hand and accepted: no run can make that again" in ask(
        lab, "drop", "--step", "Edges", "--yes", code=None
    )
    assert path.read_bytes() == mine and not (lab.results / "s-odd" / "edges.npy").exists()
    out = ask(lab, "clean", "--step", "Edges", "--yes", code=None)
    assert "edges.npy was modified by hand and accepted; --modified removes it too" in out
    assert path.read_bytes() == mine
    ask(lab, "clean", "--step", "Edges", "--modified", "--yes", code=None)
    assert not path.exists()
