"""What SpikeInterface and pynapple themselves read of a lab: run by make opinions."""

import numpy as np
import pytest

pytest.importorskip("spikeinterface")
pytest.importorskip("pynapple")


def test_spikeinterface_reads_the_samples(finished):
    group = finished["m"]
    recording = group.recording()
    assert (recording.get_num_samples(), recording.get_sampling_frequency()) == (500, 1000)
    np.testing.assert_array_equal(recording.get_traces(), group.samples(physical=False))
    part = recording.get_traces(start_frame=248, end_frame=253, channel_ids=["1"])
    np.testing.assert_array_equal(part, group.samples(248, 253, [1], physical=False))
    # From mV.
    np.testing.assert_allclose(recording.get_traces(return_in_uV=True), group.samples() * 1000, rtol=1e-6)


def test_pynapple_has_the_times(finished):
    events = finished.events("m")
    group = events.to_pynapple()
    for channel in (0, 1):
        times = np.asarray(events["time_s"])[np.asarray(events["channel"]) == channel]
        np.testing.assert_allclose(group[channel].times(), times)
