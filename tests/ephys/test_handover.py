"""Handover: files by which SpikeInterface, phy and Kilosort open the samples of a group where they lie."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Pipeline
from tests.recordings.test_found import write_run
from tests.results.conftest import ask

STEPS = """
class FilteredHandover(ephys.Handover):
    def requires(self):
        return {"aggregate": Filtered(self.group)}


class Handovers(WrapperTask):
    def requires(self):
        return [Handover(group) for group in groups()]


class FilteredHandovers(WrapperTask):
    def requires(self):
        return [FilteredHandover(group) for group in groups()]
"""
GROUP = "m-0-imec0.ap"
# Shank, x, y and whether it is used, of four channels.
SITES = {"~snsGeomMap": "(NP1000,1,0,70)(0:27:0:1)(0:59:0:1)(0:11:20:0)(0:43:20:1)"}


@pytest.fixture
def lab(pipeline) -> Pipeline:
    pipeline.add(STEPS)
    pipeline.real = True  # `ask` adds no settings
    return pipeline


def run(lab: Pipeline, *arguments, task: str = "Handovers", code: int = 0) -> str:
    out = lab.run(task, "--matlab-engine", "numpy", *arguments, code=code)
    return next(line for line in out.splitlines() if line.startswith(("Made", "Nothing"))) if code == 0 else out


def made(folder: Path) -> tuple[dict, dict, dict]:
    """Return what the files for SpikeInterface, phy and Kilosort say."""
    binary, probe = (json.loads((folder / name).read_text()) for name in ("binary.json", "kilosort_probe.json"))
    params = {name: one for name, one in runpy.run_path(str(folder / "params.py")).items() if name[0] != "_"}
    return binary["kwargs"], params, probe


def samples_of(folder: Path) -> np.ndarray:
    """Return the samples as params.py, and as binary.json, say where they are."""
    binary, params, _ = made(folder)
    (path,) = binary["file_paths"]
    by_params = mapped(folder / params["dat_path"], *(params[n] for n in ("dtype", "offset", "n_channels_dat")))
    by_binary = mapped(folder / path, *(binary[n] for n in ("dtype", "file_offset", "num_channels")))
    assert np.array_equal(by_params, by_binary)
    return by_params


def mapped(path: Path, dtype: str, offset: int, channels: int) -> np.ndarray:
    return np.memmap(path, dtype, "r", offset).reshape(-1, channels)


def seen_by_spikeinterface(folder: Path):
    return pytest.importorskip("spikeinterface.core").load(folder)


def test_of_a_file_that_is_read_where_it_lies(lab):
    path = write_run(lab.folder / "raw", "m_g0_t0.imec0.ap", saved="4,0,1", **SITES)
    assert run(lab, "--recordings-root", lab.folder / "raw") == "Made: 1 Aggregate, 1 Handover."
    folder = lab.results / GROUP
    binary, params, probe = made(folder)
    # 0.6 V in 512 steps, 500 times amplified.
    gain = 0.6e6 / 512 / 500
    assert binary["file_paths"] == [str(path)] and binary["gain_to_uV"] == [gain] * 4 + [1.0]
    assert binary["offset_to_uV"] == [0] * 5 and binary["dtype"] == "int16" and not binary["is_filtered"]
    assert binary["channel_ids"] == ["AP0", "AP1", "AP2", "AP3", "SY0"]
    assert params == {
        "dat_path": str(path),
        "n_channels_dat": 5,
        "dtype": "int16",
        "offset": 0,
        "sample_rate": 30000.061088,
        "hp_filtered": False,
    }
    # Without the reference site, and the digital channel.
    expected = {"chanMap": [0, 1, 3], "xc": [27, 59, 43], "yc": [0, 0, 20], "kcoords": [0, 0, 0], "n_chan": 3}
    assert probe == expected
    assert np.array_equal(samples_of(folder), np.arange(50).reshape(10, 5))
    # Nothing in these files is a value for tables.
    config = lab.folder / "luigi.cfg"
    config.write_text(f"[neuroluigi]\ntask = Handovers\n[recordings]\nroot = {lab.folder / 'raw'}\n")
    notes: list[str] = []
    assert "m-0-imec0.ap" in (shown := ask(lab, "results", "--json", notes=notes))
    assert "n_chan" not in shown and "kilosort_probe.json" not in "".join(notes)
    # What somebody calls bad is left out, and where the recordings lie is said anew.
    words = ("--recordings-bad-channels", "AP1", "--recordings-root", lab.folder / "moved")
    (lab.folder / "raw").rename(lab.folder / "moved")
    assert run(lab, *words) == "Made: 1 Handover."
    binary, _, probe = made(folder)
    assert probe["chanMap"] == [0, 3] and binary["file_paths"] == [str(lab.folder / "moved" / path.name)]
    assert run(lab, *words).startswith("Nothing")


def test_of_several_files_it_is_one_copy(lab):
    for trial in (0, 1):
        write_run(lab.folder / "raw", f"m_g0_t{trial}.imec0.ap", start=10 * trial)
    assert run(lab, "--recordings-root", "raw") == "Made: 1 Aggregate, 1 FlatCopy, 1 Handover."
    binary, _, probe = made(lab.results / GROUP)
    assert binary["file_paths"] == ["flat.bin"] and probe["chanMap"] == [0, 1]
    assert np.array_equal(samples_of(lab.results / GROUP), [*np.arange(30).reshape(10, 3)] * 2)
    # Nobody knows where the channels are: for Kilosort they are far apart, and for SpikeInterface nowhere.
    assert probe["yc"] == [0, 1000] and not (lab.results / GROUP / "probegroup.json").exists()
    assert "are 1000 um apart" in (lab.results / GROUP / "runs/Handover.log").read_text()


def test_of_a_file_with_a_header_no_copy_is_made_and_names_are_quoted(lab):
    samples = np.arange(40, dtype="<f4").reshape(10, 4)
    raw = lab.folder / "it's \"raw\"\nimport os; os.mkdir('run')" / "a\\b é µ"
    raw.mkdir(parents=True)
    np.save(raw / "s.npy", samples)
    (lab.folder / "table.csv").write_text("session,index,path,unit,scale,sampling_rate_hz\ns,0,s.npy,mV,0.5,2000\n")
    words = ("--recordings-root", raw, "--recordings-table", lab.folder / "table.csv")
    assert run(lab, *words) == "Made: 1 Aggregate, 1 Handover."
    (folder,) = (path.parent for path in lab.results.rglob("params.py"))
    binary, params, _ = made(folder)
    assert params["dat_path"] == str(raw / "s.npy") == binary["file_paths"][0]
    assert params["offset"] == binary["file_offset"] == 128 and binary["gain_to_uV"] == [500.0] * 4
    assert np.array_equal(samples_of(folder), samples) and not list(Path.cwd().rglob("run/"))


def test_of_filtered_samples_it_is_in_a_folder_of_its_own(lab):
    write_run(lab.folder / "raw", "m_g0_t0.imec0.ap", samples=2000, saved="4,0,1", **SITES)
    out = run(lab, "--recordings-root", "raw", task="FilteredHandovers")
    assert out == "Made: 1 Aggregate, 1 Filtered, 1 FilteredHandover."
    folder = lab.results / GROUP / "filtered"
    binary, params, probe = made(folder)
    assert binary["file_paths"] == ["../filtered.bin"] and binary["is_filtered"] and params["hp_filtered"]
    # The channel that is not used is not in the file.
    assert binary["channel_ids"] == ["AP0", "AP1", "AP3"] and probe["chanMap"] == [0, 1, 2]
    assert probe["xc"] == [27, 59, 43]
    expected = np.fromfile(folder.parent / "filtered.bin", "<f4").reshape(-1, 3)
    assert np.array_equal(samples_of(folder), expected) and len(expected) == 2000


def test_without_a_sampling_rate_it_says_what_to_set(lab):
    out = run(lab, "--FakeRecording-sessions", "a", "--recordings-sampling-rate-hz", "", code=30)
    assert "the sampling rate of group a-even is not known; set [recordings] sampling_rate_hz" in out


def test_spikeinterface_opens_it(lab):
    path = write_run(lab.folder / "raw", "m_g0_t0.imec0.ap", saved="4,0,1", **SITES)
    run(lab, "--recordings-root", lab.folder / "raw")
    theirs = seen_by_spikeinterface(lab.results / GROUP)
    samples = np.fromfile(path, "<i2").reshape(-1, 5)
    assert np.array_equal(theirs.get_traces(), samples) and theirs.get_sampling_frequency() == 30000.061088
    assert list(theirs.get_channel_ids()) == ["AP0", "AP1", "AP2", "AP3", "SY0"]
    probe = theirs.select_channels(["AP0", "AP3"])
    assert probe.get_channel_locations().tolist() == [[27, 0], [43, 20]]
    np.testing.assert_allclose(probe.get_traces(return_in_uV=True), samples[:, [0, 3]] * 0.6e6 / 512 / 500, rtol=1e-6)


def test_spikeinterface_opens_filtered_samples(lab):
    write_run(lab.folder / "raw", "m_g0_t0.imec0.ap", samples=2000, saved="4,0,1", **SITES)
    run(lab, "--recordings-root", "raw", task="FilteredHandovers")
    theirs = seen_by_spikeinterface(lab.results / GROUP / "filtered")
    assert theirs.is_filtered() and theirs.get_channel_locations().tolist() == [[27, 0], [59, 0], [43, 20]]
    assert np.array_equal(theirs.get_traces(), samples_of(lab.results / GROUP / "filtered"))


def test_phylib_opens_it(lab):
    model, traces = pytest.importorskip("phylib.io.model"), pytest.importorskip("phylib.io.traces")
    write_run(lab.folder / "ra'w \n", "m_g0_t0.imec0.ap", saved="4,0,1", **SITES)
    run(lab, "--recordings-root", lab.folder / "ra'w \n")
    params = model.get_template_params(lab.results / GROUP / "params.py")
    names = ("n_channels_dat", "dtype", "offset", "sample_rate")
    theirs = traces.get_ephys_reader(params["dat_path"], **{name: params[name] for name in names})
    assert np.array_equal(theirs[:], np.arange(50).reshape(10, 5)) and theirs.sample_rate == 30000.061088
