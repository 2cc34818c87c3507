"""From the folders of two rigs to NWB files, in one command that begins in an empty folder, with either engine."""

import json
import shutil

import h5py
import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile, load_config

from tests import commands
from tests.conftest import BIN, FORMATS, HAS_OCTAVE, clean_environment, needs_formats
from tests.ephys.test_aligned import THREE

pytestmark = needs_formats

CI0 = FORMATS / "spikeglx/CI0_overlap1/5-19-2022-CI0"
SAID = {
    "session_description": 'A "test" of\ttimes; Übung, 日本',
    "subject_id": "m 1",
    "species": "Mus musculus",
    "sex": "F",
    "age": "P90D/P120D",
    "location": "CA1",
    "timezone": "America/Los_Angeles",
}
ENGINES = ("octave", "numpy") if HAS_OCTAVE else ("numpy",)


def neuroluigi(folder, *words) -> str:
    done = commands.run(
        [BIN / "neuroluigi", *words],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def labs(tmp_path_factory) -> dict:
    """Return the folder in which the command was given, by the engine."""
    folder = tmp_path_factory.mktemp("nwb")
    # Of CI0 one probe and its wide band, to save time: the others have the same clocks.
    for source in (THREE, CI0):
        others = shutil.ignore_patterns("*imec1*", "*.lf.*")
        shutil.copytree(source, folder / "raw" / source.name, copy_function=shutil.copyfile, ignore=others)
    said = [word for name, text in SAID.items() for word in (f"--NWB-{name.replace('_', '-')}", text)]
    found = {}
    for engine in ENGINES:
        found[engine] = folder / engine
        found[engine].mkdir()
        # With a second engine one of them, to save time.
        which = ["--session", CI0.name] if found.keys() > {engine} else []
        out = neuroluigi(found[engine], "export", "nwb", "--data", "../raw", "--matlab-engine", engine, *which, *said)
        assert ("1 NWB" if which else "2 NWB") in out and f" results/sessions/{CI0.name}/" in out
    return found


def session_file(lab, folder):
    return lab / "results" / "sessions" / folder.name / "session.nwb"


@pytest.fixture(scope="module", params=ENGINES)
def lab(request, labs):
    return labs[request.param]


def test_archives_take_the_files(labs):
    for folder in (THREE, CI0):
        path = session_file(labs[ENGINES[0]], folder)
        assert pynwb.validate(path=str(path)) == []
        found = inspect_nwbfile(
            nwbfile_path=path,
            config=load_config("dandi"),
            importance_threshold=Importance.BEST_PRACTICE_VIOLATION,
        )
        assert [one.message for one in found] == []


def test_two_gates_are_as_far_apart_as_their_counters(lab):
    with h5py.File(session_file(lab, CI0)) as file:
        assert file["session_start_time"][()] == b"2022-05-19T17:37:47-07:00"
        assert file["session_description"][()].decode() == SAID["session_description"]
        rows = file["intervals/recordings"]
        starts = dict(zip(rows["file"].asstr()[()], rows["start_time"][()].tolist(), strict=True))
        gates = [starts[name] for name in starts if name.endswith(("_g0_t0.imec0.ap.bin", "_g1_t0.imec0.ap.bin"))]
        # 158,114 samples of 30,000.061088 Hz, and those of g0, less the overlap.
        assert gates == pytest.approx([0, 5.2904], abs=1e-4)
        assert len(file["general/extracellular_ephys/electrodes/id"]) == 384


def test_a_pulse_is_at_the_same_time_in_each_stream_and_in_events(labs):
    lab = labs[ENGINES[0]]
    with h5py.File(session_file(lab, THREE)) as file:
        assert file["session_start_time"][()] == b"2022-05-03T17:52:24.618000+00:00"
        for stream, rises in (("ProbeB", 837), ("ProbeC", 837), ("PXIe-6341", 1197)):
            found = file[f"events/Lines_101-1-{stream}"]
            assert np.count_nonzero(found["value"][()]) == rises
        printed = json.loads(neuroluigi(lab, "events", f"{THREE.name}-101-1-PXIe-6341", "--name", "lines", "--json"))
        written = file["events/Lines_101-1-PXIe-6341/timestamp"][()]
        assert written.tolist() == pytest.approx([row["seconds"] for row in printed], abs=1e-9)


@pytest.mark.skipif(not HAS_OCTAVE, reason="octave-cli is not installed")
def test_both_engines_make_the_same(labs):
    octave, numpy = (datasets(session_file(labs[engine], CI0)) for engine in ENGINES)
    assert octave.keys() == numpy.keys() and len(octave) > 40
    for name, values in octave.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, numpy[name], rtol=1e-12, atol=0, err_msg=name)
        else:
            np.testing.assert_array_equal(values, numpy[name], err_msg=name)


def datasets(path) -> dict[str, np.ndarray]:
    """Return all datasets but the names of objects, and the records, which name the engine; references as names."""
    found = {}
    with h5py.File(path) as file:

        def add(name: str, item) -> None:
            if isinstance(item, h5py.Dataset) and not name.startswith(("identifier", "scratch", "specifications")):
                values = np.asarray(item[()])
                is_reference = h5py.check_ref_dtype(item.dtype) is not None
                found[name] = np.array([file[one].name for one in values.ravel()]) if is_reference else values

        file.visititems(add)
    return found
