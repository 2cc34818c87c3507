"""Aggregate: the bytes of the recordings in order, without their headers, and what is where."""

import json

import numpy as np

from tests import commands
from tests.conftest import BIN


def test_an_aggregate_is_the_recordings_in_order(pipeline):
    pipeline.run("Aggregate", "--group", "b-odd", "--matlab-engine", "numpy")
    recordings = [(pipeline.folder / f"recordings/b/rec_{i}.bin").read_bytes() for i in (1, 3)]
    assert (pipeline.results / "b-odd" / "aggregate.bin").read_bytes() == b"".join(recordings)
    layout = json.loads((pipeline.results / "b-odd" / "aggregate.json").read_text())
    assert layout == {
        "dtype": "uint8",
        "channels": 1,
        "recordings": [
            {"session": "b", "index": 1, "path": "b/rec_1.bin", "first_sample": 0, "samples": 100},
            {"session": "b", "index": 3, "path": "b/rec_3.bin", "first_sample": 100, "samples": 100},
        ],
        "segments": [0, 100],
        "excluded": [],
    }


def test_headers_are_left_out_and_samples_are_counted_by_channel(pipeline):
    root = pipeline.folder / "real"
    root.mkdir()
    for index, frames in enumerate(([[1, 2], [3, 4], [5, 6]], [[7, 8]])):
        (root / f"rec_{index}.bin").write_bytes(b"HEAD" + np.array(frames, "<i2").tobytes())
    (root / "recordings.csv").write_text(
        "session,index,path,dtype,channels,header_bytes,sampling_rate_hz\n"
        "s,0,rec_0.bin,int16,2,4,500\ns,1,rec_1.bin,int16,2,4,500\n"
    )
    pipeline.run("Aggregate", "--group", "s", "--recordings-root", "real", "--matlab-engine", "numpy")
    assert np.fromfile(pipeline.results / "s" / "aggregate.bin", "<i2").tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    layout = json.loads((pipeline.results / "s" / "aggregate.json").read_text())
    assert [(one["first_sample"], one["samples"]) for one in layout["recordings"]] == [(0, 3), (3, 1)]
    assert (layout["channels"], layout["sampling_rate_hz"], layout["segments"]) == (2, 500, [0, 3])


def test_what_it_is_made_of_may_be_dropped_whatever_its_length(pipeline):
    tasks = pipeline.folder / "tasks.py"
    tasks.write_text(tasks.read_text().replace("[recording_task(recording) ", "[Half(*recording.identity) "))
    pipeline.add(
        "from neuroluigi import RecordingTask\n\n\n"
        "class Half(RecordingTask):\n    def requires(self):\n        return recording_task(self.recording)\n\n"
        '    def output(self):\n        return self.result("half.bin")\n\n'
        '    def make(self, out):\n        out.write_bytes(open(self.input().path, "rb").read()[::2])\n'
    )
    for copy in ("never", "auto"):
        words = ("--FakeRecording-sessions", "a", "--matlab-engine", "numpy", "--Aggregate-copy", copy)
        assert "2 Aggregate" in pipeline.run("PlotAll", *words)
        drop = [BIN / "neuroluigi", "drop", "--step", "Half", "--yes", *words[:2], *words[-2:]]
        commands.run(list(map(str, drop)), cwd=pipeline.folder, check=True)
        assert not [*pipeline.results.rglob("half.bin")]
        assert "Nothing to make" in pipeline.run("PlotAll", *words)
        assert not [*pipeline.results.rglob("half.bin")]
