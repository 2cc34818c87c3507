"""Samples in NWB files, read back with h5py alone: counts, conversion, and the second of each."""

import h5py
import numpy as np
import pytest

from neuroluigi.ephys.nwb_electrodes import add_electrodes
from neuroluigi.ephys.nwb_group import Names
from neuroluigi.ephys.nwb_signals import add_signals, times_of
from neuroluigi.recordings.recording import RecordingsError
from neuroluigi.recordings.sample_times import ClockMap
from tests.ephys.nwb_files import RATE, aggregate_of, channel, group_of, written

CHANNELS = [
    channel("AP0", x=0.0, y=0.0),
    channel("a/b", x=0.0, y=20.0, scale=0.25),
    channel("ADC1", "analog", 0.001, "V", offset=-1.5),
    channel("ADC2", "analog", 2.0, "mV"),
    channel("T", "analog", 0.1, "C"),
    channel("SY", "digital", None),
]


def copied(tmp_path, group, samples) -> h5py.File:
    aggregate = aggregate_of(group, samples, tmp_path)

    def fill(file) -> None:
        add_electrodes(file, [(group, "CA1")])
        add_signals(file, group, aggregate, Names())

    return h5py.File(written(tmp_path / "a.nwb", fill))


def physical(series: h5py.Group) -> np.ndarray:
    """Return samples as NWB defines them: data * conversion * channel_conversion + offset."""
    data = series["data"]
    factors = series["channel_conversion"][()] if "channel_conversion" in series else 1.0
    return data[()] * data.attrs["conversion"] * factors + data.attrs["offset"]


def test_volts_of_each_kind(tmp_path):
    samples = np.random.default_rng(1).integers(-30000, 30000, (50, 6))
    with copied(tmp_path, group_of(CHANNELS), samples) as file:
        acquisition = file["acquisition"]
        expected = {
            "ElectricalSeriesAP": (samples[:, :2] * [0.5e-6, 0.25e-6], "volts"),
            "TimeSeriesAnalog": (samples[:, 2:3] * 0.001 - 1.5, "volts"),
            "TimeSeriesAnalog2": (samples[:, 3:4] * 0.002, "volts"),
            "TimeSeriesAnalog3": (samples[:, 4:5] * 0.1, "C"),
            "TimeSeriesDigital": (samples[:, 5:6], "n/a"),
        }
        assert set(acquisition) == set(expected)
        for name, (values, unit) in expected.items():
            np.testing.assert_allclose(physical(acquisition[name]), values, rtol=1e-6)
            assert acquisition[name]["data"].attrs["unit"] == unit
            assert acquisition[name]["data"].dtype == np.int16
            assert acquisition[name]["starting_time"][()] == 0
            assert acquisition[name]["starting_time"].attrs["rate"] == RATE
        electrodes = file["general/extracellular_ephys/electrodes"]
        assert [one.decode() for one in electrodes["channel_name"]] == ["AP0", "a/b"]
        assert electrodes["rel_y"][()].tolist() == [0, 20]


def test_a_series_per_recording_of_the_session(tmp_path):
    group = group_of([channel("CH1")], (20, 5, 30), ("s", "other", "s"), label="x")
    # The second recording of the session is the third of the group.
    samples = np.arange(55)[:, None]
    with copied(tmp_path, group, samples) as file:
        found = file["acquisition"]
        assert set(found) == {"ElectricalSeriesAP_x_0", "ElectricalSeriesAP_x_2"}
        assert found["ElectricalSeriesAP_x_2/data"][:, 0].tolist() == list(range(25, 55))
        assert found["ElectricalSeriesAP_x_2/starting_time"][()] == 0.025


def test_more_than_a_chunk_is_compressed_and_the_same(tmp_path):
    samples = np.random.default_rng(2).integers(-99, 99, (40_000, 70))
    with copied(tmp_path, group_of([channel(f"CH{n}") for n in range(70)], (40_000,)), samples) as file:
        data = file["acquisition/ElectricalSeriesAP/data"]
        # 70 channels are two times 35, and 14,979 samples of these a megabyte.
        assert (data.compression, data.compression_opts, data.shuffle, data.chunks) == ("gzip", 4, True, (14979, 35))
        assert (data[()] == samples).all()


def test_gaps_have_timestamps_and_one_copy_of_them(tmp_path):
    channels = [channel("CH1"), channel("SY", "digital", None)]
    group = group_of(channels, (50,), gaps=({"sample": 20, "missing": 7},))
    with copied(tmp_path, group, np.zeros((50, 2))) as file:
        found = file["acquisition"]
        expected = np.r_[0:20, 27:57] / RATE
        for name in ("ElectricalSeriesAP", "TimeSeriesDigital"):
            np.testing.assert_allclose(found[name]["timestamps"][()], expected, atol=1e-12)
            assert "starting_time" not in found[name]
        assert isinstance(found["TimeSeriesDigital"].get("timestamps", getlink=True), h5py.SoftLink)


@pytest.mark.parametrize(
    ("bend", "expected"),
    # A clock that runs 100 ppm fast; one that is 0.09 and 0.11 samples off in the middle.
    [(0.0, {"starting_time", "rate"}), (0.09, {"starting_time", "rate"}), (0.11, {"timestamps"})],
)
def test_a_rate_where_it_gives_each_time_to_a_tenth_of_a_sample(bend, expected):
    slope = (1 + 1e-4) / RATE
    counters = np.array([0.0, 20_000.0, 40_000.0])
    seconds = 3 + slope * (counters + np.array([0, bend, 0]))
    maps = {("s", "c"): ClockMap(counters, seconds, slope, slope)}
    group = group_of([channel("CH1")], (40_001,), maps=maps)
    ((row, first, end),) = group.ranges()
    found = times_of(group, row, first, end)
    assert set(found) == expected
    if "rate" in found:
        assert found["starting_time"] == 3 and found["rate"] == pytest.approx(1 / slope, rel=1e-12)


def test_a_pause_of_unknown_length_is_refused_by_name():
    group = group_of([channel("CH1")], gaps=({"sample": 20, "missing": None},))
    ((row, first, end),) = group.ranges()
    with pytest.raises(
        RecordingsError, match=r"group g: how long the pauses in or before rec_0\.bin were is not known"
    ):
        times_of(group, row, first, end)
