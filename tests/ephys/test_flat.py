"""Flat: one file with the samples of a group, copied only where there is none."""

import json

import numpy as np
import pytest

from tests.conftest import Pipeline, needs_octave
from tests.recordings.runs import snapshot
from tests.recordings.test_found import write_run
from tests.recordings.test_found_runs import made_read_only

# A step that reads one file alone, as a sorter does.
SORTED = """
class Sorted(GroupTask):
    def requires(self):
        return {"flat": Flat(self.group)}

    def output(self):
        return self.result("sorted.txt")

    def make(self, out):
        out.write_text(self.input()["flat"].path)


class SortedAll(WrapperTask):
    def requires(self):
        return [Sorted(group) for group in groups()]
"""


@pytest.fixture
def lab(pipeline) -> Pipeline:
    pipeline.add(SORTED)
    return pipeline


def run(lab: Pipeline, *arguments, engine: str = "numpy") -> str:
    out = lab.run("SortedAll", "--matlab-engine", engine, *arguments)
    return next(line for line in out.splitlines() if line.startswith(("Made", "Nothing")))


def inputs(lab: Pipeline, group: str) -> list[tuple]:
    record = json.loads((lab.results / group / "runs/Sorted.json").read_text())
    assert all(len(one["sha256"]) == 64 for one in record["inputs"])
    return [(one["root"], one["path"], one.get("recording")) for one in record["inputs"]]


def path_read(lab: Pipeline, group: str) -> str:
    return (lab.results / group / "sorted.txt").read_text()


def test_of_what_is_copied_it_is_the_copy(lab):
    fakes = ("--FakeRecording-sessions", "a")
    assert run(lab, *fakes) == "Made: 2 Aggregate, 4 FakeRecording, 2 Sorted."
    assert path_read(lab, "a-even") == str(lab.results / "a-even/aggregate.bin")
    assert inputs(lab, "a-even") == [("results", "a-even/aggregate.bin", None)]
    assert run(lab, *fakes).startswith("Nothing")
    (lab.folder / "recordings/a/rec_0.bin").write_bytes(b"\1" * 100)
    assert run(lab, *fakes) == "Made: 1 Aggregate, 1 Sorted."
    (lab.results / "a-even/aggregate.bin").unlink()
    assert run(lab, *fakes) == "Made: 1 Aggregate."


def test_of_one_file_without_a_header_it_is_that_file(lab):
    path = write_run(lab.folder / "raw", "m_g0_t0.imec0.ap")
    words = ("--recordings-root", "raw")
    assert run(lab, *words) == "Made: 1 Aggregate, 1 Sorted."
    assert path_read(lab, "m-0-imec0.ap") == str(path)
    assert inputs(lab, "m-0-imec0.ap") == [("recordings", path.name, "m/0")]
    assert run(lab, *words).startswith("Nothing")
    path.write_bytes(bytes(60))
    assert run(lab, *words) == "Made: 1 Aggregate, 1 Sorted."
    (lab.folder / "raw").rename(lab.folder / "moved")
    assert run(lab, "--recordings-root", "moved").startswith("Nothing")


@pytest.mark.parametrize("engine", ["numpy", pytest.param("octave", marks=needs_octave)])
def test_of_several_files_it_is_a_copy_made_when_it_is_needed(lab, engine):
    one = write_run(lab.folder / "raw", "m_g0_t0.imec0.ap", start=0)
    write_run(lab.folder / "raw", "m_g0_t1.imec0.ap", start=9)
    words, before = ("--recordings-root", "raw"), made_read_only(lab.folder / "raw")
    assert run(lab, *words, engine=engine) == "Made: 1 Aggregate, 1 FlatCopy, 1 Sorted."
    assert snapshot(lab.folder / "raw") == before
    assert path_read(lab, "m-0-imec0.ap") == str(lab.results / "m-0-imec0.ap/flat.bin")
    flat = np.fromfile(lab.results / "m-0-imec0.ap/flat.bin", "<i2").tolist()
    assert flat == [*range(30), *range(3, 30)]
    assert inputs(lab, "m-0-imec0.ap") == [("results", "m-0-imec0.ap/flat.bin", None)]
    assert run(lab, *words, engine=engine).startswith("Nothing")
    one.chmod(0o644)
    one.write_bytes(bytes(60))
    assert run(lab, *words, engine=engine) == "Made: 1 Aggregate, 1 FlatCopy, 1 Sorted."


def test_of_one_file_with_a_header_it_is_a_copy(lab):
    (lab.folder / "raw").mkdir()
    np.save(lab.folder / "raw/x.npy", np.arange(12, dtype="<i2").reshape(4, 3))
    words = ("--recordings-root", "raw", "--recordings-format", "npy")
    assert run(lab, *words) == "Made: 1 Aggregate, 1 FlatCopy, 1 Sorted."
    (flat,) = lab.results.glob("*/flat.bin")
    assert np.fromfile(flat, "<i2").tolist() == list(range(12))


def test_of_a_recording_that_a_step_makes_it_is_what_that_step_makes(lab):
    write_run(lab.folder / "raw", "m_g0_t0.imec0.ap")
    tasks = lab.folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace("[recording_task(recording) ", "[Copied(*recording.identity) "))
    lab.add(
        "class Copied(RecordingTask):\n    def requires(self):\n        return recording_task(self.recording)\n\n"
        '    def output(self):\n        return self.result("copied.bin")\n\n'
        "    def make(self, out):\n        import shutil\n        shutil.copyfile(self.input().path, out)\n"
    )
    words = ("--recordings-root", "raw")
    assert run(lab, *words) == "Made: 1 Aggregate, 1 Copied, 1 Sorted."
    assert inputs(lab, "m-0-imec0.ap") == [("results", "recordings/m/0/copied.bin", None)]
    assert run(lab, *words).startswith("Nothing")
    (lab.results / "recordings/m/0/copied.bin").unlink()
    assert run(lab, *words) == "Made: 1 Copied."


def test_a_step_may_have_the_flat_file_and_what_is_where_in_it(lab):
    tasks = lab.folder / "tasks.py"
    tasks.write_text(
        tasks.read_text().replace("Flat(self.group)}", 'Flat(self.group), "aggregate": Aggregate(self.group)}')
    )
    path = write_run(lab.folder / "raw", "m_g0_t0.imec0.ap")
    words = ("--recordings-root", "raw")
    assert run(lab, *words) == "Made: 1 Aggregate, 1 Sorted."
    group = "m-0-imec0.ap"
    assert inputs(lab, group) == [("recordings", path.name, "m/0"), ("results", f"{group}/aggregate.json", None)]
    assert run(lab, *words).startswith("Nothing")


@pytest.mark.parametrize(
    "words",
    [("--recordings-header-bytes", "10"), ("--recordings-channels", "3", "--recordings-partial-sample", "drop")],
)
def test_of_a_file_that_a_step_makes_with_more_than_samples_in_it_it_is_a_copy(lab, words):
    words = ("--FakeRecording-sessions", "a", "--FakeRecording-count", "1", "--Aggregate-copy", "never", *words)
    assert run(lab, *words) == "Made: 1 Aggregate, 1 FakeRecording, 1 FlatCopy, 1 Sorted."
    made = (lab.folder / "recordings/a/rec_0.bin").read_bytes()
    samples = made[10:] if "10" in words else made[:99]
    assert (lab.results / "a-even/flat.bin").read_bytes() == samples
    assert run(lab, *words).startswith("Nothing")
