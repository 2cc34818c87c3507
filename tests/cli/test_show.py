"""Commands that show: what they print as JSON, what they refuse, and their exit codes; see tests of results."""

import json

import pytest

from tests.recordings.files import write_files
from tests.results.conftest import ask


def test_recordings_as_json_have_every_group_with_its_samples_and_problems(pipeline):
    root = pipeline.folder / "real"
    write_files(root, "a/rec_0.bin", "a/rec_1.bin", "b/rec_0.bin")
    (root / "recordings.csv").write_text(
        "session,index,path,use,reason,dtype\na,0,a/rec_0.bin,yes,,uint8\na,1,a/rec_1.bin,no,noisy,uint8\n"
        "b,0,b/rec_0.bin,yes,,int16\nc,0,c/rec_0.bin,yes,,uint8\n"
    )
    pipeline.real = True
    words = ["--recordings-root", "real"]
    listed = json.loads(ask(pipeline, "recordings", "--json", *words, code=None).split("\nneuroluigi:")[0])
    assert list(listed) == ["a", "b", "c"]
    # Files of ten bytes: ten samples of uint8, five of int16.
    assert [one["samples"] for key in "ab" for one in listed[key]["recordings"]] == [10, 5]
    (left_out,) = listed["a"]["excluded"]
    assert (left_out["index"], left_out["reason"]) == (1, "noisy")
    assert listed["a"]["problems"] == listed["b"]["problems"] == [] and "c/rec_0.bin" in listed["c"]["problems"][0]


def test_status_shows_states_of_some_groups_and_steps_and_exits_by_all(lab):
    (lab.results / "s-odd" / "stats.json").unlink()
    assert ask(lab, "status", "--only", "missing", code=1).splitlines()[0].split() == ["group", "Stats"]
    listed = json.loads(ask(lab, "status", "--group", "s-even", "--json", code=1))
    assert {(one["row"], one["state"]) for one in listed["results"]} == {("s-even", "done")}
    assert listed["orphans"] == listed["slurm"] == []
    assert ask(lab, "status", "--only", "failed", code=1) == "No results in these states.\n"


def test_why_tells_a_result_and_exits_by_its_state(lab):
    said = json.loads(ask(lab, "why", "Stats", "s-odd", "--json"))
    assert [(one["step"], one["row"], one["record"]["step"]) for one in said] == [("Stats", "s-odd", "Stats")]
    (lab.results / "s-odd" / "stats.json").unlink()
    assert "stats.json is not there" in ask(lab, "why", "Stats", "s-odd", code=1)
    ask(lab, "why", "Stats", "s-even")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["status", "--only", "mising"], "there is no state 'mising'; did you mean missing?"),
        (["status", "--group", "s-evn"], "there is no group 's-evn'; did you mean s-even?"),
        (["why", "--json"], "the step comes first: neuroluigi why STEP [GROUP] [OPTIONS]"),
        (["why", "Stats"], "which group? For example: neuroluigi why Stats s-"),
        (["why", "Report"], "PlotAll does not require Report: let it, or name a task that does with --task"),
        (["why", "Stat", "s-odd"], "there is no step 'Stat'; did you mean Stats?"),
        (["events", "--csv"], "the group comes first: neuroluigi events GROUP [OPTIONS]"),
        (["events", "s-evn"], "there is no group 's-evn'; did you mean s-even?"),
        (["results", "--where", "men>1"], "there is no column 'men'; did you mean mean?"),
    ],
)
def test_what_can_not_be_understood_is_one_line(lab, words, line):
    assert line in ask(lab, *words, code=1)


def test_report_and_diagram_print_where_and_what(lab):
    assert ask(lab, "report") == f"{lab.results / 'report.html'}\n"
    picture = ask(lab, "diagram")
    assert picture.startswith("<svg") and picture.isascii() and all(step in picture for step in ("Aggregate", "Plot"))
