"""Commands that change what is there: what they list, ask, do and say, and their exit codes; see tests of results."""

import json

import pytest

from neuroluigi.provenance import run_lock
from tests.results.conftest import ask, everything


def test_without_a_terminal_nothing_is_done_that_was_not_agreed_to(lab):
    before = everything(lab)
    for words in (["clean", "--step", "Plot"], ["drop", "--step", "Aggregate"], ["clean", "--step", "Plot", "--json"]):
        line = ask(lab, *words, code=1)
        done = "dropped" if words[0] == "drop" else "removed"
        assert line == (
            f"neuroluigi: nothing was {done}, as there is no terminal for the question: add --yes or --dry-run\n"
        )
    assert everything(lab) == before


def test_a_list_is_the_same_before_and_after_as_text_and_as_json(lab):
    files = [lab.results / group / "plot.png" for group in ("s-even", "s-odd")]
    size = sum(path.stat().st_size for path in files)
    planned = json.loads(ask(lab, "clean", "--step", "Plot", "--dry-run", "--json"))
    assert planned["dry_run"] and planned["bytes"] == size and planned["left"] == []
    assert [one["files"] for one in planned["removed"]] == [[str(path)] for path in files]
    assert [(one["step"], one["group"]) for one in planned["removed"]] == [("Plot", "s-even"), ("Plot", "s-odd")]
    out = ask(lab, "clean", "--step", "Plot", "--dry-run").splitlines()
    assert out[1].split()[:3] == ["results/s-even", "Plot", "plot.png"] and out[-1].startswith("Would be removed: 2 ")
    assert all(path.is_file() for path in files)
    removed = json.loads(ask(lab, "clean", "--step", "Plot", "--yes", "--json"))
    assert removed == {**planned, "dry_run": False} and not any(path.exists() for path in files)
    assert ask(lab, "clean", "--step", "Plot") == "Nothing to be removed.\n"


def test_beside_a_run_nothing_is_done(lab):
    before = everything(lab)
    with run_lock.side_by_side(lab.results, {}, "luigi A"):
        line = ask(lab, "drop", "--step", "Aggregate", "--yes", "--json", code=1)
    assert line.startswith("neuroluigi: nothing was dropped: a run is working on these results: luigi A, process ")
    assert everything(lab) == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["accept", "--reason", "why"], "the file comes first: neuroluigi accept FILE --reason WHY [OPTIONS]"),
        (["drop", "--step", "Nothing", "--yes"], "there is no step 'Nothing'; the steps are: Aggregate, "),
        (["clean", "--group", "z", "--yes"], "there is no group 'z'; the groups are: s-even, s-odd"),
    ],
)
def test_what_can_not_be_understood_is_one_line(lab, words, line):
    assert line in ask(lab, *words, code=1)


def test_verify_counts_and_names_what_is_not_as_recorded(lab):
    said = json.loads(ask(lab, "verify", "--json"))
    made = [path for path in lab.files() if "recordings" not in path]
    assert said["files"] == len(made) + 2 and said["problems"] == said["untracked"] == [] and said["dropped"] == 0
    edges = lab.results / "s-odd" / "edges.npy"
    data = bytearray(edges.read_bytes())
    data[-1] ^= 1
    edges.write_bytes(data)
    (lab.results / "s-odd" / "runs" / "Plot.json").unlink()
    (lab.results / "s-odd" / "note.txt").write_text("mine")
    lines = ask(lab, "verify", code=1).splitlines()
    assert lines[0].startswith("changed: results/s-odd/edges.npy ") or lines[0].startswith("modified: "), lines
    assert lines[1:-1] == ["untracked: results/s-odd/plot.png"] and lines[-1].endswith(": 1 are not as recorded.")
