"""MatlabTask, from end to end: the real `luigi` command, M-files, Octave and the fake `matlab`."""

import hashlib
import shutil
from typing import ClassVar

import pytest

from neuroluigi import GroupTask, MatlabTask
from tests.conftest import FAKE_MATLAB, REPOSITORY, needs_octave
from tests.steps.matlab_lab import (
    FEW,
    MATLAB_FOLDER,
    NO_ENGINES,
    record,
    with_matlab,
    with_own_step,
)


class NeedsMuch(GroupTask, MatlabTask):
    """A step with resources of its own, as any task of Luigi may declare them."""

    function = numpy_function = "computeStats"
    resources: ClassVar = {"gpu": 1}


class NeedsSeats(NeedsMuch):
    resources: ClassVar = {"gpu": 2, "matlab": 3}


@pytest.mark.parametrize(
    ("engine", "much", "seats"),
    [
        ("matlab", {"gpu": 1, "matlab": 1}, {"gpu": 2, "matlab": 3}),
        ("numpy", {"gpu": 1}, {"gpu": 2, "matlab": 3}),
    ],
)
def test_the_resources_of_a_step_are_its_own_and_a_seat(declare, engine, much, seats):
    declare("matlab", engine=engine, command=FAKE_MATLAB)
    assert (NeedsMuch("g").process_resources(), NeedsSeats("g").process_resources()) == (much, seats)
    assert NeedsMuch.resources == {"gpu": 1}


@pytest.fixture
def own_steps(pipeline):
    return with_own_step(pipeline)


@needs_octave
def test_matlab_and_octave_make_the_same_files(pipeline):
    out = pipeline.run("PlotAll", *FEW, "--matlab-engine", "matlab", env=with_matlab())
    assert out.count("M-functions run on") == 1
    assert f"M-functions run on matlab R2022b ({MATLAB_FOLDER / 'matlab'})" in out
    by_matlab = pipeline.files()
    assert len(by_matlab) == 2 * len(("aggregate.bin", "aggregate.json", "stats.json", "edges.npy", "plot.png"))
    shutil.rmtree(pipeline.results)
    out = pipeline.run("PlotAll", *FEW, "--matlab-engine", "octave", env=with_matlab())
    assert "M-functions run on octave" in out
    by_octave = pipeline.files()
    for files in (by_matlab, by_octave):
        # A plot says which engine it was.
        for path in [path for path in files if path.endswith("plot.png")]:
            assert files.pop(path).startswith(b"\x89PNG")
    assert by_matlab == by_octave


@needs_octave
def test_auto_prefers_matlab_and_the_record_says_what_made_the_result(pipeline):
    out = pipeline.run("Stats", "--group", "a-even", env=with_matlab())
    assert "M-functions run on matlab R2022b" in out
    stats = record(pipeline, "a-even", "Stats")
    assert stats["tool"]["engine"] == "matlab"
    assert stats["tool"]["command"] == [str(MATLAB_FOLDER / "matlab")]
    assert stats["tool"]["version"]
    assert stats["tool"]["used"]["cpu_seconds"] > 0
    sources = {one["path"]: one["sha256"] for one in stats["sources"]}
    for name in ("computeStats.m", "readAggregate.m", "readBlock.m", "openFile.m", "closeFile.m"):
        content = (pipeline.folder / "matlab" / name).read_bytes()
        assert sources[f"matlab/{name}"] == hashlib.sha256(content).hexdigest()
    assert "matlab/concatenateFiles.m" not in sources
    log = (pipeline.results / "a-even" / "runs" / stats["log"]).read_text(encoding="utf-8")
    assert log.startswith(f"% matlab:\ncomputeStats('{pipeline.results / 'a-even' / 'aggregate.json'}', '")


@needs_octave
def test_a_matlab_that_prints_asks_and_crashes_at_exit_makes_the_step(pipeline):
    env = {**with_matlab(), "FAKE_MATLAB": "banner prompt crash-after-answer"}
    out = pipeline.run("Stats", "--group", "a-even", env=env)
    assert "matlab ended badly after its last answer (killed by signal 11)" in out
    assert record(pipeline, "a-even", "Stats")["tool"]["engine"] == "matlab"


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("matlab", "luigi: engine matlab (looked for no-matlab on PATH) is not there; put matlab on PATH or"),
        ("octave", "luigi: engine octave (looked for no-octave on PATH) is not there; install GNU Octave"),
    ],
)
def test_an_engine_that_is_not_there_stops_the_run_before_anything_is_made(pipeline, engine, message):
    before = sorted(pipeline.folder.rglob("*"))
    out = pipeline.run("PlotAll", "--matlab-engine", engine, *NO_ENGINES, code=None)
    assert [line[: len(message)] for line in out.splitlines() if "engine" in line] == [message]
    assert "Traceback" not in out
    assert [p for p in sorted(pipeline.folder.rglob("*")) if "__pycache__" not in p.parts] == before


def test_a_step_without_a_stand_in_says_before_the_run_which_engines_it_can_use(own_steps):
    out = own_steps.run("Length", "--group", "a-even", "--matlab-engine", "numpy", code=None)
    message = (
        "luigi: Length has no NumPy function for writeLength.m; the engines that it can use are matlab and octave:"
        " install one, or set [matlab] engine (--matlab-engine)"
    )
    assert message in out.splitlines()
    assert "Traceback" not in out
    assert not own_steps.results.exists()
    assert not (own_steps.folder / "recordings").exists()
    # The same where there is nothing else that auto could take.
    assert message in own_steps.run("Length", "--group", "a-even", *NO_ENGINES, code=None).splitlines()


@needs_octave
def test_an_m_file_that_is_not_there_is_named_before_the_run(own_steps):
    (own_steps.folder / "matlab" / "writeLength.m").unlink()
    out = own_steps.run("Length", "--group", "a-even", "--matlab-engine", "octave", code=None)
    folders = f"{own_steps.folder / 'matlab'}, {REPOSITORY / 'matlab'}"
    message = f"luigi: Length: there is no M-file writeLength.m in {folders}, or below; see [matlab] folder"
    assert message in out.splitlines()
    own = ("--matlab-folder", "nowhere, matlab")
    out = own_steps.run("Length", "--group", "a-even", "--matlab-engine", "octave", *own, code=None)
    assert f"writeLength.m in {own_steps.folder / 'nowhere'} (no such folder), {folders}, or below" in out
    assert not own_steps.results.exists()


@needs_octave
def test_a_lab_without_m_files_uses_those_of_the_package_and_its_own_come_first(pipeline):
    shutil.rmtree(pipeline.folder / "matlab")
    pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "octave")
    sources = {one["path"] for one in record(pipeline, "a-even", "Stats")["sources"]}
    assert {"neuroluigi/mfiles/computeStats.m", "neuroluigi/mfiles/openFile.m"} <= sources
    # Of the lab's own folders the first one wins, and one below counts as well.
    for folder in ("mine/below", "theirs"):
        (pipeline.folder / folder).mkdir(parents=True)
        shutil.copy(REPOSITORY / "matlab" / "computeStats.m", pipeline.folder / folder)
    own = ("--matlab-folder", "mine, theirs", "--results-rerun-on", "code")
    pipeline.run("Stats", "--group", "a-even", "--matlab-engine", "octave", *own)
    sources = {one["path"] for one in record(pipeline, "a-even", "Stats")["sources"]}
    assert {"mine/below/computeStats.m", "neuroluigi/mfiles/openFile.m"} <= sources
    assert "neuroluigi/mfiles/computeStats.m" not in sources


@needs_octave
@pytest.mark.parametrize("engine", ["octave", "matlab"])
def test_a_failing_function_is_told_with_everything_one_needs(own_steps, engine):
    step = ("Length", "--group", "a-even", "--matlab-engine", engine)
    out = own_steps.run(*step, env={**with_matlab(), "LAB_FAILS": "yes"}, code=30)
    error = f"{engine}: writeLength failed: countBytes:wrong: counted 8 bytes (countBytes, line 8 of countBytes.m)"
    assert f"Length(group=a-even): {error}; see results/a-even/runs/Length.failed.log" in out
    assert "Traceback" not in out
    runs = own_steps.results / "a-even" / "runs"
    assert sorted(path.name for path in runs.glob("Length*")) == ["Length.failed.json", "Length.failed.log"]
    assert not (own_steps.results / "a-even" / "length.txt").exists()
    failed = record(own_steps, "a-even", "Length", "failed.json")
    assert failed["error"] == error
    assert failed["log"] == "Length.failed.log"
    assert failed["tool"]["engine"] == engine
    assert "matlab/countBytes.m" in {one["path"] for one in failed["sources"]}
    assert "counting\n" in (runs / "Length.failed.log").read_text(encoding="utf-8")

    own_steps.run(*step, env=with_matlab())
    assert sorted(path.name for path in runs.glob("Length*")) == ["Length.json", "Length.log"]
    assert (own_steps.results / "a-even" / "length.txt").read_text() == "8"
    assert {one["path"] for one in record(own_steps, "a-even", "Length")["sources"]} == {
        "tasks.py:Length",
        "matlab/countBytes.m",
        "matlab/writeLength.m",
    }


@needs_octave
def test_names_of_all_kinds_reach_the_function(own_steps, tmp_path):
    """Values of the user travel in files: here they would be expanded, or run, by the launcher."""
    odd = tmp_path / "it's $HOME `touch ran` %d 神"
    step = ("Length", "--group", "a-even", "--matlab-engine", "matlab", "--results-root", odd)
    own_steps.run(*step, env=with_matlab())
    assert (odd / "a-even" / "length.txt").read_text() == "8"
    assert not list(tmp_path.rglob("ran"))
