"""Searching results: the table of all groups, filters and sorting, and the events of one group."""

import csv
import io
import json
import subprocess

import numpy as np
import pytest

import targets
from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration
from neuroluigi.results.events import EVENT_COLUMNS
from neuroluigi.results.own_files import OwnFile
from neuroluigi.results.table import Table, collect_table, select_rows, sort_rows
from tests import commands
from tests.conftest import BIN, Pipeline, clean_environment
from tests.recordings.test_found import write_run


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The pipeline of this repository, run on fake recordings; for reading."""
    pipeline = Pipeline(tmp_path_factory.mktemp("query") / "lab")
    pipeline.run("PlotAll", "--matlab-engine", "numpy")
    return pipeline


def ask(folder, *arguments, code=0):
    done = commands.run(
        [BIN / "neuroluigi", *map(str, arguments)],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def test_results_are_those_of_the_files_and_nothing_is_changed(lab):
    before = lab.files()
    rows = json.loads(ask(lab.folder, "results", "--json"))
    assert [row["group"] for row in rows] == [f"{s}-{p}" for s in "abcde" for p in ("even", "odd")]
    for row in rows:
        samples = np.fromfile(lab.results / row["group"] / "aggregate.bin", np.uint8)
        edges = np.load(lab.results / row["group"] / "edges.npy")
        assert (row["count"], row["min"], row["max"]) == (len(samples), samples.min(), samples.max())
        assert row["mean"] == pytest.approx(samples.mean(), rel=1e-12)
        assert row["std"] == pytest.approx(samples.std(ddof=1), rel=1e-12)
        assert (row["edges"], row["channel"], row["session"]) == (len(edges), 0, row["group"][0])
    assert rows[0]["index"] == "0|2" and rows[0]["parity"] == "even"
    assert lab.files() == before


def test_results_are_filtered_sorted_and_cut(lab):
    question = ["--where", "session!=a", "--where", "mean>125", "--sort", "-edges", "--columns", "group,edges"]
    rows = list(csv.DictReader(io.StringIO(ask(lab.folder, "results", *question, "--csv"))))
    expected = {}
    for folder in sorted(lab.results.glob("[b-e]-*")):
        if np.fromfile(folder / "aggregate.bin", np.uint8).mean() > 125:
            expected[folder.name] = len(np.load(folder / "edges.npy"))
    assert {row["group"]: int(row["edges"]) for row in rows} == expected
    assert [int(row["edges"]) for row in rows] == sorted(expected.values(), reverse=True)
    text = ask(lab.folder, "results", *question).splitlines()
    assert [line.split() for line in text] == [["group", "edges"], *(list(row.values()) for row in rows)]


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["results", "--columns", "group,meen"], ["no column 'meen'; did you mean mean?", "std, edges"]),
        (["results", "--where", "sesion=a"], ["no column 'sesion'; did you mean session?"]),
        (["results", "--sort", "-edgs"], ["no column 'edgs'; did you mean edges?"]),
        (["results", "--where", "mean>1", "--results-root", "x"], ["no column 'mean'", "no results yet in "]),
        (["results", "--where", "mean"], ["'mean' is not a condition"]),
        (["events", "a-evn"], ["no group 'a-evn'; did you mean a-even? The groups are: a-even, a-odd"]),
        (["events", "--results-root", "x", "a-even"], ["the group comes first"]),
        (["events", "a-even", "--name", "edgs"], ["edgs.npy does not exist (yet); arrays of this group: edges"]),
    ],
)
def test_a_mistake_is_one_line_with_the_right_names(lab, arguments, messages):
    error = ask(lab.folder, *arguments, code=1)
    assert len(error.splitlines()) == 1 and all(message in error for message in messages), error


def test_groups_without_results_have_empty_cells(lab):
    text = ask(lab.folder, "results", "--where", "session=b", "--results-root", "other", "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["group"] for row in rows] == ["b-even", "b-odd"] and "mean" not in rows[0]


def test_events_are_those_of_the_file(lab):
    edges = np.load(lab.results / "c-odd" / "edges.npy")
    rows = json.loads(ask(lab.folder, "events", "c-odd", "--json"))
    assert [[row["sample"], row["channel"]] for row in rows] == edges.tolist()
    recordings = {i: np.fromfile(lab.folder / f"recordings/c/rec_{i}.bin", np.uint8) for i in (1, 3)}
    level = np.ptp(np.concatenate(list(recordings.values()))) * 0.75 + min(map(np.min, recordings.values()))
    for row in rows:
        samples, at = recordings[row["index"]], row["recording_sample"]
        assert samples[at] >= level > samples[at - 1]
        assert row["sample"] == at + 100 * (row["index"] == 3)
        assert (row["session"], row["seconds"], row["recording_seconds"]) == ("c", None, None)
    listed = list(csv.reader(io.StringIO(ask(lab.folder, "events", "c-odd", "--csv"))))
    assert listed[0] == list(EVENT_COLUMNS) and len(listed) == len(edges) + 1
    assert listed[1][-2:] == ["", ""]
    assert len(ask(lab.folder, "events", "c-odd").splitlines()) == len(edges) + 1


def test_a_reader_that_closes_the_pipe_is_no_error(lab, tmp_path):
    folder = tmp_path / "results" / "a-even"
    folder.mkdir(parents=True)
    layout = json.loads((lab.results / "a-even" / "aggregate.json").read_text())
    (folder / "aggregate.json").write_text(json.dumps(layout))
    np.save(folder / "edges.npy", np.zeros((200_000, 2), np.int64))
    process = commands.start(
        [BIN / "neuroluigi", "events", "a-even", "--csv", "--results-root", tmp_path / "results"],
        cwd=lab.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline().startswith(b"session,")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=30)


@pytest.fixture
def study(tmp_path):
    """Groups p (results, two channels), q (none) of a table with a column named like a result; and their results."""
    root, results = tmp_path / "recordings", tmp_path / "results"
    root.mkdir()
    lines = ["session,index,path,channels,sampling_rate_hz,subject,depth,mean,note"]
    for session, index, depth, note in (("p", 0, 100, "left"), ("p", 1, 100, "right"), ("q", 0, 90.5, "")):
        (root / f"{session}{index}").write_bytes(bytes(20))
        lines.append(f"{session},{index},{session}{index},2,250,007,{depth},7,{note}")
    (root / "recordings.csv").write_text("\n".join(lines))
    (results / "p").mkdir(parents=True)
    (results / "p" / "stats.json").write_text('{"count": 20, "mean": [1.5, null], "max": ["Infinity", 3]}')
    np.save(results / "p" / "spikes.npy", np.array([[1, 1], [4, 0], [9, 1]]))
    np.save(results / "p" / "periods.npy", np.array([[0, 1000]]))
    return find_groups(Declaration(root=str(root))), results


def files_in(results):
    """Return all files of each group as files of its results."""
    return {one.name: [OwnFile(path) for path in sorted(one.iterdir())] for one in results.iterdir()}


def test_columns_of_the_recordings_and_of_any_result(study):
    groups, results = study
    table = collect_table(groups, files_in(results), results)
    assert table.rows[1] == {
        "group": "p",
        "session": "p",
        "index": "0|1",
        "dtype": "uint8",
        "channels": "2",
        "sampling_rate_hz": "250",
        "parity": "even|odd",
        "path": "p0|p1",
        "subject": "007",
        "depth": "100",
        "recordings.mean": "7",
        "note": "left|right",
        "channel": 1,
        "count": 20,
        "mean": None,
        "max": 3,
        "spikes": 2,
    }
    assert table.rows[0]["max"] == "Infinity" and table.rows[0]["spikes"] == 1
    assert [row["group"] for row in table.rows] == ["p", "p", "q", "q"]
    assert table.rows[2]["note"] is None and "mean" not in table.rows[2]
    assert len(table.notes) == 1 and "periods.npy of p" in table.notes[0]
    numbers = {"channels", "sampling_rate_hz", "depth", "recordings.mean", "channel", "count", "max", "mean", "spikes"}
    assert table.numeric == numbers


def test_a_name_of_two_results_is_told_apart(study):
    groups, results = study
    (results / "p" / "robust.json").write_text('{"mean": [5, 6], "curve": [1, 2, 3]}')
    (results / "p" / "layout.json").write_text('{"segments": [0, 10], "recordings": [{"index": 0}]}')
    (results / "p" / "broken.json").write_text("{")
    table = collect_table(groups, files_in(results), results)
    assert [row.get("robust.mean") for row in table.rows] == [5, 6, None, None]
    assert table.rows[0]["stats.mean"] == 1.5 and table.rows[0]["mean"] == "7"
    assert not {"segments", "curve", "robust.curve"} & set(table.columns)
    assert any("broken.json of p: can't be read" in note for note in table.notes)
    assert any("robust.json of p: curve left out" in note for note in table.notes)


SUMMARY = {
    "count": [1, 2],
    "rate_hz": [0.5, None],
    "noise": [2.0, 4.0],
    "level": [-10.0, None],
    "flag": ["", "candidate"],
    "open": [0, 1],
    "band": [300, None],
    "rejected": {"width": 1, "refractory": 0},
}


def test_of_the_summary_of_events_its_target_says_what_is_shown(study):
    groups, results = study
    (results / "p" / "spikes.json").write_text(json.dumps(SUMMARY))
    shown = targets.EventSummary.shown
    files = files_in(results)
    files["p"] = [OwnFile(one.path, "", {}, shown if one.path.name == "spikes.json" else None) for one in files["p"]]
    table = collect_table(groups, files, results)
    columns = table.columns[table.columns.index("channel") + 1 :]
    assert columns == ["rate_hz", "noise", "level", "flag", "spikes", "count", "mean", "max"]
    assert [(row["spikes"], row["rate_hz"], row["flag"]) for row in table.rows[:2]] == [
        (1, 0.5, ""),
        (2, None, "candidate"),
    ]
    # Nothing nested is a column by itself.
    assert "noise" not in collect_table(groups, files_in(results), results).columns


def test_sorting_by_several_columns_with_blank_cells_last():
    rows = [{"a": a, "b": b} for a, b in (("9", 1), ("10", 2), (None, 3), ("Infinity", 4), ("-1e400", 5), (9, 6))]
    table = Table(["a", "b"], [], rows, [], numeric={"a", "b"})
    assert [row["b"] for row in sort_rows(table, rows, ["a"])] == [5, 1, 6, 2, 4, 3]
    assert [row["b"] for row in sort_rows(table, rows, ["-a"])] == [4, 2, 1, 6, 5, 3]
    assert [row["b"] for row in sort_rows(table, rows, ["a", "-b"])] == [5, 6, 1, 2, 4, 3]


def test_a_column_that_does_not_hold_numbers_alone_is_sorted_as_text():
    rows = [{"a": a, "b": b} for a, b in (("9", 1), ("10", 2), (None, 3), ("z", 4), ("y", 5), ("007", 6))]
    table = Table(["a", "b"], [], rows, [])
    assert [row["b"] for row in sort_rows(table, rows, ["a"])] == [6, 2, 1, 5, 4, 3]
    assert [row["b"] for row in sort_rows(table, rows, ["-a"])] == [4, 5, 1, 2, 6, 3]


def test_the_kind_of_a_channel_is_that_of_the_header_where_a_table_has_none(tmp_path):
    write_run(tmp_path, "m_g0_t0.imec0.ap", samples=5)
    (tmp_path / "recordings.csv").write_text("session,index,path\nm,0,m_g0_t0.imec0.ap.bin\n")
    groups = find_groups(Declaration(root=str(tmp_path)), notify=lambda note: None)
    table = collect_table(groups, {}, tmp_path)
    assert [(row["channel"], row["kind"]) for row in table.rows] == [(0, "ap"), (1, "ap"), (2, "digital")]
    assert "kind" in table.described
    _, found = select_rows(table, ["kind=ap"])
    assert [row["channel"] for row in found] == [0, 1]
