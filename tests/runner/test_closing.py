"""The lines at the end of a run."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroluigi.provenance import state
from neuroluigi.provenance.expected import Reason
from neuroluigi.provenance.state import Status
from neuroluigi.runner.closing import (
    Ending,
    closing_lines,
    left_alone_lines,
    line_on_files,
    undone_lines,
)


def worker(made=(), unchanged=(), failed=(), seconds=()):
    outcomes = {"made": Counter(dict(made)), "unchanged": Counter(dict(unchanged))}
    return SimpleNamespace(outcomes=outcomes, failed=list(failed), seconds=dict(seconds))


def step(family, *paths):
    return SimpleNamespace(task_family=family, output=lambda: [SimpleNamespace(path=path) for path in paths])


def test_what_was_made_and_what_took_longest():
    seconds = {f"Stats({n})": n for n in range(7)}
    made = worker(made={"Stats": 7, "Edges": 2}, unchanged={"Plot": 1}, seconds=seconds)
    assert closing_lines(made, Ending(is_done=True), 0, "stand above") == [
        "Made: 2 Edges, 7 Stats.",
        "Unchanged: 1 Plot.",
        "Slowest: Stats(6) 6.0 s, Stats(5) 5.0 s, Stats(4) 4.0 s, Stats(3) 3.0 s, Stats(2) 2.0 s.",
    ]


@pytest.mark.parametrize(
    ("failed", "code", "end", "lines"),
    [
        ([], 0, Ending(), ["Nothing to make: everything is there."]),
        ([], 0, Ending(left_alone=["Untracked"]), ["Nothing to make.", "Untracked"]),
        ([], 0, Ending(undone=["Changed"]), ["Changed"]),
        ([], 25, Ending(undone=["Changed"]), ["Not everything could be made; the reasons stand above."]),
        (["A()", "B()"], 30, Ending(), ["Failed: A(), B()."]),
        (list("abcdefg"), 30, Ending(), ["Failed: a, b, c, d, e and 2 more."]),
    ],
)
def test_a_run_that_made_nothing(failed, code, end, lines):
    assert closing_lines(worker(failed=failed), end, code, "stand above") == lines


def test_results_of_the_root_come_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    end = Ending(left_alone=["left"], results=[tmp_path / "results" / name / "plot.png" for name in "ab"])
    assert closing_lines(worker(), end, 0, "")[1:] == ["left", "2 plots: results/*/plot.png"]


@pytest.mark.parametrize(
    ("paths", "line"),
    [
        (["/r/a/plot.png"], "1 plot: /r/a/plot.png"),
        (["/r/a/trials.csv"], "1 result: /r/a/trials.csv"),
        (["/r/a/stats.json", "/r/b/stats.json"], "2 stats: /r/*/stats.json"),
        (["/r/a/x.txt", "/r/a/y.txt"], "2 results: /r/a/*.txt"),
        (["/r/a/x.txt", "/r/a/x.npy", "/r/a/y.npy"], "3 results: /r/a/*"),
        (["/r/a/spikes.npy", "/r/a/spikes_amplitudes.npy", "/r/a/spikes.json"], "3 results: /r/a/spikes*"),
        (["/r/a/spikes_rates.png", "/r/b/spikes_raster.png"], "2 pictures: /r/*/spikes_ra*.png"),
        (["/r/a/x.txt", "/r/b/c/x.txt"], "2 xs: /r/**/x.txt"),
        (["/r/a/plot.png", "/r/b/rates.png"], "2 pictures: /r/*/*.png"),
        (["/r/a/plot.png", "/r/b/rates.svg"], "2 pictures: /r/*/*"),
        (["/r/a/x.json", "/r/a/plot.png", "/r/b/rates.png"], "3 results, 2 of them pictures: /r/*/*.png"),
        (["/r/a/x.json", "/r/a/plot.pdf"], "2 results, 1 of them a picture: /r/a/plot.pdf"),
    ],
)
def test_files_and_their_pattern(paths, line):
    assert line_on_files(list(map(Path, paths))) == line


def test_what_changed_during_the_run():
    changed = Status(state.STALE, (Reason("inputs", "stats.json changed"),), todo=state.MAKE)
    done = Status(state.DONE)
    assert undone_lines([(step("Edges"), changed), (step("Edges"), changed), (step("Plot"), done)]) == [
        "Changed during the run: 2 results (2 Edges: stats.json changed). Run the same command again to make them."
    ]
    assert undone_lines([(step("Plot"), done)]) == []


def test_where_the_folder_of_recordings_is_not_there_one_line_names_it():
    status = Status(state.INPUT_MISSING, (Reason("inputs", "rec_0.bin is missing"),))
    assert left_alone_lines([(step("Edges"), status), (step("Stats"), status)], Path("/nas/raw")) == [
        "Left alone: 2 results, as the folder of the recordings, /nas/raw, is not there:"
        " correct [recordings] root (--recordings-root), or have its disk mounted"
    ]


def test_what_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    statuses = [
        (step("Plot"), Status(state.CODE_CHANGED, (Reason("code", "tasks.py changed"),))),
        (step("Stats", tmp_path / "results" / "stats.json"), Status(state.MODIFIED)),
        (step("Edges"), Status(state.INPUT_MISSING, (Reason("inputs", "rec_0.bin is missing"),))),
        (step("Edges"), Status(state.UNTRACKED)),
        (step("Edges"), Status(state.DONE)),
    ]
    assert left_alone_lines(statuses) == [
        "Code changed, left as they are: 1 (1 Plot: tasks.py changed). To remake them:"
        " --results-rerun-on inputs,parameters,code",
        "Modified by hand, taken as done: results/stats.json. To have one remade, delete it.",
        "Left alone: 1 results whose inputs are missing (rec_0.bin is missing)."
        " To make them from what is left: --recordings-allow-missing true",
        "Untracked (without a run record), taken as done: 1 Edges.",
    ]
