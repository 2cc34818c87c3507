"""The pipeline of tasks.py, end to end, through the real `luigi` command."""

import csv
import os

import numpy as np
import pytest

from neuroluigi.provenance.record import read_record
from tests.conftest import REAL_RECORDINGS, Pipeline, folders, needs_octave, needs_real_recordings

ENGINES = ["numpy", pytest.param("octave", marks=needs_octave)]
GROUPS = [f"{session}-{parity}" for session in "abcde" for parity in ("even", "odd")]
FILES = ["aggregate.bin", "aggregate.json", "edges.npy", "plot.png", "stats.json"]


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("engine", ENGINES)
def test_fake_recordings_become_ten_plots_and_a_second_run_makes_nothing(pipeline, engine):
    out = pipeline.run("PlotAll", "--matlab-engine", engine)
    assert folders(pipeline.results) == GROUPS
    for group in GROUPS:
        assert sorted(p.name for p in (pipeline.results / group).iterdir()) == sorted([*FILES, "runs"])
        for step in ("Aggregate", "Stats", "Edges", "Plot"):
            assert read_record(pipeline.results / group / "runs" / f"{step}.json")["step"] == step
    assert out.splitlines()[-1] == "10 plots: results/*/plot.png"
    assert "M-functions run on" in out and out.count("M-functions run on") == 1
    recordings = sorted(p.relative_to(pipeline.folder).as_posix() for p in pipeline.folder.glob("recordings/*/*.bin"))
    assert recordings == [f"recordings/{s}/rec_{i}.bin" for s in "abcde" for i in range(4)]
    assert {p.stat().st_size for p in pipeline.folder.glob("recordings/*/*.bin")} == {100}

    before = snapshot(pipeline.folder)
    out = pipeline.run("PlotAll", "--matlab-engine", engine)
    assert snapshot(pipeline.folder) == before
    assert "Nothing to make" in out and out.splitlines()[-1] == "10 plots: results/*/plot.png"


def test_a_single_step_makes_what_it_needs_and_no_more(pipeline):
    pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "numpy")
    assert list(pipeline.files()) == ["a-even/aggregate.bin", "a-even/aggregate.json", "a-even/stats.json"]
    assert sorted(p.name for p in pipeline.folder.glob("recordings/*/*.bin")) == ["rec_0.bin", "rec_2.bin"]


@pytest.mark.parametrize("name", ["aggregate.bin", "aggregate.json", "stats.json", "edges.npy", "plot.png"])
def test_a_deleted_result_is_made_again_the_same(pipeline, name):
    arguments = ("Plot", "--group", "a-even", "--matlab-engine", "numpy")
    pipeline.run(*arguments)
    before = pipeline.files()
    (pipeline.results / "a-even" / name).unlink()
    if name != "plot.png":
        # Luigi checks what a task requires only when the task itself is not done.
        (pipeline.results / "a-even" / "plot.png").unlink()
    if name.startswith(("aggregate", "stats")):
        (pipeline.results / "a-even" / "edges.npy").unlink()
    if name.startswith("aggregate"):
        (pipeline.results / "a-even" / "stats.json").unlink()
    pipeline.run(*arguments)
    assert pipeline.files() == before


def test_real_recordings_can_be_grouped_by_other_columns(pipeline):
    root = pipeline.folder / "real"
    root.mkdir()
    rows = [("s1", 0, "ctx"), ("s1", 1, "hpc"), ("s2", 0, "ctx"), ("s2", 1, "ctx")]
    with (root / "recordings.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["session", "index", "path", "area"])
        for session, index, area in rows:
            (root / f"{session}{index}").write_bytes(os.urandom(50))
            writer.writerow([session, index, f"{session}{index}", area])
    pipeline.run(
        "PlotAll", "--recordings-root", root, "--recordings-group-by", "area,session", "--matlab-engine", "numpy"
    )
    assert folders(pipeline.results) == ["ctx-s1", "ctx-s2", "hpc-s1"]
    aggregate = (pipeline.results / "ctx-s2" / "aggregate.bin").read_bytes()
    assert aggregate == (root / "s20").read_bytes() + (root / "s21").read_bytes()


def test_two_probes_of_one_session_are_two_groups(pipeline):
    root = pipeline.folder / "neuropixels"
    root.mkdir()
    samples = {}
    for probe in (0, 1):
        for index in (0, 1):
            for stream in ("ap", "lf"):
                file = root / f"s_g0_t{index}.imec{probe}.{stream}.bin"
                file.write_bytes(os.urandom(40))
                samples[probe, index, stream] = file.read_bytes()
    settings = {
        "root": root,
        "pattern": "{session}_g{gate}_t{index}.imec{probe}.{stream}.bin",
        "select": "stream=ap",
        "group-by": "session,probe",
    }
    arguments = [word for name, value in settings.items() for word in (f"--recordings-{name}", value)]
    out = pipeline.run("PlotAll", *arguments, "--matlab-engine", "numpy", "--workers", "2")
    assert out.splitlines()[-1] == "2 plots: results/*/plot.png"
    for probe in (0, 1):
        aggregate = (pipeline.results / f"s-{probe}" / "aggregate.bin").read_bytes()
        assert aggregate == samples[probe, 0, "ap"] + samples[probe, 1, "ap"]


@pytest.fixture(scope="module")
def real_results(tmp_path_factory):
    """Results of the real recordings per engine and settings, each made once."""
    lab = Pipeline(tmp_path_factory.mktemp("real") / "lab")
    made = {}

    def run(engine, *settings):
        if (engine, settings) not in made:
            results = lab.folder / f"results-{len(made)}"
            lab.run(
                "PlotAll",
                "--recordings-root",
                REAL_RECORDINGS,
                "--results-root",
                results,
                "--matlab-engine",
                engine,
                *settings,
            )
            made[engine, settings] = results
        return made[engine, settings]

    return run


def edges_of(results, group, channel):
    edges = np.load(results / group / "edges.npy")
    assert edges.dtype == np.int64
    return edges[edges[:, 1] == channel, 0]


@needs_real_recordings
@pytest.mark.parametrize("engine", ENGINES)
def test_mitdb_has_an_edge_for_every_beat(real_results, engine):
    assert len(edges_of(real_results(engine), "mitdb_100", 0)) == 2273
    edges = edges_of(real_results(engine, "--Edges-level", "1130", "--recordings-contiguous", "true"), "mitdb_100", 0)
    assert len(edges) == 2273
    with (REAL_RECORDINGS / "mitdb_100" / "events.csv").open() as file:
        beats = np.array([int(row["sample_in_session"]) for row in csv.DictReader(file)])
    nearest = np.abs(edges[:, None] - beats).min(axis=0)
    assert len(beats) == 2273 and np.count_nonzero(nearest <= 5) == 2272


@needs_real_recordings
@pytest.mark.parametrize("engine", ENGINES)
def test_eeg_triggers_are_at_the_known_samples(real_results, engine):
    high = [512, 1603, 1624, 1859, 1881, 2116, 2137, 2372, 2393, 2628, 2649, 2884, 2906]
    results = real_results(engine, "--Edges-level", "1")
    assert edges_of(results, "eeg_ttl", 1).tolist() == high
    assert edges_of(results, "eeg_ttl", 0).tolist() == [1603, 1859, 2116, 2372, 2628, 2884]


@needs_real_recordings
@needs_octave
def test_octave_and_numpy_agree_on_all_real_recordings(real_results):
    compared = 0
    one, other = real_results("octave"), real_results("numpy")
    for path in sorted(p.relative_to(one) for p in one.glob("*/*") if p.suffix in (".bin", ".npy", ".json")):
        assert (one / path).read_bytes() == (other / path).read_bytes(), path
        compared += 1
    assert compared == 16


@needs_octave
def test_octave_and_numpy_agree_on_all_fake_recordings(tmp_path):
    made = []
    for engine in ("octave", "numpy"):
        lab = Pipeline(tmp_path / engine)
        lab.run("PlotAll", "--matlab-engine", engine, "--workers", "2")
        made.append({name: content for name, content in lab.files().items() if not name.endswith(".png")})
    assert len(made[0]) == 40 and made[0] == made[1]
