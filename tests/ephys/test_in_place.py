"""Recordings that are read where the rig wrote them: in runs of `luigi`, with a step of a lab that reads them."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import commands
from tests.commands import BIN, clean_environment
from tests.conftest import Pipeline
from tests.recordings.runs import samples_in_place
from tests.recordings.test_found import write_run

# A step that reads the samples by the parts that aggregate.json names.
TOTAL = """
import json

class Total(GroupTask):
    def requires(self):
        return Aggregate(self.group)

    def output(self):
        return self.result("total.json")

    def make(self, out):
        total = 0
        for path, offset, size in self.input()["layout"].parts():
            with open(path, "rb") as file:
                file.seek(offset)
                total += sum(memoryview(file.read(size)).cast("h"))
        out.write_text(json.dumps(total))


class Totals(WrapperTask):
    def requires(self):
        return [Total(group) for group in groups()]
"""
GROUP = "m-0-imec0.ap"
# Of three channels, whose values count up: see write_run. Of the second file the first of ten samples is in the first.
SAMPLES = [*range(30), *range(3, 30)]


class Rig(Pipeline):
    """A lab with two files of one run of SpikeGLX, which overlap by a sample, in raw/."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.add(TOTAL)
        write_run(self.raw / "m1", "m_g0_t0.imec0.ap", start=0)
        write_run(self.raw / "m1", "m_g0_t1.imec0.ap", start=9)
        # In the past, so that their times prove that they are the same.
        for path in self.raw.rglob("m_*"):
            os.utime(path, (1_700_000_000.5, 1_700_000_000.5))

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def group(self) -> Path:
        return self.results / GROUP

    def go(self, *arguments, root: object = "raw", task: str = "Totals", **more) -> str:
        return self.run(task, "--recordings-root", root, "--matlab-engine", "numpy", *arguments, **more)

    def made(self, *arguments, **more) -> str:
        return next(line for line in self.go(*arguments, **more).splitlines() if line.startswith(("Made", "Nothing")))

    def ask(self, *words: object, root: object = "raw", code: int = 0) -> str:
        command = [BIN / "neuroluigi", *words, "--recordings-root", root, "--matlab-engine", "numpy"]
        command += ["--neuroluigi-task", "Totals"]
        done = commands.run(
            [str(one) for one in command],
            cwd=self.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def record(self, step: str) -> dict:
        return json.loads((self.group / "runs" / f"{step}.json").read_text())

    def aggregate(self) -> dict:
        return json.loads((self.group / "aggregate.json").read_text())

    def content(self) -> list[int]:
        return samples_in_place(self.group).ravel().tolist()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Rig:
    rig = Rig(tmp_path_factory.mktemp("made") / "lab")
    assert rig.made() == "Made: 1 Aggregate, 1 Total."
    return rig


@pytest.fixture
def rig(made, tmp_path) -> Rig:
    """A lab of which all is made."""
    shutil.copytree(made.folder, tmp_path / "lab")
    copied = object.__new__(Rig)
    copied.folder = tmp_path / "lab"
    return copied


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_nothing_is_copied_and_aggregate_json_says_where_the_samples_lie(rig):
    assert sorted(path.name for path in rig.group.iterdir() if path.is_file()) == ["aggregate.json", "total.json"]
    aggregate = rig.aggregate()
    assert next(iter(aggregate)) == "roots" and aggregate["roots"]["recordings"] == "../../raw"
    first, second = (rig.raw / "m1" / f"m_g0_t{trigger}.imec0.ap.bin" for trigger in (0, 1))
    assert aggregate["parts"] == [
        {"root": "recordings", "path": f"m1/{first.name}", "sha256": sha256(first), "offset": 0, "first_sample": 0,
         "samples": 10},
        {"root": "recordings", "path": f"m1/{second.name}", "sha256": sha256(second), "offset": 6, "first_sample": 10,
         "samples": 9},
    ]  # fmt: skip
    assert rig.content() == SAMPLES and json.loads((rig.group / "total.json").read_text()) == sum(SAMPLES)
    assert [one["name"] for one in aggregate["channels"]] == ["AP0", "AP1", "SY0"]
    assert aggregate["recordings"][1] == {
        "session": "m", "index": 1, "path": f"m1/{second.name}", "first_sample": 10, "samples": 9,
        "dropped_samples": 1, "start_sample": 9, "clock": aggregate["recordings"][0]["clock"],
    }  # fmt: skip
    record = rig.record("Aggregate")
    assert record["tool"] == {"engine": "python"} and not any(one["path"].endswith(".m") for one in record["sources"])
    assert not {"path", "root", "sha256"} & record["fingerprint"]["layout"]["parts"][0].keys()
    assert rig.made() == "Nothing to make: everything is there."


def test_no_engine_is_needed(rig):
    shutil.rmtree(rig.results)
    words = ("--recordings-root", "raw", "--matlab-engine", "octave", "--matlab-octave-command", "no-such-octave")
    assert "Made: 1 Aggregate, 1 Total" in rig.run("Totals", *words)
    assert "no-such-octave" in rig.run("Totals", *words, "--Aggregate-copy", "always", code=None)


def test_the_parts_are_inputs_of_what_is_given_aggregate_json(rig):
    inputs = rig.record("Total")["inputs"]
    assert [(one["root"], one["path"], one.get("recording")) for one in inputs] == [
        ("results", f"{GROUP}/aggregate.json", None),
        ("recordings", "m1/m_g0_t0.imec0.ap.bin", "m/0"),
        ("recordings", "m1/m_g0_t1.imec0.ap.bin", "m/1"),
    ]
    assert [one["sha256"] for one in inputs[1:]] == [one["sha256"] for one in rig.aggregate()["parts"]]


def test_a_change_of_the_same_size_is_seen(rig):
    before = rig.aggregate()
    (rig.raw / "m1/m_g0_t1.imec0.ap.bin").write_bytes(np.full(30, 7, "<i2").tobytes())
    assert "m_g0_t1.imec0.ap.bin changed" in rig.ask("status", code=1)
    assert rig.made() == "Made: 1 Aggregate, 1 Total."
    assert json.loads((rig.group / "total.json").read_text()) == sum(range(30)) + 27 * 7
    after = rig.aggregate()
    assert after["parts"][1].pop("sha256") != before["parts"][1].pop("sha256") and after == before
    assert rig.made().startswith("Nothing")


def test_a_change_while_a_step_reads_is_an_error(rig):
    rig.add('Total.make_ = Total.make\nTotal.rerun_on = ("code",)\n')
    code = 'with open(self.input()["layout"].parts()[1][0], "ab") as file:\n            file.write(b"xxxxxx")'
    tasks = (rig.folder / "tasks.py").read_text().replace("        total = 0\n", f"        total = 0\n        {code}\n")
    (rig.folder / "tasks.py").write_text(tasks)
    (rig.group / "total.json").unlink()
    assert "m_g0_t1.imec0.ap.bin was changed while it was being read; run again" in rig.go(code=30)


def test_results_on_another_machine_with_another_root_stay_done_and_are_read_there(rig, tmp_path):
    elsewhere = tmp_path / "nas" / "2026"
    shutil.copytree(rig.raw, elsewhere)
    shutil.rmtree(rig.raw)
    before, text = rig.record("Aggregate"), (rig.group / "aggregate.json").read_text()
    rig.ask("status", root=elsewhere)
    assert (rig.group / "aggregate.json").read_text() == text
    assert rig.made(root=elsewhere).startswith("Nothing")
    assert rig.aggregate()["roots"] == {"results": "..", "recordings": elsewhere.as_posix()}
    assert rig.content() == SAMPLES
    # That counts as nothing: neither for the record, nor for who reads all again.
    after = rig.record("Aggregate")
    assert (after["ended"], after["outputs"][0]["sha256"]) == (before["ended"], before["outputs"][0]["sha256"])
    rig.ask("status", root=elsewhere)
    rig.ask("verify", root=elsewhere)
    rig.ask("verify")
    (rig.group / "total.json").unlink()
    assert rig.made(root=elsewhere) == "Made: 1 Total."
    # Back, declared as relative.
    shutil.copytree(elsewhere, rig.raw)
    assert rig.made().startswith("Nothing") and rig.aggregate()["roots"]["recordings"] == "../../raw"


def test_recordings_that_move_within_the_root_are_followed(rig):
    (rig.raw / "2026").mkdir()
    (rig.raw / "m1").rename(rig.raw / "2026" / "m1")
    assert rig.made().startswith("Nothing")
    assert [one["path"] for one in rig.aggregate()["parts"]] == [
        f"2026/m1/m_g0_t{trigger}.imec0.ap.bin" for trigger in (0, 1)
    ]
    assert rig.content() == SAMPLES and "2026/m1" in json.dumps(rig.aggregate()["recordings"])
    for step in ("Aggregate", "Total"):
        assert "2026/m1/m_g0_t1.imec0.ap.bin" in [one["path"] for one in rig.record(step)["inputs"]]
    (rig.group / "total.json").unlink()
    assert rig.made() == "Made: 1 Total."


def test_a_crate_has_no_checksum_of_the_bytes_of_what_is_written_anew(rig):
    rig.ask("export", "rocrate")
    crate = json.loads((rig.results / "ro-crate-metadata.json").read_text())
    entities = {one["@id"]: one for one in crate["@graph"]}
    described = entities[f"{GROUP}/aggregate.json"]
    sha256 = rig.record("Aggregate")["outputs"][0]["sha256"]
    assert not {"sha256", "contentSize"} & described.keys()
    assert described["description"] == f"sha256 {sha256} of its content without roots, root, path"
    assert len(entities[f"{GROUP}/total.json"]["sha256"]) == 64


def test_all_tasks_of_a_build_are_followed(rig):
    """Those of the first one alone would be followed by Luigi's root."""
    (rig.raw / "m1").rename(rig.raw / "m2")
    program = (
        "import neuroluigi, tasks\n"
        f"assert neuroluigi.build([tasks.FakeNothing(), tasks.Total('{GROUP}')], log_level='WARNING')\n"
    )
    rig.add(
        "class FakeNothing(StudyTask):\n    def output(self):\n        return self.result('none.txt')\n\n"
        "    def make(self, out):\n        out.write_text('none')\n"
    )
    settings = (rig.folder / "luigi.cfg").read_text().replace("root =\n", "root = raw\n", 1)
    (rig.folder / "luigi.cfg").write_text(settings)
    done = commands.run(
        [BIN / "python", "-c", program], cwd=rig.folder, env=clean_environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rig.aggregate()["parts"][0]["path"].startswith("m2/") and rig.content() == SAMPLES


def test_results_that_cant_be_written_are_read_all_the_same(rig, tmp_path):
    rig.raw.rename(tmp_path / "moved")
    (rig.group).chmod(0o555)
    try:
        assert rig.made(root=tmp_path / "moved").startswith("Nothing")
    finally:
        (rig.group).chmod(0o755)


def test_an_edit_of_anything_but_places_is_seen(rig):
    path = rig.group / "aggregate.json"
    path.write_text(path.read_text().replace('"samples": 9', '"samples": 8'))
    assert "modified" in rig.ask("status", code=1)
    assert "has other values than its run record says" in rig.ask("verify", code=1)
    # What somebody edited is taken as it is, and followed to where the recordings lie now.
    (rig.raw / "m1").rename(rig.raw / "m2")
    assert "Modified by hand, taken as done" in rig.go()
    assert rig.content() == SAMPLES[:-3] and rig.aggregate()["parts"][1]["path"].startswith("m2/")
    assert json.loads((rig.group / "total.json").read_text()) == sum(SAMPLES[:-3])
    rig.ask("accept", f"results/{GROUP}/aggregate.json", "--reason", "cut")
    assert rig.record("Aggregate")["outputs"][0]["ignore"] == ["roots", "root", "path"]


def test_what_is_damaged_is_made_again(rig):
    (rig.group / "aggregate.json").write_bytes(b"\0" * 100)
    assert rig.made().startswith("Made: 1 Aggregate")
    assert rig.content() == SAMPLES


def test_a_missing_recording_leaves_the_results_alone(rig):
    (rig.raw / "m1/m_g0_t1.imec0.ap.bin").rename(rig.folder / "off")
    out = rig.go()
    assert "Left alone: 2 results" in out and "m1/m_g0_t1.imec0.ap.bin is not there any more" in out
    shutil.rmtree(rig.raw)
    out = rig.go(code=20)
    assert "the groups are those of the results" in out and "Left alone: 2 results, as the folder" in out


def test_copies_are_made_where_they_are_asked_for_and_change_what_is_read(rig):
    assert rig.made("--Aggregate-copy", "always") == "Made: 1 Aggregate, 1 Total."
    assert np.fromfile(rig.group / "aggregate.bin", "<i2").tolist() == SAMPLES
    assert "parts" not in rig.aggregate() and json.loads((rig.group / "total.json").read_text()) == sum(SAMPLES)
    assert [one["path"] for one in rig.record("Total")["inputs"]] == [
        f"{GROUP}/aggregate.bin", f"{GROUP}/aggregate.json",
    ]  # fmt: skip
    assert rig.made("--Aggregate-copy", "always").startswith("Nothing")
    assert rig.made() == "Made: 1 Aggregate, 1 Total." and rig.content() == SAMPLES


def test_raw_samples_are_copied_unless_it_is_switched_off(pipeline):
    pipeline.add(TOTAL)
    (pipeline.folder / "raw").mkdir()
    for index in range(2):
        (pipeline.folder / "raw" / f"rec_{index}.bin").write_bytes(b"HEAD" + np.arange(6, dtype="<i2").tobytes())
    table = "session,index,path,dtype,channels,header_bytes\ns,0,rec_0.bin,int16,2,4\ns,1,rec_1.bin,int16,2,4\n"
    (pipeline.folder / "raw/recordings.csv").write_text(table)
    words = ("Totals", "--recordings-root", pipeline.folder / "raw", "--matlab-engine", "numpy")
    pipeline.run(*words)
    assert (pipeline.results / "s/aggregate.bin").stat().st_size == 24
    pipeline.run(*words, "--Aggregate-copy", "never")
    aggregate = json.loads((pipeline.results / "s/aggregate.json").read_text())
    assert aggregate["channels"] == 2
    assert aggregate["roots"] == {"results": "..", "recordings": (pipeline.folder / "raw").as_posix()}
    assert [(one["path"], one["offset"], one["first_sample"], one["samples"]) for one in aggregate["parts"]] == [
        ("rec_0.bin", 4, 0, 3), ("rec_1.bin", 4, 3, 3),
    ]  # fmt: skip
    assert json.loads((pipeline.results / "s/total.json").read_text()) == 30


def test_who_asks_for_a_copy_that_there_is_not_is_told_both_ways(rig):
    (rig.folder / "tasks.py").write_text(
        (rig.folder / "tasks.py").read_text().replace('["layout"].parts()', '["data"].path')
    )
    (rig.group / "total.json").unlink()
    (line,) = [line for line in rig.go(code=30).splitlines() if "ERROR: Total" in line]
    assert "has no aggregate.bin" in line and "Flat(self.group)" in line and "[Aggregate] copy = always" in line
    copied = rig.go("--Aggregate-copy", "always", code=30)
    assert "INFO: Aggregate" in copied and "has no aggregate.bin" not in copied


FILTERED = """
class Doubled(RecordingTask):
    def requires(self):
        return recording_task(self.recording)

    def output(self):
        return self.result("doubled.bin")

    def make(self, out):
        import numpy
        (numpy.fromfile(self.input().path, "<i2") * FACTOR).tofile(out)

FACTOR = 2
"""


def test_what_steps_made_of_recordings_is_read_where_it_lies_too(rig):
    tasks = (rig.folder / "tasks.py").read_text()
    tasks = tasks.replace("return [recording_task(recording)", "return [Doubled(*recording.identity)")
    (rig.folder / "tasks.py").write_text(tasks)
    rig.add(FILTERED)
    assert rig.made() == "Made: 1 Aggregate, 2 Doubled, 1 Total."
    aggregate = rig.aggregate()
    assert [(one["root"], one["path"], one["offset"]) for one in aggregate["parts"]] == [
        ("results", "recordings/m/0/doubled.bin", 0), ("results", "recordings/m/1/doubled.bin", 6),
    ]  # fmt: skip
    assert rig.content() == [2 * one for one in SAMPLES]
    inputs = rig.record("Total")["inputs"]
    assert [one["path"] for one in inputs[1:]] == [f"recordings/m/{index}/doubled.bin" for index in (0, 1)]
    assert "recording" not in inputs[1] and rig.made().startswith("Nothing")
    # What is still to be made is waited for.
    (rig.results / "recordings/m/1/doubled.bin").unlink()
    assert "maybe, if" in rig.ask("status", code=1)
    assert rig.made() == "Made: 1 Doubled."
    (rig.folder / "tasks.py").write_text((rig.folder / "tasks.py").read_text().replace("FACTOR = 2", "FACTOR = 3"))
    assert rig.made("--results-rerun-on", "inputs,parameters,code") == "Made: 1 Aggregate, 2 Doubled, 1 Total."
    assert rig.content() == [3 * one for one in SAMPLES]
