"""The recipe of docs/sorting.md runs as it stands there, with programs that stand in for CatGT, Kilosort and TPrime."""

import json
import subprocess
import sys

import numpy as np
import pytest

from neuroluigi.signals.sorted_units import read_units
from tests.conftest import Pipeline, needs_octave
from tests.docs.test_pages import DOCS, block, blocks
from tests.ephys.test_handover import SITES
from tests.recordings.test_found import write_run
from tests.signals.sorted_folder import TIMES

PAGE = DOCS / "sorting.md"

# As much of the library as the script of the page uses. It finds the spikes that are planted.
KILOSORT = """
from pathlib import Path

import numpy as np

__version__ = "4.0.30"


def run_kilosort(settings, probe=None, filename=None, results_dir=None, data_dtype=None):
    assert set(settings) == {"n_chan_bin", "fs"} and probe["n_chan"] == len(probe["chanMap"])
    samples = np.fromfile(filename, data_dtype).reshape(-1, settings["n_chan_bin"])[:, probe["chanMap"]]
    times, channels = np.nonzero(samples <= -1000)
    folder, count = Path(results_dir), len(probe["chanMap"])
    templates = np.zeros((count, 3, count), np.float32)
    templates[range(count), 1, range(count)] = -1
    arrays = {
        "spike_times": times.astype(np.int64), "spike_clusters": channels.astype(np.int32),
        "spike_templates": channels.astype(np.int32), "templates": templates, "channel_map": probe["chanMap"],
        "channel_positions": np.stack((probe["xc"], probe["yc"]), axis=-1), "amplitudes": np.ones(len(times)),
        "whitening_mat": np.eye(count), "whitening_mat_inv": np.eye(count), "similar_templates": np.eye(count),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    rows = "".join(f"{one}\\t{'good' if one else 'mua'}\\n" for one in range(count))
    # As Kilosort 4 does, also where phy later writes what a person decided.
    for name in ("KSLabel", "group"):
        (folder / f"cluster_{name}.tsv").write_text("cluster_id\\tKSLabel\\n" + rows)
    (folder / "params.py").write_text(f"dat_path = {filename!r}\\nn_channels_dat = {settings['n_chan_bin']}\\n")
"""
KILOSORT_IO = """
import json
import numpy as np


def load_probe(path):
    with open(path) as file:
        return {name: np.array(one) if isinstance(one, list) else one for name, one in json.load(file).items()}
"""
# Each checks what it is called with.
CATGT = """
import pathlib, sys
said = dict(one.lstrip("-").partition("=")[::2] for one in sys.argv[1:])
assert set(said) == {"dir", "run", "g", "t", "prb", "prb_fld", "ap", "ni", "xd", "no_tshift", "dest", "no_catgt_fld"}
run, out = f"{said['run']}_g{said['g']}", pathlib.Path(said["dest"])
assert (pathlib.Path(said["dir"]) / run / f"{run}_imec0" / f"{run}_t0.imec0.ap.bin").is_file() and out.is_dir()
js, ip, word, bit, milliseconds = said["xd"].split(",")
for name, edges in {
    "imec0.ap.xd_384_6_500": "0.5\\n1.5\\n", "nidq.xa_0_500": "0.4\\n1.4\\n", f"nidq.xd_8_{bit}_0": "0.9\\n",
}.items():
    (out / f"{run}_tcat.{name}.txt").write_text(edges)
"""
TPRIME = """
import sys
said = [one.lstrip("-").partition("=")[::2] for one in sys.argv[1:]]
names = [name for name, _ in said]
assert names == ["syncperiod", "tostream", "fromstream", "events"] and float(said[0][1]) == 1.0
times = lambda path: [float(line) for line in open(path)]
stream, edges = said[2][1].split(",")
of, events, out = said[3][1].split(",")
assert of == stream
shift = times(said[1][1])[0] - times(edges)[0]
with open(out, "w") as file:
    file.writelines(f"{one + shift:.6f}\\n" for one in times(events))
"""


@pytest.fixture
def rig(pipeline, tmp_path) -> Pipeline:
    """A lab with a run of SpikeGLX in which spikes are planted, the recipe of the page, and the programs."""
    data, programs = tmp_path / "data", tmp_path / "opt"
    probe = data / "m_g0" / "m_g0_imec0"
    path = write_run(probe, "m_g0_t0.imec0.ap", samples=100, saved="4,0,1", **SITES)
    samples = np.zeros((100, 5), "<i2")
    # On the reference site, position 2, nothing is found; the sync word is no channel.
    samples[TIMES, 1] = -1000
    samples[[15, 35], 3] = -2000
    samples[[5, 6], 2] = samples[[7, 8], 4] = -3000
    samples.tofile(path)
    for name, code in (("CatGT-linux", CATGT), ("TPrime-linux", TPRIME)):
        script = programs / name / "runit.sh"
        script.parent.mkdir(parents=True)
        script.write_text(f"#!{sys.executable}\n{code}")
        script.chmod(0o755)
    python = programs / "kilosort" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{programs}/lib" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    library = programs / "lib" / "kilosort"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(KILOSORT)
    (library / "io.py").write_text(KILOSORT_IO)
    (pipeline.folder / "run_kilosort.py").write_text(block(PAGE, "python", "kilosort.run_kilosort("))
    steps = [text for text in blocks(PAGE, "python") if not text.startswith('"""')]
    pipeline.add("\n\n".join(["from neuroluigi.signals.sorted_units import read_units", *steps]))
    declared = f"{block(PAGE, 'ini', '[Kilosort]')}\n{block(PAGE, 'text', '[resources]')}"
    declared = declared.replace("/data/2026", str(data)).replace("/opt/", f"{programs}/")
    (pipeline.folder / "luigi.cfg").write_text(f"[recordings]\nroot = {data}\n{declared}")
    return pipeline


def test_the_recipe(rig):
    out = rig.run("SortedAll", "--workers", "2")
    made = "Made: 1 Aggregate, 1 CatGT, 1 Curated, 1 Handover, 1 Kilosort, 1 TPrime."
    assert made in out
    group = rig.results / "m-0-imec0.ap"
    units = read_units(group / "curated")
    assert [(one.id, one.label, one.channel, one.samples.tolist()) for one in units] == [
        (1, "good", 1, TIMES),
        (2, "good", 3, [15, 35]),
    ]
    tool = json.loads((group / "runs/Kilosort.json").read_text())["tool"]
    assert tool["version"] == "4.0.30" and tool["home_page"] == "https://kilosort.readthedocs.io/"
    assert (rig.results / "sessions/m/tprime/m_g0_tcat.nidq.xd_8_2_0.txt").read_text() == "1.000000\n"
    assert "Nothing to make" in rig.run("SortedAll")
    out = rig.run("SortedAll", "--Kilosort-version", "4.1", "--results-rerun-on", "inputs,parameters,tools", code=None)
    assert "4.0.30 was found where luigi.cfg declares 4.1" in out
    assert "Made: 1 Good." in rig.run("Good", "--group", group.name) and (group / "good.txt").read_text() == "2"
    # Another script is another sorter; another release may have other edges.
    with (rig.folder / "run_kilosort.py").open("a") as script:
        script.write("# With other settings.\n")
    assert "Made: 1 CatGT, 1 Curated, 1 Kilosort, 1 TPrime." in rig.run("SortedAll", "--CatGT-release", "4.5")


@pytest.fixture
def flat(tmp_path) -> np.ndarray:
    """Samples of 385 channels, in tmp_path/flat.bin."""
    samples = np.arange(-385, 385 * 3, dtype="<i2").reshape(-1, 385)
    samples.tofile(tmp_path / "flat.bin")
    return samples


def test_the_line_of_numpy_opens_a_flat_file(flat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"np": np}
    exec(block(PAGE, "text", "np.memmap"), names)
    assert np.array_equal(names["samples"], flat)


@needs_octave
def test_the_line_of_matlab_opens_a_flat_file(flat, tmp_path):
    shown = "printf('%s %d %d %d %d', class(samples), size(samples), samples(2, 1), max(samples(:)));"
    command = ["octave", "--no-gui", "-qf", "--eval", f"{block(PAGE, 'matlab', 'fread')} {shown}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"int16 385 {len(flat)} -384 {flat.max()}"
