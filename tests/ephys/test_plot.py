"""Plot: a picture of each group, made from the files that it requires; see tests of signals/plotting."""

import json

import numpy as np
from PIL import Image

from neuroluigi.provenance.record import read_record
from neuroluigi.steps.target import check_svg


def test_it_is_made_from_aggregate_stats_and_edges(pipeline):
    root = pipeline.folder / "real"
    root.mkdir()
    samples = np.zeros(2000, np.uint8)
    samples[[100, 900]] = 200
    samples.tofile(root / "rec_0.bin")
    (root / "recordings.csv").write_text("session,index,path\ns,0,rec_0.bin\n")
    settings = ("--recordings-root", "real", "--matlab-engine", "numpy")
    pipeline.run("Plot", "--group", "s", *settings)
    plot = pipeline.results / "s" / "plot.png"
    with Image.open(plot) as image:
        image.load()
        assert image.format == "PNG" and min(image.size) > 300 and len(image.convert("L").getcolors()) > 2
    record = read_record(pipeline.results / "s" / "runs" / "Plot.json")
    assert {one["path"] for one in record["inputs"]} == {
        f"s/{name}" for name in ("aggregate.bin", "aggregate.json", "stats.json", "edges.npy")
    }
    # Other edges are another picture.
    before = plot.read_bytes()
    pipeline.run("Plot", "--group", "s", *settings, "--Edges-level", "250")
    assert not np.load(pipeline.results / "s" / "edges.npy").size and plot.read_bytes() != before
    assert json.loads((pipeline.results / "s" / "stats.json").read_text())["max"] == [200]
    # So is another part of it, and another format is another file.
    pipeline.run("Plot", "--group", "s", *settings, "--Edges-level", "250", "--Plot-window", "50-150")
    assert read_record(pipeline.results / "s" / "runs" / "Plot.json")["fingerprint"] == {"window": "50-150"}
    pipeline.run("Plot", "--group", "s", *settings, "--Edges-level", "250", "--Plot-format", "svg")
    check_svg(pipeline.results / "s" / "plot.svg")
