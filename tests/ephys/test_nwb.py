"""NWB in runs: samples, events and trials as they were, the same bytes each time, and what is refused at once."""

import json
import shutil
import sys

import h5py
import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile, load_config

from tests import commands
from tests.conftest import BIN, REPOSITORY, Pipeline, clean_environment

ASKED = ("--recordings-root", "raw", "--matlab-engine", "numpy")
HOSTILE = 'A "test" of\ttimes; Übung, 日本'
SAID = f"""
[NWB]
session_description = {HOSTILE}
subject_id = m 1
species = Mus musculus
sex = F
age = P90D/P120D
experimenter = Doe, Jane; Müller, Xu
lab = Lab
institution = Inst
keywords = times, gates
experiment_description = None at all
subject_description = tame
location = CA1
timezone = America/Los_Angeles
"""


def neuroluigi(lab: Pipeline, *words: str, code: int = 0) -> str:
    done = commands.run(
        [BIN / "neuroluigi", *words, *ASKED],
        cwd=lab.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + ("" if "--json" in words else done.stderr)


def say(lab: Pipeline, text: str = SAID) -> None:
    settings = (REPOSITORY / "luigi.cfg").read_text(encoding="utf-8").replace("\n[NWB]\n", text)
    (lab.folder / "luigi.cfg").write_text(settings, encoding="utf-8")


def session_file(lab: Pipeline, session: str):
    return lab.results / "sessions" / session / "session.nwb"


def inspected(path) -> set[str]:
    """Return the checks of the inspector, as the archive configures it, that find more than a suggestion."""
    found = inspect_nwbfile(
        nwbfile_path=path,
        config=load_config("dandi"),
        importance_threshold=Importance.BEST_PRACTICE_VIOLATION,
    )
    return {f"{one.check_function_name} {one.object_name}" for one in found}


@pytest.fixture
def lab(pipeline) -> Pipeline:
    (pipeline.folder / "raw").mkdir()
    return pipeline


# One probe of two sites and a sync word, 1000 samples at 10 kHz; CH0 has a dip each 100 samples.
META = "typeThis=imec\nimSampRate=10000\nimMaxInt=512\nimAiRangeMax=0.6\nimDatPrb_type=0\nimDatPrb_sn=7\n"
META += "acqApLfSy=2,0,1\nsnsApLfSy=2,0,1\nnSavedChans=3\nsyncSourceIdx=0\nfileSizeBytes=6000\nfirstSample=500\n"
META += "fileCreateTime=2026-01-31T14:30:00\n~imroTbl=(0,2)(0 0 0 500 250 1)(1 0 0 500 250 1)\n"


def write(lab: Pipeline, session: str = "m") -> np.ndarray:
    folder = lab.folder / "raw" / f"{session}_g0"
    folder.mkdir(parents=True)
    samples = np.random.default_rng(5).integers(-20, 20, (1000, 3))
    samples[50::100, 0] = -500
    samples[:, 2] = np.arange(1000) // 100 % 2
    samples.astype("<i2").tofile(folder / f"{session}_g0_t0.imec0.ap.bin")
    (folder / f"{session}_g0_t0.imec0.ap.meta").write_text(META)
    return samples


def test_samples_and_spikes_are_those_of_the_recording(lab):
    samples = write(lab)
    say(lab)
    (lab.folder / "raw" / "m_trials.csv").write_text("start_time,stop_time,side\n0.01,0.02,left\n0.03,0.05,right\n")
    trials = ("--Trials-table", "{session}_trials.csv")
    out = neuroluigi(lab, "export", "nwb", "--session", "m", "--NWB-raw", "copy", *trials)
    assert "m        results/sessions/m/session.nwb" in out
    path = session_file(lab, "m")
    first = path.read_bytes()
    assert inspected(path) == set()
    with pynwb.NWBHDF5IO(path, "r") as opened:
        file = opened.read()
        series = file.acquisition["ElectricalSeriesAP"]
        # 0.6 V are 512 counts at a gain of 500.
        volts = series.data[()] * series.conversion + series.offset
        np.testing.assert_allclose(volts, samples[:, :2] * (0.6 / 512 / 500), rtol=1e-6)
        assert (series.starting_time, series.rate) == (0.0, 10_000.0)
        assert (file.acquisition["TimeSeriesDigital"].data[:, 0] == samples[:, 2]).all()
        assert file.subject.age == "P90D/P120D" and file.experimenter == ("Doe, Jane", "Müller, Xu")
        assert file.trials.to_dataframe().side.tolist() == ["left", "right"]
        spikes = file.events["Spikes"].to_dataframe()
        printed = json.loads(
            neuroluigi(lab, "--task", "PlotAll", "events", "m-0-imec0.ap", "--name", "spikes", "--json")
        )
        assert spikes.timestamp.tolist() == pytest.approx([row["seconds"] for row in printed], abs=1e-9)
        assert spikes.amplitude.tolist() == pytest.approx([row["amplitude"] * 1e-6 for row in printed])
        assert len(spikes) >= 10 and {one.index[0] for one in spikes.electrode} == {0}
        record = json.loads(file.scratch["run_record_Spikes_m-0-imec0.ap"].data)
        assert record["step"] == "Spikes" and record["inputs"][0]["sha256"] and "host" not in record
    # From nothing again, it is the same file, and a record of its own has when it was made.
    shutil.rmtree(lab.results)
    neuroluigi(lab, "export", "nwb", "--NWB-raw", "copy", *trials)
    assert path.read_bytes() == first
    # Another column, another file.
    (lab.folder / "more.csv").write_text("session,sex\nm,M\n")
    neuroluigi(lab, "run", "NWB", "--session", "m", "--recordings-metadata", "more.csv")
    with h5py.File(path) as file:
        assert file["general/subject/sex"][()] == b"M" and "acquisition" in file and not len(file["acquisition"])


def test_what_is_lacking_is_named_before_anything_is_made(lab):
    write(lab)
    out = neuroluigi(lab, "export", "nwb", code=30)
    message = next(line for line in out.splitlines() if "NWB lacks" in line)
    for key in ("session_description", "subject_id", "species", "sex", "age", "timezone"):
        assert f"{key} (" in message
    assert not (lab.results / "m-0-imec0.ap").exists()
    assert [path.name for path in (lab.results / "sessions/m").iterdir()] == ["runs"]


def test_a_pipeline_without_the_step_is_told_where_its_lines_are(lab):
    (lab.folder / "tasks.py").write_text("from neuroluigi import ephys\n\n\nclass PlotAll(ephys.PlotAll):\n    pass\n")
    out = neuroluigi(lab, "export", "nwb", code=1)
    assert "tasks.py has no class NWBAll: add the lines that docs/nwb.md has" in out


def test_without_pynwb_one_line_says_what_to_install(lab, monkeypatch):
    import importlib.util

    from neuroluigi.ephys import nwb
    from neuroluigi.steps.config import RunStopped

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pynwb" else find(name))
    requires = nwb._where_all_is_said(lambda step: {})
    with pytest.raises(RunStopped, match=r"pip install 'neuroluigi\[nwb\]'"):
        requires(None)


def test_the_package_does_not_import_pynwb():
    code = "import sys, neuroluigi.ephys; assert not {'pynwb', 'hdmf', 'h5py', 'pandas'} & sys.modules.keys()"
    commands.run([sys.executable, "-c", code], check=True, timeout=60)
