"""MatlabTask, from end to end: the real `luigi` command, M-files, Octave and the stand-in `matlab`."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import clean_environment, needs_octave

FAKE_MATLAB = Path(__file__).parent / "fake_matlab" / "bin"

# Two groups are enough: each takes three calls.
FEW = ("--FakeRecording-sessions", "a")

NO_ENGINES = ("--matlab-command", "no-matlab", "--matlab-octave-command", "no-octave")

OWN_STEPS = """
import luigi
from neuroluigi import GroupTask, MatlabTask, RecordingMaker, groups


class FakeRecording(RecordingMaker):
    def make(self, out):
        out.write_bytes(bytes([1, 2, 3, 4]))


class Length(GroupTask, MatlabTask):
    function = "writeLength"

    def requires(self):
        return [FakeRecording(session=r.session, index=r.index) for r in self.recordings]

    def output(self):
        return self.result("length.txt")

    def arguments(self, out):
        return [[one.path for one in self.input()], out]
"""

WRITE_LENGTH = """
function writeLength(files, lengthFile)
  disp('counting');
  if ~isempty(getenv('LAB_FAILS'))
    countBytes(files, 'wrong');
  end
  fid = fopen(lengthFile, 'w');
  fprintf(fid, '%d', countBytes(files, 'right'));
  fclose(fid);
end
"""

COUNT_BYTES = """
function total = countBytes(files, how)
  total = 0;
  for k = 1:numel(files)
    entry = dir(files{k});
    total = total + entry.bytes;
  end
  if strcmp(how, 'wrong')
    error('countBytes:wrong', '%s', ['counted ' sprintf('%d', total) ' bytes']);
  end
end
"""


def with_matlab() -> dict[str, str]:
    return {"PATH": os.pathsep.join((str(FAKE_MATLAB), clean_environment()["PATH"]))}


def record(pipeline, group: str, step: str, kind: str = "json") -> dict:
    return json.loads((pipeline.results / group / "runs" / f"{step}.{kind}").read_text(encoding="utf-8"))


@pytest.fixture
def own_steps(pipeline):
    """A lab with one step of its own, whose function has no stand-in."""
    (pipeline.folder / "tasks.py").write_text(OWN_STEPS)
    (pipeline.folder / "matlab" / "writeLength.m").write_text(WRITE_LENGTH.lstrip())
    (pipeline.folder / "matlab" / "countBytes.m").write_text(COUNT_BYTES.lstrip())
    config = pipeline.folder / "luigi.cfg"
    # A setting that this FakeRecording does not have is refused.
    config.write_text(config.read_text(encoding="utf-8").replace("bytes = 100", ""), encoding="utf-8")
    return pipeline


@needs_octave
def test_matlab_and_octave_make_the_same_files(pipeline):
    out = pipeline.run("PlotAll", *FEW, "--matlab-engine", "matlab", env=with_matlab())
    assert out.count("M-functions run on") == 1
    assert f"M-functions run on matlab R2022b ({FAKE_MATLAB / 'matlab'})" in out
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
    assert stats["tool"]["command"] == [str(FAKE_MATLAB / "matlab")]
    assert stats["tool"]["version"]
    assert stats["tool"]["used"]["cpu_seconds"] > 0
    sources = {one["path"]: one["sha256"] for one in stats["sources"]}
    for name in ("computeStats.m", "openFile.m", "closeFile.m"):
        content = (pipeline.folder / "matlab" / name).read_bytes()
        assert sources[f"matlab/{name}"] == hashlib.sha256(content).hexdigest()
    assert "matlab/concatenateFiles.m" not in sources
    log = (pipeline.results / "a-even" / "runs" / stats["log"]).read_text(encoding="utf-8")
    assert log.startswith(f"% matlab: computeStats('{pipeline.results / 'a-even' / 'aggregate.bin'}', '")


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
        "luigi: Length has no NumPy stand-in for writeLength.m; the engines that it can use are matlab and octave:"
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
    place = own_steps.folder / "matlab"
    assert f"luigi: Length: there is no M-file writeLength.m in {place}; see [matlab] folder" in out.splitlines()
    assert not own_steps.results.exists()


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
