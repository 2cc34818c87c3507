"""Names, paths and links that are unusual but right, end to end with the real `luigi`."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Pipeline, folders, needs_octave
from tests.recordings.runs import STRANGE, run, samples, snapshot, stopped, write_root, write_strange, write_two_groups


@pytest.fixture
def root(tmp_path) -> Path:
    """Two good groups, a and b."""
    return write_two_groups(tmp_path / "data")


STRANGE_NAMES = [
    " space before", "it's x", "$HOME $x_$", "$(touch owned) `touch owned`", "%s%d%n 100%", "%(root)s", "Größe e\u0301",
    "猫の脳 🧠", "a;b&c", "x=1,y=2", "{session}", "[bold]b #1!", "~", "n" * 255,
]  # fmt: skip


def test_strange_names_work_everywhere(tmp_path):
    pipeline = Pipeline(tmp_path / f"lab {STRANGE}")
    root, results = tmp_path / f"data {STRANGE}", tmp_path / f"out {STRANGE}"
    write_strange(root, STRANGE_NAMES)
    before = snapshot(root)
    done = run(pipeline, "--recordings-root", root, "--results-root", results)
    assert done.code == 0, done.err
    assert folders(results) == sorted(STRANGE_NAMES)
    for number, name in enumerate(STRANGE_NAMES):
        assert (results / name / "plot.png").is_file()
        data = (results / name / "aggregate.bin").read_bytes()
        assert data == samples(0, 100 + number, 0, 50, 0, 100 + number, 1, 50)
        assert np.load(results / name / "edges.npy").tolist() == [[1, 0], [5, 0]]
        layout = json.loads((results / name / "aggregate.json").read_text(encoding="utf-8"))
        assert [r["path"] for r in layout["recordings"]] == [f"{name}/rec_0.bin", f"{name}/rec_1.bin"]
    assert snapshot(root) == before
    assert not list(tmp_path.rglob("owned"))

    made = snapshot(results)
    done = run(pipeline, "--recordings-root", root, "--results-root", results)
    assert done.code == 0
    assert done.out.startswith("Nothing to make: everything is there.")
    assert snapshot(results) == made


def test_strange_names_in_tables_and_settings(tmp_path):
    pipeline = Pipeline(tmp_path / "lab")
    root, table = tmp_path / f"data {STRANGE}", tmp_path / f"table {STRANGE}.csv"
    write_root(root, **{"it's": samples(0, 9)})
    name = "say 'hi', $HOME; `id` 100% 猫"
    table.write_text(f'session;index;path\n"{name}";0;"it\'s.bin"\n', encoding="utf-8")
    arguments = ("--recordings-root", root, "--recordings-table", table, "--results-root", f"out {STRANGE}")
    assert run(pipeline, *arguments, "--group", name, task="Edges").code == 0
    assert np.load(pipeline.folder / f"out {STRANGE}" / name / "edges.npy").tolist() == [[1, 0]]


@needs_octave
def test_strange_names_on_octave(tmp_path):
    pipeline = Pipeline(tmp_path / f"lab {STRANGE}")
    root = tmp_path / f"data {STRANGE}"
    # What folders of the lab may have, sessions may not: not every machine has it.
    safe = STRANGE.replace('"', "").replace("|", "")
    names = [f" {safe} `touch owned` $(touch owned)", "%(root)s [b] {x} # 🧠 e\u0301, x=1"]
    write_strange(root, names)
    before = snapshot(root)
    for engine in ("octave", "numpy"):
        results = tmp_path / f"{engine} {STRANGE}"
        done = run(pipeline, "--recordings-root", root, "--results-root", results, engine=engine)
        assert done.code == 0, done.err
        assert folders(results) == sorted(names)
    for name in names:
        for file in ("aggregate.bin", "edges.npy"):
            by_octave, by_numpy = (tmp_path / f"{e} {STRANGE}" / name / file for e in ("octave", "numpy"))
            assert by_octave.read_bytes() == by_numpy.read_bytes()
        record = json.loads((by_octave.parent / "runs/Edges.json").read_text(encoding="utf-8"))
        assert record["tool"]["engine"] == "octave"
    assert snapshot(root) == before
    assert not list(tmp_path.rglob("owned"))


def test_per_cent_in_luigi_cfg(pipeline, root):
    config = pipeline.folder / "luigi.cfg"
    text = config.read_text(encoding="utf-8")
    root.rename(root.parent / "100% data")
    config.write_text(text.replace("\nroot =\n", f"\nroot = {root.parent}/100% data\n", 1), encoding="utf-8")
    line = stopped(pipeline)
    assert "luigi.cfg" in line
    assert "[recordings] root" in line
    assert "%%" in line
    config.write_text(text.replace("\nroot =\n", f"\nroot = {root.parent}/100%% data\n", 1), encoding="utf-8")
    assert run(pipeline, "--group", "a", task="Edges").code == 0


def test_results_inside_the_recordings_folder(pipeline, tmp_path):
    root = tmp_path / "data"
    write_strange(root, "ab")
    before = snapshot(root)
    arguments = ("--recordings-root", f"{root}/", "--results-root", root / "results", "--group", "a")
    assert run(pipeline, *arguments, task="Edges").code == 0
    # What is made is not taken for a recording.
    assert run(pipeline, *arguments, task="Edges").out.splitlines() == [
        "Nothing to make: everything is there.",
        f"1 result: {root}/results/a/edges.npy",
    ]
    after = snapshot(root)
    assert {path: after[path] for path in before} == before


def test_links_to_recordings(pipeline, tmp_path, root):
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    (root / "l.bin").symlink_to(root / "x.bin")
    (root / "m.bin").symlink_to(root / "gone.bin")
    write_root(root, ("session,index,path", "a,0,l.bin", "b,0,m.bin"))
    done = run(pipeline, "--recordings-root", linked)
    assert done.code == 30
    assert "row 3, column path: 'm.bin'" in done.err
    assert (pipeline.results / "a/aggregate.bin").read_bytes() == samples(0, 100, 0, 100)
    assert (root / "l.bin").is_symlink()


def test_results_that_can_not_be_written(pipeline, root):
    (pipeline.folder / "file").write_text("here")
    done = run(pipeline, "--recordings-root", root, "--results-root", "file")
    assert done.code == 30
    assert done.err.count("ERROR: ") == 2
    assert "can't write to" in done.err
    assert (pipeline.folder / "file").read_text() == "here"
