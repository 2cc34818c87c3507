"""Whole runs on recordings that have to be decoded: what each format has, in flat files that others read."""

import json
import os
import re
import shutil
import subprocess
import sys
import wave

import mtscomp
import numpy as np
import pytest

from neuroluigi import ephys
from tests import commands
from tests.conftest import BIN, FORMATS, Pipeline, needs_formats
from tests.recordings.runs import run, snapshot
from tests.recordings.test_edf import written as write_edf
from tests.recordings.test_found import write_nwb, write_run
from tests.recordings.test_intan import rhd
from tests.recordings.test_intan_blocks import RHD_BLOCK
from tests.recordings.test_intan_blocks import written as write_intan


def write_24_bits(path, values) -> None:
    """Write (samples, channels) int32 as a WAV file of 24 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((values.shape[1], 3, 1000, 0, "NONE", ""))
        file.writeframes(b"".join(int(one).to_bytes(3, "little", signed=True) for one in values.ravel()))


def compress(path) -> None:
    """Put a .cbin and its .ch in the place of a .bin of 3 channels."""
    how = {"sample_rate": 1000.0, "n_channels": 3, "dtype": np.int16, "n_threads": 1, "quiet": True}
    mtscomp.compress(path, path.with_suffix(".cbin"), path.with_suffix(".ch"), **how)
    path.unlink()


def made(pipeline: Pipeline, group: str, dtype: str) -> np.ndarray:
    aggregate = ephys.read_aggregate(pipeline.results / group / "aggregate.json")
    assert aggregate.dtype == dtype
    return np.concatenate(list(ephys.blocks(aggregate)))


def record(path, step: str = "Decoded") -> dict:
    return json.loads((path / f"runs/{step}.json").read_text())


def test_what_auto_finds_is_decoded(pipeline, tmp_path):
    root = tmp_path / "raw"
    (root / "mouse").mkdir(parents=True)
    values = write_intan(root / "mouse/x.rhd", rhd(), RHD_BLOCK, [0, 128])
    for trigger in (0, 1):
        compress(write_run(root / "glx", f"m_g0_t{trigger}.imec0.ap", start=7 * trigger))
    before = snapshot(root)
    done = run(pipeline, "--recordings-root", root, "--workers", 2)
    assert done.code == 0, done.err
    assert "Made: 6 Aggregate, 7 Decoded" in done.out
    assert snapshot(root) == before
    np.testing.assert_array_equal(made(pipeline, "mouse-amplifier", "uint16"), values["amplifier"])
    np.testing.assert_array_equal(made(pipeline, "mouse-auxiliary", "uint16"), values["auxiliary"])
    # What two files have in common is left out of the second one, as where they lie in place.
    one = np.arange(30, dtype="<i2").reshape(10, 3)
    np.testing.assert_array_equal(made(pipeline, "m-0-imec0.ap", "int16"), np.concatenate([one, one[3:]]))
    folder = pipeline.results / "recordings/m/1"
    assert (folder / "decoded.bin").read_bytes() == one.tobytes()
    found = record(folder)
    assert [(one["path"], one["recording"]) for one in found["inputs"]] == [
        ("glx/m_g0_t1.imec0.ap.cbin", "m/1"), ("glx/m_g0_t1.imec0.ap.meta", "m/1/m_g0_t1.imec0.ap.meta"),
        ("glx/m_g0_t1.imec0.ap.ch", "m/1/m_g0_t1.imec0.ap.ch"),
    ]  # fmt: skip
    assert found["fingerprint"] == {"dtype": "int16", "channels": 3}
    layout = json.loads((pipeline.results / "m-0-imec0.ap/aggregate.json").read_text())
    assert layout["recordings"][1]["dropped_samples"] == 3 and layout["recordings"][1]["start_sample"] == 7

    assert "Nothing to make" in run(pipeline, "--recordings-root", root).out
    # An edited header makes it stale, and a recording that is gone leaves it alone.
    meta = root / "glx/m_g0_t1.imec0.ap.meta"
    meta.write_text(meta.read_text() + "userNotes=seen\n")
    assert "1 Decoded" in run(pipeline, "--recordings-root", root).out
    root.rename(tmp_path / "moved")
    assert "Nothing to make" in run(pipeline, "--recordings-root", tmp_path / "moved").out
    done = run(pipeline, "--recordings-root", root)
    assert done.code == 20 and "the groups are those of the results" in done.err


@needs_formats
def test_what_is_named_is_decoded(pipeline, tmp_path):
    root = tmp_path / "raw"
    values = np.array([[0, -1], [2**23 - 1, -(2**23)], [5, 6]])
    write_24_bits(root / "wav/a.wav", values)
    raw = np.arange(60, dtype=">i2").reshape(20, 3)
    (root / "n").mkdir()
    write_nwb(root / "n/m.nwb", raw=raw, plain=raw.astype("<i2"))
    shutil.copytree(FORMATS / "neuralynx", root / "rat")
    shutil.copytree(FORMATS / "abf", root / "cell")
    (root / "eeg").mkdir()
    signals = write_edf(root / "eeg/e.edf")
    arguments = ("--recordings-root", root, "--recordings-format", "wav,nwb,edf,neo")
    done = run(pipeline, *arguments, "--workers", 2)
    assert done.code == 0, done.err
    np.testing.assert_array_equal(made(pipeline, "wav", "int32"), values)
    np.testing.assert_array_equal(made(pipeline, "m-raw", "int16"), raw)
    np.testing.assert_array_equal(made(pipeline, "m-plain", "int16"), raw)
    np.testing.assert_array_equal(made(pipeline, "e-100 Hz", "int16"), np.stack(signals[:2], axis=1))
    np.testing.assert_array_equal(made(pipeline, "e-25 Hz", "int16")[:, 0], signals[2])
    assert len(made(pipeline, "File_axon_5-Signals", "int16")) == 9 * 20000
    (rat,) = (path.name for path in pipeline.results.glob("rat-*"))
    assert len(made(pipeline, rat, "int16")) == 820 + 512
    # What lies in place is not copied before.
    decoded = {
        path.relative_to(pipeline.results / "recordings").parts[0] for path in pipeline.results.rglob("decoded.bin")
    }
    assert decoded == {"wav", "m", "e", "rat"}
    assert "Nothing to make" in run(pipeline, *arguments).out


def test_without_the_library_that_group_fails_alone(pipeline, tmp_path):
    root = tmp_path / "raw"
    (root / "n").mkdir(parents=True)
    write_nwb(root / "n/m.nwb", raw=np.zeros((5, 2), ">i2"))
    write_24_bits(root / "wav/a.wav", np.ones((4, 1), int))
    # A module of this name that can't be imported, as none is there.
    (pipeline.folder / "h5py.py").write_text("raise ModuleNotFoundError(\"No module named 'h5py'\", name='h5py')\n")
    done = run(pipeline, "--recordings-root", root, "--recordings-format", "nwb,wav")
    assert done.code == 30
    assert "pip install 'neuroluigi[formats]'" in done.err
    assert [path.parent.name for path in pipeline.results.glob("*/plot.png")] == ["wav"]


OWN = """
class Decoded(ephys.Decoded):
    def make(self, out):
        super().make(out)
        print("decoded by the lab's own")
"""


def test_a_pipeline_may_have_its_own(pipeline, tmp_path):
    write_24_bits(tmp_path / "raw/a/a.wav", np.ones((4, 1), int))
    pipeline.add(OWN)
    arguments = ("--recordings-root", tmp_path / "raw", "--recordings-format", "wav")
    assert run(pipeline, *arguments).code == 0
    folder = pipeline.results / "recordings/a/0"
    assert "decoded by the lab's own" in (folder / "runs/Decoded.log").read_text()
    assert run(pipeline, *arguments, "--session", "a", "--index", 0, task="Decoded").code == 0
    # Dropped, it is not missed.
    words = [BIN / "neuroluigi", "drop", "--step", "Decoded", "--yes", *arguments]
    done = commands.run(list(map(str, words)), cwd=pipeline.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not (folder / "decoded.bin").exists(), done
    assert "Nothing to make" in run(pipeline, *arguments).out and not (folder / "decoded.bin").exists()
    # A step that reads it by way of the aggregate has it made again.
    (stats,) = pipeline.results.glob("*/stats.json")
    before = stats.read_bytes()
    stats.unlink()
    done = run(pipeline, *arguments)
    assert done.code == 0 and "Made: 1 Decoded, 1 Stats." in done.out, done
    assert stats.read_bytes() == before and (folder / "decoded.bin").exists()


def test_a_pipeline_without_ephys_is_told_how_to_have_it(pipeline, tmp_path):
    write_24_bits(tmp_path / "raw/a/a.wav", np.ones((4, 1), int))
    (pipeline.folder / "tasks.py").write_text(
        "from neuroluigi import GroupTask, WrapperTask, groups, recording_task\n\n\n"
        "class One(GroupTask):\n    def requires(self):\n        return [recording_task(r) for r in self.recordings]\n"
        "    def output(self):\n        return self.result('one.txt')\n\n\n"
        "class PlotAll(WrapperTask):\n    def requires(self):\n        return [One(group) for group in groups()]\n"
    )
    done = run(pipeline, "--recordings-root", tmp_path / "raw", "--recordings-format", "wav")
    assert done.code != 0 and "from neuroluigi import ephys" in done.err


def test_a_file_that_is_required_past_its_step_is_no_samples(pipeline, tmp_path):
    write_24_bits(tmp_path / "raw/a/a.wav", np.ones((4, 1), int))
    pipeline.add(
        "class Aggregate(ephys.Aggregate):\n    def requires(self):\n"
        "        return [Recording(*one.identity) for one in self.recordings]\n"
    )
    done = run(pipeline, "--recordings-root", tmp_path / "raw", "--recordings-format", "wav")
    assert done.code == 30 and "has to be decoded: in requires(), use recording_task(recording)" in done.err


def test_what_is_damaged_fails_its_group_and_a_new_copy_is_decoded(pipeline, tmp_path):
    path = write_run(tmp_path / "raw", "m_g0_t0.imec0.ap")
    compress(path)
    write_run(tmp_path / "raw", "good_g0_t0.imec0.ap")
    packed = path.with_suffix(".cbin")
    whole = packed.read_bytes()
    packed.write_bytes(b"x" * len(whole))
    arguments = ("--recordings-root", tmp_path / "raw")
    done = run(pipeline, *arguments)
    assert done.code == 30
    assert f"Decoded(session=m, index=0): {packed} has a chunk that can't be decompressed" in done.err
    assert not list(pipeline.results.rglob("decoded.bin"))
    assert (pipeline.results / "good-0-imec0.ap/spikes_traces.png").exists()
    packed.write_bytes(whole)
    assert run(pipeline, *arguments).code == 0


def test_the_command_lists_them_as_any_others(pipeline, tmp_path):
    compress(write_run(tmp_path / "raw", "m_g0_t0.imec0.ap"))
    command = [BIN / "neuroluigi", "recordings", "--json", "--recordings-root", tmp_path / "raw"]
    done = commands.run(
        list(map(str, command)),
        cwd=pipeline.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    (group,) = json.loads(done.stdout).values()
    (one,) = group["recordings"]
    assert (one["samples"], one["channels"], one["sampling_rate_hz"]) == (10, 3, 30000.061088)
    assert one["path"].endswith(".cbin") and group["problems"] == []


def test_a_disk_that_gets_full(pipeline, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root on Linux alone")
    try:
        write_24_bits(tmp_path / "raw/a/a.wav", np.ones((500_000, 1), int))
        named = ("--recordings-root", tmp_path / "raw", "--recordings-format", "wav")
        done = run(pipeline, *named, "--results-root", disk / "results")
        assert done.code == 30
        (line,) = (line for line in done.err.splitlines() if line.startswith("ERROR: Decoded"))
        assert re.search(
            r"No space left on device \(\d+ of 2000000 bytes were written; make room there\): '.*/decoded.bin'", line
        )
        assert not list(disk.rglob("*decoded*.bin"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


SIZES = """
import resource, sys
import numpy as np
from neuroluigi.recordings.formats import wav
from neuroluigi.recordings.formats.decoding import decoded_blocks
(one,) = wav.recordings_in(sys.argv[1], ["a.wav"])
print(sum(len(block) for block in decoded_blocks(one)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_depend_on_the_length(tmp_path):
    peaks = []
    for samples in (1_000_000, 20_000_000):
        write_24_bits(tmp_path / f"{samples}/a.wav", np.zeros((1, 4), int))
        path = tmp_path / f"{samples}/a.wav"
        content = bytearray(path.read_bytes()[:44])
        content[40:44] = (samples * 12).to_bytes(4, "little")
        path.write_bytes(content)
        # A hole takes no room.
        os.truncate(path, 44 + samples * 12)
        command = [sys.executable, "-c", SIZES, str(path.parent)]
        count, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(count) == samples
        peaks.append(int(peak) / 1024)
    # In MB, of which the longer file has 240.
    assert peaks[1] - peaks[0] < 20, peaks
