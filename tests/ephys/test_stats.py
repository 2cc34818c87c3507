"""Stats: the numbers of each channel, by hand."""

import json
import math

import numpy as np
import pytest


def test_numbers_are_those_of_each_channel(pipeline):
    root = pipeline.folder / "real"
    root.mkdir()
    np.array([[0, -10], [2, 10], [4, 30]], "<i2").tofile(root / "rec_0.bin")
    (root / "recordings.csv").write_text("session,index,path,dtype,channels\ns,0,rec_0.bin,int16,2\n")
    pipeline.run("Stats", "--group", "s", "--recordings-root", "real", "--matlab-engine", "numpy")
    stats = json.loads((pipeline.results / "s" / "stats.json").read_text())
    assert (stats["count"], stats["min"], stats["max"], stats["mean"]) == (3, [0, -10], [4, 30], [2, 10])
    # Squares of the differences: 4 + 0 + 4 and 400 + 0 + 400, of n - 1.
    assert stats["std"] == pytest.approx([math.sqrt(8 / 2), math.sqrt(800 / 2)])
