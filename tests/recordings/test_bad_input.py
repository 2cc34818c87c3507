"""Bad input, end to end with the real `luigi`: a clear error, nothing lost, the other groups go on.

What concerns the whole stops a run before anything is made; what concerns one group fails that group, on a first run
and on one where all other groups are done.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Pipeline, needs_octave
from tests.recordings.runs import Run, results_of, run, samples, snapshot, stopped, write_root, write_two_groups


@pytest.fixture
def root(tmp_path) -> Path:
    """Two good groups, a and b."""
    return write_two_groups(tmp_path / "data")


@pytest.fixture(scope="module")
def half_done(tmp_path_factory) -> tuple[Pipeline, Path]:
    """A pipeline and two groups: b is done, of a there is all but stats and plot. For runs that stop."""
    folder = tmp_path_factory.mktemp("half done")
    pipeline, root = Pipeline(folder / "lab"), write_two_groups(folder / "data")
    done = run(pipeline, "--recordings-root", root)
    assert done.code == 0, done.err
    for name in ("stats.json", "plot.png"):
        (pipeline.results / "a" / name).unlink()
    return pipeline, root


# What concerns the whole; test_groups has the other messages.
OF_THE_WHOLE = {
    "folder missing": (None, ["--recordings-root", "nowhere"], ["nowhere", "[recordings] root", "--recordings-root"]),
    "table is no text": (None, ["--recordings-table", "../data/x.bin"], ["x.bin", "[recordings] table"]),
    "one key": (
        ("session,index,path,day", "a-b,0,x.bin,c", "a,0,y.bin,b-c"),
        ["--recordings-group-by", "session,day"],
        ["a-b-c", "session=a-b, day=c", "session=a, day=b-c", "recordings.csv, row 2", "[recordings] group_by"],
    ),
    "name that leads out": (("session,index,path", "..,0,x.bin"), [], ["row 2, column session", "'..'"]),
    "fake name that leads out": (None, ["--recordings-root=", "--FakeRecording-sessions", "../x"], ["'../x'"]),
}


@pytest.mark.parametrize(("table", "arguments", "words"), OF_THE_WHOLE.values(), ids=OF_THE_WHOLE)
def test_run_stops_before_anything_is_made(pipeline, tmp_path, root, table, arguments, words):
    if table is not None:
        (root / "recordings.csv").unlink()
        write_root(root, table)
    line = stopped(pipeline, *([] if "--recordings-table" in arguments else ["--recordings-root", root]), *arguments)
    for word in words:
        assert word in line


def test_stopped_run_touches_no_result_of_an_earlier_one(half_done, tmp_path):
    pipeline, root = half_done
    bad = write_two_groups(tmp_path / "bad")
    write_root(bad, ("session,index,path", f"a,0,{root}/x.bin", f"b,0,{root}/y.bin", "../c,0,x.bin"))
    assert "row 4, column session" in stopped(pipeline, "--recordings-root", bad)
    (bad / "recordings.csv").unlink()
    assert "no recordings" in stopped(pipeline, "--recordings-root", bad)


@pytest.mark.parametrize("threshold", ["1130", "-0.5", "nan"])
def test_threshold_outside_0_to_1(pipeline, root, threshold):
    line = stopped(pipeline, "--recordings-root", root, f"--Edges-threshold={threshold}")
    assert "threshold is a fraction of the channel's range" in line
    assert f"for raw counts use --Edges-level {threshold}" in line


def test_threshold_outside_0_to_1_elsewhere_and_on_a_second_run(half_done):
    pipeline, root = half_done
    expected = "for raw counts use --Edges-level 1130"
    assert expected in stopped(pipeline, "--recordings-root", root, "--Edges-threshold", 1130)
    arguments = ("--recordings-root", root, "--group", "a", "--threshold", 1130)
    assert expected in stopped(pipeline, *arguments, task="Edges")
    config = pipeline.folder / "luigi.cfg"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("threshold = 0.75", "threshold = 1130"), encoding="utf-8")
    assert expected in stopped(pipeline, "--recordings-root", root)
    config.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("threshold", [0, 1])
def test_threshold_of_the_whole_range(pipeline, root, threshold):
    arguments = ("--recordings-root", root, "--group", "a", "--threshold", threshold)
    assert run(pipeline, *arguments, task="Edges").code == 0
    # At 0 nothing is below the level; at 1 the highest samples are at it.
    expected = [] if threshold == 0 else [[1, 0], [3, 0]]
    assert np.load(pipeline.results / "a/edges.npy").tolist() == expected


@pytest.mark.parametrize(
    ("engine", "option", "setting"),
    [("matlab", "--matlab-command", "command"), ("octave", "--matlab-octave-command", "octave_command")],
)
def test_engine_that_is_not_there(pipeline, root, half_done, engine, option, setting):
    for where, recordings in ((pipeline, root), half_done):
        arguments = ("--recordings-root", recordings, option, "'/opt/no such/engine'")
        line = stopped(where, *arguments, engine=engine)
        assert f"engine {engine} (looked for /opt/no such/engine on PATH) is not there" in line
        assert f"set [matlab] {setting} in luigi.cfg" in line


def test_no_engine_at_all_for_real_recordings(pipeline, root):
    commands = ("--matlab-command", "no-matlab", "--matlab-octave-command", "no-octave")
    line = stopped(pipeline, "--recordings-root", root, *commands, engine="auto")
    for word in ("no-matlab", "no-octave", "--matlab-engine numpy", "[matlab] engine"):
        assert word in line


def test_engine_that_is_no_engine(pipeline, root):
    line = stopped(pipeline, "--recordings-root", root, engine="fortran")
    assert "[matlab] engine" in line
    assert "fortran" in line


HEADER = "session,index,path,dtype,channels,sampling_rate_hz,header_bytes,scale,offset,use,sha256"


HERE = "recordings.csv, row {}, "


WRONG_SHA256 = "0" * 64


# group: its rows after the session (as far as they go), and what the message has; {} is the number of its first row.
BAD_GROUPS = {
    "index-text": (["one,f.bin"], [HERE + "column index: 'one' is not"]),
    "index-negative": (["-1,f.bin"], [HERE + "column index: '-1' is not"]),
    "index-fraction": (["1.5,f.bin"], [HERE + "column index: '1.5' is not"]),
    "index-none": ([",f.bin"], [HERE + "column index: there is no value"]),
    "dtype-unknown": (["0,f.bin,uint12"], [HERE + "column dtype: 'uint12' is not one of uint8, int8, uint16"]),
    "channels-0": (["0,f.bin,,0"], [HERE + "column channels: '0' is not"]),
    "channels-text": (["0,f.bin,,two"], [HERE + "column channels: 'two' is not"]),
    "rate-0": (["0,f.bin,,,0"], [HERE + "column sampling_rate_hz: '0' is not"]),
    "rate-negative": (["0,f.bin,,,-5"], [HERE + "column sampling_rate_hz: '-5' is not"]),
    "rate-text": (["0,f.bin,,,30 kHz"], [HERE + "column sampling_rate_hz: '30 kHz' is not"]),
    "rate-nan": (["0,f.bin,,,nan"], [HERE + "column sampling_rate_hz: 'nan' is not"]),
    "header-negative": (["0,f.bin,,,,-1"], [HERE + "column header_bytes: '-1' is not"]),
    "scale-0": (["0,f.bin,,,,,0"], [HERE + "column scale: '0' is not"]),
    "offset-text": (["0,f.bin,,,,,,low"], [HERE + "column offset: 'low' is not"]),
    "use-maybe": (["0,f.bin,,,,,,,maybe"], [HERE + "column use: 'maybe' is not yes or no"]),
    "sha256-short": (["0,f.bin,,,,,,,,abc"], [HERE + "column sha256: 'abc' is not"]),
    "sha256-other": (["0,f.bin,,,,,,,," + WRONG_SHA256], ["f.bin is not the file that the table", WRONG_SHA256]),
    "path-gone": (["0,gone.bin"], [HERE + "column path: 'gone.bin'", "gone.bin: it is not there"]),
    "path-none": (["0,"], [HERE + "column path: there is no value"]),
    "path-folder": (["0,."], [HERE + "column path: '.'", "it is a folder"]),
    "path-long": ([f"0,{'x' * 300}"], [HERE + "column path: 'xxx", "too long"]),
    "too-many-cells": (["0,f.bin,,,,,,,,,surplus"], [HERE.rstrip(", ") + ": 'surplus' stands right of"]),
    "duplicate": (["0,f.bin", "0,g.bin"], [HERE + "columns session and index: duplicate/0 is there twice"]),
    "one-file-twice": (["0,f.bin", "1,f.bin"], ["column path: 'f.bin' is in this group already, at"]),
    "empty": (["0,empty.bin"], ["/empty.bin has no samples: 0 bytes", "1 bytes per sample"]),
    "part-of-a-sample": (["0,f.bin,int32,3"], ["/f.bin has 16 bytes", "12 bytes (int32, 3 channels)", "4 bytes are"]),
    "header-alone": (["0,f.bin,,,,16"], ["/f.bin has no samples: 16 bytes, header 16 bytes"]),
    "differ-dtype": (["0,f.bin,uint8", "1,g.bin,int8"], ["/f.bin has uint8,", "/g.bin has int8 "]),
    "differ-channels": (["0,f.bin,,1", "1,g.bin,,2"], ["differ in channels", "/f.bin has 1,", "/g.bin has 2 "]),
    "differ-rate": (["0,f.bin,,,100", "1,g.bin,,,250.5"], ["/f.bin has 100.0,", "/g.bin has 250.5 "]),
    "good-beside-bad": (["0,f.bin", "1,g.bin,,0"], ["column channels: '0' is not"]),
}


# group: dtype, samples, their edges at 0.75 of the range, and (min, max, mean, std)
GOOD_GROUPS = {
    "constant": ("uint8", (7, 7, 7, 7), [], (7, 7, 7, 0)),
    "no-edges": ("uint8", (9, 5, 3, 0), [], (0, 9, 4.25, np.std((9, 5, 3, 0), ddof=1))),
    "single-edge": ("int16", (-4, 0, 4, 4), [[2, 0]], (-4, 4, 1, np.std((-4, 0, 4, 4), ddof=1))),
    "already-high": ("uint8", (8, 0, 8, 0), [[2, 0]], (0, 8, 4, np.std((8, 0, 8, 0), ddof=1))),
    "nan": ("float32", (0, np.nan, 8, np.nan, 0, 8), [[5, 0]], (0, 8, 4, np.std((0, 8, 0, 8), ddof=1))),
    "nan-alone": ("float64", (np.nan, np.nan), [], (None, None, None, None)),
    "single-sample": ("int8", (-3,), [], (-3, -3, -3, None)),
}


@dataclass
class Lab:
    """All bad groups and all good ones, after a first and a second run."""

    pipeline: Pipeline
    root: Path
    row_of: dict[str, int]
    first: Run
    after_first: dict
    second: Run
    root_before: dict

    def message(self, of: Run, group: str) -> str:
        """Return what a run said of the failed group, to the end of its message."""
        pattern = rf"ERROR: Aggregate\(group={group}\): (.*?); see results/{group}/runs/Aggregate.failed.log$"
        (text,) = re.findall(pattern, of.err, re.MULTILINE | re.DOTALL)
        return text


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    folder = tmp_path_factory.mktemp("bad")
    table, row_of = [HEADER], {}
    for group, (rows, _) in BAD_GROUPS.items():
        row_of[group] = len(table) + 1
        table += [f"{group},{row}" for row in rows]
    table += [f"{group},0,{group}.bin,{dtype}" for group, (dtype, *_) in GOOD_GROUPS.items()]
    good = {group: samples(*values, dtype=dtype) for group, (dtype, values, *_) in GOOD_GROUPS.items()}
    bad = {"f": samples(*range(16)), "g": samples(*range(16)), "empty": b""}
    root = write_root(folder / "data", table, **good, **bad)
    pipeline, before = Pipeline(folder / "lab"), snapshot(root)
    first = run(pipeline, "--recordings-root", root)
    after_first = results_of(pipeline, GOOD_GROUPS)
    second = run(pipeline, "--recordings-root", root)
    return Lab(pipeline, root, row_of, first, after_first, second, before)


@pytest.mark.parametrize("group", BAD_GROUPS)
def test_bad_group_fails_with_its_message_on_each_run(lab, group):
    for of in (lab.first, lab.second):
        message = lab.message(of, group)
        for words in BAD_GROUPS[group][1]:
            assert words.format(lab.row_of[group]) in message
        # The line that ends a run names the first few.
        assert "Failed: " in of.out
    folder = lab.pipeline.results / group
    assert sorted(path.name for path in folder.iterdir()) == ["runs"]
    failed = json.loads((folder / "runs/Aggregate.failed.json").read_text(encoding="utf-8"))
    assert failed["error"] == lab.message(lab.second, group)
    assert (folder / "runs/Aggregate.failed.log").is_file()


@pytest.mark.parametrize("group", GOOD_GROUPS)
def test_good_group_beside_bad_ones(lab, group):
    _, values, edges, numbers = GOOD_GROUPS[group]
    folder = lab.pipeline.results / group
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")
    found = np.load(folder / "edges.npy")
    assert (found.dtype, found.shape[1:]) == (np.int64, (2,))
    assert found.tolist() == edges
    stats = json.loads((folder / "stats.json").read_text(encoding="utf-8"))
    assert stats["count"] == len(values)
    for name, expected in zip(("min", "max", "mean", "std"), numbers, strict=True):
        assert stats[name] == [expected if expected is None else pytest.approx(expected, abs=1e-12)], name


def test_failed_groups_make_the_run_fail_and_nothing_else(lab):
    for of in (lab.first, lab.second):
        assert of.code not in (0, None)
        # One message per group, and no other error.
        assert of.err.count("ERROR: ") == len(BAD_GROUPS)
        assert f"{len(GOOD_GROUPS)} plots: results/*/plot.png" in of.out
    assert f"Made: {len(GOOD_GROUPS)} Aggregate" in lab.first.out
    assert "Made" not in lab.second.out
    assert results_of(lab.pipeline, GOOD_GROUPS) == lab.after_first


def test_recordings_are_never_written_to(lab):
    assert snapshot(lab.root) == lab.root_before


def test_one_bad_group_with_two_workers_and_when_it_is_repaired(pipeline, root):
    table = ("session,index,path", "a,0,x.bin", "b,0,y.bin", "c,0,z.bin")
    write_root(root, table)
    for workers, made in ((2, ["Made: 2 Aggregate, 2 Edges, 2 Plot, 2 Stats."]), (1, []), (2, [])):
        done = run(pipeline, "--recordings-root", root, "--workers", workers)
        assert done.code == 30
        assert done.err.count("ERROR: ") == 1
        assert "row 4, column path: 'z.bin'" in done.err
        said = [line for line in done.out.splitlines() if not line.startswith("Slowest: ")]
        assert said == [*made, "Failed: Aggregate(group=c).", "2 plots: results/*/plot.png"]
    before = results_of(pipeline, "ab")
    write_root(root, table, z=samples(0, 5))
    done = run(pipeline, "--recordings-root", root)
    assert done.code == 0
    assert done.out.splitlines()[0] == "Made: 1 Aggregate, 1 Edges, 1 Plot, 1 Stats."
    assert results_of(pipeline, "ab") == before
    assert not list((pipeline.results / "c/runs").glob("*.failed.*"))


def test_single_steps_of_a_bad_group(pipeline, root):
    write_root(root, ("session,index,path,channels", "a,0,x.bin,", "b,0,y.bin,-1"))
    done = run(pipeline, "--recordings-root", root, "--group", "b", task="Stats")
    assert done.code == 30
    assert "row 3, column channels: '-1'" in done.err
    assert run(pipeline, "--recordings-root", root, "--group", "a", task="Stats").code == 0
    assert "there is no group 'c'; the groups are: a, b" in stopped(
        pipeline, "--recordings-root", root, "--group", "c", task="Stats"
    )


def test_incomplete_samples_are_trimmed_and_counted(pipeline, root):
    write_root(root, ("session,index,path,dtype", "a,0,t.bin,int16", "a,1,u.bin,int16"))
    write_root(root, t=samples(0, 9, dtype="int16") + b"x", u=samples(5, dtype="int16"))
    arguments = ("--recordings-root", root, "--group", "a")
    assert run(pipeline, *arguments, task="Aggregate").code == 30
    done = run(pipeline, *arguments, "--recordings-partial-sample", "drop", task="Edges")
    assert done.code == 0, done.err
    layout = json.loads((pipeline.results / "a/aggregate.json").read_text(encoding="utf-8"))
    assert [r.get("trimmed_bytes", 0) for r in layout["recordings"]] == [1, 0]
    assert [(r["first_sample"], r["samples"]) for r in layout["recordings"]] == [(0, 2), (2, 1)]
    assert np.fromfile(pipeline.results / "a/aggregate.bin", "<i2").tolist() == [0, 9, 5]
    assert not list((pipeline.results / "a/runs").glob("*.failed.*"))


@needs_octave
def test_bad_groups_on_octave(pipeline, root):
    write_root(root, ("session,index,path,dtype", "c,0,c.bin,float32", "d,0,d.bin,int16"))
    write_root(root, c=samples(np.nan, 0, np.nan, 8, 0, 8, dtype="float32"), d=b"123")
    done = run(pipeline, "--recordings-root", root, engine="octave")
    assert done.code == 30
    assert done.err.count("ERROR: ") == 1
    assert "/d.bin has 3 bytes" in done.err
    assert np.load(pipeline.results / "c/edges.npy").tolist() == [[5, 0]]
    stats = json.loads((pipeline.results / "c/stats.json").read_text(encoding="utf-8"))
    assert (stats["min"], stats["max"], stats["mean"]) == ([0], [8], [4])
