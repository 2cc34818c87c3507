"""Tables of events in NWB files, read back with h5py alone, against values by hand."""

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO

from neuroluigi.ephys.nwb_electrodes import add_electrodes
from neuroluigi.ephys.nwb_events import add_events
from neuroluigi.ephys.nwb_group import Names
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.signals.found_events import FoundEvents
from tests.ephys.nwb_files import channel, group_of, written

# At 1 kHz; two recordings of 50 samples with 7 missing between them.
GAP = ({"sample": 50, "missing": 7},)
SPIKES = np.array([[10, 1, 13, 11, -1], [49, 0, 50, 49, -1], [60, 1, 62, 61, -1]])
SUMMARY = {
    "band": [300.0, 6000.0],
    "reference": "median",
    "parameters": {"polarity": "falling", "noise": 5.0},
}


def table(tmp_path, group, events, name: str) -> dict[str, list]:
    def fill(file) -> None:
        add_electrodes(file, [(group, "CA1")])
        assert add_events(file, group, events, Names())

    path = written(tmp_path / "a.nwb", fill)
    with h5py.File(path) as file:
        found = file[f"events/{name}"]
        columns = {key: found[key][()] for key in found}
        about = {key: found.attrs[key] for key in ("description",) if key in found.attrs}
        source = found["source_description"][()] if "source_description" in found else found.attrs["source_description"]
    assert set(about)
    values = {key: one.tolist() if isinstance(one, np.ndarray) else one for key, one in columns.items()}
    return {**values, "said": [str(about["description"]), source]}


def test_spikes(tmp_path):
    channels = [channel("AP0", scale=2.0, offset=9.0), channel("AP1", scale=4.0), channel("SY", "digital", None)]
    group = group_of(channels, (50, 50), gaps=GAP)
    found = table(tmp_path, group, FoundEvents("spikes", SPIKES, np.array([-1.0, -2.0, -3.0]), SUMMARY), "Spikes")
    assert found["timestamp"] == pytest.approx([0.010, 0.049, 0.067], abs=1e-12)
    # The release of the second one is the first sample of the next recording.
    assert found["duration"] == pytest.approx([0.003, 0.001, 0.002], abs=1e-12)
    assert found["peak_timestamp"] == pytest.approx([0.011, 0.049, 0.068], abs=1e-12)
    assert (found["channel"], found["electrode"], found["polarity"]) == ([1, 0, 1], [1, 0, 1], [-1, -1, -1])
    # A band-pass takes the offset away.
    assert found["amplitude"] == pytest.approx([-4e-6, -4e-6, -12e-6])
    description, source = found["said"]
    assert description == "threshold crossings, multi-unit in g, not sorted"
    assert source == "channels of kind ap, digital of g, 300 to 6000 Hz, reference median, -5 x MAD / 0.6745"


def test_more_events_than_are_kept_in_memory(tmp_path):
    group = group_of([channel("AP0"), channel("AP1")], (300_000,))
    samples = np.arange(0, 300_000, 10)
    rows = np.stack([samples, samples // 10 % 2, samples + 3, samples + 1, -np.ones_like(samples)], axis=1)
    np.save(tmp_path / "spikes.npy", rows)
    np.save(tmp_path / "spikes_amplitudes.npy", -1.0 * samples)
    table_file, amplitudes = (np.load(tmp_path / f"spikes{end}.npy", mmap_mode="r") for end in ("", "_amplitudes"))
    found = table(tmp_path, group, FoundEvents("spikes", table_file, amplitudes, SUMMARY), "Spikes")
    np.testing.assert_allclose(found["timestamp"], samples / 1000, atol=1e-12)
    np.testing.assert_allclose(found["amplitude"], samples * -0.5e-6)
    assert found["electrode"] == (samples // 10 % 2).tolist() and found["id"] == list(range(30_000))


def test_events_of_another_session_stay_out(tmp_path):
    group = group_of([channel("AP0"), channel("AP1")], (50, 50), ("other", "s"))
    group = group_of([channel("AP0"), channel("AP1")], (50, 50), ("s", "other"), label="a/b")
    found = table(tmp_path, group, FoundEvents("edges", SPIKES[:, :2]), "Edges_a_b")
    assert (found["timestamp"], found["channel"], found["id"]) == ([0.010, 0.049], [1, 0], [0, 1])
    assert "amplitude" not in found and "duration" not in found


def test_lines_have_names_and_may_lie_before_the_first_sample(tmp_path):
    group = group_of([channel("SY", "digital", None)])
    rows = np.array([[-5, -1, 0, 1], [3, -1, 2, 0]])
    summary = {"bits": [{"channel": -1, "bit": 2, "name": "camera"}]}
    found = table(tmp_path, group, FoundEvents("lines", rows, None, summary), "Lines")
    assert found["timestamp"] == [-0.005, 0.003]
    assert (found["bit"], found["value"], found["line"]) == ([0, 2], [1, 0], [b"", b"camera"])


def test_channels_of_several_units_stay_counts_and_those_without_electrodes_have_none(tmp_path):
    group = group_of([channel("AP0"), channel("ADC", "analog", 1.0, "V")])
    found = table(tmp_path, group, FoundEvents("crossings", SPIKES[:1], np.array([-7.0])), "Crossings")
    assert found["amplitude"] == [-7.0] and "electrode" not in found


def test_no_events_are_no_table(tmp_path):
    group = group_of([channel("AP0")])
    answers = []
    path = written(
        tmp_path / "a.nwb",
        lambda file: answers.append(add_events(file, group, FoundEvents("spikes", SPIKES[:0]), Names())),
    )
    with NWBHDF5IO(path, "r") as opened:
        assert answers == [False] and not opened.read().events


def test_a_time_that_is_not_known_is_refused_by_name(tmp_path):
    group = group_of([channel("AP0"), channel("AP1")], (50, 50), gaps=({"sample": 55, "missing": None},))
    with pytest.raises(RecordingsError, match=r"in or before rec_1\.bin"):
        written(tmp_path / "a.nwb", lambda file: add_events(file, group, FoundEvents("spikes", SPIKES), Names()))
